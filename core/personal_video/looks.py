"""A subject alone, upright in the middle of a square: what the personalised extraction network sees of it, and where
each of its points is in a clip.

Maps of points are (2, 3): ``place_in_square = map @ (x, y, 1)``, both in the range from -1 (left, top edge) to 1.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from core.errors import ParameterError
from core.personal_video.composing import sprites
from core.personal_video.subjects import Pixels, Subject, shrink

Floats = NDArray[np.float64]
FILLED = 0.9
"""Of the square by the subject's longest side."""
_SEEN = 8


def canonical(pixels: Pixels, side_px: int) -> Pixels:
    """A cut-out subject in the middle of a square, as large as it may be.

    Args:
        pixels: uint8 (H, W, 4), RGB with straight alpha, as of `core.personal_video.cutting.Cutout`.
        side_px: of the square.

    Returns:
        uint8 (side_px, side_px, 4), RGB times opacity, and opacity.

    Raises:
        ParameterError: nothing of it is visible.
    """
    left, top, right, bottom = _box(pixels[..., 3])
    size = max(right - left, bottom - top)
    middle = ((left + right) / 2, (top + bottom) / 2)
    wanted = FILLED * side_px / size
    layer = pixels.astype(np.uint16)
    layer[..., :3] = (layer[..., :3] * layer[..., 3:] + 127) // 255
    small = shrink(layer.astype(np.uint8)[None], max(1, round(max(pixels.shape[:2]) * min(1.0, wanted))))[0]
    scale = small.shape[1] / pixels.shape[1], small.shape[0] / pixels.shape[0]
    matrix = np.array([[wanted / scale[0], 0, 0], [0, wanted / scale[1], 0]])
    for axis in (0, 1):
        matrix[axis, 2] = side_px / 2 - 0.5 - matrix[axis, axis] * (middle[axis] * scale[axis] - 0.5)
    return _warped(small, matrix, side_px)


def drawn_look(
    subject: Subject, side_px: int, random: np.random.Generator, mirrored_share: float = 0.0
) -> tuple[Pixels, Floats]:
    """The subject in a square so that to copy it is not to answer: turned, pressed, lighter or darker, another frame.

    Args:
        subject: any.
        side_px: of the square.
        random: decides.
        mirrored_share: how many are mirrored, 0 to 1.

    Returns:
        The square as of `canonical`, and the map from the subject's own plane (from its anchor, in longest sides) to
        the square.
    """
    row = np.array([[0.5, 0.5, 0.45, random.uniform(-25, 25), random.uniform(-0.06, 0.06)]])
    phase = int(random.integers(len(subject.pictures)))
    left, top, right, bottom = (edge / side_px for edge in _box(sprites(subject, row, side_px, phase)[0, ..., 3]))
    enlarged = FILLED / max(right - left, bottom - top)
    row[0, :3] = (
        0.5 + (0.5 - (left + right) / 2) * enlarged,
        0.5 + (0.5 - (top + bottom) / 2) * enlarged,
        row[0, 2] * enlarged,
    )
    layer = sprites(subject, row, side_px, phase)[0]
    colours, opacity = layer[..., :3].astype(np.float32), layer[..., 3:].astype(np.float32)
    contrast, light = random.uniform(0.9, 1.1), random.uniform(-10, 10)
    colours = (colours - opacity / 2) * contrast + opacity * (0.5 + light / 255)
    layer[..., :3] = np.clip(np.round(colours), 0, opacity)
    placed = plane_maps(row)[0]
    if random.random() < mirrored_share:
        layer = np.ascontiguousarray(layer[:, ::-1])
        placed[0] *= -1
    return layer, placed


def plane_maps(path: Floats) -> Floats:
    """From a subject's own plane to pictures: (T, 2, 3) of a path (T, 5)."""
    angle, squash = np.radians(path[:, 3]), 1 + path[:, 4]
    wide, high = 2 * path[:, 2] * squash, 2 * path[:, 2] / squash
    cos, sin = np.cos(angle), np.sin(angle)
    first = np.stack([wide * cos, -high * sin, 2 * path[:, 0] - 1], axis=1)
    return np.stack([first, np.stack([wide * sin, high * cos, 2 * path[:, 1] - 1], axis=1)], axis=1)


def _box(opacity: Pixels) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of what is visible."""
    seen = opacity >= _SEEN
    rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
    if not len(rows):
        raise ParameterError("Nothing is visible in the cut-out; give a picture with opaque parts.")
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _warped(picture: Pixels, matrix: Floats, side_px: int) -> Pixels:
    return np.asarray(cv2.warpAffine(picture, matrix, (side_px, side_px), flags=cv2.INTER_LINEAR), np.uint8)
