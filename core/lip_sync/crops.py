"""Mouth crops: the upright square from the nose to below the chin on which the network works, steady while one speaks.

Where the crop lies follows from points that do not move with the jaw: the corners of the eyes and the upper part of the
face's oval, laid upon an average face's by the best similarity, and the nose, which tells where the head is turned.
Points and lips were measured in 1188 pictures, photographs and 18 films of people who speak.

Everywhere: pictures are uint8 (H, W, 3), RGB; points are (x, y) in pixels, y down; a matrix (2, 3) takes points of the
picture to those of the crop.
"""

from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from core.errors import ParameterError
from core.lip_sync.faces import EYES, MOUTH, NOSE, OVAL, Face, Picture
from core.lip_sync.mouth_region import upright_matrix

Matrix = NDArray[np.floating]
Pixels = NDArray[np.uint8] | NDArray[np.float32]
Points = NDArray[np.float32]

CROP_PX = 128
"""Side of the crops."""
MOST_PADDING = 1.0

_BESIDE = 8
_STEADY = [
    *range(EYES.start, EYES.stop),
    *range(OVAL.start, OVAL.start + _BESIDE + 1),
    *range(OVAL.stop - _BESIDE, OVAL.stop),
]
_HALF_OVAL = (
    (0.137, -0.231), (0.253, -0.211), (0.360, -0.167), (0.431, -0.101),
    (0.474, -0.018), (0.497, 0.071), (0.504, 0.183), (0.500, 0.290),
)  # fmt: skip
_AVERAGE = np.array(
    [
        *((-0.318, 0.146), (-0.124, 0.156), (0.124, 0.156), (0.318, 0.146), (0, -0.235)),
        *_HALF_OVAL,
        *((-x, y) for x, y in reversed(_HALF_OVAL)),
    ]
)
"""The steady points of an average face that looks ahead, about their mean; its cheeks are 1 apart."""
_MIDDLE = np.array([0.0, 0.61])
_BY_NOSE = np.array([0.54, 0.43])
"""How far the middle of the crop follows the tip of the nose, as the mouth does; at rest it is a sixth below it."""
_WIDTH = 0.94
_LIP = slice(0, 24)
_LOWER, _UPPER = 15, 21  # among the 25, in the middle of the inner edge
_PAIRS = ((13, 23), (14, 22), (15, 21), (16, 20), (17, 19))
FOLLOWING = np.array(
    [
        *(0.25, 0.55, 0.73, 0.72, 0.73, 0.55, 0.25, 0.07, -0.02, -0.06, -0.02, 0.07),
        *(0.26, 0.65, 0.84, 0.86, 0.84, 0.65, 0.26, 0.05, -0.11, -0.14, -0.11, 0.05),
        0.36,
    ]
)
"""By how much of the opening each of the 25 points of the mouth moves down; the median of 13 films."""


def crop_matrix(face: Face, padding: float = 0) -> Matrix:
    """The similarity that takes the picture to the crop of a face.

    Without padding the crop shows 0.94 of the face's width: from under the middle of the nose to a quarter of a width
    below the chin of a shut mouth, and nearly from cheek to cheek. A face that is turned aside or down is measured by
    the direction that is not foreshortened.

    Args:
        face: the face; its lips, chin and lower oval do not matter.
        padding: how much more is shown on every side, as a share of the crop, -0.25 to 1.

    Raises:
        ParameterError: the padding is out of range, or all steady points fall together.
    """
    if not -0.25 <= padding <= MOST_PADDING:
        raise ParameterError(f"The padding is {padding}; choose a number from -0.25 to {MOST_PADDING}.")
    points = face.landmarks.astype(np.float64)
    steady = points[_STEADY]
    middle = steady.mean(axis=0)
    across, down = _axes(steady - middle)
    turned = (steady - middle) @ np.stack([across, down], axis=1)
    unit_px = float(np.sqrt((turned**2).sum(axis=0) / (_AVERAGE**2).sum(axis=0)).max())
    nose = np.array([across, down]) @ (points[NOSE] - middle)
    aside, below = unit_px * _MIDDLE + _BY_NOSE * nose
    width_px = unit_px * _WIDTH * (1 + 2 * padding)
    return upright_matrix(middle + aside * across + below * down, down, width_px, CROP_PX)


