"""The settings of the concept database, and of how videos are made with it."""

from dataclasses import dataclass, field

from core.errors import ParameterError, check_ranges
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


@dataclass(frozen=True)
class VideoConfig:
    """How a video is made. 0 stands for what suits the profile; what it was is kept in the video's settings.

    Raises:
        ParameterError: a value is out of its range.
    """

    steps: int = field(default=0, metadata={"help": "steps of sampling, 2 to 200; 0: as many as suit the profile"})
    text_guidance: float = field(
        default=0.0, metadata={"help": "how far the text is overstated, 0 to 20; 1: not; 0: what suits the profile"}
    )
    subject_guidance: float = field(
        default=0.0, metadata={"help": "the same of the subject's looks, 0 to 20; 0: what suits the profile"}
    )
    frames: int = field(default=16, metadata={"help": "pictures of the video, 4 to 32; the networks learned 16"})
    side_px: int = field(
        default=0, metadata={"help": "side of the first video, 32 to 1024, a multiple of 8; 0: what suits the profile"}
    )

    def __post_init__(self) -> None:
        check_ranges(self, ("steps", 0, 200), ("text_guidance", 0, 20), ("subject_guidance", 0, 20), ("frames", 4, 32))
        check_ranges(self, ("side_px", 0, 1024))
        if self.steps == 1:
            raise ParameterError("steps is 1; choose 0, or a number from 2 to 200.")
        if self.side_px % 8 or 0 < self.side_px < 32:
            raise ParameterError(f"side_px is {self.side_px}; choose 0, or a multiple of 8 from 32 to 1024.")
