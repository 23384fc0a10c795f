"""Jobs for tests of bulk work; a module of its own, since every worker imports it."""

import hashlib
import os
import signal
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from core.errors import MediaOpenError, WeightsNotFoundError


@dataclass(frozen=True)
class Workshop:
    """Makes a job that hashes words, except those that begin with a word it knows better.

    "unreadable" is reported, "fragile" kills the first process that meets it, "poison" every process, "bug" raises
    what no job should, and "endless" is never done. The folder tells which processes there were.
    """

    folder: Path

    def __call__(self) -> Callable[[str], str]:
        (self.folder / f"{os.getpid()}.worker").touch()
        return self.hash

    def hash(self, word: str) -> str:
        what = word.split()[0]
        if what == "unreadable":
            raise MediaOpenError(f"{word} does not exist; check the path.")
        if what == "poison" or (what == "fragile" and not self.has_met(word)):
            self.meet(word)
            tempfile.mkdtemp()
            os.kill(os.getpid(), signal.SIGKILL)
        if what == "bug":
            raise ZeroDivisionError(word)
        if what == "endless":
            tempfile.mkdtemp()
            threading.Event().wait()
        return hashlib.sha256(word.encode()).hexdigest()

    def meet(self, word: str) -> None:
        (self.folder / f"{word}.met").touch()

    def has_met(self, word: str) -> bool:
        return (self.folder / f"{word}.met").exists()

    def workers(self) -> list[int]:
        return [int(path.stem) for path in self.folder.glob("*.worker")]


def without_weights() -> Callable[[str], str]:
    raise WeightsNotFoundError("The weights of the tests are missing; fetch them.")


def counting_threads() -> Callable[[str], int]:
    import torch

    return lambda word: torch.get_num_threads()
