"""Videos as files: pixels and settings come back as they went in, and what is no such file says so."""

from pathlib import Path

import numpy as np
import pytest

from core.errors import MediaDamagedError, MediaOpenError, ParameterError
from core.media import EncodeOptions, write_video
from core.personal_video.film import read_frames, read_settings, write_film
from core.personal_video.pipeline import FRAME_RATE
from core.personal_video.results import VideoSettings
from tests.factories import animated_picture


@pytest.mark.parametrize("side", [32, 64])
def test_a_small_video_keeps_its_pixels_which_a_plain_film_of_it_does_not(tmp_path: Path, side: int) -> None:
    """Each has a colour of its own here, of which 4:2:0 leaves a quarter."""
    frames = np.random.default_rng(0).integers(0, 256, (3, side, side, 3), np.uint8)
    told = VideoSettings("", "d", 0, "embedded", "", frames=3, side_px=side)
    settings = write_film(tmp_path / "f.mp4", frames, FRAME_RATE, told)
    write_video(tmp_path / "plain.mp4", frames, FRAME_RATE, options=EncodeOptions(crf=8))

    def lost(name: str, how: VideoSettings) -> float:
        return float(np.abs(read_frames(tmp_path / name, how).astype(int) - frames).mean())

    assert 5 * lost("f.mp4", settings) < lost("plain.mp4", told)


def test_a_film_from_elsewhere_has_no_settings(tmp_path: Path) -> None:
    film = animated_picture(tmp_path / "film.gif")
    with pytest.raises(MediaOpenError, match=r"film\.gif holds no settings of personal video"):
        read_settings(film)


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"version": 1}', VideoSettings("p", "a", 1, "e", "w").as_json().replace('"a"', '"z"'),
     VideoSettings("p", "a", 1, "e", "w").as_json().replace('"version": 1', '"version": 2'),
     VideoSettings("p", "a", 1, "e", "w").as_json().replace('"repeated": 1', '"repeated": 0'),
     VideoSettings("p", "a", 1, "e", "w").as_json().replace('"seed": 1', '"seed": "1"')],
)  # fmt: skip
def test_settings_that_were_tampered_with_are_refused(text: str) -> None:
    with pytest.raises(ParameterError):
        VideoSettings.from_json(text)


def test_a_video_that_was_scaled_since_cannot_be_gone_on_from(tmp_path: Path) -> None:
    settings = VideoSettings("p", "d", 1, "embedded", "w", frames=2, side_px=64)
    written = write_film(tmp_path / "f.mp4", np.zeros((2, 32, 32, 3), np.uint8), FRAME_RATE, settings)
    with pytest.raises(MediaDamagedError, match=r"f\.mp4 was cut or scaled"):
        read_frames(tmp_path / "f.mp4", written)
