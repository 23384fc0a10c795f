"""Answers as HTML: cards with a player each, and one-line status messages. Text from outside is escaped here."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any
from urllib.parse import quote

Row = Mapping[str, Any]


def file_url(path: str) -> str:
    """The address, relative to the page, under which gradio serves a file."""
    return f"gradio_api/file={quote(path)}"


def status(text: str, kind: str = "note") -> str:
    """One line that a screen reader speaks when it changes; ``kind`` is note, good or bad."""
    return f'<p class="status {kind}" role="status">{escape(text)}</p>'


def duration(seconds: float) -> str:
    """Minutes and seconds, as a player shows them.

    >>> duration(75.4), duration(3671)
    ('1:15', '1:01:11')
    """
    whole = round(seconds)
    hours, minutes = whole // 3600, whole // 60 % 60
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"


def search_results(answer: Row) -> str:
    """The query's card, and beside it the cards of the videos found, best first."""
    if not answer["results"]:
        return status("Nothing found: the library is empty, or no video has all those tags. Add some videos first.")
    query = _card(answer["query"], "Your video", "query")
    found = "".join(_card(row, f"{rank}", "found") for rank, row in enumerate(answer["results"], 1))
    return f'<div class="matches"><div class="query-side">{query}</div><ol class="found-side">{found}</ol></div>'


def add_summary(answer: Row) -> str:
    """What became of the files added, with one line for each that was refused."""
    counts = {kind: sum(row["status"] == kind for row in answer["results"]) for kind in ("added", "known")}
    parts = [f"{counts['added']} added"]
    if counts["known"]:
        parts.append(f"{counts['known']} already in the library")
    if answer["errors"]:
        parts.append(f"{len(answer['errors'])} refused")
    state = "Stopped" if answer["stopped"] else "Done" if answer["finished"] else "Adding"
    line = status(f"{state}: {', '.join(parts)}.", "bad" if answer["errors"] else "good")
    refused = "".join(f"<li>{escape(row['error'])}</li>" for row in answer["errors"])
    return line + (f'<ul class="refused">{refused}</ul>' if refused else "")


def _card(row: Row, badge: str, kind: str) -> str:
    title, tag = escape(row["title"]), "li" if kind == "found" else "div"
    facts: Sequence[str] = [duration(row["duration_s"]), *row.get("tags", ())]
    poster = f' poster="{file_url(row["poster"])}"' if row.get("poster") else ""
    meter = ""
    if "similarity" in row:
        share = max(0.0, min(1.0, row["similarity"]))
        meter = (
            f'<div class="similarity"><div class="bar" aria-hidden="true"><i style="width:{share:.1%}"></i></div>'
            f'<span aria-label="similarity">{row["similarity"]:.3f}</span></div>'
        )
    player = (
        f'<video controls preload="metadata" playsinline{poster} aria-label="{title}" '
        f'src="{file_url(row["playable"])}"></video>'
        if row["playable"]
        else '<p class="gone">The file is no longer where it was.</p>'
    )
    return (
        f'<{tag} class="card {kind}"><div class="frame">{player}<b class="badge">{escape(badge)}</b></div>'
        f'<div class="text"><h3 title="{title}">{title}</h3><p>{escape(" · ".join(facts))}</p>{meter}</div></{tag}>'
    )
