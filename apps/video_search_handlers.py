"""What the events of the similar-video tab call; all of it is plain data, so that programs can call it too."""

import hashlib
import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import gradio as gr

from apps.feedback import job, readable_errors
from apps.runtime import AppSettings, Jobs, Once, playable
from core.errors import CancelledError, MediaError, ParameterError
from core.media import limits_from_environment, probe
from core.runtime import Progress, part_of
from core.store import Record
from core.video_search import SearchAnswer, SearchConfig, SearchRequest, SimilarVideo, VideoSearch
from core.video_search.fine_tuning import SequenceConfig, TrainConfig, fine_tune
from core.video_search.pipeline import content_id
from core.video_search.results import Mode
from core.video_search.shelf import Shelf

Answer = dict[str, Any]
BAR = gr.Progress()
FINE_TUNING_DRAWS = 12
"""Augmented sequences of every video in a fine-tuning: half the usual, since the network knows its task already."""


def split_tags(text: str) -> tuple[str, ...]:
    """Words between commas, each once, in order.

    >>> split_tags("beach, dog,,beach ")
    ('beach', 'dog')
    """
    return tuple(dict.fromkeys(word.strip() for word in (text or "").split(",") if word.strip()))


class Handlers:
    """What the tab's events call.

    The names of the methods are the names of the endpoints and of the MCP tools.
    """

    def __init__(self, settings: AppSettings) -> None:
        self.settings, self.jobs = settings, Jobs()
        self.shelf = Shelf(Path(settings.files).resolve())
        anywhere = replace(limits_from_environment(), allowed_roots=())  # gradio admits only what was uploaded
        config = SearchConfig(limits=anywhere, models=Path(settings.models))
        self.search = Once(lambda: VideoSearch(settings.library, config=config, shelf=self.shelf))
        self._marks, self._fine_tuning = threading.Lock(), threading.Lock()

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
        with job(self.jobs, request, bar) as report_progress:
            if not videos:
                raise ParameterError("There is nothing to add yet: choose one or more video files first.")
            try:
                for report in self.search().add_each([Path(v) for v in videos], split_tags(tags), report_progress):
                    row = {"file": Path(report.path).name, "id": report.id, "status": report.status}
                    answer["errors" if report.error else "results"].append(row | {"error": report.error})
                    yield answer
            except CancelledError:
                answer["stopped"] = True
        yield answer | {"finished": True}

    def video_search_find(  # noqa: PLR0913  # gradio reads an endpoint's parameters from here
        self, video: str, top: int, tags: str, mode: Mode, request: gr.Request, bar: gr.Progress = BAR
    ) -> Answer:
        """Find the videos of the library most similar to a file.

        Args:
            video: the file to compare with.
            top: how many to return, 1 to 20.
            tags: only videos that have all these tags, separated by commas.
            mode: cosine compares the vectors; hash compares their codes, is faster, and also says what it missed.
            request: who asks; filled in by gradio.
            bar: shows progress; filled in by gradio.
        """
        with job(self.jobs, request, bar) as report:
            if not video:
                raise ParameterError("Choose a video to compare with first, or click one in the library.")
            path = Path(video)
            query_id, answer = self._found(path, SearchRequest(int(top), split_tags(tags), mode), report)
            query = {"id": query_id, "title": path.stem, "duration_s": float(probe(path).duration_s)}
            return {"query": query | {"playable": str(playable(path, self.settings, report))}, **answer}

    def video_search_find_many(  # noqa: PLR0913  # see above
        self, videos: list[str], top: int, tags: str, mode: Mode, request: gr.Request, bar: gr.Progress = BAR
    ) -> Answer:
        """Find the most similar videos for each of several files; a bad file is named, and the rest are answered.

        Args:
            videos: the files to compare with.
            top: how many to return for each, 1 to 20.
            tags: only videos that have all these tags, separated by commas.
            mode: cosine compares the vectors; hash compares their codes, and is faster.
            request: who asks; filled in by gradio.
            bar: shows progress; filled in by gradio.
        """
        answer: Answer = {"results": [], "stopped": False}
        with job(self.jobs, request, bar) as report:
            if not videos:
                raise ParameterError("Choose one or more videos to compare with first.")
            wanted = SearchRequest(int(top), split_tags(tags), mode)
            try:
                for index, path in enumerate(Path(video) for video in videos):
                    answer["results"].append(self._found_or_error(path, wanted, part_of(report, index, len(videos))))
            except CancelledError:
                answer["stopped"] = True
        return answer

    def video_search_recommend(self, video_id: str, top: int, tags: str, mode: Mode) -> Answer:
        """Find the videos most similar to one of the library: neither itself nor copies of it.

        Args:
            video_id: the id of the video, as list, add and find return it.
            top: how many to return, 1 to 20.
            tags: only videos that have all these tags, separated by commas.
            mode: cosine compares the vectors; hash compares their codes, is faster, and also says what it missed.
        """
        with readable_errors():
            search, fallbacks = self.search(), []

            def ask(request: SearchRequest) -> SearchAnswer:
                started = time.perf_counter()
                told = search.recommend(video_id, request)
                fallbacks.append(told.fallback)
                return SearchAnswer(told.results, request.mode, time.perf_counter() - started)

            answer = self._in_both_modes(ask, SearchRequest(int(top), split_tags(tags), mode))
            (record,) = search.library.fetch([video_id])
            query = {"id": record.id, "title": record.title, "duration_s": record.duration_s}
            query |= self._shown(record.id, record.path)
            return {"query": query, **answer, "fallback": fallbacks[-1], "not_similar": self._not_similar(video_id)}

    def video_search_mark(self, query_id: str, video_id: str, marked: bool = True) -> Answer:
        """Never again show one video among the results of another, nor the other way round; or take that back.

        Args:
            query_id: the id of the video that was searched with, as find and recommend return it.
            video_id: the id of the result that is not similar.
            marked: false takes the mark back.
        """
        with readable_errors(), self._marks:
            self.search().mark_not_similar(query_id, video_id, marked)
            return {"results": [{"id": video_id, "marked": marked}]}

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
                "filter": text or "",
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

    def video_search_fine_tune(self, epochs: int, request: gr.Request, bar: gr.Progress = BAR) -> Answer:
        """Train the model further on the library's own videos, and search with the result if it is better.

        Args:
            epochs: passes over the videos, 5 to 10.
            request: who asks; filled in by gradio.
            bar: shows progress; filled in by gradio.
        """
        with job(self.jobs, request, bar, counted="") as report, self._only_one_fine_tuning():
            search, folder = self.search(), self._training_folder(int(epochs))

            def told(done: int, total: int, what: str) -> None:
                report(done, total, f"Training, {what}" if what.startswith("epoch") else "Looking at the videos")

            training, sequences = TrainConfig(epochs=int(epochs)), SequenceConfig(draws=FINE_TUNING_DRAWS)
            tuned = fine_tune(search, training, folder, sequences, told)
            shutil.rmtree(folder, ignore_errors=True)
            return {**asdict(tuned), "lost": list(tuned.lost)}

    def video_search_cancel(self, request: gr.Request) -> Answer:
        """Stop your running jobs; what they finished before is kept."""
        return {"stopped": self.jobs.cancel(request.session_hash)}

    @contextmanager
    def _only_one_fine_tuning(self) -> Iterator[None]:
        if not self._fine_tuning.acquire(blocking=False):
            raise ParameterError("The library is being fine-tuned already; wait until that is done, or stop it.")
        try:
            yield
        finally:
            self._fine_tuning.release()

    def _training_folder(self, epochs: int) -> Path:
        """The same for the same training, so that a stopped one goes on; another one for any other."""
        search = self.search()
        search.follow_the_library()
        facts = json.dumps([search.model, epochs, sorted(search.library.ids())])
        return search.config.models / "training" / hashlib.sha256(facts.encode()).hexdigest()[:16]

    def _found_or_error(self, path: Path, request: SearchRequest, report: Progress) -> Answer:
        try:
            report(0, 1, path.name)
            query_id, answer = self._found(path, request, report)
            return {"file": path.name, "id": query_id, "error": "", "results": answer["results"]}
        except MediaError as error:
            return {"file": path.name, "id": "", "error": str(error), "results": []}

    def _found(self, path: Path, request: SearchRequest, report: Progress) -> tuple[str, Answer]:
        """The id of a file, and what is similar to it; the file is described once, whatever the mode."""
        search = self.search()
        search.follow_the_library()
        query_id = content_id(path, search.config.limits)
        description, without = search.describe(path, report), search.not_similar(query_id)
        answer = self._in_both_modes(lambda asked: search.search(description, asked, without), request)
        return query_id, answer | {"fallback": "", "not_similar": self._not_similar(query_id)}

    def _in_both_modes(self, ask: Callable[[SearchRequest], SearchAnswer], request: SearchRequest) -> Answer:
        """What is found; in hash mode also the time that cosine takes, and what only that finds."""
        by_cosine = replace(request, mode="cosine")
        if request.mode == "hash":
            for either in (by_cosine, request):  # what is read from disk only once should count for neither
                ask(replace(either, top=1))
        found = ask(request)
        times_ms, missed = {request.mode: 1000 * found.seconds}, []
        if request.mode == "hash":
            other = ask(by_cosine)
            times_ms["cosine"] = 1000 * other.seconds
            there = {video.id for video in found.results}
            missed = [video.title for video in other.results if video.id not in there]
        results = [self._row(video) for video in found.results]
        return {"results": results, "mode": request.mode, "milliseconds": times_ms, "missed": missed}

    def _not_similar(self, query_id: str) -> list[Answer]:
        """The videos of the library that were marked as not similar to one."""
        library = self.search().library
        marked = [video_id for video_id in sorted(self.search().not_similar(query_id)) if video_id in library]
        return [{"id": record.id, "title": record.title} for record in library.fetch(marked)]

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
