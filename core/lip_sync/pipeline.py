"""From a face and speech to a film in which the mouth says that speech (METHODS 4).

    inspect   the film's faces, how its own sound goes with them, and how long a render will take
    sync      new mouths for the chosen faces, laid into the film, with the speech as its sound

The job has three stages, each of which reads the film from start to end: faces are followed (`following`), mouths are
made (`new_mouths`), and the film is written (`new_film`). Faces are kept by the film's content. Mouths are kept by the
job until it is done, so that a job that was stopped goes on.
"""

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from filelock import FileLock, Timeout

from core.digest import key_of, sha256_of
from core.errors import ParameterError
from core.lip_sync.config import SyncConfig
from core.lip_sync.faces import FaceFinder
from core.lip_sync.following import follow_faces
from core.lip_sync.generator import MouthNetwork
from core.lip_sync.job import Job, check_drawn, timelines
from core.lip_sync.network import load_network
from core.lip_sync.new_film import Laying, measured, write_film
from core.lip_sync.new_mouths import make_mouths
from core.lip_sync.own_sound import OwnSound
from core.lip_sync.pace import Pace
from core.lip_sync.remembering import MouthStore, remembered_tracks
from core.lip_sync.request import DrawnMouth, SyncRequest, chosen_tracks
from core.lip_sync.results import FaceSummary, Inspection, LipSyncResult
from core.lip_sync.speech import DrivingSpeech
from core.lip_sync.tracks import FaceTracks, with_drawn_mouths
from core.media import probe
from core.media.info import MediaInfo
from core.runtime import Progress, part_of, silent
from core.weights import fingerprint

__all__ = ["DrawnMouth", "LipSync", "SyncRequest"]

