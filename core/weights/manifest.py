"""What a folder of weights promises: ``weights/<name>/manifest.toml`` as a frozen, checked dataclass.

    name = "minilm"
    profile = "embedded"              # or "hub"
    licence = "Apache-2.0"
    source = "where it comes from, in words"
    revision = "1"                    # the commit (40 hex digits) when there is a repository, else our own version
    repository = "owner/name"         # on the Hub; may be left out when the files lie beside the manifest
    training_command = "python -m …"  # may be left out
    conversion = "what was changed"   # may be left out

    [[files]]
    path = "model.safetensors"
    sha256 = "64 hex digits"
    bytes = 45437760

A manifest of the hub profile may be written before anybody asked the Hub: then ``revision`` is a branch and the files
have no ``sha256`` and ``bytes``. It is not *pinned*, and ``python -m core.weights fetch NAME --pin`` completes it.
"""

import hashlib
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import get_args

from core.errors import WeightsError, WeightsNotFoundError
from core.runtime import Profile
from core.weights.formats import refusal

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")
_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class WeightFile:
    """One file of a manifest.

    Attributes:
        path: relative, with forward slashes; the same in ``weights/<name>/`` and in the repository.
        sha256: 64 lower-case hex digits, or None when it is not pinned yet.
        bytes: its size, or None when it is not pinned yet.
    """

    path: str
    sha256: str | None = None
    bytes: int | None = None

    def __post_init__(self) -> None:
        _check_path(self.path)
        if self.sha256 is not None and not (isinstance(self.sha256, str) and _SHA256.fullmatch(self.sha256)):
            raise WeightsError(f"sha256 of {self.path} is {self.sha256!r}; write 64 lower-case hex digits.")
        if self.bytes is not None and (type(self.bytes) is not int or self.bytes < 0):
            raise WeightsError(f"bytes of {self.path} is {self.bytes!r}; write its size as a whole number.")

    @property
    def pinned(self) -> bool:
        """True when both digest and size are known."""
        return self.sha256 is not None and self.bytes is not None


@dataclass(frozen=True)
class Manifest:
    """A checked manifest; the fields are those of the file, see the head of this module.

    Raises:
        WeightsError: a field has a wrong form; the message names the key.
    """

    name: str
    profile: Profile
    licence: str
    source: str
    revision: str
    files: tuple[WeightFile, ...]
    repository: str | None = None
    training_command: str | None = None
    conversion: str | None = None

    def __post_init__(self) -> None:
        for key in ("licence", "source", "revision"):
            _check_text(key, getattr(self, key))
        for key in ("training_command", "conversion"):
            if getattr(self, key) is not None:
                _check_text(key, getattr(self, key))
        if not (isinstance(self.name, str) and _NAME.fullmatch(self.name)):
            raise WeightsError(f"name is {self.name!r}; use lower-case letters, digits, '.', '_' and '-'.")
        if self.profile not in get_args(Profile):
            raise WeightsError(f"profile is {self.profile!r}; write 'embedded' or 'hub'.")
        self._check_repository()
        self._check_files()

    def _check_repository(self) -> None:
        if self.repository is None:
            if self.profile == "hub":
                raise WeightsError("repository is missing; the hub profile needs one, as 'owner/name'.")
        elif not (isinstance(self.repository, str) and _REPOSITORY.fullmatch(self.repository)):
            raise WeightsError(f"repository is {self.repository!r}; write 'owner/name'.")

    def _check_files(self) -> None:
        if not self.files:
            raise WeightsError("files is empty; name at least one in a [[files]] table.")
        path, count = Counter(file.path for file in self.files).most_common(1)[0]
        if count > 1:
            raise WeightsError(f"files names {path} {count} times; once is enough.")
        if self.profile == "embedded" and not self.pinned:
            raise WeightsError(
                "embedded files need sha256 and bytes, and with a repository the revision must be a commit of 40 hex "
                "digits; complete them."
            )

    @property
    def pinned(self) -> bool:
        """True when every digest and size is known, and the revision is a commit wherever there is a repository."""
        fixed = self.repository is None or _COMMIT.fullmatch(self.revision) is not None
        return fixed and all(file.pinned for file in self.files)

    @property
    def bytes(self) -> int | None:
        """The size of all files together, or None when one is unknown."""
        sizes = [file.bytes for file in self.files if file.bytes is not None]
        return sum(sizes) if len(sizes) == len(self.files) else None

    @property
    def sha256(self) -> str | None:
        r"""One digest for the whole, or None when it is not pinned.

        That of the file when there is only one; else the sha256 of the lines ``"<sha256>  <path>\n"`` (as sha256sum
        prints them) sorted by path and joined.
        """
        if not all(file.sha256 for file in self.files):
            return None
        if len(self.files) == 1:
            return self.files[0].sha256
        lines = [f"{file.sha256}  {file.path}\n" for file in sorted(self.files, key=lambda file: file.path)]
        return hashlib.sha256("".join(lines).encode()).hexdigest()

    def file(self, path: str) -> WeightFile:
        """The entry with that path.

        Raises:
            WeightsNotFoundError: there is none; the message lists those there are.
        """
        for file in self.files:
            if file.path == path:
                return file
        known = ", ".join(file.path for file in self.files)
        raise WeightsNotFoundError(f"The manifest of {self.name} has no file {path}; it has {known}.")


def _check_text(key: str, value: object) -> None:
    if not (isinstance(value, str) and value.strip()):
        raise WeightsError(f"{key} is {value!r}; write a text that is not empty.")


def _check_path(path: object) -> None:
    """Refuse what is not a plain relative path of an allowed format."""
    _check_text("path", path)
    text = str(path)
    parts = text.split("/")
    if "\\" in text or ":" in text or any(part in ("", ".", "..") for part in parts):
        raise WeightsError(f"path is {text!r}; write it relative to the folder, with '/', and without '..'.")
    if reason := refusal(str(PurePosixPath(text))):
        raise WeightsError(f"path {text} is refused: {reason}.")
