"""What lip-sync answers, as HTML. Text from outside is escaped here."""

from collections.abc import Sequence
from html import escape
from typing import Any

from apps.cards import Row, duration, file_url, side_by_side, status

MADE_FROM = (
    "The mouth is made by a small network that learned from made films only: photographs of faces and drawn cartoons, "
    "animated by a model of the mouth that follows speech. It follows real voices, and opens less than people do; "
    "lips do not always meet for p, b and m. Mouths are made at 128 pixels and look soft on large faces."
)
SURE, FAIRLY_SURE = 0.2, 0.1
"""Confidence of a sync reading from which it is called so; see `core.lip_sync.metrics.SyncReading`."""
FRAME_MS = 40
"""Offsets are measured in frames at 25 a second."""
_SPANS_SHOWN = 8
_SHORT_S = 60


def faces(answer: Row | None, recordings: Sequence[str] = (), said: Row | None = None) -> str:
    """What is known of a film, and a card for each of its faces, with a choice of what that one says.

    Args:
        answer: of inspect.
        recordings: names of the other recordings.
        said: what was chosen so far, face id to number: 0 the speech, 1 and up the other recordings.
    """
    if not answer:
        return ""
    found, facts = len(answer["results"]), "".join(f"<li>{escape(line)}</li>" for line in _facts(answer))
    if not found:
        told = status("No face was found. Draw a mouth below, or choose a film whose faces are larger.", "bad")
        return f'{told}<ul class="facts">{facts}</ul>'
    told = status(
        f"{found} face{'' if found == 1 else 's'} found. Where you choose none, the largest of every shot speaks.",
        "good",
    )
    cards = "".join(
        _face(row, recordings, (said or {}).get(str(row["id"])), answer["still"]) for row in answer["results"]
    )
    return f'{told}<ul class="facts">{facts}</ul><ul class="faces">{cards}</ul>'


def preview(title: str, player: str) -> str:
    """The film or picture that was chosen; nothing where there is none."""
    return f'<div class="card"><div class="frame">{_player(title, player)}</div></div>' if player else ""


def drawing(looked: Row | None, mouths: Sequence[Sequence[float]], box: Sequence[float | None] = ()) -> str:
    """The picture to draw a mouth in, with the mouths that were drawn in it, and the one that is being drawn."""
    if not looked:
        return ""
    width, height = looked["size_px"]
    there = [mouth[1:] for mouth in mouths if int(mouth[0]) == looked["frame"]]
    drawn = "".join(f'<i class="mouth" style="{_place(sides, width, height)}"></i>' for sides in there)
    whole = _place(box, width, height) if _is_box(box) else "display:none"
    return (
        f'<div class="drawing" style="max-width:calc(60vh * {width / height:.3f})" data-width="{width}" '
        f'data-height="{height}"><img draggable="false" '
        f'src="{file_url(looked["picture"])}" alt="Picture at {looked["at_s"]:.2f} s">{drawn}'
        f'<i class="mouth new" style="{whole}"></i></div>'
    )


def drawn_mouths(mouths: Sequence[Sequence[float]]) -> str:
    """The mouths that were drawn, as a list."""
    if not mouths:
        return status("No mouth is drawn.")
    lines = "".join(
        f"<li>Picture {int(frame)}: from {left:g}, {top:g} to {right:g}, {bottom:g} px</li>"
        for frame, left, top, right, bottom in mouths
    )
    return status(f"{len(mouths)} drawn; between two of one shot the mouth moves evenly.", "good") + f"<ul>{lines}</ul>"


def result(answer: Row) -> str:
    """What became of a film: how many pictures were changed, how sight and sound go together, what it took."""
    changed, count = answer["frames_changed"], answer["frame_count"]
    told = f"Done: {changed} of {count} pictures have a new mouth; {moment(answer['duration_s'])} of film."
    rows = [("Sight and sound", offset_words(answer["av_offset_frames"], answer["sync_confidence"]))]
    if "voice" in answer:
        rows.append(("Spoken by", answer["voice"]))
    for spans, frames, what in (
        ("passed_through_s", "frames_without_face", "No chosen face"),
        ("covered_s", "frames_covered", "Mouth covered"),
    ):
        if answer[spans]:
            missing = len(answer[frames])
            rows.append(
                (what, f"{missing} picture{'' if missing == 1 else 's'} left as they are: {_spans(answer[spans])}")
            )
    stages = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in answer["stages_s"].items())
    ratio = answer["seconds_taken"] / max(answer["duration_s"], 1e-3)
    rows.append(("Time taken", f"{answer['seconds_taken']:.1f} s, {ratio:.1f} times the film's length ({stages})"))
    lines = "".join(f"<tr><th scope='row'>{escape(name)}</th><td>{escape(text)}</td></tr>" for name, text in rows)
    return f'{status(told, "good" if changed else "bad")}<div class="table"><table><tbody>{lines}</tbody></table></div>'


