"""The settings of the quality score."""

from dataclasses import dataclass, field

from core.errors import check_ranges
from core.media import MediaLimits, limits_from_environment


@dataclass(frozen=True)
class QualityConfig:
    """How a film is looked at.

    Raises:
        ParameterError: a value is out of its range.
    """

    max_seconds: int = field(
        default=300, metadata={"help": "seconds looked at, evenly spread over a longer film, 1 to 3600"}
    )
    display_height: int = field(
        default=0,
        metadata={"help": "rows of the screen it is shown on, 120 to 4320; 0: its own size, at most 1080 rows"},
    )
    batch_windows: int = field(default=8, metadata={"help": "seconds that the network judges at once, 1 to 256"})
    limits: MediaLimits = field(default_factory=limits_from_environment)

    def __post_init__(self) -> None:
        check_ranges(self, ("max_seconds", 1, 3600), ("batch_windows", 1, 256))
        if self.display_height:
            check_ranges(self, ("display_height", 120, 4320))
