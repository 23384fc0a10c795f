"""The register of jobs: what was asked for, how far it is, and what came of it; it survives the end of its process.

One SQLite file in a folder, in write-ahead mode, so that several processes share it and a kill in the midst of a
write loses no row that was written before. Every register holds the lock of its own name for as long as it lives; the
system frees it when the process ends, however it ends. The unfinished jobs of a name whose lock is free are therefore
interrupted, and `Register.recover` says so.
"""

import json
import secrets
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock, Timeout

from core.digest import key_of
from core.errors import ParameterError

State = Literal["queued", "running", "done", "failed", "cancelled", "interrupted"]
UNFINISHED: tuple[State, ...] = ("queued", "running")
ENDED: tuple[State, ...] = ("done", "failed", "cancelled", "interrupted")
_PATIENCE_S = 30
"""How long a write waits for that of another process."""
_LISTS = ("inputs", "arguments")
_TABLE = """
CREATE TABLE IF NOT EXISTS jobs (
    id TEXT PRIMARY KEY, tool TEXT NOT NULL, endpoint TEXT NOT NULL, owner TEXT NOT NULL, register TEXT NOT NULL,
    state TEXT NOT NULL, queued_s REAL NOT NULL, started_s REAL, ended_s REAL, inputs TEXT NOT NULL,
    arguments TEXT NOT NULL, done INTEGER NOT NULL, total INTEGER NOT NULL, what TEXT NOT NULL, result TEXT,
    error TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS jobs_by_owner ON jobs (owner, queued_s);
CREATE INDEX IF NOT EXISTS jobs_by_state ON jobs (state);
"""


@dataclass(frozen=True)
class Job:
    """One job.

    Attributes:
        id: whoever knows it may ask for the result, so it cannot be guessed.
        tool: such as video_search.
        endpoint: such as video_search_add.
        owner: whose it is, as `owner_of` says it.
        state: see `State`.
        queued_s: when it was asked for, in seconds since 1970; so are the next two.
        started_s: when it began, or None.
        ended_s: when it ended, however it did, or None.
        inputs: the names of its files.
        arguments: what the endpoint was called with, as plain data; None: not known.
        done: steps that are done.
        total: of so many; 0 when nothing has been told yet.
        what: the present step.
        result: what it answered, as plain data, or None.
        error: one sentence, or nothing.
    """

    id: str
    tool: str
    endpoint: str
    owner: str
    state: State = "queued"
    queued_s: float = 0.0
    started_s: float | None = None
    ended_s: float | None = None
    inputs: tuple[str, ...] = ()
    arguments: list[Any] | None = None
    done: int = 0
    total: int = 0
    what: str = ""
    result: Any = None
    error: str = ""

    @property
    def waited_s(self) -> float:
        """Seconds between being asked for and beginning, so far."""
        return max(0.0, (self.started_s or self.ended_s or time.time()) - self.queued_s)

    @property
    def seconds(self) -> float:
        """Seconds at work, so far; 0 before it begins."""
        return 0.0 if self.started_s is None else max(0.0, (self.ended_s or time.time()) - self.started_s)


_COLUMNS = tuple(field.name for field in fields(Job))


def owner_of(session: str) -> str:
    """The name under which the jobs of a session, or of a browser, are kept: not the session's own, which is secret."""
    return key_of("owner", session)


