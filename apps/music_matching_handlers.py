"""What the events of the music tab call; all of it is plain data, so that programs can call it too."""

import shutil
from collections.abc import Iterator
from dataclasses import asdict, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import gradio as gr

from apps.feedback import job, readable_errors
from apps.runtime import AppSettings, Jobs, Once, request_folder
from core.errors import CancelledError, ParameterError
from core.media import browser_playable, limits_from_environment, probe, write_preview
from core.media.whole_file import written_whole
from core.music_matching import LayConfig, MatchConfig, MatchRequest, MusicMatch, MusicMatching
from core.music_matching.config import Mode
from core.music_matching.rows import Credits
from core.runtime import Progress, part_of

Answer = dict[str, Any]
BAR = gr.Progress()
WAVE_BARS = 160
"""Bars of the picture of a track's loudness."""


class Handlers:
    """What the tab's events call.

    The names of the methods are the names of the endpoints and of the MCP tools.
    """

    def __init__(self, settings: AppSettings) -> None:
        self.settings, self.jobs = settings, Jobs()
        anywhere = replace(limits_from_environment(), allowed_roots=())  # gradio admits only what was uploaded
        self.matching = Once(lambda: MusicMatching(settings.music, MatchConfig(limits=anywhere)))

    def music_matching_add(
        self, tracks: list[str], licence: str, credit: str, request: gr.Request, bar: gr.Progress = BAR
    ) -> Iterator[Answer]:
        """Add music to the library; a bad file is named, and the rest is added all the same.

        Args:
            tracks: the files.
            licence: terms of all of them; what each file says itself when empty.
            credit: whom to name for all of them; what each file says itself when empty.
            request: who asks; filled in by gradio.
            bar: shows progress; filled in by gradio.
        """
        answer: Answer = {"results": [], "errors": [], "stopped": False, "finished": False}
        with job(self.jobs, request, bar) as report_progress:
            if not tracks:
                raise ParameterError("There is nothing to add yet: choose one or more files of music first.")
            credits = Credits((licence or "").strip(), (credit or "").strip())
            try:
                paths = [Path(track) for track in tracks]
                for report in self.matching().add_each(paths, credits, report_progress, self._keep):
                    row = {"file": Path(report.path).name, "id": report.id, "status": report.status}
                    answer["errors" if report.error else "results"].append(row | {"error": report.error})
                    yield answer
            except CancelledError:
                answer["stopped"] = True
        yield answer | {"finished": True}

    def music_matching_match(
        self, video: str, top: int, text: str, request: gr.Request, bar: gr.Progress = BAR
    ) -> Answer:
        """Find the tracks of the library that fit a film, each with its best moment and why.

        Args:
            video: the film.
            top: how many to return, 1 to 20.
            text: what the music should be like, such as "calmer, no vocals"; may be empty.
            request: who asks; filled in by gradio.
            bar: shows progress; filled in by gradio.
        """
        with job(self.jobs, request, bar, counted="") as report:
            if not video:
                raise ParameterError("Choose a film first.")
            path = Path(video)
            answer = self.matching().match(path, MatchRequest(int(top), text or ""), part_of(report, 0, 2))
            found = answer.video
            return {
                "query": {
                    "title": path.stem,
                    "duration_s": found.duration_s,
                    "playable": str(self._playable(path, part_of(report, 1, 2))),
                    "cuts_s": [round(float(cut), 2) for cut in found.cuts_s],
                    "keywords": [keyword.word for keyword in found.keywords if keyword.source != "title"],
                    "speech": bool(len(found.voice)),
                },
                "results": [self._row(match) for match in answer.results],
                "not_understood": list(answer.not_understood),
                "milliseconds": {"watching": 1000 * answer.watching_s, "ranking": 1000 * answer.ranking_s},
            }

    def music_matching_lay(  # noqa: PLR0913  # gradio reads an endpoint's parameters from here
        self,
        video: str,
        track_id: str,
        start_s: float,
        mode: Mode,
        music_db: float,
        duck_db: float,
        fade_out_s: float,
        request: gr.Request,
        bar: gr.Progress = BAR,
    ) -> Answer:
        """Lay a track of the library under a film; the picture stays as it is.

        Args:
            video: the film.
            track_id: the id of the track, as match and list return it.
            start_s: where in the track to begin; below 0 for its best moment.
            mode: replace the film's sound, mix with it, or duck the music under its speech.
            music_db: how loud the music is against the film's own sound, -40 to 20.
            duck_db: how far it goes down under speech, -40 to 0.
            fade_out_s: length of the fade at the end, 0 to 30.
            request: who asks; filled in by gradio.
            bar: shows progress; filled in by gradio.
        """
        with job(self.jobs, request, bar, counted="") as report:
            if not video or not track_id:
                raise ParameterError("Choose a film and find music for it first; then choose a track.")
            config = LayConfig(mode, float(music_db), float(duck_db), fade_out_s=float(fade_out_s),
                               start_s=max(-1.0, float(start_s)))  # fmt: skip
            matching, path = self.matching(), Path(video)
            (record,) = matching.library.fetch([track_id])
            kind = path.suffix.lower() if path.suffix.lower() in (".mp4", ".mov", ".mkv") else ".mkv"
            out = request_folder(self.settings).resolve() / f"{path.stem} with {record.title[:60]}{kind}"
            laid = matching.lay(path, Path(record.path), out.with_name(out.name.replace("/", "-")), config, report)
            told = asdict(laid)
            told["file"] = told.pop("out")
            return told | {"title": record.title, "licence": record.attributes["licence"], "track_id": track_id}

    def music_matching_list(self, text: str, limit: int) -> Answer:
        """List the library, newest first.

        Args:
            text: only tracks whose title, licence, credit or keywords hold this text; all when empty.
            limit: how many to return.
        """
        with readable_errors():
            records, wanted = self.matching().library.records(), (text or "").strip().lower()
            names = ("licence", "credit", "keywords")
            rows = [
                {
                    "id": record.id,
                    "title": record.title,
                    "duration_s": record.duration_s,
                    "tempo_bpm": float(record.attributes.get("tempo_bpm", 0)),
                    **{name: record.attributes.get(name, "") for name in names},
                }
                for record in records
            ]
            found = [row for row in rows if wanted in " ".join(str(row[n]) for n in ("title", *names)).lower()]
            return {"total": len(found), "results": found[: int(limit)]}

    def music_matching_remove(self, track_id: str) -> Answer:
        """Remove one track from the library, with the copy that was kept of it.

        Args:
            track_id: the id of the track.
        """
        with readable_errors():
            self.matching().remove([track_id])
            for path in Path(self.settings.files).resolve().glob(f"{track_id}.*"):
                path.unlink(missing_ok=True)
            return {"results": [{"id": track_id}]}

    def music_matching_cancel(self, request: gr.Request) -> Answer:
        """Stop your running jobs with music; what they finished before is kept."""
        return {"stopped": self.jobs.cancel(request.session_hash)}

    def _keep(self, path: Path, track_id: str) -> Path:
        """Copy an upload to where it stays, written beside and renamed."""
        kept = Path(self.settings.files).resolve() / f"{track_id}{path.suffix.lower()}"
        if not kept.exists():
            kept.parent.mkdir(parents=True, exist_ok=True)
            with written_whole(kept) as part:
                shutil.copyfile(path, part)
        return kept

    def _playable(self, path: Path, report: Progress) -> Path:
        """The film in a form that browsers play: itself, or a copy made for this request."""
        if browser_playable(probe(path)):
            return path
        copy = request_folder(self.settings).resolve() / f"{path.stem}.mp4"
        write_preview(path, copy, report)
        return copy

    def _row(self, match: MusicMatch) -> Answer:
        row = asdict(match)
        row["playable"] = row.pop("path")  # gradio's client takes whatever has a "path" for a file to download
        (track,) = (stored for stored in self.matching().tracks() if stored.record.id == match.id)
        energy = track.features.rhythm.energy_db
        edges = [round(index * len(energy) / WAVE_BARS) for index in range(WAVE_BARS + 1)]
        bars = [energy[min(a, len(energy) - 1) : max(a + 1, b)].mean() for a, b in pairwise(edges)]
        row["wave"] = [round(min(1.0, max(0.04, 1 + float(bar) / 50)), 2) for bar in bars]
        return row
