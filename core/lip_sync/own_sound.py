"""How a film's own sound goes with its own mouths, measured before anything is changed."""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Self

import numpy as np

from core.errors import MediaError, WeightsError
from core.lip_sync.assessment import reading_of
from core.lip_sync.crops import crop, crop_matrix
from core.lip_sync.generator import MouthNetwork
from core.lip_sync.metrics import SyncReading
from core.lip_sync.model import FeatureExtraction
from core.lip_sync.sound import FRAME_RATE, SAMPLE_RATE
from core.lip_sync.speech import DrivingSpeech
from core.lip_sync.tracks import FaceTrack, FaceTracks
from core.media import AudioRequest, MediaLimits, VideoReader, stream_audio
from core.media.info import MediaInfo

_READ_S = Fraction(10)
_LEAST_READ = 25
_AROUND_S = 1


@dataclass(frozen=True)
class OwnSound:
    """What was measured; or why nothing was.

    Attributes:
        reading: see `core.lip_sync.metrics.SyncReading`; None where nothing was measured.
        unmeasured: the reason, as a sentence; empty where something was.
    """

    reading: SyncReading | None = None
    unmeasured: str = ""

    @classmethod
    def of(cls, info: MediaInfo, faces: FaceTracks, load: Callable[[], MouthNetwork], limits: MediaLimits) -> Self:
        """Measure the face that is there longest, over ten seconds at most, if the film has what that takes.

        A film without sound or without a face, and a network that is not trained yet, are no errors: they are told.

        Args:
            info: of the film.
            faces: of the film.
            load: hands over the network; it is called only where there is something to measure.
            limits: bounds on the file.
        """
        if info.is_still:
            return cls(unmeasured="A picture has no sound.")
        if info.audio is None:
            return cls(unmeasured="The film has no sound.")
        if not faces.tracks:
            return cls(unmeasured="No face was found.")
        track = max(faces.tracks, key=lambda one: one.stop - one.start)
        times_s = _times_s(faces, track)
        if len(times_s) < _LEAST_READ:
            return cls(unmeasured="No face is there for a second.")
        try:
            return cls(_reading(info, (faces, track), times_s, load().features, limits))
        except (WeightsError, MediaError) as error:
            return cls(unmeasured=str(error))


def _times_s(faces: FaceTracks, track: FaceTrack) -> list[Fraction]:
    """The times, 25 a second, at which a face is looked at."""
    first_s, last_s = faces.times_s[track.start], faces.times_s[track.stop - 1]
    return [first_s + n / FRAME_RATE for n in range(int(min(last_s - first_s, _READ_S) * FRAME_RATE) + 1)]


def _reading(
    info: MediaInfo,
    who: tuple[FaceTracks, FaceTrack],
    times_s: Sequence[Fraction],
    features: FeatureExtraction,
    limits: MediaLimits,
) -> SyncReading:
    faces, track = who
    begin_s = max(Fraction(0), times_s[0] - _AROUND_S)
    span = AudioRequest(SAMPLE_RATE, True, begin_s, times_s[-1] + _AROUND_S - begin_s)
    blocks = (np.ascontiguousarray(clip.samples[:, 0]) for clip in stream_audio(info.path, span, limits))
    heard = DrivingSpeech.of_blocks(blocks, gate=False)
    crops = []
    with VideoReader(info.path, limits=limits) as reader:
        for time_s, frame in zip(times_s, reader.frames_at(times_s), strict=True):
            face = track.face_at(bisect_right(faces.times_s, time_s) - 1)
            assert face is not None
            crops.append(crop(frame.pixels, crop_matrix(face)))
    return reading_of(features, np.stack(crops), heard.windows([t + 1 / FRAME_RATE / 2 - begin_s for t in times_s]))
