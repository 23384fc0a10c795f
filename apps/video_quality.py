"""The tab of the quality score: files on the left, how good they look on the right.

Named events answer with data, which hidden JSON components hold; private events draw that data in a chain.
"""

from typing import Any

import gradio as gr

from apps import video_quality_cards
from apps.runtime import HEAVY, AppSettings
from apps.tables import exports
from apps.video_quality_handlers import BAR, Answer, Handlers
from apps.video_quality_layout import CompareWidgets, ScoreWidgets, columns

PRIVATE: dict[str, Any] = {"api_visibility": "private"}
LIGHT: dict[str, Any] = {"show_progress": "hidden", "queue": False}


def build_tab(settings: AppSettings) -> None:
    """Lay the tab out inside the current Blocks, and wire it."""
    gr.set_static_paths([settings.output])
    handlers = Handlers(settings)
    heavy = {"concurrency_id": HEAVY, "concurrency_limit": settings.jobs}
    scoring, comparing = columns()
    _wire_scoring(handlers, scoring, heavy)
    _wire_comparing(handlers, scoring, comparing, heavy)


def _wire_scoring(handlers: Handlers, ui: ScoreWidgets, heavy: dict[str, Any]) -> None:
    def draw(answer: Answer) -> tuple[Any, ...]:
        rows = video_quality_cards.table_rows(answer)
        return video_quality_cards.overview(answer), *exports(handlers.settings, rows, "quality-scores"), ""

    def show(answer: Answer, videos: list[str], index: int, request: gr.Request, bar: gr.Progress) -> str:
        if index >= len(answer["results"]):
            return ""
        row = answer["results"][index]
        return video_quality_cards.card(row, handlers.player(videos, row["file"], request, bar))

    def show_first(answer: Answer, videos: list[str], request: gr.Request, bar: gr.Progress = BAR) -> str:
        return show(answer, videos, 0, request, bar)

    def show_chosen(
        answer: Answer, videos: list[str], event: gr.EventData, request: gr.Request, bar: gr.Progress = BAR
    ) -> str:
        return show(answer, videos, event.index, request, bar)

    found = gr.JSON(visible=False, label="Answer")
    inputs = [ui.files, ui.screen]
    answered = ui.score.click(handlers.video_quality_score, inputs, found, show_progress_on=ui.table, **heavy)
    drawn = answered.success(draw, found, [ui.table, *ui.exports, ui.card], **PRIVATE, **LIGHT)
    drawn.success(show_first, [found, ui.files], ui.card, **PRIVATE, **heavy)
    ui.table.choose(show_chosen, [found, ui.files], ui.card, **PRIVATE, **heavy)
    asked = gr.JSON(visible=False, label="Answer")
    explained = ui.ask.click(handlers.video_quality_teachers, inputs, asked, show_progress_on=ui.teachers, **heavy)
    explained.success(video_quality_cards.teachers, asked, ui.teachers, **PRIVATE, **LIGHT)
    ui.stop.click(
        handlers.video_quality_cancel, None, gr.JSON(visible=False, label="Answer"), **LIGHT
    )  # the public one


def _wire_comparing(handlers: Handlers, scoring: ScoreWidgets, ui: CompareWidgets, heavy: dict[str, Any]) -> None:
    found = gr.JSON(visible=False, label="Answer")
    inputs = [ui.first, ui.second, scoring.screen]
    answered = ui.compare.click(handlers.video_quality_compare, inputs, found, show_progress_on=ui.pair, **heavy)
    answered.success(video_quality_cards.comparison, found, ui.pair, **PRIVATE, **LIGHT)
    ui.stop.click(handlers.video_quality_cancel, None, gr.JSON(visible=False), **PRIVATE, **LIGHT)
