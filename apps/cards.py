"""What all tabs say in HTML: one-line messages, times, addresses of files. Text from outside is escaped here."""

from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

Row = Mapping[str, Any]
SIDE_BY_SIDE = Path(__file__).with_name("side_by_side.js")
"""The script of a component that shows `side_by_side`."""
JUMP = Path(__file__).with_name("jump.js")
"""The script of a component whose player jumps to what has ``data-at``."""
HAND_ON = Path(__file__).with_name("hand_on.js")
"""The script of a component that shows `hand_on`."""


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


def side_by_side(left: Row, right: Row) -> str:
    """Two players with one control; ``side_by_side.js`` moves them.

    Args:
        left: ``title``, ``playable`` and ``duration_s``.
        right: the same, and ``offset_s``: how far its player runs ahead of the left one, None or 0 not at all.
    """
    offset = right.get("offset_s") or 0.0
    where = f", from {duration(offset)}" if offset > 0 else ""
    players = "".join(
        f'<figure><video playsinline preload="auto"{muted} aria-label="{escape(row["title"])}" '
        f'src="{file_url(row["playable"])}"></video><figcaption>{escape(row["title"])}{told}</figcaption></figure>'
        for row, muted, told in ((left, "", ""), (right, " muted", where))
    )
    return (
        f'<section class="pair" aria-label="Side by side" data-offset="{offset}"><div class="players">{players}</div>'
        '<div class="controls"><button type="button" data-do="play">Play</button><input type="range" min="0" '
        f'max="{left["duration_s"]}" step="0.01" value="0" aria-label="Position"><output>0:00</output>'
        '<button type="button" data-do="close">Close</button></div></section>'
    )


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


def hand_on(file: str, name: str, tabs: Mapping[str, str]) -> str:
    """Buttons that give a film to other tools.

    Args:
        file: its path.
        name: under which it is given.
        tabs: titles of the tools, each with the label under which it takes films.
    """
    buttons = "".join(
        f'<button type="button" data-do="hand-on" data-tab="{escape(tab)}" data-label="{escape(label)}" '
        f'data-url="{file_url(file)}" data-name="{escape(name)}">{escape(tab)}</button>'
        for tab, label in tabs.items()
    )
    return f'<p class="actions">Hand on to: {buttons}</p>'
