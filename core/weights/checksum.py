"""Is a file the one that its manifest promises? A wrong one is moved aside and named."""

from functools import lru_cache
from pathlib import Path

from core.digest import sha256_of
from core.errors import ChecksumMismatchError
from core.weights.formats import demand_safe_header
from core.weights.manifest import WeightFile


@lru_cache(maxsize=4096)
def _remembered_sha256(path: Path, size: int, modified_ns: int) -> str:
    """`sha256_of`, once a process for as long as size and time of change stay the same; nothing is kept on disk."""
    return sha256_of(path)


def demand_right_file(path: Path, file: WeightFile, remedy: str) -> Path:
    """Return ``path`` when it holds the promised bytes; otherwise move it aside.

    A file without a digest (not pinned) passes, but for the look at its header.

    Args:
        path: an existing file, or a symbolic link to one.
        file: what the manifest says of it.
        remedy: the closing words of the message.

    Raises:
        ChecksumMismatchError: the bytes are others; the message names the file, where it is now, and the remedy.
        WeightsError: it is a ``model.bin`` of an unknown kind.
    """
    stat = path.stat()
    digest = _remembered_sha256(path.resolve(), stat.st_size, stat.st_mtime_ns) if file.sha256 else ""
    if digest == (file.sha256 or ""):
        demand_safe_header(path, file.path)
        return path
    try:
        fate = f"it was moved aside to {_move_aside(path, digest)}"
    except OSError as error:
        fate = f"it could not be moved aside ({error.strerror})"
    raise ChecksumMismatchError(f"{path} has {_difference(stat.st_size, digest, file)}; {fate}. {remedy}")


def is_right(path: Path, file: WeightFile) -> bool:
    """Does it hold the promised bytes? As `demand_right_file` sees it, digest remembered, but nothing is moved."""
    stat = path.stat()
    return file.sha256 in (None, _remembered_sha256(path.resolve(), stat.st_size, stat.st_mtime_ns))


def mismatch(path: Path, file: WeightFile) -> str | None:
    """What is wrong with a file, read afresh and left where it is; None when nothing is."""
    size, digest = path.stat().st_size, sha256_of(path)
    if file.sha256 in (None, digest) and file.bytes in (None, size):
        return None
    return f"{path} has {_difference(size, digest, file)}"


def _difference(size: int, digest: str, file: WeightFile) -> str:
    if file.bytes not in (None, size):
        return f"{size} bytes, not the {file.bytes} of its manifest"
    return f"sha256 {digest}, not the {file.sha256} of its manifest"


def _move_aside(path: Path, digest: str) -> Path:
    """Rename the file itself, not the links to it: in the Hub's cache that is what a fresh download looks for."""
    real = path.resolve()
    return real.replace(real.with_name(f"{real.name}.wrong-{digest[:8]}"))
