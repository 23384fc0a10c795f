"""From film and speech to the new film, with a painted head, a finder and a network that are known to the last bit."""

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from core.errors import (
    MediaDamagedError,
    MediaOpenError,
    NoAudioTrackError,
    NoFaceError,
    ParameterError,
    WeightsError,
)
from core.lip_sync import LipSync, LipSyncResult, SyncConfig, SyncRequest
from core.lip_sync.crops import crop_matrix
from core.lip_sync.faces import drawn_face
from core.lip_sync.finish import mask_of
from core.lip_sync.lengths import LengthPolicy
from core.lip_sync.metrics import psnr_db
from core.lip_sync.network import new_network
from core.media import AudioClip, probe, write_audio, write_video
from core.runtime import silent
from tests.factories import animated_picture, number_of
from tests.lip_sync.conftest import ASSETS
from tests.lip_sync.stand_ins import (
    COUNT,
    HEIGHT,
    MOUTH,
    OPEN,
    WIDTH,
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
    turned_film,
    uneven_film,
)

NTSC = Fraction(1001, 1000)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A head for 30 pictures, with a soundtrack of 44.1 kHz stereo."""
    return head_film(tmp_path_factory.mktemp("film") / "film.mp4", (head(n) for n in range(COUNT)), 25, 1.2)


@pytest.fixture(scope="module")
def brief(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Half a second of it."""
    return burst_file(tmp_path_factory.mktemp("speech") / "brief.wav", 0.5)


def audio_length_s(path: Path) -> Fraction:
    """How long the sound of a film is by its container."""
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        return Fraction(stream.duration or 0) * stream.time_base  # type: ignore[operator]


def offset_frames(out: Path, frame_rate: Fraction | int) -> int:
    """By how many pictures the sound of a film is behind its spots, between -6 and 6."""
    times, pictures = pictures_of_film(out)
    ends = [*times[1:], times[-1] + 1 / Fraction(frame_rate)]
    middles = [(begin + end) / 2 for begin, end in zip(times, ends, strict=True)]
    shifts = range(-6, 7)
    likeness = [
        np.corrcoef(spots(pictures), loudness_at(out, middles, shift / float(frame_rate)))[0, 1] for shift in shifts
    ]
    assert max(likeness) > 0.8
    return shifts[int(np.argmax(likeness))]


