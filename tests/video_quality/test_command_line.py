"""``python -m core.video_quality``: what goes in, what comes out, and with which status."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.command_line import run
from core.video_quality import pipeline
from core.video_quality.__main__ import parser
from core.video_quality.results import FAULTS
from tests.factories import moving_clip, still_picture
from tests.video_quality.scorer import Brightness

Call = Callable[..., tuple[int, dict[str, Any], str]]


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Call:
    """Run a command with --json; return its status, its answer, and what it said on standard error."""
    monkeypatch.setattr(pipeline, "QualityScorer", Brightness)

    def run_it(*words: object) -> tuple[int, dict[str, Any], str]:
        status = run(parser(), [*map(str, words), "--json"])
        out, err = capsys.readouterr()
        return status, json.loads(out) if out else {}, err

    return run_it


def test_score_tells_all_that_callers_rely_on(call: Call, tmp_path: Path) -> None:
    film = moving_clip(tmp_path / "film.mp4", duration_s=2.2)
    status, answer, _ = call("score", film, still_picture(tmp_path / "still.png"))
    assert status == 0 and [row["path"] for row in answer["results"]] == [str(film), str(tmp_path / "still.png")]
    row = answer["results"][0]
    assert {"score", "score_100", "level", "uncertainty", "faults", "worst", "duration_s"} <= set(row)
    assert sum(row["distribution"]) == pytest.approx(1, abs=1e-5)
    assert [second["start_s"] for second in row["per_second"]] == [0, 1]
    assert all(list(second["faults"]) == list(FAULTS) for second in row["per_second"])


def test_bad_files_among_good_ones_are_named_and_the_status_is_three(call: Call, tmp_path: Path) -> None:
    (tmp_path / "letter.mp4").write_text("Dear all, " * 50)
    film = moving_clip(tmp_path / "film.mp4", duration_s=1)
    status, answer, err = call("score", tmp_path / "letter.mp4", film, tmp_path / "none.mp4")
    assert status == 3 and [row["path"] for row in answer["results"]] == [str(film)]
    sentences = [line for line in err.splitlines() if line.startswith("error: ")]
    assert ["letter.mp4" in sentences[0], "none.mp4" in sentences[1], len(sentences)] == [True, True, 2]
    assert [Path(error["path"]).name for error in answer["errors"]] == ["letter.mp4", "none.mp4"]


def test_compare_tells_both_scores_and_their_difference(call: Call, tmp_path: Path) -> None:
    films = [moving_clip(tmp_path / f"{seed}.mp4", duration_s=1, seed=seed) for seed in (1, 2)]
    status, answer, _ = call("compare", *films)
    first, second = answer["results"]
    assert status == 0 and [first["path"], second["path"]] == list(map(str, films))
    assert answer["difference"] == pytest.approx(second["score"] - first["score"]) and not answer["certain"]
    status, answer, err = call("compare", films[0], tmp_path / "none.mp4")
    assert status == 3 and answer == {} and "none.mp4 does not exist" in err


@pytest.mark.parametrize("words", [("--max-seconds", "0"), ("--display-height", "5"), ("--batch-windows", "999")])
def test_a_setting_out_of_range_is_a_bad_argument(call: Call, tmp_path: Path, words: tuple[str, str]) -> None:
    status, _, err = call("score", tmp_path / "film.mp4", *words)
    assert status == 2 and "error: " in err


def test_without_json_a_line_for_people_is_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(pipeline, "QualityScorer", Brightness)
    film = moving_clip(tmp_path / "film.mp4", duration_s=1)
    assert run(parser(), ["score", str(film)]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert str(film) in line and line.endswith("freeze") and "fair" in line
