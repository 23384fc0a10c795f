"""The components of the similar-video tab, in the order in which they are seen."""

from dataclasses import dataclass

import gradio as gr

from apps.cards import SIDE_BY_SIDE, status
from apps.tables import export_buttons
from apps.video_search_cards import EVERYTHING

FILE_TYPES = ["video", ".mkv", ".ts", ".webp", ".gif", ".apng", "image"]
MODES = [("Cosine", "cosine"), ("Hash (fastest)", "hash")]
ACTIONS = """element.addEventListener("click", ({target}) => {
  const button = target.closest("[data-do]");
  if (!button) return;
  const told = {id: button.dataset.id, marked: button.dataset.marked === "true"};
  if (button.dataset.do === "compare") trigger("compare", told);
  else trigger("mark", told);
});"""
"""The buttons of the cards become events ``compare`` and ``mark`` of the results."""


@dataclass(frozen=True)
class LibraryWidgets:
    """Adding to the library, and looking at it."""

    files: gr.File
    tags: gr.Textbox
    add: gr.Button
    stop: gr.Button
    status: gr.HTML
    filter: gr.Textbox
    note: gr.HTML
    gallery: gr.Gallery
    remove: gr.Button


@dataclass(frozen=True)
class TuningWidgets:
    """Fine-tuning."""

    epochs: gr.Slider
    start: gr.Button
    stop: gr.Button
    figure: gr.HTML


@dataclass(frozen=True)
class SearchWidgets:
    """Searching with one video."""

    query: gr.File
    top: gr.Slider
    tags: gr.Textbox
    mode: gr.Radio
    find: gr.Button
    stop: gr.Button
    above: gr.Slider
    exports: tuple[gr.DownloadButton, gr.DownloadButton]
    pair: gr.HTML
    results: gr.HTML


@dataclass(frozen=True)
class BatchWidgets:
    """Searching with many videos."""

    queries: gr.File
    find: gr.Button
    stop: gr.Button
    table: gr.HTML
    exports: tuple[gr.DownloadButton, gr.DownloadButton]


def library_column() -> LibraryWidgets:
    """Adding, and the library as pictures."""
    gr.Markdown("### Library")
    files = gr.File(label="Videos to add", file_count="multiple", file_types=FILE_TYPES, height=150)
    tags = gr.Textbox(label="Tags", placeholder="beach, dog", info="Optional words to file these videos under")
    with gr.Row():
        add = gr.Button("Add to library", variant="primary", min_width=120)
        stop = gr.Button("Stop adding", min_width=150, scale=0)
    told = gr.HTML(status(""))
    text = gr.Textbox(label="Filter the library", placeholder="Title or tag")
    note = gr.HTML(status(""))
    gallery = gr.Gallery(
        label="Library: click a video to search with it",
        show_label=False,
        columns=3,
        height=420,
        object_fit="cover",
        allow_preview=False,
        interactive=False,
        buttons=[],
        elem_id="video-search-library",
    )
    remove = gr.Button("Remove the selected video", size="sm", interactive=False)
    return LibraryWidgets(files, tags, add, stop, told, text, note, gallery, remove)


def tuning_corner() -> TuningWidgets:
    """Fine-tuning, folded away."""
    with gr.Accordion("Fine-tune on this library", open=False):
        gr.Markdown("Trains the search further on your own videos, and keeps the result if it finds copies better.")
        epochs = gr.Slider(5, 10, value=8, step=1, label="Epochs", info="Passes over all videos")
        with gr.Row():
            start = gr.Button("Fine-tune", variant="primary", min_width=120)
            stop = gr.Button("Stop training", min_width=170, scale=0)
        figure = gr.HTML(status(""), elem_id="video-search-figure")
    return TuningWidgets(epochs, start, stop, figure)


def search_column() -> tuple[SearchWidgets, BatchWidgets]:
    """The query, what is asked, the results; searching with many videos is folded away above them."""
    gr.Markdown("### Find similar videos")
    query = gr.File(label="Video to compare with", file_types=FILE_TYPES, height=150)
    with gr.Row():
        top = gr.Slider(1, 20, value=5, step=1, label="How many", min_width=140)
        tags = gr.Textbox(label="Only with tags", placeholder="Any", min_width=140)
    mode = gr.Radio(MODES, value="cosine", label="Mode")
    with gr.Row():
        find = gr.Button("Find similar", variant="primary", min_width=120)
        stop = gr.Button("Stop searching", min_width=190, scale=0)
    with gr.Accordion("Filter and export the results", open=False):
        above = gr.Slider(
            EVERYTHING, 1, value=EVERYTHING, step=0.01, label="Only above score …", info="At the far left: all"
        )
        exports = export_buttons()
    batch = _batch_corner()
    pair = gr.HTML(js_on_load=SIDE_BY_SIDE.read_text(encoding="utf-8"), elem_id="video-search-pair")
    results = gr.HTML(
        status("Choose a video above, or click one in the library; the most similar ones appear here."),
        elem_id="video-search-results",
        min_height=120,
        js_on_load=ACTIONS,
    )
    return SearchWidgets(query, top, tags, mode, find, stop, above, exports, pair, results), batch


def _batch_corner() -> BatchWidgets:
    with gr.Accordion("Search with many videos at once", open=False):
        queries = gr.File(label="Videos to compare each", file_count="multiple", file_types=FILE_TYPES, height=150)
        with gr.Row():
            find = gr.Button("Find similar for each", variant="primary", min_width=120)
            stop = gr.Button("Stop comparing", min_width=190, scale=0)
        table = gr.HTML(status(""), elem_id="video-search-batch")
        exports = export_buttons(" of the table")
    return BatchWidgets(queries, find, stop, table, exports)
