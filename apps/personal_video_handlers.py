"""What the events of the personal video tab call; all of it is plain data, so that programs can call it too."""

import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr

from apps.feedback import job, readable_errors
from apps.runtime import AppSettings, Jobs, Once, request_folder
from core.errors import CoreError, ParameterError
from core.media import limits_from_environment
from core.personal_video.concepts import Concept, ConceptDatabase
from core.personal_video.config import ConceptConfig, VideoConfig
from core.personal_video.exchange import export_concepts, import_concepts
from core.personal_video.film import moving_picture, read_settings
from core.personal_video.modes import MODES
from core.personal_video.pipeline import FRAME_RATE, SOMETHING_ELSE, GenerateRequest, PersonalVideoPipeline
from core.personal_video.redilation import EnlargeConfig
from core.personal_video.results import GeneratedVideo, ModeReading, Seen, VideoSettings
from core.runtime import Progress

Answer = dict[str, Any]
BAR = gr.Progress()
_THUMBNAILS = "personal-video"
_LONGEST_NAME = 40


class Handlers:
    """What the tab's events call.

    The names of the methods that begin with personal_video are the names of the endpoints and of the MCP tools.
    """

    def __init__(self, settings: AppSettings) -> None:
        self.settings, self.jobs = settings, Jobs()
        anywhere = replace(limits_from_environment(), allowed_roots=())  # gradio admits only what was uploaded
        self.config = ConceptConfig(limits=anywhere)
        self.database = Once(lambda: ConceptDatabase(settings.concepts, None, self.config))
        self.pipeline = Once(lambda: PersonalVideoPipeline(self.database(), None, self.config))

    def personal_video_mode(
        self, prompt: str, image: str, shows: str, request: gr.Request, bar: gr.Progress = BAR
    ) -> Answer:
        """Tell which of the five modes a prompt and an image mean, before a video is made of them.

        Args:
            prompt: with concepts' words bare or in angle brackets; may be empty where there is an image.
            image: a picture; none when empty.
            shows: the concept that the image shows; "-": something else; empty: found out.
            request: who asks; filled in by gradio.
            bar: shows progress; filled in by gradio.
        """
        with job(self.jobs, request, bar, counted="") as report:
            report(0, 1, "looking at the image" if image else "reading")
            wanted = _request(prompt, image, shows)
            subject = self.pipeline().subject_of(image) if image else None
            reading = self.pipeline().read(wanted) if prompt.strip() or image else None
            folder = request_folder(self.settings).resolve()
            cutouts = [one.smaller(self.config.thumbnail_side_px).png() for one in (subject.cutouts if subject else ())]
            return _told(reading) | {"subject": _written(cutouts, folder)}

    def personal_video_generate(  # noqa: PLR0913  # gradio reads an endpoint's parameters from here
        self,
        prompt: str,
        image: str,
        shows: str,
        seed: int,
        steps: int,
        text_guidance: float,
        subject_guidance: float,
        request: gr.Request,
        bar: gr.Progress = BAR,
    ) -> Iterator[Answer]:
        """Make a short video from a prompt, an image or both; what it looks like so far is told after every step.

        Args:
            prompt: with concepts' words bare or in angle brackets; may be empty where there is an image.
            image: a picture, which may be animated or have a transparent background; none when empty.
            shows: the concept that the image shows; "-": something else; empty: found out.
            seed: 0 to 4294967295; the same seed makes the same video; -1: one by lot, which the answer tells.
            steps: of sampling, 2 to 200; 0: as many as suit the profile.
            text_guidance: how far the text is overstated, 0 to 20; 0: what suits the profile.
            subject_guidance: the same of the subject's looks.
            request: who asks; filled in by gradio.
            bar: shows progress; filled in by gradio.
        """
        with job(self.jobs, request, bar, counted="") as report:
            wanted = _request(prompt, image, shows, None if int(seed) < 0 else int(seed))
            config = VideoConfig(int(steps), float(text_guidance), float(subject_guidance))
            folder = request_folder(self.settings).resolve()
            out = folder / f"{_name_of(wanted)}.mp4"
            yield from _answers(self.pipeline().generating(wanted, out, config, _with_time_left(report)), folder)

    def personal_video_enlarge(
        self, video: str, image: str, steps: int, request: gr.Request, bar: gr.Progress = BAR
    ) -> Iterator[Answer]:
        """Make a video of twice the size from one that generate made; its settings are read from the file.

        Args:
            video: the first video.
            image: the image that it was made with; empty where there was none.
            steps: of the second network, 2 to 200; 0: as many as suit the profile.
            request: who asks; filled in by gradio.
            bar: shows progress; filled in by gradio.
        """
        with job(self.jobs, request, bar, counted="") as report:
            if not video:
                raise ParameterError("There is no video to enlarge yet: make one, or choose one that was made here.")
            how = EnlargeConfig(steps=int(steps)) if steps else None
            folder = request_folder(self.settings).resolve()
            out = folder / f"{Path(video).stem[: 2 * _LONGEST_NAME]} larger.mp4"
            made = self.pipeline().enlarging(video, out, image or None, how, _with_time_left(report))
            yield from _answers(made, folder)

    def personal_video_settings(self, video: str) -> Answer:
        """Read the settings of a video that was made here, to go on from them.

        Args:
            video: the file.
        """
        with readable_errors():
            if not video:
                raise ParameterError("Choose a video first.")
            return _of_settings(video, read_settings(video, self.config.limits))

    def personal_video_concepts(self) -> Answer:
        """List the concepts: their words, how many pictures each has, and a thumbnail; the newest first."""
        with readable_errors():
            known = self.database().concepts()
            folder = Path(self.settings.output).resolve() / _THUMBNAILS
            folder.mkdir(parents=True, exist_ok=True)
            rows = [_concept_row(concept, folder) for concept in known]
            shown = {row["thumbnail"] for row in rows}
            for file in folder.glob("*.png"):
                if str(file) not in shown:
                    file.unlink(missing_ok=True)
            return {"results": rows}

    def personal_video_preview(self, pictures: list[str], request: gr.Request, bar: gr.Progress = BAR) -> Answer:
        """Show what would be cut out of pictures of a subject, and keep nothing.

        Args:
            pictures: the files.
            request: who asks; filled in by gradio.
            bar: shows progress; filled in by gradio.
        """
        with job(self.jobs, request, bar, counted="") as report:
            answer: Answer = {"results": [], "errors": []}
            folder, files = request_folder(self.settings).resolve(), _chosen(pictures)
            for number, file in enumerate(files):
                report(number, len(files), file.name)
                seen = self.database().preview([file])
                answer["errors"] += [{"error": sentence} for sentence in seen.refused]
                for cutout in seen.cutouts:
                    (picture,) = _written([cutout.smaller(self.config.thumbnail_side_px).png()], folder,
                                          len(answer["results"]))  # fmt: skip
                    answer["results"].append({"picture": picture, "source": cutout.source, "way": cutout.way})
            return answer

    def personal_video_add(
        self, word: str, pictures: list[str], more: bool, request: gr.Request, bar: gr.Progress = BAR
    ) -> Answer:
        """Add a concept: a word, and pictures of the subject that it stands for.

        Args:
            word: such as biscuit.
            pictures: the files.
            more: give a concept that is there further pictures.
            request: who asks; filled in by gradio.
            bar: shows progress; filled in by gradio.
        """
        with job(self.jobs, request, bar, counted="") as report:
            report(0, 1, "cutting out")
            database = self.database()
            concept = (database.add_pictures if more else database.add)(word or "", _chosen(pictures))
            return {"word": concept.word, "id": concept.id, "pictures": len(concept.cutout_ids)}

    def personal_video_rename(self, word: str, new_word: str) -> Answer:
        """Give a concept another word.

        Args:
            word: of the concept.
            new_word: the other one.
        """
        with readable_errors():
            concept = self.database().rename(word or "", new_word or "")
            return {"word": concept.word, "id": concept.id}

    def personal_video_remove(self, word: str) -> Answer:
        """Remove a concept with its pictures, for good.

        Args:
            word: of the concept.
        """
        with readable_errors():
            concept = self.database().remove(word or "")
            return {"word": concept.word, "id": concept.id}

    def personal_video_export(self, words: list[str], request: gr.Request, bar: gr.Progress = BAR) -> Answer:
        """Write concepts into one file, to be kept or given away.

        Args:
            words: which; empty: all.
            request: who asks; filled in by gradio.
            bar: shows progress; filled in by gradio.
        """
        with job(self.jobs, request, bar, counted="") as report:
            report(0, 1, "exporting")
            out = request_folder(self.settings).resolve() / "showreel.concepts.zip"
            return {"file": str(export_concepts(self.database(), out, words or None))}

    def personal_video_import(
        self, concepts: str, replacing: bool, request: gr.Request, bar: gr.Progress = BAR
    ) -> Answer:
        """Add the concepts of an exported file; all of them or none.

        Args:
            concepts: the file.
            replacing: give concepts that are there the file's pictures; otherwise such a word is an error.
            request: who asks; filled in by gradio.
            bar: shows progress; filled in by gradio.
        """
        with job(self.jobs, request, bar, counted="") as report:
            if not concepts:
                raise ParameterError("Choose an exported file of concepts first.")
            report(0, 1, "importing")
            added = import_concepts(self.database(), concepts, bool(replacing), self.config.limits)
            return {"results": [{"word": concept.word, "id": concept.id} for concept in added]}

    def personal_video_cancel(self, request: gr.Request) -> Answer:
        """Stop your running jobs, within one step."""
        return {"stopped": self.jobs.cancel(request.session_hash)}

    def reading(self, prompt: str, image: str, shows: str) -> Answer | None:
        """What is said while somebody types: at once, and errors as sentences; nothing where nothing came in."""
        if not prompt.strip() and not image:
            return None
        try:
            return _told(self.pipeline().read(_request(prompt, image, shows), at_once=True)) | {"subject": []}
        except CoreError as error:
            return {"error": str(error)}


