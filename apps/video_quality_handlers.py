"""What the events of the quality tab call; all of it is plain data, so that programs can call it too."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr

from apps.feedback import job
from apps.runtime import AppSettings, Jobs, Once, playable, request_folder
from core.errors import CancelledError, MediaError, ParameterError
from core.media import limits_from_environment
from core.runtime import part_of
from core.video_quality import QualityConfig, QualityScore, VideoQuality
from core.video_quality.ensemble import Ensemble
from core.video_quality.results import as_row
from core.video_quality.student import QualityScorer

Answer = dict[str, Any]
BAR = gr.Progress()


class Handlers:
    """What the tab's events call.

    The names of the public methods are the names of the endpoints and of the MCP tools.
    """

    def __init__(self, settings: AppSettings) -> None:
        self.settings, self.jobs = settings, Jobs()
        anywhere = replace(limits_from_environment(), allowed_roots=())  # gradio admits only what was uploaded
        self.config = QualityConfig(limits=anywhere)
        self.scorer = Once(lambda: QualityScorer())
        self.ensemble = Once(lambda: Ensemble())

    def video_quality_score(
        self, videos: list[str], display_height: int, request: gr.Request, bar: gr.Progress = BAR
    ) -> Answer:
        """Score how good videos look, from 1 to 5, without a reference; a bad file is named, and the rest are scored.

        The scores are predicted by a network trained on VMAF and published opinion tables.

        Args:
            videos: the files.
            display_height: rows of the screen they are shown on; 0: their own size, at most 1080 rows.
            request: who asks; filled in by gradio.
            bar: shows progress; filled in by gradio.
        """
        answer: Answer = {"results": [], "errors": [], "stopped": False, "files": len(videos or ())}
        with job(self.jobs, request, bar) as report:
            if not videos:
                raise ParameterError("There is nothing to score yet: choose one or more videos first.")
            quality, folder = self.quality(display_height), request_folder(self.settings).resolve()
            try:
                for told in quality.score_each([Path(video) for video in videos], report):
                    if told.score is None:
                        answer["errors"].append({"file": Path(told.path).name, "error": told.error})
                    else:
                        answer["results"].append(row_of(told.score, folder, len(answer["results"])))
            except CancelledError:
                answer["stopped"] = True
        return answer

    def video_quality_compare(
        self, first: str, second: str, display_height: int, request: gr.Request, bar: gr.Progress = BAR
    ) -> Answer:
        """Score two versions of a video, and tell how far they differ and whether that is certain.

        Args:
            first: the one version.
            second: the other version.
            display_height: rows of the screen they are shown on; 0: their own size, at most 1080 rows.
            request: who asks; filled in by gradio.
            bar: shows progress; filled in by gradio.
        """
        with job(self.jobs, request, bar) as report:
            if not first or not second:
                raise ParameterError("Choose both versions of the video first.")
            paths = Path(first), Path(second)
            told = self.quality(display_height).compare(*paths, report)
            folder = request_folder(self.settings).resolve()
            rows = [row_of(score, folder, number) for number, score in enumerate((told.first, told.second))]
            for row, path in zip(rows, paths, strict=True):
                row["playable"] = str(playable(path, self.settings, report))
            return {"results": rows, "difference": told.difference, "certain": told.certain}

    def video_quality_teachers(
        self, videos: list[str], display_height: int, request: gr.Request, bar: gr.Progress = BAR
    ) -> Answer:
        """Ask the models that taught the network: how much each counts for these videos, and what they say together.

        Args:
            videos: the files.
            display_height: rows of the screen they are shown on; 0: their own size, at most 1080 rows.
            request: who asks; filled in by gradio.
            bar: shows progress; filled in by gradio.
        """
        answer: Answer = {"results": [], "errors": [], "stopped": False}
        with job(self.jobs, request, bar) as report:
            if not videos:
                raise ParameterError("There is nobody to ask about yet: choose one or more videos first.")
            quality, ensemble = self.quality(display_height), self.ensemble()
            try:
                for number, video in enumerate(videos):
                    path, part = Path(video), part_of(report, number, len(videos))
                    try:
                        told = ensemble.explain_file(path, quality.config, part_of(part, 0, 2))
                        score = quality.score(path, part_of(part, 1, 2)).score
                    except MediaError as error:
                        answer["errors"].append({"file": path.name, "error": str(error)})
                        continue
                    row = {"file": path.name, "student": score, "teacher": told.score}
                    answer["results"].append(row | {"importances": dict(told.importances)})
            except CancelledError:
                answer["stopped"] = True
        return answer

    def video_quality_cancel(self, request: gr.Request) -> Answer:
        """Stop your running jobs; what they finished before is kept."""
        return {"stopped": self.jobs.cancel(request.session_hash)}

    def player(self, videos: list[str], file: str, request: gr.Request, bar: gr.Progress) -> str:
        """What shows one of the files of that name in a browser; empty when it is no longer among them."""
        with job(self.jobs, request, bar, counted="") as report:
            chosen = [Path(video) for video in videos or () if Path(video).name == file]
            return str(playable(chosen[0], self.settings, report)) if chosen else ""

    def quality(self, display_height: int) -> VideoQuality:
        """The pipeline, with the one network that all requests share."""
        return VideoQuality(self.scorer(), replace(self.config, display_height=int(display_height)))


def row_of(score: QualityScore, folder: Path, number: int) -> Answer:
    """A score as plain data, the pictures of its worst moments written into a folder."""
    row = as_row(score)
    row["file"] = Path(row.pop("path")).name  # gradio's client takes whatever has a "path" for a file to download
    for index, (moment, told) in enumerate(zip(row["worst"], score.worst, strict=True)):
        picture = folder / f"{number}-{index}.jpg"
        picture.write_bytes(told.picture)
        moment["picture"] = str(picture)
    return row
