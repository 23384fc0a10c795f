"""GPUs that are lent for the length of one job: ZeroGPU Spaces. Anywhere else nothing here does anything.

There a job runs in a process of its own, which is forked when the job gets its GPU. What it is called with goes there
pickled, so the request crosses as its session alone, and the job's stop by a file; what is loaded before the app is
launched goes along, which is why `apps.runtime.Once` then makes its pipeline at once (what the maker of ZeroGPU calls
models at module level). Networks are never compiled: a compiled one would be compiled again for every job.

A fork takes along the memory as it stands, and no thread but its own: a lock that another thread holds in that moment
stays locked there for ever. So all heavy work is done on the other side, where a job has a thread of its own, and what
computes with several threads starts them anew; on this side nothing computes once the app is launched. A job's process
ends with the server, even one that was killed.

LanceDB does not survive a fork safely: a job that wrote to a library which the server had opened and used before
crashed in two of four tries, and did not end in one. So there neither the server nor a job opens a library; a process
of its own does (`core.store.apart`), which both ask, and which is started before the first job. And a job never frees
what the server had left over: to free a reader of films is to wait for its threads, which are not there.

What is not solved: when another thread of the server is inside a lock of some package just when a job is forked, that
job may hang.

The time that is asked for follows from the length of the films and sounds that the job is called with, and where videos
are made from nothing, from the number of steps.
"""

import functools
import gc
import inspect
import math
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
import spaces

from apps.runtime import Work
from core.errors import CancelledError, MediaError
from core.lending import zero_gpu
from core.media import probe
from core.runtime import CancelToken
from core.store.apart import start_keeper

Handler = Callable[..., Any]
START_S = 10
"""Seconds for what does not grow with the films: the process, moving the networks to the GPU, the answer."""
LONGEST_S = 120
"""What a job asks for at most; one that is cut off there says so, and goes on from what it had when asked again."""
SECONDS_A_SECOND = {"video_search": 0.15, "video_quality": 0.3, "music_matching": 0.5, "lip_sync": 6.0,
                    "personal_video": 2.0}  # fmt: skip
"""Seconds of work for a second of film, from the costs on two cores in the README and the cards (lip-sync: 25 pictures
of two million pixels; personal video: an animated picture, a few frames of which are cut out), as a bound from above;
nobody has measured them on such a Space."""
SECONDS_A_STEP = {"personal_video_generate": 2.0, "personal_video_enlarge": 4.0}
"""Seconds of work for a step of sampling; how long a film is that comes with it does not count. Bounds from above that
nobody has measured on such a Space; on the embedded profile a step took 0.6 and 2.7 s on two cores busy with else."""
USUAL_STEPS = 25
"""Of the hub profile, which takes more of them than the embedded one; for a job that leaves their number to it."""
OTHERS = 6.0
"""For tools that are not listed above."""
LOOK_EVERY_S = 0.2
PARENT_EVERY_S = 1.0
_TIE = "ends with its server"


@dataclass(frozen=True)
class Asker:
    """What crosses of a request: whose it is, and the file that appears, with a reason in it, when it must stop."""

    session: str | None
    stop: Path

    def request(self) -> gr.Request:
        """A request for the handler on the other side."""
        request = gr.Request(session_hash=self.session)
        Work(FileToken(self.stop)).put_on(request)
        return request


class FileToken(CancelToken):
    """A cancel token that is raised by a file, for a job in another process."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self._file = file

    @property
    def cancelled(self) -> bool:
        """True once the file is there."""
        if not self._event.is_set() and self._file.exists():
            self.why = self._file.read_text("utf-8") or self.why
            self._event.set()
        return self._event.is_set()


def lent(handler: Handler) -> Handler:
    """On a ZeroGPU Space a tool's handler in a process with a GPU; anywhere else, and of other modules, the handler."""
    if not zero_gpu() or not handler.__module__.endswith("_handlers"):
        return handler
    _prepare_forks()
    seconds, server = functools.partial(_asked_for, handler), os.getpid()
    if inspect.isgeneratorfunction(handler):

        def answers_there(*arguments: Any) -> Iterator[Any]:
            _end_with(server)
            yield from handler(*_arrived(arguments))

        on_gpu = spaces.GPU(answers_there, duration=seconds)

        @functools.wraps(handler)
        def answers(*arguments: Any) -> Iterator[Any]:
            with _crossing(arguments) as crossed:
                yield from on_gpu(*crossed)

        return answers

    def answer_there(*arguments: Any) -> Any:
        _end_with(server)
        return handler(*_arrived(arguments))

    once_on_gpu = spaces.GPU(answer_there, duration=seconds)

    @functools.wraps(handler)
    def answer(*arguments: Any) -> Any:
        with _crossing(arguments) as crossed:
            return once_on_gpu(*crossed)

    return answer


