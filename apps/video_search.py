"""The tab of similar-video search: a library on the left, the search on the right."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import gradio as gr

from apps import cards
from apps.feedback import progress_bar, readable_errors
from apps.runtime import HEAVY, AppSettings, Jobs, Once, request_folder
from core.errors import CancelledError, MediaError, ParameterError
from core.media import browser_playable, limits_from_environment, probe, write_preview
from core.runtime import cancellable
from core.store import Record
from core.video_search import SearchConfig, SimilarVideo, VideoSearch
from core.video_search.shelf import Shelf

Answer = dict[str, Any]
SHOWN = 60
"""Pictures in the library's gallery; the filter reaches the rest."""
BAR = gr.Progress()
FILE_TYPES = ["video", ".mkv", ".ts", ".webp", ".gif", ".apng", "image"]


def split_tags(text: str) -> tuple[str, ...]:
    """Words between commas, each once, in order.

    >>> split_tags("beach, dog,,beach ")
    ('beach', 'dog')
    """
    return tuple(dict.fromkeys(word.strip() for word in (text or "").split(",") if word.strip()))


class Handlers:
    """What the tab's events call; each answers with plain data, so that programs can call it too.

    The names of the methods are the names of the endpoints and of the MCP tools.
    """

    def __init__(self, settings: AppSettings) -> None:
        self.settings, self.jobs = settings, Jobs()
        self.shelf = Shelf(Path(settings.files).resolve())
        anywhere = replace(limits_from_environment(), allowed_roots=())  # gradio admits only what was uploaded
        self.search = Once(
            lambda: VideoSearch(settings.library, config=SearchConfig(limits=anywhere), shelf=self.shelf)
        )

    def video_search_add(
        self, videos: list[str], tags: str, request: gr.Request, bar: gr.Progress = BAR
    ) -> Iterator[Answer]:
        """Add videos to the library; a bad file is named, and the rest are added all the same.

        Args:
            videos: the files.
            tags: words to file them under, separated by commas.
            request: who asks; filled in by gradio.
            bar: shows progress; filled in by gradio.
        """
        answer: Answer = {"results": [], "errors": [], "stopped": False, "finished": False}
        with readable_errors(), self.jobs.running(request.session_hash) as token:
            if not videos:
                raise ParameterError("There is nothing to add yet: choose one or more video files first.")
            paths = [Path(video) for video in videos]
            try:
                for report in self.search().add_each(paths, split_tags(tags), cancellable(progress_bar(bar), token)):
                    row = {"file": Path(report.path).name, "id": report.id, "status": report.status}
                    answer["errors" if report.error else "results"].append(row | {"error": report.error})
                    yield answer
            except CancelledError:
                answer["stopped"] = True
        yield answer | {"finished": True}

    def video_search_find(self, video: str, top: int, tags: str, request: gr.Request, bar: gr.Progress = BAR) -> Answer:
        """Find the videos of the library most similar to a file.

        Args:
            video: the file to compare with.
            top: how many to return, 1 to 20.
            tags: only videos that have all these tags, separated by commas.
            request: who asks; filled in by gradio.
            bar: shows progress; filled in by gradio.
        """
        with readable_errors(), self.jobs.running(request.session_hash) as token:
            if not video:
                raise ParameterError("Choose a video to compare with first, or click one in the library.")
            path, report = Path(video), cancellable(progress_bar(bar), token)
            found = self.search().find(path, int(top), split_tags(tags), report)
            info = probe(path)
            playable = path
            if not browser_playable(info):
                playable = request_folder(self.settings).resolve() / f"{path.stem}.mp4"
                write_preview(path, playable, report)
            query = {"title": path.stem, "duration_s": float(info.duration_s), "playable": str(playable)}
            return {"query": query, "results": [self._row(video) for video in found]}

    def video_search_recommend(self, video_id: str, top: int, tags: str) -> Answer:
        """Find the videos most similar to one of the library, itself left out.

        Args:
            video_id: the id of the video, as list, add and find return it.
            top: how many to return, 1 to 20.
            tags: only videos that have all these tags, separated by commas.
        """
        with readable_errors():
            search = self.search()
            (record,) = search.library.fetch([video_id])
            query = {"id": record.id, "title": record.title, "duration_s": record.duration_s}
            found = search.recommend(video_id, int(top), split_tags(tags))
            query |= self._shown(record.id, record.path)
            return {"query": query, "results": [self._row(video) for video in found]}

    def video_search_list(self, text: str, limit: int) -> Answer:
        """List the library, newest first.

        Args:
            text: only videos whose title or tags hold this text; all when empty.
            limit: how many to return.
        """
        with readable_errors():
            search, wanted, limit = self.search(), (text or "").strip().lower(), int(limit)
            if wanted:
                found = [r for r in search.library.records() if wanted in " ".join([r.title, *r.tags]).lower()]
                records, total = found[:limit], len(found)
            else:
                records, total = search.library.records(limit=limit), len(search.library)
            return {
                "total": total,
                "results": [self._listed(record) for record in records],
                "of_other_encoders": search.of_other_encoders(),
            }

    def video_search_remove(self, video_id: str) -> Answer:
        """Remove one video from the library, with the copy that was kept of it.

        Args:
            video_id: the id of the video.
        """
        with readable_errors():
            self.search().remove([video_id])
            return {"results": [{"id": video_id}]}

    def video_search_cancel(self, request: gr.Request) -> Answer:
        """Stop your running jobs; what they finished before is kept."""
        return {"stopped": self.jobs.cancel(request.session_hash)}

    def _row(self, video: SimilarVideo) -> Answer:
        row = asdict(video)
        row["file"] = row.pop("path")  # gradio's client takes whatever has a "path" for a file to download
        return row | self._shown(video.id, video.path)

    def _shown(self, video_id: str, path: str) -> Answer:
        """The files that show a video; empty where there is none: a lost original costs no answer."""
        picture = self.shelf.folder / f"{video_id}.jpg"
        try:
            playable = str(self.shelf.playable(Path(path), video_id))
        except MediaError:
            playable = ""
        return {"playable": playable, "poster": str(picture) if picture.exists() else ""}

    def _listed(self, record: Record) -> Answer:
        return {
            "id": record.id,
            "file": record.path,
            "title": record.title,
            "duration_s": record.duration_s,
            "tags": list(record.tags),
            "thumbnail": str(self.shelf.thumbnail(record.id, record.thumbnail)),
        }