class TestTime:
    @pytest.mark.parametrize(
        "frame_rate", [24 / NTSC, Fraction(25), 30 / NTSC, Fraction(30), Fraction(50), Fraction(60)]
    )
    def test_at_any_rate_pictures_and_their_times_stay_and_lips_meet_the_sound(
        self, tmp_path: Path, speech: Path, frame_rate: Fraction, seen: Seen
    ) -> None:
        count = round(Fraction(12, 10) * frame_rate)
        source = head_film(tmp_path / "film.mp4", (head(n) for n in range(count)), frame_rate, 1.2)
        made = plain().sync(SyncRequest(source, speech), tmp_path / "out.mp4")
        before, after = pictures_of_film(source)[0], pictures_of_film(tmp_path / "out.mp4")[0]
        assert made.frame_count == made.frames_changed == len(after) == len(before) == len(seen) == count
        assert after == before
        info = probe(tmp_path / "out.mp4")
        assert (info.width, info.height, info.frame_rate) == (WIDTH, HEIGHT, frame_rate)
        assert abs(info.duration_s - count / frame_rate) < Fraction(1, 1000)
        assert abs(audio_length_s(tmp_path / "out.mp4") - info.duration_s) < 1 / frame_rate
        assert info.audio is not None and (info.audio.sample_rate, info.audio.channels) == (44100, 2)
        assert abs(offset_frames(tmp_path / "out.mp4", frame_rate)) <= 1
        assert made.av_offset_frames is not None and abs(made.av_offset_frames) <= 1 and made.sync_confidence > 0.2

    def test_in_an_uneven_film_too(self, tmp_path: Path, speech: Path, seen: Seen) -> None:
        random = np.random.default_rng(2)
        times = [Fraction(int(t), 1000) for t in np.concatenate([[0], np.cumsum(random.integers(16, 60, 34))])]
        source = uneven_film(tmp_path / "film.mp4", times, times[-1] + Fraction(1, 25))
        made = plain().sync(SyncRequest(source, speech), tmp_path / "out.mp4")
        after, pictures = pictures_of_film(tmp_path / "out.mp4")
        assert after == pictures_of_film(source)[0] and len(seen) == made.frames_changed == 35
        assert abs(audio_length_s(tmp_path / "out.mp4") - Fraction(made.duration_s)) < Fraction(1, 25)
        middles = [(begin + end) / 2 for begin, end in pairwise([*after, after[-1] + Fraction(1, 25)])]
        likeness = [
            np.corrcoef(spots(pictures), loudness_at(tmp_path / "out.mp4", middles, 0.04 * shift))[0, 1]
            for shift in range(-4, 5)
        ]
        assert int(np.argmax(likeness)) - 4 == 0 and max(likeness) > 0.8
        assert made.av_offset_frames is not None and abs(made.av_offset_frames) <= 1

    @pytest.mark.parametrize(
        ("policy", "said_s", "numbers"),
        [
            ("loop", 0.9, [*range(10), *range(10), 0, 1, 2]),
            ("ping_pong", 0.9, [*range(10), *range(8, -1, -1), 1, 2, 3, 4]),
            ("hold", 0.9, [*range(10), *[9] * 13]),
            ("trim", 0.9, [*range(10)]),
            ("trim", 0.2, [*range(5)]),
            ("loop", 0.2, [*range(10)]),
        ],
    )
    def test_speech_longer_and_shorter_than_the_film(
        self, tmp_path: Path, policy: LengthPolicy, said_s: float, numbers: list[int]
    ) -> None:
        source = head_film(tmp_path / "film.mp4", (head(n) for n in range(10)))
        network = PlainNetwork()
        request = SyncRequest(source, burst_file(tmp_path / "speech.wav", said_s))
        made = plain(replace(OPEN, length=policy), network=network).sync(request, tmp_path / "out.mp4")
        pictures = pictures_of_film(tmp_path / "out.mp4")[1]
        assert [number_of(picture) for picture in pictures] == numbers
        assert made.frames_changed == made.frame_count == len(numbers)
        assert abs(audio_length_s(tmp_path / "out.mp4") - Fraction(made.duration_s)) < Fraction(1, 25)
        assert made.cuts == ((10, 20) if (policy, said_s) == ("loop", 0.9) else ())

    def test_a_test_of_some_seconds_is_exactly_the_beginning(self, tmp_path: Path, speech: Path, seen: Seen) -> None:
        film = head_film(tmp_path / "film.mp4", map(covering, range(COUNT)))
        plain().sync(SyncRequest(film, speech), tmp_path / "whole.mp4")
        whole = [after for _, after in seen]
        seen.clear()
        made = plain().sync(SyncRequest(film, speech, seconds=0.36), tmp_path / "test.mp4")
        assert made.frame_count == len(seen) == 9 and made.duration_s == pytest.approx(0.36)
        for (_, one), other in zip(seen, whole[:9], strict=True):
            np.testing.assert_array_equal(one, other)

    def test_the_network_sees_beyond_the_end_of_a_test(self, tmp_path: Path, film: Path, speech: Path) -> None:
        """Four pictures, which are not written; those of the last group are none that are repeated."""
        network = PlainNetwork()
        plain(network=network).sync(SyncRequest(film, speech, seconds=0.4), tmp_path / "test.mp4")
        assert len(network.groups) == 14


