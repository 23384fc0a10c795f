"""Jobs on a ZeroGPU Space: what is lent a GPU, and for how long.

Jobs under the wrapper, which forks, are those of `test_gpu_jobs`.
"""

import re
from pathlib import Path

import pytest

from apps import gpu
from apps.gpu import LONGEST_S, START_S, lent
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
