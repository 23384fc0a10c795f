"""What lip-sync answers."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class FaceSummary:
    """A face that was followed.

    Attributes:
        id: the number by which it is chosen.
        start_s: when it appears.
        end_s: when it is last seen.
        width_px: its mean width.
        thumbnail: uint8 (S, S, 3), or None.
    """

    id: int
    start_s: float
    end_s: float
    width_px: float
    thumbnail: NDArray[np.uint8] | None


@dataclass(frozen=True)
class Inspection:
    """What is known of a film before anybody speaks in it.

    Attributes:
        path: the film.
        duration_s: of the film; 0 for a still picture.
        frame_rate: pictures a second; 0 for a still picture.
        frame_count: its pictures.
        faces: in the order in which they appear.
        frames_without_face: numbers of pictures in which none was found.
        cuts: numbers of the pictures with which a new shot begins.
        seconds_a_second: how long a render is expected to take for each second of the new film, where one face speaks.
        estimate_s: the same for a film as long as this one; 0 for a still picture.
        av_offset_frames: of the film's own sound against its own mouths, as in `LipSyncResult`; None where it was not
            measured.
        sync_confidence: how sure that is.
        sync_unmeasured: why there is no offset, as a sentence; empty where there is one.
    """

    path: str
    duration_s: float
    frame_rate: float
    frame_count: int
    faces: tuple[FaceSummary, ...]
    frames_without_face: tuple[int, ...]
    cuts: tuple[int, ...]
    seconds_a_second: float
    estimate_s: float
    av_offset_frames: int | None = None
    sync_confidence: float = 0.0
    sync_unmeasured: str = ""


@dataclass(frozen=True)
class LipSyncResult:
    """A film in which somebody says something else.

    Attributes:
        out: the file.
        duration_s: of the film.
        frame_count: pictures written.
        frames_changed: of these, with a new mouth.
        frames_without_face: numbers of written pictures in which no chosen face is; they were passed through.
        av_offset_frames: what is seen in frame n of the new mouths is heard in frame n + offset, at 25 frames a second;
            None where there is too little to tell.
        sync_confidence: how sure that is; see `core.lip_sync.metrics.SyncReading`.
        seconds_taken: by the clock, of the whole job.
        stages_s: the same by stage.
        frames_covered: numbers of written pictures in which the mouth of a chosen face is covered, by a hand or a
            microphone, and was left as it is.
        cuts: numbers of written pictures with which something else begins: a shot, or the film once more.
        faces: numbers of the faces that speak.
    """

    out: str
    duration_s: float
    frame_count: int
    frames_changed: int
    frames_without_face: tuple[int, ...]
    av_offset_frames: int | None
    sync_confidence: float
    seconds_taken: float
    stages_s: dict[str, float]
    frames_covered: tuple[int, ...] = ()
    cuts: tuple[int, ...] = ()
    faces: tuple[int, ...] = ()
