"""Sound: reading it in blocks on the picture's clock, and writing WAV."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
import soundfile
from av import AudioFrame, AudioResampler, AudioStream
from av.container import InputContainer
from numpy.typing import NDArray

from core.errors import (
    ClipTooShortError,
    MediaDamagedError,
    NoAudioTrackError,
    NoVideoTrackError,
    ParameterError,
)
from core.media.container import (
    check_claimed_duration,
    check_duration,
    libav_errors,
    open_container,
    packets_of,
    read_only,
)
from core.media.limits import DEFAULT_LIMITS, MediaLimits, checked_path
from core.media.pictures import is_picture
from core.media.probe import probe
from core.media.timebase import Seconds
from core.media.whole_file import written_whole

_GAP_S = Fraction(1, 20)
_CLOCK_RESET_S = 1
_PREROLL_S = 1
_SEEK_FROM_S = 10
_SEEKABLE = ("mov", "matroska")
Samples = NDArray[np.float32]


@dataclass(frozen=True)
class AudioClip:
    """Sound: float32 (N, C) in [-1, 1], and how many samples make a second.

    Raises:
        ParameterError: the samples are not float32 (N, C), or the rate is not positive.
    """

    samples: Samples
    sample_rate: int

    def __post_init__(self) -> None:
        if self.samples.ndim != 2 or self.samples.dtype != np.float32 or self.samples.shape[1] < 1:
            raise ParameterError(
                f"The samples are {self.samples.dtype} {self.samples.shape}; give float32 (samples, channels)."
            )
        if self.sample_rate < 1:
            raise ParameterError(f"The sample rate is {self.sample_rate}; give a number above zero.")

    @property
    def duration_s(self) -> Fraction:
        """How long it lasts."""
        return Fraction(len(self.samples), self.sample_rate)


@dataclass(frozen=True)
class AudioRequest:
    """What to read: sample rate (None: the file's), the mean of the channels or all of them, and the span.

    Raises:
        ParameterError: the rate or the duration is not positive, or the start is negative.
    """

    sample_rate: int | None = None
    mono: bool = False
    start_s: Seconds = 0
    duration_s: Seconds | None = None

    def __post_init__(self) -> None:
        if self.sample_rate is not None and self.sample_rate < 1:
            raise ParameterError(f"The sample rate is {self.sample_rate}; give a number above zero.")
        if self.start_s < 0:
            raise ParameterError(f"The start is {float(self.start_s)} s; give zero or more.")
        if self.duration_s is not None and self.duration_s <= 0:
            raise ParameterError(f"The duration is {float(self.duration_s)} s; give a number above zero.")


def read_audio(  # noqa: PLR0913 - the fields of AudioRequest, spelled out for the callers' sake
    path: str | Path,
    sample_rate: int | None = None,
    mono: bool = False,
    start_s: Seconds = 0,
    duration_s: Seconds | None = None,
    limits: MediaLimits = DEFAULT_LIMITS,
) -> AudioClip:
    """Read a whole sound track, or a part of it, into memory; see `stream_audio`.

    Raises:
        ClipTooShortError: the sound ends before ``start_s``.
        MediaError: see `stream_audio`.
    """
    request = AudioRequest(sample_rate, mono, start_s, duration_s)
    blocks = list(stream_audio(path, request, limits))
    if not blocks:
        raise ClipTooShortError(f"{Path(path).name} has no sound after {float(start_s)} s; start earlier.")
    return AudioClip(np.concatenate([block.samples for block in blocks]), blocks[0].sample_rate)


def stream_audio(
    path: str | Path,
    request: AudioRequest = AudioRequest(),
    limits: MediaLimits = DEFAULT_LIMITS,
) -> Iterator[AudioClip]:
    """Read sound in blocks of about a second.

    Time 0 is the first picture, or the first sample of a file without one: sound before it is cut, sound that starts
    later is preceded by silence, and gaps of more than 50 ms are filled with silence. An encoder's delay is removed
    where the file states it. Sample n belongs to time ``start_s + n / sample_rate``.

    Raises:
        NoAudioTrackError: the file has no sound.
        MediaDamagedError: nothing of it can be decoded.
        PathNotAllowedError, MediaOpenError, MediaLimitError: see `open_container`.
    """
    real = checked_path(path, limits)
    if is_picture(real):
        raise NoAudioTrackError(f"{real.name} is a picture; give a film with sound, or a piece of music.")
    with open_container(real, limits) as container, libav_errors(real):
        stream = sound_stream(container, real)
        check_claimed_duration(container, real, limits)
        rate = request.sample_rate or stream.sample_rate
        zero_s = _time_zero_s(real, limits)
        _seek_near(container, stream, zero_s, request)
        frames = _continuous(_decoded(container, stream, real), real, limits)
        layout = stream.layout.name
        placed = _placed(frames, lambda: AudioResampler("flt", layout, rate), zero_s, rate)
        for samples in _cut(placed, round(Fraction(request.start_s) * rate), request, rate):
            yield AudioClip(samples.mean(axis=1, keepdims=True) if request.mono else samples, rate)


def write_audio(out: str | Path, clip: AudioClip) -> None:
    """Write a WAV file of 16-bit samples, whole or not at all.

    Raises:
        ParameterError: the folder does not exist.
    """
    with written_whole(out) as part:
        soundfile.write(part, clip.samples, clip.sample_rate, subtype="PCM_16", format="WAV")


def sound_stream(container: InputContainer, path: Path) -> AudioStream:
    """The sound track of a file; the demuxer is told to skip everything else.

    Raises:
        NoAudioTrackError: it has none.
    """
    stream = container.streams.best("audio")
    if not isinstance(stream, AudioStream) or stream.codec_context is None or not stream.sample_rate:
        raise NoAudioTrackError(f"{path.name} has no sound; give a film with sound, or a piece of music.")
    read_only(container, stream)
    return stream


def _time_zero_s(path: Path, limits: MediaLimits) -> Fraction | None:
    """The file's own time that is called 0: the first picture, or None for the first sample."""
    try:
        return probe(path, limits).start_s
    except (NoVideoTrackError, MediaDamagedError):
        return None


def _seek_near(container: InputContainer, stream: AudioStream, zero_s: Fraction | None, request: AudioRequest) -> None:
    """Skip to a second before the start where the container has an index; the timestamps tell where it landed."""
    if request.start_s < _SEEK_FROM_S or not container.format.name.startswith(_SEEKABLE) or zero_s is None:
        return
    target_s = Fraction(request.start_s) + zero_s - _PREROLL_S
    container.seek(int(target_s / cast(Fraction, stream.time_base)), stream=stream)


def _decoded(container: InputContainer, stream: AudioStream, path: Path) -> Iterator[AudioFrame]:
    """What can be decoded; damaged packets are left out, and a file that cannot be read on ends there."""
    count = 0
    try:
        for packet in packets_of(container, stream):
            try:
                frames = stream.decode(packet if packet.size else None)
            except (av.FFmpegError, ValueError):
                continue
            count += len(frames)
            yield from frames
    except av.FFmpegError:
        pass
    if not count:
        raise MediaDamagedError(f"{path.name} is damaged: no sound can be decoded; export it again.")


def _continuous(frames: Iterator[AudioFrame], path: Path, limits: MediaLimits) -> Iterator[AudioFrame]:
    """Frames with the gaps between them filled by silence, and without those that come twice.

    A clock that jumps back by more than a second has been set anew: the sound goes on without a break.
    """
    first_s: Fraction | None = None
    due_s = Fraction(0)
    for frame in frames:
        begin_s = due_s if frame.pts is None else frame.pts * cast(Fraction, frame.time_base)
        if first_s is None:
            first_s = due_s = begin_s
        if _GAP_S < due_s - begin_s < _CLOCK_RESET_S:
            continue
        if begin_s - due_s > _GAP_S:
            check_duration(float(begin_s - first_s), path, limits)
            yield from _silence(frame, round((begin_s - due_s) * frame.sample_rate))
            due_s = begin_s
        due_s += Fraction(frame.samples, frame.sample_rate)
        check_duration(float(due_s - first_s), path, limits)
        yield frame


def _silence(like: AudioFrame, count: int) -> Iterator[AudioFrame]:
    """Silent frames of at most a second that look like another one."""
    for begin in range(0, count, like.sample_rate):
        quiet = AudioFrame(like.format, like.layout, min(like.sample_rate, count - begin))
        for plane in quiet.planes:
            plane.update(b"\x80" * plane.buffer_size if "u8" in like.format.name else bytes(plane.buffer_size))
        quiet.sample_rate, quiet.time_base = like.sample_rate, like.time_base
        yield quiet


def _placed(
    frames: Iterator[AudioFrame], new_resampler: Callable[[], AudioResampler], zero_s: Fraction | None, rate: int
) -> Iterator[tuple[int, Samples]]:
    """Resampled blocks, each with the number of its first sample counted from time 0."""
    position: int | None = None
    resampler, shape = new_resampler(), None
    for frame in frames:
        if position is None:
            begin_s = Fraction(0) if frame.pts is None else frame.pts * cast(Fraction, frame.time_base)
            position = 0 if zero_s is None else round((begin_s - zero_s) * rate)
        frame.pts = None
        converted: list[AudioFrame] = []
        if shape not in (None, _shape(frame)):  # damage, or a broadcast that changes from stereo to surround
            converted, resampler = resampler.resample(None), new_resampler()
        shape = _shape(frame)
        for out in converted + resampler.resample(frame):
            yield position, _samples(out)
            position += out.samples
    for out in resampler.resample(None) if shape is not None else []:
        yield position or 0, _samples(out)
        position = (position or 0) + out.samples


def _shape(frame: AudioFrame) -> tuple[str, str, int]:
    return frame.format.name, frame.layout.name, frame.sample_rate


def _samples(frame: AudioFrame) -> Samples:
    return cast(Samples, frame.to_ndarray()).reshape(frame.samples, -1)


def _cut(blocks: Iterator[tuple[int, Samples]], begin: int, request: AudioRequest, rate: int) -> Iterator[Samples]:
    """The samples from ``begin`` on for the wanted duration, joined to blocks of about a second."""
    end = None if request.duration_s is None else begin + round(Fraction(request.duration_s) * rate)
    held: list[Samples] = []
    at = begin
    for position, samples in blocks:
        begins = position if end is None else min(position, end)
        for quiet in range(at, begins, rate):  # the sound starts later than asked for
            yield np.zeros((min(rate, begins - quiet), samples.shape[1]), np.float32)
        at = max(at, begins)
        part = samples[max(0, at - position) : None if end is None else max(0, end - position)]
        held += [part] if len(part) else []
        at += len(part)
        if sum(map(len, held)) >= rate:
            yield np.concatenate(held)
            held = []
        if end is not None and at >= end:
            break
    if held:
        yield np.concatenate(held)
