"""What is cut from pictures: patches at native resolution, where there is something to see."""

import cv2
import numpy as np
import pytest

from core.video_quality.sampling import COURSE, PATCH, SIDE, busy_places, enlarged, fragments, views, window_of

CENTRES = ((200, 330), (190, 870), (560, 410), (500, 1100))


@pytest.fixture(scope="module")
def drawn() -> np.ndarray:
    """A grey picture of 720 × 1280 with a chequered square of 60 pixels in each quarter."""
    picture = np.full((720, 1280, 3), 128, np.uint8)
    for row, column in CENTRES:
        chequers = (np.indices((60, 60)).sum(0) // 10 % 2 * 255).astype(np.uint8)
        picture[row - 30 : row + 30, column - 30 : column + 30] = chequers[:, :, None]
    return picture


def test_patches_lie_where_there_are_edges(drawn: np.ndarray) -> None:
    whole = np.asarray(cv2.resize(drawn, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.uint8)
    for (top, left), (row, column) in zip(busy_places(whole, (720, 1280)), CENTRES, strict=True):
        assert top <= row - 30 and row + 30 <= top + PATCH
        assert left <= column - 30 and column + 30 <= left + PATCH


def test_both_pictures_of_a_pair_are_cut_at_the_same_places_and_not_resampled(drawn: np.ndarray) -> None:
    noisy = np.random.default_rng(0).integers(0, 256, drawn.shape, dtype=np.uint8)
    first, second, whole = views(drawn, noisy)
    places = busy_places(whole, (720, 1280))
    np.testing.assert_array_equal(first, fragments(drawn, places))
    np.testing.assert_array_equal(second, fragments(noisy, places))
    top, left = places[3]
    np.testing.assert_array_equal(second[PATCH:, PATCH:], noisy[top : top + PATCH, left : left + PATCH])


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (224, 224), (225, 9000), (4320, 224)])
def test_pictures_of_any_size_have_their_views(size: tuple[int, int]) -> None:
    picture = np.random.default_rng(1).integers(0, 256, (*size, 3), dtype=np.uint8)
    assert views(picture, picture).shape == (3, SIDE, SIDE, 3)
    assert min(enlarged(picture).shape[:2]) >= SIDE


def test_a_picture_of_one_colour_is_cut_at_the_beginnings_of_its_cells() -> None:
    assert busy_places(np.zeros((SIDE, SIDE, 3), np.uint8), (448, 896)) == [(0, 0), (0, 448), (224, 0), (224, 448)]


def test_a_picture_shown_again_is_repeated_and_one_in_which_something_stirs_is_not() -> None:
    still = np.full((90, 160, 3), 90, np.uint8)
    stirred = still.copy()
    stirred[40:44, 60:68] = 200
    rows = window_of([still, still, stirred, stirred]).course[:, COURSE.index("repeated")]
    assert rows.tolist() == [0, 1, 0, 1]
