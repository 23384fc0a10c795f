"""A job under ZeroGPU's real wrapper, in a process of its own: ``python -m tests.apps.forking NAME FOLDER [TIMES]``.

A process that was started afresh has none of the threads of a test run, which a fork would leave behind half-way. What
came of the job, of the last one where there are several, is written to ``FOLDER/told`` as JSON.
"""

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pytest
from gradio_client import Client

from apps import gpu
from apps.feedback import job
from apps.gpu import lent
from apps.runtime import AppSettings, Jobs, Work
from core.errors import CancelledError, ParameterError
from core.store import EncoderVersion, Library, Record, open_library
from tests.apps.conftest import free_port
from tests.apps.zero_gpu_double import Lender, lend_gpus
from tests.factories import moving_clip

MODULE = "apps.toy_handlers"
"""Where tools have their handlers."""
BAR = gr.Progress()
TOY_VECTOR = np.ones(4, np.float32)


def toy_library(address: str) -> Library:
    return open_library(address, "videos", EncoderVersion("toy", "1", 4))


def toy_record(name: str) -> Record:
    return Record(name, f"{name}.mp4", name, 1.0, vector=TOY_VECTOR)


class Toys:
    """Handlers as the tools have them: bound, with locks in them, which cannot be pickled."""

    def __init__(self) -> None:
        self.jobs, self.lock = Jobs(), threading.Lock()

    def toy_process(self, film: str, request: gr.Request, bar: gr.Progress) -> dict[str, Any]:
        with job(self.jobs, request, bar):
            return {"process": os.getpid(), "session": request.session_hash, "film": film}

    def toy_many(self, count: int, request: gr.Request, bar: gr.Progress) -> Iterator[list[int]]:
        for number in range(count):
            yield [number, os.getpid()]

    def toy_wait(self, begun: str, request: gr.Request, bar: gr.Progress) -> str:
        with job(self.jobs, request, bar) as report:
            Path(begun).write_text(str(os.getpid()))
            for step in range(600):
                report(step, 600, "steps")
                time.sleep(0.1)
            return "never stopped"

    def toy_steps(self, steps: int, request: gr.Request, bar: gr.Progress = BAR) -> int:
        with job(self.jobs, request, bar) as report:
            for step in range(steps):
                report(step, steps, f"step {step}")
                time.sleep(0.4)
            return os.getpid()

    def toy_refuse(self, request: gr.Request, bar: gr.Progress) -> None:
        with job(self.jobs, request, bar):
            raise ParameterError("There is nothing to do; choose something.")

    def toy_look(self, address: str, request: gr.Request, bar: gr.Progress) -> list[str]:
        opened = toy_library(address)
        opened.add([toy_record(name) for name in "ab"])
        return sorted(match.record.id for match in opened.find(TOY_VECTOR, 5))

    def toy_compute(self, request: gr.Request, bar: gr.Progress) -> float:
        return computed()


for handler in (toy for name, toy in vars(Toys).items() if name.startswith("toy_")):
    handler.__module__ = MODULE


def computed() -> float:
    """What torch, OpenCV and numpy make of a few large arrays, with as many threads as they take."""
    import cv2
    import torch

    square = torch.ones(700, 700)
    small = cv2.resize(np.ones((2000, 2000, 3), np.uint8), (200, 200), interpolation=cv2.INTER_AREA)
    return float((square @ square).mean()) + float(small.mean()) + float((np.ones((300, 300)) @ np.ones(300)).mean())


def asked(work: Work | None = None) -> gr.Request:
    request = gr.Request(session_hash="anna")
    (work or Work()).put_on(request)
    return request


