"""What similar-video search answers, as HTML. Text from outside is escaped here."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from apps.cards import Row, duration, file_url, status

RELATIONS = {"copy": "Near copy", "topic": "Same topic", "": ""}
EVERYTHING = -1.0
"""The score above which every result is."""


def shown(answer: Row, above: float) -> list[Row]:
    """The results whose score is above a threshold; all of them for `EVERYTHING`."""
    return [row for row in answer["results"] if above <= EVERYTHING or row["score"] > above]


def search_results(answer: Row, above: float = EVERYTHING) -> str:
    """The query's card, and beside it the cards of the videos found, best first; what there is to say comes first."""
    if not answer["results"] and not answer.get("not_similar"):
        return status("Nothing found: the library is empty, or no video has all those tags. Add some videos first.")
    can_compare = bool(answer["query"]["playable"])
    query = _card(answer["query"], "Your video", "query")
    ranks = {row["id"]: rank for rank, row in enumerate(answer["results"], 1)}
    found = "".join(_card(row, f"{ranks[row['id']]}", "found", can_compare) for row in shown(answer, above))
    cards = f'<div class="matches"><div class="query-side">{query}</div><ol class="found-side">{found}</ol></div>'
    return _remarks(answer, above) + cards


def table(rows: Sequence[Row]) -> str:
    """The rows of `apps.tables.rows_of`, for many queries at once; an error takes the place of its results."""
    if not rows:
        return status("Stopped before the first file was done.")
    heads = "".join(f"<th scope='col'>{name}</th>" for name in ("File", "Rank", "Title", "Similarity", "Score", "Is"))
    lines = "".join(f"<tr>{_table_cells(row)}</tr>" for row in rows)
    return (
        f'<div class="table" tabindex="0" role="region" aria-label="Results by file">'
        f"<table><thead><tr>{heads}<th scope='col'>Begins at</th></tr></thead><tbody>{lines}</tbody></table></div>"
    )


def batch(answer: Row, rows: Sequence[Row]) -> str:
    """How many files were searched with, and the table of what was found."""
    errors = sum(bool(row["error"]) for row in answer["results"])
    state, total = "Stopped" if answer["stopped"] else "Done", len(answer["results"])
    told = f"{state}: {total - errors} of {total} file{'' if total == 1 else 's'} answered."
    return status(told, "bad" if errors else "good") + table(rows)


def fine_tuned(answer: Row) -> str:
    """What a fine-tuning changed: both figures before and after, as bars."""
    told = (
        "The library is now searched with the new model."
        if answer["switched"]
        else "It was not better, so nothing was changed."
    )
    if answer["lost"]:
        told += f" Not found any more, since their files are gone: {', '.join(answer['lost'])}."
    names = (("recall_at_1", "Recall@1"), ("micro_average_precision", "µAP"))
    lines = "".join(
        f"<tr><th scope='row'>{label}</th>{_bar(answer['before'][name])}{_bar(answer['after'][name])}</tr>"
        for name, label in names
    )
    return (
        status(told, "good" if answer["switched"] else "note")
        + '<table class="figure"><caption>On videos held out from the training</caption><thead><tr><td></td>'
        + f"<th scope='col'>Before</th><th scope='col'>After</th></tr></thead><tbody>{lines}</tbody></table>"
    )


def _remarks(answer: Row, above: float) -> str:
    """What is to be said of the results as a whole, a line each."""
    lines = [answer.get("fallback", ""), _modes(answer), answer.get("note", "")]
    if hidden := len(answer["results"]) - len(shown(answer, above)):
        lines.append(f"{hidden} of {len(answer['results'])} not shown: their score is not above {above:.2f}.")
    return "".join(status(line) for line in lines if line) + _left_out(answer.get("not_similar", ()))


