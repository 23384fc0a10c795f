"""Writing a file whole or not at all: beside its place under another name, then renamed."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av

from core.errors import MediaError, ParameterError


@contextmanager
def written_whole(out: str | Path) -> Iterator[Path]:
    """Give a temporary path in the folder of ``out``, renamed to it at the end, or removed when anything is raised.

    Raises:
        ParameterError: the folder does not exist.
        MediaError: libav cannot write the file.
    """
    target = Path(out)
    if not target.parent.is_dir():
        raise ParameterError(f"The folder {target.parent} does not exist; create it, or write elsewhere.")
    part = target.with_name(f".{target.stem}.{secrets.token_hex(4)}{target.suffix}")
    try:
        yield part
        part.replace(target)
    except (av.FFmpegError, IsADirectoryError) as error:
        reason = error.strerror or str(error)
        raise MediaError(f"{target.name} cannot be written ({reason}); check the disk and the file's type.") from error
    finally:
        part.unlink(missing_ok=True)
