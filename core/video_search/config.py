"""The settings of similar-video search."""

from dataclasses import dataclass, field
from pathlib import Path

from core.errors import check_ranges
from core.media import MediaLimits, limits_from_environment


@dataclass(frozen=True)
class SearchConfig:
    """How videos are sampled and how many similar ones are returned.

    Raises:
        ParameterError: a value is out of its range.
    """

    frame_rate: float = field(default=1.0, metadata={"help": "frames looked at per second of video, 0.1 to 30"})
    min_frames: int = field(default=8, metadata={"help": "frames looked at in a clip too short for that, 1 to 64"})
    batch_frames: int = field(default=32, metadata={"help": "frames encoded at once, 1 to 256"})
    models: Path = field(default=Path("library/models"), metadata={"help": "folder of the fine-tuned models"})
    limits: MediaLimits = field(default_factory=limits_from_environment)

    def __post_init__(self) -> None:
        check_ranges(self, ("frame_rate", 0.1, 30), ("min_frames", 1, 64), ("batch_frames", 1, 256))
