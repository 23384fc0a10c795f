"""What is drawn of a quality score: nothing from outside becomes markup, and what is drawn is what was told."""

import csv
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps import tables, video_quality_cards
from core.video_quality.results import FAULTS
from tests.apps.test_cards import Reader


def row_of(file: str, scores: list[float], step_s: float = 1.0, playable: str = "film.mp4") -> dict[str, Any]:
    seconds = [
        {"start_s": n * step_s, "score": score, "faults": dict.fromkeys(FAULTS, 0.2)} for n, score in enumerate(scores)
    ]
    return {
        "file": file,
        "score": 2.2,
        "score_100": 30.0,
        "level": "poor",
        "distribution": [0.1, 0.6, 0.3, 0.0, 0.0],
        "uncertainty": [1.8, 2.6],
        "per_second": seconds,
        "faults": [{"kind": "blur", "certainty": 0.9, "spans_s": [[0.0, 2.0], [3.0, 3.5]]}],
        "worst": [{"time_s": 1.5, "score": scores[0], "picture": f"/files/{file}.jpg"}],
        "duration_s": len(scores) * step_s + 0.4,
        "playable": playable,
    }


def drawn(name: str) -> list[str]:
    row = row_of(name, [3.0, 2.0, 4.0])
    answer = {"results": [row, row], "errors": [{"file": name, "error": name}], "stopped": False, "files": 3}
    compared = {"results": [row, row], "difference": 0.4, "certain": True}
    return [
        video_quality_cards.overview(answer),
        video_quality_cards.card(row, f"/files/{name}.mp4"),
        video_quality_cards.card(row, ""),
        video_quality_cards.comparison(compared),
    ]


@given(name=st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1, max_size=30))
def test_no_name_adds_a_tag_and_every_name_is_shown(name: str) -> None:
    for html, plain, times in zip(drawn(name), drawn("plain"), (4, 1, 1, 5), strict=True):
        read = Reader(html)
        assert read.tags == Reader(plain).tags
        assert read.text.count(name) >= times
        assert all(s.startswith("gradio_api/file=") and "#" not in s and "?" not in s for s in read.sources)


@given(scores=st.lists(st.floats(1, 5), min_size=1, max_size=60), step=st.sampled_from([1.0, 24.0]))
def test_the_curve_has_a_step_and_a_place_to_click_for_every_second_without_gaps(
    scores: list[float], step: float
) -> None:
    html = video_quality_cards.curve([row_of("film.mp4", scores, step)])
    (path,) = re.findall(r'class="k0" d="([^"]+)"', html)
    heights = [float(y) for y in re.findall(r"[ V]([\d.]+)H", path)]
    assert [5 - (y - 4) / 23 for y in heights] == pytest.approx(scores, abs=0.001)
    places = [
        (float(x), float(width)) for x, width in re.findall(r'x="([\d.]+)" y="0" height="100" width="([\d.]+)"', html)
    ]
    assert re.findall(r'data-at="([\d.]+)"', html) == [str(n * step) for n in range(len(scores))]
    assert places[0][0] == 0
    assert [x + width for x, width in places[:-1]] == pytest.approx([x for x, _ in places[1:]], abs=0.2)
    assert sum(places[-1]) <= 1000.2


def test_two_curves_share_one_plot_and_a_difference_that_is_not_certain_is_not_called_better() -> None:
    rows = [row_of("a.mp4", [3.0, 2.0]), row_of("b.mp4", [4.0, 4.0, 4.0])]
    for certain, words in ((True, "b.mp4 looks better, by 0.40."), (False, "no more than the uncertainty")):
        html = video_quality_cards.comparison({"results": rows, "difference": 0.4, "certain": certain})
        assert words in html and html.count('class="k0" d=') == html.count('class="k1" d=') == 1
    assert "0:01: 2.0 and 4.0" in html and "0:02: 4.0<" in html


def test_a_still_picture_is_shown_as_one_and_a_film_that_is_gone_is_said_to_be() -> None:
    row = row_of("still.png", [3.0], playable="/files/still.jpg")
    assert Reader(video_quality_cards.card(row, row["playable"])).tags.count("video") == 0
    assert "no longer" in video_quality_cards.card(row, "")
    html = video_quality_cards.comparison({"results": [row, row], "difference": 0.0, "certain": False})
    assert Reader(html).tags.count("img") == 2 and "data-offset" not in html


def test_scores_read_back_from_csv_and_json_with_a_line_for_the_bad_file(tmp_path: Path) -> None:
    odd = 'a "quoted", name;\nin two lines'
    answer = {"results": [row_of(odd, [3.0, 2.0])], "errors": [{"file": "bad.mp4", "error": "It is damaged."}]}
    rows = video_quality_cards.table_rows(answer)
    sheet, data = tables.write_tables(rows, tmp_path, "scores")
    with Path(sheet).open(encoding="utf-8", newline="") as stream:
        good, bad = csv.DictReader(stream)
    assert (good["file"], good["score"], good["poor"], good["per_second"]) == (odd, "2.2", "0.6", "3.0, 2.0")
    assert good["faults"] == "blur 0:00–0:02 0:03–0:04" and (good["low"], good["high"]) == ("1.8", "2.6")
    assert (bad["file"], bad["error"], bad["score"]) == ("bad.mp4", "It is damaged.", "")
    assert json.loads(Path(data).read_text(encoding="utf-8"))["results"] == json.loads(json.dumps(rows))


def test_the_words_say_where_scores_come_from_and_never_that_people_gave_them() -> None:
    for html in drawn("film")[1:]:
        text = Reader(html).text
        assert "trained on VMAF and published opinion tables" in text and "MOS" not in text
