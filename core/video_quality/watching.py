"""From a film to the windows that the networks look at: every whole second, or evenly spread ones of a long film.

A second is read in one go and never held: each picture is glanced at as it comes out of the decoder, on the decoder's
own plane of brightness, and only the two pictures in the middle are converted to RGB.
"""

from collections.abc import Iterable, Iterator
from fractions import Fraction
from math import floor
from pathlib import Path
from typing import NamedTuple

from core.media import LazyFrame, MediaInfo, VideoReader
from core.runtime import Progress, silent
from core.video_quality.config import QualityConfig
from core.video_quality.sampling import Glance, Pixels, Window, course, glance, views

Size = tuple[int, int]
SCREEN_ROWS = 1080
"""Larger pictures are scaled down to this many rows, as on a common screen."""
_LONGEST_SIDE = 8192


class Look(NamedTuple):
    """One second: what the networks see of it, and the picture in its middle, uint8 (H, W, 3), as shown."""

    window: Window
    picture: Pixels


def watch(path: Path, config: QualityConfig, progress: Progress = silent) -> Iterator[Window]:
    """The windows of a film, in order: see `looks`.

    Raises:
        MediaError: the file cannot be read.
        CancelledError: ``progress`` says so.
    """
    with VideoReader(path, limits=config.limits) as reader:
        yield from (look.window for look in looks(reader, config, progress))


def every_picture(path: Path, config: QualityConfig, progress: Progress = silent) -> Iterator[Window]:
    """Every picture of the seconds that `watch` looks at, as a window of its own; its course is that of one picture.

    Raises:
        MediaError: the film cannot be read.
        CancelledError: ``progress`` says so.
    """
    with VideoReader(path, limits=config.limits) as reader:
        info = reader.info
        starts, size = wanted_seconds(info, config.max_seconds), shown_size(info, config.display_height)
        for index, (start_s, frames) in enumerate(zip(starts, reader.spans(starts), strict=True)):
            progress(index, len(starts), info.path.name)
            for frame in frames:
                picture = frame.pixels(size)
                yield Window(Fraction(start_s), views(picture, picture), course([glance(*frame.luma())]))


def looks(reader: VideoReader, config: QualityConfig, progress: Progress = silent) -> Iterator[Look]:
    """Look at every whole second of a film, at evenly spread ones of a film of more than ``max_seconds``.

    A film shorter than a second, and a still picture, is one window. The course of a window begins with the
    difference from the last picture of the window before, where that is the second before.

    Raises:
        MediaError: the film cannot be read on.
        CancelledError: ``progress`` says so.
    """
    info = reader.info
    starts, size = wanted_seconds(info, config.max_seconds), shown_size(info, config.display_height)
    glances: list[Glance] = []
    for index, (start_s, frames) in enumerate(zip(starts, reader.spans(starts), strict=True)):
        progress(index, len(starts), info.path.name)
        before = glances[-1] if index > 0 and starts[index - 1] == start_s - 1 else None
        glances, pair = _second(frames, info, size)
        yield Look(Window(Fraction(start_s), views(*pair), course(glances, before)), pair[0])
    progress(len(starts), len(starts), info.path.name)


def wanted_seconds(info: MediaInfo, most: int) -> list[int]:
    """The beginnings of all whole seconds of a film; of a film with more than ``most``, those in the middles of
    ``most`` equal parts.
    """
    count = max(1, floor(info.nominal(info.duration_s)))
    return list(range(count)) if count <= most else [(2 * part + 1) * count // (2 * most) for part in range(most)]


def shown_size(info: MediaInfo, display_height: int) -> Size | None:
    """(width, height) at which a film is looked at, or None for its own size.

    The rows are those of the shorter side, so that a film held upright is shown no smaller. The longer side is not
    enlarged beyond 8192.
    """
    short, long = sorted((info.width, info.height))
    factor = Fraction(display_height or min(short, SCREEN_ROWS), short)
    factor = min(factor, max(Fraction(1), Fraction(_LONGEST_SIDE, long)))
    if factor == 1:
        return None
    return max(1, round(info.width * factor)), max(1, round(info.height * factor))


def middle_s(start_s: float, duration_s: float) -> float:
    """When the middle of the second that begins at ``start_s`` is shown; of a shorter film, its own."""
    return start_s + min(1.0, duration_s) / 2


def _second(
    frames: Iterable[LazyFrame], info: MediaInfo, size: Size | None
) -> tuple[list[Glance], tuple[Pixels, Pixels]]:
    """What all frames of a second look like at a glance, and the pair in its middle.

    The first of the pair is the last one within half a second of the second's first, the other one comes after it;
    in an even film they are the ones of `core.video_quality.sampling.middle_of`. One frame alone is its own pair.
    """
    half = Fraction(1, 2) if info.is_still else min(Fraction(1), info.nominal(info.duration_s)) / 2
    glances: list[Glance] = []
    pair: tuple[Pixels, Pixels] | None = None
    begin: Fraction | None = None
    for frame in frames:
        luma, time_s = frame.luma(), info.nominal(frame.time_s)
        glances.append(glance(*luma))
        begin = time_s if begin is None else begin
        if time_s == begin or time_s - begin < half:
            middle = frame
        elif pair is None:
            pair = middle.pixels(size), frame.pixels(size)
    if pair is None:
        last = middle.pixels(size)
        pair = last, last
    return glances, pair