def players(answer: Row) -> str:
    """The new film beside the old one, in step; alone where it was made of a still picture."""
    if answer["still"]:
        return (
            f'<div class="card"><div class="frame">{_player(answer["title"], answer["after"]["playable"])}</div></div>'
        )
    return side_by_side(answer["after"], answer["before"])


def offset_words(offset_frames: int | None, confidence: float) -> str:
    """What the measured offset of sound against sight means.

    >>> offset_words(0, 0.5), offset_words(-2, 0.15)
    ('in step; this is sure (confidence 0.50)', 'the sound is 80 ms early; this is fairly sure (confidence 0.15)')
    """
    if offset_frames is None:
        return "not measured: it takes a second of speaking at least"
    late = f"the sound is {FRAME_MS * abs(offset_frames)} ms {'late' if offset_frames > 0 else 'early'}"
    told = late if offset_frames else "in step"
    if confidence < FAIRLY_SURE:
        return f"cannot be told (confidence {confidence:.2f}); the best guess: {told}"
    return f"{told}; this is {'sure' if confidence >= SURE else 'fairly sure'} (confidence {confidence:.2f})"


def moment(seconds: float) -> str:
    """A time in a film: to a tenth of a second where it is short.

    >>> moment(1.52), moment(75.4)
    ('1.5 s', '1:15')
    """
    return f"{seconds:.1f} s" if seconds < _SHORT_S else duration(seconds)


def _facts(answer: Row) -> list[str]:
    width, height = answer["size_px"]
    pace = f"{answer['seconds_a_second']:.1f} s for each second"
    if answer["still"]:
        return [f"A picture of {width} × {height}", f"A render takes about {pace} of speech"]
    lines = [f"{moment(answer['duration_s'])}, {answer['frame_rate']:.5g} pictures a second, {width} × {height}"]
    if cuts := len(answer["cuts_s"]):
        lines.append(f"{cuts} cut{'' if cuts == 1 else 's'}")
    missing = len(answer["frames_without_face"])
    where = f" of {answer['frame_count']}: {_spans(answer['without_face_s'])}" if missing else ""
    lines.append(f"{missing or 'No'} picture{'' if missing == 1 else 's'} without a face{where}")
    if answer["av_offset_frames"] is None:
        lines.append(f"Sight and sound are not measured: {answer['sync_unmeasured']}")
    else:
        lines.append(f"Sight and sound: {offset_words(answer['av_offset_frames'], answer['sync_confidence'])}")
    whole = moment(answer["estimate_s"])
    return [*lines, f"A render takes about {pace}, {whole} for all of it, where one face speaks"]


def _face(row: Row, recordings: Sequence[str], said: Any, still: bool) -> str:
    number = row["id"]
    when = "" if still else f"{moment(row['start_s'])} to {moment(row['end_s'])}, "
    picture = f'<img src="{file_url(row["picture"])}" alt="Face {number}">' if row["picture"] else ""
    names = [("", "(not chosen)"), ("0", "the speech"), *((str(n), name) for n, name in enumerate(recordings, 1))]
    chosen = "" if said is None else str(said)
    options = "".join(
        f'<option value="{value}"{" selected" if value == chosen else ""}>{escape(name)}</option>'
        for value, name in names
    )
    return (
        f'<li class="card face{" chosen" if chosen else ""}">{picture}<div class="text"><h3>Face {number}</h3>'
        f'<p>{when}{row["width_px"]:.0f} px wide</p><label>says <select data-face="{number}" '
        f'aria-label="Face {number} says">{options}</select></label></div></li>'
    )


def _spans(spans: Sequence[Sequence[float]]) -> str:
    shown = ", ".join(f"{moment(begin)} to {moment(end)}" for begin, end in spans[:_SPANS_SHOWN])
    return shown + (f" and {len(spans) - _SPANS_SHOWN} more" if len(spans) > _SPANS_SHOWN else "")


def _player(title: str, player: str) -> str:
    if player.lower().endswith((".jpg", ".jpeg", ".png")):
        return f'<img src="{file_url(player)}" alt="{escape(title)}">'
    return f'<video controls playsinline preload="auto" aria-label="{escape(title)}" src="{file_url(player)}"></video>'


def _is_box(box: Sequence[float | None]) -> bool:
    return len(box) == 4 and all(side is not None for side in box) and any(box)


def _place(box: Sequence[float | None], width: int, height: int) -> str:
    left, top, right, bottom = (float(side or 0) for side in box)
    return (
        f"left:{left / width:.2%};top:{top / height:.2%};"
        f"width:{max(0.0, right - left) / width:.2%};height:{max(0.0, bottom - top) / height:.2%}"
    )
