"""From a face and speech to a film in which the mouth says that speech (METHODS 4).

    inspect   the film's faces, before anything is decided
    sync      new mouths for the chosen faces, laid into the film, with the speech as its sound

The job has three stages, each of which reads the film once from start to end: faces are followed, mouths are made, and
the film is written. Faces are kept by the film's content, mouths by the job, so that a job that was stopped goes on.
"""

import json
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.errors import NoFaceError, ParameterError
from core.lip_sync.assessment import reading_of
from core.lip_sync.config import SyncConfig
from core.lip_sync.crops import crop_matrix
from core.lip_sync.faces import FaceFinder, Picture
from core.lip_sync.finish import paste
from core.lip_sync.following import follow_faces
from core.lip_sync.generator import MouthNetwork
from core.lip_sync.lengths import still_timeline, timeline
from core.lip_sync.metrics import SyncReading
from core.lip_sync.mouths import MouthMaker, Place, Reference, place
from core.lip_sync.network import load_network
from core.lip_sync.remembering import MouthStore, content_hash, key_of, remembered_tracks
from core.lip_sync.results import FaceSummary, Inspection, LipSyncResult
from core.lip_sync.sound import FRAME_RATE
from core.lip_sync.speech import DrivingSpeech
from core.lip_sync.tracks import FaceTrack, FaceTracks, with_drawn_mouths
from core.media import AudioRequest, Rewriting, Timeline, VideoReader, pictures_of, probe, rewrite_video, stream_audio
from core.media.info import MediaInfo
from core.runtime import Progress, part_of, silent

DrawnMouth = tuple[int, tuple[float, float, float, float]]
_READ_S = 20
_LEAST_READ = 25
_CONTEXT_FRAMES = 16


@dataclass(frozen=True)
class SyncRequest:
    """Who is to say what.

    Attributes:
        face: a film, an animation or a picture.
        speech: a file with sound.
        faces: numbers of the faces that speak, as `inspect` gives them; None: the largest one of every shot.
        drawn: mouths that somebody drew, a frame and (left, top, right, bottom) in pixels, where no face is found.
        seconds: of the beginning alone, for a test; None: all.
    """

    face: Path
    speech: Path
    faces: tuple[int, ...] | None = None
    drawn: tuple[DrawnMouth, ...] = ()
    seconds: float | None = None


@dataclass
class _Clock:
    """Seconds taken by each stage."""

    stages_s: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        begin = time.perf_counter()
        yield
        self.stages_s[name] = round(time.perf_counter() - begin, 3)


