"""A tool with nothing in it but time, for tests of what all jobs have in common; and a server for it, or several."""

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import gradio as gr
import httpx
from gradio_client import Client
from starlette.middleware import Middleware

from apps.desk import Desk
from apps.door import Door
from apps.feedback import job
from apps.jobs import recent_jobs
from apps.keeping import register_folder
from apps.passing import past
from apps.runtime import HEAVY, AppSettings, Jobs, request_folder
from core.errors import CancelledError, MediaError
from tests.apps.conftest import free_port
from tests.apps.served import PATIENCE_S, wait_for

BAR = gr.Progress()
STEPS = 100_000


class Handlers:
    """A tool whose jobs go on until the test opens the gate."""

    def __init__(self, settings: AppSettings) -> None:
        self.settings, self.jobs, self.gate = settings, Jobs(), threading.Event()

    def bench_wait(self, word: str, request: gr.Request, bar: gr.Progress = BAR) -> dict[str, Any]:
        with job(self.jobs, request, bar, counted="") as report:
            for step in range(STEPS):
                report(step, STEPS, word)
                if self.gate.wait(0.01):
                    break
            file = request_folder(self.settings).resolve() / f"{word[:20].strip('/').replace('/', '-')}.txt"
            file.write_text(word)
            return {"word": word, "file": str(file)}

    def bench_each(self, words: list[str], request: gr.Request, bar: gr.Progress = BAR) -> Iterator[dict[str, Any]]:
        answer: dict[str, Any] = {"results": [], "stopped": False}
        with job(self.jobs, request, bar) as report:
            try:
                for number, word in enumerate(words):
                    report(number, len(words), word)
                    answer["results"].append(word)
                    yield answer
                    while number >= 1 and not self.gate.wait(0.01):
                        report(number, len(words), word)
            except CancelledError:
                answer["stopped"] = True
        yield answer

    def bench_fail(self, file: str, fault: bool, request: gr.Request, bar: gr.Progress = BAR) -> dict[str, Any]:
        with job(self.jobs, request, bar):
            if fault:
                raise ZeroDivisionError("the secret of the house")
            raise MediaError(f"{Path(file).name if file else 'It'} is not a film; give another.")


class Bench:
    """A server with that tool."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.settings = AppSettings(output=str(folder / "output"), port=free_port(), **settings)
        self.desk, self.tool = Desk(self.settings), Handlers(self.settings)
        heavy: dict[str, Any] = {"concurrency_id": HEAVY, "concurrency_limit": self.settings.jobs}
        with gr.Blocks() as self.app:
            answer, word, words = gr.JSON(), gr.Textbox(label="Word"), gr.JSON()
            file, fault = gr.File(), gr.Checkbox()
            gr.Button("Wait").click(self.tool.bench_wait, word, answer, **heavy)
            gr.Button("Each").click(self.tool.bench_each, words, answer, **heavy)
            gr.Button().click(self.tool.bench_fail, [file, fault], answer, **heavy)
            recent_jobs(self.desk)
        gr.set_static_paths([self.settings.output])
        self.desk.attach(self.app, past)
        self.app.queue(default_concurrency_limit=self.settings.jobs).launch(
            server_port=self.settings.port,
            prevent_thread_lock=True,
            quiet=True,
            blocked_paths=[str(register_folder(self.settings))],
            app_kwargs={"middleware": [Middleware(Door, desk=self.desk)], "routes": [self.desk.metrics.route()]},
        )
        self.url = f"http://127.0.0.1:{self.settings.port}"

    def client(self) -> Client:
        return Client(self.url, verbose=False, httpx_kwargs={"timeout": PATIENCE_S})

    def start(self, client: Client, word: str) -> tuple[Any, str]:
        """Ask for a job, and wait until it runs; return it and its id."""
        submitted = client.submit(word, api_name="/bench_wait")
        return submitted, self.running(submitted)

    def running(self, submitted: Any) -> str:
        job_id = str(wait_for(lambda: submitted.communicator.event_id))
        wait_for(lambda: self.state(job_id) == "running")
        return job_id

    def state(self, job_id: str) -> str:
        with suppress(ValueError):
            return self.desk.register.job(job_id).state
        return ""

    def ask(self, job_id: str) -> Any:
        return self.client().predict(job_id, api_name="/job")

    def file(self, path: str) -> httpx.Response:
        return httpx.get(f"{self.url}/gradio_api/file={path}")

    def close(self) -> None:
        self.tool.gate.set()
        time.sleep(0.1)
        self.app.close(verbose=False)
        self.desk.register.close()


@contextmanager
def benches() -> Iterator[Any]:
    """Makes servers that are closed at the end."""
    with ExitStack() as stack:

        def make(folder: Path, **settings: Any) -> Bench:
            bench = Bench(folder, **settings)
            stack.callback(bench.close)
            return bench

        yield make
