"""The tab of similar-video search: a library on the left, the search on the right.

Named events answer with data, which hidden JSON components hold; private events draw that data. A drawing follows its
answer in a chain, so that no two of them are under way for one answer.
"""

from typing import Any

import gradio as gr

from apps import cards, video_search_cards
from apps.runtime import HEAVY, AppSettings
from apps.tables import exports, rows_of
from apps.video_search_handlers import Answer, Handlers
from apps.video_search_layout import (
    BatchWidgets,
    LibraryWidgets,
    SearchWidgets,
    TuningWidgets,
    library_column,
    search_column,
    tuning_corner,
)

SHOWN = 60
"""Pictures in the library's gallery; the filter reaches the rest."""
LIGHT: dict[str, Any] = {"show_progress": "hidden", "queue": False}
PRIVATE: dict[str, Any] = {"api_visibility": "private", **LIGHT}
SHOW_RESULTS = """(...inputs) => {
  document.getElementById("video-search-results").scrollIntoView({block: "nearest"});
  return inputs;
}"""
SHOW_PAIR = """() => document.getElementById("video-search-pair").scrollIntoView({block: "nearest"})"""


def build_tab(settings: AppSettings) -> None:
    """Lay the tab out inside the current Blocks, and wire it."""
    gr.set_static_paths([settings.files, settings.output])
    handlers = Handlers(settings)
    found = gr.JSON(visible=False, label="Answer")
    with gr.Row(elem_classes="tool"):
        with gr.Column(scale=2, min_width=280):
            library, tuning = library_column(), tuning_corner()
        with gr.Column(scale=3, min_width=280):
            search, batch = search_column()
    drawing = Drawing(settings, search)
    _wire_library(handlers, library, (search, drawing, found), tuning)
    _wire_search(handlers, search, drawing, found)
    _wire_batch(handlers, search, batch)


class Drawing:
    """Draws the results of one search; `components` are what it draws into."""

    def __init__(self, settings: AppSettings, ui: SearchWidgets) -> None:
        self.settings, self.components = settings, [ui.results, *ui.exports]

    def __call__(self, answer: Answer | None, above: float) -> tuple[Any, ...]:
        """The cards of the results above a score, and the files to take those results away in."""
        if not answer:
            return gr.skip(), gr.skip(), gr.skip()
        rows = rows_of(answer["query"]["title"], video_search_cards.shown(answer, above))
        return video_search_cards.search_results(answer, above), *exports(self.settings, rows, "similar-videos")


def after_mark(answer: Answer, video_id: str, marked: bool) -> Answer:
    """An answer without a result that was marked as not similar; or with it again, where it was."""
    results, left_out = answer["results"], answer["not_similar"]
    moved = [row for row in (results if marked else left_out) if row["id"] == video_id]
    results = [row for row in results if row["id"] != video_id]
    left_out = [row for row in left_out if row["id"] != video_id]
    note = ""
    if marked:
        left_out += moved
    else:
        results = sorted([*results, *(r for r in moved if "similarity" in r)], key=lambda row: -row["similarity"])
        note = " ".join(f"{r['title']} is shown again from the next search on." for r in moved if "similarity" not in r)
    return answer | {"results": results, "not_similar": left_out, "note": note}


def _wire_search(handlers: Handlers, ui: SearchWidgets, drawing: Drawing, found: gr.JSON) -> None:
    def mark(answer: Answer, above: float, event: gr.EventData) -> tuple[Any, ...]:
        handlers.video_search_mark(answer["query"]["id"], event.id, event.marked)
        answer = after_mark(answer, event.id, event.marked)
        return answer, *drawing(answer, above)

    def compare(answer: Answer, event: gr.EventData) -> str:
        (row,) = (row for row in answer["results"] if row["id"] == event.id)
        return cards.side_by_side(answer["query"], row)

    inputs = [ui.query, ui.top, ui.tags, ui.mode]
    answered = ui.find.click(handlers.video_search_find, inputs, found, show_progress_on=ui.results, **_heavy(handlers))
    draw_answer(answered, ui, drawing, found)
    ui.stop.click(handlers.video_search_cancel, None, gr.JSON(visible=False), **PRIVATE)
    ui.above.change(drawing, [found, ui.above], drawing.components, **PRIVATE)
    ui.results.mark(mark, [found, ui.above], [found, *drawing.components], **PRIVATE)
    ui.results.compare(compare, found, ui.pair, **PRIVATE).success(None, js=SHOW_PAIR, **PRIVATE)
    gr.api(handlers.video_search_mark, queue=False)


def draw_answer(answered: Any, ui: SearchWidgets, drawing: Drawing, found: gr.JSON) -> Any:
    """Draw what a search answered, when it did; what two players showed side by side goes away."""
    drawn = answered.success(drawing, [found, ui.above], drawing.components, js=SHOW_RESULTS, **PRIVATE)
    return drawn.then(lambda: "", None, ui.pair, **PRIVATE)


