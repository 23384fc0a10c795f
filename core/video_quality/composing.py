"""Clean films that nobody had to compress: cut-out pictures that drift over photographs, sharp or out of focus, or over
plain colours.

Films that are at hand are few, and compressed already. These are not, and they show what a network must not take for
a fault: drawn shapes without texture, wide smooth areas, backgrounds out of focus behind what is sharp, and the grain
of a sensor.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from av import VideoFrame
from numpy.typing import NDArray
from PIL import Image

from core.errors import ParameterError, check_ranges
from core.media.whole_file import written_whole
from core.runtime import Progress, silent
from core.video_quality.distortions import Pixels

Floats = NDArray[np.float32]
_SIZES = ((480, 270), (512, 288), (400, 400), (350, 350), (640, 360), (360, 480), (854, 480))
_RATES = (Fraction(15), Fraction(24), Fraction(25))
_SECONDS = Fraction(5, 2)
_GREATEST_BLUR, _GREATEST_GRAIN = 9.0, 2.5
_HELD = 0.3
"""Share of films whose camera does not move: most of the picture stands still, as if it were frozen, but not all."""


@dataclass(frozen=True)
class ComposeConfig:
    """How many films are composed, and from which draw.

    Raises:
        ParameterError: a value is out of its range.
    """

    films: int = field(default=160, metadata={"help": "films to compose, 1 to 10000"})
    seed: int = 0

    def __post_init__(self) -> None:
        check_ranges(self, ("films", 1, 10_000))


@dataclass(frozen=True)
class Drift:
    """Where something is and how fast it moves: centre and velocity (x, y) in pixels, per picture; turn in degrees."""

    centre: Floats
    velocity: Floats
    angle: float
    turn: float


def compose(
    cutouts: Sequence[Path], photographs: Sequence[Path], config: ComposeConfig, out: Path, progress: Progress = silent
) -> list[Path]:
    """Compose films of 2.5 s and write them without loss; those that are there already stay.

    Args:
        cutouts: pictures with transparency.
        photographs: backgrounds; plain colours alone when empty.
        config: how many, and the seed.
        out: folder for ``composed-0000.mkv`` and so on.
        progress: told of every film.

    Raises:
        ParameterError: there are no cut-outs.
    """
    if not cutouts:
        raise ParameterError("There are no cut-out pictures; give a folder with PNG or WebP files.")
    out.mkdir(parents=True, exist_ok=True)
    made = []
    for number in range(config.films):
        path = out / f"composed-{number:04}.mkv"
        progress(number, config.films, path.name)
        if not path.exists():
            random = np.random.default_rng([config.seed, number])
            rate = _RATES[random.integers(len(_RATES))]
            _write(path, composed(cutouts, photographs, rate, random), rate)
        made.append(path)
    return made


def composed(
    cutouts: Sequence[Path], photographs: Sequence[Path], rate: Fraction, random: np.random.Generator
) -> list[Pixels]:
    """The pictures (H, W, 3) of one film."""
    size = _SIZES[random.integers(len(_SIZES))]
    background = _background(photographs, size, random)
    pieces = [_piece(cutouts[int(random.integers(len(cutouts)))], size, random) for _ in range(random.integers(2, 8))]
    held = random.random() < _HELD
    slide = (0.0 if held else 1.0) * random.uniform(-1, 1, 2) * 20 / float(rate)
    grain = np.float32(0.0 if held or random.random() < 0.5 else random.uniform(0.3, _GREATEST_GRAIN))
    pictures = []
    for number in range(round(_SECONDS * rate)):
        matrix = np.array([[1, 0, slide[0] * number], [0, 1, slide[1] * number]])
        moved = cv2.warpAffine(background, matrix, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
        seen = np.asarray(moved, np.float32)
        for cutout, drift in pieces:
            seen = _over(seen, cutout, drift, number)
        if grain:
            seen = seen + grain * random.standard_normal(seen.shape, np.float32)
        pictures.append(np.clip(np.round(seen), 0, 255).astype(np.uint8))
    return pictures


def _background(photographs: Sequence[Path], size: tuple[int, int], random: np.random.Generator) -> Floats:
    """A photograph that fills the picture, or a slope of two colours; float32 (H, W, 3)."""
    if not photographs or random.random() < 0.35:
        ends = random.uniform(0, 255, (2, 3)).astype(np.float32)
        across, down = np.meshgrid(np.linspace(0, 1, size[0]), np.linspace(0, 1, size[1]))
        share = (across * random.random() + down * random.random()).astype(np.float32)[:, :, None]
        return ends[0] + (ends[1] - ends[0]) * np.clip(share, 0, 1)
    with Image.open(photographs[int(random.integers(len(photographs)))]) as opened:
        photograph = np.asarray(opened.convert("RGB"), np.uint8)
    height, width = photograph.shape[:2]
    factor = max(size[0] / width, size[1] / height)
    fitted = max(size[0], round(width * factor)), max(size[1], round(height * factor))
    way = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    filled = np.asarray(cv2.resize(photograph, fitted, interpolation=way)[: size[1], : size[0]], np.float32)
    least = 3.0 if factor > 0.75 else 0.0  # one that is not sharp itself is shown out of focus
    if least or random.random() < 0.5:
        return np.asarray(cv2.GaussianBlur(filled, (0, 0), random.uniform(max(least, 1.5), _GREATEST_BLUR)), np.float32)
    return filled


def _piece(path: Path, size: tuple[int, int], random: np.random.Generator) -> tuple[Floats, Drift]:
    """A cut-out (h, w, 4), its colours times its opacity, made smaller than it is, and how it drifts."""
    with Image.open(path) as opened:
        picture = np.asarray(opened.convert("RGBA"), np.float32)
    longest = max(picture.shape[:2])
    side = min(random.uniform(0.2, 0.6) * min(size), 0.8 * longest)
    fitted = tuple(max(4, round(extent * side / longest)) for extent in (picture.shape[1], picture.shape[0]))
    picture[:, :, :3] *= picture[:, :, 3:] / 255
    small = np.asarray(cv2.resize(picture, fitted, interpolation=cv2.INTER_AREA), np.float32)
    centre = (random.uniform(0.1, 0.9, 2) * size).astype(np.float32)
    velocity = random.normal(0, 1.2, 2).astype(np.float32)
    return small, Drift(centre, velocity, float(random.uniform(-30, 30)), float(random.normal(0, 0.5)))


def _over(seen: Floats, cutout: Floats, drift: Drift, number: int) -> Floats:
    height, width = cutout.shape[:2]
    angle = drift.angle + drift.turn * number
    matrix: NDArray[Any] = np.array(cv2.getRotationMatrix2D((width / 2, height / 2), angle, 1.0))
    matrix[:, 2] += drift.centre + drift.velocity * number - np.array([width, height]) / 2
    layer = cv2.warpAffine(cutout, matrix, (seen.shape[1], seen.shape[0]), flags=cv2.INTER_LINEAR)
    return np.asarray(seen * (1 - layer[:, :, 3:] / 255) + layer[:, :, :3], np.float32)


def _write(path: Path, pictures: Sequence[Pixels], rate: Fraction) -> None:
    with written_whole(path) as part, av.open(str(part), "w", format="matroska") as container:
        track = container.add_stream("ffv1", rate=rate)
        track.height, track.width = pictures[0].shape[:2]
        track.pix_fmt = "bgr0"
        for picture in pictures:
            container.mux(track.encode(VideoFrame.from_ndarray(picture, "rgb24")))
        container.mux(track.encode(None))
