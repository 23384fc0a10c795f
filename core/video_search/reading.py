"""From a file to the features of its frames; what cannot be compared is refused."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from core.digest import sha256_of
from core.encoders.image import ImageEncoder, Pictures, Vectors
from core.errors import ClipTooShortError, MediaDamagedError, MediaLimitError
from core.media import Frame, MediaInfo, MediaLimits, VideoReader, checked_path, missing_bytes
from core.runtime import Progress, silent
from core.video_search.config import SearchConfig
from core.video_search.features import sampling_rate

MIN_SIDE_PX = 16


def frame_features(
    path: Path, encoder: ImageEncoder, config: SearchConfig, progress: Progress = silent
) -> tuple[float, Vectors]:
    """Duration in seconds, and features (T, D) of frames evenly spaced over it.

    The whole picture is looked at, at the encoder's size; a frame a second, more often where the film is short.

    Raises:
        MediaError: the file is missing, no video, damaged, over the limits, or outside the allowed folders.
        CancelledError: ``progress`` says so.
    """
    with VideoReader(path, size=(encoder.size, encoder.size), limits=config.limits) as reader:
        _check_comparable(reader.info)
        duration = reader.info.duration_s
        rate = sampling_rate(duration, config.frame_rate, config.min_frames)
        frames = _counted(reader.frames_at_rate(rate), max(1, round(duration * rate)), path.name, progress)
        batches = [encoder.encode(np.stack(batch)) for batch in _batches(frames, config.batch_frames)]
        _check_undamaged(reader)
    return float(duration), np.concatenate(batches)


def content_id(path: Path, limits: MediaLimits) -> str:
    """sha256 of the bytes of a file, in hexadecimal; the id of its row.

    Raises:
        MediaError: the file is missing or outside the allowed folders.
    """
    return sha256_of(checked_path(path, limits))


def _check_comparable(info: MediaInfo) -> None:
    name = info.path.name
    if info.is_still:
        raise ClipTooShortError(f"{name} is a still picture; give a film or an animated picture.")
    if min(info.width, info.height) < MIN_SIDE_PX:
        raise MediaLimitError(
            f"{name} is {info.width} × {info.height} pixels, too small to compare; "
            f"give a film of at least {MIN_SIDE_PX} × {MIN_SIDE_PX}."
        )
    if missing := missing_bytes(info.path):
        raise MediaDamagedError(f"{name} is cut short by {missing} bytes; copy or export it again.")


def _check_undamaged(reader: VideoReader) -> None:
    if reader.damaged_packets:
        raise MediaDamagedError(
            f"{reader.info.path.name} is damaged: {reader.damaged_packets} of its packets cannot be decoded; "
            "copy or export it again."
        )


def _batches(frames: Iterable[Frame], size: int) -> Iterator[list[Pictures]]:
    """The pixels of frames, ``size`` at a time."""
    batch: list[Pictures] = []
    for frame in frames:
        batch.append(frame.pixels)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _counted(frames: Iterable[Frame], total: int, what: str, progress: Progress) -> Iterator[Frame]:
    """Pass frames on and report each; this is where a job notices that it is to stop."""
    for done, frame in enumerate(frames, 1):
        progress(min(done, total), total, what)
        yield frame
