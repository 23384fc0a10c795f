"""Libraries that a process of their own holds, for a server whose jobs run in forks of it: ZeroGPU Spaces.

Neither LanceDB nor gRPC, by which Milvus is reached, survives a fork of the process that uses it. So there the server
opens no library: it starts `core.store.keeper`, which is forked from nothing, and the server and each of its forks ask
that one. Every question opens a connection and closes it, so a fork has nothing to inherit but the socket's name. What
one of them writes, all see, as it is one library.

This is an engine like the others (`core.store.library`), with the same functions, and those of the settings.
"""

import os
import subprocess
import sys
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Client
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import StoreError
from core.lending import ZERO_GPU_VARIABLE
from core.store.address import resolve
from core.store.library import SHORTLIST, Kind
from core.store.record import EncoderVersion, Match, Record

_ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Opened:
    """Which library is asked."""

    address: str
    kind: Kind
    encoder: EncoderVersion


@dataclass(frozen=True)
class Question:
    """What the keeper is asked: a method of a library, or a function of the store.

    Attributes:
        name: of the method or function.
        arguments: of the call.
        library: whose method it is; None: it is a function.
    """

    name: str
    arguments: tuple[Any, ...]
    library: Opened | None = None


@dataclass
class Keeper:
    """The process that holds the libraries, started when it is first needed, and again when it has ended.

    Only the process that made this object starts it; a fork of that one finds it running.
    """

    _server: int = field(default_factory=os.getpid)
    _starting: threading.Lock = field(default_factory=threading.Lock)
    _process: "subprocess.Popen[str] | None" = None
    _socket: str = ""

    @property
    def number(self) -> int:
        """Of the process, by which the system knows it; 0 before its start."""
        return self._process.pid if self._process else 0

    def start(self) -> str:
        """The socket at which the process answers.

        Raises:
            StoreError: it does not start.
        """
        if os.getpid() != self._server:
            return self._socket
        with self._starting:
            if self._process is None or self._process.poll() is not None:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "core.store.keeper", str(self._server)],
                    cwd=_ROOT,
                    env=os.environ | {ZERO_GPU_VARIABLE: ""},
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    text=True,
                )
                assert self._process.stdout is not None
                self._socket = self._process.stdout.readline().strip()
                self._process.stdout.close()
            if not self._socket:
                raise StoreError("The process that holds the libraries does not start; the server's log tells why.")
            return self._socket

    def ask(self, question: Question) -> Any:
        """What the process answers.

        Raises:
            CoreError: as the method or function.
            StoreError: it cannot be reached, or does not answer.
        """
        try:
            with Client(self.start(), "AF_UNIX") as connection:
                connection.send(question)
                answer, error = connection.recv()
        except (OSError, EOFError) as lost:
            raise StoreError("The process that holds the libraries does not answer; try again, or restart the app.") \
                from lost  # fmt: skip
        if error is not None:
            raise error
        return answer


_KEEPER = Keeper()


def start_keeper() -> int:
    """Start the process that holds the libraries, if it does not run, before the first fork; return its number.

    Raises:
        StoreError: it does not start.
    """
    _KEEPER.start()
    return _KEEPER.number


@dataclass(frozen=True)
class ApartLibrary:
    """A `Library` that the keeper holds; made by `open_table`."""

    opened: Opened

    @property
    def address(self) -> str:
        """See `Library.address`."""
        return self.opened.address

    @property
    def kind(self) -> Kind:
        """See `Library.kind`."""
        return self.opened.kind

    @property
    def encoder(self) -> EncoderVersion:
        """See `Library.encoder`."""
        return self.opened.encoder

    def add(self, records: Iterable[Record]) -> int:
        """See `Library.add`."""
        return int(self._ask("add", list(records)))

    def find(self, vector: NDArray[np.floating], top: int = 5, tags: Sequence[str] = ()) -> list[Match]:
        """See `Library.find`."""
        return list(self._ask("find", vector, top, tags))

    def find_codes(
        self,
        code: NDArray[np.uint8],
        top: int = 5,
        tags: Sequence[str] = (),
        rerank: NDArray[np.floating] | None = None,
        shortlist: int = SHORTLIST,
    ) -> list[Match]:
        """See `Library.find_codes`."""
        return list(self._ask("find_codes", code, top, tags, rerank, shortlist))

    def fetch(self, ids: Sequence[str]) -> list[Record]:
        """See `Library.fetch`."""
        return list(self._ask("fetch", list(ids)))

    def records(self, offset: int = 0, limit: int | None = None) -> list[Record]:
        """See `Library.records`."""
        return list(self._ask("records", offset, limit))

    def ids(self) -> set[str]:
        """See `Library.ids`."""
        return set(self._ask("ids"))

    def remove(self, ids: Sequence[str]) -> int:
        """See `Library.remove`."""
        return int(self._ask("remove", list(ids)))

    def optimise(self) -> None:
        """See `Library.optimise`."""
        self._ask("optimise")

    def __contains__(self, id: str) -> bool:
        return bool(self._ask("__contains__", id))

    def __len__(self) -> int:
        return int(self._ask("__len__"))

    def _ask(self, name: str, *arguments: Any) -> Any:
        return _KEEPER.ask(Question(name, arguments, self.opened))


def open_table(address: str | Path, kind: Kind, encoder: EncoderVersion, create: bool = True) -> ApartLibrary:
    """Open or make a library; see `core.store.open_library`."""
    place = resolve(address)
    _KEEPER.ask(Question("open_library", (place, kind, encoder, create)))
    return ApartLibrary(Opened(place, kind, encoder))


def table_sizes(address: str | Path, kind: Kind) -> dict[EncoderVersion, int]:
    """The number of records of a kind by encoder version."""
    return dict(_KEEPER.ask(Question("other_versions", (resolve(address), kind))))


def drop_table(address: str | Path, kind: Kind, encoder: EncoderVersion) -> bool:
    """Delete one library; see `core.store.remove_version`."""
    return bool(_KEEPER.ask(Question("remove_version", (resolve(address), kind, encoder))))


def read_settings(address: str | Path) -> dict[str, str]:
    """See `core.store.read_settings`."""
    return dict(_KEEPER.ask(Question("read_settings", (resolve(address),))))


def write_setting(address: str | Path, key: str, value: str) -> None:
    """See `core.store.write_setting`."""
    _KEEPER.ask(Question("write_setting", (resolve(address), key, value)))
