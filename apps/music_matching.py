"""The tab of music matching: a library of music on the left, a film and the tracks that fit it on the right.

As in the other tabs, named events answer with data, which hidden JSON components hold; private events draw that data.
"""

from pathlib import Path
from typing import Any

import gradio as gr

from apps import cards, music_matching_cards
from apps.music_matching_handlers import Answer, Handlers
from apps.music_matching_layout import MatchWidgets, MixWidgets, MusicWidgets, match_column, music_column
from apps.runtime import HEAVY, AppSettings

SHOWN = 60
LIGHT: dict[str, Any] = {"show_progress": "hidden", "queue": False}
PRIVATE: dict[str, Any] = {"api_visibility": "private", **LIGHT}


def build_tab(settings: AppSettings) -> None:
    """Lay the tab out inside the current Blocks, and wire it."""
    gr.set_static_paths([settings.files, settings.output])
    handlers = Handlers(settings)
    with gr.Row(elem_classes="tool"):
        with gr.Column(scale=2, min_width=280):
            music = music_column()
        with gr.Column(scale=3, min_width=280):
            match, mix = match_column()
    _wire_library(handlers, music)
    _wire_match(handlers, match, mix)


def _wire_library(handlers: Handlers, ui: MusicWidgets) -> None:
    added, listed, removed = (gr.JSON(visible=False, label="Answer") for _ in range(3))
    limit, selected = gr.Number(SHOWN, visible=False, precision=0), gr.Textbox(visible=False, label="Id of the track")

    def show(listen: Any, visibility: dict[str, Any] = PRIVATE) -> None:
        answered = listen(handlers.music_matching_list, [ui.filter, limit], listed, **visibility)
        answered.success(music_matching_cards.library, listed, ui.table, **PRIVATE)

    def drawn(answer: Answer) -> tuple[str, Any]:
        return cards.add_summary(answer), None if answer["finished"] else gr.skip()

    show(lambda *event, **how: gr.on(None, *event, **how), LIGHT)  # the public one: at the opening, and at a new filter
    inputs = [ui.files, ui.licence, ui.credit]
    ui.add.click(handlers.music_matching_add, inputs, added, show_progress_on=ui.status, **_heavy(handlers))
    added.change(drawn, added, [ui.status, ui.files], **PRIVATE)
    show(added.change)
    ui.stop.click(
        handlers.music_matching_cancel, None, gr.JSON(visible=False, label="Answer"), **LIGHT
    )  # the public one
    picked = ui.table.remove(_id_of, None, selected, **PRIVATE)
    removal = picked.then(handlers.music_matching_remove, selected, removed, **LIGHT)
    show(removal.success)


def _wire_match(handlers: Handlers, ui: MatchWidgets, mix: MixWidgets) -> None:
    found, laid = gr.JSON(visible=False, label="Answer"), gr.JSON(visible=False, label="Answer")
    track, start = gr.Textbox(visible=False, label="Id of the track"), gr.Number(-1, visible=False, label="Start")

    def preview(answer: Answer, event: gr.EventData) -> str:
        return music_matching_cards.preview(answer["query"], _row_of(answer, event.id))

    def choose(answer: Answer, event: gr.EventData) -> tuple[str, float, str, str]:
        row = _row_of(answer, event.id)
        begin = row["window_s"][0]
        told = cards.status(f"{row['title']}, from {cards.duration(begin)}. Licence: {row['licence']}.", "good")
        return row["id"], begin, told, music_matching_cards.matches(answer, row["id"])

    def draw(answer: Answer) -> tuple[str, str, str, float, str]:
        return music_matching_cards.matches(answer), "", "", -1, cards.status("Choose one of the tracks.")

    inputs = [ui.video, ui.top, ui.text]
    answered = ui.find.click(
        handlers.music_matching_match, inputs, found, show_progress_on=ui.results, **_heavy(handlers)
    )
    answered.success(draw, found, [ui.results, ui.preview, track, start, mix.chosen], **PRIVATE)
    ui.stop.click(handlers.music_matching_cancel, None, gr.JSON(visible=False), **PRIVATE)
    ui.results.preview(preview, found, ui.preview, **PRIVATE)
    ui.results.choose(choose, found, [track, start, mix.chosen, ui.results], **PRIVATE)

    settings = [ui.video, track, start, mix.mode, mix.music_db, mix.duck_db, mix.fade_out_s]
    rendered = mix.render.click(
        handlers.music_matching_lay, settings, laid, show_progress_on=mix.told, **_heavy(handlers)
    )
    rendered.success(_draw_laid, laid, [mix.told, mix.film, mix.file, mix.hand_on], **PRIVATE)
    mix.stop.click(handlers.music_matching_cancel, None, gr.JSON(visible=False), **PRIVATE)


def _heavy(handlers: Handlers) -> dict[str, Any]:
    return {"concurrency_id": HEAVY, "concurrency_limit": handlers.settings.jobs}


def _draw_laid(answer: Answer) -> tuple[str, Any, Any, str]:
    file = answer["file"]
    return (
        music_matching_cards.laid(answer),
        gr.Video(file, visible=True),
        gr.DownloadButton(value=file, interactive=True),
        cards.hand_on(file, Path(file).name, music_matching_cards.NEXT_TOOLS),
    )


def _id_of(event: gr.EventData) -> str:
    return str(event.id)


def _row_of(answer: Answer, track_id: str) -> Answer:
    (row,) = (row for row in answer["results"] if row["id"] == track_id)
    return dict(row)
