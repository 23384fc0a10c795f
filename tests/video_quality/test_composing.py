"""Composed films: clean as they are written, moving, and the same from the same seed."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.errors import ParameterError
from core.media import VideoReader
from core.video_quality.composing import ComposeConfig, compose


@pytest.fixture(scope="module")
def cutouts(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A red disc and a blue ring on nothing."""
    folder, rows = tmp_path_factory.mktemp("cutouts"), np.indices((128, 128)) - 63.5
    distance = np.hypot(*rows)
    made = []
    for name, colour, shown in (("disc", (255, 0, 0), distance < 60), ("ring", (0, 0, 255), abs(distance - 45) < 12)):
        picture = np.zeros((128, 128, 4), np.uint8)
        picture[shown] = (*colour, 255)
        made.append(folder / f"{name}.png")
        Image.fromarray(picture).save(made[-1])
    return made


def pictures(path: Path) -> np.ndarray:
    with VideoReader(path) as reader:
        return np.stack([frame.pixels for frame in reader.frames()])


def test_films_move_and_are_the_same_again(cutouts: list[Path], tmp_path: Path) -> None:
    config = ComposeConfig(films=3, seed=5)
    first, again = (compose(cutouts, [], config, tmp_path / name) for name in ("first", "again"))
    assert [path.name for path in first] == [f"composed-000{n}.mkv" for n in range(3)]
    for one, other in zip(first, again, strict=True):
        shown = pictures(one)
        assert shown.shape[0] in {38, 60, 62} and min(shown.shape[1:3]) >= 270
        np.testing.assert_array_equal(shown, pictures(other))
        assert (shown[0] != shown[-1]).any()
        assert np.abs(shown[0].astype(int) - shown[1]).mean() < 20, "drifts, and does not jump"


def test_films_that_are_there_stay_and_no_cutouts_is_said(cutouts: list[Path], tmp_path: Path) -> None:
    (path,) = compose(cutouts, [], ComposeConfig(films=1), tmp_path)
    before = path.stat().st_mtime_ns
    assert compose(cutouts, [], ComposeConfig(films=1), tmp_path) == [path] and path.stat().st_mtime_ns == before
    with pytest.raises(ParameterError, match="give a folder with PNG"):
        compose([], [], ComposeConfig(), tmp_path)
