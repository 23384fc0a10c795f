"""One job over many items, by several workers: processes of this machine, or a Ray cluster, one argument apart.

Every worker holds one item at a time, so it is known which item a worker was busy with when it ended. Such an item
goes to the end of the queue for another worker, and is given up when it has ended `ENDS` of them. So a killed worker
costs the run nothing but the time of one item, and a poisonous file cannot hold it up for ever.

Workers are spawned, never forked: the threads of torch and LanceDB do not survive a fork. Each takes its share of the
cores. A worker that ends, for whatever reason (killed, out of memory, an exception that is no `CoreError`), is
replaced. With Ray, the run is started in the repository, which every machine of the cluster has at the same path.
"""

import logging
import math
import os
import signal
import socket
import sys
import tempfile
import warnings
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import connection, get_context
from types import FrameType
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from core.errors import CancelledError, CoreError, ParameterError

if TYPE_CHECKING:  # a worker imports this module, and core.runtime would load torch before the job asks for it
    from core.runtime import Progress

Item = TypeVar("Item")
Result = TypeVar("Result")
MakeJob = Callable[[], Callable[[Item], Result]]

ENDS = 3
"""Workers that one item may end before it is given up."""
POLL_S = 0.2
"""How often progress is reported, and with it a wish to stop noticed, while all workers are busy."""
GRACE_S = 5.0
"""How long a worker that is told to stop may take to tidy up."""


@dataclass(frozen=True)
class Outcome(Generic[Item, Result]):
    """What became of one item: a result, or a sentence that says why there is none."""

    index: int
    """Where the item stands among the items, from 0."""
    item: Item
    result: Result | None
    error: str = ""


@dataclass(frozen=True)
class Workers:
    """Who does a bulk job; the fields are flags of every command that does one."""

    workers: int = field(default=1, metadata={"help": "processes that share the work, 1 or more"})
    cluster: str | None = field(
        default=None, metadata={"help": "address of a Ray cluster that does it: auto, local, or host:port"}
    )

    @property
    def alone(self) -> bool:
        """Whether this process does all of it, with the networks that it has loaded already."""
        return self.workers == 1 and self.cluster is None


ALONE = Workers()


def run_all(
    make_job: MakeJob[Item, Result],
    items: Sequence[Item],
    progress: "Progress",
    workers: int = 1,
    cluster: str | None = None,
) -> Iterator[Outcome[Item, Result]]:
    """Do one job with every item, and yield each outcome once, in the order in which they are finished.

    A `CoreError` that the job raises becomes the outcome of its item. Closing the iterator stops the workers.

    Args:
        make_job: loads what the job needs (networks, say) and returns the job; called once in every worker. It, the
            items and the results can be pickled.
        items: what to do the job with.
        progress: told how many items are finished; raises `CancelledError` to stop the run and its workers.
        workers: how many items are worked on at once, 1 or more; 1 without a cluster is a plain loop in this process.
        cluster: None for processes of this machine; otherwise a Ray address: ``auto`` or ``host:port`` of a cluster
            that this machine belongs to, or ``local`` for one of its own, ended after the run.

    Raises:
        ParameterError: ``workers`` is not positive, Ray is not installed, no cluster answers, or no worker can start.
        CoreError: whatever ``make_job`` raises.
        CancelledError: ``progress`` says so.
    """
    if workers < 1:
        raise ParameterError(f"workers is {workers}; give 1 or more.")
    if cluster is not None:
        return _share_out(_ray_crew(make_job, workers, cluster), items, workers, progress)
    if workers == 1:
        return _plain_loop(make_job, items, progress)
    return _share_out(_local_crew(make_job, workers), items, workers, progress)


def results_of_all(
    make_job: MakeJob[Item, Result],
    items: Sequence[Item],
    progress: "Progress",
    how: Workers = ALONE,
    failure: type[CoreError] = ParameterError,
) -> list[Result]:
    """What `run_all` makes of every item, in the order of the items, for what is nothing unless it is whole.

    Args:
        make_job: as in `run_all`.
        items: likewise.
        progress: likewise.
        how: who does it.
        failure: the error that tells why the first item without a result has none.

    Raises:
        CoreError: ``failure``, once all items were tried; or as `run_all`.
    """
    results: list[Result] = []
    outcomes = run_all(make_job, items, progress, how.workers, how.cluster)
    for outcome in sorted(outcomes, key=lambda outcome: outcome.index):
        if outcome.result is None:
            raise failure(outcome.error)
        results.append(outcome.result)
    return results


class _WorkerEndedError(Exception):
    """A worker is no more; says how it ended."""


class _Worker(Protocol):
    """A process that is loading the job, and is then given items, one at a time."""

    def give(self, item: object) -> None: ...

    def answer(self) -> Any:
        """What it says of what it was told last: a `CoreError` or None of loading, result and error of an item.

        Raises:
            _WorkerEndedError: it will never answer.
        """


