"""Backgrounds for training clips, with their words: plain colours, slopes, patterns, textures, and photographs; and the
camera, which moves over the background while it follows the subject.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from core.errors import MediaOpenError, ParameterError

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]
Colour = tuple[int, int, int]
Camera = Literal["still", "pan left", "pan right", "zoom in", "zoom out"]

COLOURS: Mapping[str, Colour] = MappingProxyType(
    {
        "white": (250, 250, 250), "black": (15, 15, 15), "grey": (128, 128, 128), "light grey": (200, 200, 200),
        "dark grey": (70, 70, 70), "red": (215, 35, 35), "dark red": (125, 15, 20), "orange": (245, 140, 25),
        "yellow": (250, 220, 40), "pale yellow": (252, 244, 180), "green": (45, 160, 60),
        "light green": (165, 225, 150),
        "dark green": (15, 85, 40), "turquoise": (50, 195, 190),
        "blue": (40, 85, 215), "light blue": (160, 205, 245),
        "dark blue": (15, 30, 110), "purple": (130, 50, 170), "lilac": (205, 170, 235), "pink": (250, 150, 185),
        "brown": (125, 80, 45), "beige": (230, 210, 175),
    }
)  # fmt: skip
_LEAST_CONTRAST = 150
_JITTER = 7
"""A named colour differs by as much, of 255, from clip to clip."""

CAMERAS: Mapping[Camera, tuple[str, ...]] = MappingProxyType(
    {
        "still": ("",),
        "pan left": ("as the camera pans left", "while the camera moves to the left"),
        "pan right": ("as the camera pans right", "while the camera moves to the right"),
        "zoom in": ("as the background zooms in", "while the background comes closer"),
        "zoom out": ("as the background zooms out", "while the background moves away"),
    }
)
"""The movements of the camera, and their phrasings."""
_PAN = 0.3
_ZOOM = 1.4
_WORLD = 1.5
"""What is drawn of a background, in pictures, so that the camera has somewhere to go."""
_FINE = 2

VARIANTS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "plain": ("",),
        "gradient": ("left to right", "top to bottom"),
        "stripes": ("vertical", "horizontal", "diagonal"),
        "checks": ("",),
        "dots": ("small", "large"),
        "noise": ("cloudy", "speckled"),
        "photograph": ("",),
    }
)
"""The kinds of backgrounds, and the variants of each."""
_PHRASES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "plain": ("on {a} {0} background", "in front of {a} {0} wall", "before plain {0}"),
        "gradient": (
            "on a background that fades from {0} to {1} from {variant}",
            "on {0} that turns {1} from {variant}",
        ),
        "stripes": ("on {variant} {0} and {1} stripes", "in front of {variant} stripes of {0} and {1}"),
        "checks": ("on {0} and {1} checks", "on a chequered background of {0} and {1}"),
        "dots": ("on {a} {0} background with {variant} {1} dots", "in front of {variant} {1} dots on {0}"),
        "noise": ("on a {variant} background of {0} and {1}", "in front of {variant} {0} and {1}"),
    }
)


@dataclass(frozen=True, eq=False)
class Photograph:
    """A photograph to crop from: its name, its pixels (H, W, 3), and what a caption says of it."""

    key: str
    picture: Pixels
    words: str = "in front of a photograph"


@dataclass(frozen=True)
class Background:
    """What is behind the subject.

    Attributes:
        kind: a key of `VARIANTS`.
        colours: names from `COLOURS`: one for a plain one, none for a photograph, otherwise two.
        variant: one of the kind's.
        photograph: for that kind only.

    Raises:
        ParameterError: the fields do not go together.
    """

    kind: str
    colours: tuple[str, ...] = ()
    variant: str = ""
    photograph: Photograph | None = None

    def __post_init__(self) -> None:
        if self.variant not in VARIANTS.get(self.kind, ()):
            raise ParameterError(f"There is no {self.variant} background {self.kind!r}; choose from {dict(VARIANTS)}.")
        wanted = {"plain": 1, "photograph": 0}.get(self.kind, 2)
        if len(self.colours) != wanted or not set(self.colours) <= set(COLOURS):
            raise ParameterError(f"{self.kind} takes {wanted} of {', '.join(COLOURS)}; {self.colours} were given.")
        if (self.photograph is not None) != (self.kind == "photograph"):
            raise ParameterError("Only the background 'photograph' has a photograph, and it needs one.")

    @property
    def key(self) -> str:
        """Names it for the division into training and held-out ones."""
        if self.photograph is not None:
            return f"photograph {self.photograph.key}"
        return " ".join((self.kind, *self.colours))

    @property
    def cameras(self) -> tuple[Camera, ...]:
        """The movements that can be seen over it."""
        if self.kind == "plain":
            return ("still",)
        if (self.kind, self.variant) in {("gradient", "top to bottom"), ("stripes", "horizontal")}:
            return ("still", "zoom in", "zoom out") if self.kind == "stripes" else ("still",)
        return ("still", "pan left", "pan right") if self.kind == "gradient" else tuple(CAMERAS)


def read_photographs(folder: Path, words: Mapping[str, str] | None = None, side_px: int = 256) -> list[Photograph]:
    """The photographs of a folder (JPEG, PNG), in the order of their names, made small.

    Args:
        folder: not searched deeper.
        words: what captions say of a file, by its name: "on a beach"; others are "in front of a photograph".
        side_px: the shorter side is reduced to this.

    Raises:
        MediaOpenError: there are none, or one cannot be read.
    """
    paths = sorted(path for path in folder.glob("*") if path.suffix.lower() in {".jpg", ".jpeg", ".png"})
    if not paths:
        raise MediaOpenError(f"{folder} holds no JPEG or PNG photographs; choose a folder that does.")
    return [_photograph(path, (words or {}).get(path.name, Photograph.words), side_px) for path in paths]


def _photograph(path: Path, words: str, side_px: int) -> Photograph:
    try:
        with Image.open(path) as opened:
            opened.draft("RGB", (2 * side_px, 2 * side_px))
            picture = np.asarray(opened.convert("RGB"), np.uint8)
    except (OSError, UnidentifiedImageError) as error:
        raise MediaOpenError(f"{path} cannot be read as a photograph; remove it from the folder.") from error
    scale = min(1.0, side_px / min(picture.shape[:2]))
    size = round(picture.shape[1] * scale), round(picture.shape[0] * scale)
    return Photograph(path.name, np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8), words)


def drawn(random: np.random.Generator, photographs: Sequence[Photograph] = (), plain_share: float = 0.3) -> Background:
    """A background by lot.

    Args:
        random: decides.
        photographs: to choose from; where there are any, a quarter of what is not plain.
        plain_share: how many have one plain colour, 0 to 1.
    """
    names = tuple(COLOURS)
    first = names[int(random.integers(len(names)))]
    if random.random() < plain_share:
        return Background("plain", (first,))
    if photographs and random.random() < 0.25:
        return Background("photograph", photograph=photographs[int(random.integers(len(photographs)))])
    kind = ("gradient", "stripes", "checks", "dots", "noise")[int(random.integers(5))]
    contrasting = _contrasting(first)
    second = contrasting[int(random.integers(len(contrasting)))]
    return Background(kind, (first, second), VARIANTS[kind][int(random.integers(len(VARIANTS[kind])))])


@cache
def _contrasting(name: str) -> tuple[str, ...]:
    mine = np.array(COLOURS[name])
    return tuple(other for other, rgb in COLOURS.items() if np.abs(mine - rgb).sum() >= _LEAST_CONTRAST)


def phrase(background: Background, random: np.random.Generator) -> str:
    """What a caption says of it: "on a light blue background"."""
    if background.photograph is not None:
        return background.photograph.words
    phrases = _PHRASES[background.kind]
    first = background.colours[0]
    chosen = phrases[int(random.integers(len(phrases)))]
    article = "an" if first[0] in "aeiou" else "a"
    return chosen.format(*background.colours, a=article, variant=background.variant)


def plates(background: Background, camera: Camera, frames: int, side_px: int, random: np.random.Generator) -> Pixels:
    """The background as the camera sees it: uint8 (frames, side_px, side_px, 3).

    Raises:
        ParameterError: that camera cannot be seen over this background.
    """
    if camera not in background.cameras:
        raise ParameterError(f"{camera} cannot be seen over {background.key}; choose one of {background.cameras}.")
    if camera == "still":
        world = _world(background, _FINE * side_px, 1.0, random)
        seen = np.asarray(cv2.resize(world, (side_px, side_px), interpolation=cv2.INTER_AREA), np.uint8)
        return np.repeat(seen[None], frames, axis=0)
    world = _world(background, round(_FINE * side_px * _WORLD), _WORLD, random)
    time = np.linspace(-0.5, 0.5, frames)
    if camera.startswith("pan"):
        sign = -1 if camera == "pan left" else 1
        return np.stack([_view(world, sign * _PAN * now, 1.0, side_px) for now in time])
    ratio = 1 / _ZOOM if camera == "zoom in" else _ZOOM
    wide = math.sqrt(_ZOOM)
    return np.stack([_view(world, 0.0, wide * ratio**now, side_px) for now in time])


def _view(world: Floats | Pixels, across: float, wide: float, side_px: int) -> Pixels:
    """What the camera sees from `across` pictures right of the middle when its view is `wide` pictures wide."""
    fine = _FINE * side_px
    middle = (world.shape[1] - 1) / 2 + across * fine
    corner = middle - wide * (fine - 1) / 2, (world.shape[0] - 1) / 2 - wide * (fine - 1) / 2
    matrix = np.array([[wide, 0, corner[0]], [0, wide, corner[1]]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    seen = cv2.warpAffine(world, matrix, (fine, fine), flags=flags, borderMode=cv2.BORDER_REFLECT)
    return np.asarray(cv2.resize(seen, (side_px, side_px), interpolation=cv2.INTER_AREA), np.uint8)


def _world(background: Background, size: int, wide: float, random: np.random.Generator) -> Pixels:
    """The whole background, uint8 (size, size, 3), `wide` pictures wide."""
    if background.photograph is not None:
        return _crop(background.photograph.picture, size, random)
    ends = np.array([COLOURS[name] for name in background.colours], np.float32)
    ends = np.clip(ends + random.uniform(-_JITTER, _JITTER, ends.shape), 0, 255).astype(np.float32)
    if len(ends) == 1:
        return np.full((size, size, 3), np.round(ends[0]), np.uint8)
    share = np.clip(_share(background, size, wide, random), 0, 1)
    return np.asarray(np.round(ends[0] + share[:, :, None] * (ends[1] - ends[0])), np.uint8)


def _crop(picture: Pixels, size: int, random: np.random.Generator) -> Pixels:
    """A square of it, 0.6 to 1 of its shorter side, perhaps mirrored."""
    shorter = min(picture.shape[:2])
    side = max(1, round(shorter * random.uniform(0.6, 1)))
    top, left = (int(random.integers(extent - side + 1)) for extent in picture.shape[:2])
    square = picture[top : top + side, left : left + side]
    way = cv2.INTER_AREA if side > size else cv2.INTER_CUBIC
    square = np.asarray(cv2.resize(square, (size, size), interpolation=way), np.uint8)
    return np.ascontiguousarray(square[:, ::-1]) if random.random() < 0.5 else square


def _share(background: Background, size: int, wide: float, random: np.random.Generator) -> Floats:
    """How much of the second colour is where, (size, size)."""
    line = (np.linspace(-0.5, 0.5, size, endpoint=False) * wide).astype(np.float32)
    if background.kind == "gradient":
        across = np.broadcast_to(line + np.float32(0.5), (size, size))
        return across if background.variant == "left to right" else across.T
    if background.kind == "noise":
        return _texture(background.variant, size, random)
    shift = random.random(2, np.float32)
    if background.kind == "dots":
        return _dots(background.variant, line, shift, size / wide)
    period = np.float32(random.uniform(0.16, 0.34))
    sharp = float(period) * size / wide
    if background.kind == "checks":
        return 0.5 + _edge(line / period + shift[0], sharp)[None] * _edge(line / period + shift[1], sharp)[:, None] * 2
    if background.variant == "diagonal":
        sign = 1 if random.random() < 0.5 else -1
        along = (line[None] + sign * line[:, None]) * np.float32(math.sqrt(0.5))
    else:
        along = np.broadcast_to(line, (size, size))
        along = along.T if background.variant == "horizontal" else along
    return 0.5 + _edge(along / period + shift[0], sharp)


def _edge(phase: Floats, sharp: float) -> Floats:
    """A square wave of period 1 between -0.5 and 0.5, its edges a pixel wide when a period is `sharp` pixels."""
    return np.clip((np.abs(phase - np.floor(phase) - 0.5) - 0.25) * np.float32(sharp), -0.5, 0.5)


def _dots(variant: str, line: Floats, shift: Floats, fine: float) -> Floats:
    """Small dots in rows and columns; large ones with every second row moved by half; a picture has `fine` pixels."""
    period = np.float32(0.14 if variant == "small" else 0.3)
    down = line / period + shift[1]
    across = line[None] / period + shift[0] + (0 if variant == "small" else 0.5) * (np.floor(down)[:, None] % 2)
    apart = np.hypot(across - np.floor(across) - 0.5, (down - np.floor(down) - 0.5)[:, None])
    return np.clip((np.float32(0.28) - apart) * period * np.float32(fine) + np.float32(0.5), 0, 1)


def _texture(variant: str, size: int, random: np.random.Generator) -> Floats:
    """Soft clouds of several sizes, or specks."""
    if variant == "speckled":
        specks = random.random((size // 4, size // 4), np.float32)
        return np.asarray(cv2.resize(specks, (size, size), interpolation=cv2.INTER_LINEAR), np.float32)
    total = np.zeros((size, size), np.float32)
    for cells, weight in ((4, 1.0), (8, 0.5), (16, 0.25)):
        field = random.random((cells, cells), np.float32) - np.float32(0.5)
        total += np.float32(weight) * cv2.resize(field, (size, size), interpolation=cv2.INTER_CUBIC)
    return np.float32(0.5) + total
