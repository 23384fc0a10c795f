"""A subject alone in a square: where each point of a clip lies in it."""

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from core.errors import ParameterError
from core.personal_video.composing import sprites
from core.personal_video.looks import FILLED, canonical, drawn_look
from core.personal_video.planning import Plan
from core.personal_video.subjects import Pixels
from tests.personal_video.made import figure

PATH = np.array([[0.4, 0.6, 0.4, 30, 0.1], [0.6, 0.5, 0.5, -100, 0.0], [0.5, 0.4, 0.3, 200, -0.2]])


def through(picture: Pixels, to_picture: NDArray[np.float64], side: int) -> NDArray[np.float32]:
    """The picture as it is seen in a frame, by OpenCV: the map in pixels instead of halves of a side."""
    scale = picture.shape[0] / side
    matrix = np.empty((2, 3))
    matrix[:, :2] = to_picture[:, :2] * scale
    middle = (side - 1) / 2
    matrix[:, 2] = (to_picture[:, 2] + 1) * picture.shape[0] / 2 - 0.5 - matrix[:, :2] @ (middle, middle)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(picture.astype(np.float32), matrix, (side, side), flags=flags), np.float32)


def bounds(opacity: NDArray[np.uint8]) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero(opacity.max(1) > 127), np.flatnonzero(opacity.max(0) > 127)
    return int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1


@pytest.mark.parametrize("mirrored", [0.0, 1.0])
def test_a_look_seen_through_its_map_is_the_subject_in_the_frame(mirrored: float) -> None:
    subject = figure(3)
    look, placed = drawn_look(subject, 64, np.random.default_rng(1), mirrored)
    plan = Plan(torch.from_numpy(PATH)[None, None], torch.from_numpy(placed)[None, None, None])
    for layer, to_look in zip(sprites(subject, PATH, 64), plan.to_squares()[0, 0, 0].numpy(), strict=True):
        seen = through(look, to_look.astype(float), 64)
        assert np.abs(seen[..., 3] - layer[..., 3]).mean() < 0.02 * layer[..., 3].mean() + 1
        inside = layer[..., 3] > 250
        assert np.abs(seen[inside] - layer[inside]).mean() < 16  # lighter or darker, and softened


def test_a_look_lies_in_the_middle_and_fills_nine_tenths() -> None:
    for seed in range(4):
        look, _ = drawn_look(figure(seed), 128, np.random.default_rng(seed))
        top, bottom, left, right = bounds(look[..., 3])
        assert abs(max(bottom - top, right - left) - FILLED * 128) <= 4
        assert abs(top + bottom - 128) <= 4 and abs(left + right - 128) <= 4


@pytest.mark.parametrize("side", [40, 64, 300])
def test_a_cut_out_lies_in_its_square_wherever_it_was_in_its_picture(side: int) -> None:
    cutout = np.zeros((90, 140, 4), np.uint8)
    cutout[20:70, 60:135] = (200, 40, 90, 255)
    square = canonical(cutout, side)
    top, bottom, left, right = bounds(square[..., 3])
    assert abs(right - left - FILLED * side) <= 2 and abs((bottom - top) / (right - left) - 50 / 75) < 0.05
    assert abs(top + bottom - side) <= 2 and abs(left + right - side) <= 2
    assert square[side // 2, side // 2].tolist() == [200, 40, 90, 255]


def test_colours_are_multiplied_by_opacity() -> None:
    cutout = np.full((60, 60, 4), (200, 100, 50, 128), np.uint8)
    assert np.abs(canonical(cutout, 60)[30, 30].astype(int) - (100, 50, 25, 128)).max() <= 1


def test_an_invisible_subject_is_refused() -> None:
    with pytest.raises(ParameterError, match="Nothing is visible"):
        canonical(np.zeros((20, 20, 4), np.uint8), 64)
