"""The third stage: the film is read and written once, each kept mouth laid into its picture."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import numpy as np

from core.lip_sync.assessment import reading_of
from core.lip_sync.config import SyncConfig
from core.lip_sync.crops import crop_matrix
from core.lip_sync.faces import Picture
from core.lip_sync.finish import FinishConfig, paste
from core.lip_sync.job import Job
from core.lip_sync.metrics import SyncReading
from core.lip_sync.model import FeatureExtraction
from core.lip_sync.remembering import KeptMouths, MouthStore
from core.lip_sync.request import provenance
from core.lip_sync.sound import FRAME_RATE
from core.lip_sync.soundtrack import soundtrack
from core.media import Rewriting, rewrite_video
from core.runtime import Progress

_READ_S = 20
_LEAST_READ = 25


@dataclass
class Laying:
    """Lays mouths into the pictures of a job, which come in order, and counts.

    Attributes:
        job: see `Job`.
        finish: how.
        mouths: those that were made.
        changed: the numbers of the pictures with a new mouth.
        without_face: of those without a chosen face.
        covered: of those in which a mouth was left as it is.
    """

    job: Job
    finish: FinishConfig
    mouths: KeptMouths
    changed: list[int] = field(default_factory=list)
    without_face: list[int] = field(default_factory=list)
    covered: list[int] = field(default_factory=list)

    def change(self, frame: int, pixels: Picture) -> Picture:
        """A picture with its new mouths; the very same where there are none."""
        faces, mouths = self.job.faces_at(frame), self.mouths.at(frame)
        new = {number: mouth for number, mouth in mouths.items() if mouth is not None}
        for number, mouth in sorted(new.items()):
            face = faces[number]
            pixels = paste(pixels, mouth, crop_matrix(face, self.finish.padding), face, self.finish)
        self.changed += [frame] if new else []
        self.covered += [frame] if len(new) < len(mouths) else []
        self.without_face += [] if faces else [frame]
        return pixels


def write_film(job: Job, config: SyncConfig, store: MouthStore, out: Path, progress: Progress) -> Laying:
    """Write the film, whole or not at all, and say what was changed.

    Raises:
        MediaError: a file cannot be read or written.
        CancelledError: ``progress`` says so.
    """
    laying = Laying(job, config.finish, store.in_order())
    sound = soundtrack(job.request.recordings, config.limits)
    how = Rewriting(job.shown, sound, provenance(job.request), limits=config.limits)
    rewrite_video(job.request.face, out, laying.change, how, progress)
    return laying


def measured(job: Job, features: FeatureExtraction, store: MouthStore) -> SyncReading | None:
    """How sight and sound go together in the longest run of the face that speaks longest, over twenty seconds at most.

    None where that is less than a second.
    """
    frames = {track.number: store.frames_of(track.number) for track in job.tracks}
    number = max(frames, key=lambda face: len(frames[face]))
    run = _longest_run([int(frame) for frame in frames[number] if frame < len(job.shown.shown)], job)
    times = [job.middle_s(frame) for frame in run]
    times = [time_s for time_s in times if time_s <= times[0] + _READ_S]
    count = int((times[-1] - times[0]) * FRAME_RATE) + 1 if times else 0
    if count < _LEAST_READ:
        return None
    wanted = [times[0] + n / FRAME_RATE for n in range(count)]
    exact = np.array([float(time_s) for time_s in times])
    nearest = [int(np.abs(exact - float(time_s)).argmin()) for time_s in wanted]
    kept = store.in_order()
    mouths = [cast(Picture, kept.at(frame)[number]) for frame in run[: len(times)]]
    return reading_of(features, np.stack([mouths[n] for n in nearest]), job.speeches[number].windows(wanted))


def _longest_run(frames: list[int], job: Job) -> list[int]:
    """The longest stretch of pictures that go on from one another."""
    longest, begin = range(0), 0
    for n, frame in enumerate(frames):
        if n and (frame != frames[n - 1] + 1 or not job.follows(frame)):
            begin = n
        if n + 1 - begin > len(longest):
            longest = range(begin, n + 1)
    return [frames[n] for n in longest]
