"""What can be measured of a video from its pixels: where its subject is and what it does, how many there are, how sharp
and steady it is, and which colour lies behind.

The subject is what differs from the colour of the border, so the background must be plain.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from core.errors import ParameterError
from core.personal_video.backgrounds import COLOURS
from core.personal_video.subjects import Pixels

Floats = NDArray[np.float64]
Masks = NDArray[np.bool_]
_RING = 0.06
_LEAST_CONTRAST = 14.0
"""In CIELAB units; soft shadows stay below it, mostly."""
_CROP, _ANGLES = 28, 48
_WIDE = 2.6
"""Side of the crop that angles are read from, in square roots of the subject's area."""
_STILL_WEIGHT = 0.04
_LEAST_PIECE = 0.12
"""Of the largest piece; smaller ones are crumbs of it."""


def lab(frames: Pixels) -> NDArray[np.float32]:
    """Frames (T, H, W, 3) in CIELAB."""
    flat = (frames.reshape(-1, *frames.shape[2:]) / 255).astype(np.float32)
    return np.asarray(cv2.cvtColor(flat, cv2.COLOR_RGB2LAB), np.float32).reshape(frames.shape)


def background_of(colours: NDArray[np.float32]) -> NDArray[np.float32]:
    """The border's colour, the median over frames (T, H, W, 3): (3,)."""
    wide = max(1, round(_RING * colours.shape[1]))
    ring = np.ones(colours.shape[1:3], bool)
    ring[wide:-wide, wide:-wide] = False
    return np.asarray(np.median(colours[:, ring], axis=(0, 1)), np.float32)


def subject_masks(frames: Pixels) -> Masks:
    """Which pixels differ from the border's colour: (T, H, W)."""
    colours = lab(frames)
    return np.asarray(np.linalg.norm(colours - background_of(colours), axis=-1) > _LEAST_CONTRAST)


def measured_path(frames: Pixels) -> Floats:
    """Where the subject is in each frame: (T, 4), x, y, size and angle as of `core.personal_video.motions`.

    Size is the square root of its area; the angle is told against the first frame, by turning it until it fits, so that
    changes are as small as may be. Frames without a subject have the place of the one before.

    Raises:
        ParameterError: no frame has a subject.
    """
    masks = subject_masks(frames)
    if not masks.any():
        raise ParameterError("Nothing in this video differs from its background; nothing can be measured.")
    colours, side = lab(frames), frames.shape[1]
    path = np.full((len(frames), 4), np.nan)
    crops = np.zeros((len(frames), _CROP, _CROP, 4), np.float32)
    for number, mask in enumerate(masks):
        if not mask.any():
            continue
        down, across = np.nonzero(mask)
        size = np.sqrt(mask.sum())
        path[number, :3] = (across.mean() + 0.5) / side, (down.mean() + 0.5) / side, size / side
        layer = np.dstack([np.where(mask[..., None], colours[number] / 100, 0), mask]).astype(np.float32)
        zoom = _CROP / (_WIDE * size)
        matrix = np.array([[zoom, 0, _CROP / 2 - zoom * across.mean()], [0, zoom, _CROP / 2 - zoom * down.mean()]])
        crops[number] = cv2.warpAffine(layer, matrix, (_CROP, _CROP), flags=cv2.INTER_AREA)
    seen = np.flatnonzero(~np.isnan(path[:, 0]))
    nearest = seen[np.clip(np.searchsorted(seen, np.arange(len(frames)), side="right") - 1, 0, None)]
    path[:, :3] = path[nearest, :3]
    path[:, 3] = _angles(crops[nearest])
    return path


