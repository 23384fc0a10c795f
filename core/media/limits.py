"""What may be opened: the bounds on a file, and the folders it may lie in; all checked before anything is decoded."""

import os
from dataclasses import dataclass
from pathlib import Path

from core.errors import MediaLimitError, MediaOpenError, ParameterError, PathNotAllowedError

DURATION_VARIABLE = "SHOWREEL_MAX_DURATION_S"
ROOTS_VARIABLE = "SHOWREEL_ROOTS"


@dataclass(frozen=True)
class MediaLimits:
    """Bounds on one file.

    Attributes:
        max_duration_s: longest film or sound, in seconds; what the header claims counts as well as what is there.
        max_pixels: largest picture, width times height.
        max_streams: most streams of any kind in one file.
        max_bytes: largest file.
        allowed_roots: folders that files must lie in once symbolic links are followed; empty allows every folder.

    Raises:
        ParameterError: a bound is not positive.
    """

    max_duration_s: float = 4 * 3600
    max_pixels: int = 8192 * 4320
    max_streams: int = 32
    max_bytes: int = 8 * 2**30
    allowed_roots: tuple[Path, ...] = ()

    def __post_init__(self) -> None:
        for name in ("max_duration_s", "max_pixels", "max_streams", "max_bytes"):
            if not getattr(self, name) > 0:
                raise ParameterError(f"{name} is {getattr(self, name)}; give a number above zero.")


DEFAULT_LIMITS = MediaLimits()


def limits_from_environment() -> MediaLimits:
    """The limits that ``SHOWREEL_MAX_DURATION_S`` and ``SHOWREEL_ROOTS`` set (folders separated as in ``PATH``).

    Raises:
        ParameterError: the duration is not a positive number, or a root is not a folder.
    """
    text = os.environ.get(DURATION_VARIABLE, "")
    try:
        duration_s = float(text) if text else MediaLimits.max_duration_s
    except ValueError as error:
        raise ParameterError(f"{DURATION_VARIABLE} is {text!r}; give a number of seconds.") from error
    roots = tuple(Path(root) for root in os.environ.get(ROOTS_VARIABLE, "").split(os.pathsep) if root)
    for root in roots:
        if not root.is_dir():
            raise ParameterError(f"{ROOTS_VARIABLE} names {root}, which is not a folder; create it or take it out.")
    return MediaLimits(max_duration_s=duration_s, allowed_roots=roots)


def checked_path(path: str | Path, limits: MediaLimits) -> Path:
    """Follow symbolic links and return the real path of a file that may be read.

    Raises:
        PathNotAllowedError: it lies outside the allowed roots (said before whether it exists).
        MediaOpenError: it does not exist, is not a regular file, is empty, or may not be read.
        MediaLimitError: it has more bytes than the limits allow.
    """
    if "\0" in str(path):
        raise MediaOpenError("The path holds a zero byte; give the path of a file.")
    real = Path(os.path.realpath(path))
    roots = [Path(os.path.realpath(root)) for root in limits.allowed_roots]
    if roots and not any(real.is_relative_to(root) for root in roots):
        raise PathNotAllowedError(f"{path} lies outside the allowed folders; move it into {limits.allowed_roots[0]}.")
    if not real.exists():
        raise MediaOpenError(f"{path} does not exist; check the path.")
    if not real.is_file():
        raise MediaOpenError(f"{path} is not a file; give the path of a film, picture or sound.")
    if not os.access(real, os.R_OK):
        raise MediaOpenError(f"{path} may not be read; change its permissions.")
    size = real.stat().st_size
    if size == 0:
        raise MediaOpenError(f"{path} is empty; export it again.")
    if size > limits.max_bytes:
        raise MediaLimitError(
            f"{path} has {size} bytes, more than the {limits.max_bytes} allowed; cut it or compress it."
        )
    return real
