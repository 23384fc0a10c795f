"""The desk that every job goes past: who may ask for more, what runs, what came of it, and what a shutdown does.

Gradio queues and starts the jobs; the desk writes down what gradio does (`core.jobs`), and stops what must stop. A
job's id is that of its event in gradio's queue, 122 random bits, which whoever asked has from the first answer on.
"""

import secrets
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, cast

import gradio as gr
from gradio.context import LocalContext

from apps.gpu import lent
from apps.keeping import (
    file_names,
    jobs_folder,
    keep_inputs,
    keep_result,
    plain_arguments,
    register_folder,
    throw_away,
)
from apps.limits import Rates, too_many_jobs, too_many_requests
from apps.logs import LOGGER
from apps.metrics import Metrics
from apps.runtime import HEAVY, OUTPUT_AGE_S, AppSettings, Work
from core.errors import CancelledError
from core.jobs import Job, Register, State, owner_of
from core.runtime import CancelToken, Progress, give_back_memory

Handler = Callable[..., Any]
REFUSED = "job_refused"
"""The name of the event that a refused request becomes."""
CLOSING = "The server is shutting down and takes no new jobs; ask again in a minute."
NEVER_BEGUN = "It never began: its page was closed first, or its input was refused. Run it again."
RESUMED = ("video_search_add", "video_search_fine_tune", "music_matching_add", "lip_sync_sync", "lip_sync_say")
"""Endpoints that find again what an interrupted call of theirs had finished."""
_SHUTDOWN = "Stopped because the server is shutting down"
_BROWSERS = 10_000
_NOTE_EVERY_S = 1.0
_LAST_STEP_S = 10
"""How long a cancelled job may take to reach its next step."""


@dataclass
class Task:
    """A job of this process, from being asked for to its end.

    Attributes:
        job: as it was written down.
        token: stops it.
        timer: calls the token at the time limit.
        follows: the id of the job that it repeats, or nothing.
        noted_s: when its progress was written down last.
    """

    job: Job
    token: CancelToken = field(default_factory=CancelToken)
    timer: threading.Timer | None = None
    follows: str = ""
    noted_s: float = 0.0


