"""The process that holds the libraries of a server: ``python -m core.store.keeper SERVER``, which the server starts.

It writes the name of its socket as a line to standard output, and ends when the server has ended, in whichever way.
The socket lies in a folder that only its own user can enter. What is no `CoreError` ends the one answer, not the
process, and is told to standard error.
"""

import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection, Listener
from pathlib import Path
from typing import Any

from core.errors import CoreError
from core.store.apart import Opened, Question
from core.store.library import Kind, Library, open_library, other_versions, remove_version
from core.store.record import EncoderVersion
from core.store.settings import read_settings, write_setting

SERVER_EVERY_S = 0.5
_WAITING = 128
"""Connections that may wait to be taken; more are refused."""


class Shelf:
    """The libraries that are open, and what is done with them; may be used by many threads at once."""

    def __init__(self) -> None:
        self._open: dict[Opened, Library] = {}
        self._functions: dict[str, Callable[..., Any]] = {
            "open_library": self._opening,
            "other_versions": other_versions,
            "remove_version": remove_version,
            "read_settings": read_settings,
            "write_setting": write_setting,
        }

    def answer(self, question: Question) -> Any:
        """Do what is asked.

        Raises:
            CoreError: as the method or function.
        """
        if question.library is None:
            return self._functions[question.name](*question.arguments)
        library = self._open.get(question.library)
        if library is None:  # an earlier keeper had opened it
            library = self._opened(question.library, create=False)
        return getattr(library, question.name)(*question.arguments)

    def _opening(self, address: str, kind: Kind, encoder: EncoderVersion, create: bool) -> None:
        self._opened(Opened(address, kind, encoder), create)

    def _opened(self, wanted: Opened, create: bool) -> Library:
        library = open_library(wanted.address, wanted.kind, wanted.encoder, create)
        self._open[wanted] = library
        return library


def serve(connection: "Connection[Any, Any]", shelf: Shelf) -> None:
    """Answer the one question of a connection."""
    with connection:
        try:
            question = connection.recv()
        except EOFError:  # whoever asks has ended
            return
        try:
            connection.send((shelf.answer(question), None))
        except CoreError as error:
            connection.send((None, error))


def end_with(server: int, folder: Path) -> None:
    """End this process when the server has ended, with the folder of its socket."""
    while os.getppid() == server:
        time.sleep(SERVER_EVERY_S)
    for file in folder.iterdir():
        file.unlink(missing_ok=True)
    folder.rmdir()
    os._exit(0)


def main(server: int) -> None:
    """Answer until the server ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes; the server's jobs end first
    shelf, folder = Shelf(), Path(tempfile.mkdtemp(prefix="showreel-"))
    threading.Thread(target=end_with, args=(server, folder), daemon=True).start()
    with Listener(str(folder / "s"), "AF_UNIX", backlog=_WAITING) as listener:
        sys.stdout.write(f"{folder / 's'}\n")
        sys.stdout.flush()
        while True:
            threading.Thread(target=serve, args=(listener.accept(), shelf), daemon=True).start()


if __name__ == "__main__":
    main(int(sys.argv[1]))
