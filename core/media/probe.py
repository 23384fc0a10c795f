"""Which kind of file it is, and what is known of it."""

from pathlib import Path

from core.media.film import FilmSource
from core.media.info import AudioInfo, MediaInfo
from core.media.limits import DEFAULT_LIMITS, MediaLimits, checked_path
from core.media.pictures import PictureSource, is_picture
from core.media.source import Source

__all__ = ["AudioInfo", "MediaInfo", "open_source", "probe"]


def open_source(path: str | Path, limits: MediaLimits) -> Source:
    """Open a film or a picture, by its content and not by its name; the caller closes it.

    Raises:
        MediaError: see `probe`.
    """
    real = checked_path(path, limits)
    return PictureSource(real, limits) if is_picture(real) else FilmSource(real, limits)


def probe(path: str | Path, limits: MediaLimits = DEFAULT_LIMITS) -> MediaInfo:
    """Look at a file: the header, the packets at its end, and one decoded picture.

    Raises:
        PathNotAllowedError: it lies outside the allowed folders.
        MediaOpenError: it is missing, empty, or no media.
        MediaLimitError: it is larger or longer than the limits allow, by its header or in truth.
        NoVideoTrackError: it has only sound.
        MediaDamagedError: not one picture of it can be decoded.
    """
    source = open_source(path, limits)
    source.close()
    return source.info
