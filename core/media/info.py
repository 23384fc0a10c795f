"""What is known of a file without decoding it all."""

from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor
from pathlib import Path


@dataclass(frozen=True)
class AudioInfo:
    """One sound track: codec, samples a second, number of channels and their layout (``stereo``, ``5.1(side)``)."""

    codec: str
    sample_rate: int
    channels: int
    layout: str


@dataclass(frozen=True)
class MediaInfo:
    """One file with a picture.

    Attributes:
        path: where it lies, symbolic links followed.
        container: format name, such as ``mp4``, ``webm``, ``matroska`` or ``webp``.
        duration_s: from the first picture to the end of the last one, as found in the file (not as claimed); a still
            picture lasts 0.
        frame_rate: average pictures a second (a measured 29.97 is given as 30000/1001); 1 for a still picture.
        variable_frame_rate: the pictures are known to be unevenly spaced.
        width: columns as displayed: rotated, and stretched by the sample aspect ratio.
        height: rows as displayed. Only the width is stretched; a turn by 90° swaps the two afterwards.
        rotation: clockwise turn in degrees (0, 90, 180, 270) that the reader applies.
        codec: name of the picture's codec.
        pixel_format: as stored, in libav's words (``yuv420p10le``) or Pillow's (``RGBA``).
        has_alpha: pictures can be transparent.
        interlaced: pictures are stored as two fields; the reader removes the combs.
        audio: the sound track that goes with it, or None.
        is_still: one picture without a duration.
        start_s: the time in the file's own clock that is called 0 here: that of the first picture.
    """

    path: Path
    container: str
    duration_s: Fraction
    frame_rate: Fraction
    variable_frame_rate: bool
    width: int
    height: int
    rotation: int
    codec: str
    pixel_format: str
    has_alpha: bool
    interlaced: bool
    audio: AudioInfo | None
    is_still: bool
    start_s: Fraction = Fraction(0)

    def nominal(self, time_s: Fraction) -> Fraction:
        """A time rounded to the nearest whole picture at the frame rate; to a millisecond in an uneven film.

        Containers store times more or less exactly (Matroska in milliseconds); nominal times are the same in all.
        """
        return Fraction(floor(time_s * self._pace + Fraction(1, 2))) / self._pace

    def earliest(self, nominal_s: Fraction) -> Fraction:
        """The earliest time whose `nominal` time is at or after ``nominal_s``."""
        return (ceil(nominal_s * self._pace) - Fraction(1, 2)) / self._pace

    @property
    def _pace(self) -> Fraction:
        return Fraction(1000) if self.variable_frame_rate else self.frame_rate
