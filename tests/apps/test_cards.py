"""Text from outside never becomes markup."""

import csv
import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from apps import cards, tables, video_search, video_search_cards

FIGURE = {"recall_at_1": 0.5, "micro_average_precision": 0.25}


class Reader(HTMLParser):
    """Collects the tags and the text of a piece of HTML."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        self.sources: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.sources += [value or "" for name, value in attrs if name == "src"]

    def handle_data(self, data: str) -> None:
        self.text += data


def answer_of(title: str) -> dict[str, Any]:
    query = {"title": title, "duration_s": 61.0, "playable": f"/files/{title}.mp4"}
    found = {"id": "a1", "similarity": 0.5, "score": 0.2, "relation": "topic", "offset_s": 9.0, "why": title}
    results = [query | found | {"tags": (title,)}] * 3
    told = {"milliseconds": {"hash": 0.4, "cosine": 14.2}, "missed": [title], "fallback": title}
    return {"query": query, "results": results, "not_similar": [{"id": "b2", "title": title}], **told}


def drawn(title: str) -> list[str]:
    answer = answer_of(title)
    rows = tables.rows_of(title, answer["results"]) + tables.rows_of(title, [], title)
    tuned = {"before": FIGURE, "after": FIGURE, "switched": True, "lost": [title]}
    return [
        video_search_cards.search_results(answer),
        cards.side_by_side(answer["query"], answer["results"][0]),
        video_search_cards.table(rows),
        video_search_cards.fine_tuned(tuned),
    ]


@given(title=st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1, max_size=30))
def test_no_title_adds_a_tag_and_every_title_is_shown(title: str) -> None:
    for html, plain, times in zip(drawn(title), drawn("plain"), (4 + 3 + 3 + 3, 2, 4 + 3 + 1, 1), strict=True):
        read = Reader(html)
        assert read.tags == Reader(plain).tags
        assert read.text.count(title) >= times
        assert all(s.startswith("gradio_api/file=") and "#" not in s and "?" not in s for s in read.sources)


def test_results_at_or_below_the_threshold_are_not_shown_and_ranks_stay() -> None:
    answer = answer_of("film")
    answer["results"] = [row | {"id": f"{n}", "score": n / 10} for n, row in enumerate(answer["results"])]
    html = video_search_cards.search_results(answer, 0.1)
    assert html.count('<li class="card found">') == 1 and '<b class="badge">3</b>' in html
    assert "2 of 3 not shown" in html and "Hash 0.4 ms, cosine 14 ms; hash missed: film" in html


def test_a_mark_moves_a_result_and_taking_it_back_restores_the_answer() -> None:
    answer = answer_of("film") | {"not_similar": []}
    answer["results"] = [row | {"id": f"{n}", "similarity": 1 - n / 10} for n, row in enumerate(answer["results"])]
    marked = video_search.after_mark(answer, "1", True)
    assert [row["id"] for row in marked["results"]] == ["0", "2"] and marked["not_similar"] == [answer["results"][1]]
    assert video_search.after_mark(marked, "1", False) == answer | {"note": ""}
    unknown = video_search.after_mark(answer | {"not_similar": [{"id": "9", "title": "other"}]}, "9", False)
    assert unknown["results"] == answer["results"] and "other is shown again" in unknown["note"]


def test_a_table_of_results_reads_back_from_csv_and_json(tmp_path: Path) -> None:
    odd = 'a "quoted", name;\nin two lines'
    rows = tables.rows_of(odd, answer_of(odd)["results"]) + tables.rows_of("bad.mp4", [], "It is damaged.")
    sheet, data = tables.write_tables(rows, tmp_path, "found")
    with Path(sheet).open(encoding="utf-8", newline="") as stream:
        read = list(csv.DictReader(stream))
    assert [row["rank"] for row in read] == ["1", "2", "3", ""] and {row["title"] for row in read[:3]} == {odd}
    assert read[3]["error"] == "It is damaged."
    assert json.loads(Path(data).read_text(encoding="utf-8"))["results"] == json.loads(json.dumps(rows))


@given(message=st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), max_size=60))
def test_the_summary_counts_what_happened_and_quotes_each_refusal(message: str) -> None:
    row = {"file": "a.mp4", "id": "1", "error": message}
    answer = {
        "results": [row | {"status": "added"}] * 2 + [row | {"status": "known"}],
        "errors": [row],
        "stopped": False,
        "finished": True,
    }
    read = Reader(cards.add_summary(answer))
    assert "Done: 2 added, 1 already in the library, 1 refused." in read.text and message in read.text
    assert read.tags == ["p", "ul", "li"]
