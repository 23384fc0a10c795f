"""What all tabs say in HTML: one-line messages, times, addresses of files. Text from outside is escaped here."""

from collections.abc import Mapping
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
