"""Another process that writes to a library, obeying the lines on its standard input.

``upsert ADDRESS A B`` adds the records numbered A to B - 1 in one call and prints how many were new; ``stream ADDRESS
A`` adds batches of `BATCH` from A on for ever, and prints each batch's first number once it is acknowledged.
"""

import subprocess
import sys
from itertools import count
from pathlib import Path

from core.store import open_library
from tests.store.makers import ENCODER, record

BATCH = 3


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


def main() -> None:
    import lancedb  # noqa: F401 - the engine is loaded before the first order, so that all obey at the same moment

    for line in sys.stdin:
        order, address, first, *last = line.split()
        library = open_library(address, "videos", ENCODER)
        if order == "upsert":
            print(library.add([record(number) for number in range(int(first), int(last[0]))]), flush=True)
        else:
            for number in count(int(first), BATCH):
                library.add([record(number + step) for step in range(BATCH)])
                print(number, flush=True)


if __name__ == "__main__":
    main()
