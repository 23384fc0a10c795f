"""Clean clips: where they begin, how small they are made, and pans over photographs."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.errors import ClipTooShortError
from core.media import EncodeOptions, write_video
from core.video_quality.clean import LEAST_SIDE, clean_scene, clip_starts, panned
from core.video_quality.distortions import Scene


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory, scene: Scene) -> Path:
    path = tmp_path_factory.mktemp("films") / "clouds.mp4"
    write_video(path, [*scene.pictures, *scene.pictures[::-1]], Fraction(12), options=EncodeOptions(crf=4))
    return path


def test_starts_are_apart_and_inside_the_film(film: Path) -> None:
    starts = clip_starts(film, 9, 1)
    assert starts == [Fraction(1, 2)], "two seconds have room for one"


def test_a_film_is_made_smaller_until_its_own_compression_does_not_show(tmp_path: Path, scene: Scene) -> None:
    path = tmp_path / "poor.mp4"
    tall = [np.repeat(np.repeat(picture, 2, 0), 2, 1) for picture in scene.pictures]
    write_video(path, tall, Fraction(12), options=EncodeOptions(crf=30))
    height = clean_scene(path, Fraction(0), 1, 0).pictures[0].shape[0]
    assert 240 <= height < 576


def test_too_small_and_too_short_films_are_told(tmp_path: Path, scene: Scene) -> None:
    small, short = tmp_path / "small.mp4", tmp_path / "short.mp4"
    write_video(small, [picture[:100, :100] for picture in scene.pictures], Fraction(12))
    write_video(short, scene.pictures[:5], Fraction(12))
    for path, words in ((small, "too few pixels"), (short, "only 5 pictures")):
        with pytest.raises(ClipTooShortError, match=words):
            clean_scene(path, Fraction(0), 1, 0)


def test_a_photograph_is_panned_over_without_leaving_it(tmp_path: Path, scene: Scene) -> None:
    path = tmp_path / "photo.png"
    Image.fromarray(scene.pictures[0]).save(path)
    assert clip_starts(path, 3, 2) == [0]
    pan = clean_scene(path, Fraction(0), 2, 0)
    assert len(pan.pictures) == 30
    assert min(pan.pictures[0].shape[:2]) >= LEAST_SIDE - 1
    moved = [np.abs(a.astype(int) - b).mean() for a, b in zip(pan.pictures, pan.pictures[1:], strict=False)]
    assert min(moved) > 0


def test_a_pan_shows_what_is_there_in_straight_steps() -> None:
    ramp = np.broadcast_to(np.arange(400, dtype=np.float32)[None, :, None] / 400 * 255, (300, 400, 3)).astype(np.uint8)
    pictures = panned(ramp, (400, 300), 9, seed=3)
    assert {picture.shape for picture in pictures} == {(254, 340, 3)}
    middles = [float(picture[127, 165:175].mean()) for picture in pictures]
    steps = np.diff(middles)
    assert np.abs(steps - steps.mean()).max() < 1.5
    assert all(picture.min() >= 0 and picture.max() <= 255 for picture in pictures)
