"""Jobs on a ZeroGPU Space: what is lent a GPU, and for how long.

Jobs under the wrapper, which forks, are those of `test_gpu_jobs`.
"""

import inspect
import re
from importlib import import_module
from pathlib import Path

import pytest

from apps import gpu
from apps.gpu import LONGEST_S, START_S, USUAL_STEPS, lent
from apps.runtime import Once
from core.errors import WeightsNotFoundError
from tests.apps.zero_gpu_double import Lender, lend_gpus
from tests.factories import moving_clip

ROOT = Path(__file__).resolve().parents[2]


class Toys:
    """A handler as the tools have them: bound."""

    def toy_process(self, film: str) -> str:
        return film


@pytest.fixture
def lender(monkeypatch: pytest.MonkeyPatch) -> Lender:
    return lend_gpus(monkeypatch)


def test_elsewhere_a_handler_stays_what_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SPACES_ZERO_GPU", raising=False)
    handler = Toys().toy_process
    assert lent(handler) is handler


def test_what_belongs_to_no_tool_is_lent_nothing(lender: Lender) -> None:
    def job_repeat() -> None:
        """An endpoint of the app itself."""

    assert lent(job_repeat) is job_repeat


def test_the_time_asked_for_grows_with_the_films_up_to_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    film = str(moving_clip(tmp_path / "film.mp4", duration_s=2, frame_rate=12))
    monkeypatch.setitem(gpu.SECONDS_A_SECOND, "toy", 2.5)
    asks = [gpu.seconds_for("toy_process", films, 3, None) for films in ("/no/film.mp4", film, [film] * 2, [film] * 30)]
    assert asks == [START_S, START_S + 5, START_S + 10, LONGEST_S]


def test_the_time_asked_for_grows_with_the_steps_up_to_a_bound(lender: Lender) -> None:
    asked = [gpu.seconds_for("personal_video_generate", "a cat", "", steps=steps) for steps in (2, 12, 0, 200)]
    assert asked == [START_S + 4, START_S + 24, START_S + 2 * USUAL_STEPS, LONGEST_S]


def test_every_tool_and_every_endpoint_with_steps_says_how_long_it_takes() -> None:
    handlers = [vars(import_module(f"apps.{tool.stem}"))["Handlers"] for tool in (ROOT / "apps").glob("*_handlers.py")]
    public = [(name, method) for tool in handlers for name, method in inspect.getmembers(tool, inspect.isfunction)
              if not name.startswith("_")]  # fmt: skip
    assert {tool.__module__.removeprefix("apps.").removesuffix("_handlers") for tool in handlers} == {
        *gpu.SECONDS_A_SECOND
    }
    stepped = {name for name, method in public if "steps" in inspect.signature(method).parameters}
    assert stepped == {*gpu.SECONDS_A_STEP}


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
