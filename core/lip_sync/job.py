"""All that is decided before the first mouth is made: who says what, and which picture is shown when."""

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

from core.errors import ParameterError
from core.lip_sync.config import SyncConfig
from core.lip_sync.faces import Face
from core.lip_sync.lengths import still_timeline, timeline
from core.lip_sync.mouths import REACH_S
from core.lip_sync.request import DrawnMouth, SyncRequest
from core.lip_sync.speech import DrivingSpeech
from core.lip_sync.tracks import FaceTrack, FaceTracks
from core.media import Timeline
from core.media.info import MediaInfo

_AHEAD_S = 2 * REACH_S
_SHORTEST_S = Fraction(1, 1000)
_EXCESS_S = Fraction(1, 25)
"""Speech that goes on by no more than this shows no picture more: coders add as much silence at the end."""
_MICROSECONDS = 1_000_000


@dataclass(frozen=True)
class Job:
    """Who says what, and when.

    Attributes:
        request: what was asked for.
        faces: of the film, with those around drawn mouths.
        tracks: the faces that speak.
        speeches: what each of them says, by its number.
        plan: the pictures for which mouths are made; it goes a little beyond a test, so that the last mouths of one
            are those of the whole film.
        shown: the pictures that are written.
    """

    request: SyncRequest
    faces: FaceTracks
    tracks: tuple[FaceTrack, ...]
    speeches: Mapping[int, DrivingSpeech]
    plan: Timeline
    shown: Timeline

    def middle_s(self, frame: int) -> Fraction:
        """The middle of the time for which a picture of the new film is shown."""
        shown = self.plan.shown
        end_s = shown[frame + 1].time_s if frame + 1 < len(shown) else self.plan.end_s
        return (shown[frame].time_s + end_s) / 2

    def faces_at(self, frame: int) -> dict[int, Face]:
        """The faces that speak in a picture of the new film, by number."""
        source = self.plan.shown[frame].source
        found = {track.number: track.face_at(source) for track in self._by_shot[self._shot(source)]}
        return {number: face for number, face in found.items() if face is not None}

    def follows(self, frame: int) -> bool:
        """Whether what a picture shows goes on from the one before: it is a neighbour in the source, of one shot."""
        if not frame:
            return False
        before, here = self.plan.shown[frame - 1].source, self.plan.shown[frame].source
        return abs(here - before) <= 1 and self._shot(before) == self._shot(here)

    @property
    def cuts(self) -> tuple[int, ...]:
        """The numbers of the written pictures that do not go on from the one before, 0 not among them."""
        return tuple(frame for frame in range(1, len(self.shown.shown)) if not self.follows(frame))

    def _shot(self, source: int) -> int:
        return bisect_right(self.faces.cuts, source)

    @cached_property
    def _by_shot(self) -> list[list[FaceTrack]]:
        shots: list[list[FaceTrack]] = [[] for _ in range(len(self.faces.cuts) + 1)]
        for track in self.tracks:
            shots[self._shot(track.start)].append(track)
        return shots


def timelines(
    info: MediaInfo, faces: FaceTracks, speech_s: Fraction, request: SyncRequest, config: SyncConfig
) -> tuple[Timeline, Timeline]:
    """The pictures for which mouths are made, and those that are written; see `Job`."""
    test_s = None if request.seconds is None else Fraction(request.seconds).limit_denominator(_MICROSECONDS)
    said_s = speech_s if test_s is None else min(speech_s, test_s + _AHEAD_S)
    if info.is_still:
        plan = still_timeline(said_s)
    else:
        end_s = info.duration_s if info.variable_frame_rate else info.nominal(info.duration_s)
        end_s = max(end_s, faces.times_s[-1] + _SHORTEST_S)
        said_s = end_s if end_s < said_s <= end_s + _EXCESS_S else said_s
        plan = timeline(faces.times_s, end_s, said_s, config.length)
    return (plan, plan) if test_s is None else (plan.until(test_s + _AHEAD_S), plan.until(test_s))


def check_drawn(drawn: tuple[DrawnMouth, ...], info: MediaInfo) -> None:
    """Refuse mouths that were drawn beside the picture.

    Raises:
        ParameterError: one was.
    """
    for frame, (left, top, right, bottom) in drawn:
        if not (left < info.width and right > 0 and top < info.height and bottom > 0):
            raise ParameterError(
                f"The mouth drawn in picture {frame} lies outside {info.path.name}, which is {info.width} by "
                f"{info.height} pixels; draw it in the picture."
            )
