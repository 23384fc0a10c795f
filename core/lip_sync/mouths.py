"""From the pictures of a film, its faces and speech to new mouths, crop by crop (METHODS 4, network).

Pictures come in the order in which they will be shown. A mouth is made from the group of five around it, 40 ms apart
whatever the film's rate; the group never reaches over a cut, and what it lacks there is repeated.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from core.lip_sync.crops import Matrix, crop, crop_matrix, points_in_crop, rest_landmarks
from core.lip_sync.faces import Face, Picture
from core.lip_sync.generator import Given, MouthNetwork
from core.lip_sync.model import AROUND, GROUP, as_pictures, as_tensor
from core.lip_sync.mouth_region import Outline, mouth_blurred
from core.lip_sync.sound import COLUMNS, FRAME_RATE, silent_column
from core.memory import Batches
from core.runtime import placement

_STEP_S = 1 / FRAME_RATE
REACH_S = AROUND * _STEP_S
"""How far a group reaches before and behind its middle, in seconds."""
_TICKS = 10**9


@dataclass(frozen=True)
class Reference:
    """A picture of a face from which its looks are taken: the crop (128, 128, 3) and its 25 landmarks."""

    picture: Picture
    landmarks: NDArray[np.float32]

    @classmethod
    def of(cls, picture: Picture, face: Face, padding: float = 0.0) -> "Reference":
        """The crop of a face in a picture."""
        matrix = crop_matrix(face, padding)
        return cls(crop(picture, matrix), points_in_crop(face.mouth, matrix))


def calmest(openness: Sequence[float]) -> int:
    """Which of some pictures of a face to take its looks from, by how far the mouth is open in each: one nearly shut.

    Lips that meet can be drawn apart, while lips that are far apart do not meet again when they are drawn together. The
    most tightly shut pictures are left alone, since a mouth is pressed or covered there; of ten it is the second.
    """
    return int(np.argsort(openness, kind="stable")[len(openness) // 10])


@dataclass(frozen=True)
class Place:
    """One face in one picture of the new film, as the network needs it.

    Attributes:
        frame: the picture's number in the new film.
        time_s: the middle of the time for which it is shown.
        blurred: (128, 128, 3).
        rest: (25, 2), the landmarks of the mouth at rest, in pixels of the crop.
        window: (20, 20), of the speech.
    """

    frame: int
    time_s: Fraction
    blurred: Picture
    rest: NDArray[np.float32]
    window: NDArray[np.float32]


def place(picture: Picture, face: Face, matrix: Matrix) -> tuple[Picture, NDArray[np.float32]]:
    """The blurred crop of a face, and where its mouth rests."""
    return blurred_crop(picture, face, matrix), points_in_crop(rest_landmarks(face), matrix)


def blurred_crop(picture: Picture, face: Face, matrix: Matrix) -> Picture:
    """The crop of a face with its mouth blurred, (128, 128, 3): cropped first, so that all faces are blurred alike."""
    outline = face.outline
    down = None if outline.down is None else matrix[:, :2] @ outline.down / np.linalg.norm(matrix[:, :2] @ outline.down)
    return mouth_blurred(crop(picture, matrix), [Outline(points_in_crop(outline.points, matrix), down)])


class MouthMaker:
    """Makes the mouths of one face in one run of pictures: `add` its places in order, then `finish`.

    It holds back what the last places still need: two steps of 40 ms and a batch. Of each group the pictures are those
    nearest in time to two steps and one before and behind the one that is meant; at the ends of the run the first and
    the last are repeated.

    Args:
        network: both subnets.
        reference: the looks of the face.
        batch: mouths at once.
        openness: how wide the mouth opens, see `steered`.
    """

    def __init__(self, network: MouthNetwork, reference: Reference, batch: int = 16, openness: float = 1.0) -> None:
        self._network, self._reference, self._batch, self._openness = network, reference, batch, openness
        self._batches = Batches("lip_sync", next(network.parameters()).device, batch, most=batch)
        self._places: list[Place] = []
        self._done = 0

    @property
    def first_waiting(self) -> int | None:
        """The number of the first picture whose mouth is not made yet."""
        return self._places[self._done].frame if self._done < len(self._places) else None

    def add(self, here: Place) -> Iterator[tuple[int, Picture]]:
        """Take the next place; yield the mouths that can be made now, with the numbers of their pictures."""
        self._places.append(here)
        ready = sum(1 for p in self._places[self._done :] if p.time_s + REACH_S < here.time_s)
        if ready >= self._batch:
            yield from self._make(self._done + ready)

    def finish(self) -> Iterator[tuple[int, Picture]]:
        """Make what is left of the run, and begin a new one."""
        yield from self._make(len(self._places))
        self._places, self._done = [], 0

    def _make(self, stop: int) -> Iterator[tuple[int, Picture]]:
        waiting = range(self._done, stop)
        for start in range(0, len(waiting), self._batch):
            chosen = waiting[start : start + self._batch]
            for n, mouth in zip(chosen, self._fitting(chosen), strict=True):
                yield self._places[n].frame, mouth
        self._done = stop
        earliest = self._places[stop - 1].time_s - 2 * REACH_S if stop else Fraction(0)
        old = next((n for n, p in enumerate(self._places[: self._done]) if p.time_s >= earliest), 0)
        self._places, self._done = self._places[old:], self._done - old

    def _fitting(self, chosen: range) -> Iterator[Picture]:
        """The mouths of all chosen ones, fewer at once where memory is short."""
        return chain.from_iterable(self._batches.run(len(chosen), lambda part: self._mouths(chosen[part])))

    @torch.inference_mode()
    def _mouths(self, chosen: Sequence[int]) -> Picture:
        near = nearest_groups([place.time_s for place in self._places], chosen)
        used = sorted({m for group in near for m in group})
        row = {m: k for k, m in enumerate(used)}
        device = next(self._network.parameters()).device
        blurred = as_tensor(np.stack([self._places[m].blurred for m in used])).to(device)
        groups = blurred[torch.tensor([[row[m] for m in group] for group in near], device=device)]
        windows = torch.from_numpy(np.stack([self._places[n].window for n in chosen])).to(device)
        rest = torch.from_numpy(np.stack([self._places[n].rest for n in chosen])).to(device)
        reference = as_tensor(self._reference.picture).to(device).expand(len(rest), -1, -1, -1)
        landmarks = torch.from_numpy(self._reference.landmarks).to(device).expand(len(rest), -1, -1)
        given = Given(groups[:, GROUP // 2], reference, rest, landmarks)
        with placement().autocast():
            seen = self._network.features.see(groups)
            heard = steered(self._network, self._network.features.hearing(windows), self._openness)
            made = self._network.make(given, seen, heard)
        return as_pictures(made.picture.cpu())


def nearest_groups(times_s: Sequence[Fraction], chosen: Sequence[int]) -> list[list[int]]:
    """For each chosen one of some ascending times the five that are nearest to 80 and 40 ms before, to it, and so on.

    >>> nearest_groups([Fraction(n, 50) for n in range(9)], [0, 4])
    [[0, 0, 0, 2, 4], [0, 2, 4, 6, 8]]
    """
    exact = np.array([round(time_s * _TICKS) for time_s in times_s], np.int64)
    steps = round(_STEP_S * _TICKS) * np.arange(-AROUND, AROUND + 1)
    return [[int(np.abs(exact - (exact[n] + step)).argmin()) for step in steps] for n in chosen]


def steered(network: MouthNetwork, heard: torch.Tensor, openness: float) -> torch.Tensor:
    """What is heard (B, 256), moved towards silence for an openness below 1 and away from it for one above 1."""
    if openness == 1:
        return heard
    silence = torch.from_numpy(np.repeat(silent_column()[None, :, None], COLUMNS, axis=2)).to(heard.device)
    quiet = network.features.hearing(silence)
    return F.normalize(quiet + openness * (heard - quiet), dim=1)
