"""What the networks look at in one second of a film: pieces at native resolution, the whole picture, and its course.

A window is one second. From the pair of pictures in its middle come *fragments* (after Wu et al., "FAST-VQA", ECCV
2022: patches at native resolution, one from each cell of a grid, put together to one picture of 224 × 224; the same
places in both pictures), and the first of the two squeezed to 224 × 224. Theirs are 7 × 7 patches of 32 × 32 at any
place; ours are 2 × 2 of 112 × 112, each where its cell has most edges: seams look like faults, and where nothing is
drawn nothing can be seen to be blurred. All pictures of the second are glanced at: a sparse
grid of their luma, and its profiles along both sides, give the course of brightness, of change and of the shift.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]

SIDE, PATCH, GRID = 224, 112, 2
VIEWS = 3
"""Pictures of a window: fragments, the same fragments one picture later, the whole picture."""
GLANCE_SHAPE = (36, 64)
PROFILE = 256
_PROFILE_LINES = 16
_MOST_SHIFT = 12
_DARK, _BRIGHT = 18.0, 237.0
COURSE = ("luma", "contrast", "change", "unchanged", "shift_across", "shift_down", "dark", "bright", "repeated")
"""The numbers that `course` gives for every picture."""


class Glance(NamedTuple):
    """A cheap look at one picture's luma, 0 to 255: a grid of `GLANCE_SHAPE`, and profiles of `PROFILE` numbers."""

    grid: Floats
    across: Floats
    down: Floats


@dataclass(frozen=True)
class Window:
    """One second as the networks see it.

    Attributes:
        start_s: when it begins.
        views: uint8 (`VIEWS`, `SIDE`, `SIDE`, 3), see the head of this module.
        course: float32 (pictures, len(`COURSE`)), the course of the second.
    """

    start_s: Fraction
    views: Pixels
    course: Floats


def glance(luma: NDArray[np.uint8] | NDArray[np.uint16], low: float = 0, high: float = 255) -> Glance:
    """Look at a picture's luma.

    Args:
        luma: (H, W), at least one pixel.
        low: the value of black.
        high: the value of white.
    """
    rows, columns = (_spread(size, count) for size, count in zip(luma.shape, GLANCE_SHAPE, strict=True))
    lines = _spread(luma.shape[0], _PROFILE_LINES), _spread(luma.shape[1], _PROFILE_LINES)
    across = luma[lines[0]].mean(0, dtype=np.float32)
    down = luma[:, lines[1]].mean(1, dtype=np.float32)
    scale = 255 / (high - low)
    grid = luma[np.ix_(rows, columns)].astype(np.float32)
    return Glance((grid - low) * scale, (_resampled(across) - low) * scale, (_resampled(down) - low) * scale)


def course(glances: Sequence[Glance], before: Glance | None = None) -> Floats:
    """The course of a run of pictures: see `COURSE`.

    ``luma`` and ``contrast`` are mean and deviation of the grid over 255; ``change`` is the mean absolute difference
    from the picture before over 16, and ``unchanged`` the share of the grid that differs by at most half a step;
    the shifts are those of the profiles, in hundredths of the side; ``dark`` and ``bright`` are the shares of the
    grid near black and near white; ``repeated`` is 1 where nothing at all of the grid has changed, as in a picture that
    is shown again, and 0 in a still scene in which something stirs.

    Args:
        glances: at least one.
        before: the picture before the first one; None makes the first one's differences zero, and ``unchanged`` too.
    """
    rows = []
    for now in glances:
        rows.append(_row(now, before))
        before = now
    return np.asarray(rows, np.float32)