def _modes(answer: Row) -> str:
    times: Mapping[str, float] = answer.get("milliseconds", {})
    if "hash" not in times:
        return ""
    missed = ", ".join(answer["missed"]) or "none"
    return f"Hash {_ms(times['hash'])}, cosine {_ms(times['cosine'])}; hash missed: {missed}"


def _ms(milliseconds: float) -> str:
    return f"{milliseconds:.1f} ms" if milliseconds < 10 else f"{milliseconds:.0f} ms"


def _left_out(rows: Iterable[Row]) -> str:
    names = ", ".join(
        f"{escape(row['title'])} {_action('mark', row, 'Undo', 'Undo: show again ', marked=False)}" for row in rows
    )
    return f'<p class="status" role="status">Left out as not similar: {names}</p>' if names else ""


def _card(row: Row, badge: str, kind: str, can_compare: bool = False) -> str:
    title, tag = escape(row["title"]), "li" if kind == "found" else "div"
    facts: list[str] = [duration(row["duration_s"]), *row.get("tags", ())]
    if round(row.get("offset_s") or 0) > 0:
        facts.insert(1, f"begins at {duration(row['offset_s'])}")
    poster = f' poster="{file_url(row["poster"])}"' if row.get("poster") else ""
    player = (
        f'<video controls preload="metadata" playsinline{poster} aria-label="{title}" '
        f'src="{file_url(row["playable"])}"></video>'
        if row["playable"]
        else '<p class="gone">The file is no longer where it was.</p>'
    )
    below = _likeness(row) + _actions(row, can_compare) if kind == "found" else ""
    badges = f'<b class="badge">{escape(badge)}</b>{_relation(row)}'
    return (
        f'<{tag} class="card {kind}"><div class="frame">{player}{badges}</div>'
        f'<div class="text"><h3 title="{title}">{title}</h3><p>{escape(" · ".join(facts))}</p>{below}</div></{tag}>'
    )


def _relation(row: Row) -> str:
    relation = row.get("relation", "")
    return f'<b class="badge relation {relation}">{RELATIONS[relation]}</b>' if relation else ""


def _likeness(row: Row) -> str:
    share = max(0.0, min(1.0, row["similarity"]))
    why = f'<p class="why">{escape(row["why"])}</p>' if row["why"] else ""
    return (
        f'<div class="similarity"><div class="bar" aria-hidden="true"><i style="width:{share:.1%}"></i></div>'
        f'<span aria-label="similarity">{row["similarity"]:.3f}</span></div>'
        f"<p>Score {row['score']:.2f}</p>{why}"
    )


def _actions(row: Row, can_compare: bool) -> str:
    compare = _action("compare", row, "Compare", "Compare with ") if can_compare and row["playable"] else ""
    return f'<p class="actions">{compare}{_action("mark", row, "Not similar", "Not similar: ")}</p>'


def _action(do: str, row: Row, text: str, label: str, marked: bool = True) -> str:
    """A button whose click the results' script tells to Python; ``label`` and the title are what it is called."""
    data = f'data-do="{do}" data-id="{escape(row["id"])}" data-marked="{str(marked).lower()}"'
    return f'<button type="button" {data} aria-label="{escape(label + row["title"])}">{text}</button>'


def _table_cells(row: Row) -> str:
    file = f"<th scope='row'>{escape(row['file'])}</th>"
    if row["error"]:
        return f'{file}<td colspan="6" class="bad">{escape(row["error"])}</td>'
    begins = duration(row["offset_s"]) if row["offset_s"] is not None and row["offset_s"] >= 0 else ""
    cells: list[Any] = [row["rank"], row["title"], f"{row['similarity']:.3f}", f"{row['score']:.2f}"]
    return file + "".join(f"<td>{escape(str(cell))}</td>" for cell in [*cells, RELATIONS[row["relation"]], begins])


def _bar(value: float) -> str:
    share = max(0.0, min(1.0, value))
    return f'<td><div class="bar" aria-hidden="true"><i style="width:{share:.1%}"></i></div>{value:.3f}</td>'