@dataclass(frozen=True)
class Widgets:
    """The components of the tab that its events read and write."""

    files: gr.File
    add_tags: gr.Textbox
    add_button: gr.Button
    add_stop: gr.Button
    add_status: gr.HTML
    filter: gr.Textbox
    gallery: gr.Gallery
    gallery_note: gr.HTML
    remove_button: gr.Button
    query: gr.File
    top: gr.Slider
    tags: gr.Textbox
    find_button: gr.Button
    find_stop: gr.Button
    results: gr.HTML


def build_tab(settings: AppSettings) -> None:
    """Lay the tab out inside the current Blocks, and wire it."""
    gr.set_static_paths([settings.files, settings.output])
    handlers = Handlers(settings)
    with gr.Row(elem_classes="tool"):
        with gr.Column(scale=2, min_width=280):
            library = _library_column()
        with gr.Column(scale=3, min_width=280):
            search = _search_column()
    _wire(handlers, Widgets(*library, *search))


def _library_column() -> tuple[Any, ...]:
    gr.Markdown("### Library")
    files = gr.File(label="Videos to add", file_count="multiple", file_types=FILE_TYPES, height=150)
    add_tags = gr.Textbox(label="Tags", placeholder="beach, dog", info="Optional words to file these videos under")
    with gr.Row():
        add_button = gr.Button("Add to library", variant="primary", min_width=120)
        add_stop = gr.Button("Stop adding", min_width=150, scale=0)
    add_status = gr.HTML(cards.status(""))
    text = gr.Textbox(label="Filter the library", placeholder="Title or tag")
    note = gr.HTML(cards.status(""))
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
    return files, add_tags, add_button, add_stop, add_status, text, gallery, note, remove


def _search_column() -> tuple[Any, ...]:
    gr.Markdown("### Find similar videos")
    query = gr.File(label="Video to compare with", file_types=FILE_TYPES, height=150)
    with gr.Row():
        top = gr.Slider(1, 20, value=5, step=1, label="How many", min_width=140)
        tags = gr.Textbox(label="Only with tags", placeholder="Any", min_width=140)
    with gr.Row():
        find = gr.Button("Find similar", variant="primary", min_width=120)
        stop = gr.Button("Stop searching", min_width=160, scale=0)
    results = gr.HTML(
        cards.status("Choose a video above, or click one in the library; the most similar ones appear here."),
        elem_id="video-search-results",
        min_height=120,
    )
    return query, top, tags, find, stop, results