def views(first: Pixels, second: Pixels) -> Pixels:
    """The three views of a pair of pictures (H, W, 3) of one size: uint8 (`VIEWS`, `SIDE`, `SIDE`, 3).

    Pictures with a side below `SIDE` are first enlarged to it, keeping their proportions.
    """
    first, second = enlarged(first), enlarged(second)
    whole = np.asarray(cv2.resize(first, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.uint8)
    places = busy_places(whole, (first.shape[0], first.shape[1]))
    return np.stack([fragments(first, places), fragments(second, places), whole])


def fragments(picture: Pixels, places: Sequence[tuple[int, int]]) -> Pixels:
    """The patches of a picture (H, W, 3) at some places (top, left), `GRID` to a row: uint8 (`SIDE`, `SIDE`, 3)."""
    cut = [picture[top : top + PATCH, left : left + PATCH] for top, left in places]
    return np.concatenate([np.concatenate(cut[row : row + GRID], axis=1) for row in range(0, len(cut), GRID)])


def busy_places(whole: Pixels, size: tuple[int, int]) -> list[tuple[int, int]]:
    """Where to cut the patches of `fragments`: in each cell of the grid, row by row, the place with most edges.

    Args:
        whole: uint8 (`SIDE`, `SIDE`, 3), the picture squeezed.
        size: its (height, width), at least `SIDE` each.

    Returns:
        (top, left) of each patch.
    """
    luma = np.asarray(cv2.cvtColor(whole, cv2.COLOR_RGB2GRAY), np.float32)
    edges = np.abs(np.diff(luma, axis=0, append=luma[-1:])) + np.abs(np.diff(luma, axis=1, append=luma[:, -1:]))
    sums = cv2.integral(edges)
    rows, columns = (max(1, PATCH * SIDE // side) for side in size)
    within = sums[rows:, columns:] - sums[:-rows, columns:] - sums[rows:, :-columns] + sums[:-rows, :-columns]
    cell, places = SIDE // GRID, []
    for top, left in itertools.product(range(0, SIDE, cell), repeat=2):
        starts = within[top : top + cell - rows + 1, left : left + cell - columns + 1]
        down, across = np.unravel_index(int(starts.argmax()), starts.shape)
        place = (top + int(down)) * size[0] // SIDE, (left + int(across)) * size[1] // SIDE
        places.append((min(place[0], size[0] - PATCH), min(place[1], size[1] - PATCH)))
    return places


def window_of(pictures: Sequence[Pixels], start_s: Fraction = Fraction(0)) -> Window:
    """The window that a run of pictures (H, W, 3) in memory makes."""
    glances = [glance(np.asarray(cv2.cvtColor(p, cv2.COLOR_RGB2GRAY), np.uint8)) for p in pictures]
    middle = middle_of(len(pictures))
    pair = pictures[middle], pictures[min(middle + 1, len(pictures) - 1)]
    return Window(start_s, views(*pair), course(glances))


def middle_of(count: int) -> int:
    """The index of the first picture of the pair in the middle of ``count``.

    >>> [middle_of(count) for count in (1, 2, 3, 25)]
    [0, 0, 1, 12]
    """
    return (count - 1) // 2


def _row(now: Glance, before: Glance | None) -> list[float]:
    change = unchanged = across = down = 0.0
    if before is not None:
        difference = np.abs(now.grid - before.grid)
        change, unchanged = float(difference.mean()) / 16, float((difference <= 0.5).mean())
        across, down = shift(before.across, now.across), shift(before.down, now.down)
    grid = now.grid
    shares = float((grid < _DARK).mean()), float((grid > _BRIGHT).mean())
    level = float(grid.mean()) / 255, float(grid.std()) / 255
    return [*level, change, unchanged, across, down, *shares, float(unchanged == 1)]


def shift(before: Floats, now: Floats) -> float:
    """By how many hundredths of its length a profile moved, by the least squared difference of its slopes."""
    old, new = np.diff(before), np.diff(now)
    inner = new[_MOST_SHIFT:-_MOST_SHIFT]
    moved = np.lib.stride_tricks.sliding_window_view(old, len(inner))
    errors = ((moved - inner) ** 2).mean(1)
    best = int(errors.argmin())
    if errors[best] >= 0.9 * errors[_MOST_SHIFT]:  # nothing explains the picture better than no shift
        best = _MOST_SHIFT
    offset = 0.0
    if 0 < best < len(errors) - 1:
        left, here, right = errors[best - 1 : best + 2]
        bend = left - 2 * here + right
        offset = float(0.5 * (left - right) / bend) if bend > 1e-9 else 0.0
    return 100 * (_MOST_SHIFT - best - float(np.clip(offset, -0.5, 0.5))) / len(before)


def _spread(size: int, count: int) -> NDArray[np.intp]:
    """The middles of ``count`` equal parts of ``size`` places."""
    return ((np.arange(count) + 0.5) * size / count).astype(np.intp)


def _resampled(profile: Floats) -> Floats:
    places = (np.arange(PROFILE) + 0.5) * len(profile) / PROFILE - 0.5
    if len(profile) > 2 * PROFILE:  # means of the parts, so that nothing between the places is lost
        ends = (np.arange(PROFILE + 1) * len(profile) / PROFILE).astype(int)
        return (np.add.reduceat(profile, ends[:-1]) / np.diff(ends)).astype(np.float32)
    return np.interp(places, np.arange(len(profile)), profile).astype(np.float32)


def enlarged(picture: Pixels) -> Pixels:
    """A picture (H, W, 3) with a side below `SIDE` brought up to it, its proportions kept; others as they are."""
    height, width = picture.shape[:2]
    if min(height, width) >= SIDE:
        return picture
    factor = SIDE / min(height, width)
    size = (max(SIDE, round(width * factor)), max(SIDE, round(height * factor)))
    return np.asarray(cv2.resize(_bounded(picture), size, interpolation=cv2.INTER_LINEAR), np.uint8)


def _bounded(picture: Pixels) -> Pixels:
    """A picture no longer than eight times its shorter side; the middle of a longer one."""
    height, width = picture.shape[:2]
    most = 8 * min(height, width)
    top, left = max(0, (height - most) // 2), max(0, (width - most) // 2)
    return picture[top : top + most, left : left + most]