_VERSION = 1
"""Of how mouths are made and kept; another one makes those of stopped jobs anew."""
_SUFFIXES = (".mp4", ".mov", ".m4v", ".mkv")
_STAGES = 3


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
        finder: opens what finds the faces of a picture.
        pace: how long mouths are expected to take; None: as on two cores.
    """

    def __init__(
        self,
        config: SyncConfig | None = None,
        cache: Path | None = None,
        network: MouthNetwork | None = None,
        finder: Callable[[], FaceFinder] = FaceFinder,
        pace: Pace | None = None,
    ) -> None:
        self.config, self.cache, self.pace = config or SyncConfig(), cache, pace or Pace()
        self._given, self._finder = network, finder

    @cached_property
    def _network(self) -> MouthNetwork:
        return self._given or load_network()

    def inspect(self, path: str | Path, progress: Progress = silent) -> Inspection:
        """Follow the faces of a film, and measure how its own sound goes with the one that is there longest.

        Raises:
            MediaError: it cannot be read.
            CancelledError: ``progress`` says so.
        """
        info = probe(path, self.config.limits)
        with self._folder() as folder:
            faces = self._faces(path, folder, progress)
        own = OwnSound.of(info, faces, lambda: self._network, self.config.limits)
        return _inspection(info, faces, self.pace, own)

    def sync(self, request: SyncRequest, out: str | Path, progress: Progress = silent) -> LipSyncResult:
        """Write the film in which the chosen faces say the speech.

        Pictures without a chosen face, and mouths that something covers, are passed through. The film keeps its size,
        its rate and the times of its pictures; its sound becomes the speech, in the format of its own soundtrack where
        it has one.

        Raises:
            WeightsError: the network's weights are missing or wrong.
            MediaError: a file cannot be read.
            NoFaceError: there is no face to speak.
            ParameterError: a chosen face does not exist, a drawn mouth lies outside the film, or ``out`` has a suffix
                that is no film's, or lies in no folder.
            CancelledError: ``progress`` says so; what was finished is kept where there is a cache.
        """
        begin, clock = time.perf_counter(), _Clock()
        _check_out(Path(out))
        network, info = self._network, probe(request.face, self.config.limits)
        check_drawn(request.drawn, info)
        with self._folder() as folder:
            with clock.stage("faces"):
                faces = self._faces(request.face, folder, part_of(progress, 0, _STAGES))
            with clock.stage("speech"):
                job = self._job(request, info, faces)
            with self._store(job, folder) as store:
                with clock.stage("mouths"):
                    make_mouths(job, network, self.config, store, part_of(progress, 1, _STAGES))
                with clock.stage("film"):
                    laid = write_film(job, self.config, store, Path(out), part_of(progress, 2, _STAGES))
                with clock.stage("measuring"):
                    reading = measured(job, network.features, store)
        progress(_STAGES, _STAGES, Path(out).name)
        offset, confidence = (reading.av_offset_frames, reading.confidence) if reading else (None, 0.0)
        taken_s = round(time.perf_counter() - begin, 3)
        return _result(str(out), job, laid, (offset, confidence), (taken_s, clock.stages_s))

    @contextmanager
    def _folder(self) -> Iterator[Path]:
        with ExitStack() as stack:
            yield self.cache or Path(stack.enter_context(tempfile.TemporaryDirectory()))

    def _faces(self, path: str | Path, folder: Path, progress: Progress) -> FaceTracks:
        def follow() -> FaceTracks:
            with self._finder() as finder:
                return follow_faces(path, finder, self.config.follow, progress, self.config.limits)

        return remembered_tracks(folder, path, self.config.follow, follow)

    def _job(self, request: SyncRequest, info: MediaInfo, faces: FaceTracks) -> Job:
        faces = with_drawn_mouths(faces, request.drawn)
        tracks = chosen_tracks(faces, request, info.path.name)
        config = self.config
        heard = {file: DrivingSpeech.of_file(file, config.silence_gate, config.limits) for file in request.recordings}
        speeches = {track.number: heard[request.said_by(track.number)] for track in tracks}
        longest_s = max(speech.duration_s for speech in heard.values())
        return Job(request, faces, tracks, speeches, *timelines(info, faces, longest_s, request, config))

    @contextmanager
    def _store(self, job: Job, folder: Path) -> Iterator[MouthStore]:
        """Where the job's mouths are kept, until it is done; apart, while the very same job is being done elsewhere."""
        place = folder / self._name_of(job)
        lock = FileLock(place.with_suffix(".lock"), timeout=0)
        with ExitStack() as stack:
            try:
                stack.enter_context(lock)
                stack.callback(place.with_suffix(".lock").unlink, missing_ok=True)
            except Timeout:
                place = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=folder)))
            yield MouthStore(place)
            shutil.rmtree(place, ignore_errors=True)

    def _name_of(self, job: Job) -> str:
        """Stands for all that the mouths of a job depend on."""
        config, request = self.config, job.request
        contents = {file: sha256_of(file) for file in (request.face, *request.recordings)}
        said = [(track.number, contents[request.said_by(track.number)]) for track in job.tracks]
        how = (config.finish.padding, config.openness, config.silence_gate, config.follow, fingerprint(self._network))
        key = key_of(_VERSION, contents[request.face], said, request.drawn, job.plan, how)
        return f"job-{key}"


def _check_out(out: Path) -> None:
    if out.suffix.lower() not in _SUFFIXES:
        raise ParameterError(f"{out.suffix!r} is no film's suffix; write to {', '.join(_SUFFIXES)}.")
    if not out.parent.is_dir():
        raise ParameterError(f"The folder {out.parent} does not exist; create it, or write elsewhere.")


def _result(
    out: str, job: Job, laid: Laying, read: tuple[int | None, float], taken: tuple[float, dict[str, float]]
) -> LipSyncResult:
    return LipSyncResult(
        out=out,
        duration_s=float(job.shown.end_s),
        frame_count=len(job.shown.shown),
        frames_changed=len(laid.changed),
        frames_without_face=tuple(laid.without_face),
        av_offset_frames=read[0],
        sync_confidence=read[1],
        seconds_taken=taken[0],
        stages_s=taken[1],
        frames_covered=tuple(laid.covered),
        cuts=job.cuts,
        faces=tuple(track.number for track in job.tracks),
    )


def _inspection(info: MediaInfo, faces: FaceTracks, pace: Pace, own: OwnSound) -> Inspection:
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
        seconds_a_second=round(pace.a_second(info), 2),
        estimate_s=0.0 if info.is_still else round(pace.picture_s(info) * faces.frame_count, 1),
        av_offset_frames=own.reading.av_offset_frames if own.reading else None,
        sync_confidence=own.reading.confidence if own.reading else 0.0,
        sync_unmeasured=own.unmeasured,
    )