class TestRuns:
    def shades(self, network: PlainNetwork) -> NDArray[np.float64]:
        """How bright the skin of each picture in each group is: (N, 5)."""
        return np.array([group[:, 0, 8, 64].tolist() for group in network.groups])

    def test_groups_reach_neither_over_a_cut_nor_over_the_seam_of_a_loop(self, tmp_path: Path) -> None:
        """The skin darkens by steps, jumps at the cut, and jumps back where the film begins again."""
        shots = [head(n, shade=4 * n - 60) for n in range(12)]
        shots += [head(n, shade=60 - 4 * n, wall=(200, 30, 30)) for n in range(12, 24)]
        source = head_film(tmp_path / "film.mp4", shots)
        policies: tuple[LengthPolicy, ...] = ("loop", "ping_pong")
        for policy in policies:
            network = PlainNetwork()
            request = SyncRequest(source, burst_file(tmp_path / "speech.wav", 2.4))
            made = plain(replace(OPEN, length=policy), network=network).sync(request, tmp_path / "out.mp4")
            spread = np.ptp(self.shades(network)[:60], axis=1)
            assert spread.max() < 4 * 4 / 255 + 0.03
            assert made.cuts == ((12, 24, 36, 48) if policy == "loop" else (12, 35, 58))

    def test_groups_do_not_reach_over_the_seam_where_one_shot_begins_again(self, tmp_path: Path, speech: Path) -> None:
        source = head_film(tmp_path / "film.mp4", [head(n, shade=4 * n - 40) for n in range(12)])
        network = PlainNetwork()
        made = plain(network=network).sync(SyncRequest(source, speech), tmp_path / "out.mp4")
        assert made.cuts == (12, 24) and made.frames_changed == 29
        spread = np.ptp(self.shades(network), axis=1)
        assert spread.max() < 4 * 4 / 255 + 0.03 and np.median(spread) > 0.04

    def test_a_short_gap_without_a_face_is_bridged_and_a_long_one_passed_through(
        self, tmp_path: Path, speech: Path, seen: Seen
    ) -> None:
        source = head_film(tmp_path / "film.mp4", (head(n) for n in range(COUNT)))
        finder = PlainFinder(lambda n: () if 3 <= n < 6 or 10 <= n < 25 else (MOUTH,))
        made = plain(finder=finder).sync(SyncRequest(source, speech), tmp_path / "out.mp4")
        assert made.frames_without_face == tuple(range(10, 25)) and made.frames_changed == 15
        for n, (before, after) in enumerate(seen):
            assert (after is before) == (10 <= n < 25)

    def test_what_lies_outside_the_mask_is_bit_for_bit_the_film_before_it_is_encoded(
        self, tmp_path: Path, film: Path, speech: Path, seen: Seen
    ) -> None:
        plain().sync(SyncRequest(film, speech), tmp_path / "out.mp4")
        face = drawn_face(MOUTH)
        outside = mask_of(face, crop_matrix(face), (HEIGHT, WIDTH)) == 0
        assert 0.7 < outside.mean() < 0.97
        for before, after in seen:
            np.testing.assert_array_equal(before[outside], after[outside])
            assert (before[~outside] != after[~outside]).any()
        written = pictures_of_film(tmp_path / "out.mp4")[1]
        assert min(psnr_db(a[outside], b[outside]) for (a, _), b in zip(seen, written, strict=True)) > 38


