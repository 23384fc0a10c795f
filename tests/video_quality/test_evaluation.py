"""The table of agreement: what goes into a row, and that a perfect method is told from a blind one."""

from pathlib import Path

import numpy as np
import pytest

from core.bulk import ALONE, Workers
from core.video_quality.data import LadderConfig, Rung, build
from core.video_quality.evaluation import ALL, as_table, assess, evaluate, ladders_of
from core.video_quality.results import FAULTS
from tests.factories import moving_clip

NONE = (0.0,) * len(FAULTS)


def rungs() -> list[Rung]:
    made = []
    for film in ("a", "b", "c"):
        made.append(Rung(film, 0, "clean", 0, 4.7, 100, NONE))
        made += [Rung(film, 0, "h264", step, 4.7 - step / 2, 50, NONE) for step in range(1, 6)]
        made += [Rung(film, 0, "noise+h264", 4, 1.5, np.nan, NONE)]
    return made


def test_a_perfect_method_has_1_everywhere_and_one_turned_over_minus_1() -> None:
    labels = np.array([rung.mos for rung in rungs()])
    rows = evaluate(rungs(), {"perfect": labels, "upside down": -labels})
    assert {row.ladder for row in rows} == {ALL, "h264", "pairs"}
    for row in rows:
        expected = 0 if row.ladder == "pairs" else 1 if row.method == "perfect" else -1
        assert row.srcc == pytest.approx(expected), "all pairs here have one label"
        if row.ladder != "pairs":
            assert row.falling == (1 if row.method == "perfect" else 0)
    counts = {row.ladder: row.clips for row in rows}
    assert counts == {ALL: 21, "h264": 18, "pairs": 3}, "a ladder is held together with its clean clips"


def test_ladders_run_from_clean_to_ruined_whatever_the_order_of_the_clips() -> None:
    order = np.random.default_rng(0).permutation(21)
    shuffled = [rungs()[n] for n in order]
    scores = np.array([rung.mos for rung in shuffled])
    found = ladders_of(shuffled, scores)
    assert len(found) == 3
    assert all(told == labels == sorted(labels, reverse=True) and len(told) == 6 for told, labels in found)


def test_the_table_has_a_line_a_ladder_and_a_column_a_method() -> None:
    labels = np.array([rung.mos for rung in rungs()])
    lines = as_table(evaluate(rungs(), {"one": labels, "two": -labels})).splitlines()
    assert lines[0] == "| | clips | one | two |"
    assert [line.split(" | ")[0] for line in lines[2:]] == ["| all", "| h264", "| pairs"]
    assert "100.0 %" in lines[2] and "0.0 %" in lines[2]


def test_clips_and_figures_are_the_same_however_many_processes_make_them(tmp_path: Path) -> None:
    films = [moving_clip(tmp_path / f"film{seed}.mp4", 360, 270, 24, 1.5, seed=seed) for seed in range(2)]
    (tmp_path / "letter.mp4").write_text("Dear all, " * 50)
    config, rows = LadderConfig(clips=1, ladders=2, pairs=1, clip_s=1), []
    for name, how in (("alone", ALONE), ("shared", Workers(2))):
        (left_out,) = build([*films, tmp_path / "letter.mp4"], config, tmp_path / name, how=how)
        assert "letter.mp4" in left_out and len(list((tmp_path / name).iterdir())) == 2
        rows.append(assess(tmp_path / name, how=how))
    alone, shared = rows
    assert {row.method for row in alone} == {"student", "BRISQUE", "NIQE"}
    assert repr(shared) == repr(alone), "the same to the last digit; nan is nan"
