"""The settings of lip-sync."""

from dataclasses import dataclass, field
from typing import get_args

from core.errors import ParameterError, check_ranges
from core.lip_sync.finish import FinishConfig
from core.lip_sync.lengths import LengthPolicy
from core.lip_sync.tracks import FollowConfig
from core.media import MediaLimits, limits_from_environment


@dataclass(frozen=True)
class SyncConfig:
    """How a face is made to speak.

    Raises:
        ParameterError: a value is out of its range.
    """

    length: LengthPolicy = field(
        default="loop",
        metadata={
            "help": "what a film shorter than its speech does: loop, ping_pong, hold; trim: the speech is cut",
            "choices": get_args(LengthPolicy),
        },
    )
    openness: float = field(default=1.0, metadata={"help": "how wide the mouth opens, 0.2 to 1.5; 1: as it was learnt"})
    silence_gate: bool = field(default=True, metadata={"help": "shut the mouth where nobody speaks"})
    batch_frames: int = field(default=16, metadata={"help": "mouths that the network makes at once, 1 to 256"})
    finish: FinishConfig = field(default_factory=FinishConfig)
    follow: FollowConfig = field(default_factory=FollowConfig)
    limits: MediaLimits = field(default_factory=limits_from_environment)

    def __post_init__(self) -> None:
        check_ranges(self, ("openness", 0.2, 1.5), ("batch_frames", 1, 256))
        if self.length not in get_args(LengthPolicy):
            raise ParameterError(f"length is {self.length!r}; choose {', '.join(get_args(LengthPolicy))}.")