def crop(picture: Picture, matrix: Matrix) -> Picture:
    """What a matrix shows of a picture, edges repeated outwards: uint8 (128, 128, 3).

    A picture that is shrunk is smoothed as far as is needed against aliasing.
    """
    (left, top, right, bottom), to_window = window_of(matrix, picture.shape)
    return np.asarray(warped(picture[top:bottom, left:right], to_window, (CROP_PX, CROP_PX)), np.uint8)


def points_in_crop(points: Points, matrix: Matrix) -> Points:
    """Points (N, 2) of the picture in pixels of the crop."""
    return np.asarray(points @ matrix[:, :2].T + matrix[:, 2], np.float32)


def rest_landmarks(face: Face) -> Points:
    """The 25 points of the mouth as they would be with the lips shut, in pixels of the picture.

    Each point goes back by its share of the opening, and then the inner edges meet on their middle line. What the
    mouth says apart from its opening, such as rounded lips, is still there; the mean over a shot takes it out.

    Returns:
        (25, 2), in the order of `core.lip_sync.faces.MOUTH`.
    """
    mouth = face.landmarks[list(MOUTH)].astype(np.float64)
    shut = mouth - FOLLOWING[:, None] * (mouth[_LOWER] - mouth[_UPPER])
    for lower, upper in _PAIRS:
        shut[[lower, upper]] = (shut[lower] + shut[upper]) / 2
    return shut.astype(np.float32)


def crop_scale(matrix: Matrix) -> float:
    """Pixels of the crop for a pixel of the picture."""
    return float(np.hypot(matrix[0, 0], matrix[0, 1]))


def inverse(matrix: Matrix) -> Matrix:
    """From the crop back to the picture."""
    return np.asarray(cv2.invertAffineTransform(np.asarray(matrix, np.float64)), np.float64)


def window_of(matrix: Matrix, shape: tuple[int, ...]) -> tuple[tuple[int, int, int, int], Matrix]:
    """The part of a picture that holds its crop, (left, top, right, bottom), and the matrix from there to the crop.

    It has a margin for interpolation, and at least one pixel, which is the nearest one where the crop lies outside.
    """
    edge = np.array([[0, 0], [CROP_PX, 0], [CROP_PX, CROP_PX], [0, CROP_PX]], np.float64) - 0.5
    corners = points_in_crop(edge.astype(np.float32), inverse(matrix))
    margin = 2 + 2 / crop_scale(matrix)
    height, width = shape[:2]
    left, top = (int(v) for v in np.clip(np.floor(corners.min(axis=0) - margin), 0, (width - 1, height - 1)))
    far = np.clip(np.ceil(corners.max(axis=0) + margin), (left + 1, top + 1), (width, height))
    shifted = np.array(matrix, np.float64)
    shifted[:, 2] += matrix[:, :2] @ np.array([left, top])
    return (left, top, int(far[0]), int(far[1])), shifted


def warped(pixels: Pixels, matrix: Matrix, size: tuple[int, int], beyond: int = cv2.BORDER_REPLICATE) -> Pixels:
    """Pixels (H, W) or (H, W, C) under a similarity, as ``size`` (width, height); ``beyond`` is the kind of border.

    Enlarged pictures are interpolated bicubically. Shrunk ones are smoothed before, by a Gaussian that leaves about as
    much as a mean over each new pixel does.
    """
    shrink = 1 / crop_scale(matrix)
    kind = cv2.INTER_CUBIC
    if shrink > 1:
        sigma = 0.5 * float(np.sqrt(shrink**2 - 1))
        kind = cv2.INTER_LINEAR
        pixels = cast(Pixels, cv2.GaussianBlur(pixels, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE))
    return cast(Pixels, cv2.warpAffine(pixels, matrix, size, flags=kind, borderMode=beyond))


def _axes(steady: Matrix) -> tuple[Matrix, Matrix]:
    """Across and down, each of unit length, by the turn that fits the average face best in the least squares."""
    along = float((steady * _AVERAGE).sum())
    aside = float((_AVERAGE[:, 0] * steady[:, 1] - _AVERAGE[:, 1] * steady[:, 0]).sum())
    length = float(np.hypot(along, aside))
    if not length > 0:
        raise ParameterError("The eyes and the forehead fall together; give landmarks of a face.")
    across = np.array([along, aside]) / length
    return across, np.array([-across[1], across[0]])