@functools.cache
def _prepare_forks() -> None:
    """Have running what must not be forked, and let forks leave alone what the collector of garbage would free."""
    start_keeper()
    os.register_at_fork(after_in_child=gc.freeze)


def _asked_for(handler: Handler, *arguments: Any) -> int:
    """Seconds of GPU to ask for, for a call of a handler."""
    named = dict(zip(inspect.signature(handler).parameters, arguments, strict=False))
    return seconds_for(handler.__name__, *arguments, steps=named.get("steps") or 0)


def seconds_for(name: str, *arguments: Any, steps: float = 0) -> int:
    """Seconds of GPU to ask for, for the endpoint of that name.

    The tool is told from the name: ``video_search_add`` is one of ``video_search``.

    Args:
        name: of the endpoint.
        arguments: of the call; the files among them are looked at.
        steps: of sampling, where the endpoint has them; 0: as many as suit the profile.
    """
    if a_step := SECONDS_A_STEP.get(name):
        return min(LONGEST_S, math.ceil(START_S + a_step * max(0.0, steps or USUAL_STEPS)))
    a_second = next((cost for tool, cost in SECONDS_A_SECOND.items() if name.startswith(tool)), OTHERS)
    seconds = float(START_S)
    for path in _paths(arguments):
        seconds += a_second * _played_s(path)
        if seconds >= LONGEST_S:  # the rest need not be looked at
            return LONGEST_S
    return math.ceil(seconds)


def _paths(value: Any) -> Iterator[Path]:
    if isinstance(value, list | tuple):
        for part in value:
            yield from _paths(part)
    elif isinstance(value, str) and 0 < len(value) < 1024 and Path(value).is_absolute() and Path(value).is_file():
        yield Path(value)


def _played_s(path: Path) -> float:
    try:
        return float(probe(path).duration_s)
    except MediaError:  # the job itself says what is wrong with it
        return 0.0


def _arrived(arguments: tuple[Any, ...]) -> list[Any]:
    return [value.request() if isinstance(value, Asker) else value for value in arguments]


def _end_with(server: int) -> None:
    """Let this process, which the server forked, end when the server has ended, in whichever way.

    The wrapper's processes wait for their next job for ever: they hold both ends of the pipe on which they wait, and
    all else that the server had open when they were forked, such as its standard output.
    """

    def watch() -> None:
        while os.getppid() == server:
            time.sleep(PARENT_EVERY_S)
        os._exit(1)

    if server != os.getpid() and all(thread.name != _TIE for thread in threading.enumerate()):
        threading.Thread(target=watch, name=_TIE, daemon=True).start()


@contextmanager
def _crossing(arguments: tuple[Any, ...]) -> Iterator[list[Any]]:
    """The arguments as they cross, and a thread that lets a stop cross while the context lasts.

    Raises:
        gr.Error: as the job, with `CancelledError` as its cause where it was stopped.
    """
    request = next((value for value in arguments if isinstance(value, gr.Request)), None)
    token, over = Work.of(request).token if request is not None else CancelToken(), threading.Event()
    with tempfile.TemporaryDirectory() as folder:
        stop = Path(folder) / "stop"

        def watch() -> None:
            while not over.wait(LOOK_EVERY_S):
                if token.cancelled:
                    written = stop.with_name("written")
                    written.write_text(token.why, "utf-8")
                    written.replace(stop)
                    return

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            yield [Asker(v.session_hash, stop) if isinstance(v, gr.Request) else v for v in arguments]
        except gr.Error as error:
            if token.cancelled:
                raise error from CancelledError(str(error.message))
            raise
        finally:
            over.set()
            watcher.join()
