"""The new soundtrack: one recording as it is, or the sum of several, held below full scale; never all in memory."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.media import AudioClip, AudioRequest, MediaLimits, limited, stream_audio

Samples = NDArray[np.float32]

CEILING_DBTP = -1.0
"""True peak of a sum of recordings."""
_STEREO = 2


def soundtrack(recordings: Sequence[Path], limits: MediaLimits) -> Iterator[AudioClip]:
    """The sound of some recordings that begin together, in clips of about a second.

    A single one keeps its samples, rate and channels. Several are brought to the highest of their rates and, where one
    of them is stereo, to stereo, mono in the middle; more than two channels are first mixed to one. Their sum is held
    below -1 dBTP where it would rise above, and lasts as long as the longest.

    Args:
        recordings: files with sound, one at least.
        limits: bounds on the files.

    Raises:
        MediaError: one cannot be read, or has no sound.
    """
    if len(recordings) == 1:
        return stream_audio(recordings[0], AudioRequest(), limits)
    first = [clip for clip in (_first(recording, limits) for recording in recordings) if clip is not None]
    rate = max((clip.sample_rate for clip in first), default=1)
    channels = max((_STEREO if clip.samples.shape[1] == _STEREO else 1 for clip in first), default=1)
    streams = [stream_audio(recording, AudioRequest(rate), limits) for recording in recordings]
    parts = [_even((_as_channels(clip.samples, channels) for clip in stream), rate) for stream in streams]
    return limited(_summed(parts, rate), 0.0, CEILING_DBTP)


def _first(recording: Path, limits: MediaLimits) -> AudioClip | None:
    with closing(stream_audio(recording, AudioRequest(), limits)) as clips:  # type: ignore[type-var]
        return next(clips, None)


def _as_channels(samples: Samples, channels: int) -> Samples:
    """Samples (N, C) as (N, channels), 1 or 2."""
    if samples.shape[1] > _STEREO:
        samples = samples.mean(axis=1, keepdims=True)
    return samples if samples.shape[1] == channels else np.repeat(samples, channels, axis=1)


def _even(blocks: Iterable[Samples], length: int) -> Iterator[Samples]:
    """The same samples in blocks of one length, the last one shorter."""
    held: list[Samples] = []
    for block in blocks:
        held.append(block)
        while sum(map(len, held)) >= length:
            joined = np.concatenate(held)
            yield joined[:length]
            held = [joined[length:]]
    joined = np.concatenate(held) if held else np.zeros((0, 1), np.float32)
    if len(joined):
        yield joined


def _summed(parts: Sequence[Iterator[Samples]], rate: int) -> Iterator[AudioClip]:
    """The sum of blocks of one length, until the last of the recordings has ended."""
    while blocks := [block for block in (next(part, None) for part in parts) if block is not None]:
        total = np.zeros((max(map(len, blocks)), blocks[0].shape[1]), np.float32)
        for block in blocks:
            total[: len(block)] += block
        yield AudioClip(total, rate)
