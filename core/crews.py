"""Where the workers of `core.bulk` come from: processes of this machine, or actors of a Ray cluster.

Both have a `Bench`, load the job, and are then given items, one at a time.
"""

import logging
import math
import os
import signal
import socket
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import connection, get_context
from types import FrameType
from typing import Any, Protocol, TypeVar

from core.errors import CancelledError, CoreError, ParameterError

Item = TypeVar("Item")
Result = TypeVar("Result")
MakeJob = Callable[[], Callable[[Item], Result]]

POLL_S = 0.2
"""How often progress is reported, and with it a wish to stop noticed, while all workers are busy."""
GRACE_S = 5.0
"""How long a worker that is told to stop may take to tidy up."""


class WorkerEndedError(Exception):
    """A worker is no more; says how it ended."""


class Worker(Protocol):
    """A process that is loading the job, and is then given items, one at a time."""

    def give(self, item: object) -> None:
        """Let it work on an item."""

    def answer(self) -> Any:
        """What it says of what it was told last: a `CoreError` or None of loading, result and error of an item.

        Raises:
            WorkerEndedError: it will never answer.
        """


@dataclass(frozen=True)
class Crew:
    """Where workers come from, and go to."""

    hire: Callable[[], Worker]
    ready: Callable[[list[Any]], list[Any]]
    """Those workers that answered or ended; empty when none did within `POLL_S`."""
    stop: Callable[[list[Any]], None]
    """Ends workers, and whatever they are doing."""


class Bench:
    """What a worker works at, in its own process."""

    def load(self, make_job: MakeJob[Any, Any], threads: int) -> CoreError | None:
        """Make the job; the error of that, if there is one."""
        try:
            self._job = make_job()
        except CoreError as error:
            return error
        if torch := sys.modules.get("torch"):
            torch.set_num_threads(min(threads, os.cpu_count() or 1))
        return None

    def do(self, item: object) -> tuple[Any, str]:
        """See `attempt`."""
        return attempt(self._job, item)


def attempt(job: Callable[[Any], Result], item: object) -> tuple[Result | None, str]:
    """What a job makes of an item, or the sentence of its `CoreError`."""
    try:
        return job(item), ""
    except CancelledError:
        raise
    except CoreError as error:
        return None, str(error)


@contextmanager
def local_crew(make_job: MakeJob[Any, Any], workers: int) -> Iterator[Crew]:
    """Processes of this machine."""
    threads = max(1, (os.cpu_count() or 1) // workers)

    def ready(workers: list[_LocalWorker]) -> list[_LocalWorker]:
        answering = connection.wait([worker.pipe for worker in workers], POLL_S)
        return [worker for worker in workers if worker.pipe in answering]

    def stop(workers: list[_LocalWorker]) -> None:
        for worker in workers:
            worker.tell_to_stop()
        for worker in workers:
            worker.bury()

    yield Crew(lambda: _LocalWorker(make_job, threads), ready, stop)


class _LocalWorker:
    """A process, the pipe to it, and its temporary folder, which is removed even when the process was killed."""

    def __init__(self, make_job: MakeJob[Any, Any], threads: int) -> None:
        self._scratch = tempfile.TemporaryDirectory(prefix="showreel-worker-")
        context = get_context("spawn")
        self.pipe, far_end = context.Pipe()
        arguments = make_job, threads, far_end, self._scratch.name
        self._process = context.Process(target=_work, args=arguments, daemon=True)
        self._process.start()
        far_end.close()

    def give(self, item: object) -> None:
        with suppress(BrokenPipeError):  # it ended between two items; `answer` will say so
            self.pipe.send(item)

    def answer(self) -> Any:
        try:
            return self.pipe.recv()
        except (EOFError, OSError) as error:
            self._process.join(GRACE_S)
            status = self._process.exitcode or 0
            how = signal.Signals(-status).name if status < 0 else f"exit status {status}"
            raise WorkerEndedError(how) from error

    def tell_to_stop(self) -> None:
        self.pipe.close()
        self._process.terminate()

    def bury(self) -> None:
        self._process.join(GRACE_S)
        self._process.kill()
        self._process.join()
        self._scratch.cleanup()


def _work(make_job: MakeJob[Any, Any], threads: int, pipe: "connection.Connection[Any, Any]", scratch: str) -> None:
    """The life of a local worker: load, then answer until the other end of the pipe is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes; the first of them decides
    signal.signal(signal.SIGTERM, _leave)
    tempfile.tempdir = scratch
    bench = Bench()
    pipe.send(bench.load(make_job, threads))
    while True:
        try:
            item = pipe.recv()
        except EOFError:
            return
        pipe.send(bench.do(item))


def _leave(number: int, frame: FrameType | None) -> None:
    """Stop by an exception, so that whatever is open is closed."""
    sys.exit()


@contextmanager
def ray_crew(make_job: MakeJob[Any, Any], workers: int, address: str) -> Iterator[Crew]:
    """Actors of a Ray cluster; a connection that this process has already is used, and left as it is."""
    # Ray reports to nobody, and does not print on standard output which workers were killed.
    os.environ.update(RAY_USAGE_STATS_ENABLED="0", RAY_DEDUP_LOGS_SKIP_REGEX=".")
    try:
        import ray
    except ImportError as error:
        raise ParameterError("A cluster needs Ray, which is missing; install it with pip install ray.") from error
    connected_here = not ray.is_initialized()
    if connected_here:
        _connect(address)

    def ready(workers: list[_RayWorker]) -> list[_RayWorker]:
        answering, _ = ray.wait([worker.answering for worker in workers], timeout=POLL_S)
        return [worker for worker in workers if worker.answering in answering]

    def stop(workers: list[_RayWorker]) -> None:
        for worker in workers:
            ray.kill(worker.actor)

    cores, gpus = (ray.cluster_resources().get(kind, 0) for kind in ("CPU", "GPU"))
    gpu_share = 1 / math.ceil(workers / gpus) if gpus else 0
    hire_bench = ray.remote(num_cpus=1, num_gpus=gpu_share, scheduling_strategy="SPREAD")(Bench).remote
    threads = max(1, int(cores) // workers)
    try:
        yield Crew(lambda: _RayWorker(hire_bench(), make_job, threads), ready, stop)
    finally:
        if connected_here:
            ray.shutdown()


def _connect(address: str) -> None:
    import ray

    host, _, port = address.rpartition(":")
    try:
        if host:  # Ray itself tries an address where nobody listens for minutes
            socket.create_connection((host, int(port)), GRACE_S).close()
        with warnings.catch_warnings():  # lancedb warns of a fork, but Ray's goes straight on to exec
            warnings.filterwarnings("ignore", "lancedb fork", RuntimeWarning)
            ray.init(address, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    except (OSError, ValueError) as error:
        remedy = "start one with ray start --head, or say 'local'"
        raise ParameterError(f"No Ray cluster answers at {address!r} ({error}); {remedy}.") from error


class _RayWorker:
    """An actor, and the answer it owes."""

    def __init__(self, actor: Any, make_job: MakeJob[Any, Any], threads: int) -> None:
        self.actor, self.answering = actor, actor.load.remote(make_job, threads)

    def give(self, item: object) -> None:
        self.answering = self.actor.do.remote(item)

    def answer(self) -> Any:
        import ray

        try:
            return ray.get(self.answering)
        except ray.exceptions.RayError as error:
            raise WorkerEndedError(str(error).strip().splitlines()[-1].partition(". ")[0]) from error
