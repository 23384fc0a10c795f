"""Jobs on a ZeroGPU Space: under the real wrapper, in a process of their own, with a stop and a time that fit."""

import os
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from apps import gpu
from apps.feedback import job
from apps.gpu import LONGEST_S, START_S, lent
from apps.runtime import Jobs, Once, Work
from core.errors import CancelledError, ParameterError, WeightsNotFoundError
from tests.apps.zero_gpu_double import Lender, lend_gpus
from tests.factories import moving_clip

ROOT = Path(__file__).resolve().parents[2]
MODULE = "apps.toy_handlers"
"""Where tools have their handlers."""


class Toys:
    """Handlers as the tools have them: bound, with locks in them, which cannot be pickled."""

    def __init__(self) -> None:
        self.jobs, self.lock = Jobs(), threading.Lock()

    def toy_process(self, film: str, request: gr.Request, bar: gr.Progress) -> dict[str, Any]:
        with job(self.jobs, request, bar):
            return {"process": os.getpid(), "session": request.session_hash, "film": film}

    def toy_many(self, count: int, request: gr.Request, bar: gr.Progress) -> Iterator[int]:
        yield from range(count)

    def toy_wait(self, folder: str, request: gr.Request, bar: gr.Progress) -> str:
        with job(self.jobs, request, bar) as report:
            Path(folder, "begun").touch()
            for step in range(200):
                report(step, 200, "steps")
                time.sleep(0.1)
            return "never stopped"

    def toy_refuse(self, request: gr.Request, bar: gr.Progress) -> None:
        with job(self.jobs, request, bar):
            raise ParameterError("There is nothing to do; choose something.")


for handler in (Toys.toy_process, Toys.toy_many, Toys.toy_wait, Toys.toy_refuse):
    handler.__module__ = MODULE


@pytest.fixture
def lender(monkeypatch: pytest.MonkeyPatch) -> Lender:
    return lend_gpus(monkeypatch)


@pytest.fixture
def bar(monkeypatch: pytest.MonkeyPatch) -> gr.Progress:
    """A bar that shows nothing, as outside of an event."""
    return gr.Progress()


def asked(session: str = "anna", work: Work | None = None) -> gr.Request:
    request = gr.Request(session_hash=session)
    (work or Work()).put_on(request)
    return request


def test_elsewhere_a_handler_stays_what_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SPACES_ZERO_GPU", raising=False)
    handler = Toys().toy_process
    assert lent(handler) is handler


def test_what_belongs_to_no_tool_is_lent_nothing(lender: Lender) -> None:
    def job_repeat() -> None:
        """An endpoint of the app itself."""

    assert lent(job_repeat) is job_repeat


def test_a_job_runs_in_a_process_of_its_own_and_answers_as_ever(lender: Lender, bar: gr.Progress) -> None:
    told = lent(Toys().toy_process)("/no/film.mp4", asked("anna"), bar)
    assert told["process"] != os.getpid()
    assert (told["session"], told["film"]) == ("anna", "/no/film.mp4")
    assert lender.released == [False]


def test_a_job_that_answers_many_times_does_so_from_there(lender: Lender, bar: gr.Progress) -> None:
    assert list(lent(Toys().toy_many)(4, asked(), bar)) == [0, 1, 2, 3]


def test_a_stop_reaches_the_other_process_with_its_reason(lender: Lender, bar: gr.Progress, tmp_path: Path) -> None:
    work = Work()

    def stop() -> None:
        while not (tmp_path / "begun").exists():
            time.sleep(0.05)
        work.token.cancel("Stopped at the time limit of 7 s")

    threading.Thread(target=stop, daemon=True).start()
    with pytest.raises(gr.Error, match="Stopped at the time limit of 7 s after") as caught:
        lent(Toys().toy_wait)(str(tmp_path), asked(work=work), bar)
    assert isinstance(caught.value.__cause__, CancelledError), "so that it counts as stopped, and not as failed"


def test_an_error_arrives_with_its_own_sentence(lender: Lender, bar: gr.Progress) -> None:
    with pytest.raises(gr.Error, match="There is nothing to do") as caught:
        lent(Toys().toy_refuse)(asked(), bar)
    assert caught.value.__cause__ is None
    assert lender.released == [True]


def test_the_time_asked_for_grows_with_the_films_up_to_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    film = str(moving_clip(tmp_path / "film.mp4", duration_s=2, frame_rate=12))
    monkeypatch.setitem(gpu.SECONDS_A_SECOND, "toy", 2.5)
    asks = [gpu.seconds_for("toy_process", films, 3, None) for films in ("/no/film.mp4", film, [film] * 2, [film] * 30)]
    assert asks == [START_S, START_S + 5, START_S + 10, LONGEST_S]


def test_that_time_is_what_the_server_is_asked_for(lender: Lender, bar: gr.Progress) -> None:
    lent(Toys().toy_process)("/no/film.mp4", asked(), bar)
    assert lender.seconds == [START_S]


def test_pipelines_are_loaded_before_the_app_is_launched(lender: Lender, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []

    def make() -> str:
        made.append("made")
        return "pipeline"

    once = Once(make)
    assert made == ["made"] and once() == "pipeline" and made == ["made"]

    def without_weights() -> str:
        raise WeightsNotFoundError("These weights are not here; fetch them.")

    later = Once(without_weights)
    with pytest.raises(WeightsNotFoundError):
        later()
    monkeypatch.delenv("SPACES_ZERO_GPU")
    Once(make)
    assert made == ["made"], "elsewhere nothing is loaded until it is needed"


def test_no_network_is_compiled() -> None:
    """A Space that lends GPUs compiles anew for every job, which takes longer than the job."""
    sources = [*(ROOT / "core").rglob("*.py"), *(ROOT / "apps").rglob("*.py"), ROOT / "app.py"]
    assert not [path for path in sources if re.search(r"torch\.compile\(", path.read_text("utf-8"))]
