"""What goes up to a Space: the files that git tracks, less those that only its makers need."""

import subprocess
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from core.errors import PublishError

LEFT_OUT = ("tests", ".ci", "requirements-dev.txt", "Dockerfile", "compose.yaml", ".dockerignore", ".gitignore",
            ".gitattributes")  # fmt: skip
"""Folders and files that stay at home. The Space keeps a .gitattributes of its own: it says what is stored as large."""
PAGES = "docs"
"""Of this folder only what another page names goes up."""
LARGE_BYTES = 10_000_000
"""From this size on a Space takes a file only into its storage for large files."""


@dataclass(frozen=True)
class Item:
    """One file that goes up.

    Attributes:
        path: relative to the root, with forward slashes; the same on the Space.
        bytes: its size.
    """

    path: str
    bytes: int

    @property
    def large(self) -> bool:
        """True when it goes into the storage for large files."""
        return self.bytes > LARGE_BYTES


def going_up(root: Path) -> list[Item]:
    """The files that go up, by path, as they lie in the working folder.

    Raises:
        PublishError: the folder is not under git, or a tracked file is gone or is a link.
    """
    tracked = [path for path in _git(root, "ls-files", "-z").split("\0") if path]
    kept = [path for path in tracked if not _left_out(path)]
    pages = "".join(
        (root / path).read_text("utf-8") for path in kept if path.endswith(".md") and (root / path).is_file()
    )
    kept = [path for path in kept if _parts(path)[0] != PAGES or path in pages]
    return [Item(path, _size(root / path)) for path in sorted(kept)]


def revision_of(root: Path) -> str:
    """The git revision of the working folder.

    Raises:
        PublishError: there is none.
    """
    return _git(root, "rev-parse", "HEAD").strip()


def modified(root: Path) -> list[str]:
    """The tracked files that differ from the revision.

    Raises:
        PublishError: the folder is not under git.
    """
    told = _git(root, "diff", "--name-only", "-z", "HEAD", "--")
    return [path for path in told.split("\0") if path and not _left_out(path)]


def _left_out(path: str) -> bool:
    return _parts(path)[0] in LEFT_OUT


def _parts(path: str) -> tuple[str, ...]:
    return PurePosixPath(path).parts


def _size(path: Path) -> int:
    if path.is_symlink() or not path.is_file():
        raise PublishError(f"{path} is tracked by git but is no file here; bring it back, or remove it from git.")
    return path.stat().st_size


def _git(root: Path, *words: str) -> str:
    try:
        done = subprocess.run(["git", "-C", root, *words], capture_output=True, check=True)
    except FileNotFoundError as error:
        raise PublishError("git is not installed, and only what git tracks goes up; install it.") from error
    except subprocess.CalledProcessError as error:
        raise PublishError(f"git cannot tell what {root} holds ({error.stderr.decode().strip()}).") from error
    return done.stdout.decode("utf-8")
