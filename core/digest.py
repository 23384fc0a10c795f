"""Names that stand for contents: of a file by its bytes, of facts by how they are written."""

import hashlib
from pathlib import Path


def sha256_of(path: str | Path) -> str:
    """The sha256 of a file, in hexadecimal, read in pieces: memory does not grow with its size."""
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def key_of(*facts: object) -> str:
    """A name for a file that stands for some facts, 32 hexadecimal figures."""
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:32]
