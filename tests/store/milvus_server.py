"""A real Milvus server on loopback: the standalone one that the package ``milvus`` holds."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

TICK_MS = 50
"""How long a strongly consistent read waits at most; the server's own 200 ms would make the tests slow."""
SETTINGS = {"proxy.timeTickInterval": TICK_MS, "log.level": "warn", "queryCoord.checkInterval": 200}


@contextmanager
def running_milvus(folder: Path) -> Iterator[str]:
    """Start it, tell its ``host:port``, and stop it; what it stored is deleted.

    Where it cannot be had the test is skipped, and says why; but in CI, where ``CI`` is set, it fails.
    """
    server = _started(folder)
    try:
        yield f"{server.server_address}:{server.listen_port}"
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _started(folder: Path) -> Any:
    try:
        import pymilvus  # noqa: F401
        from milvus import MilvusServer
    except ImportError as error:
        return _unavailable(f"{error.name} is not installed; `make install-dev` does it where there is a wheel")
    server = MilvusServer()
    server.set_base_dir(str(folder))
    for name, value in SETTINGS.items():
        server.config.set(name, value)
    try:
        with FileLock(Path(tempfile.gettempdir(), "milvus-of-the-tests.lock")):  # two at once would choose one port
            server.start()
    except (OSError, RuntimeError, TimeoutError) as error:
        server.stop()
        return _unavailable(f"the Milvus server does not start ({error}); its logs are in {folder}")
    os.setpriority(os.PRIO_PROCESS, server.server_proc.pid, 10)
    return server


def _unavailable(reason: str) -> Any:
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)