class TestFilms:
    def made(self, source: Path, speech: Path, out: Path, **others: Any) -> LipSyncResult:
        return plain(**others).sync(SyncRequest(source, speech), out)

    def test_a_turned_phone_film_comes_out_upright(self, tmp_path: Path, brief: Path) -> None:
        lying = (np.ascontiguousarray(np.rot90(head(n, size=(160, 192)), -1)) for n in range(10))
        source = turned_film(head_film(tmp_path / "lying.mp4", lying), tmp_path / "film.mp4", 90)
        assert probe(source).rotation in (90, 270)
        mouth: Box = (60, 126, 100, 142)
        made = self.made(source, brief, tmp_path / "out.mp4", finder=PlainFinder(lambda _: (mouth,)))
        info, pictures = probe(tmp_path / "out.mp4"), pictures_of_film(tmp_path / "out.mp4")[1]
        assert (info.width, info.height, info.rotation) == (160, 192, 0)
        assert [number_of(picture) for picture in pictures[:10]] == list(range(10))
        assert made.frames_changed == made.frame_count == 13 and np.ptp(spots(pictures, mouth)) > 0.5

    def test_an_odd_size_gains_a_row_and_a_column_at_most(self, tmp_path: Path, brief: Path) -> None:
        Image.fromarray(head(3, size=(191, 159))).save(tmp_path / "odd.png")
        made = self.made(tmp_path / "odd.png", brief, tmp_path / "out.mp4")
        info = probe(tmp_path / "out.mp4")
        assert (info.width, info.height) == (192, 160) and made.frames_changed == 13

    def test_a_still_picture_speaks_at_25_a_second(self, tmp_path: Path, speech: Path) -> None:
        Image.fromarray(head(3)).save(tmp_path / "head.png")
        made = self.made(tmp_path / "head.png", speech, tmp_path / "out.mp4")
        info = probe(tmp_path / "out.mp4")
        assert (info.frame_rate, made.frame_count, made.frames_changed) == (25, 29, 29)
        assert abs(offset_frames(tmp_path / "out.mp4", 25)) <= 1 and made.av_offset_frames == 0

    @pytest.mark.parametrize("suffix", [".gif", ".webp"])
    def test_an_animation_keeps_its_delays(self, tmp_path: Path, brief: Path, suffix: str) -> None:
        source = animated_picture(tmp_path / f"film{suffix}", 6, [60, 100, 60, 120, 60, 100], (WIDTH, HEIGHT))
        made = self.made(source, brief, tmp_path / "out.mp4")
        before, after = pictures_of_film(source)[0], pictures_of_film(tmp_path / "out.mp4")[0]
        assert after[:6] == before and made.frame_count == len(after) >= 6

    def test_a_film_of_one_picture_speaks(self, tmp_path: Path, brief: Path) -> None:
        made = self.made(head_film(tmp_path / "one.mp4", [head(1)]), brief, tmp_path / "out.mp4")
        assert made.frames_changed == made.frame_count == 13

    @pytest.mark.parametrize("suffix", [".mov", ".mkv"])
    def test_the_file_says_how_it_was_made(self, tmp_path: Path, film: Path, speech: Path, suffix: str) -> None:
        out = tmp_path / f"out{suffix}"
        self.made(film, speech, out)
        with av.open(str(out)) as container:
            told = {name.lower(): value for name, value in container.metadata.items()}
        assert "Showreel lip-sync" in told["comment"]
        assert '"speech": "speech.wav"' in told["showreel"] and "mouth region" in told["showreel"]

    def test_a_film_may_be_replaced_and_may_be_what_is_said(self, tmp_path: Path, film: Path, speech: Path) -> None:
        source = tmp_path / "film.mp4"
        source.write_bytes(film.read_bytes())
        self.made(source, speech, source)
        assert np.ptp(spots(pictures_of_film(source)[1])) > 0.5
        made = self.made(film, source, tmp_path / "again.mp4")
        assert made.frames_changed == COUNT and made.av_offset_frames == 0

    def test_silence_shuts_the_mouth_for_all_of_a_film(self, tmp_path: Path, film: Path) -> None:
        write_audio(tmp_path / "silence.wav", AudioClip(np.zeros((24000, 1), np.float32), 16000))
        self.made(film, tmp_path / "silence.wav", tmp_path / "out.mp4", config=SyncConfig())
        assert spots(pictures_of_film(tmp_path / "out.mp4")[1]).max() < 0.06

    def test_a_mouth_that_somebody_drew_speaks_where_no_face_is_found(
        self, tmp_path: Path, film: Path, speech: Path
    ) -> None:
        blind = PlainFinder(lambda _: ())
        request = SyncRequest(film, speech, drawn=((4, MOUTH),))
        made = plain(finder=blind).sync(request, tmp_path / "out.mp4")
        assert made.frames_changed == COUNT and abs(offset_frames(tmp_path / "out.mp4", 25)) <= 1
        with pytest.raises(NoFaceError, match=r"No face was found in film.mp4; give one .* or draw a box"):
            plain(finder=blind).sync(SyncRequest(film, speech), tmp_path / "none.mp4")
        for drawn, said in (((0, (300.0, 10.0, 340.0, 20.0)), "lies outside film.mp4, which is 192 by 160"),
                            ((90, MOUTH), "Frame 90 is not in the film"),
                            ((0, (50.0, 50.0, 50.0, 60.0)), "give left < right")):  # fmt: skip
            with pytest.raises(ParameterError, match=said):
                plain(finder=blind).sync(SyncRequest(film, speech, drawn=(drawn,)), tmp_path / "none.mp4")
        assert not (tmp_path / "none.mp4").exists()