def _wire(handlers: Handlers, ui: Widgets) -> None:
    """Named events answer with data, which hidden JSON components hold; private events draw that data."""
    added, found, listed, removed = (gr.JSON(visible=False, label="Answer") for _ in range(4))
    selected = gr.Textbox(visible=False, label="Id of the selected video")
    limit = gr.Number(SHOWN, visible=False, label="Limit", precision=0)
    _wire_library(handlers, ui, (added, listed, removed, found), (selected, limit))
    _wire_search(handlers, ui, found)


def _wire_library(handlers: Handlers, ui: Widgets, answers: tuple[gr.JSON, ...], inputs: tuple[Any, Any]) -> None:
    (added, listed, removed, found), (selected, limit) = answers, inputs
    ui.add_button.click(
        handlers.video_search_add,
        [ui.files, ui.add_tags],
        added,
        show_progress_on=ui.add_status,
        **_heavy(handlers),
    )
    added.change(
        lambda answer: (cards.add_summary(answer), None if answer["finished"] else gr.skip()),
        added,
        [ui.add_status, ui.files],
        **PRIVATE,
    )
    ui.add_stop.click(handlers.video_search_cancel, None, gr.JSON(visible=False, label="Answer"), **LIGHT)
    ui.remove_button.click(handlers.video_search_remove, selected, removed, **LIGHT)
    removed.change(_forget, None, [selected, ui.remove_button, ui.results], **PRIVATE)
    # No trigger means: when the page opens, and whenever the filter changes.
    gr.on(None, handlers.video_search_list, [ui.filter, limit], listed, **LIGHT)
    for changed in (added, removed):
        changed.change(handlers.video_search_list, [ui.filter, limit], listed, **PRIVATE)
    listed.change(_draw_gallery, listed, [ui.gallery, ui.gallery_note], **PRIVATE)
    # Removing is offered once the results are drawn, so that they cannot be drawn over what a removal says.
    picked = ui.gallery.select(_pick, listed, [selected, ui.remove_button], **PRIVATE)
    answered = picked.then(handlers.video_search_recommend, [selected, ui.top, ui.tags], found, **LIGHT)
    drawn = answered.success(cards.search_results, found, ui.results, js=SHOW_RESULTS, **PRIVATE)
    drawn.then(lambda: gr.Button(interactive=True), None, ui.remove_button, **PRIVATE)


def _wire_search(handlers: Handlers, ui: Widgets, found: gr.JSON) -> None:
    answered = ui.find_button.click(
        handlers.video_search_find, [ui.query, ui.top, ui.tags], found, show_progress_on=ui.results, **_heavy(handlers)
    )
    answered.success(cards.search_results, found, ui.results, js=SHOW_RESULTS, **PRIVATE)
    ui.find_stop.click(handlers.video_search_cancel, None, gr.JSON(visible=False), **PRIVATE)


SHOW_RESULTS = """(answer) => {
  document.getElementById("video-search-results").scrollIntoView({block: "nearest"});
  return [answer];
}"""
LIGHT: dict[str, Any] = {"show_progress": "hidden", "queue": False}
PRIVATE: dict[str, Any] = {"api_visibility": "private", **LIGHT}


def _heavy(handlers: Handlers) -> dict[str, Any]:
    return {"concurrency_id": HEAVY, "concurrency_limit": handlers.settings.jobs}


def _draw_gallery(answer: Answer) -> tuple[list[tuple[str, str]], str]:
    shown, total = len(answer["results"]), answer["total"]
    counted = f"{total} video{'' if total == 1 else 's'}: click one to search with it"
    note = counted if shown == total else f"The newest {shown} of {total}; filter to see others"
    if others := answer["of_other_encoders"]:
        note += f". {others} more were described by another encoder: add them again to search among them"
    return [(row["thumbnail"], row["title"]) for row in answer["results"]], cards.status(note)


def _forget() -> tuple[str, Any, str]:
    return "", gr.Button(interactive=False), cards.status("Removed from the library.")


def _pick(listing: Answer, event: gr.SelectData) -> tuple[str, Any]:
    return listing["results"][event.index]["id"], gr.Button(interactive=False)
