"""Clean clips to begin a ladder with: parts of films and pans over photographs, as sharp as their own compression lets
them be.
"""

import math
import zlib
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from core.errors import ClipTooShortError
from core.media import MediaInfo, VideoReader
from core.video_quality.distortions import Pixels, Scene

CLEAN_BITS, CLEAN_BITS_STILL = 0.3, 1.5
"""Bits a pixel from which on films, and photographs, show no compression of their own."""
LEAST_SIDE, MOST_SIDE = 240, 720
LEAST_PICTURES = 12
MOST_RATE, PAN_RATE = Fraction(30), Fraction(15)
_SHOWN = 0.85
"""Share of a photograph's sides that a pan shows at once."""


def clip_starts(film: Path, most: int, clip_s: float) -> list[Fraction]:
    """Where the clips of a film begin: evenly spread, at least five seconds apart, not at its very ends.

    Args:
        film: a film, or a photograph, which has one.
        most: clips.
        clip_s: length of a clip.

    Raises:
        MediaError: the film cannot be read.
    """
    with VideoReader(film) as reader:
        info = reader.info
    if info.is_still:
        return [Fraction(0)]
    room = info.duration_s - Fraction(clip_s)
    count = max(1, min(most, math.floor(room / 5)))
    return [max(Fraction(0), room * Fraction(2 * n + 1, 2 * count)) for n in range(count)]


def clean_scene(film: Path, start_s: Fraction, clip_s: float, seed: int) -> Scene:
    """The pictures of a clip at a size at which the film has `CLEAN_BITS` a pixel, with even sides.

    A photograph gives what a camera sees that moves slowly across it.

    Raises:
        ClipTooShortError: fewer than `LEAST_PICTURES` pictures, or too small once it is clean.
        MediaError: the film cannot be read.
    """
    drawn = zlib.crc32(f"{film.stem} {float(start_s):.3f} {seed}".encode())
    with VideoReader(film) as reader:
        info = reader.info
    size = _clean_size(info, film.stat().st_size)
    if info.is_still:
        with VideoReader(film) as reader:
            photograph = next(reader.frames()).pixels
        return Scene(panned(photograph, size, round(clip_s * PAN_RATE), drawn), PAN_RATE, drawn)
    rate = min(info.frame_rate, MOST_RATE)
    with VideoReader(film, size) as reader:
        end = min(info.duration_s, start_s + Fraction(clip_s))
        pictures = [frame.pixels for frame in reader.frames_at_rate(rate, start_s, end)]
    if len(pictures) < LEAST_PICTURES:
        raise ClipTooShortError(f"{film.name} has only {len(pictures)} pictures; give a longer film.")
    return Scene(pictures, rate, drawn)


def panned(photograph: Pixels, size: tuple[int, int], count: int, seed: int) -> list[Pixels]:
    """Pictures of a camera that moves straight across a photograph, and towards it or back.

    Args:
        photograph: (H, W, 3).
        size: (width, height) of the whole photograph; a picture shows 0.85 of either side, or less.
        count: of pictures.
        seed: draws where the camera goes.
    """
    random = np.random.default_rng(seed)
    small = cv2.resize(photograph, size, interpolation=cv2.INTER_AREA)
    shown = int(_SHOWN * size[0]) // 2 * 2, int(_SHOWN * size[1]) // 2 * 2
    ends = random.uniform(0, 1, (2, 2)) * (np.array(size) - np.array(shown))
    zooms, out = random.uniform(1.0, 1.06, 2), []
    for share in np.linspace(0, 1, count):
        zoom = zooms[0] + share * (zooms[1] - zooms[0])
        corner = ends[0] + share * (ends[1] - ends[0]) + (1 - 1 / zoom) * np.array(shown) / 2
        matrix = np.array([[1 / zoom, 0, corner[0]], [0, 1 / zoom, corner[1]]])
        flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
        seen = cv2.warpAffine(small, matrix, shown, flags=flags, borderMode=cv2.BORDER_REFLECT)
        out.append(np.asarray(seen, np.uint8))
    return out


def _clean_size(info: MediaInfo, size_bytes: int) -> tuple[int, int]:
    """(width, height), the shorter side between `LEAST_SIDE` and `MOST_SIDE`."""
    short = min(info.width, info.height)
    pictures = max(1, round(info.duration_s * info.frame_rate))
    bits = 8 * size_bytes / (info.width * info.height * pictures)
    factor = min(1.0, math.sqrt(bits / (CLEAN_BITS_STILL if info.is_still else CLEAN_BITS)), MOST_SIDE / short)
    least = LEAST_SIDE / _SHOWN if info.is_still else LEAST_SIDE
    factor = min(1.0, max(factor, least / short))
    width, height = (max(2, round(side * factor / 2) * 2) for side in (info.width, info.height))
    if min(width, height) < math.floor(least / 2) * 2:
        raise ClipTooShortError(f"{info.path.name} has too few pixels for clean clips; give a larger one.")
    return width, height
