"""The faces of a picture, as far as lip-sync needs them: a box, and 81 of the 478 points that mediapipe finds.

The document takes 25 points of the mouth from a model of its own choice (METHODS 4, preprocessing step 3). Ours are
every other point of the outer edge of the lips, twelve of the inner one, and the chin; see `MOUTH`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from core.encoders.faces import FaceLandmarker
from core.errors import ParameterError
from core.lip_sync.mouth_region import Outline, down_by_landmarks

Picture = NDArray[np.uint8]
Points = NDArray[np.float32]
Box = NDArray[np.float32]

_EYE_CORNERS = (33, 133, 362, 263)
_NOSE = (1,)
_OVAL = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377,
    152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
)  # fmt: skip
_OUTER = (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185)
_INNER = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 415, 310, 311, 312, 13, 82, 81, 80, 191)
KEPT = _EYE_CORNERS + _NOSE + _OVAL + _OUTER + _INNER
"""Which points of mediapipe's mesh a `Face` keeps, in its order."""
EYES, NOSE, OVAL, OUTER, INNER = slice(0, 4), 4, slice(5, 41), slice(41, 61), slice(61, 81)
"""Where they are among the 81. The oval begins at the top of the forehead and goes round clockwise as the picture shows
it; either edge of the lips begins at the corner that the picture shows on the left and goes along the lower lip."""
_EVERY = (0, 2, 4, 5, 6, 8, 10, 12, 14, 15, 16, 18)
CHIN = OVAL.start + 18
MOUTH = tuple(OUTER.start + n for n in _EVERY) + tuple(INNER.start + n for n in _EVERY) + (CHIN,)
"""The 25 points of the mouth, among the 81: twelve outside, twelve inside, the chin."""
LOWER_LIP, UPPER_LIP, CORNER_LEFT, CORNER_RIGHT = (INNER.start + n for n in (5, 15, 0, 10))
_FACE_PER_MOUTH = 2.6
_CHIN_BELOW, _EYES_ABOVE, _BROW_ABOVE = 0.75, 1.35, 2.3


@dataclass(frozen=True)
class Face:
    """One face in one picture; all in pixels, x to the right and y down, and possibly outside the picture.

    Attributes:
        box: (4,), left, top, right, bottom.
        landmarks: (81, 2), see `KEPT`.
    """

    box: Box
    landmarks: Points

    @property
    def mouth(self) -> Points:
        """The 25 points of the mouth, (25, 2), see `MOUTH`."""
        return self.landmarks[list(MOUTH)]

    @property
    def width_px(self) -> float:
        """The width of the box."""
        return float(self.box[2] - self.box[0])

    @property
    def openness(self) -> float:
        """Distance of the inner edges of the lips over that of the corners of the mouth: 0 for a closed mouth."""
        opening, width = (
            float(np.linalg.norm(self.landmarks[first] - self.landmarks[second]))
            for first, second in ((UPPER_LIP, LOWER_LIP), (CORNER_LEFT, CORNER_RIGHT))
        )
        return opening / width if width > 0 else 0.0

    @property
    def outline(self) -> Outline:
        """What `core.lip_sync.mouth_region` takes: the hull of all points, and where down is.

        The oval alone leaves the lips out where a face is seen from the side.

        Raises:
            ParameterError: the eyes lie on the mouth.
        """
        hull = np.asarray(cv2.convexHull(self.landmarks).reshape(-1, 2), np.float32)
        return Outline(hull, down_by_landmarks(self.landmarks[EYES], self.landmarks[OUTER]))


class FaceFinder(FaceLandmarker):
    """Finds the faces of pictures; a context manager, for one thread.

    Args:
        most: how many to look for in a picture.

    Raises:
        WeightsError: the weights are missing or wrong.
        ParameterError: ``most`` is below 1.
    """

    def __init__(self, most: int = 8) -> None:
        super().__init__(most)

    def faces(self, picture: Picture, scale: float = 1.0) -> list[Face]:
        """The faces of a picture (H, W, 3), RGB, from left to right.

        Args:
            picture: in which faces take up at least an eighth of the longer side; smaller ones are not found.
            scale: what the points are multiplied by, where ``picture`` is a smaller copy of the one that matters.

        Raises:
            ParameterError: ``picture`` has another shape or dtype.
        """
        found = [face_of(scale * points[:, :2]) for points in self.landmarks(picture)]
        return sorted(found, key=lambda face: float(face.box[0]))


def face_of(mesh: Points) -> Face:
    """The face of a whole mesh, (468 or more, 2); its box holds all points that are kept."""
    landmarks = np.asarray(mesh[list(KEPT)], np.float32)
    return Face(np.concatenate([landmarks.min(axis=0), landmarks.max(axis=0)]), landmarks)


def drawn_face(mouth: Sequence[float]) -> Face:
    """The face around a mouth that somebody drew as a box (left, top, right, bottom), where none is detected.

    It stands upright and looks ahead: the lips are ellipses in the box, the inner edge half as high, and eyes, oval and
    chin lie where they do on an average face of that mouth's width: 2.6 mouth widths wide, the eyes 1.35 and the brow
    2.3 above the mouth, the chin 0.75 below it. Only the mouth and its surroundings may be relied on.

    Raises:
        ParameterError: the box is empty or not finite.
    """
    left, top, right, bottom = (float(side) for side in mouth)
    if not (np.isfinite([left, top, right, bottom]).all() and left < right and top < bottom):
        raise ParameterError(f"The mouth's box is {tuple(mouth)}; give left < right and top < bottom, in pixels.")
    middle, width = np.array([left + right, top + bottom]) / 2, right - left
    half = np.array([width, bottom - top]) / 2
    around = np.pi * np.arange(20) / 10  # from the left corner along the lower lip
    lips = np.stack([-np.cos(around), np.sin(around)], axis=1)
    outer, inner = middle + half * lips, middle + half * (0.9, 0.5) * lips
    turn = np.pi * np.arange(36) / 18  # from the brow clockwise
    chin, brow = max(_CHIN_BELOW * width, half[1] * 1.2), _BROW_ABOVE * width
    oval_middle = middle + np.array([0, (chin - brow) / 2])
    oval_half = np.array([_FACE_PER_MOUTH * width, chin + brow]) / 2
    oval = oval_middle + oval_half * np.stack([np.sin(turn), -np.cos(turn)], axis=1)
    eyes = middle + width * np.array([[x, -_EYES_ABOVE] for x in (-0.9, -0.35, 0.35, 0.9)])
    nose = middle - np.array([0, 0.55 * width])
    landmarks = np.concatenate([eyes, nose[None], oval, outer, inner]).astype(np.float32)
    return Face(np.concatenate([landmarks.min(axis=0), landmarks.max(axis=0)]), landmarks)
