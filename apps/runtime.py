"""What all tabs share: settings, pipelines made once, the queue for heavy work, output folders, cancelling."""

import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

from core.errors import CoreError, ParameterError, check_ranges
from core.lending import zero_gpu
from core.media import browser_playable, probe, thumbnail, write_preview
from core.runtime import CancelToken, Progress, below_home, silent

HEAVY = "heavy"
"""The concurrency id of every event that decodes, encodes or computes."""
OUTPUT_AGE_S = 6 * 3600
"""How long the files made for one request are kept."""
STILL_SIDE_PX = 1280
KEPT = ("library", "music", "concepts", "files", "models", "output")
"""The settings that name folders; relative ones lie below the home, where there is one."""

Pipeline = TypeVar("Pipeline")


@dataclass(frozen=True)
class AppSettings:
    """How the app runs; every field is a flag of ``python app.py``.

    Relative folders lie below the home (`core.runtime.home`), so that a restart elsewhere finds them again; without one
    below the working folder.

    Raises:
        ParameterError: a value is out of its range, or the home is none to write to.
    """

    library: str = field(
        default="library/videos", metadata={"help": "folder or object-storage address of the video library"}
    )
    music: str = field(
        default="library/music", metadata={"help": "folder or object-storage address of the music library"}
    )
    concepts: str = field(
        default="library/concepts", metadata={"help": "folder or object-storage address of the users' own subjects"}
    )
    files: str = field(default="library/files", metadata={"help": "folder for the copies of what was added"})
    models: str = field(default="library/models", metadata={"help": "folder for the models fine-tuned on the library"})
    output: str = field(default="output", metadata={"help": "folder for files made for one request"})
    host: str = field(default="", metadata={"help": "address to listen on; 127.0.0.1 when empty"})
    port: int = field(default=7860, metadata={"help": "port to listen on"})
    root_path: str = field(default="", metadata={"help": "path under which a proxy serves the app"})
    auth: str = field(default="", metadata={"help": "user:password asked for at the door; nobody when empty"})
    jobs: int = field(default=2, metadata={"help": "heavy jobs that run at once, 1 to 16"})
    max_waiting: int = field(default=20, metadata={"help": "requests that may wait, 1 to 1000"})
    max_upload_mb: int = field(default=1024, metadata={"help": "largest upload in megabytes, 1 to 100000"})
    jobs_per_session: int = field(default=8, metadata={"help": "jobs of one session that may wait or run, 1 to 1000"})
    requests_per_minute: int = field(default=600, metadata={"help": "requests of one session a minute, 1 to 100000"})
    job_timeout_s: int = field(default=7200, metadata={"help": "seconds after which a job is stopped, 1 to 604800"})
    grace_s: int = field(default=30, metadata={"help": "seconds that running jobs get at a shutdown, 0 to 3600"})
    log_json: bool = field(default=False, metadata={"help": "write the log as one JSON object a line"})

    def __post_init__(self) -> None:
        for name in KEPT:
            object.__setattr__(self, name, below_home(getattr(self, name)))
        check_ranges(self, ("port", 1, 65535), ("jobs", 1, 16), ("max_waiting", 1, 1000), ("max_upload_mb", 1, 100_000))
        check_ranges(self, ("jobs_per_session", 1, 1000), ("requests_per_minute", 1, 100_000))
        check_ranges(self, ("job_timeout_s", 1, 7 * 24 * 3600), ("grace_s", 0, 3600))
        if self.auth and not all(self.auth.partition(":")):
            raise ParameterError("auth must read user:password, both not empty.")


@dataclass(frozen=True)
class Tab:
    """One tool of the app: the title of its tab, and what builds it inside the current Blocks."""

    title: str
    build: Callable[[AppSettings], None]


class Once(Generic[Pipeline]):
    """A pipeline that is made at the first call and shared by all later ones, from any thread.

    On a Space that is lent a GPU for each job (`apps.gpu`) it is made at once, so that every job finds it loaded; what
    cannot be made yet, such as one without weights, is left for the first call to tell.
    """

    def __init__(self, make: Callable[[], Pipeline]) -> None:
        self._make, self._lock, self._made = make, threading.Lock(), None
        if zero_gpu():
            with suppress(CoreError):
                self()

    def __call__(self) -> Pipeline:
        """The pipeline; whoever comes while it is being made waits for it."""
        with self._lock:
            if self._made is None:
                self._made = self._make()  # type: ignore[assignment]
            return self._made  # type: ignore[return-value]


@dataclass(frozen=True)
class Work:
    """What comes with a request that is a job: what stops it, and who else is told of its progress."""

    token: CancelToken = field(default_factory=CancelToken)
    report: Progress = silent

    def put_on(self, request: object) -> None:
        """Let a request carry this work to its handler."""
        vars(request)["work"] = self

    @classmethod
    def of(cls, request: object) -> "Work":
        """The work that a request carries; a new one where it carries none."""
        return vars(request).get("work") or cls()


class Jobs:
    """The cancel tokens of running jobs, by session: a Stop button reaches only its own user's jobs."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tokens: dict[str, list[CancelToken]] = {}

    @contextmanager
    def running(self, session: str | None, token: CancelToken | None = None) -> Iterator[CancelToken]:
        """Register one job of a session for as long as the context lasts, with its token if it has one already."""
        token, key = token or CancelToken(), session or ""
        with self._lock:
            self._tokens.setdefault(key, []).append(token)
        try:
            yield token
        finally:
            with self._lock:
                self._tokens[key].remove(token)
                if not self._tokens[key]:
                    del self._tokens[key]

    def cancel(self, session: str | None) -> int:
        """Cancel the jobs of a session; return how many there were."""
        with self._lock:
            tokens = list(self._tokens.get(session or "", ()))
        for token in tokens:
            token.cancel()
        return len(tokens)


def request_folder(settings: AppSettings) -> Path:
    """A new, empty folder for the files of one request; folders older than `OUTPUT_AGE_S` are deleted."""
    root = Path(settings.output)
    root.mkdir(parents=True, exist_ok=True)
    for old in root.glob(f"{tempfile.gettempprefix()}*"):
        if old.is_dir() and time.time() - old.stat().st_mtime > OUTPUT_AGE_S:
            shutil.rmtree(old, ignore_errors=True)
    return Path(tempfile.mkdtemp(dir=root))


def playable(path: Path, settings: AppSettings, progress: Progress) -> Path:
    """A film itself where browsers play it, otherwise a copy that they do; of a still picture a JPEG.

    Raises:
        MediaError: the file cannot be read.
        CancelledError: ``progress`` says so.
    """
    info = probe(path)
    if browser_playable(info):
        return path
    folder = request_folder(settings).resolve()
    if info.is_still:
        picture = folder / f"{path.stem}.jpg"
        picture.write_bytes(thumbnail(path, STILL_SIDE_PX))
        return picture
    copy = folder / f"{path.stem}.mp4"
    write_preview(path, copy, progress)
    return copy
