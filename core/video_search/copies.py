"""Edited copies of films, for training and for measuring whether a copy is found: thirteen transforms.

A copy is made from at most 40 s of a film, the middle ones of a longer film, at most 15 pictures a second and 640
pixels a side; it has no sound. The strength is drawn from the seed and is the same from the first picture to the last.
"The frame" is the picture of the copy, "shorter side" and the like are those of the picture that is changed.

- ``crop``: keeps 60 to 85 % of the width and, drawn on its own, of the height, well off the centre.
- ``pad``: adds a border of one random colour, 10 to 30 % of the side, drawn for each of the four edges.
- ``flip``: mirrored left to right.
- ``blur``: Gaussian, sigma 1 to 3 % of the shorter side.
- ``overlay``: a caption 50 to 90 % as wide as the frame, in its upper or lower quarter, and a logo in a corner,
  14 to 24 % of the shorter side, 70 to 100 % opaque.
- ``reencode``: H.264 at CRF 40; all other copies are written at CRF 26.
- ``speed``: played at 0.80 to 0.92 or at 1.08 to 1.25 of the speed.
- ``frame_rate``: 35 to 75 % of the pictures a second, those between left out; the speed stays.
- ``letterbox``: equal black bars above and below, or left and right, that take 15 to 45 % of the frame.
- ``greyscale``: the luma alone (BT.601 weights).
- ``picture_in_picture``: 40 to 60 % of its size, anywhere over the pictures of another film, which fills the frame and
  begins anew when it ends.
- ``excerpt``: 50 to 70 % of the length (20 to 28 s of a film of 40 s or more).
- ``combined``: two different ones of the others, one after the other, in random order.

The list follows the edits of the image and video copy detection challenges (DISC21, arXiv:2106.09672; VSC2022,
arXiv:2306.09489), as far as they are made of one film; the strengths are our own.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import islice
from math import floor
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from core.errors import ClipTooShortError, ParameterError
from core.media import EncodeOptions, VideoReader, write_video

Pixels = NDArray[np.uint8]
Point = tuple[int, int]

MAX_DURATION_S, MAX_FRAME_RATE, MAX_SIDE_PX = Fraction(40), Fraction(15), 640
CRF, HARD_CRF = 26, 40
_LETTERS = list("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")


@dataclass(frozen=True)
class Copy:
    """A copy that was written, and how it came about."""

    path: Path
    source: Path
    transform: str
    strengths: tuple[str, ...]
    """What was drawn, in words, one for each edit."""
    start_s: float
    end_s: float
    """The part of the source that the copy shows, in seconds of the source."""
    background: Path | None = None
    """The film behind a picture-in-picture: it is to be seen in the copy too."""


def make_copy(source: Path, transform: str, out: Path, seed: int, others: Sequence[Path] = ()) -> Copy:
    """Write an edited copy of a film as H.264, whole or not at all; the same arguments give the same pictures.

    Args:
        source: any film with at least one picture that lasts.
        transform: one of `TRANSFORMS`; what they do is said above.
        out: where to write, ``.mp4``, ``.mov`` or ``.mkv``.
        seed: chooses the strengths, 0 or more; each transform draws its own.
        others: films to choose the background of a picture-in-picture from; ``source`` among them is passed over.

    Raises:
        ParameterError: there is no such transform, or ``picture_in_picture`` has no other film to choose from.
        MediaError: the source cannot be read, or is a still picture.
    """
    if transform not in TRANSFORMS:
        raise ParameterError(f"There is no transform {transform!r}; choose one of {', '.join(TRANSFORMS)}.")
    random = np.random.default_rng([seed, TRANSFORMS.index(transform)])
    draw = _Draw(random, tuple(path for path in others if path != source))
    with VideoReader(source, size=MAX_SIDE_PX) as reader:
        film = CHANGES[transform](_film(reader), draw)
        frames = (_fitted(pixels) for pixels in film.frames)
        write_video(out, frames, film.frame_rate, options=EncodeOptions(crf=film.crf, preset="superfast"))
    start_s, end_s = float(film.start_s), float(film.end_s)
    return Copy(out, source, transform, film.strengths, start_s, end_s, film.background)


@dataclass(frozen=True)
class _Film:
    """A film on its way through the edits; its pictures are read once."""

    frames: Iterator[Pixels]
    size: Point
    """Width and height of the frames."""
    frame_rate: Fraction
    count: int
    start_s: Fraction
    end_s: Fraction
    crf: int = CRF
    strengths: tuple[str, ...] = ()
    background: Path | None = None

    def edited(self, edit: Callable[[Pixels], Any], strength: str, size: Point | None = None) -> "_Film":
        """The film with every picture changed alike."""
        frames = (edit(pixels) for pixels in self.frames)
        return replace(self, frames=frames, size=size or self.size, strengths=(*self.strengths, strength))


@dataclass(frozen=True)
class _Draw:
    """What the strengths are drawn from."""

    random: np.random.Generator
    others: tuple[Path, ...]

    def share(self, low: float, high: float) -> float:
        return float(self.random.uniform(low, high))

    def one_of(self, choices: Sequence[float]) -> float:
        return choices[int(self.random.integers(len(choices)))]

    def colour(self) -> tuple[int, int, int]:
        red, green, blue = (int(value) for value in self.random.integers(0, 256, 3))
        return red, green, blue


def _film(reader: VideoReader) -> _Film:
    """The middle of a film, at most `MAX_DURATION_S` of it."""
    info = reader.info
    if info.is_still or info.duration_s <= 0:
        raise ClipTooShortError(f"{info.path.name} is a still picture; give a film to make copies of.")
    length = min(info.duration_s, MAX_DURATION_S)
    start = (info.duration_s - length) / 2
    rate = min(info.frame_rate, MAX_FRAME_RATE)
    pictures = (frame.pixels for frame in reader.frames_at_rate(rate, start, start + length))
    first = next(pictures)
    count = max(1, -floor(-length * rate))
    return _Film(_chain(first, pictures), (first.shape[1], first.shape[0]), rate, count, start, start + length)


def _crop(film: _Film, draw: _Draw) -> _Film:
    (left, width), (top, height) = (_kept(side, draw) for side in film.size)
    strength = f"crop to {width / film.size[0]:.0%} × {height / film.size[1]:.0%}"
    return film.edited(lambda p: p[top : top + height, left : left + width], strength, (width, height))


def _kept(side: int, draw: _Draw) -> Point:
    """Where the kept part of a side begins, and how long it is: off the centre by 30 to 100 % of what there is."""
    length = max(1, round(side * draw.share(0.60, 0.85)))
    place = 0.5 + 0.5 * draw.one_of([-1, 1]) * draw.share(0.3, 1)
    return round((side - length) * place), length


def _pad(film: _Film, draw: _Draw) -> _Film:
    width, height = film.size
    left, right, top, bottom = (round(side * draw.share(0.10, 0.30)) for side in (width, width, height, height))
    colour = draw.colour()
    strength = f"pad {left / width:.0%}, {right / width:.0%}, {top / height:.0%}, {bottom / height:.0%}"
    return film.edited(
        lambda p: cv2.copyMakeBorder(p, top, bottom, left, right, cv2.BORDER_CONSTANT, value=colour),
        strength,
        (left + width + right, top + height + bottom),
    )


def _flip(film: _Film, draw: _Draw) -> _Film:
    return film.edited(lambda p: p[:, ::-1], "flip")


def _blur(film: _Film, draw: _Draw) -> _Film:
    share = draw.share(0.01, 0.03)
    sigma = share * min(film.size)
    return film.edited(lambda p: cv2.GaussianBlur(p, (0, 0), sigma), f"blur {share:.1%}")


def _overlay(film: _Film, draw: _Draw) -> _Film:
    layer, opacity = _caption_and_logo(film.size, draw)
    over, under = layer * opacity, 1 - opacity
    return film.edited(lambda p: (p * under + over + 0.5).astype(np.uint8), "caption and logo")


def _caption_and_logo(size: Point, draw: _Draw) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Colours (H, W, 3) and opacity (H, W, 1), 0 to 1, of a lettered layer."""
    width, height = size
    layer, opacity = np.zeros((height, width, 3), np.uint8), np.zeros((height, width), np.uint8)
    side = max(2, round(min(size) * draw.share(0.14, 0.24)))
    x, y = (round(draw.one_of([0.04, 0.96]) * (length - side)) for length in size)
    alpha = round(255 * draw.share(0.7, 1.0))
    cv2.rectangle(layer, (x, y), (x + side, y + side), draw.colour(), cv2.FILLED)
    cv2.circle(layer, (x + side // 2, y + side // 2), side // 3, draw.colour(), cv2.FILLED)
    cv2.rectangle(opacity, (x, y), (x + side, y + side), alpha, cv2.FILLED)
    text = " ".join("".join(draw.random.choice(_LETTERS, 6)) for _ in range(3))
    (text_width, text_height), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_DUPLEX, 1.0, 1)
    scale = draw.share(0.5, 0.9) * width / text_width
    place = (
        round((width - scale * text_width) * draw.share(0.1, 0.9)),
        round(height * draw.one_of([0.06, 0.82]) + scale * text_height),
    )
    stroke = max(1, round(1.5 * scale))
    for target, outline, letters in ((layer, (0, 0, 0), (255, 255, 255)), (opacity, 255, 255)):
        cv2.putText(target, text, place, cv2.FONT_HERSHEY_DUPLEX, scale, outline, 3 * stroke, cv2.LINE_AA)
        cv2.putText(target, text, place, cv2.FONT_HERSHEY_DUPLEX, scale, letters, stroke, cv2.LINE_AA)
    return layer.astype(np.float32), opacity.astype(np.float32)[..., None] / np.float32(255)


def _reencode(film: _Film, draw: _Draw) -> _Film:
    return replace(film, crf=HARD_CRF, strengths=(*film.strengths, f"CRF {HARD_CRF}"))


def _speed(film: _Film, draw: _Draw) -> _Film:
    factor = draw.share(0.80, 0.92) if draw.random.random() < 0.5 else draw.share(1.08, 1.25)
    rate = film.frame_rate * Fraction(factor).limit_denominator(100)
    return replace(film, frame_rate=rate, strengths=(*film.strengths, f"speed {factor:.2f}"))


def _frame_rate(film: _Film, draw: _Draw) -> _Film:
    share = Fraction(draw.share(0.35, 0.75)).limit_denominator(100)
    rate = film.frame_rate * share
    wanted = {floor(number / share) for number in range(film.count)}
    frames = (pixels for number, pixels in enumerate(film.frames) if number in wanted)
    strengths = (*film.strengths, f"{float(rate):.1f} pictures a second")
    return replace(film, frames=frames, frame_rate=rate, count=-floor(-film.count * share), strengths=strengths)


def _letterbox(film: _Film, draw: _Draw) -> _Film:
    share, upright = draw.share(0.15, 0.45), bool(draw.random.random() < 0.5)
    width, height = film.size
    bar = round((height if upright else width) * share / (1 - share) / 2)
    dy, dx = (bar, 0) if upright else (0, bar)
    black = cv2.BORDER_CONSTANT
    strength = f"bars {'above and below' if upright else 'left and right'}, {share:.0%}"
    return film.edited(
        lambda p: cv2.copyMakeBorder(p, dy, dy, dx, dx, black), strength, (width + 2 * dx, height + 2 * dy)
    )


def _greyscale(film: _Film, draw: _Draw) -> _Film:
    return film.edited(lambda p: cv2.cvtColor(cv2.cvtColor(p, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB), "greyscale")


def _picture_in_picture(film: _Film, draw: _Draw) -> _Film:
    if not draw.others:
        raise ParameterError("A picture-in-picture needs another film behind it; give some in others.")
    background = draw.others[int(draw.random.integers(len(draw.others)))]
    share = draw.share(0.40, 0.60)
    width, height = (max(1, round(side * share)) for side in film.size)
    left, top = (
        round((side - inner) * draw.share(0, 1)) for side, inner in zip(film.size, (width, height), strict=True)
    )
    behind = _endless(background, film.size, film.frame_rate)

    def laid_over(pixels: Pixels) -> Pixels:
        frame = next(behind).copy()
        frame[top : top + height, left : left + width] = cv2.resize(pixels, (width, height), None, 0, 0, cv2.INTER_AREA)
        return frame

    strength = f"at {share:.0%} over {background.name}"
    return replace(film.edited(laid_over, strength), background=background)


def _endless(path: Path, size: Point, rate: Fraction) -> Iterator[Pixels]:
    """The pictures of a film, cut to fill ``size`` (width, height), over and over."""
    while True:
        with VideoReader(path, size=MAX_SIDE_PX) as reader:
            for frame in reader.frames_at_rate(rate):
                yield _filling(frame.pixels, size)


def _filling(pixels: Pixels, size: Point) -> Pixels:
    """The middle of a picture, scaled to fill ``size`` (width, height) with its proportions kept."""
    height, width = pixels.shape[:2]
    scale = max(size[0] / width, size[1] / height)
    inner_width, inner_height = min(width, round(size[0] / scale)), min(height, round(size[1] / scale))
    left, top = (width - inner_width) // 2, (height - inner_height) // 2
    return _resized(pixels[top : top + inner_height, left : left + inner_width], size)


def _excerpt(film: _Film, draw: _Draw) -> _Film:
    count = max(1, round(film.count * draw.share(0.50, 0.70)))
    begin = int(draw.random.integers(film.count - count + 1))
    duration = film.end_s - film.start_s
    start = film.start_s + duration * begin / film.count
    return replace(
        film,
        frames=islice(film.frames, begin, begin + count),
        count=count,
        start_s=start,
        end_s=start + duration * count / film.count,
        strengths=(*film.strengths, f"{count / film.count:.0%} of the length"),
    )


def _combined(film: _Film, draw: _Draw) -> _Film:
    names = [name for name in SINGLE if draw.others or name != "picture_in_picture"]
    for name in draw.random.permutation(names)[:2]:
        film = SINGLE[str(name)](film, draw)
    return film


Change = Callable[[_Film, _Draw], _Film]
SINGLE: dict[str, Change] = {
    "crop": _crop,
    "pad": _pad,
    "flip": _flip,
    "blur": _blur,
    "overlay": _overlay,
    "reencode": _reencode,
    "speed": _speed,
    "frame_rate": _frame_rate,
    "letterbox": _letterbox,
    "greyscale": _greyscale,
    "picture_in_picture": _picture_in_picture,
    "excerpt": _excerpt,
}
CHANGES: dict[str, Change] = {**SINGLE, "combined": _combined}
TRANSFORMS = tuple(CHANGES)


def _fitted(pixels: Pixels) -> Pixels:
    """The picture with its longer side at most `MAX_SIDE_PX`."""
    height, width = pixels.shape[:2]
    scale = min(1.0, MAX_SIDE_PX / max(width, height))
    return _resized(pixels, (max(1, round(width * scale)), max(1, round(height * scale))))


def _resized(pixels: Pixels, size: Point) -> Pixels:
    if (pixels.shape[1], pixels.shape[0]) == size:
        return pixels
    smaller = size[0] < pixels.shape[1]
    return cast(Pixels, cv2.resize(pixels, size, None, 0, 0, cv2.INTER_AREA if smaller else cv2.INTER_LINEAR))


def _chain(first: Pixels, rest: Iterator[Pixels]) -> Iterator[Pixels]:
    yield first
    yield from rest