def steps(lender: Lender, folder: Path) -> dict[str, Any]:
    """Two jobs that say how many steps they take, under the name of an endpoint with steps."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(gpu.SECONDS_A_STEP, "toy_steps", 3.0)
        for number in (1, 2):
            lent(Toys().toy_steps)(number, asked(), gr.Progress())
    return {"seconds": lender.seconds}


def process(lender: Lender, folder: Path) -> dict[str, Any]:
    answer = lent(Toys().toy_process)("/no/film.mp4", asked(), gr.Progress())
    return {**answer, "here": os.getpid(), "seconds": lender.seconds, "released": lender.released}


def many(lender: Lender, folder: Path) -> dict[str, Any]:
    rows = list(lent(Toys().toy_many)(4, asked(), gr.Progress()))
    return {"numbers": [number for number, _ in rows], "elsewhere": os.getpid() not in {pid for _, pid in rows}}


def stop(lender: Lender, folder: Path) -> dict[str, Any]:
    work, begun = Work(), folder / "begun"

    def stop_it() -> None:
        while not begun.exists():
            time.sleep(0.05)
        work.token.cancel("Stopped at the time limit of 7 s")

    threading.Thread(target=stop_it, daemon=True).start()
    return _failed(lambda: lent(Toys().toy_wait)(str(begun), asked(work), gr.Progress()), lender)


def refuse(lender: Lender, folder: Path) -> dict[str, Any]:
    return _failed(lambda: lent(Toys().toy_refuse)(asked(), gr.Progress()), lender)


def orphan(lender: Lender, folder: Path) -> dict[str, Any]:
    """This process ends as by a power cut while the job runs."""

    def cut() -> None:
        while not (begun := folder / "begun").exists() or not begun.read_text():
            time.sleep(0.05)
        (folder / "told").write_text(json.dumps({"process": int(begun.read_text())}))
        os.kill(os.getpid(), 9)

    threading.Thread(target=cut, daemon=True).start()
    return {"answer": lent(Toys().toy_wait)(str(folder / "begun"), asked(), gr.Progress())}


def waiting(lender: Lender, folder: Path) -> dict[str, Any]:
    """This process ends as by a power cut when its job is done, and the other one waits for the next."""
    return _cut_after(folder, lent(Toys().toy_process)("/no/film.mp4", asked(), gr.Progress())["process"])


def waiting_of_many(lender: Lender, folder: Path) -> dict[str, Any]:
    """The same after a job that answered many times."""
    return _cut_after(folder, list(lent(Toys().toy_many)(2, asked(), gr.Progress()))[-1][1])


def _cut_after(folder: Path, there: int) -> dict[str, Any]:
    (folder / "told").write_text(json.dumps({"process": there}))
    os.kill(os.getpid(), 9)
    raise AssertionError("it was killed")


def library(lender: Lender, folder: Path) -> dict[str, Any]:
    """A library that is open, written to and searched on this side before the job, while it runs, and after it."""
    address, over = str(folder / "library"), threading.Event()
    opened = toy_library(address)
    opened.add([toy_record("c")])

    def search_on() -> None:
        while not over.is_set():
            opened.find(TOY_VECTOR, 5)

    searcher = threading.Thread(target=search_on)
    searcher.start()
    there = lent(Toys().toy_look)(address, asked(), gr.Progress())
    over.set()
    searcher.join()
    opened.add([toy_record("d")])
    return {"there": there, "here": sorted(opened.ids()), "engine here": "lancedb" in sys.modules}


def search(lender: Lender, folder: Path) -> dict[str, Any]:
    """Similar videos: jobs add a film and find it, this side lists the library before and after, and removes it."""
    from apps.video_search_handlers import Handlers

    kept = {name: str(folder / name) for name in ("library", "files", "models", "output")}
    tool = Handlers(replace(AppSettings(), **kept))  # type: ignore[arg-type]
    film, told = str(moving_clip(folder / "film.mp4", 160, 120, 12, 2)), {"before": tool.video_search_list("", 60)}
    added = list(lent(tool.video_search_add)([film], "sea", asked(), gr.Progress()))[-1]
    told["listed"] = tool.video_search_list("", 60)
    told["found"] = lent(tool.video_search_find)(film, 5, "", "cosine", asked(), gr.Progress())
    tool.video_search_remove(added["results"][0]["id"])
    told["after"] = tool.video_search_list("", 60)
    return {name: [row["title"] for row in answer["results"]] for name, answer in told.items()}


def compute(lender: Lender, folder: Path) -> dict[str, Any]:
    """Libraries that compute with threads of their own have done so on this side."""
    here = computed()
    return {"here": here, "there": lent(Toys().toy_compute)(asked(), gr.Progress())}


def progress(lender: Lender, folder: Path) -> dict[str, Any]:
    """In an app, whose client sees how far the job is."""
    with gr.Blocks() as app:
        steps, answer = gr.Number(precision=0), gr.Number()
        gr.Button().click(lent(Toys().toy_steps), steps, answer, api_name="steps")
    _, url, _ = app.queue().launch(prevent_thread_lock=True, quiet=True, server_port=free_port())
    seen: list[str] = []
    work = Client(url, verbose=False).submit(6, api_name="/steps")
    while not work.done():
        seen += [unit.desc or "" for unit in work.status().progress_data or []]
        time.sleep(0.05)
    told = {"seen": list(dict.fromkeys(seen)), "elsewhere": work.result() != os.getpid()}
    app.close()
    return told


def _failed(call: Callable[[], Any], lender: Lender) -> dict[str, Any]:
    try:
        call()
    except gr.Error as error:
        stopped = isinstance(error.__cause__, CancelledError)
        return {"message": str(error.message), "stopped": stopped, "released": lender.released}
    return {"message": "", "stopped": False}


def main() -> None:
    """Do what is named, and write down what came of it."""
    name, folder, times = sys.argv[1], Path(sys.argv[2]), int((*sys.argv, "1")[3])
    jobs = (process, steps, many, stop, refuse, orphan, waiting, waiting_of_many, progress, library, search, compute)
    with pytest.MonkeyPatch.context() as patch:
        lender = lend_gpus(patch)
        for number in range(times):
            of_its_own = folder / str(number) if times > 1 else folder
            of_its_own.mkdir(exist_ok=True)
            told = {job.__name__: job for job in jobs}[name](lender, of_its_own)
            print(number, told, flush=True)
    (folder / "told").write_text(json.dumps(told))


if __name__ == "__main__":
    main()
