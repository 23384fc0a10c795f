"""Writing films: H.264 and AAC, made so that any player opens them while they still load."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
from av import AudioFrame, VideoFrame
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.packet import Packet
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray

from core.errors import ParameterError
from core.media.audio import AudioClip
from core.media.whole_file import written_whole

LAYOUTS = {1: "mono", 2: "stereo", 3: "3.0", 4: "4.0", 5: "5.0", 6: "5.1", 8: "7.1"}
_AAC_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000)
_BT709 = 1
_ISO_SUFFIXES = (".mp4", ".mov", ".m4v")
_LEAST_TICKS = 1000  # a second; the usual clock of MP4


@dataclass(frozen=True)
class EncodeOptions:
    """How to encode.

    Attributes:
        crf: x264's constant quality, 0 (lossless) to 51; 18 is hard to tell from the original.
        preset: x264's trade of time for size, ``ultrafast`` to ``veryslow``.
        keyframe_s: longest distance of keyframes, in seconds.
        audio_bit_rate: bits a second of the AAC track.

    Raises:
        ParameterError: a value is out of its range.
    """

    crf: int = 18
    preset: str = "veryfast"
    keyframe_s: float = 2.0
    audio_bit_rate: int = 192_000

    def __post_init__(self) -> None:
        if not 0 <= self.crf <= 51:
            raise ParameterError(f"crf is {self.crf}; give 0 to 51.")
        if not self.keyframe_s > 0 or not self.audio_bit_rate > 0:
            raise ParameterError("keyframe_s and audio_bit_rate must be above zero; leave them out for the defaults.")


def write_video(
    out: str | Path,
    frames: Iterable[NDArray[np.uint8]],
    frame_rate: Fraction,
    audio: AudioClip | Iterable[AudioClip] | None = None,
    options: EncodeOptions | None = None,
) -> None:
    """Write RGB pictures, and sound, as H.264 yuv420p (BT.709) and AAC; whole or not at all.

    Frame n is shown at exactly n / ``frame_rate``. A picture of odd width or height is padded by one column or row
    that repeats its last one. The container follows the suffix (``.mp4``, ``.mov``, ``.mkv``); in the first two the
    index stands in front. Sound may be longer or shorter than the picture.

    Args:
        out: where to write; what is there is replaced at the end.
        frames: uint8 (H, W, 3), all of one size; taken one at a time.
        frame_rate: pictures a second.
        audio: one clip, or clips of one rate and channel count that follow one another.
        options: see `EncodeOptions`.

    Raises:
        ParameterError: there are no frames, their sizes differ, or the frame rate is not positive.
        MediaError: libav cannot write the file.
    """
    if not frame_rate > 0:
        raise ParameterError(f"The frame rate is {frame_rate}; give a number above zero.")
    options = options or EncodeOptions()
    with written_whole(out) as part, open_output(part, 1 / Fraction(frame_rate)) as container:
        pictures = iter(frames)
        first = next(pictures, None)
        if first is None:
            raise ParameterError(f"There are no frames to write to {Path(out).name}; give at least one.")
        picture_track = PictureTrack(container, first.shape, Timing(Fraction(frame_rate)), options)
        sound = None if audio is None else AudioTrack(container, audio, options.audio_bit_rate)
        for count, pixels in enumerate(_chain(first, pictures), start=1):
            picture_track.add(pixels)
            if sound is not None:
                sound.write_until(count / Fraction(frame_rate))
        picture_track.finish()
        if sound is not None:
            sound.finish()


def open_output(part: Path, time_base: Fraction, tags: Mapping[str, str] | None = None) -> OutputContainer:
    """Open a container for writing; MP4 and MOV get their index in front, and a film's length exact in ``time_base``.

    Args:
        part: where to write.
        time_base: of the picture.
        tags: words for the file's metadata, by any names.

    Raises:
        ParameterError: the suffix is no film's.
    """
    ticks = time_base.denominator * -(-_LEAST_TICKS // time_base.denominator)
    flags = "+faststart" if tags is None else "+faststart+use_metadata_tags"
    exact = {"movflags": flags, "movie_timescale": str(ticks)}
    try:
        container = av.open(str(part), "w", container_options=exact if part.suffix.lower() in _ISO_SUFFIXES else {})
    except ValueError as error:
        raise ParameterError(f"{part.suffix!r} is no film's suffix; write to .mp4, .mov or .mkv.") from error
    container.metadata.update(tags or {})
    return container


class AudioTrack:
    """An AAC track that is written along with the picture, block by block.

    Raises:
        ParameterError: the number of channels cannot be written.
    """

    def __init__(
        self,
        container: OutputContainer,
        audio: AudioClip | Iterable[AudioClip],
        bit_rate: int,
        end_s: Fraction | None = None,
    ) -> None:
        clips = iter([audio] if isinstance(audio, AudioClip) else audio)
        first = next(clips, None)
        self._container, self._end_s = container, end_s
        self._stream: AudioStream | None = None
        self._blocks: Iterator[tuple[NDArray[np.float32], int]] = iter(())
        self._written = 0
        if first is None:
            return
        channels = first.samples.shape[1]
        if channels not in LAYOUTS:
            raise ParameterError(f"The sound has {channels} channels; mix it to 1-6 or 8.")
        self._rate, self._layout = first.sample_rate, LAYOUTS[channels]
        rate = first.sample_rate if first.sample_rate in _AAC_RATES else 48000
        self._stream = container.add_stream("aac", rate=rate, layout=self._layout)
        self._stream.bit_rate = bit_rate
        self._blocks = _blocks(_chain_clips(first, clips))

    def write_until(self, time_s: Fraction) -> None:
        """Encode what belongs before ``time_s``."""
        while self._stream is not None and self._written < time_s * self._rate:
            block = next(self._blocks, None)
            if block is None or not self._encode(block[0]):
                return

    def finish(self) -> None:
        """Encode the rest and close the track."""
        if self._stream is None:
            return
        for block, _ in self._blocks:
            if not self._encode(block):
                break
        self._container.mux(self._stream.encode(None))

    def _encode(self, samples: NDArray[np.float32]) -> bool:
        """Encode a block; False once the end is reached."""
        assert self._stream is not None
        if self._end_s is not None:
            samples = samples[: max(0, round(self._end_s * self._rate) - self._written)]
        if not len(samples):
            return False
        packed = np.ascontiguousarray(np.clip(samples, -1, 1)).reshape(1, -1)
        frame = AudioFrame.from_ndarray(packed, "flt", self._layout)
        frame.sample_rate, frame.time_base, frame.pts = self._rate, Fraction(1, self._rate), self._written
        self._written += len(samples)
        self._container.mux(self._stream.encode(frame))
        return True


class Timing(NamedTuple):
    """When pictures are shown, and what a track says of their colours.

    Attributes:
        frame_rate: pictures a second; the mean where each has a time of its own.
        time_base: the tick in which each picture is given its own time; None: all last equally long.
        colours: primaries and transfer by their numbers in ISO 23091-2.
    """

    frame_rate: Fraction
    time_base: Fraction | None = None
    colours: tuple[int, int] = (_BT709, _BT709)


class PictureTrack:
    """An H.264 track, picture by picture.

    Where each picture has a time of its own there are no B-pictures: decoding times are then presentation times, and
    MP4 can say when the last picture ends.
    """

    def __init__(
        self, container: OutputContainer, shape: tuple[int, ...], timing: Timing, options: EncodeOptions
    ) -> None:
        frame_rate = timing.frame_rate
        self._container, self._shape = container, shape
        self._time_base = 1 / frame_rate if timing.time_base is None else timing.time_base
        self._scaler = VideoReformatter()
        self._count = 0
        self._lasting: dict[int, int] = {}
        settings = {
            "crf": str(options.crf),
            "preset": options.preset,
            "g": str(max(1, round(options.keyframe_s * frame_rate))),
        }
        self._stream: VideoStream = container.add_stream("libx264", rate=frame_rate, options=settings)
        context = self._stream.codec_context
        context.width, context.height = shape[1] + shape[1] % 2, shape[0] + shape[0] % 2
        context.pix_fmt, context.time_base = "yuv420p", self._time_base
        context.color_range, context.colorspace = ColorRange.MPEG, _BT709
        context.color_primaries, context.color_trc = timing.colours
        if timing.time_base is not None:
            context.max_b_frames = 0

    def add(self, pixels: NDArray[np.uint8], span_s: tuple[Fraction, Fraction] | None = None) -> None:
        """Encode the next picture; ``span_s`` says when it appears and when it ends, where it has times of its own.

        Raises:
            ParameterError: it has another size than the first one.
        """
        if pixels.shape != self._shape or pixels.dtype != np.uint8 or pixels.shape[-1] != 3:
            raise ParameterError(
                f"Frame {self._count} is {pixels.dtype} {pixels.shape}; give uint8 (height, width, 3), all of one size."
            )
        odd_rows, odd_columns = pixels.shape[0] % 2, pixels.shape[1] % 2
        if odd_rows or odd_columns:
            pixels = np.pad(pixels, ((0, odd_rows), (0, odd_columns), (0, 0)), mode="edge")
        rgb = VideoFrame.from_ndarray(np.ascontiguousarray(pixels), "rgb24")
        frame = self._scaler.reformat(
            rgb, format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG, threads=1
        )
        frame.pts, frame.time_base = self._count, self._time_base
        if span_s is not None:
            frame.pts, end = (round(time_s / self._time_base) for time_s in span_s)
            self._lasting[frame.pts] = end - frame.pts
        self._count += 1
        self._mux(self._stream.encode(frame))

    def finish(self) -> None:
        """Encode what is held back."""
        self._mux(self._stream.encode(None))

    def _mux(self, packets: list[Packet]) -> None:
        for packet in packets:
            if packet.pts in self._lasting:
                packet.duration = self._lasting.pop(packet.pts)
            self._container.mux_one(packet)


def _chain(first: NDArray[np.uint8], rest: Iterator[NDArray[np.uint8]]) -> Iterator[NDArray[np.uint8]]:
    yield first
    yield from rest


def _chain_clips(first: AudioClip, rest: Iterator[AudioClip]) -> Iterator[AudioClip]:
    yield first
    yield from rest


def _blocks(clips: Iterator[AudioClip]) -> Iterator[tuple[NDArray[np.float32], int]]:
    """The samples in pieces of at most a second."""
    for clip in clips:
        for begin in range(0, len(clip.samples), clip.sample_rate):
            yield clip.samples[begin : begin + clip.sample_rate], clip.sample_rate
