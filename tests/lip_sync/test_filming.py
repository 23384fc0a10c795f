"""Clips from films of people who talk: what is seen and heard at the same time comes together."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from core.encoders.faces import FaceLandmarker
from core.lip_sync.animator import FaceAnimator, opening_of
from core.lip_sync.articulation import articulation
from core.lip_sync.data import SUFFIX, ClipFile
from core.lip_sync.filming import film_clips, filmed
from core.lip_sync.inner_mouth import MouthLook
from core.lip_sync.making import MakeConfig
from core.lip_sync.material import synthetic
from core.lip_sync.sound import SAMPLE_RATE, frame_windows, mfcc
from core.lip_sync.voices import VoiceConfig
from core.media import AudioClip, write_video

RATE = Fraction(30)


@pytest.fixture(scope="module")
def talking(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray, np.ndarray]:
    """A film of a portrait that says a sentence at 30 pictures a second; its openings; its sound at 16 kHz."""
    from PIL import Image

    from tests.lip_sync.conftest import ASSETS

    picture = np.ascontiguousarray(np.asarray(Image.open(ASSETS / "astronaut.jpg").convert("RGB"))[:300, 80:380])
    with FaceLandmarker() as finder:
        mesh = finder.landmarks(picture)[0]
    speech = synthetic("My mother baked a big apple pie for Papa and me.", VoiceConfig("en-us", "f2"))
    animator = FaceAnimator(picture, mesh, MouthLook())
    frames = [animator.frame(mouth) for mouth in articulation(speech.phones, 75, RATE)]
    file = tmp_path_factory.mktemp("films") / "anna.mp4"
    sound = AudioClip(speech.wave[: int(2.5 * SAMPLE_RATE), None], SAMPLE_RATE)
    write_video(file, [frame.picture for frame in frames], RATE, sound)
    return file, np.array([opening_of(frame.mesh) for frame in frames]), speech.wave


def test_a_clip_holds_the_mouths_and_the_sound_of_the_same_moments(
    talking: tuple[Path, np.ndarray, np.ndarray],
) -> None:
    file, opening, wave = talking

    (clip,) = filmed(file, MakeConfig(frames=60))

    at_25 = np.interp((np.arange(60)) / 25, np.arange(75) / 30, opening)
    assert np.corrcoef(clip.opening, at_25)[0, 1] > 0.9
    np.testing.assert_array_equal(clip.shown, clip.target)
    heard = frame_windows(mfcc(wave), 60)[:, 0, 8:12].mean(axis=1)
    assert np.corrcoef(clip.shown_windows[:, 0, 8:12].astype(float).mean(axis=1), heard)[0, 1] > 0.95


def test_films_without_a_face_long_enough_are_named_and_others_kept(
    talking: tuple[Path, np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    (tmp_path / "films" / "anna").mkdir(parents=True)
    (tmp_path / "films" / "anna" / "one.mp4").write_bytes(talking[0].read_bytes())
    grey = np.full((64, 64, 3), 90, np.uint8)
    write_video(
        tmp_path / "films" / "grey.mp4", [grey] * 30, Fraction(25), AudioClip(np.zeros((800, 1), np.float32), 16000)
    )

    left_out = film_clips(tmp_path / "films", MakeConfig(frames=30), tmp_path / "clips")

    assert left_out == ["grey.mp4: no face is seen for 30 pictures without a cut."]
    clips = [ClipFile(clip) for clip in sorted((tmp_path / "clips").glob(f"*{SUFFIX}"))]
    assert [(clip.path.name, clip.people.source) for clip in clips] == [
        (f"anna_one~001{SUFFIX}", "anna"),
        (f"anna_one~002{SUFFIX}", "anna"),
    ]
