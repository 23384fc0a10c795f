"""What the quality score answers, as HTML. Text from outside is escaped here."""

import math
from collections.abc import Iterator, Sequence
from html import escape
from typing import Any

from apps.cards import Row, duration, file_url, side_by_side, status
from core.video_quality.levels import LEVELS

ORIGIN = "Predicted by a network trained on VMAF and published opinion tables; nobody has watched and judged it."
FAULTS = {"blur": "Blur", "blocks": "Blocks", "noise": "Noise", "freeze": "Freeze", "exposure": "Wrong exposure",
          "shake": "Shake", "banding": "Banding"}  # fmt: skip
_CURVE_WIDTH = 1000
_PICTURES = (".jpg", ".jpeg", ".png")


def table_rows(answer: Row) -> list[dict[str, Any]]:
    """One row for each file, to be taken away; a file that failed has its error."""
    rows = []
    for row in answer["results"]:
        low, high = row["uncertainty"]
        rows.append(
            {
                "file": row["file"],
                "score": row["score"],
                "score_100": row["score_100"],
                "level": row["level"],
                "low": low,
                "high": high,
                **dict(zip(LEVELS, row["distribution"], strict=True)),
                "faults": [f"{fault['kind']} {_spans(fault)}" for fault in row["faults"]],
                "worst_s": [moment["time_s"] for moment in row["worst"]],
                "duration_s": row["duration_s"],
                "per_second": [second["score"] for second in row["per_second"]],
                "error": "",
            }
        )
    columns = rows[0] if rows else dict.fromkeys(("file", "error"))
    return rows + [dict.fromkeys(columns, "") | error for error in answer["errors"]]


def overview(answer: Row) -> str:
    """How many files were scored; of several, a table in which each can be chosen."""
    scored, failed = len(answer["results"]), len(answer["errors"])
    state = "Stopped" if answer["stopped"] else "Done"
    files = answer["files"]
    told = status(f"{state}: {scored} of {files} file{'' if files == 1 else 's'} scored.", "bad" if failed else "good")
    if scored + failed < 2 and not failed:
        return told
    heads = "".join(f"<th scope='col'>{name}</th>" for name in ("File", "Score", "of 100", "Is", "Between", "Faults"))
    lines = "".join(_line(index, row) for index, row in enumerate(answer["results"]))
    lines += "".join(
        f"<tr><th scope='row'>{escape(row['file'])}</th><td colspan='5' class='bad'>{escape(row['error'])}</td></tr>"
        for row in answer["errors"]
    )
    return (
        f'{told}<div class="table" tabindex="0" role="region" aria-label="Scores by file"><table><thead><tr>{heads}'
        f"</tr></thead><tbody>{lines}</tbody></table></div>"
    )


def card(row: Row, player: str) -> str:
    """All that is told of one file: player, verdict, curve, faults, worst moments."""
    title = escape(row["file"])
    top = f'<div class="frame">{_player(row["file"], player)}</div><div class="text"><h3 title="{title}">{title}</h3>'
    below = f'{curve([row])}{_faults(row)}{_moments(row)}<p class="origin">{ORIGIN}</p>'
    return (
        f'<article class="card score" aria-label="{title}"><div class="score-top">{top}{_verdict(row)}</div></div>'
        f'<div class="text">{below}</div></article>'
    )


def comparison(answer: Row) -> str:
    """Two versions side by side: players that run together, both curves, both verdicts, and what differs."""
    first, second = answer["results"]
    difference = answer["difference"]
    better = second["file"] if difference > 0 else first["file"]
    told = (
        f"{better} looks better, by {abs(difference):.2f}."
        if answer["certain"]
        else f"They differ by {abs(difference):.2f}: no more than the uncertainty of the scores explains."
    )
    left, right = ({**row, "title": row["file"]} for row in (first, second))
    sides = "".join(
        f'<div class="card"><div class="text"><h3><i class="key k{number}"></i>{escape(row["file"])}</h3>'
        f"{_verdict(row)}{_faults(row)}</div></div>"
        for number, row in enumerate((first, second))
    )
    moving = all(not row["playable"].endswith(_PICTURES) for row in (first, second))
    players = side_by_side(left, right) if moving else _stills(first, second)
    return (
        f"{status(told, 'good' if answer['certain'] else 'note')}{players}{curve([first, second])}"
        f'<div class="sides">{sides}</div><p class="origin">{ORIGIN}</p>'
    )


