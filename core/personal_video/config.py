"""The settings of the concept database."""

from dataclasses import dataclass, field

from core.errors import check_ranges
from core.media import MediaLimits, limits_from_environment


@dataclass(frozen=True)
class ConceptConfig:
    """How sample pictures are looked at and kept.

    Raises:
        ParameterError: a value is out of its range.
    """

    max_pictures: int = field(default=32, metadata={"help": "most cut-outs kept of one concept, 1 to 256"})
    animation_frames: int = field(
        default=4, metadata={"help": "pictures taken from an animated one, evenly spread, 1 to 64"}
    )
    cutout_side_px: int = field(default=512, metadata={"help": "longer side a picture is cut out at, 64 to 2048"})
    thumbnail_side_px: int = field(default=160, metadata={"help": "longer side of a thumbnail, 32 to 512"})
    limits: MediaLimits = field(default_factory=limits_from_environment)

    def __post_init__(self) -> None:
        check_ranges(
            self,
            ("max_pictures", 1, 256),
            ("animation_frames", 1, 64),
            ("cutout_side_px", 64, 2048),
            ("thumbnail_side_px", 32, 512),
        )