class LipSync:
    """Makes faces speak.

    Args:
        config: how.
        cache: folder for what may be used again; None: a temporary one for each job.
        network: makes the mouths; None: the trained one, which is loaded when it is first needed.
    """

    def __init__(
        self, config: SyncConfig | None = None, cache: Path | None = None, network: MouthNetwork | None = None
    ) -> None:
        self.config, self.cache = config or SyncConfig(), cache
        self._given = network

    @cached_property
    def _network(self) -> MouthNetwork:
        return self._given or load_network()

    def inspect(self, path: str | Path, progress: Progress = silent) -> Inspection:
        """Follow the faces of a film.

        Raises:
            MediaError: it cannot be read.
            CancelledError: ``progress`` says so.
        """
        info = probe(path, self.config.limits)
        with self._folder() as folder:
            faces = self._faces(path, folder, progress)
        return _inspection(info, faces)

    def sync(self, request: SyncRequest, out: str | Path, progress: Progress = silent) -> LipSyncResult:
        """Write the film in which the chosen faces say the speech.

        Pictures without a chosen face are passed through. The film keeps its size, its rate and the times of its
        pictures; its sound becomes the speech, in the format of its own soundtrack where it has one.

        Raises:
            WeightsError: the network's weights are missing or wrong.
            MediaError: a file cannot be read.
            NoFaceError: there is no face to speak.
            ParameterError: a chosen face does not exist, a drawn mouth lies outside the film, or ``out`` has a suffix
                that is no film's.
            CancelledError: ``progress`` says so; what was finished is kept where there is a cache.
        """
        begin, clock = time.perf_counter(), _Clock()
        speech = DrivingSpeech.of_file(request.speech, self.config.silence_gate, self.config.limits)
        info = probe(request.face, self.config.limits)
        with self._folder() as folder:
            with clock.stage("faces"):
                faces = self._faces(request.face, folder, part_of(progress, 0, 3))
            faces = with_drawn_mouths(faces, request.drawn)
            plan = self._timeline(info, faces, speech, request.seconds)
            job = _Job(request, faces, chosen_tracks(faces, request, info), plan, speech)
            stores = {track.number: MouthStore(self._place_of(job, folder), track.number) for track in job.tracks}
            with clock.stage("mouths"):
                self._make_mouths(job, stores, part_of(progress, 1, 3))
            with clock.stage("film"):
                changed = self._write(job, stores, Path(out), part_of(progress, 2, 3))
            reading = self._reading(job, stores)
        return LipSyncResult(
            out=str(out),
            duration_s=float(plan.end_s),
            frame_count=len(plan.shown),
            frames_changed=len(changed),
            frames_without_face=tuple(n for n in range(len(plan.shown)) if n not in changed),
            av_offset_frames=reading.av_offset_frames if reading else None,
            sync_confidence=reading.confidence if reading else 0.0,
            seconds_taken=round(time.perf_counter() - begin, 3),
            stages_s=clock.stages_s,
        )

    @contextmanager
    def _folder(self) -> Iterator[Path]:
        with ExitStack() as stack:
            yield self.cache or Path(stack.enter_context(tempfile.TemporaryDirectory()))

    def _faces(self, path: str | Path, folder: Path, progress: Progress) -> FaceTracks:
        def follow() -> FaceTracks:
            with FaceFinder() as finder:
                return follow_faces(path, finder, self.config.follow, progress, self.config.limits)

        return remembered_tracks(folder, path, self.config.follow, follow)

    def _timeline(self, info: MediaInfo, faces: FaceTracks, speech: DrivingSpeech, seconds: float | None) -> Timeline:
        said_s = speech.duration_s if seconds is None else min(speech.duration_s, Fraction(seconds))
        if info.is_still:
            return still_timeline(said_s)
        end_s = info.duration_s if info.variable_frame_rate else info.nominal(info.duration_s)
        end_s = max(end_s, faces.times_s[-1] + Fraction(1, 1000))
        plan = timeline(faces.times_s, end_s, said_s, self.config.length)
        return plan if seconds is None else plan.until(Fraction(seconds))

    def _place_of(self, job: "_Job", folder: Path) -> Path:
        request, config = job.request, self.config
        contents = content_hash(request.face), content_hash(request.speech)
        return folder / f"job-{key_of(contents, request.faces, request.drawn, job.plan, config)}"

    def _make_mouths(self, job: "_Job", stores: Mapping[int, MouthStore], progress: Progress) -> None:
        """Make the mouths that the stores lack."""
        references = _references(job, self.config)
        makers = {
            number: MouthMaker(self._network, references[number], self.config.batch_frames, self.config.openness)
            for number in stores
        }
        known = {number: store.last_frame for number, store in stores.items()}
        runs: dict[int, int] = {}

        def keep(number: int, made: Iterator[tuple[int, Picture]]) -> None:
            for frame, mouth in made:
                if frame > known[number]:
                    stores[number].add(frame, mouth)

        pictures = pictures_of(job.request.face, job.plan, self.config.limits)
        for frame, (shown, pixels) in enumerate(zip(job.plan.shown, pictures, strict=True)):
            progress(frame, len(job.plan.shown), "mouths")
            faces = job.faces.faces_at(shown.source)
            for number, maker in makers.items():
                going_on = number in runs and abs(shown.source - runs[number]) <= 1
                if number in runs and (number not in faces or not going_on):
                    keep(number, maker.finish())
                    del runs[number]
                if number in faces and frame > known[number] - _CONTEXT_FRAMES:
                    keep(number, maker.add(self._placed(job, frame, pixels, number)))
                    runs[number] = shown.source
        for number, maker in makers.items():
            keep(number, maker.finish())
            stores[number].flush()

    def _placed(self, job: "_Job", frame: int, pixels: Picture, number: int) -> Place:
        face = job.faces.faces_at(job.plan.shown[frame].source)[number]
        blurred, rest = place(pixels, face, crop_matrix(face, self.config.finish.padding))
        middle_s = job.middle_s(frame)
        return Place(frame, middle_s, blurred, rest, job.speech.windows([middle_s])[0])

    def _write(self, job: "_Job", stores: Mapping[int, MouthStore], out: Path, progress: Progress) -> set[int]:
        """Write the film, and return the numbers of the pictures that were changed."""
        coming = {number: store.mouths() for number, store in stores.items()}
        waiting = {number: next(mouths, None) for number, mouths in coming.items()}
        changed: set[int] = set()

        def change(frame: int, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
            faces = job.faces.faces_at(job.plan.shown[frame].source)
            for number, mouth in waiting.items():
                if mouth is not None and mouth[0] == frame:
                    face = faces[number]
                    matrix = crop_matrix(face, self.config.finish.padding)
                    pixels = paste(pixels, mouth[1], matrix, face, self.config.finish)
                    waiting[number] = next(coming[number], None)
                    changed.add(frame)
            return pixels

        sound = stream_audio(job.request.speech, AudioRequest(), self.config.limits)
        how = Rewriting(job.plan, sound, provenance(job.request), limits=self.config.limits)
        rewrite_video(job.request.face, out, change, how, progress)
        return changed

    def _reading(self, job: "_Job", stores: Mapping[int, MouthStore]) -> SyncReading | None:
        """How sight and sound of the face that speaks longest go together, over at most twenty seconds."""
        longest = max(job.tracks, key=lambda track: len(track.boxes)).number
        frames, mouths = [], []
        for frame, mouth in stores[longest].mouths():
            frames.append(frame)
            mouths.append(mouth)
            if job.middle_s(frame) - job.middle_s(frames[0]) > _READ_S:
                break
        times = [job.middle_s(frame) for frame in frames]
        count = int((times[-1] - times[0]) * FRAME_RATE) + 1 if times else 0
        if count < _LEAST_READ:
            return None
        wanted = [times[0] + n / FRAME_RATE for n in range(count)]
        exact = np.array([float(time_s) for time_s in times])
        nearest = [int(np.abs(exact - float(time_s)).argmin()) for time_s in wanted]
        windows = job.speech.windows(wanted)
        return reading_of(self._network.features, np.stack([mouths[n] for n in nearest]), windows)


@dataclass(frozen=True)
class _Job:
    """All that is decided before mouths are made."""

    request: SyncRequest
    faces: FaceTracks
    tracks: tuple[FaceTrack, ...]
    plan: Timeline
    speech: DrivingSpeech

    def middle_s(self, frame: int) -> Fraction:
        """The middle of the time for which a picture of the new film is shown."""
        shown = self.plan.shown
        end_s = shown[frame + 1].time_s if frame + 1 < len(shown) else self.plan.end_s
        return (shown[frame].time_s + end_s) / 2


def chosen_tracks(faces: FaceTracks, request: SyncRequest, info: MediaInfo) -> tuple[FaceTrack, ...]:
    """The faces that speak: those asked for, or the largest one of every shot; drawn mouths always.

    Raises:
        NoFaceError: there is none.
        ParameterError: one that is asked for does not exist.
    """
    if not faces.tracks:
        raise NoFaceError(
            f"No face was found in {info.path.name}; give one whose face takes up an eighth of the picture, "
            "or draw a box around its mouth."
        )
    drawn = {track.number for track in faces.tracks if track.drawn}
    if request.faces is not None:
        unknown = sorted(set(request.faces) - {track.number for track in faces.tracks})
        if unknown:
            there = ", ".join(str(track.number) for track in faces.tracks)
            raise ParameterError(f"There is no face {unknown[0]} in {info.path.name}; choose from {there}.")
        wanted = set(request.faces) | drawn
        if not wanted:
            raise ParameterError("No face is chosen; choose at least one.")
        return tuple(track for track in faces.tracks if track.number in wanted)
    largest: dict[int, FaceTrack] = {}
    for track in faces.tracks:
        shot = faces.shot_of(track.start).start
        if shot not in largest or _extent(track) > _extent(largest[shot]):
            largest[shot] = track
    wanted = drawn or {track.number for track in largest.values()}
    return tuple(track for track in faces.tracks if track.number in wanted)


def _extent(track: FaceTrack) -> float:
    """The area of a face, summed over its pictures."""
    return float(np.prod(track.boxes[:, 2:] - track.boxes[:, :2], axis=1).sum())


def _references(job: _Job, config: SyncConfig) -> dict[int, Reference]:
    """For each face the picture in which its mouth is as far open as it is on the middle one of its pictures."""
    wanted: list[tuple[int, int]] = []
    for track in job.tracks:
        seen = np.flatnonzero(track.seen)
        openness = np.array([face.openness for n in seen if (face := track.face_at(track.start + int(n)))])
        middle = int(seen[np.abs(openness - np.median(openness)).argmin()])
        wanted.append((track.start + middle, track.number))
    found: dict[int, Reference] = {}
    with VideoReader(job.request.face, limits=config.limits) as reader:
        times_s = [job.faces.times_s[frame] for frame, _ in sorted(wanted)]
        for (frame, number), picture in zip(sorted(wanted), reader.frames_at(times_s), strict=True):
            face = job.faces.faces_at(frame)[number]
            found[number] = Reference.of(picture.pixels, face, config.finish.padding)
    return found


def provenance(request: SyncRequest) -> dict[str, str]:
    """What the file's metadata say of how it was made."""
    said = {"tool": "Showreel lip-sync", "changed": "mouth region", "speech": request.speech.name}
    return {
        "comment": "Made with Showreel lip-sync: the mouth was changed to say other words.",
        "showreel": json.dumps(said),
    }


def _inspection(info: MediaInfo, faces: FaceTracks) -> Inspection:
    def time_s(frame: int) -> float:
        return float(faces.times_s[min(frame, len(faces.times_s) - 1)])

    summaries = [
        FaceSummary(
            track.number,
            time_s(track.start),
            time_s(track.stop - 1),
            float((track.boxes[:, 2] - track.boxes[:, 0]).mean()),
            track.thumbnail,
        )
        for track in faces.tracks
    ]
    return Inspection(
        path=str(info.path),
        duration_s=0.0 if info.is_still else float(info.duration_s),
        frame_rate=0.0 if info.is_still else float(info.frame_rate),
        frame_count=faces.frame_count,
        faces=tuple(summaries),
        frames_without_face=faces.frames_without_face,
        cuts=faces.cuts,
    )
