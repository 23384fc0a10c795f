"""What music matching answers, as HTML. Text from outside is escaped here."""

from html import escape

from apps.cards import Row, duration, file_url, status

_WIDTH, _HEIGHT = 320, 56
RANKS_BY = (
    "Words count most: what a film and a track are called, what is seen and what is heard. Of games and films never "
    "seen, the track that their makers chose was among the first ten of 131 for 32 % of pictures with their names, "
    "and for 15 % where no word was shared (by chance 8 %): listen before you lay, most of all where titles say little."
)
NEXT_TOOLS = {
    "Similar videos": "Video to compare with",
    "Quality score": "Videos to score",
    "Lip-sync": "Film or picture with a face",
}
"""The tools that a laid film can be handed on to, each with the label under which it takes films."""
MODES = {"replace": "instead of the film's own sound", "mix": "mixed with the film's own sound",
         "duck": "ducked under the film's speech"}  # fmt: skip


def matches(answer: Row | None, chosen: str = "") -> str:
    """The cards of the tracks found, best first; what there is to say comes first."""
    if not answer:
        return ""
    if not answer["results"]:
        return status("The library holds no music yet: add some first.")
    seen = ", ".join(answer["query"]["keywords"][:6])
    lines = [f"In the film: {seen}." if seen else "Nothing in the film was recognised by name."]
    lines += [f"Not understood: {phrase}." for phrase in answer["not_understood"]]
    cards = "".join(_card(rank, row, answer["query"], row["id"] == chosen) for rank, row in
                    enumerate(answer["results"], 1))  # fmt: skip
    return "".join(map(status, lines)) + f'<ol class="tracks">{cards}</ol>'


def preview(query: Row, row: Row) -> str:
    """The film and a track from its moment on, played as one; ``side_by_side.js`` moves them."""
    begin = row["window_s"][0]
    return (
        f'<section class="pair" aria-label="Preview" data-offset="{begin}"><div class="players one">'
        f'<figure><video playsinline muted preload="auto" aria-label="{escape(query["title"])}" '
        f'src="{file_url(query["playable"])}"></video><figcaption>{escape(query["title"])} with '
        f"{escape(row['title'])}, from {duration(begin)}</figcaption></figure>"
        f'<video class="sound" preload="auto" aria-label="{escape(row["title"])}" src="{file_url(row["playable"])}">'
        '</video></div><div class="controls"><button type="button" data-do="play">Play</button>'
        f'<input type="range" min="0" max="{query["duration_s"]}" step="0.01" value="0" aria-label="Position">'
        '<output>0:00</output><button type="button" data-do="close">Close</button></div></section>'
    )


def library(answer: Row) -> str:
    """The library as a table."""
    if not answer["results"]:
        return status("No music here yet." if not answer["total"] else "")
    heads = "".join(f"<th scope='col'>{name}</th>" for name in ("Title", "Length", "Tempo", "Licence", ""))
    lines = "".join(
        f"<tr><th scope='row'>{escape(row['title'])}</th><td>{duration(row['duration_s'])}</td>"
        f"<td>{row['tempo_bpm']:.0f}</td><td>{escape(row['licence'])}</td>"
        f"<td>{_action('remove', row, 'Remove', 'Remove ')}</td></tr>"
        for row in answer["results"]
    )
    shown, total = len(answer["results"]), answer["total"]
    told = f"{total} track{'' if total == 1 else 's'}" if shown == total else f"The newest {shown} of {total} tracks"
    return (
        status(told) + '<div class="table" tabindex="0" role="region" aria-label="Library of music"><table>'
        f"<thead><tr>{heads}</tr></thead><tbody>{lines}</tbody></table></div>"
    )


def laid(answer: Row) -> str:
    """What was done to a film."""
    went_round = f", going round {len(answer['pieces']) - 1} times" if len(answer["pieces"]) > 1 else ""
    ducked = f"; down under {len(answer['ducked_s'])} stretches of speech" if answer["ducked_s"] else ""
    told = (
        f"{answer['title']} from {duration(answer['start_s'])}{went_round}, {MODES[answer['mode']]}{ducked}: "
        f"{answer['loudness_lufs']:.1f} LUFS, true peak {answer['true_peak_dbtp']:.1f} dBTP. "
        f"Licence: {answer['licence']}."
    )
    return status(told, "good")


def _card(rank: int, row: Row, query: Row, chosen: bool) -> str:
    title, credit = escape(row["title"]), f" · {escape(row['credit'])}" if row["credit"] else ""
    share = max(0.0, min(1.0, row["score"]))
    reasons = "".join(f"<li>{escape(reason)}</li>" for reason in row["reasons"])
    begin, end = row["window_s"]
    return (
        f'<li class="card track{" chosen" if chosen else ""}"><div class="text">'
        f'<h3 title="{title}">{rank}. {title}</h3>'
        f"<p>{duration(row['duration_s'])}{credit} · Licence: {escape(row['licence'])}</p>"
        f'<div class="similarity"><div class="bar" aria-hidden="true"><i style="width:{share:.1%}"></i></div>'
        f'<span aria-label="score">{row["score"]:.3f}</span></div>{_wave(row, query)}'
        f"<p>Plays {duration(begin)} to {duration(end)}</p><ul class='why'>{reasons}</ul>"
        f'<p class="actions">{_action("preview", row, "Preview", "Preview with ")}'
        f"{_action('choose', row, 'Use this track', 'Use ')}</p></div></li>"
    )


def _wave(row: Row, query: Row) -> str:
    """Loudness of a track with the chosen window, and the film's cuts in it."""
    step, scale = _WIDTH / len(row["wave"]), _WIDTH / max(row["duration_s"], 1e-3)
    bars = "".join(
        f'<rect x="{index * step:.1f}" y="{_HEIGHT * (1 - level):.1f}" width="{step * 0.7:.1f}" '
        f'height="{_HEIGHT * level:.1f}"/>'
        for index, level in enumerate(row["wave"])
    )
    begin, end = row["window_s"]
    cuts = [begin + cut for cut in query["cuts_s"] if begin + cut < end]
    marks = "".join(f'<line x1="{cut * scale:.1f}" x2="{cut * scale:.1f}" y1="0" y2="{_HEIGHT}"/>' for cut in cuts)
    label = f"Loudness of the track; its part from {duration(begin)} to {duration(end)} is chosen, {len(cuts)} cuts"
    return (
        f'<svg class="wave" viewBox="0 0 {_WIDTH} {_HEIGHT}" preserveAspectRatio="none" role="img" '
        f'aria-label="{label}">'
        f'<rect class="window" x="{begin * scale:.1f}" y="0" width="{max(1.0, (end - begin) * scale):.1f}" '
        f'height="{_HEIGHT}"/><g>{bars}</g><g class="cuts">{marks}</g></svg>'
    )


def _action(do: str, row: Row, text: str, label: str) -> str:
    """A button whose click the script of its component tells to Python."""
    data = f'data-do="{do}" data-id="{escape(row["id"])}"'
    return f'<button type="button" {data} aria-label="{escape(label + row["title"])}">{text}</button>'
