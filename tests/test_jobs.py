"""The register of jobs: two processes at once, a killed writer, old jobs, and what is not in it."""

import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.errors import ParameterError
from core.jobs import Job, Register, owner_of

WRITER = """
import sys, time
from pathlib import Path
from core.jobs import Job, Register
folder, name, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
register = Register(folder)
for number in range(count):
    job_id = f"{name}-{number}"
    register.enter(Job(job_id, "tool", "tool_do", "owner", queued_s=time.time(), inputs=(f"{job_id}.mp4",)))
    register.update(job_id, state="running", started_s=time.time())
    for done in range(5):
        register.update(job_id, done=done, total=5, what=job_id)
    register.end(job_id, "done", result={"of": job_id})
    print(job_id, flush=True)
"""


def writer(folder: Path, name: str, count: int) -> "subprocess.Popen[str]":
    return subprocess.Popen([sys.executable, "-c", WRITER, str(folder), name, str(count)], stdout=subprocess.PIPE,
                            text=True)  # fmt: skip


@pytest.fixture
def register(tmp_path: Path) -> Iterator[Register]:
    register = Register(tmp_path)
    yield register
    register.close()


def entered(register: Register, job_id: str, session: str = "anna") -> str:
    assert register.enter(Job(job_id, "tool", "tool_do", owner_of(session), queued_s=time.time()))
    return job_id


def test_two_processes_write_at_once_and_neither_loses_a_job(register: Register, tmp_path: Path) -> None:
    writers = [writer(tmp_path, name, 60) for name in ("anna", "ben")]
    assert [process.wait(60) for process in writers] == [0, 0]
    jobs = {job.id: job for job in register.jobs_of(["owner"], 1000)}
    assert jobs.keys() == {f"{name}-{number}" for name in ("anna", "ben") for number in range(60)}
    assert all(job.state == "done" and job.result == {"of": job.id} and job.done == 4 for job in jobs.values())
    assert register.recover("gone") == []


def test_a_killed_writer_loses_nothing_and_what_it_left_is_interrupted(register: Register, tmp_path: Path) -> None:
    process = writer(tmp_path, "anna", 100_000)
    assert process.stdout is not None
    finished = [process.stdout.readline().strip() for _ in range(25)]
    assert register.recover("gone") == [] and register.unfinished_of(["owner"]) <= 1
    process.send_signal(signal.SIGKILL)
    finished += process.stdout.read().split()
    process.wait(60)
    interrupted = register.recover("The server was stopped.")
    assert len(interrupted) <= 1 and register.unfinished_of(["owner"]) == 0
    with sqlite3.connect(tmp_path / "jobs.sqlite") as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert {register.job(job_id).result["of"] for job_id in finished} == set(finished)
    for job in interrupted:
        assert job.id not in finished
        assert [register.job(job.id).state, register.job(job.id).error] == ["interrupted", "The server was stopped."]


def test_the_jobs_of_a_register_that_lives_are_left_alone_until_it_is_closed(tmp_path: Path) -> None:
    first, second = Register(tmp_path), Register(tmp_path)
    entered(first, "waiting")
    entered(first, "running")
    first.update("running", state="running", started_s=time.time(), inputs=("a.mp4",), arguments=["a.mp4", 3])
    assert second.recover("gone") == []
    first.close()
    left = second.recover("gone")
    assert {job.id: job.state for job in left} == {"waiting": "interrupted", "running": "interrupted"}
    (running,) = (job for job in left if job.id == "running")
    assert running.inputs == ("a.mp4",) and running.arguments == ["a.mp4", 3]
    assert second.recover("gone") == []
    second.close()


def test_a_job_that_is_there_already_is_not_entered_again(register: Register) -> None:
    entered(register, "one")
    register.update("one", state="running", started_s=time.time())
    assert not register.enter(Job("one", "tool", "tool_do", "other", queued_s=0))
    assert [register.job("one").state, register.job("one").owner] == ["running", owner_of("anna")]


def test_old_jobs_are_forgotten_and_unfinished_ones_never(register: Register) -> None:
    for job_id, ended_s in (("old", time.time() - 100), ("new", time.time())):
        register.end(entered(register, job_id), "failed", "It failed.")
        register.update(job_id, ended_s=ended_s)
    register.update(entered(register, "waiting"), queued_s=0.0)
    assert register.expire(50) == ["old"]
    assert {job.id for job in register.jobs_of([owner_of("anna")])} == {"new", "waiting"}
    with pytest.raises(ParameterError, match="no job 'old'"):
        register.job("old")


def test_a_session_sees_its_own_jobs_newest_first_and_its_name_is_nowhere_written(
    register: Register, tmp_path: Path
) -> None:
    for number, session in enumerate(("anna-secret", "ben-secret", "anna-secret")):
        register.update(entered(register, f"job{number}", session), queued_s=float(number))
    assert [job.id for job in register.jobs_of([owner_of("anna-secret")])] == ["job2", "job0"]
    assert register.unfinished_of([owner_of("anna-secret")]) == 2
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"job0" in written and b"secret" not in written
