"""What personal video answers, as HTML. Text from outside is escaped here."""

import json
from collections.abc import Sequence
from html import escape
from typing import Any

from apps import cards
from apps.cards import Row, file_url, side_by_side, status
from core.errors import ParameterError
from core.personal_video.prompt import parse_prompt, word_key
from core.runtime import Profile

MADE_FROM: dict[Profile, str] = {
    "embedded": "Videos are made by small networks that learned from 996 pictures of emoji, moved over colours and "
    "patterns by a program. Your subject is copied out of its picture, and moves as a whole: it bends no knee, turns "
    "no head, and stands as it does in the picture. They know simple motions, such as hop, spin, slide and grow, with "
    "a direction and a speed, one or two subjects, and English. They make two seconds of 64 × 64 pixels; “Enlarge” "
    "makes them anew at twice the size, sharper. Every file says that it was made.",
    "hub": "Videos are made by Stable Diffusion 1.5 with AnimateDiff and IP-Adapter: two seconds of 512 × 512 pixels; "
    "“Enlarge” makes them anew at twice the size. They are seen when they are done, and whether an image shows a "
    "concept is not found out: say so. Every file says that it was made.",
}
NEXT_TOOLS = {
    "Similar videos": "Video to compare with",
    "Quality score": "Videos to score",
    "Lip-sync": "Film or picture with a face",
    "Music": "Film that needs music",
}
"""The tools that a video can be handed on to, each with the label under which it takes films."""
MOST_SHOWN = 24
"""Videos in the gallery."""


def concepts(rows: Sequence[Row]) -> str:
    """One button for each concept."""
    if not rows:
        return status("There is no concept yet. Add one below: a word, and some pictures of the subject.")
    buttons = "".join(
        f'<li><button type="button" data-word="{escape(row["word"])}" aria-pressed="false" '
        f'title="{row["pictures"]} picture{"" if row["pictures"] == 1 else "s"}"><img loading="lazy" '
        f'src="{file_url(row["thumbnail"])}" alt=""><span>{escape(row["word"])}</span></button></li>'
        for row in rows
    )
    return f'<ul class="concepts" aria-label="Concepts">{buttons}</ul>'


def toggled(prompt: str, word: str, words: Sequence[str]) -> str:
    """The prompt with a concept's word, or without it where it was in it.

    >>> toggled("hops", "rex", ["rex"]), toggled("<rex> hops high", "rex", ["rex"])
    ('hops <rex>', 'hops high')
    """
    try:
        parsed = parse_prompt(prompt, words) if prompt.strip() else None
    except ParameterError:
        parsed = None
    spans = [span for span in parsed.spans if word_key(span.word) == word_key(word)] if parsed else []
    if parsed is None or not spans:
        return f"{prompt.rstrip()} <{word}>".strip()
    text = parsed.text
    for span in reversed(spans):
        text = text[: span.start] + text[span.end :]
    return " ".join(text.split())


def mode(answer: Row | None) -> str:
    """Which mode it will be, and the subject of the image; the words that the prompt names light their buttons."""
    if not answer:
        return _lit([]) + status("Describe the video, choose an image, or both; here it says what will be made of it.")
    if answer.get("error"):
        return _lit([]) + status(answer["error"], "bad")
    shown = "".join(f'<img src="{file_url(one)}" alt="What was cut out of the image">' for one in answer["subject"][:4])
    subject = f'<p class="subject">{shown}</p>' if shown else ""
    said = f"Mode {answer['mode']}: {answer['mode_means']}"
    return _lit(answer["words"]) + status(said, "good") + subject


def growing(answer: Row | None) -> str:
    """What a video looks like at some step; nothing once it is finished."""
    if not answer or answer["finished"]:
        return ""
    left = answer["seconds_left"]
    told = f"Step {answer['step']} of {answer['steps']}" + ("" if left is None else f", about {left:.0f} s left")
    picture = f'<img src="{file_url(answer["preview"])}" alt="The video so far">' if answer["preview"] else ""
    return f'<figure class="growing">{picture}<figcaption>{told}</figcaption></figure>'


def result(first: Row, larger: Row | None = None) -> str:
    """What was made."""
    answer = larger or first
    width, height = answer["size_px"]
    told = status(
        f"Done: {answer['duration_s']:.1f} s of {width} × {height}"
        + (f", in {answer['seconds_taken']:.1f} s." if answer["seconds_taken"] else "."),
        "good",
    )
    facts = [f"Mode {answer['mode']}: {answer['mode_means']}", f"Seed {answer['seed']}", *answer["notes"]]
    return f'{told}<ul class="facts">{"".join(f"<li>{escape(fact)}</li>" for fact in facts)}</ul>'


def players(first: Row, larger: Row | None = None) -> str:
    """The first video, and beside it the larger one where there is one."""
    if larger:
        return side_by_side(_side(first, "First video"), _side(larger, "Enlarged"))
    return (
        '<div class="card"><div class="frame"><video controls loop playsinline preload="auto" aria-label="First video" '
        f'src="{file_url(first["file"])}"></video></div></div>'
    )


def hand_on(answer: Row) -> str:
    """Buttons that give the video to another tool."""
    return cards.hand_on(answer["file"], answer["title"], NEXT_TOOLS)


def gallery(made: Sequence[dict[str, Any]]) -> str:
    """All that was made on this page, the newest first."""
    if not made:
        return status("What you make is gathered here.")
    items = "".join(_in_gallery(number, one) for number, one in reversed(list(enumerate(made))))
    return f'<ul class="made">{items}</ul>'


def cutouts(answer: Row) -> str:
    """What would be kept of some pictures."""
    found, bad = len(answer["results"]), "bad" if answer["errors"] else "good"
    told = status(f"{found} subject{'' if found == 1 else 's'} cut out.", bad)
    refused = "".join(f"<li>{escape(row['error'])}</li>" for row in answer["errors"])
    pictures = "".join(
        f'<img src="{file_url(row["picture"])}" alt="{escape(row["source"])}">' for row in answer["results"]
    )
    return f'{told}<ul class="refused">{refused}</ul><p class="subject">{pictures}</p>'


def _in_gallery(number: int, one: Row) -> str:
    first, answer = one["first"], one["larger"] or one["first"]
    width, height = answer["size_px"]
    return (
        f'<li class="card"><div class="frame"><video muted loop playsinline autoplay preload="metadata" tabindex="-1" '
        f'src="{file_url(answer["file"])}"></video></div><div class="text">'
        f'<h3 title="{escape(first["prompt"])}">{escape(first["prompt"] or first["image"])}</h3>'
        f'<p>Mode {first["mode"]}, {width} × {height}, seed {first["seed"]}</p><div class="actions"><button '
        f'type="button" data-do="show" data-index="{number}" aria-label="Show video {number + 1} again">Show</button>'
        "</div></div></li>"
    )


def _side(answer: Row, title: str) -> Row:
    width, height = answer["size_px"]
    return {
        "title": f"{title}, {width} × {height}", "playable": answer["file"], "duration_s": answer["duration_s"],
    }  # fmt: skip


def _lit(words: Sequence[str]) -> str:
    return f'<i hidden data-lit="{escape(json.dumps(list(words), ensure_ascii=False))}"></i>'
