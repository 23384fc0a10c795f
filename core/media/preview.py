"""Films that a browser plays: which ones already do, and a copy of those that do not."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from core.errors import MediaDamagedError, NoAudioTrackError
from core.media.audio import AudioClip, AudioRequest, stream_audio
from core.media.info import MediaInfo
from core.media.limits import DEFAULT_LIMITS, MediaLimits
from core.media.video import VideoReader
from core.media.write import EncodeOptions, write_video

if TYPE_CHECKING:
    from core.runtime import Progress

_PLAYABLE = {
    **dict.fromkeys(("mp4", "mov"), ({"h264"}, {"aac", "mp3"})),
    "webm": ({"vp8", "vp9", "libvpx", "libvpx-vp9", "libdav1d", "av1"}, {"opus", "vorbis", "libopus", "libvorbis"}),
}
_SHORTEST_S = Fraction(1, 10)
_HIGHEST_RATE = 60
_CHANNELS_KEPT = (1, 2, 6)
_OPTIONS = EncodeOptions(crf=23)


def browser_playable(info: MediaInfo) -> bool:
    """Whether current browsers play the file as it is.

    They do: MP4 and MOV with H.264 yuv420p, WebM with VP8, VP9 or AV1, each silent or with the sound codecs usual
    there. Whatever else some of them may play is said not to be.
    """
    if info.container not in _PLAYABLE or info.interlaced:
        return False
    pictures, sounds = _PLAYABLE[info.container]
    right_format = info.pixel_format in ("yuv420p", "yuvj420p") or info.container == "webm"
    return info.codec in pictures and right_format and (info.audio is None or info.audio.codec in sounds)


def write_preview(
    path: str | Path,
    out: str | Path,
    progress: "Progress | None" = None,
    max_side_px: int = 1280,
    limits: MediaLimits = DEFAULT_LIMITS,
) -> None:
    """Write a copy as MP4 (H.264, AAC) that any browser plays, picture by picture, with its sound.

    Mono, stereo and 5.1 stay so, any other number of channels is mixed to one; sound that cannot be decoded is left
    out. The frame rate is the film's average, at most 60. A still picture becomes a film of a tenth of a second.

    Args:
        path: the film.
        out: the copy, ``.mp4``.
        progress: told ``(done, total, what)`` in frames; what it raises stops the work and leaves no file.
        max_side_px: the longer side is made no longer than this.
        limits: bounds on the film.

    Raises:
        MediaError: the film cannot be read.
    """
    with VideoReader(path, max_side_px, limits=limits) as reader:
        info = reader.info
        rate = Fraction(10) if info.is_still else min(info.frame_rate, Fraction(_HIGHEST_RATE))
        sound = None if info.audio is None else _sound(info, limits)
        write_video(out, _reported(reader, rate, progress), rate, sound, _OPTIONS)


def _reported(reader: VideoReader, rate: Fraction, progress: "Progress | None") -> Iterator[NDArray[np.uint8]]:
    total = max(1, round(max(reader.info.duration_s, _SHORTEST_S) * rate))
    for done, frame in enumerate(reader.frames_at_rate(rate)):
        if progress is not None:
            progress(min(done, total), total, "frames")
        yield frame.pixels
    if progress is not None:
        progress(total, total, "frames")


def _sound(info: MediaInfo, limits: MediaLimits) -> Iterator[AudioClip]:
    """The sound in blocks of 48 kHz; nothing when it cannot be decoded."""
    mono = info.audio is not None and info.audio.channels not in _CHANNELS_KEPT
    try:
        yield from stream_audio(info.path, AudioRequest(sample_rate=48000, mono=mono), limits)
    except (NoAudioTrackError, MediaDamagedError):
        return