def _request(prompt: str, image: str, shows: str, seed: int | None = None) -> GenerateRequest:
    return GenerateRequest(prompt or "", Path(image) if image else None, shows or "", seed)


def _chosen(pictures: Sequence[str] | None) -> list[Path]:
    if not pictures:
        raise ParameterError("There is no picture yet: choose one or more that show the subject first.")
    return [Path(picture) for picture in pictures]


def _told(reading: ModeReading | None) -> Answer:
    """What an input means, as plain data."""
    if reading is None:
        raise ParameterError("There is nothing to read yet: describe the video, or choose an image.")
    likeness = None if reading.shown is None else round(reading.shown.similarity, 4)
    return {
        "mode": reading.mode.letter,
        "mode_means": reading.sentence,
        "words": list(reading.words),
        "target": reading.target or "",
        "likeness": likeness,
    }


def _answers(made: Iterator[Seen | GeneratedVideo], folder: Path) -> Iterator[Answer]:
    """Each step, and at last the finished video, as plain data."""
    begin: float | None = None
    for one in made:
        if isinstance(one, GeneratedVideo):
            told = _of_settings(one.out, one.settings)
            yield told | {
                "mode_means": one.sentence,
                "seconds_taken": one.seconds_taken,
                "notes": list(one.notes),
                "finished": True,
            }
        elif one.step < one.steps:
            now = time.perf_counter()
            left = None if begin is None else round((now - begin) / (one.step - 1) * (one.steps - one.step), 1)
            begin = now if begin is None else begin
            file = folder / f"step-{one.step:03}.webp"
            file.write_bytes(moving_picture(one.frames, FRAME_RATE))
            yield {"finished": False, "step": one.step, "steps": one.steps, "seconds_left": left, "preview": str(file)}


