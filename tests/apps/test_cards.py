"""Text from outside never becomes markup."""

from html.parser import HTMLParser
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from apps import cards


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
    video = {"title": title, "duration_s": 61.0, "playable": f"/files/{title}.mp4", "similarity": 0.5, "tags": (title,)}
    return {"query": {k: v for k, v in video.items() if k != "similarity"}, "results": [video] * 3}


@given(title=st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), max_size=30))
def test_no_title_adds_a_tag_and_every_title_is_shown(title: str) -> None:
    read, plain = Reader(cards.search_results(answer_of(title))), Reader(cards.search_results(answer_of("plain")))
    assert read.tags == plain.tags
    assert read.text.count(title) >= 4
    assert all(
        source.startswith("gradio_api/file=") and "#" not in source and "?" not in source for source in read.sources
    )


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
