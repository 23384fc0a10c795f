"""Another process that writes to a library, obeying the lines on its standard input.

``upsert ADDRESS A B`` adds the records numbered A to B - 1 in one call and prints how many were new; ``stream ADDRESS
A`` adds batches of `BATCH` from A on for ever, and prints each batch's first number once it is acknowledged. ``hash
ADDRESS A B`` upserts records with codes, and ``forget ADDRESS A B`` removes them. ``set ADDRESS A`` writes the numbers
from A on for ever to the setting `KEY`, and prints each once it is acknowledged. ``index ADDRESS LONG`` makes the
index, however small the library is, and with LONG 1 the one for long vectors.
"""

import subprocess
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path

from core.store import lance, open_library, write_setting
from tests.store.makers import ENCODER, HASHING, hashed, record, record_id

BATCH = 3
KEY = "current"


class Writer:
    """Such a process; loading the engine takes it seconds, so it may serve several tests."""

    def __init__(self) -> None:
        root = Path(__file__).resolve().parents[2]
        command = [sys.executable, "-m", "tests.store.writer"]
        self.process = subprocess.Popen(
            command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )

    def tell(self, *order: object) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(" ".join(map(str, order)) + "\n")

    def hear(self) -> int:
        assert self.process.stdout is not None
        return int(self.process.stdout.readline())

    def alive(self) -> bool:
        return self.process.poll() is None

    def kill(self) -> list[int]:
        """SIGKILL; return the numbers that it had printed and nobody heard yet."""
        self.process.kill()
        with self.process as ended:
            assert ended.stdout is not None
            return [int(line) for line in ended.stdout if line.endswith("\n")]


def upsert(address: str, first: str, last: str) -> None:
    library = open_library(address, "videos", ENCODER)
    print(library.add([record(number) for number in range(int(first), int(last))]), flush=True)


def hash_(address: str, first: str, last: str) -> None:
    library = open_library(address, "videos", HASHING)
    print(library.add([hashed(number) for number in range(int(first), int(last))]), flush=True)


def forget(address: str, first: str, last: str) -> None:
    library = open_library(address, "videos", HASHING)
    print(library.remove([record_id(number) for number in range(int(first), int(last))]), flush=True)


def stream(address: str, first: str) -> None:
    library = open_library(address, "videos", ENCODER)
    for number in count(int(first), BATCH):
        library.add([record(number + step) for step in range(BATCH)])
        print(number, flush=True)


def set_(address: str, first: str) -> None:
    for number in count(int(first)):
        write_setting(address, KEY, str(number))
        print(number, flush=True)


def index(address: str, long_vectors: str) -> None:
    lance.MANY_UNINDEXED = 1
    lance.LONG_VECTOR = 1 if int(long_vectors) else lance.LONG_VECTOR
    open_library(address, "videos", ENCODER).optimise()
    print(1, flush=True)


ORDERS: dict[str, Callable[..., None]] = {
    "upsert": upsert,
    "hash": hash_,
    "forget": forget,
    "stream": stream,
    "set": set_,
    "index": index,
}


def main() -> None:
    import lancedb  # noqa: F401 - the engine is loaded before the first order, so that all obey at the same moment

    for line in sys.stdin:
        order, *arguments = line.split()
        ORDERS[order](*arguments)


if __name__ == "__main__":
    main()