def _of_settings(file: str, settings: VideoSettings) -> Answer:
    """A video as plain data."""
    side = settings.side_px * settings.factor
    return {
        "file": str(file),
        "title": Path(file).name,
        "prompt": settings.prompt,
        "mode": settings.mode,
        "mode_means": MODES[settings.mode].sentence,
        "seed": settings.seed,
        "words": list(settings.words),
        "image": settings.image,
        "shows": settings.target or (SOMETHING_ELSE if settings.mode == "c" else ""),
        "steps": settings.steps,
        "text_guidance": settings.text_guidance,
        "subject_guidance": settings.subject_guidance,
        "enlarged": settings.factor > 1,
        "size_px": [side, side],
        "duration_s": float(settings.frames / FRAME_RATE),
        "seconds_taken": 0.0,
        "notes": [],
    }


def _written(pngs: Sequence[bytes], folder: Path, first: int = 0) -> list[str]:
    """Pictures as files."""
    files = [folder / f"cutout-{first + number}.png" for number in range(len(pngs))]
    for file, png in zip(files, pngs, strict=True):
        file.write_bytes(png)
    return [str(file) for file in files]


def _concept_row(concept: Concept, folder: Path) -> Answer:
    """A concept as plain data; its thumbnail is written once."""
    file = folder / f"{concept.id}-{concept.looks}.png"
    if not file.exists():
        part = file.with_suffix(f".{time.monotonic_ns()}")
        part.write_bytes(concept.thumbnail)
        with suppress(FileNotFoundError):
            part.replace(file)
    return {
        "word": concept.word,
        "id": concept.id,
        "pictures": len(concept.cutout_ids),
        "thumbnail": str(file),
        "added_at": concept.added_at.isoformat(timespec="seconds"),
    }


def _name_of(request: GenerateRequest) -> str:
    """A name for the file of a video."""
    words = "".join(c if c.isalnum() else " " for c in request.prompt).split()
    name = " ".join(words)[:_LONGEST_NAME].strip() or (request.image.stem[:_LONGEST_NAME] if request.image else "video")
    return name if request.seed is None else f"{name} {request.seed}"


def _with_time_left(report: Progress) -> Progress:
    """A callback that says, once the first step was taken, about how long the rest takes."""
    begin: tuple[int, float] | None = None

    def timed(done: int, total: int, what: str) -> None:
        nonlocal begin
        now = time.perf_counter()
        if begin is None and done > 1:
            begin = done, now
        if begin is not None and done > begin[0]:
            left = (now - begin[1]) / (done - begin[0]) * (total - done)
            what = f"{what}, about {left:.0f} s left"
        report(done, total, what)

    return timed
