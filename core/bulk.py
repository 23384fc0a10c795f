"""One job over many items, by several workers: processes of this machine, or a Ray cluster, one argument apart.

Every worker holds one item at a time, so it is known which item a worker was busy with when it ended. Such an item
goes to the end of the queue for another worker, and is given up when it has ended `ENDS` of them. So a killed worker
costs the run nothing but the time of one item, and a poisonous file cannot hold it up for ever.

Workers are spawned, never forked: the threads of torch and LanceDB do not survive a fork. Each takes its share of the
cores. A worker that ends, for whatever reason (killed, out of memory, an exception that is no `CoreError`), is
replaced. With Ray, the run is started in the repository, which every machine of the cluster has at the same path.
"""

from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic

from core.crews import Crew, Item, MakeJob, Result, Worker, WorkerEndedError, attempt, local_crew, ray_crew
from core.errors import CoreError, ParameterError

if TYPE_CHECKING:  # a worker imports this module, and core.runtime would load torch before the job asks for it
    from core.runtime import Progress

ENDS = 3
"""Workers that one item may end before it is given up."""


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
        return _share_out(ray_crew(make_job, workers, cluster), items, workers, progress)
    if workers == 1:
        return _plain_loop(make_job, items, progress)
    return _share_out(local_crew(make_job, workers), items, workers, progress)


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


def _plain_loop(
    make_job: MakeJob[Item, Result], items: Sequence[Item], progress: "Progress"
) -> Iterator[Outcome[Item, Result]]:
    job = make_job()
    for index, item in enumerate(items):
        progress(index, len(items), _name(item))
        yield Outcome(index, item, *attempt(job, item))
    progress(len(items), len(items), "finished")


def _share_out(
    hall: AbstractContextManager[Crew], items: Sequence[Item], workers: int, progress: "Progress"
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

    def __init__(self, crew: Crew, items: Sequence[Any]) -> None:
        self.crew, self.items, self.unfinished = crew, items, len(items)
        self.holding: dict[Worker, int | None] = {}
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

    def hear(self, worker: Worker) -> Outcome[Any, Any] | None:
        """Take a worker's answer, and give it the next item or let it go; the outcome, if this made one."""
        index = self.holding[worker]
        try:
            answer = worker.answer()
        except WorkerEndedError as end:
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

    def _replan(self, index: int | None, end: WorkerEndedError) -> Outcome[Any, Any] | None:
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

    def _dismiss(self, worker: Worker) -> None:
        del self.holding[worker]
        self.crew.stop([worker])


def _name(item: object) -> str:
    return str(item).rpartition("/")[2]
