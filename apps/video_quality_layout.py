"""The components of the quality tab, in the order in which they are seen."""

from dataclasses import dataclass

import gradio as gr

from apps.cards import JUMP, SIDE_BY_SIDE, status
from apps.tables import export_buttons
from apps.video_search_layout import FILE_TYPES

SCREENS = [("Its own size, at most 1080 rows", 0), ("720 rows", 720), ("1080 rows", 1080), ("2160 rows", 2160)]
CHOOSE = """element.addEventListener("click", ({target}) => {
  const button = target.closest("[data-do=show]");
  if (button) trigger("choose", {index: Number(button.dataset.index)});
});"""
"""The files of the table become events ``choose``."""


@dataclass(frozen=True)
class ScoreWidgets:
    """Scoring one or many files."""

    files: gr.File
    screen: gr.Dropdown
    score: gr.Button
    stop: gr.Button
    ask: gr.Button
    teachers: gr.HTML
    table: gr.HTML
    exports: tuple[gr.DownloadButton, gr.DownloadButton]
    card: gr.HTML


@dataclass(frozen=True)
class CompareWidgets:
    """Comparing two versions."""

    first: gr.File
    second: gr.File
    compare: gr.Button
    stop: gr.Button
    pair: gr.HTML


def columns() -> tuple[ScoreWidgets, CompareWidgets]:
    """What is given on the left, what is told on the right."""
    with gr.Row(elem_classes="tool"):
        with gr.Column(scale=2, min_width=280):
            gr.Markdown("### Score videos")
            files = gr.File(label="Videos to score", file_count="multiple", file_types=FILE_TYPES, height=150)
            screen = gr.Dropdown(SCREENS, value=0, label="Shown at", info="The screen on which they are looked at")
            with gr.Row():
                score = gr.Button("Score", variant="primary", min_width=120)
                stop = gr.Button("Stop scoring", min_width=150, scale=0)
            with gr.Accordion("Ask the teachers", open=False):
                gr.Markdown("The score comes from one small network. These models taught it: how much each counts "
                            "for a video, and whether they agree.")  # fmt: skip
                ask = gr.Button("Ask the teachers", min_width=150)
            with gr.Accordion("Compare two versions", open=False):
                first = gr.File(label="First version", file_types=FILE_TYPES, height=120)
                second = gr.File(label="Second version", file_types=FILE_TYPES, height=120)
                with gr.Row():
                    compare = gr.Button("Compare", variant="primary", min_width=120)
                    halt = gr.Button("Stop comparing", min_width=170, scale=0)
        with gr.Column(scale=3, min_width=280):
            gr.Markdown("### How good it looks")
            table = gr.HTML(
                status("Choose one or more videos on the left; how good each looks appears here."),
                elem_id="video-quality-table",
                js_on_load=CHOOSE,
            )
            exports = export_buttons(" of the scores")
            card = gr.HTML(elem_id="video-quality-card", js_on_load=JUMP.read_text(encoding="utf-8"))
            teachers = gr.HTML(elem_id="video-quality-teachers")
            script = "\n".join(f"{{{path.read_text(encoding='utf-8')}}}" for path in (SIDE_BY_SIDE, JUMP))
            pair = gr.HTML(elem_id="video-quality-pair", js_on_load=script)
    return ScoreWidgets(files, screen, score, stop, ask, teachers, table, exports, card), CompareWidgets(
        first, second, compare, halt, pair
    )
