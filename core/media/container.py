"""Opening files through libav, safely: local files only, nothing that refers to other files, one family of errors."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import cache
from pathlib import Path

import av
from av.container import InputContainer
from av.packet import Packet
from av.stream import Discard, Disposition, Stream
from av.video.stream import VideoStream

from core.errors import MediaDamagedError, MediaLimitError, MediaOpenError, NoVideoTrackError
from core.media.limits import MediaLimits, checked_path
from core.media.wholeness import movie_header_s

# Demuxers that open further files or addresses, make pictures out of text, or take the name for a pattern.
_REFUSED = {
    *("applehttp", "concat", "dash", "hls", "image2", "imf", "lavfi", "rtp", "rtsp", "sap", "sdp", "vobsub"),
    *("webm_dash_manifest", "adf", "bin", "ffmetadata", "idf", "tty", "xbin"),
}
_LONGEST_S = 10**12
_PLAYLIST_STARTS = (b"#EXTM3U", b"ffconcat version", b"[playlist]", b"<?xml", b"<MPD", b"v=0")


@cache
def _format_whitelist() -> str:
    names = {name for joined in av.formats_available for name in joined.split(",")}
    return ",".join(sorted(names - _REFUSED))


def head_of(path: Path, count: int = 4096) -> bytes:
    """The first ``count`` bytes of a file."""
    with path.open("rb") as file:
        return file.read(count)


@contextmanager
def libav_errors(path: str | Path) -> Iterator[None]:
    """Turn every error of libav inside the block into a `MediaDamagedError` about ``path``."""
    try:
        yield
    except av.FFmpegError as error:
        raise MediaDamagedError(
            f"{Path(path).name} is damaged and cannot be decoded ({error.strerror}); export it again."
        ) from error


def decoder_options(limits: MediaLimits) -> dict[str, str]:
    """A second net under `check_pixels`, for pictures that grow later: libav counts its own padding, hence twice."""
    return {"max_pixels": str(2 * limits.max_pixels + 2**16)}


def open_container(path: str | Path, limits: MediaLimits) -> InputContainer:
    """Open one local file for reading; the caller closes it.

    Playlists, concatenation scripts and everything else that points to other files is refused, whatever its name.

    Raises:
        PathNotAllowedError, MediaOpenError, MediaLimitError: see `checked_path`; also for what is no media.
    """
    real = checked_path(path, limits)
    if head_of(real, 256).lstrip(b"\xef\xbb\xbf\r\n\t ").startswith(_PLAYLIST_STARTS):
        raise MediaOpenError(f"{real.name} is a list that names other files; give the film itself.")
    options = decoder_options(limits)
    safety = {"protocol_whitelist": "file", "format_whitelist": _format_whitelist()}
    try:
        container = av.open(f"file:{real}", "r", options=options, container_options=safety, metadata_errors="replace")
    except (av.FFmpegError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise MediaOpenError(
            f"{real.name} is not a film, picture or sound that can be read ({reason}); check it, or export it again."
        ) from error
    if len(container.streams) > limits.max_streams:
        count = len(container.streams)
        container.close()
        raise MediaLimitError(
            f"{real.name} has {count} streams, more than the {limits.max_streams} allowed; export fewer tracks."
        )
    return container


def check_claimed_duration(container: InputContainer, path: Path, limits: MediaLimits) -> None:
    """Refuse a file whose header claims more than the limit, true or not.

    Raises:
        MediaLimitError: it does.
    """
    claims = [movie_header_s(path)]
    claims += [container.duration / av.time_base] if container.duration else []
    claims += [float(s.duration * s.time_base) for s in container.streams if s.duration and s.time_base]
    check_duration(max(claims), path, limits)


def check_duration(duration_s: float, path: Path, limits: MediaLimits) -> None:
    """Refuse a duration beyond the limit.

    Raises:
        MediaLimitError: it is.
    """
    if duration_s > limits.max_duration_s:
        raise MediaLimitError(
            f"{path.name} claims to last {_clock(duration_s)}, more than the {_clock(limits.max_duration_s)} allowed; "
            "cut it, or export it again if that is wrong."
        )


def _clock(duration_s: float) -> str:
    """Seconds as people write them: ``20:00:00``."""
    return str(timedelta(seconds=min(round(duration_s, 1), _LONGEST_S)))


def check_pixels(width: int, height: int, path: Path, limits: MediaLimits) -> None:
    """Refuse a picture beyond the limit.

    Raises:
        MediaLimitError: it is.
    """
    if width * height > limits.max_pixels:
        raise MediaLimitError(
            f"{path.name} has pictures of {width} × {height} pixels, more than the {limits.max_pixels} allowed; "
            "export it smaller."
        )


def picture_stream(container: InputContainer, path: Path) -> VideoStream:
    """The moving picture of a file; the demuxer is told to skip everything else.

    Raises:
        NoVideoTrackError: it has none; the cover of a piece of music does not count.
        MediaOpenError: no decoder is known for it.
    """
    stream = container.streams.best("video")
    if not isinstance(stream, VideoStream) or stream.disposition & Disposition.attached_pic:
        raise NoVideoTrackError(f"{path.name} has no picture, only sound; give a film or a picture.")
    if stream.codec_context is None:
        raise MediaOpenError(f"{path.name} is stored in a way that nothing here decodes; convert it to H.264.")
    read_only(container, stream)
    return stream


def packets_of(container: InputContainer, stream: Stream) -> Iterator[Packet]:
    """The packets of one stream to the end of the file, and an empty one at last, which drains a decoder."""
    try:
        yield from container.demux(stream)
    except IndexError:  # libav met further streams on the way, over which PyAV stumbles at the end
        yield Packet()


def read_only(container: InputContainer, stream: Stream) -> None:
    """Let the demuxer skip all streams but one."""
    for other in container.streams:
        if other.index != stream.index:
            other.discard = Discard.all