def _wire_library(
    handlers: Handlers, ui: LibraryWidgets, searching: tuple[SearchWidgets, Drawing, gr.JSON], tuning: TuningWidgets
) -> None:
    added, listed, removed, tuned = (gr.JSON(visible=False, label="Answer") for _ in range(4))
    selected = gr.Textbox(visible=False, label="Id of the selected video")
    search, drawing, found = searching
    show_library = _listing(handlers, ui, listed)

    ui.add.click(handlers.video_search_add, [ui.files, ui.tags], added, show_progress_on=ui.status, **_heavy(handlers))
    # While it adds it answers many times, so this one is drawn whenever its answer changes.
    added.change(_draw_addition, added, [ui.status, ui.files], **PRIVATE)
    show_library(added.change)
    ui.stop.click(handlers.video_search_cancel, None, gr.JSON(visible=False, label="Answer"), **LIGHT)  # the public one

    removal = ui.remove.click(handlers.video_search_remove, selected, removed, **LIGHT)
    cleared = [selected, ui.remove, found, search.pair, *drawing.components]
    show_library(removal.success(_forget, None, cleared, **PRIVATE).then)

    # Removing is offered once the results are drawn, so that they cannot be drawn over what a removal says.
    picked = ui.gallery.select(_pick, listed, [selected, ui.remove], **PRIVATE)
    inputs = [selected, search.top, search.tags, search.mode]
    drawn = draw_answer(picked.then(handlers.video_search_recommend, inputs, found, **LIGHT), search, drawing, found)
    drawn.then(lambda: gr.Button(interactive=True), None, ui.remove, **PRIVATE)

    trained = tuning.start.click(
        handlers.video_search_fine_tune, tuning.epochs, tuned, show_progress_on=tuning.figure, **_heavy(handlers)
    )
    show_library(trained.success(video_search_cards.fine_tuned, tuned, tuning.figure, **PRIVATE).then)
    tuning.stop.click(handlers.video_search_cancel, None, gr.JSON(visible=False), **PRIVATE)


def _listing(handlers: Handlers, ui: LibraryWidgets, listed: gr.JSON) -> Any:
    """Show the library when the page opens and whenever the filter changes; return what shows it after an event."""
    limit = gr.Number(SHOWN, visible=False, label="Limit", precision=0)

    def draw(answer: Answer, text: str) -> tuple[Any, ...]:
        if answer["filter"] != text:  # an answer to an earlier filter, overtaken by the present one's
            answer = handlers.video_search_list(text, SHOWN)
        return *_draw_gallery(answer), answer

    def after(listen: Any, visibility: dict[str, Any] = PRIVATE) -> None:
        answered = listen(handlers.video_search_list, [ui.filter, limit], listed, **visibility)
        answered.success(draw, [listed, ui.filter], [ui.gallery, ui.note, listed], **PRIVATE)

    after(lambda *event, **how: gr.on(None, *event, **how), LIGHT)
    return after


def _wire_batch(handlers: Handlers, search: SearchWidgets, ui: BatchWidgets) -> None:
    def draw(answer: Answer) -> tuple[Any, ...]:
        rows = [row for one in answer["results"] for row in rows_of(one["file"], one["results"], one["error"])]
        return video_search_cards.batch(answer, rows), *exports(handlers.settings, rows, "similar-videos-by-file")

    found = gr.JSON(visible=False, label="Answer")
    inputs = [ui.queries, search.top, search.tags, search.mode]
    answered = ui.find.click(
        handlers.video_search_find_many, inputs, found, show_progress_on=ui.table, **_heavy(handlers)
    )
    answered.success(draw, found, [ui.table, *ui.exports], **PRIVATE)
    ui.stop.click(handlers.video_search_cancel, None, gr.JSON(visible=False), **PRIVATE)


def _heavy(handlers: Handlers) -> dict[str, Any]:
    return {"concurrency_id": HEAVY, "concurrency_limit": handlers.settings.jobs}


def _draw_addition(answer: Answer) -> tuple[str, Any]:
    return cards.add_summary(answer), None if answer["finished"] else gr.skip()


def _draw_gallery(answer: Answer) -> tuple[list[tuple[str, str]], str]:
    shown, total = len(answer["results"]), answer["total"]
    counted = f"{total} video{'' if total == 1 else 's'}: click one to search with it"
    note = counted if shown == total else f"The newest {shown} of {total}; filter to see others"
    if others := answer["of_other_encoders"]:
        note += f". {others} more were described by another encoder: add them again to search among them"
    return [(row["thumbnail"], row["title"]) for row in answer["results"]], cards.status(note)


def _forget() -> tuple[Any, ...]:
    unused = gr.DownloadButton(interactive=False)
    return "", gr.Button(interactive=False), None, "", cards.status("Removed from the library."), unused, unused


def _pick(listing: Answer, event: gr.SelectData) -> tuple[str, Any]:
    return listing["results"][event.index]["id"], gr.Button(interactive=False)