class Register:
    """The jobs of all processes that share a folder.

    Args:
        folder: made where it is missing.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.name = folder, secrets.token_hex(8)
        (folder / "registers").mkdir(parents=True, exist_ok=True)
        self._file, self._lock = folder / "jobs.sqlite", FileLock(self._lock_file(self.name), thread_local=False)
        self._lock.acquire()
        self._turn = threading.RLock()
        self._database = sqlite3.connect(self._file, timeout=_PATIENCE_S, isolation_level=None, check_same_thread=False)
        for statement in ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=NORMAL", *_TABLE.split(";")):
            self._database.execute(statement)

    def close(self) -> None:
        """Free the register's name: what it left unfinished counts as interrupted from now on; ask it nothing more."""
        with self._turn:
            self._database.close()
        self._lock.release()
        self._lock_file(self.name).unlink(missing_ok=True)

    def enter(self, job: Job) -> bool:
        """Write a job down that this process will do; False when its id is there already, which then stays as it is."""
        row = {name: getattr(job, name) for name in _COLUMNS} | {"register": self.name}
        row |= {name: json.dumps(row[name]) for name in (*_LISTS, "result")}
        names = ", ".join(row)
        with self._connection() as database:
            written = database.execute(
                f"INSERT OR IGNORE INTO jobs ({names}) VALUES ({', '.join(f':{name}' for name in row)})", row
            )
            return written.rowcount == 1

    def update(self, job_id: str, **changes: Any) -> None:
        """Change some fields of a job."""
        row = {name: json.dumps(value) if name in (*_LISTS, "result") else value for name, value in changes.items()}
        assert row.keys() <= set(_COLUMNS), row.keys()
        with self._connection() as database:
            changed = ", ".join(f"{name} = :{name}" for name in row)
            database.execute(f"UPDATE jobs SET {changed} WHERE id = :job_id", row | {"job_id": job_id})

    def end(self, job_id: str, state: State, error: str = "", result: Any = None) -> None:
        """A job ended, with a result or without one."""
        self.update(job_id, state=state, ended_s=time.time(), error=error, result=result)

    def job(self, job_id: str) -> Job:
        """The job of an id.

        Raises:
            ParameterError: there is none, or no longer.
        """
        found = self._jobs("WHERE id = ?", (job_id,))
        if not found:
            raise ParameterError(f"There is no job {job_id[:40]!r}, or no longer; run what you asked for again.")
        return found[0]

    def jobs_of(self, owners: Sequence[str], limit: int = 50) -> list[Job]:
        """The jobs of some owners, newest first."""
        marks = ", ".join("?" * len(owners))
        return self._jobs(f"WHERE owner IN ({marks}) ORDER BY queued_s DESC LIMIT ?", (*owners, limit))

    def unfinished_of(self, owners: Sequence[str]) -> int:
        """How many jobs of some owners wait or run."""
        marks = ", ".join("?" * len(owners))
        with self._connection() as database:
            counted = database.execute(
                f"SELECT COUNT(*) FROM jobs WHERE owner IN ({marks}) AND state IN (?, ?)", (*owners, *UNFINISHED)
            )
            return int(counted.fetchone()[0])

    def recover(self, error: str) -> list[Job]:
        """Mark what registers left unfinished that live no more as interrupted; return those jobs.

        Args:
            error: the sentence that they get.
        """
        with self._connection() as database:
            names = [
                name
                for (name,) in database.execute("SELECT DISTINCT register FROM jobs WHERE state IN (?, ?)", UNFINISHED)
                if name != self.name and self._is_gone(name)
            ]
        interrupted: list[Job] = []
        for name in names:
            for job in self._jobs("WHERE register = ? AND state IN (?, ?)", (name, *UNFINISHED)):
                self.end(job.id, "interrupted", error)
                interrupted.append(replace(job, state="interrupted", error=error))
            self._lock_file(name).unlink(missing_ok=True)
        return interrupted

    def expire(self, age_s: float) -> list[str]:
        """Forget the jobs that ended so long ago; return their ids."""
        with self._connection() as database:
            return [
                job_id
                for (job_id,) in database.execute(
                    "DELETE FROM jobs WHERE ended_s < ? AND state NOT IN (?, ?) RETURNING id",
                    (time.time() - age_s, *UNFINISHED),
                )
            ]

    def forget(self, job_id: str) -> None:
        """Strike a job out."""
        with self._connection() as database:
            database.execute("DELETE FROM jobs WHERE id = ?", (job_id,))

    def _jobs(self, where: str, values: tuple[Any, ...]) -> list[Job]:
        with self._connection() as database:
            rows = database.execute(f"SELECT {', '.join(_COLUMNS)} FROM jobs {where}", values).fetchall()
        return [_job(dict(zip(_COLUMNS, row, strict=True))) for row in rows]

    def _is_gone(self, name: str) -> bool:
        lock = FileLock(self._lock_file(name))
        try:
            lock.acquire(timeout=0)
        except Timeout:
            return False
        lock.release()
        return True

    def _lock_file(self, name: str) -> Path:
        return self.folder / "registers" / f"{name}.lock"

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        """The one connection, for one thread at a time; each statement is a transaction of its own."""
        with self._turn:
            yield self._database


def _job(row: dict[str, Any]) -> Job:
    told = row | {name: json.loads(row[name]) for name in _LISTS} | {"result": json.loads(row["result"] or "null")}
    return Job(**told | {"inputs": tuple(told["inputs"])})
