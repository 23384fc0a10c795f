"""Films through libav: one open file, decoded in order, with jumps to keyframes where they pay."""

from bisect import bisect_right
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
from av import VideoFrame
from av.codec.context import CodecContext
from av.container import InputContainer
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray

from core.errors import MediaDamagedError, MediaError
from core.media import pixels
from core.media.container import (
    check_claimed_duration,
    check_duration,
    check_pixels,
    decoder_options,
    head_of,
    libav_errors,
    open_container,
    packets_of,
    picture_stream,
)
from core.media.deinterlace import Deinterlacer
from core.media.duration import PictureTiming, keyframes_of_matroska, picture_timing
from core.media.info import AudioInfo, MediaInfo
from core.media.limits import MediaLimits
from core.media.source import WHITE, Colour, Luma, Picture, Size
from core.media.timebase import Clock, plausible_frame_rate

_INDEXED = ("mov", "avi")
_ALPHA_DECODERS = {"vp9": "libvpx-vp9", "vp8": "libvpx"}
_READ_ERRORS_IN_A_ROW = 100
SEEK_GAIN_FRAMES = 12


class FilmSource:
    """A film opened through libav (a `Source`).

    Raises:
        MediaOpenError, PathNotAllowedError, MediaLimitError: see `open_container`.
        NoVideoTrackError: it has only sound.
        MediaDamagedError: not one picture can be decoded.
    """

    def __init__(self, path: Path, limits: MediaLimits) -> None:
        self.decoded_frames = 0
        self.damaged_packets = 0
        self._path, self._limits = path, limits
        self._scaler = VideoReformatter()
        self._by_decoding_time = False
        self._pass = 0
        self._cues: list[int] | None = None
        self._deinterlacer: Deinterlacer | None = None
        self._first: Picture | None = None
        self._rest: Iterator[Picture] = iter(())
        self._open()
        try:
            check_claimed_duration(self._container, path, limits)
            check_pixels(self._stream.width, self._stream.height, path, limits)
            self._timing = picture_timing(path, limits)
            self._by_decoding_time = self._timing.decoding_times_only and self._decoder.reorder_depth > 0
            first = self._start()
            self.clock = Clock(self._time_base, first.pts)
            self._orientation = pixels.Orientation.of(first.image)
            self.info = self._describe(first.image, self._timing)
            check_duration(float(self.info.duration_s), path, limits)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Release the file; may be called twice."""
        self._pass += 1
        self._container.close()

    def pictures(self) -> Iterator[Picture]:
        """All pictures from the first; the one decoded at opening is not decoded again."""
        if self._first is None:
            self.close()
            self._open()
            self._start()
        first, self._first = self._first, None
        if first is not None:
            yield first
        yield from self._rest

    def seek_pays(self, here: int, target: int) -> bool:
        """The rule: the keyframe before ``target`` lies at least `SEEK_GAIN_FRAMES` pictures ahead of ``here``.

        Only containers with an index of keyframes qualify: MP4, MOV, AVI and Matroska with cues. A jump with the
        keyframe's own decoding took as long as 3 to 8 pictures (H.264 and MPEG-4, 288 to 1080 rows, two cores: the
        decoder's threads run empty and fill again), and lands a few pictures early for the sake of reordering.
        """
        if target - here <= SEEK_GAIN_FRAMES * self._frame_ticks:
            return False
        keyframe = self._keyframe_before(target)
        return keyframe is not None and keyframe - here > SEEK_GAIN_FRAMES * self._frame_ticks

    def pictures_from(self, target: int) -> Iterator[Picture]:
        """The pictures from the keyframe before ``target`` on; none if the file cannot be searched after all.

        The index holds decoding times, while libav searches MP4 and MOV by presentation times: the difference is
        that of the first packet. The decoder forgets on a jump how far it reorders, and is told again.
        """
        keyframe = self._keyframe_before(target)
        depth = self._decoder.reorder_depth
        self._first = None
        try:
            self._container.seek((keyframe or 0) + self._timing.presentation_delay, stream=self._stream)
        except av.FFmpegError:
            return iter(())
        self._decoder.flush_buffers()
        self._decoder.reorder_depth = depth
        self._deinterlacer = None
        self._rest = self._decode()
        return self._rest

    def pixels(self, picture: Picture, size: Size | None, background: Colour | None) -> NDArray[np.uint8]:
        """The picture upright; transparent ones are laid over the background before they are scaled."""
        frame: VideoFrame = picture.image
        target = self._orientation.before_turning(size or (self.info.width, self.info.height))
        with libav_errors(self._path):
            if background is None:
                flat = pixels.to_rgba(frame, target, self._scaler)
            elif self.info.has_alpha and pixels.has_alpha(frame):
                whole = pixels.to_rgba(frame, (frame.width, frame.height), self._scaler)
                flat = pixels.scaled(pixels.over_background(whole, background), target, self._scaler)
            else:
                flat = pixels.to_rgb(frame, target, self._scaler)
        return self._orientation.upright(flat)

    def luma(self, picture: Picture) -> Luma:
        """The decoded plane itself, turned; of transparent pictures, RGB and palettes that of their pixels on white."""
        plane = None if self.info.has_alpha else pixels.luma_plane(picture.image)
        if plane is None:
            return pixels.luma_of(self.pixels(picture, None, WHITE))
        return plane._replace(plane=self._orientation.turned(plane.plane))

    def _open(self) -> None:
        self._container = open_container(self._path, self._limits)
        try:
            stream = picture_stream(self._container, self._path)
        except MediaError:
            self.close()
            raise
        self._stream = stream
        self._decoder = _decoder_for(stream, self._limits)
        rate = stream.average_rate or stream.guessed_rate or Fraction(25)
        self._time_base = stream.time_base or 1 / rate
        self._frame_ticks = max(1, round(1 / (rate * self._time_base)))
        self._fed_dts = -self._frame_ticks
        self._most_ticks = int(Fraction(self._limits.max_duration_s) / self._time_base)
        self._deinterlacer = None

    def _start(self) -> Picture:
        """Begin decoding at the start and keep the first picture for the pass to come."""
        self._rest = self._decode()
        first = self._first = next(self._rest, None)
        if first is None:
            raise MediaDamagedError(f"{self._path.name} is damaged: not one picture can be decoded; export it again.")
        return first

    def _describe(self, frame: VideoFrame, timing: PictureTiming) -> MediaInfo:
        stream, container = self._stream, self._container
        ratio = stream.sample_aspect_ratio or Fraction(1)
        shown = (max(1, round(frame.width * ratio)), frame.height)
        check_pixels(*shown, self._path, self._limits)
        width, height = self._orientation.before_turning(shown)
        zero_pts = (stream.start_time or 0) if self._by_decoding_time else self.clock.zero_pts
        zero_s = zero_pts * self._time_base
        return MediaInfo(
            path=self._path,
            container=_container_name(container, self._path),
            duration_s=timing.end_s - zero_s,
            frame_rate=plausible_frame_rate(timing.average_rate),
            variable_frame_rate=timing.uneven,
            width=width,
            height=height,
            rotation=self._orientation.rotation,
            codec=stream.codec_context.name,
            pixel_format=frame.format.name,
            has_alpha=pixels.has_alpha(frame),
            interlaced=self._deinterlacer is not None,
            audio=_describe_audio(container),
            is_still=False,
            start_s=zero_s,
        )

    def _keyframe_before(self, target: int) -> int | None:
        """The tick of the last keyframe in the index safely before ``target``, or None without an index."""
        margin = (self._decoder.reorder_depth + 2) * self._frame_ticks + self._timing.presentation_delay
        kind = self._container.format.name
        if kind.startswith("matroska"):
            if self._cues is None:
                self._cues = keyframes_of_matroska(self._path, self._limits)
            found = bisect_right(self._cues, target - margin) - 1
            return self._cues[found] if found >= 0 else None
        if not kind.startswith(_INDEXED):
            return None
        index = self._stream.index_entries
        found = index.search_timestamp(target - margin)
        return index[found].timestamp if found >= 0 else None

    def _decode(self) -> Iterator[Picture]:
        """Decode on from where the file stands; pictures that run back in time are dropped and count as damaged.

        In AVI, and in files whose pictures are stored out of order without saying so, only the decoding times are
        to be had: pictures leave the decoder in order of display, each with a decoding time, and the first is 0. What
        is left in the decoder at the end of the file comes after the last packet.
        """
        last: int | None = None
        earliest = self._stream.start_time or 0
        for frame in self._frames():
            pts = frame.dts if self._by_decoding_time else frame.pts
            if pts is None:
                pts = (self._fed_dts if last is None else last) + self._frame_ticks
            if last is not None and pts <= last:
                self.damaged_packets += 1
                continue
            last = pts
            if pts - earliest > self._most_ticks:
                check_duration(float((pts - earliest) * self._time_base), self._path, self._limits)
            yield Picture(pts, frame)

    def _frames(self) -> Iterator[VideoFrame]:
        for packet in self._packets():
            if self._by_decoding_time and packet.dts is not None:
                self._fed_dts = packet.dts
            for frame in self._decoded(packet):
                yield from self._progressive(frame)
        if self._deinterlacer is not None:
            yield from self._deinterlacer.finish()

    def _progressive(self, frame: VideoFrame) -> Iterator[VideoFrame]:
        """The frame itself, or, from the first interlaced one on, what the deinterlacer has ready."""
        with libav_errors(self._path):
            if self._deinterlacer is not None and not self._deinterlacer.fits(frame):
                yield from self._deinterlacer.finish()
                self._deinterlacer = None
            if self._deinterlacer is None and frame.interlaced_frame:
                self._deinterlacer = Deinterlacer(frame, self._time_base)
            if self._deinterlacer is None:
                yield frame
            else:
                yield from self._deinterlacer.push(frame)

    def _decoded(self, packet: Packet) -> list[VideoFrame]:
        try:
            frames = self._decoder.decode(packet if packet.size else None)
        except av.EOFError:
            return []
        except (av.FFmpegError, ValueError):
            self.damaged_packets += 1
            return []
        self.decoded_frames += len(frames)
        self.damaged_packets += sum(frame.is_corrupt for frame in frames) or int(packet.is_corrupt)
        return frames

    def _packets(self) -> Iterator[Packet]:
        """Packets to the end of the file, read on past damage; the last one is empty and drains the decoder.

        A new pass, or closing the file, ends them: libav must not be asked for more then.
        """
        self._pass += 1
        mine, errors = self._pass, 0
        packets = packets_of(self._container, self._stream)
        while self._pass == mine and errors < _READ_ERRORS_IN_A_ROW:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except (av.FFmpegError, ValueError):
                packets = packets_of(self._container, self._stream)
                errors += 1
                self.damaged_packets += 1
                continue
            errors = 0
            yield packet
        if self._pass == mine:
            yield Packet()


def _decoder_for(stream: VideoStream, limits: MediaLimits) -> VideoCodecContext:
    """The stream's decoder; one that keeps the alpha channel for VP8 and VP9 streams that have one."""
    name = _ALPHA_DECODERS.get(stream.codec_context.name)
    if name is None or stream.metadata.get("alpha_mode", stream.metadata.get("ALPHA_MODE")) != "1":
        decoder = stream.codec_context
    else:
        decoder = cast(VideoCodecContext, CodecContext.create(name, "r"))
    decoder.options = {**decoder.options, **decoder_options(limits)}
    decoder.thread_type = "AUTO"
    return decoder


def _container_name(container: InputContainer, path: Path) -> str:
    """One name where libav gives a family's: ``webm`` by the header, ``mov`` by the suffix, otherwise the first."""
    family = container.format.name
    if family.startswith("matroska"):
        return "webm" if b"webm" in head_of(path, 64) else "matroska"
    if family.startswith("mov"):
        return "mov" if path.suffix.lower() == ".mov" else "mp4"
    return family.split(",")[0]


def _describe_audio(container: InputContainer) -> AudioInfo | None:
    stream = container.streams.best("audio")
    if not isinstance(stream, av.AudioStream) or stream.codec_context is None:
        return None
    context = stream.codec_context
    return AudioInfo(context.name, context.sample_rate, context.channels, context.layout.name)