def teachers(answer: Row) -> str:
    """What the teaching models count for in each file, and how far the network agrees with them."""
    rows = answer["results"]
    names = list(rows[0]["importances"]) if rows else []
    heads = "".join(f"<th scope='col'>{name}</th>" for name in ("File", "Score", "Teachers say", *map(_spoken, names)))
    lines = "".join(
        f"<tr><th scope='row'>{escape(row['file'])}</th><td>{row['student']:.2f}</td><td>{row['teacher']:.2f}</td>"
        + "".join(f"<td>{row['importances'][name]:.0%}</td>" for name in names)
        + "</tr>"
        for row in rows
    ) + "".join(
        f"<tr><th scope='row'>{escape(row['file'])}</th><td colspan='{len(names) + 2}' class='bad'>"
        f"{escape(row['error'])}</td></tr>"
        for row in answer["errors"]
    )
    apart = [abs(row["student"] - row["teacher"]) for row in rows]
    told = f"Score and teachers are {sum(apart) / len(apart):.2f} apart on average." if rows else "Nothing was judged."
    return (
        f'{status(told, "note")}<div class="table" tabindex="0" role="region" aria-label="Teachers by file"><table>'
        f"<thead><tr>{heads}</tr></thead><tbody>{lines}</tbody></table></div>"
    )


def _spoken(model: str) -> str:
    """The name of a model for a column's head.

    >>> _spoken("natural_scenes")
    'natural scenes'
    """
    return escape(model.replace("_", " "))


def curve(rows: Sequence[Row]) -> str:
    """The scores of the seconds of one film or two, as steps; every second can be clicked."""
    length = max(max(second["start_s"] for second in row["per_second"]) + 1 for row in rows)
    length = min(length, max(row["duration_s"] for row in rows)) or length
    lines = "".join(f'<path class="k{number}" d="{_steps(row, length)}"/>' for number, row in enumerate(rows))
    grid = "".join(f'<path class="grid" d="M0 {_height(level)}H{_CURVE_WIDTH}"/>' for level in range(1, 6))
    marks = "".join(_hit(rows, index, length) for index in range(len(max(rows, key=_count)["per_second"])))
    labels = "".join(f"<span>{level}</span>" for level in range(5, 0, -1))
    return (
        f'<figure class="plot"><div class="levels" aria-hidden="true">{labels}</div>'
        f'<div class="curve" data-length="{length:.3f}"><svg viewBox="0 0 {_CURVE_WIDTH} 100" '
        f'preserveAspectRatio="none" role="img" aria-label="{_summary(rows)}">{grid}{lines}{marks}</svg>'
        f'<i class="playhead" aria-hidden="true"></i></div><figcaption><span>0:00</span><span>Score of each second: '
        f"click to go there</span><span>{duration(length)}</span></figcaption></figure>"
    )


def _count(row: Row) -> int:
    return len(row["per_second"])


def _summary(rows: Sequence[Row]) -> str:
    """The curves in words, for those who do not see them."""
    lows = [min(row["per_second"], key=lambda second: second["score"]) for row in rows]
    parts = [
        f"{escape(row['file'])}: score by second, lowest {low['score']:.1f} at {duration(low['start_s'])}"
        for row, low in zip(rows, lows, strict=True)
    ]
    return "; ".join(parts)


def _height(score: float) -> float:
    """The place of a score in the plot, from 96 for 1 up to 4 for 5."""
    return round(96 - 92 * (score - 1) / 4, 2)


def _ends(row: Row, length: float) -> Iterator[tuple[float, float, Row]]:
    """(begin, end, second) of each step: a second is drawn up to the next that was looked at."""
    seconds = row["per_second"]
    for index, second in enumerate(seconds):
        end = seconds[index + 1]["start_s"] if index + 1 < len(seconds) else min(length, second["start_s"] + 1)
        begin = second["start_s"] if index else 0.0
        yield begin, max(end, begin), second


def _steps(row: Row, length: float) -> str:
    return "".join(
        f"{'V' if index else 'M0 '}{_height(second['score'])}H{_CURVE_WIDTH * end / length:.1f}"
        for index, (_, end, second) in enumerate(_ends(row, length))
    )


