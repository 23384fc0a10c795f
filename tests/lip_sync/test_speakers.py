"""Who speaks: several faces with words of their own, and mouths behind hands, which do not."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from core.encoders.faces import FaceLandmarker
from core.errors import (
    ParameterError,
)
from core.lip_sync import LipSync, SyncConfig, SyncRequest
from core.lip_sync.animator import FaceAnimator, HeadPose
from core.lip_sync.inner_mouth import MouthLook
from core.lip_sync.network import new_network
from core.media import AudioClip, read_audio, write_audio, write_video
from tests.lip_sync.conftest import ASSETS
from tests.lip_sync.stand_ins import (
    COUNT,
    HAND,
    OPEN,
    Box,
    Picture,
    PlainFinder,
    PlainNetwork,
    Seen,
    burst_file,
    covering,
    head,
    head_film,
    loudness_at,
    pictures_of_film,
    plain,
    spots,
)

LEFT: Box = (36, 96, 76, 112)
RIGHT: Box = (196, 96, 236, 112)


class TestSpeakers:
    def two(self, path: Path) -> Path:
        return head_film(path, (head(n, (LEFT, RIGHT), (272, 160)) for n in range(COUNT)))

    def test_each_face_says_its_own_and_all_are_heard(self, tmp_path: Path) -> None:
        one, other = burst_file(tmp_path / "one.wav", 1.2, 5), burst_file(tmp_path / "other.wav", 1.1, 6)
        request = SyncRequest(self.two(tmp_path / "film.mp4"), None, speakers={0: one, 1: other})
        made = plain(finder=PlainFinder(lambda _: (LEFT, RIGHT))).sync(request, tmp_path / "out.mp4")
        assert made.faces == (0, 1) and made.frames_changed == COUNT
        times, pictures = pictures_of_film(tmp_path / "out.mp4")
        middles = [time_s + Fraction(1, 50) for time_s in times]
        for mouth, file, wrong in ((LEFT, one, other), (RIGHT, other, one)):
            shown = spots(pictures, mouth)
            assert np.corrcoef(shown, loudness_at(file, middles))[0, 1] > 0.85
            assert np.corrcoef(shown, loudness_at(wrong, middles))[0, 1] < 0.5
        both = np.maximum(loudness_at(one, middles), loudness_at(other, middles))
        assert np.corrcoef(loudness_at(tmp_path / "out.mp4", middles), both)[0, 1] > 0.95

    def test_the_sum_of_loud_recordings_is_held_below_full_scale(self, tmp_path: Path) -> None:
        times = np.arange(48000) / 48000
        tones = [(0.8 * np.sin(2 * np.pi * hertz * times)).astype(np.float32) for hertz in (300, 310)]
        write_audio(tmp_path / "one.wav", AudioClip(tones[0][:, None], 48000))
        write_audio(tmp_path / "two.wav", AudioClip(np.stack([tones[1]] * 2, axis=1), 48000))
        files = {0: tmp_path / "one.wav", 1: tmp_path / "two.wav"}
        request = SyncRequest(self.two(tmp_path / "film.mp4"), None, speakers=files)
        plain(finder=PlainFinder(lambda _: (LEFT, RIGHT))).sync(request, tmp_path / "out.mp4")
        heard = read_audio(tmp_path / "out.mp4")
        assert heard.samples.shape[1] == 2 and 0.7 < np.abs(heard.samples).max() < 0.98

    def test_one_says_its_own_and_the_chosen_ones_what_is_for_all(self, tmp_path: Path) -> None:
        own, all_say = burst_file(tmp_path / "own.wav", 1.2, 5), burst_file(tmp_path / "all.wav", 1.2, 6)
        source, finder = self.two(tmp_path / "film.mp4"), PlainFinder(lambda _: (LEFT, RIGHT))
        made = plain(finder=finder).sync(SyncRequest(source, all_say, speakers={1: own}), tmp_path / "out.mp4")
        times, pictures = pictures_of_film(tmp_path / "out.mp4")
        middles = [time_s + Fraction(1, 50) for time_s in times]
        assert made.faces == (0, 1)
        assert np.corrcoef(spots(pictures, RIGHT), loudness_at(own, middles))[0, 1] > 0.85
        assert np.corrcoef(spots(pictures, LEFT), loudness_at(all_say, middles))[0, 1] > 0.85

    def test_faces_that_are_not_chosen_stay_bit_for_bit(self, tmp_path: Path, speech: Path, seen: Seen) -> None:
        source, finder = self.two(tmp_path / "film.mp4"), PlainFinder(lambda _: (LEFT, RIGHT))
        made = plain(finder=finder).sync(SyncRequest(source, speech, faces=(1,)), tmp_path / "out.mp4")
        assert made.faces == (1,)
        for before, after in seen:
            np.testing.assert_array_equal(before[:, :136], after[:, :136])
            assert (before[:, 136:] != after[:, 136:]).any()

    def test_five_faces_speak_at_once(self, tmp_path: Path, speech: Path) -> None:
        mouths = [(40 + 110 * n, 96, 80 + 110 * n, 112) for n in range(5)]
        source = head_film(tmp_path / "film.mp4", (head(n, mouths, (560, 160)) for n in range(8)))
        finder = PlainFinder(lambda _: mouths)
        tool = plain(replace(OPEN, length="trim"), finder=finder)
        made = tool.sync(SyncRequest(source, speech, faces=(0, 1, 2, 3, 4)), tmp_path / "out.mp4")
        pictures = pictures_of_film(tmp_path / "out.mp4")[1]
        brightness = np.array([spots(pictures, mouth) for mouth in mouths])
        assert made.faces == (0, 1, 2, 3, 4)
        assert np.ptp(brightness, axis=0).max() < 0.2 and np.ptp(brightness, axis=1).min() > 0.5

    @pytest.mark.parametrize(
        ("chosen", "said"),
        [
            ({"faces": (7,)}, "There is no face 7 in film.mp4; choose from 0, 1"),
            ({"faces": ()}, "No face is chosen"),
            ({"speakers": {4: Path("speech.wav")}}, "There is no face 4"),
            ({"speech": None}, "nothing to be said"),
            ({"speech": None, "faces": (1,), "speakers": {0: Path("speech.wav")}}, "Face 1 has nothing to say"),
            ({"seconds": 0.0}, "The test lasts 0.0 s"),
            ({"seconds": float("nan")}, "The test lasts nan s"),
        ],
    )
    def test_what_cannot_be_chosen_is_refused(
        self, tmp_path: Path, speech: Path, chosen: dict[str, Any], said: str
    ) -> None:
        source, finder = self.two(tmp_path / "film.mp4"), PlainFinder(lambda _: (LEFT, RIGHT))
        with pytest.raises(ParameterError, match=said):
            request = SyncRequest(**{"face": source, "speech": speech, **chosen})
            plain(finder=finder).sync(request, tmp_path / "out.mp4")
        assert not (tmp_path / "out.mp4").exists()


class TestCovered:
    def test_a_mouth_behind_a_hand_stays_as_it_is_and_is_listed(self, tmp_path: Path, speech: Path, seen: Seen) -> None:
        source = head_film(tmp_path / "film.mp4", (covering(n) for n in range(COUNT)))
        network = PlainNetwork()
        made = plain(network=network).sync(SyncRequest(source, speech), tmp_path / "out.mp4")
        assert made.frames_covered == tuple(HAND) and made.frames_without_face == ()
        assert made.frames_changed == COUNT - len(HAND)
        for n, (before, after) in enumerate(seen):
            assert (after is before) == (n in HAND)

    def test_a_microphone_before_one_of_two_mouths_leaves_the_other_free(self, tmp_path: Path, speech: Path) -> None:
        def picture(number: int) -> Picture:
            shown = head(number, (LEFT, RIGHT), (272, 160))
            if number >= 24:
                cv2.circle(shown, (216, 112), 24, (30, 30, 34), -1)
            return shown

        source = head_film(tmp_path / "film.mp4", map(picture, range(COUNT)))
        finder = PlainFinder(lambda _: (LEFT, RIGHT))
        made = plain(finder=finder).sync(SyncRequest(source, speech, faces=(0, 1)), tmp_path / "out.mp4")
        assert made.frames_covered == tuple(range(24, 30)) and made.frames_changed == COUNT

    def test_mouths_that_speak_and_turn_are_not_taken_as_covered(
        self, tmp_path: Path, speech: Path, portrait: Picture
    ) -> None:
        """The portrait, animated: its head turns and its mouth opens wide and shuts."""
        with FaceLandmarker() as landmarker:
            (mesh,) = landmarker.landmarks(portrait)
        animator, pictures = FaceAnimator(portrait, mesh, MouthLook()), []
        for n in range(24):
            phase = 2 * np.pi * n / 24
            pose = HeadPose(yaw_deg=10 * np.sin(phase), pitch_deg=5 * np.cos(phase))
            articulation = np.array([0.5 + 0.5 * np.sin(3 * phase), 0.6 * np.cos(2 * phase), 0, 0])
            pictures.append(animator.frame(articulation, pose).picture[:240, 104:344])
        write_video(tmp_path / "film.mp4", pictures, Fraction(25))
        tool = LipSync(SyncConfig(), network=new_network().eval())
        made = tool.sync(
            SyncRequest(tmp_path / "film.mp4", ASSETS / "sample_en.wav", seconds=0.9), tmp_path / "out.mp4"
        )
        assert made.frames_covered == made.frames_without_face == () and made.frames_changed == made.frame_count == 23