class TestBadInput:
    def test_what_cannot_be_read_is_said_and_nothing_is_written(
        self, tmp_path: Path, film: Path, speech: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "text.mp4").write_text("no film")
        write_audio(tmp_path / "empty.wav", AudioClip(np.zeros((0, 1), np.float32), 16000))
        head_film(tmp_path / "silent.mp4", (head(n) for n in range(3)))
        bad: Sequence[tuple[Path, Path, type[Exception]]] = [
            (tmp_path / "text.mp4", speech, MediaOpenError),
            (tmp_path / "none.mp4", speech, MediaOpenError),
            (film, tmp_path / "none.wav", MediaOpenError),
            (film, tmp_path / "empty.wav", MediaDamagedError),
            (film, tmp_path / "silent.mp4", NoAudioTrackError),
            (film, ASSETS / "astronaut.jpg", NoAudioTrackError),
        ]
        for face, said, error in bad:
            with pytest.raises(error):
                plain().sync(SyncRequest(face, said), tmp_path / "out.mp4")
        assert not (tmp_path / "out.mp4").exists()

    def test_a_place_where_no_film_can_be_written_is_refused_before_any_work(
        self, tmp_path: Path, film: Path, speech: Path
    ) -> None:
        finder = PlainFinder()
        for out, said in (
            (tmp_path / "out.gif", "'.gif' is no film's suffix"),
            (tmp_path / "no" / "out.mp4", "folder"),
        ):
            with pytest.raises(ParameterError, match=said):
                plain(finder=finder).sync(SyncRequest(film, speech), out)
        assert finder.opened == 0

    def test_missing_weights_are_told_before_any_work(
        self, tmp_path: Path, film: Path, speech: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def none() -> None:
            raise WeightsError("There are no weights; train them.")

        monkeypatch.setattr("core.lip_sync.pipeline.load_network", none)
        finder = PlainFinder()
        with pytest.raises(WeightsError):
            plain(network=None, finder=finder).sync(SyncRequest(film, speech), tmp_path / "out.mp4")
        assert finder.opened == 0


def test_two_real_faces_side_by_side_speak_with_an_untrained_network(tmp_path: Path, head: Picture, seen: Seen) -> None:
    """All of it as it comes: mediapipe finds the faces, and an untrained network paints their mouths."""
    torch.manual_seed(0)
    both = np.hstack([head, np.ascontiguousarray(head[:, ::-1])])
    write_video(tmp_path / "film.mp4", [np.roll(both, n // 2, axis=1) for n in range(12)], Fraction(25))
    tool = LipSync(network=new_network().eval(), cache=tmp_path / "cache")
    looked = tool.inspect(tmp_path / "film.mp4")
    assert [face.id for face in looked.faces] == [0, 1] and looked.frames_without_face == ()
    request = SyncRequest(tmp_path / "film.mp4", ASSETS / "sample_en.wav", faces=(0, 1), seconds=0.44)
    made = tool.sync(request, tmp_path / "out.mp4", silent)
    assert (made.frame_count, made.frames_changed, made.faces) == (11, 11, (0, 1))
    assert made.av_offset_frames is None
    for before, after in seen:
        changed = (before != after).any(axis=2)
        assert changed[:, :240].any() and changed[:, 240:].any() and not changed[:90].any()
        assert changed.mean() < 0.3