class Desk:
    """What all jobs of one server go past.

    Args:
        settings: the limits, and the output folder, below which the register and the jobs' folders lie.
    """

    def __init__(self, settings: AppSettings) -> None:
        self.settings, self.closing = settings, False
        self.folder, self.register = jobs_folder(settings), Register(register_folder(settings))
        self.handlers: dict[str, Handler] = {}
        """The endpoints that are jobs, by name, without the desk."""
        self._events: dict[int, str] = {}
        self._waiting: dict[str, Task] = {}
        self._running: dict[str, Task] = {}
        self._joining: Counter[str] = Counter()
        self._browsers: OrderedDict[str, str] = OrderedDict()
        self._rates = Rates(settings.requests_per_minute)
        self._change, self._counting = threading.Condition(), threading.Lock()
        self._slots = threading.Semaphore(settings.jobs)
        self._app: gr.Blocks | None = None
        self.refusing = -1
        """The number of the event that says why something was refused."""
        self.metrics = Metrics(self.folder.parent, lambda: len(self.waiting()), lambda: len(self._running))
        self.sweep()

    def attach(self, app: gr.Blocks, past: Callable[["Desk", str, Handler], Handler]) -> None:
        """Let the heavy endpoints of an app go past the desk, and the private events that have the same handlers.

        Args:
            app: with all its events.
            past: makes of a handler one that begins and ends at the desk.
        """
        heavy = [event for event in app.fns.values() if event.fn is not None and event.concurrency_id == HEAVY]
        named = [(event, str(getattr(event.fn, "__name__", "")), lent(cast(Handler, event.fn))) for event in heavy]
        self.handlers = {name: handler for event, name, handler in named if event.api_visibility == "public"}
        for event, name, handler in named:
            if name in self.handlers:
                self._events[event._id] = name
                event.fn = past(self, name, handler)
        (self.refusing,) = (event._id for event in app.fns.values() if event.api_name == REFUSED)
        self._app = app

    def is_job(self, event: int | str) -> bool:
        """Whether an event, by its number or name, is one of the endpoints that go past the desk."""
        return event in self._events or event in self.handlers

    def welcome(self, session: str, browser: str) -> None:
        """A page was opened in a browser: what all its pages ask for belongs to one owner."""
        with self._change:
            self._browsers[session] = browser
            if len(self._browsers) > _BROWSERS:
                self._browsers.popitem(last=False)

    def owners(self, session: str) -> list[str]:
        """Under which names the jobs of a session are written down, first the one that new ones get."""
        return [owner_of(name) for name in (self._browsers.get(session), session) if name is not None]

    @contextmanager
    def admission(self, session: str, is_job: bool) -> Iterator[str]:
        """Tell whether a session may ask for something: nothing, or the sentence that refuses it.

        As long as the context lasts, a job that is admitted counts as one of its owner's.
        """
        owners = self.owners(session)
        with self._change:
            reason, told = self._refusal(owners, is_job)
            counted = int(is_job and not told)
            self._count_joining(owners[0], counted)
        if told:
            self.metrics.refused(reason)
        try:
            yield told
        finally:
            self._count_joining(owners[0], -counted)

    def enter(self, session: str, job_id: str) -> None:
        """Write down what gradio's queue took in, unless it has begun already."""
        event = self._queued().get(job_id)
        name = self._events.get(event.fn._id) if event is not None else None
        if event is None or name is None:
            return
        arguments = plain_arguments(event.data.data if event.data else [])
        job = self._new(job_id, name, self.owners(session)[0], arguments)
        with self._change:
            if self.register.enter(job):
                self._waiting[job_id] = Task(job)

    def waiting(self) -> list[Task]:
        """The jobs that wait; those that gradio let go are written down as never begun."""
        with self._change:
            queued = self._queued()
            lost = [self._waiting.pop(job_id) for job_id in [*self._waiting] if job_id not in queued]
            left = [*self._waiting.values()]
        for task in lost:
            self._end(task, "cancelled", NEVER_BEGUN)
        return left

    def begin(self, name: str, arguments: list[Any]) -> Task:
        """The event at hand begins its work.

        Raises:
            gr.Error: the server is shutting down, or the job was stopped while it waited.
        """
        request, job_id = LocalContext.request.get(None), LocalContext.event_id.get(None)
        job = self._new(job_id or secrets.token_urlsafe(16), name, self.owners(_session(request))[0], arguments)
        with self._change:
            task = self._waiting.pop(job.id, None) or Task(job)
            self.register.enter(job)
        self.sweep()
        self._slots.acquire()
        with self._change:
            if not (refused := self.closing or task.token.cancelled):
                self._running[job.id] = task
        if refused:
            self._slots.release()
            told = CLOSING if self.closing else f"{task.token.why} before it began."
            self._end(task, "interrupted" if self.closing else "cancelled", "" if self.closing else told)
            raise gr.Error(told, title="Stopped", print_exception=False)
        self._started(task, job, request)
        return task

    def finish(self, task: Task, answer: Any) -> None:
        """A job came to its end with an answer; one that was stopped may have the beginning of one."""
        stopped = isinstance(answer, dict) and answer.get("stopped") is True
        told = f"{task.token.why}; what was finished before is kept." if stopped else ""
        try:
            result = keep_result(answer, self.folder / task.job.id, self.settings)
        except OSError as error:
            why = error.strerror or str(error)
            self._leave(
                task, "failed", f"The result could not be kept ({why}); make room on the disk, and run it again."
            )
            return
        self._leave(task, _state_of(task) if stopped else "done", told, result)

    def fail(self, task: Task, error: BaseException) -> str:
        """A job ended without an answer; return the sentence that says why, as it is written down."""
        if isinstance(error, gr.Error):
            stopped = isinstance(error.__cause__, CancelledError)
            self._leave(task, _state_of(task) if stopped else "failed", told := str(error.message))
            return told
        LOGGER.error("a job failed by a fault of the app", exc_info=error, extra={"job": task.job.id})
        told = f"This is a fault of the app, not of your file; the server's log has it under job {task.job.id}."
        self._leave(task, "failed", told)
        return told

    def stop(self, job_id: str) -> bool:
        """Stop a job of this server, whether it waits or runs; False where it does neither."""
        task = self._waiting.get(job_id) or self._running.get(job_id)
        if task is not None:
            task.token.cancel()
        return task is not None

    def seen(self, job: Job) -> Job:
        """A job with the progress that is not written down yet."""
        task = self._running.get(job.id)
        return job if task is None else task.job

    def repeat(self, old: Job) -> None:
        """The job at hand is an earlier one once more; when it ends, it takes that one's place."""
        task = self._running[str(LocalContext.event_id.get(None))]
        known = {name: getattr(old, name) for name in ("tool", "endpoint", "inputs", "arguments")}
        task.follows, task.job = old.id, replace(task.job, **known)
        self.register.update(task.job.id, **known)

    def close(self) -> None:
        """Take no more jobs, let those that run finish in the grace period, stop the rest, and write down which."""
        with self._change:
            self.closing = True
        LOGGER.info("shutting down: %d jobs run, %d wait", len(self._running), len(self.waiting()))
        if not self._idle_within(self.settings.grace_s):
            for task in [*self._running.values()]:
                task.token.cancel(_SHUTDOWN)
            self._idle_within(_LAST_STEP_S)
        with self._change:
            left = [*self._running.values(), *self._waiting.values()]
            self._waiting.clear()
        for task in left:
            self._end(task, "interrupted", "")

    def sweep(self) -> None:
        """Forget what ended long ago, with its files; note what servers that are gone left unfinished."""
        for job in self.register.recover(""):
            kept = keep_inputs(job.arguments, self.folder / job.id, self.settings)
            self.register.update(job.id, error=(told := _interrupted(job.endpoint)), arguments=kept)
            self._log(replace(job, error=told))
        for job_id in self.register.expire(OUTPUT_AGE_S):
            throw_away(self.folder / job_id)

    def _refusal(self, owners: list[str], is_job: bool) -> tuple[str, str]:
        """Why, in a word and in a sentence; both empty for an admission."""
        if not self._rates.admits(owners[0]):
            return "rate", too_many_requests(self.settings.requests_per_minute)
        if not is_job:
            return "", ""
        if self.closing:
            return "shutdown", CLOSING
        self.waiting()
        if self.register.unfinished_of(owners) + self._joining[owners[0]] >= self.settings.jobs_per_session:
            return "share", too_many_jobs(self.settings.jobs_per_session)
        return "", ""

    def _count_joining(self, owner: str, more: int) -> None:
        """Count the jobs of an owner that are on their way into the queue; it never waits for the register."""
        with self._counting:
            self._joining[owner] += more
            if not self._joining[owner]:
                del self._joining[owner]

    def _queued(self) -> dict[str, Any]:
        """The events in gradio's queue, and those that it works on, by id."""
        return {} if self._app is None else self._app._queue.event_ids_to_events

    def _new(self, job_id: str, name: str, owner: str, arguments: list[Any] | None) -> Job:
        tool = str(self.handlers[name].__module__).rpartition(".")[2].removesuffix("_handlers")
        names = file_names(arguments, self.settings)
        return Job(job_id, tool, name, owner, queued_s=time.time(), inputs=names, arguments=arguments)

    def _started(self, task: Task, job: Job, request: Any) -> None:
        now: dict[str, Any] = {"state": "running", "started_s": time.time()}
        now |= {"inputs": job.inputs, "arguments": job.arguments}  # as the handler gets them
        task.job = replace(task.job, **now)
        self.register.update(job.id, **now)
        limit_s = self.settings.job_timeout_s
        task.timer = threading.Timer(limit_s, task.token.cancel, [f"Stopped at the time limit of {limit_s} s"])
        task.timer.daemon = True
        task.timer.start()
        if request is not None:
            Work(task.token, self._note_of(task)).put_on(request)
        self._log(task.job)

    def _note_of(self, task: Task) -> Progress:
        def note(done: int, total: int, what: str) -> None:
            task.job = replace(task.job, done=done, total=total, what=what)
            if time.monotonic() - task.noted_s >= _NOTE_EVERY_S:
                task.noted_s = time.monotonic()
                self.register.update(task.job.id, done=done, total=total, what=what)

        return note

    def _leave(self, task: Task, state: State, error: str, result: Any = None) -> None:
        if task.timer is not None:
            task.timer.cancel()
        self._end(task, state, error, result)
        self._slots.release()
        with self._change:
            del self._running[task.job.id]
            self._change.notify_all()
        give_back_memory()

    def _end(self, task: Task, state: State, error: str, result: Any = None) -> None:
        job, folder = task.job, self.folder / task.job.id
        if state != "done":
            self.register.update(job.id, arguments=keep_inputs(job.arguments, folder, self.settings))
        told = _interrupted(job.endpoint, error) if state == "interrupted" else error
        self.register.update(job.id, done=job.done, total=job.total, what=job.what)
        self.register.end(job.id, state, told, result)
        if task.follows:
            self.register.forget(task.follows)
            throw_away(self.folder / task.follows)
        task.job = replace(job, state=state, ended_s=time.time(), error=told)
        self.metrics.ended(task.job)
        self._log(task.job)

    def _idle_within(self, seconds: float) -> bool:
        with self._change:
            return self._change.wait_for(lambda: not self._running, seconds)

    def _log(self, job: Job) -> None:
        facts: dict[str, Any] = {name: getattr(job, name) for name in ("tool", "endpoint", "state")}
        facts |= {"job": job.id, "seconds": round(job.seconds, 3), "waited_s": round(job.waited_s, 3)}
        LOGGER.info(f"job {job.state}: {job.error}" if job.error else f"job {job.state}", extra=facts)


def _state_of(task: Task) -> State:
    """What a job is that was stopped."""
    return "interrupted" if task.token.why == _SHUTDOWN else "cancelled"


def _interrupted(endpoint: str, why: str = "") -> str:
    """The sentence of a job that the end of its server ended, and what to do."""
    again = "Run it again; it goes on from where it was." if endpoint in RESUMED else "Run it again."
    return f"{why or 'The server was stopped before this was done.'} {again}"


def _session(request: Any) -> str:
    return str(getattr(request, "session_hash", None) or "")
