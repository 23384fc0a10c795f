"""Collections of films: the files of a folder or of a bucket, and one of them as a file of this machine."""

import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlencode

from core.errors import MediaError, MediaLimitError, MediaOpenError
from core.media.limits import DEFAULT_LIMITS, MediaLimits, checked_path
from core.store.address import storage_options

VIDEO_SUFFIXES = (
    *(".3gp", ".apng", ".asf", ".avi", ".flv", ".gif", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg"),
    *(".mts", ".mxf", ".ogv", ".ts", ".vob", ".webm", ".webp", ".wmv"),
)
"""What a file of a collection ends in, in small letters, when it may be a film or an animated picture."""
SOUND_SUFFIXES = (
    *(".aac", ".aif", ".aiff", ".flac", ".it", ".m4a", ".mid", ".midi", ".mka", ".mod", ".mp2", ".mp3", ".oga"),
    *(".ogg", ".opus", ".s3m", ".wav", ".weba", ".wma", ".xm"),
)
"""The same for a piece of music; MIDI and tracker modules, which nothing here plays, are named when they are read."""
_S3 = "s3://"


def video_files(address: str, limits: MediaLimits = DEFAULT_LIMITS) -> list[str]:
    """The addresses of all films below a folder or a prefix, sorted; a single file is its own collection.

    Files are chosen by their suffix (`VIDEO_SUFFIXES`); hidden ones, and those in hidden folders, are left out.

    Args:
        address: a folder, or ``s3://bucket/prefix``; keys, region and endpoint come from the ``AWS_*`` variables.
        limits: bounds on a single file, and the folders that files may lie in.

    Raises:
        PathNotAllowedError: the folder lies outside the allowed ones.
        MediaOpenError: it is missing, holds no film, or may not be read.
    """
    files = _files(address, limits, VIDEO_SUFFIXES)
    if not files:
        raise MediaOpenError(f"{address} holds no film; give a folder or prefix with files such as .mp4 or .mkv.")
    return files


def sound_files(address: str, limits: MediaLimits = DEFAULT_LIMITS) -> list[str]:
    """The addresses of all pieces of music below a folder or a prefix, as `video_files` gives those of films.

    Raises:
        PathNotAllowedError: the folder lies outside the allowed ones.
        MediaOpenError: it is missing, holds no music, or may not be read.
    """
    files = _files(address, limits, SOUND_SUFFIXES)
    if not files:
        raise MediaOpenError(f"{address} holds no music; give a folder or prefix with files such as .mp3 or .ogg.")
    return files


def all_files(
    addresses: Sequence[str],
    limits: MediaLimits = DEFAULT_LIMITS,
    listing: Callable[[str, MediaLimits], list[str]] = video_files,
) -> tuple[list[str], list[dict[str, str]]]:
    """The files below folders and prefixes, and single files as they are, so that what is wrong is said of each later.

    Args:
        addresses: files, folders, or ``s3://bucket/prefix``.
        limits: see `video_files`.
        listing: what lists a folder: `video_files` or `sound_files`.

    Returns:
        The addresses, and for each folder or prefix that cannot be listed its ``path`` and ``error``.
    """
    found: list[str] = []
    errors: list[dict[str, str]] = []
    for address in addresses:
        try:
            found += listing(address, limits) if Path(address).is_dir() or "://" in address else [address]
        except MediaError as error:
            errors.append({"path": address, "error": str(error)})
    return found, errors


def limits_of_local(address: str, limits: MediaLimits) -> MediaLimits:
    """What bounds the file that `local_file` gives of an address: a download lies outside the allowed folders."""
    return replace(limits, allowed_roots=()) if _is_remote(address) else limits


@contextmanager
def local_file(address: str, limits: MediaLimits = DEFAULT_LIMITS) -> Iterator[Path]:
    """A file of a collection as a file of this machine: itself, or a download that is deleted afterwards.

    The download bears the name of the original, and lies outside ``limits.allowed_roots``.

    Raises:
        MediaError: it is missing, empty, over the limits, outside the allowed folders, or may not be read.
    """
    if not _is_remote(address):
        checked_path(address, limits)
        yield Path(address)
        return
    with tempfile.TemporaryDirectory(prefix="showreel-") as folder:
        yield _download(address, Path(folder), limits)


def _is_remote(address: str) -> bool:
    """True for a bucket, False for a path.

    Raises:
        MediaOpenError: the address is of another kind.
    """
    if "://" in address and not address.startswith(_S3):
        raise MediaOpenError(f"{address} is no address of films; give a folder or s3://bucket/prefix.")
    return address.startswith(_S3)


def _files(address: str, limits: MediaLimits, suffixes: tuple[str, ...]) -> list[str]:
    return sorted(_objects(address, suffixes) if _is_remote(address) else _folder_files(address, limits, suffixes))


def _is_wanted(path: PurePosixPath | Path, suffixes: tuple[str, ...]) -> bool:
    return path.suffix.lower() in suffixes and not any(part.startswith(".") for part in path.parts)


def _folder_files(address: str, limits: MediaLimits, suffixes: tuple[str, ...]) -> list[str]:
    folder = Path(address).absolute()
    try:
        checked_path(folder, limits)
        return [str(folder)]
    except MediaOpenError:  # a folder is no file, which is said only after the allowed roots were looked at
        if not folder.is_dir():
            raise
    found = (path for path in folder.rglob("*") if _is_wanted(path.relative_to(folder), suffixes))
    return [str(path) for path in found if path.is_file()]


def _objects(address: str, suffixes: tuple[str, ...]) -> list[str]:
    from pyarrow.fs import FileSelector, FileType

    key = address.removeprefix(_S3).rstrip("/")
    with _said_of(address):
        store = _object_store(address)
        found = store.get_file_info(key)
        if found.type == FileType.File:
            return [_S3 + key]
        entries = store.get_file_info(FileSelector(key, recursive=True))
    names = [entry.path for entry in entries if entry.type == FileType.File]
    return [_S3 + name for name in names if _is_wanted(PurePosixPath(name).relative_to(key), suffixes)]


def _download(address: str, folder: Path, limits: MediaLimits) -> Path:
    key = address.removeprefix(_S3)
    target = folder / key.rpartition("/")[2]
    with _said_of(address):
        store = _object_store(address)
        size = store.get_file_info(key).size or 0
        if size > limits.max_bytes:
            raise MediaLimitError(
                f"{address} has {size} bytes, more than the {limits.max_bytes} allowed; cut it or compress it."
            )
        with store.open_input_stream(key) as source, target.open("wb") as copy:
            shutil.copyfileobj(source, copy, 2**20)
    if size == 0:
        raise MediaOpenError(f"{address} is empty; export it again.")
    return target


def _object_store(address: str) -> Any:
    """The file system of a bucket; without ``AWS_REGION`` the bucket is asked for its region."""
    from pyarrow.fs import FileSystem

    options = storage_options(address)
    query = {"region": options["region"]} if "region" in options else {}
    if "endpoint" in options:
        query["scheme"], _, query["endpoint_override"] = options["endpoint"].partition("://")
    bucket = address.removeprefix(_S3).partition("/")[0]
    return FileSystem.from_uri(f"{_S3}{bucket}?{urlencode(query)}")[0]


@contextmanager
def _said_of(address: str) -> Iterator[None]:
    """Name the address in what object storage complains of."""
    try:
        yield
    except FileNotFoundError as error:
        raise MediaOpenError(f"{address} does not exist; check bucket and prefix.") from error
    except (OSError, ValueError) as error:
        reason = str(error).rpartition("AWS Error ")[2].partition(" (Request ID")[0].rstrip(".")
        raise MediaOpenError(f"{address} cannot be read ({reason}); check it and the AWS_* variables.") from error