@dataclass(frozen=True)
class _Crew:
    """Where workers come from, and go to."""

    hire: Callable[[], _Worker]
    ready: Callable[[list[Any]], list[Any]]
    """Those workers that answered or ended; empty when none did within `POLL_S`."""
    stop: Callable[[list[Any]], None]
    """Ends workers, and whatever they are doing."""


def _plain_loop(
    make_job: MakeJob[Item, Result], items: Sequence[Item], progress: "Progress"
) -> Iterator[Outcome[Item, Result]]:
    job = make_job()
    for index, item in enumerate(items):
        progress(index, len(items), _name(item))
        yield Outcome(index, item, *_attempt(job, item))
    progress(len(items), len(items), "finished")


def _share_out(
    hall: AbstractContextManager[_Crew], items: Sequence[Item], workers: int, progress: "Progress"
) -> Iterator[Outcome[Item, Any]]:
    """The foreman's loop: nobody is idle, and there are never more workers than unfinished items."""
    what = f"starting {min(workers, len(items))} workers"
    with hall as crew, _Run(crew, items) as run:
        while run.unfinished:
            progress(len(items) - run.unfinished, len(items), what)
            run.hire(min(workers, run.unfinished))
            for worker in crew.ready(list(run.holding)):
                outcome = run.hear(worker)
                if outcome is not None:
                    what = _name(outcome.item)
                    yield outcome
    progress(len(items), len(items), "finished")


class _Run:
    """Who works on what, what waits, and how much is left to do; at its end all workers are stopped."""

    def __init__(self, crew: _Crew, items: Sequence[Any]) -> None:
        self.crew, self.items, self.unfinished = crew, items, len(items)
        self.holding: dict[_Worker, int | None] = {}
        """Every worker, with the index of its item; None while it loads."""
        self._waiting = deque(range(len(items)))
        self._ends: Counter[int | None] = Counter()

    def __enter__(self) -> "_Run":
        return self

    def __exit__(self, *reason: object) -> None:
        self.crew.stop(list(self.holding))

    def hire(self, wanted: int) -> None:
        while len(self.holding) < wanted:
            self.holding[self.crew.hire()] = None

    def hear(self, worker: _Worker) -> Outcome[Any, Any] | None:
        """Take a worker's answer, and give it the next item or let it go; the outcome, if this made one."""
        index = self.holding[worker]
        try:
            answer = worker.answer()
        except _WorkerEndedError as end:
            self._dismiss(worker)
            return self._replan(index, end)
        if index is None and answer is not None:
            raise answer
        self._ends[None] = 0
        if self._waiting:
            self.holding[worker] = following = self._waiting.popleft()
            worker.give(self.items[following])
        else:
            self._dismiss(worker)
        return None if index is None else self._finished(index, *answer)

    def _replan(self, index: int | None, end: _WorkerEndedError) -> Outcome[Any, Any] | None:
        """Let another worker have the item of one that ended; the outcome, if it has had its chances."""
        self._ends[index] += 1
        given_up = self._ends[index] == ENDS
        if index is None and given_up:
            raise ParameterError(f"The workers end while they start ({end}); choose fewer, or free some memory.")
        if index is not None and given_up:
            reason = f"{_name(self.items[index])} ended its worker three times ({end})"
            return self._finished(index, None, f"{reason}; leave it out, or try it with fewer workers.")
        if index is not None:
            self._waiting.append(index)
        return None

    def _finished(self, index: int, result: object, error: str) -> Outcome[Any, Any]:
        self.unfinished -= 1
        return Outcome(index, self.items[index], result, error)

    def _dismiss(self, worker: _Worker) -> None:
        del self.holding[worker]
        self.crew.stop([worker])


class _Bench:
    """What a worker works at, in its own process."""

    def load(self, make_job: MakeJob[Any, Any], threads: int) -> CoreError | None:
        try:
            self._job = make_job()
        except CoreError as error:
            return error
        if torch := sys.modules.get("torch"):
            torch.set_num_threads(min(threads, os.cpu_count() or 1))
        return None

    def do(self, item: object) -> tuple[Any, str]:
        return _attempt(self._job, item)


def _attempt(job: Callable[[Any], Result], item: object) -> tuple[Result | None, str]:
    try:
        return job(item), ""
    except CancelledError:
        raise
    except CoreError as error:
        return None, str(error)


def _name(item: object) -> str:
    return str(item).rpartition("/")[2]


@contextmanager
def _local_crew(make_job: MakeJob[Any, Any], workers: int) -> Iterator[_Crew]:
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

    yield _Crew(lambda: _LocalWorker(make_job, threads), ready, stop)


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
            raise _WorkerEndedError(how) from error

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
    bench = _Bench()
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
def _ray_crew(make_job: MakeJob[Any, Any], workers: int, address: str) -> Iterator[_Crew]:
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
    hire_bench = ray.remote(num_cpus=1, num_gpus=gpu_share, scheduling_strategy="SPREAD")(_Bench).remote
    threads = max(1, int(cores) // workers)
    try:
        yield _Crew(lambda: _RayWorker(hire_bench(), make_job, threads), ready, stop)
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
            raise _WorkerEndedError(str(error).strip().splitlines()[-1].partition(". ")[0]) from error
