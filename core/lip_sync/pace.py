"""How long new mouths take, told before they are made."""

from dataclasses import dataclass

from core.lip_sync.results import LipSyncResult
from core.media.info import MediaInfo

STILL_RATE = 25
"""Pictures a second of a film that is made of a still picture."""
_MEGA = 1e6


@dataclass
class Pace:
    """How long new pictures take, so that a job can be told beforehand: at first as on two cores, then as the last job.

    Attributes:
        mouth_s: seconds to make the mouth of one picture.
        film_s: seconds to read, change and write a million pixels.
    """

    mouth_s: float = 0.1
    film_s: float = 0.07

    def picture_s(self, info: MediaInfo) -> float:
        """Seconds for one picture of a film in which one face speaks."""
        return self.mouth_s + self.film_s * info.width * info.height / _MEGA

    def a_second(self, info: MediaInfo) -> float:
        """Seconds for a second of such a film."""
        return self.picture_s(info) * float(STILL_RATE if info.is_still else info.frame_rate)

    def learn(self, made: LipSyncResult, info: MediaInfo) -> None:
        """Take the times of a job that made all its mouths itself."""
        if made.frames_changed:
            self.mouth_s = made.stages_s["mouths"] / made.frames_changed
            self.film_s = made.stages_s["film"] / made.frame_count / (info.width * info.height / _MEGA)
