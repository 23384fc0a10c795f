"""Reading films: every picture, pictures at given times, pictures at a given rate; each decoded once a pass."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from core.errors import ParameterError
from core.media.cursor import Cursor
from core.media.info import MediaInfo
from core.media.limits import DEFAULT_LIMITS, MediaLimits
from core.media.probe import open_source
from core.media.source import WHITE, Colour, Luma, Picture, Size, Source
from core.media.timebase import Seconds, sample_times


@dataclass(frozen=True)
class Frame:
    """One picture: when it appears, in seconds after the first one, and its pixels, uint8 (H, W, 3 or 4)."""

    time_s: Fraction
    pixels: NDArray[np.uint8]


class LazyFrame:
    """One picture that was decoded and is converted only as far as it is asked for.

    What it gives stays valid, but a frame holds the whole decoded picture: let go of it before taking many more.

    Attributes:
        time_s: when it appears, in seconds after the first picture of the film.
    """

    def __init__(self, picture: Picture, reader: "VideoReader") -> None:
        self._picture, self._reader = picture, reader
        self.time_s: Fraction = reader._source.clock.time_s(picture.pts)

    def luma(self) -> Luma:
        """The brightness, upright, and its values of black and white; see `Luma`.

        A plane of its own, as in nearly all films, is not copied: uint8 of 8 bits, uint16 of more, and neither scaled
        nor stretched by the sample aspect ratio. Of other pictures it is that of the pixels over white.

        Raises:
            MediaDamagedError: the picture cannot be converted.
        """
        return self._reader._source.luma(self._picture)

    def pixels(self, size: Size | None = None) -> NDArray[np.uint8]:
        """The pixels of this frame, as `Frame` has them; ``size`` (width, height) in place of the reader's own.

        Raises:
            MediaDamagedError: the picture cannot be converted.
        """
        reader = self._reader
        return reader._source.pixels(self._picture, size or reader._size, reader._background)


class VideoReader:
    """A film, an animation or a still picture, opened for reading; use it as a context manager.

    Time 0 is the first picture. Each of `frames`, `frames_at`, `frames_at_rate` and `spans` is one pass from the start
    that decodes each frame at most once and holds two at a time; a new pass ends the one before it. A reader serves
    one thread; several readers may be used at once.

    Args:
        path: any file that libav or Pillow reads.
        size: (width, height) of the pixels, or a bound on the longer side, which keeps the proportions and never
            enlarges; scaled in the same step as the conversion to RGB. None: as displayed.
        background: the colour under transparent pictures; None keeps the alpha channel, pixels are (H, W, 4).
        limits: bounds on the file.
        seeking: allow jumps to keyframes where they are cheaper than decoding on.

    Raises:
        MediaError: see `core.media.probe.probe`.
        ParameterError: the size is not positive.
    """

    def __init__(
        self,
        path: str | Path,
        size: Size | int | None = None,
        background: Colour | None = WHITE,
        limits: MediaLimits = DEFAULT_LIMITS,
        seeking: bool = True,
    ) -> None:
        if size is not None and np.min(size) < 1:
            raise ParameterError(f"The size is {size}; give pixels above zero.")
        self._background, self._seeking, self._closed = background, seeking, False
        self._source = open_source(path, limits)
        self._size = fitted_size(self.info, size) if isinstance(size, int) else size

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Release the file; may be called twice."""
        self._closed = True
        self._source.close()

    @property
    def info(self) -> MediaInfo:
        """What is known of the file."""
        return self._source.info

    @property
    def decoded_frames(self) -> int:
        """Frames decoded since opening, those that were passed over included."""
        return self._source.decoded_frames

    @property
    def damaged_packets(self) -> int:
        """Packets that could not be decoded so far, or only in part; above zero the file is damaged.

        Zero is no proof: libav's Matroska reader steps over damage without a word.
        """
        return self._source.damaged_packets

    def frames(self) -> Iterator[Frame]:
        """Every frame once, in order of time.

        Raises:
            MediaLimitError: the file goes on beyond the longest duration allowed.
            MediaDamagedError: the pictures cannot be converted.
        """
        for picture in self._open_source().pictures():
            yield self._frame(picture)

    def frames_at(self, times_s: Iterable[Seconds]) -> Iterator[Frame]:
        """For each time, the frame being shown then: the last one at or before it.

        A time before the first frame gives the first, one after the end the last. A frame that answers several times
        is converted once and yielded again, so do not write into its pixels.

        Args:
            times_s: seconds, in ascending order; equal ones are allowed.

        Raises:
            ParameterError: a time is earlier than the one before it.
            MediaLimitError, MediaDamagedError: see `frames`.
        """
        cursor = Cursor(self._open_source(), self._seeking)
        shown: Picture | None = None
        frame: Frame | None = None
        before: Seconds | None = None
        for time_s in times_s:
            if before is not None and time_s < before:
                raise ParameterError(f"Time {float(time_s)} s comes after {float(before)} s; sort the times.")
            before = time_s
            picture = cursor.at(self._source.clock.pts_at(time_s))
            if frame is None or picture is not shown:
                shown, frame = picture, self._frame(picture)
            yield frame

    def frames_at_rate(self, rate: Seconds, start_s: Seconds = 0, end_s: Seconds | None = None) -> Iterator[Frame]:
        """The frames shown at ``start_s + k / rate`` before ``end_s`` (by default the end of the film).

        The k-th frame answers the k-th time; its own ``time_s`` is at or before it. At least one frame is yielded,
        also for a still picture.

        Raises:
            ParameterError: the rate is not positive, or the start lies at or after the end.
            MediaLimitError, MediaDamagedError: see `frames`.
        """
        end = self.info.duration_s if end_s is None else Fraction(end_s)
        if start_s != 0 and start_s >= end:
            raise ParameterError(
                f"The start, {float(start_s)} s, is not before the end, {float(end)} s; start earlier."
            )
        least = Fraction(start_s) + Fraction(1, 10**9)
        return self.frames_at(sample_times(start_s, max(end, least), rate))

    def spans(self, starts_s: Iterable[Seconds], length_s: Seconds = 1) -> Iterator[Iterator[LazyFrame]]:
        """For each start, the frames of ``length_s`` seconds from there on; what lies between is passed over.

        A frame belongs to the span in which its `MediaInfo.nominal` time lies, so that a remux has the same spans. One
        without a frame of its own gives the frame that is shown at its start. Taking the next span ends the one before.

        Args:
            starts_s: seconds, in ascending order.
            length_s: seconds; spans must not overlap.

        Raises:
            ParameterError: a span begins before the end of the one before it.
            MediaLimitError: see `frames`.
        """
        cursor = Cursor(self._open_source(), self._seeking)
        end: int | None = None
        for start_s in starts_s:
            begin, before = self._first_tick(start_s), end
            if before is not None and begin < before:
                raise ParameterError(f"The span at {float(start_s)} s begins before the end of the last one.")
            end = self._first_tick(start_s + Fraction(length_s))
            yield (LazyFrame(picture, self) for picture in cursor.between(begin, end))

    def _first_tick(self, nominal_s: Seconds) -> int:
        return self._source.clock.pts_from(self.info.earliest(Fraction(nominal_s)))

    def _open_source(self) -> Source:
        if self._closed:
            raise ParameterError(f"The reader of {self.info.path.name} is closed; open the file again.")
        return self._source

    def _frame(self, picture: Picture) -> Frame:
        pixels = self._source.pixels(picture, self._size, self._background)
        return Frame(self._source.clock.time_s(picture.pts), pixels)


def fitted_size(info: MediaInfo, max_side_px: int) -> Size:
    """(width, height) with the film's proportions and its longer side at most ``max_side_px``; never enlarged."""
    factor = min(Fraction(1), Fraction(max_side_px, max(info.width, info.height)))
    return max(1, round(info.width * factor)), max(1, round(info.height * factor))
