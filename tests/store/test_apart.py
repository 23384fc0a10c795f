"""The process that holds libraries for a server and its forks; as an engine it is tested by the contract."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from core.errors import StoreError
from core.lending import ZERO_GPU_VARIABLE
from core.store import open_library
from core.store.apart import Keeper, Question, start_keeper
from core.store.keeper import SERVER_EVERY_S
from tests.store.makers import ENCODER, record, record_id

ROOT = Path(__file__).resolve().parents[2]
SERVER = """
import sys, time
from pathlib import Path
from core.store.apart import start_keeper
Path(sys.argv[1]).write_text(str(start_keeper()))
time.sleep(600)
"""


def wait_until(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20 * SERVER_EVERY_S
    while not what():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def _runs(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_killed_keeper_loses_nothing_and_another_goes_on(apart_address: str) -> None:
    library = open_library(apart_address, "videos", ENCODER)
    library.add([record(1)])
    first = start_keeper()
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: start_keeper() != first)
    library.add([record(2)])
    assert library.ids() == {record_id(1), record_id(2)}


def test_a_keeper_ends_with_its_server_even_when_that_is_killed_and_leaves_no_folder(tmp_path: Path) -> None:
    told, scratch = tmp_path / "told", tmp_path / "scratch"
    scratch.mkdir()
    server = subprocess.Popen(
        [sys.executable, "-c", SERVER, str(told)], cwd=ROOT, env=os.environ | {"TMPDIR": str(scratch)}
    )
    while not told.exists() or not told.read_text():
        assert server.poll() is None
        time.sleep(0.05)
    assert [folder.name.startswith("showreel-") for folder in scratch.iterdir()] == [True]
    server.kill()
    server.wait()
    wait_until(lambda: not _runs(int(told.read_text())))
    assert list(scratch.iterdir()) == []


def test_only_its_own_user_can_enter_the_folder_of_its_socket() -> None:
    folder = Path(Keeper().start()).parent
    assert folder.is_relative_to(tempfile.gettempdir()) and folder.stat().st_mode & 0o077 == 0


def test_a_fork_whose_keeper_has_gone_says_so(apart_address: str) -> None:
    keeper = Keeper(os.getpid() + 1, _socket="/nowhere/socket")
    with pytest.raises(StoreError, match="does not answer"):
        keeper.ask(Question("read_settings", (apart_address,)))


def test_the_process_that_asks_loads_no_engine() -> None:
    asked = "import core.store.apart, sys; sys.exit('lancedb' in sys.modules or 'torch' in sys.modules)"
    environment = os.environ | {ZERO_GPU_VARIABLE: "true"}
    assert subprocess.run([sys.executable, "-c", asked], cwd=ROOT, env=environment).returncode == 0
