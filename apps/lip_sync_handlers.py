"""What the events of the lip-sync tab call; all of it is plain data, so that programs can call it too."""

import shutil
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from math import isfinite
from pathlib import Path
from typing import Any

import gradio as gr

from apps.feedback import job, readable_errors
from apps.runtime import OUTPUT_AGE_S, STILL_SIDE_PX, AppSettings, Jobs, Once, playable, request_folder
from core.errors import ParameterError, WeightsError
from core.lip_sync import LipSync, SyncConfig, SyncRequest
from core.lip_sync.finish import FinishConfig
from core.lip_sync.generator import MouthNetwork
from core.lip_sync.lengths import LengthPolicy
from core.lip_sync.network import load_network
from core.lip_sync.pace import Pace
from core.lip_sync.results import FaceSummary
from core.lip_sync.speaking import Voices
from core.lip_sync.voices import VoiceConfig
from core.media import AudioClip, jpeg, limits_from_environment, probe, thumbnail, write_audio
from core.runtime import Progress, part_of

Answer = dict[str, Any]
BAR = gr.Progress()
_CACHE = "lip-sync"
_FILMS = (".mp4", ".mov", ".mkv")


class Handlers:
    """What the tab's events call.

    The names of the methods that begin with lip_sync are the names of the endpoints and of the MCP tools.
    """

    def __init__(self, settings: AppSettings) -> None:
        self.settings, self.jobs, self.pace = settings, Jobs(), Pace()
        self.limits = replace(limits_from_environment(), allowed_roots=())  # gradio admits only what was uploaded
        self.network, self.voices = Once(lambda: load_network()), Voices()

    def lip_sync_inspect(self, face: str, request: gr.Request, bar: gr.Progress = BAR) -> Answer:
        """Find and follow the faces of a film or picture: who is seen when, and how long a render will take.

        Where the film has sound and the network is trained, it also tells how the sound goes with the mouths.

        Args:
            face: the film, animation or picture.
            request: who asks; filled in by gradio.
            bar: shows progress; filled in by gradio.
        """
        with job(self.jobs, request, bar, counted="") as report:
            path, begin = _chosen(face), time.perf_counter()
            config = SyncConfig(limits=self.limits)
            found = LipSync(config, self._cache(), self._trained(), pace=self.pace).inspect(path, report)
            info, folder = probe(path), request_folder(self.settings).resolve()
            times = found.frame_count, found.duration_s
            return {
                "title": path.stem,
                "results": [_face_row(one, folder) for one in found.faces],
                "still": info.is_still,
                "size_px": [info.width, info.height],
                "duration_s": found.duration_s,
                "frame_rate": found.frame_rate,
                "frame_count": found.frame_count,
                "frames_without_face": list(found.frames_without_face),
                "without_face_s": spans_s(found.frames_without_face, *times),
                "cuts_s": [spans_s([cut], *times)[0][0] for cut in found.cuts],
                "seconds_a_second": found.seconds_a_second,
                "estimate_s": found.estimate_s,
                "av_offset_frames": found.av_offset_frames,
                "sync_confidence": found.sync_confidence,
                "sync_unmeasured": found.sync_unmeasured,
                "seconds_taken": round(time.perf_counter() - begin, 3),
            }

    def lip_sync_sync(  # noqa: PLR0913  # gradio reads an endpoint's parameters from here
        self,
        face: str,
        speech: str,
        consent: bool,
        faces: list[int],
        speakers: dict[str, int],
        mouths: list[list[float]],
        seconds: float,
        length: LengthPolicy,
        openness: float,
        silence_gate: bool,
        padding: float,
        mask_size: float,
        feather: float,
        request: gr.Request,
        others: list[str] | None = None,
        bar: gr.Progress = BAR,
    ) -> Answer:
        """Let a face say a recording: the mouth is made anew, and the recording becomes the film's sound.

        Args:
            face: the film, animation or picture.
            speech: the recording.
            consent: true when you may use this face and this voice; nothing is made without it.
            faces: ids of the faces that say the speech, as inspect gives them; empty: the largest of every shot.
            speakers: face id to the number of its recording among the others, from 0; may be empty.
            mouths: mouths drawn where no face is found, each [frame, left, top, right, bottom] in pixels; may be empty.
            seconds: only so much of the beginning, for a test; 0: all.
            length: what a film shorter than the speech does: loop, ping_pong, hold; trim: the speech is cut.
            openness: how wide the mouth opens, 0.2 to 1.5; 1: as it was learnt.
            silence_gate: shut the mouth where nobody speaks.
            padding: how much more than mouth and chin is looked at, -0.25 to 1.
            mask_size: size of the region that changes, 0.5 to 1.5.
            feather: width of its soft edge, 0.01 to 0.3.
            request: who asks; filled in by gradio.
            others: recordings for single faces; none when left out.
            bar: shows progress; filled in by gradio.
        """
        with job(self.jobs, request, bar, counted="") as report:
            finish = FinishConfig(padding=float(padding), mask_size=float(mask_size), feather=float(feather))
            config = SyncConfig(length, float(openness), bool(silence_gate), finish=finish, limits=self.limits)
            wanted = SyncRequest(
                _chosen(face),
                _said(speech),
                _ids(faces),
                _drawn(mouths),
                _seconds(seconds),
                _speakers(speakers, others),
            )
            _agreed(consent)
            return self._made(wanted, config, report)

    def lip_sync_say(  # noqa: PLR0913  # gradio reads an endpoint's parameters from here
        self,
        face: str,
        text: str,
        consent: bool,
        language: str,
        variant: str,
        rate_wpm: int,
        pitch: int,
        faces: list[int],
        speakers: dict[str, int],
        mouths: list[list[float]],
        seconds: float,
        length: LengthPolicy,
        openness: float,
        silence_gate: bool,
        padding: float,
        mask_size: float,
        feather: float,
        request: gr.Request,
        others: list[str] | None = None,
        bar: gr.Progress = BAR,
    ) -> Answer:
        """Let a face say a text, which the voice of the profile speaks; all else is as in sync.

        Args:
            face: the film, animation or picture.
            text: what to say, at most 5,000 characters.
            consent: true when you may use this face; nothing is made without it.
            language: its code, as voices gives it.
            variant: one of the variants that voices gives; empty: the plain voice.
            rate_wpm: how fast, 80 to 450 words a minute.
            pitch: how high, 0 to 99; 50 is the voice's own, and the only one of a neural voice.
            faces: ids of the faces that say the text, as inspect gives them; empty: the largest of every shot.
            speakers: face id to the number of its recording among the others, from 0; may be empty.
            mouths: mouths drawn where no face is found, each [frame, left, top, right, bottom] in pixels; may be empty.
            seconds: only so much of the beginning, for a test; 0: all.
            length: what a film shorter than the speech does: loop, ping_pong, hold; trim: the speech is cut.
            openness: how wide the mouth opens, 0.2 to 1.5; 1: as it was learnt.
            silence_gate: shut the mouth where nobody speaks.
            padding: how much more than mouth and chin is looked at, -0.25 to 1.
            mask_size: size of the region that changes, 0.5 to 1.5.
            feather: width of its soft edge, 0.01 to 0.3.
            request: who asks; filled in by gradio.
            others: recordings for single faces; none when left out.
            bar: shows progress; filled in by gradio.
        """
        with readable_errors():
            _chosen(face)
            _agreed(consent)
            spoken = self.lip_sync_speak(text, language, variant, rate_wpm, pitch)
        rest = (faces, speakers, mouths, seconds, length, openness, silence_gate, padding, mask_size, feather)
        made = self.lip_sync_sync(face, spoken["file"], consent, *rest, request, others, bar)
        return made | {"voice": spoken["voice"]}

    def lip_sync_speak(self, text: str, language: str, variant: str, rate_wpm: int, pitch: int) -> Answer:
        """Speak a text with the voice of the profile, to hear it before a face says it: the very same sound.

        Args:
            text: what to say, at most 5,000 characters.
            language: its code, as voices gives it.
            variant: one of the variants that voices gives; empty: the plain voice.
            rate_wpm: how fast, 80 to 450 words a minute.
            pitch: how high, 0 to 99; 50 is the voice's own, and the only one of a neural voice.
        """
        with readable_errors():
            if not (text or "").strip():
                raise ParameterError("There is nothing to say yet: write a text first.")
            spoken = self.voices.speak(text, VoiceConfig(language or "", variant or "", int(rate_wpm), int(pitch)))
            file = request_folder(self.settings).resolve() / "speech.wav"
            write_audio(file, AudioClip(spoken.wave[:, None], spoken.sample_rate))
            seconds = len(spoken.wave) / spoken.sample_rate
            return {"file": str(file), "duration_s": round(seconds, 3), "voice": spoken.voice}

    def lip_sync_voices(self) -> Answer:
        """List the languages that texts are spoken in, who speaks each, and the variants of the voice."""
        with readable_errors():
            rows = [{"id": code, "name": name, "voice": who} for code, name, who in self.voices.languages()]
            return {"results": rows, "variants": list(self.voices.variants())}

    def lip_sync_cancel(self, request: gr.Request) -> Answer:
        """Stop your running jobs; the faces and mouths they had finished are used again by the next one."""
        return {"stopped": self.jobs.cancel(request.session_hash)}

    def player(self, face: str, request: gr.Request, bar: gr.Progress) -> str:
        """What shows a film or picture in a browser."""
        with job(self.jobs, request, bar, counted="") as report:
            return str(playable(Path(face), self.settings, report)) if face else ""

    def picture(self, face: str, at_s: float) -> Answer:
        """The picture that a film shows at a time, to draw a mouth in, with its number and the size of the film."""
        with readable_errors():
            info = probe(_chosen(face))
            last = 0 if info.is_still else max(0, round(info.duration_s * info.frame_rate) - 1)
            frame = min(last, max(0, int((at_s or 0) * float(info.frame_rate) + 1e-6)))
            at = None if info.is_still else frame / info.frame_rate
            file = request_folder(self.settings).resolve() / f"picture-{frame}.jpg"
            file.write_bytes(thumbnail(info.path, STILL_SIDE_PX, at))
            told = {"picture": str(file), "frame": frame, "at_s": float(at or 0)}
            return told | {"size_px": [info.width, info.height], "frame_rate": float(info.frame_rate)}

    def _trained(self) -> MouthNetwork | None:
        """The network; None where it cannot be had, which inspecting tells and outlives."""
        try:
            return self.network()
        except WeightsError:
            return None

    def _made(self, wanted: SyncRequest, config: SyncConfig, report: Progress) -> Answer:
        info, cache = probe(wanted.face), self._cache()
        suffix = wanted.face.suffix.lower()
        name = f"{wanted.face.stem[:60]} speaking{suffix if suffix in _FILMS else '.mp4'}"
        out = request_folder(self.settings).resolve() / name
        known = set(cache.iterdir())
        made = LipSync(config, cache, self.network()).sync(wanted, out, part_of(report, 0, 2))
        if set(cache.iterdir()) - known:  # otherwise the mouths of an earlier job were used again
            self.pace.learn(made, info)
        shown = playable(out, self.settings, part_of(report, 1, 2))
        before = playable(wanted.face, self.settings, part_of(report, 1, 2))
        told = asdict(made)
        told["file"] = told.pop("out")  # gradio's client takes whatever has a "path" for a file to download
        for listed, spans in (("frames_without_face", "passed_through_s"), ("frames_covered", "covered_s")):
            told[spans] = spans_s(told[listed], made.frame_count, made.duration_s)
        left = {"title": "With the new speech", "playable": str(shown), "duration_s": made.duration_s}
        right = {"title": "Before", "playable": str(before), "duration_s": float(info.duration_s)}
        return told | {"title": name, "still": info.is_still, "after": left, "before": right}

    def _cache(self) -> Path:
        """The folder of what lip-sync may use again, without what nobody has used for long."""
        folder = Path(self.settings.output).resolve() / _CACHE
        folder.mkdir(parents=True, exist_ok=True)
        folder.touch()  # `request_folder` deletes what is old
        for entry in folder.iterdir():
            with _whoever_comes_first():
                if time.time() - entry.stat().st_mtime > OUTPUT_AGE_S:
                    shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        return folder


