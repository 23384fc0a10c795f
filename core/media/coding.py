"""What a codec leaves of pictures: encoded and decoded in memory, with damage on the way where that is asked for."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import cast

import av
import numpy as np
from av import VideoFrame
from av.packet import Packet
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray

from core.errors import MediaError

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Codec:
    """An encoder of libav with its settings.

    Attributes:
        name: such as ``libx264``, ``libx265``, ``libvpx-vp9``, ``mpeg4``.
        options: the encoder's own options, as text.
        lost: share of the stream's slices that are damaged on the way, 0 to 1; the first picture's are not.
        seed: chooses which.
    """

    name: str
    options: Mapping[str, str] = field(default_factory=dict)
    lost: float = 0.0
    seed: int = 0


def coded(pictures: Sequence[Pixels], frame_rate: Fraction, codec: Codec) -> list[Pixels]:
    """Encode pictures, decode them again, and return as many as came in.

    A picture that the decoder gives up is replaced by the one before it, as a player would.

    Args:
        pictures: (H, W, 3), RGB, all of one size with even sides.
        frame_rate: pictures a second.
        codec: what to do.

    Raises:
        MediaError: libav cannot encode them so.
    """
    try:
        stream = _encode(pictures, frame_rate, codec)
    except av.FFmpegError as error:
        raise MediaError(f"{codec.name} cannot encode these pictures ({error}); try other options.") from error
    decoded = _decode(stream, codec)
    shown, out = pictures[0], []
    for number in range(len(pictures)):
        shown = decoded.get(number, shown)
        out.append(shown)
    return out


def _encode(pictures: Sequence[Pixels], frame_rate: Fraction, codec: Codec) -> bytes:
    buffer, scaler = io.BytesIO(), VideoReformatter()
    with av.open(buffer, "w", format="matroska") as container:
        track = cast(VideoStream, container.add_stream(codec.name, rate=frame_rate, options=dict(codec.options)))
        track.height, track.width = pictures[0].shape[:2]
        track.pix_fmt = "yuv420p"
        track.codec_context.time_base = 1 / frame_rate
        track.codec_context.thread_count = 1
        for number, pixels in enumerate(pictures):
            frame = scaler.reformat(
                VideoFrame.from_ndarray(np.ascontiguousarray(pixels), "rgb24"),
                format="yuv420p",
                dst_colorspace=Colorspace.ITU601,
                dst_color_range=ColorRange.MPEG,
                threads=1,
            )
            frame.pts, frame.time_base = number, 1 / frame_rate
            container.mux(track.encode(frame))
        container.mux(track.encode(None))
    return buffer.getvalue()


def _decode(data: bytes, codec: Codec) -> dict[int, Pixels]:
    """The pictures that can be decoded, by number."""
    random, scaler = np.random.default_rng(codec.seed), VideoReformatter()
    found: dict[int, Pixels] = {}
    with av.open(io.BytesIO(data), "r") as container:
        track = container.streams.video[0]
        rate, time_base = cast(Fraction, track.average_rate), cast(Fraction, track.time_base)
        first = True
        for packet in container.demux(track):
            if packet.size and codec.lost and not first:
                packet = _damaged(packet, codec.lost, random)
            first = False
            try:
                frames = track.codec_context.decode(packet if packet.size else None)
            except av.FFmpegError:
                continue
            for frame in frames:
                number = round(cast(int, frame.pts) * time_base * rate)
                rgb = scaler.reformat(
                    frame, format="rgb24", src_colorspace=Colorspace.ITU601, dst_color_range=ColorRange.JPEG, threads=1
                )
                found[number] = cast(Pixels, rgb.to_ndarray())
    return found


def _damaged(packet: Packet, share: float, random: np.random.Generator) -> Packet:
    """The packet with the contents of some of its slices (four bytes of length before each) made meaningless."""
    data = bytearray(bytes(packet))
    at = 0
    while at + 4 < len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        begin, end = at + 4 + min(12, length // 2), min(len(data), at + 4 + length)
        if end > begin and random.random() < share:
            data[begin:end] = random.integers(0, 256, end - begin, np.uint8).tobytes()
        at += 4 + length
    out = Packet(bytes(data))
    out.pts, out.dts, out.time_base = packet.pts, packet.dts, packet.time_base
    return out
