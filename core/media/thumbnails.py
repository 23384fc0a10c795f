"""Small pictures of a film: one that stands for it, and a sheet of many."""

import io
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core.errors import ParameterError
from core.media.limits import DEFAULT_LIMITS, MediaLimits
from core.media.timebase import Seconds
from core.media.video import VideoReader

_LOOK_AT = tuple(Fraction(n, 10) for n in (1, 3, 5, 7))
_JPEG_QUALITY = 85


def thumbnail(
    path: str | Path,
    max_side_px: int = 320,
    at_s: Seconds | None = None,
    limits: MediaLimits = DEFAULT_LIMITS,
) -> bytes:
    """A JPEG of the picture shown at ``at_s``; by default of the one that shows most.

    By default four pictures, at 10, 30, 50 and 70 % of the film, are looked at, and the one with the widest spread
    of brightness (standard deviation) is taken, which passes over black and white ones.

    Raises:
        MediaError: the file cannot be read.
        ParameterError: ``max_side_px`` is not positive.
    """
    with VideoReader(path, max_side_px, limits=limits) as reader:
        times = [at_s] if at_s is not None else [share * reader.info.duration_s for share in _LOOK_AT]
        pixels = max((frame.pixels for frame in reader.frames_at(times)), key=_spread)
    return jpeg(pixels)


def jpeg(pixels: NDArray[np.uint8], max_side_px: int | None = None) -> bytes:
    """A JPEG of a picture, uint8 (H, W, 3), its longer side at most ``max_side_px``."""
    side = max(pixels.shape[:2])
    if max_side_px is not None and side > max_side_px:
        height, width = (max(1, round(length * max_side_px / side)) for length in pixels.shape[:2])
        pixels = np.asarray(cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=_JPEG_QUALITY)
    return buffer.getvalue()


def contact_sheet(
    path: str | Path,
    columns: int = 4,
    rows: int = 3,
    tile_side_px: int = 240,
    limits: MediaLimits = DEFAULT_LIMITS,
) -> NDArray[np.uint8]:
    """Pictures from the middle of ``columns * rows`` equal parts of the film, row by row.

    Returns:
        uint8 (rows * height, columns * width, 3), the tiles' longer side at most ``tile_side_px``.

    Raises:
        MediaError: the file cannot be read.
        ParameterError: a number is not positive.
    """
    if columns < 1 or rows < 1:
        raise ParameterError(f"The sheet has {columns} × {rows} pictures; give numbers above zero.")
    count = columns * rows
    with VideoReader(path, tile_side_px, limits=limits) as reader:
        times = [Fraction(2 * n + 1, 2 * count) * reader.info.duration_s for n in range(count)]
        tiles = [frame.pixels for frame in reader.frames_at(times)]
    return np.concatenate([_row(tiles[n : n + columns]) for n in range(0, count, columns)])


def _row(tiles: Iterable[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    return np.concatenate(list(tiles), axis=1)


def _spread(pixels: NDArray[np.uint8]) -> float:
    return float(pixels.mean(axis=2).std())