def _face_row(face: FaceSummary, folder: Path) -> Answer:
    """A face as plain data, its picture written into a folder."""
    row: Answer = {name: value for name, value in asdict(face).items() if name != "thumbnail"} | {"picture": ""}
    if face.thumbnail is not None:
        picture = folder / f"face-{face.id}.jpg"
        picture.write_bytes(jpeg(face.thumbnail))
        row["picture"] = str(picture)
    return row


def spans_s(frames: Iterable[int], frame_count: int, duration_s: float) -> list[list[float]]:
    """From numbers of pictures, ascending, to spans of time, in a film whose pictures are evenly spaced.

    >>> spans_s([0, 1, 2, 10], 20, 2.0)
    [[0.0, 0.3], [1.0, 1.1]]
    """
    runs: list[list[int]] = []
    for frame in frames:
        if runs and runs[-1][1] == frame:
            runs[-1][1] = frame + 1
        else:
            runs.append([frame, frame + 1])
    step_s = duration_s / max(1, frame_count)
    return [[round(first * step_s, 2), round(stop * step_s, 2)] for first, stop in runs]


@contextmanager
def _whoever_comes_first() -> Iterator[None]:
    """Two requests may delete the same file at once; the second one finds nothing."""
    try:
        yield
    except FileNotFoundError:
        return


