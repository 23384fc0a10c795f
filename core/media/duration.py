"""When pictures come and how long the film really lasts, from its packets and without decoding."""

import itertools
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from core.media.container import check_duration, libav_errors, open_container, packets_of, picture_stream
from core.media.limits import MediaLimits

_INDEX_IS_COMPLETE = ("mov", "avi")
_SEEKS_EXACTLY = ("matroska",)
_READ_WHOLE_BYTES = 64 * 2**20
_FIRST_PACKETS, _FIRST_BYTES, _REORDERED = 48, 8 * 2**20, 8
_UNEVEN_S = Fraction(2, 1000)


@dataclass(frozen=True)
class PictureTiming:
    """What the packets say about time.

    Attributes:
        end_s: when the last picture ends, in the file's own clock.
        average_rate: pictures a second.
        uneven: the distances of the first pictures differ by more than 2 ms (and a tick).
        decoding_times_only: the file has no presentation times; what stands in their place are decoding times.
        presentation_delay: ticks by which the first packet is presented after it is decoded, in MP4 and MOV.
    """

    end_s: Fraction
    average_rate: Fraction
    uneven: bool
    decoding_times_only: bool
    presentation_delay: int


def picture_timing(path: Path, limits: MediaLimits) -> PictureTiming:
    """Look at the packets, first at the foremost ones and then for the end.

    MP4, MOV and AVI carry an index of all pictures: when its last entry lies within the file, their header is
    believed. Matroska, and other files from 64 MiB on, are searched from near their end; the rest are read through,
    and so are uneven ones whose average rate is to be found. A file cut short ends with its last packet, whatever
    its header claims.

    Raises:
        NoVideoTrackError: there is no picture.
        MediaLimitError: the packets go on beyond the longest duration allowed.
        MediaDamagedError: the packets cannot be read.
    """
    with open_container(path, limits) as container:
        stream = picture_stream(container, path)
        rate, time_base = stream.average_rate or stream.guessed_rate or Fraction(25), stream.time_base or Fraction(1)
        first = _first_packets(container, stream)
        uneven = _is_uneven(first, time_base)
        kind = container.format.name
        same = kind == "avi" or (kind.startswith("mov") and all(packet.pts == packet.dts for packet in first))
        delay = _presentation_delay(first) if kind.startswith("mov") else 0
        if kind.startswith(_INDEX_IS_COMPLETE) and _index_is_whole(stream, path):
            end = (stream.start_time or 0) + (stream.duration or 0)
            return PictureTiming(end * time_base, rate, uneven, same, delay)
        long_file = path.stat().st_size > _READ_WHOLE_BYTES
        if long_file or (kind.startswith(_SEEKS_EXACTLY) and not uneven):
            end_s = _end_after_seeking(container, stream, limits)
            if end_s is not None:
                return PictureTiming(end_s, rate, uneven, same, delay)
    with open_container(path, limits) as container, libav_errors(path):
        stream = picture_stream(container, path)
        end_s, count = _end_of(container, stream, limits)
    length_s = end_s - (stream.start_time or 0) * time_base
    rate = count / length_s if uneven and length_s > 0 else rate
    return PictureTiming(end_s, rate, uneven, same, delay)


def keyframes_of_matroska(path: Path, limits: MediaLimits) -> list[int]:
    """The ticks of the keyframes in the cues, which libav reads at the first jump only; so a second opening jumps."""
    with open_container(path, limits) as container:
        stream = picture_stream(container, path)
        try:
            container.seek((container.start_time or 0) + (container.duration or 0))
        except av.FFmpegError:
            return []
        return [entry.timestamp for entry in stream.index_entries if entry.is_keyframe]


def _first_packets(container: InputContainer, stream: VideoStream) -> list[Packet]:
    packets: list[Packet] = []
    try:
        for packet in itertools.islice(packets_of(container, stream), _FIRST_PACKETS):
            packets += [packet] if packet.size else []
            if sum(packet.size for packet in packets) > _FIRST_BYTES:
                break
    except (av.FFmpegError, ValueError):
        pass
    return packets


def _presentation_delay(packets: list[Packet]) -> int:
    first = packets[0] if packets else None
    return 0 if first is None or first.pts is None or first.dts is None else first.pts - first.dts


def _is_uneven(packets: list[Packet], time_base: Fraction) -> bool:
    """Compares the distances of pictures, the last few left out: their neighbours may not have been read yet."""
    times = sorted(packet.pts for packet in packets if packet.pts is not None)
    times = times[:-_REORDERED] if len(times) > 2 * _REORDERED else times
    steps = [after - before for before, after in itertools.pairwise(times)]
    return bool(steps) and max(steps) - min(steps) > max(Fraction(1), _UNEVEN_S / time_base)


def _index_is_whole(stream: VideoStream, path: Path) -> bool:
    index = stream.index_entries
    if not len(index) or not stream.duration:
        return False
    return index[-1].pos + index[-1].size <= path.stat().st_size


def _end_after_seeking(container: InputContainer, stream: VideoStream, limits: MediaLimits) -> Fraction | None:
    if not container.duration:
        return None
    try:
        container.seek((container.start_time or 0) + container.duration)
        return _end_of(container, stream, limits)[0] or None
    except av.FFmpegError:
        return None


def _end_of(container: InputContainer, stream: VideoStream, limits: MediaLimits) -> tuple[Fraction, int]:
    """The end of the last picture, and the number of pictures, among the packets still to come.

    Packets without a time follow one another; a read error ends the search.
    """
    time_base = stream.time_base or Fraction(1)
    step = max(1, round(1 / ((stream.average_rate or stream.guessed_rate or 25) * time_base)))
    end = count = 0
    try:
        for packet in packets_of(container, stream):
            if packet.size:
                begin = next((time for time in (packet.pts, packet.dts) if time is not None), end)
                end = max(end, begin + (packet.duration or step))
                count += 1
                length = (end - (stream.start_time or 0)) * time_base
                check_duration(float(length), Path(container.name), limits)
    except (av.FFmpegError, ValueError):
        if not count:
            raise
    return end * time_base, count