def _hit(rows: Sequence[Row], index: int, length: float) -> str:
    """What is clicked for one second, with its scores as a hint."""
    (begin, end, second) = list(_ends(max(rows, key=_count), length))[index]
    scores = [row["per_second"][index]["score"] for row in rows if index < _count(row)]
    hint = f"{duration(second['start_s'])}: {' and '.join(f'{score:.1f}' for score in scores)}"
    return (
        f'<rect data-at="{second["start_s"]}" x="{_CURVE_WIDTH * begin / length:.1f}" y="0" height="100" '
        f'width="{_CURVE_WIDTH * (end - begin) / length:.1f}"><title>{hint}</title></rect>'
    )


def _verdict(row: Row) -> str:
    low, high = row["uncertainty"]
    levels = reversed(list(zip(LEVELS, row["distribution"], strict=True)))
    shares = "".join(
        f'<tr><th scope="row">{word}</th><td><div class="bar" aria-hidden="true"><i style="width:{share:.1%}"></i>'
        f"</div></td><td>{share:.0%}</td></tr>"
        for word, share in levels
    )
    told = f"Between {low:.1f} and {high:.1f} with about 90 % certainty"
    return (
        f'<p class="verdict"><b>{row["score"]:.1f}</b> <span class="level {row["level"]}">{row["level"].title()}</span>'
        f' <span>{row["score_100"]:.0f} of 100</span></p><div class="band" aria-hidden="true">'
        f'<i style="left:{25 * (low - 1):.1f}%;width:{25 * (high - low):.1f}%"></i>'
        f'<b style="left:{25 * (row["score"] - 1):.1f}%"></b></div><p>{told}</p>'
        f'<table class="shares"><caption>Predicted opinions</caption><tbody>{shares}</tbody></table>'
    )


def _faults(row: Row) -> str:
    if not row["faults"]:
        return '<p class="faults">No fault seen.</p>'
    items = "".join(
        f"<li><b>{FAULTS[fault['kind']]}</b> {fault['certainty']:.0%} sure, at {_span_buttons(fault)}</li>"
        for fault in row["faults"]
    )
    return f'<h4>Faults seen</h4><ul class="faults">{items}</ul>'


def _span_buttons(fault: Row) -> str:
    spans = "".join(
        f'<button type="button" class="jump" data-at="{begin}">{_span(begin, end)}</button>'
        for begin, end in fault["spans_s"][:12]
    )
    more = len(fault["spans_s"]) - 12
    return spans + (f" and {more} more" if more > 0 else "")


def _span(begin: float, end: float) -> str:
    return f"{duration(begin)}–{duration(end)}"


def _spans(fault: Row) -> str:
    return " ".join(_span(begin, end) for begin, end in fault["spans_s"])


def _moments(row: Row) -> str:
    items = "".join(
        f'<li><button type="button" class="moment" data-at="{moment["time_s"]}">'
        f'<img src="{file_url(moment["picture"])}" alt="Picture at {time}"><span>{time} · {moment["score"]:.1f}</span>'
        "</button></li>"
        for moment, time in ((moment, duration(math.floor(moment["time_s"]))) for moment in row["worst"])
    )
    return f'<h4>Worst moments</h4><ol class="moments">{items}</ol>'


def _line(index: int, row: Row) -> str:
    low, high = row["uncertainty"]
    name = escape(row["file"])
    faults = ", ".join(FAULTS[fault["kind"]] for fault in row["faults"]) or "none seen"
    cells = (f"{row['score']:.2f}", f"{row['score_100']:.0f}", row["level"], f"{low:.1f} – {high:.1f}", faults)
    return (
        f'<tr><th scope="row"><button type="button" data-do="show" data-index="{index}">{name}</button></th>'
        + "".join(f"<td>{cell}</td>" for cell in cells)
        + "</tr>"
    )


def _player(title: str, player: str) -> str:
    if not player:
        return '<p class="gone">The file is no longer among those chosen.</p>'
    if player.endswith(_PICTURES):
        return f'<img src="{file_url(player)}" alt="{escape(title)}">'
    return f'<video controls preload="auto" playsinline aria-label="{escape(title)}" src="{file_url(player)}"></video>'


def _stills(first: Row, second: Row) -> str:
    players = "".join(f'<div class="frame">{_player(row["file"], row["playable"])}</div>' for row in (first, second))
    return f'<div class="sides">{players}</div>'
