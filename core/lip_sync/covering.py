"""Whether a mouth is covered, by a hand, a microphone or a cup: then it stays as it is.

A mouth is told by the fine shape of its surroundings in the crop, which a head that moves and a jaw that drops change
little. What it looks like uncovered is taken from nine pictures spread over the track: those that most others in which
the head is turned alike resemble. A mouth that resembles none of them is covered. So one that is covered for most of
the time in which the head is turned like that is not found out, nor is a fist of the skin's own colour in soft focus.

Tried on 17 faces of 13 films, 2700 pictures: of two hands that came before a mouth both were found, one of them for
half of its time; of the pictures without, one was taken as covered. A hand or a microphone painted upon the crops was
found in nearly all of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import cv2
import numpy as np
from numpy.typing import NDArray

from core.lip_sync.crops import CROP_PX, crop, crop_matrix, points_in_crop
from core.lip_sync.faces import EYES, NOSE, Face, Picture

LOOKS = 9
"""Pictures of a track that say how its mouth looks."""
_SIDE, _FINE, _COARSE = 32, 0.7, 5.0
_ROWS, _COLUMNS, _SHIFT = (6, 22), (7, 25), 2
_SAME_POSE = 0.06
_PEERS = 2
_ALIKE = 0.5
_BELOW, _LEAST, _MOST = 0.25, 0.3, 0.7


@dataclass(frozen=True)
class Look:
    """A mouth and what is around it: float32 (32, 32, 3), without its coarse shades; and the nose below the eyes."""

    fine: NDArray[np.float32]
    nose: NDArray[np.float32]

    @classmethod
    def of(cls, picture: Picture, face: Face) -> Self:
        """The look of a face in a picture (H, W, 3)."""
        matrix = crop_matrix(face)
        small = cv2.resize(crop(picture, matrix), (_SIDE, _SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)
        fine = cv2.GaussianBlur(small, (0, 0), _FINE) - cv2.GaussianBlur(small, (0, 0), _COARSE)
        points = points_in_crop(face.landmarks, matrix)
        return cls(np.asarray(fine, np.float32), (points[NOSE] - points[EYES].mean(axis=0)) / CROP_PX)

    def likeness(self, other: "Look") -> float:
        """Correlation with another one, -1 to 1, at the best of the shifts by up to two of the 32 pixels."""
        (top, bottom), (left, right) = _ROWS, _COLUMNS
        around = other.fine[top - _SHIFT : bottom + _SHIFT, left - _SHIFT : right + _SHIFT]
        return float(cv2.matchTemplate(around, self.fine[top:bottom, left:right], cv2.TM_CCOEFF_NORMED).max())


class Uncovered:
    """How the mouth of one track looks when nothing is before it.

    Args:
        looks: of pictures spread over the track, one at least.
    """

    def __init__(self, looks: Sequence[Look]) -> None:
        likeness = np.array([[one.likeness(other) for other in looks] for one in looks])
        self.kept = [n for n in range(len(looks)) if _is_usual(n, looks, likeness)] or list(range(len(looks)))
        """Which of the looks are those of an uncovered mouth."""
        self._looks = [looks[n] for n in self.kept]
        among = likeness[np.ix_(self.kept, self.kept)] - 2 * np.eye(len(self.kept))
        usual = float(np.median(among.max(axis=1))) if len(self.kept) > 1 else 0.0
        self._least = float(np.clip(usual - _BELOW, _LEAST, _MOST))

    def covered(self, look: Look) -> bool:
        """Whether a mouth that looks like this is covered."""
        return all(look.likeness(kept) < self._least for kept in self._looks)


def _is_usual(number: int, looks: Sequence[Look], likeness: NDArray[np.floating]) -> bool:
    """Whether most looks in the same pose resemble one; true also where there are too few of them to tell."""
    nose = looks[number].nose
    peers = [n for n, look in enumerate(looks) if n != number and float(np.linalg.norm(look.nose - nose)) < _SAME_POSE]
    return len(peers) < _PEERS or float(np.median(likeness[number, peers])) > _ALIKE
