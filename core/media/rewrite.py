"""A film read picture by picture and written again with its own timing: its length, size, rate and sound stay its own.

Pictures are handed on as `core.media.VideoReader` gives them, upright and as displayed. So the new film needs no
rotation and no sample aspect ratio, and has none.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from fractions import Fraction
from math import lcm
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

import numpy as np
from av import AudioFrame, AudioResampler
from av.container import OutputContainer
from numpy.typing import NDArray

from core.errors import ClipTooShortError, ParameterError
from core.media.audio import AudioClip, Samples
from core.media.container import open_container, picture_stream
from core.media.limits import DEFAULT_LIMITS, MediaLimits
from core.media.pictures import is_picture
from core.media.probe import open_source
from core.media.source import WHITE, Picture, Source
from core.media.timebase import plausible_frame_rate
from core.media.whole_file import written_whole
from core.media.write import LAYOUTS, AudioTrack, EncodeOptions, PictureTrack, Timing, open_output

if TYPE_CHECKING:
    from core.runtime import Progress

Pixels = NDArray[np.uint8]
Change = Callable[[int, Pixels], Pixels]
"""From the number of a picture in the new film, and its pixels as displayed, to new pixels of the same size."""

_HELD_BYTES = 256 * 2**20
"""Decoded pictures that are kept while a film runs backwards."""
_BYTES_A_PIXEL = 3
_FINEST_CLOCK = 10_000_000
_COARSE_CLOCK = Fraction(1, 90_000)
_BT709, _UNNAMED = 1, (0, 2, 3)
_CENTRE, _FRONT = 2, 2


class Shown(NamedTuple):
    """One picture of a new film: which picture of the source it is, and when it appears, in seconds."""

    source: int
    time_s: Fraction


@dataclass(frozen=True)
class Timeline:
    """The pictures of a new film in order, and when the last one ends.

    Raises:
        ParameterError: there are none, their times do not ascend from zero, or a picture has a negative number.
    """

    shown: tuple[Shown, ...]
    end_s: Fraction

    def __post_init__(self) -> None:
        before = Fraction(-1)
        for source, time_s in (*self.shown, Shown(0, self.end_s)):
            if source < 0 or not before < time_s or (before < 0 and time_s != 0):
                raise ParameterError(f"Picture {source} at {time_s} s is out of order; times ascend from zero.")
            before = time_s
        if not self.shown:
            raise ParameterError("The timeline is empty; show at least one picture.")

    @property
    def time_base(self) -> Fraction:
        """The longest tick of which all times are multiples; 1/90000 s where that would be below 100 ns."""
        ticks = lcm(*(shown.time_s.denominator for shown in self.shown), self.end_s.denominator)
        return Fraction(1, ticks) if ticks <= _FINEST_CLOCK else _COARSE_CLOCK

    def until(self, end_s: Fraction) -> "Timeline":
        """The beginning, up to ``end_s``; one picture at least, and shown whole."""
        kept = tuple(shown for shown in self.shown if shown.time_s < end_s) or self.shown[:1]
        return self if len(kept) == len(self.shown) else Timeline(kept, self.shown[len(kept)].time_s)


@dataclass(frozen=True)
class Rewriting:
    """How a film is written again.

    Attributes:
        timeline: which pictures to show when; None: those of the film, at their own times.
        audio: the new soundtrack; None: silent film.
        tags: words for the file's metadata, by name: ``comment``, ``title``, or names of your own.
        options: see `EncodeOptions`.
        limits: bounds on the source.
    """

    timeline: Timeline | None = None
    audio: AudioClip | Iterable[AudioClip] | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    options: EncodeOptions = field(default_factory=EncodeOptions)
    limits: MediaLimits = DEFAULT_LIMITS


def rewrite_video(
    source: str | Path,
    out: str | Path,
    change: Change,
    how: Rewriting | None = None,
    progress: "Progress | None" = None,
) -> int:
    """Read a film, change its pictures one by one, and write them as H.264 yuv420p; whole or not at all.

    Every picture keeps its exact time in MP4 and MOV, in films of uneven rate too (Matroska holds milliseconds). What
    the source says of its primaries and transfer is said again; the matrix is BT.709. A picture of odd width or height
    is padded as `core.media.write_video` does. The sound is brought to the sample rate and the number of channels of
    the source's own soundtrack where it has one, as AAC, and ends with the picture: what is longer is cut, what is
    shorter goes on in silence. (A decoder that goes by packets and not by the container's lengths gives up to 1023
    samples of silence more.) Memory does not grow with the length of the film. Where the timeline runs backwards, the
    source is searched from keyframe to keyframe; one that cannot be searched is decoded from its start again and again.

    Args:
        source: a film, an animation or, with a timeline, a still picture.
        out: where to write; what is there is replaced at the end. It may be ``source`` itself.
        change: makes the new picture. It must not write into the pixels it is given, which are read-only.
        how: see `Rewriting`.
        progress: told of pictures done and of all.

    Returns:
        How many pictures were written.

    Raises:
        MediaError: the source cannot be read, or the file cannot be written.
        ClipTooShortError: the source has fewer pictures than the timeline shows.
        ParameterError: a still picture without a timeline, a suffix that is no film's, changed sizes, or a sound of 7
            or more than 8 channels.
        CancelledError: ``progress`` says so.
    """
    how = how or Rewriting()
    with closing(open_source(source, how.limits)) as film, written_whole(out) as part:
        shape = _shape_of(film, how)
        with open_output(part, shape.time_base, how.tags) as container:
            return _written(film, container, (shape, how), change, progress)


def pictures_of(source: str | Path, timeline: Timeline, limits: MediaLimits = DEFAULT_LIMITS) -> Iterator[Pixels]:
    """The pictures of a timeline in order, as displayed, read-only: what `rewrite_video` would hand to ``change``.

    Raises:
        MediaError: the source cannot be read.
        ClipTooShortError: the source has fewer pictures than the timeline shows.
    """
    with closing(open_source(source, limits)) as film:
        for pixels, _, _ in _steps(film, timeline, _shape_of(film, Rewriting(timeline, limits=limits))):
            yield pixels


class _Shape(NamedTuple):
    """What stays the same throughout the new film."""

    size: tuple[int, int, int]
    frame_rate: Fraction
    time_base: Fraction
    end_s: Fraction
    colours: tuple[int, int]
    pictures: int


def _shape_of(film: Source, how: Rewriting) -> _Shape:
    info, timeline = film.info, how.timeline
    size = (info.height, info.width, 3)
    colours = _colours_of(info.path, how.limits)
    if timeline is not None:
        rate = plausible_frame_rate(len(timeline.shown) / timeline.end_s)
        return _Shape(size, rate, timeline.time_base, timeline.end_s, colours, len(timeline.shown))
    if info.is_still:
        raise ParameterError(f"{info.path.name} is a picture; give a timeline, which says how long it is shown.")
    end_s = info.duration_s if info.variable_frame_rate else info.nominal(info.duration_s)
    count = max(1, round(end_s * info.frame_rate))
    return _Shape(size, info.frame_rate, film.clock.time_base, end_s, colours, count)


def _colours_of(path: Path, limits: MediaLimits) -> tuple[int, int]:
    """Primaries and transfer by their numbers in ISO 23091-2; BT.709 where the film does not name them."""
    if is_picture(path):
        return _BT709, _BT709
    with open_container(path, limits) as container:
        context = picture_stream(container, path).codec_context
        named = int(context.color_primaries), int(context.color_trc)
    return cast(tuple[int, int], tuple(_BT709 if number in _UNNAMED else number for number in named))


def _written(
    film: Source,
    container: OutputContainer,
    plan: tuple[_Shape, Rewriting],
    change: Change,
    progress: "Progress | None",
) -> int:
    shape, how = plan
    track = PictureTrack(container, shape.size, Timing(shape.frame_rate, shape.time_base, shape.colours), how.options)
    sound = None
    if how.audio is not None:
        clips = iter([how.audio] if isinstance(how.audio, AudioClip) else how.audio)
        fitted = _sound(clips, film, shape.end_s)
        sound = AudioTrack(container, fitted, how.options.audio_bit_rate, end_s=shape.end_s)
    number = -1
    for number, (pixels, time_s, until_s) in enumerate(_steps(film, how.timeline, shape)):
        if progress is not None:
            progress(number, max(number, shape.pictures), film.info.path.name)
        track.add(change(number, pixels), (time_s, until_s))
        if sound is not None:
            sound.write_until(until_s)
    track.finish()
    if sound is not None:
        sound.finish()
    return number + 1


def _steps(film: Source, timeline: Timeline | None, shape: _Shape) -> Iterator[tuple[Pixels, Fraction, Fraction]]:
    """The pixels of each picture, when it appears, and when it ends; the pixels are read-only."""
    planned = _in_order(film) if timeline is None else _as_planned(film, timeline)
    end: tuple[Fraction, Picture | None] = (shape.end_s, None)
    before: Picture | None = None
    pixels = np.zeros((0, 0, 3), np.uint8)
    for (time_s, picture), (until_s, _) in itertools.pairwise(itertools.chain(planned, [end])):
        if picture is not None and picture is not before:
            before, pixels = picture, film.pixels(picture, None, WHITE)
            pixels.flags.writeable = False
        yield pixels, time_s, max(until_s, time_s + shape.time_base)


def _in_order(film: Source) -> Iterator[tuple[Fraction, Picture | None]]:
    return ((film.clock.time_s(picture.pts), picture) for picture in film.pictures())


def _as_planned(film: Source, timeline: Timeline) -> Iterator[tuple[Fraction, Picture | None]]:
    pictures = _Pictures(film)
    return ((shown.time_s, pictures.at(shown.source)) for shown in timeline.shown)


class _Pictures:
    """The pictures of a source by number, cheap in order, and backwards in chunks of bounded size."""

    def __init__(self, film: Source) -> None:
        self._film, self._coming, self._last = film, film.pictures(), -1
        self._ticks: list[int] = []
        self._held: dict[int, Picture] = {}
        self._chunk = max(2, _HELD_BYTES // (film.info.width * film.info.height * _BYTES_A_PIXEL))

    def at(self, number: int) -> Picture:
        """Picture ``number``.

        Raises:
            ClipTooShortError: there are not that many.
        """
        if number in self._held:
            return self._held[number]
        self._held = {}
        if number <= self._last:
            self._go_back(max(0, number - self._chunk + 1))
            while self._last < number:
                picture = self._next()
                self._held[self._last] = picture
        while self._last < number:
            self._held = {number: self._next()}
        return self._held[number]

    def _next(self) -> Picture:
        picture = next(self._coming, None)
        if picture is None:
            raise ClipTooShortError(
                f"{self._film.info.path.name} has {self._last + 1} pictures, and a later one is to be shown; "
                "make the timeline from this very file."
            )
        self._last += 1
        if self._last == len(self._ticks):
            self._ticks.append(picture.pts)
        return picture

    def _go_back(self, first: int) -> None:
        """Make picture ``first`` the next one: by a jump, or from the start where that does not find it."""
        tick = self._ticks[first]
        coming = self._film.pictures_from(tick) if first else self._film.pictures()
        picture = next((picture for picture in coming if picture.pts >= tick), None)
        if picture is None or picture.pts != tick:
            coming = self._film.pictures()
            picture = next((picture for picture in coming if picture.pts >= tick), None)
        self._coming, self._last = itertools.chain([picture] if picture else [], coming), first - 1


def _sound(clips: Iterator[AudioClip], film: Source, end_s: Fraction) -> Iterator[AudioClip]:
    """Sound in the sample rate and the channels of the film's own, if it has any, with silence up to ``end_s``."""
    own, written, last = film.info.audio, 0, None
    if own is not None:
        channels = own.channels if own.channels in LAYOUTS else max(LAYOUTS)
        last = AudioClip(np.zeros((0, channels), np.float32), own.sample_rate)
        clips = _converted(clips, own.sample_rate, channels)
    for last in clips:
        written += len(last.samples)
        yield last
    if last is not None:
        second = AudioClip(np.zeros((last.sample_rate, last.samples.shape[1]), np.float32), last.sample_rate)
        yield from itertools.repeat(second, max(0, -(-(round(end_s * last.sample_rate) - written) // last.sample_rate)))


def _converted(clips: Iterator[AudioClip], sample_rate: int, channels: int) -> Iterator[AudioClip]:
    resampler, begun = AudioResampler("flt", LAYOUTS[channels], sample_rate), False
    for clip in clips:
        samples = _spread(clip.samples, channels)
        if samples.shape[1] not in LAYOUTS:
            raise ParameterError(f"The sound has {samples.shape[1]} channels; mix it to 1-6 or 8.")
        if len(samples):
            packed = np.ascontiguousarray(samples).reshape(1, -1)
            frame = AudioFrame.from_ndarray(packed, "flt", LAYOUTS[samples.shape[1]])
            frame.sample_rate, begun = clip.sample_rate, True
            yield from _clips_of(resampler.resample(frame))
    if begun:
        yield from _clips_of(resampler.resample(None))


def _spread(samples: Samples, channels: int) -> Samples:
    """One channel goes to both sides or, where there is one, to the centre; two are left and right of more."""
    given = samples.shape[1]
    if given == channels or given > _FRONT:
        return samples
    if channels == 1:
        return cast(Samples, samples.mean(axis=1, keepdims=True))
    if channels == _FRONT:
        return np.repeat(samples, channels, axis=1)
    wide = np.zeros((len(samples), channels), np.float32)
    wide[:, slice(_CENTRE, _CENTRE + 1) if given == 1 else slice(0, _FRONT)] = samples
    return wide


def _clips_of(frames: Iterable[AudioFrame]) -> Iterator[AudioClip]:
    for frame in frames:
        samples = cast(Samples, frame.to_ndarray()).reshape(frame.samples, -1)
        if len(samples):
            yield AudioClip(samples, frame.sample_rate)