def _angles(crops: NDArray[np.float32]) -> Floats:
    """How far each crop (T, S, S, 4) is turned against the first, clockwise, in degrees, unwrapped: (T,)."""
    middle = ((_CROP - 1) / 2, (_CROP - 1) / 2)
    step = 360 / _ANGLES
    turned = np.stack(
        [
            cv2.warpAffine(crops[0], cv2.getRotationMatrix2D(middle, -step * n, 1.0), (_CROP, _CROP))
            for n in range(_ANGLES)
        ]
    )
    wrong = np.stack([np.abs(crop - turned).mean((1, 2, 3)) for crop in crops])
    wrong /= max(1e-9, float(np.abs(crops).mean()))
    between = (np.arange(_ANGLES)[:, None] - np.arange(_ANGLES) + _ANGLES // 2) % _ANGLES - _ANGLES // 2
    cost = np.where(np.arange(_ANGLES) == 0, 0.0, np.inf)
    before = []
    for row in wrong[1:]:
        paths = cost[None] + _STILL_WEIGHT * np.abs(between) / 6
        before.append(paths.argmin(axis=1))
        cost = paths.min(axis=1) + row
    best = [int(cost.argmin())]
    for row in reversed(before):
        best.append(int(row[best[-1]]))
    steps = np.diff(best[::-1])
    return np.concatenate([[0.0], np.cumsum((steps + _ANGLES // 2) % _ANGLES - _ANGLES // 2)]) * step


def subject_counts(frames: Pixels) -> NDArray[np.int64]:
    """How many separate things each frame shows, crumbs left out: (T,)."""
    counts = []
    for mask in subject_masks(frames):
        closed = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
        _, _, told, _ = cv2.connectedComponentsWithStats(closed, connectivity=8)
        areas = told[1:, cv2.CC_STAT_AREA]
        counts.append(int((areas >= _LEAST_PIECE * areas.max()).sum()) if len(areas) else 0)
    return np.array(counts)


def sharpness(frames: Pixels) -> float:
    """Mean absolute Laplacian of the brightness where the subject is and around it; more is sharper."""
    found = []
    for frame, mask in zip(frames, subject_masks(frames), strict=True):
        grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY).astype(np.float32)
        around = cv2.dilate(mask.astype(np.uint8), np.ones((5, 5), np.uint8)).astype(bool)
        if around.any():
            found.append(float(np.abs(cv2.Laplacian(grey, cv2.CV_32F))[around].mean()))
    return float(np.mean(found)) if found else 0.0


def flicker(frames: Pixels) -> float:
    """Mean change from frame to frame where no subject is, in levels of 255; 0 is steady."""
    wide = np.ones((7, 7), np.uint8)
    masks = np.stack([np.asarray(cv2.dilate(mask.astype(np.uint8), wide), bool) for mask in subject_masks(frames)])
    free = ~(masks[1:] | masks[:-1])
    change = np.abs(np.diff(frames.astype(np.int16), axis=0)).mean(axis=-1)
    return float(change[free].mean()) if free.any() else float(change.mean())


@dataclass(frozen=True)
class BackgroundColour:
    """The named colour nearest to what lies behind, and how far the asked one is, in CIELAB units."""

    nearest: str
    error: float


def background_colour(frames: Pixels, asked: str) -> BackgroundColour:
    """What colour lies behind.

    Args:
        frames: (T, H, W, 3).
        asked: a name of `core.personal_video.backgrounds.COLOURS`.

    Raises:
        ParameterError: there is no such colour.
    """
    if asked not in COLOURS:
        raise ParameterError(f"There is no colour {asked!r}; choose one of {', '.join(COLOURS)}.")
    seen = background_of(lab(frames))
    named = lab(np.array(list(COLOURS.values()), np.uint8)[None, :, None])[0, :, 0]
    away = np.linalg.norm(named - seen, axis=1)
    return BackgroundColour(tuple(COLOURS)[int(away.argmin())], float(away[tuple(COLOURS).index(asked)]))


def cut_subjects(frames: Pixels, side_px: int) -> Pixels:
    """The subject of every frame that has one, in the middle of a white square: (N, side_px, side_px, 3)."""
    squares = []
    for frame, mask in zip(frames, subject_masks(frames), strict=True):
        if not mask.any():
            continue
        down, across = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        box = np.s_[down[0] : down[-1] + 1, across[0] : across[-1] + 1]
        shown = np.where(mask[..., None], frame, 255).astype(np.uint8)[box]
        zoom = 0.9 * side_px / max(shown.shape[:2])
        size = max(1, round(shown.shape[1] * zoom)), max(1, round(shown.shape[0] * zoom))
        square = np.full((side_px, side_px, 3), 255, np.uint8)
        left, top = (side_px - size[0]) // 2, (side_px - size[1]) // 2
        square[top : top + size[1], left : left + size[0]] = cv2.resize(shown, size, interpolation=cv2.INTER_CUBIC)
        squares.append(square)
    return np.stack(squares) if squares else np.zeros((0, side_px, side_px, 3), np.uint8)