def _chosen(face: str) -> Path:
    if not face:
        raise ParameterError("There is no face yet: choose a film or a picture first.")
    return Path(face)


def _said(speech: str) -> Path:
    if not speech:
        raise ParameterError("There is nothing to say yet: record or upload speech, or write a text.")
    return Path(speech)


def _agreed(consent: bool) -> None:
    if consent is not True:
        raise ParameterError(
            "Nothing is made without consent: tick the box that says that you may use this face and this voice, "
            "or give consent as true."
        )


def _ids(faces: Sequence[int] | None) -> tuple[int, ...] | None:
    try:
        return tuple(sorted({int(face) for face in faces or ()})) or None
    except (TypeError, ValueError) as error:
        raise ParameterError(f"The faces {faces!r} are not understood; give a list of ids, such as [0, 2].") from error


def _seconds(seconds: float) -> float | None:
    if not (isfinite(seconds or 0) and (seconds or 0) >= 0):
        raise ParameterError(f"The test lasts {seconds} s; give a number above zero, or 0 for the whole film.")
    return float(seconds) if seconds else None


def _speakers(speakers: dict[str, int] | None, others: Sequence[str] | None) -> dict[int, Path]:
    recordings = [Path(other) for other in others or ()]
    try:
        wanted = {int(face): int(number) for face, number in (speakers or {}).items()}
    except (AttributeError, TypeError, ValueError) as error:
        raise ParameterError(f'The speakers {speakers!r} are not understood; give {{"face": recording}}.') from error
    for face, number in wanted.items():
        if not 0 <= number < len(recordings):
            raise ParameterError(
                f"Face {face} is to say recording {number} of the others, of which there are {len(recordings)}; "
                "add it, or choose another."
            )
    return {face: recordings[number] for face, number in wanted.items()}


def _drawn(mouths: Sequence[Sequence[float]] | None) -> tuple[tuple[int, tuple[float, float, float, float]], ...]:
    rows = []
    for mouth in mouths or ():
        try:
            frame, left, top, right, bottom = (float(number) for number in mouth)
        except (TypeError, ValueError) as error:
            raise ParameterError(
                f"The mouth {mouth!r} is not understood; give [frame, left, top, right, bottom] in pixels."
            ) from error
        rows.append((int(frame), (left, top, right, bottom)))
    return tuple(rows)
