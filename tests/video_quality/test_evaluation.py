"""The table of agreement: what goes into a row, and that a perfect method is told from a blind one."""

import numpy as np
import pytest

from core.video_quality.data import Rung
from core.video_quality.evaluation import ALL, as_table, evaluate, ladders_of
from core.video_quality.results import FAULTS

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
