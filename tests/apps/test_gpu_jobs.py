"""Jobs under ZeroGPU's real wrapper, which forks: each test runs one in a process that is started afresh.

A fork of the test's own process, which has the threads of a server, a browser and much else, could hang.
"""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from apps.gpu import PARENT_EVERY_S, START_S

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 120


ORPHANS = ("orphan", "waiting", "waiting_of_many")
"""Whose server is killed, which must be enough to end them."""


def told(name: str, folder: Path, times: int = 1) -> dict[str, Any]:
    """What came of a job of `tests.apps.forking`; with all its processes it is ended when it takes too long."""
    with (folder / "log").open("wb") as log:
        started = subprocess.Popen(
            [sys.executable, "-m", "tests.apps.forking", name, str(folder), str(times)],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            started.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            pytest.fail(f"{name} hangs: {(folder / 'log').read_text()}")
        finally:
            if name not in ORPHANS:
                with suppress(ProcessLookupError):
                    os.killpg(started.pid, signal.SIGKILL)
    answer = folder / "told"
    assert answer.exists(), (folder / "log").read_text()
    return dict(json.loads(answer.read_text()))


def test_a_job_runs_in_a_process_of_its_own_with_its_session_and_the_seconds_it_asked_for(tmp_path: Path) -> None:
    answer = told("process", tmp_path)
    assert answer["process"] != answer["here"]
    assert (answer["session"], answer["film"]) == ("anna", "/no/film.mp4")
    assert (answer["seconds"], answer["released"]) == ([START_S], [False])


def test_a_job_asks_for_as_many_seconds_as_its_steps_take(tmp_path: Path) -> None:
    assert told("steps", tmp_path) == {"seconds": [START_S + 3, START_S + 6]}


def test_a_job_that_answers_many_times_does_so_from_there(tmp_path: Path) -> None:
    assert told("many", tmp_path) == {"numbers": [0, 1, 2, 3], "elsewhere": True}


def test_a_stop_reaches_the_other_process_with_its_reason_and_counts_as_stopped(tmp_path: Path) -> None:
    answer = told("stop", tmp_path)
    assert answer["message"].startswith("Stopped at the time limit of 7 s after ") and answer["stopped"]


def test_an_error_arrives_with_its_own_sentence_and_does_not_count_as_stopped(tmp_path: Path) -> None:
    answer = told("refuse", tmp_path)
    assert (answer["message"], answer["stopped"]) == ("There is nothing to do; choose something.", False)
    assert answer["released"] == [True]


def test_progress_reaches_whoever_asked(tmp_path: Path) -> None:
    answer = told("progress", tmp_path)
    assert answer["elsewhere"] and len(answer["seen"]) > 1
    assert answer["seen"] == sorted(answer["seen"]) and set(answer["seen"]) <= {f"step {n}" for n in range(6)}


def test_a_library_that_the_server_has_open_is_filled_and_searched_there_and_here(tmp_path: Path) -> None:
    """With the library opened by the processes themselves, two of four such jobs crashed, and one did not end."""
    answer = told("library", tmp_path, times=4)
    assert answer == {"there": ["a", "b", "c"], "here": ["a", "b", "c", "d"], "engine here": False}


def test_a_film_that_a_job_adds_is_listed_by_the_server_found_by_a_job_and_removed_by_the_server(
    tmp_path: Path,
) -> None:
    assert told("search", tmp_path) == {"before": [], "listed": ["film"], "found": ["film"], "after": []}


def test_what_computes_with_threads_of_its_own_computes_the_same_there(tmp_path: Path) -> None:
    answer = told("compute", tmp_path)
    assert answer["there"] == pytest.approx(answer["here"]) and answer["here"] == pytest.approx(1001)


@pytest.mark.parametrize("name", ORPHANS)
def test_a_jobs_process_ends_with_its_server_even_when_that_is_killed(name: str, tmp_path: Path) -> None:
    there = int(told(name, tmp_path)["process"])
    deadline = time.monotonic() + 10 * PARENT_EVERY_S
    while (alive := _runs(there)) and time.monotonic() < deadline:
        time.sleep(0.1)
    if alive:
        os.kill(there, signal.SIGKILL)
    assert not alive, "it waits for its next job for ever"


def _runs(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state.rpartition(")")[2].split()[0] != "Z"
