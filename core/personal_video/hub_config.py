"""Settings and answers of the hub profile of personal video."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from core.errors import ParameterError, check_ranges
from core.personal_video.cutting import Cutout
from core.personal_video.hub_redilation import StageDilation
from core.personal_video.modes import Letter

Pixels = NDArray[np.uint8]
FRAME_RATE = 8
"""Frames per second that AnimateDiff was trained at."""
GRID_PX = 64
"""Sides are multiples of it: eight of the autoencoder times eight of the network."""
LARGEST_SEED = 2**32 - 1
MOST_FEW_STEPS = 50
STAGES = tuple(
    StageDilation(stage, 2, 0.3)
    for stage in ("down_blocks.2", "down_blocks.3", "mid_block", "up_blocks.0", "up_blocks.1")
)
"""What the second network spreads of Stable Diffusion 1.5 at twice its size."""


@dataclass(frozen=True)
class HubConfig:
    """How videos are made.

    Raises:
        ParameterError: a value is out of its range.
    """

    width: int = field(default=512, metadata={"help": "of the first video in pixels, 64 to 1024, a multiple of 64"})
    height: int = field(default=512, metadata={"help": "of the first video in pixels, 64 to 1024, a multiple of 64"})
    frames: int = field(default=16, metadata={"help": "of the video, 2 to 32; the network was trained on 16"})
    steps: int = field(default=0, metadata={"help": "of sampling, 1 to 100; 0: 25, or 6 with few steps"})
    guidance: float = field(
        default=0.0, metadata={"help": "how strictly to obey, 1 to 20; 0: 7.5, or 1.5 with few steps"}
    )
    details: float = field(default=0.7, metadata={"help": "how much the detail features count, 0 to 1"})
    renewal: float = field(default=0.6, metadata={"help": "share of noise the second video starts from, 0.1 to 1"})
    stages: tuple[StageDilation, ...] = STAGES

    def __post_init__(self) -> None:
        check_ranges(self, ("width", 64, 1024), ("height", 64, 1024), ("frames", 2, 32), ("steps", 0, 100))
        check_ranges(self, ("guidance", 0, 20), ("details", 0, 1), ("renewal", 0.1, 1))
        if self.width % GRID_PX or self.height % GRID_PX:
            raise ParameterError(f"The video is {self.width} × {self.height}; choose multiples of {GRID_PX} pixels.")
        if 0 < self.guidance < 1:
            raise ParameterError(f"guidance is {self.guidance}; choose 0, or a number from 1 to 20.")

    def steps_with(self, few_steps: bool) -> int:
        """Steps of the first network.

        Raises:
            ParameterError: there are more than LCM-LoRA was trained to leave out.
        """
        if few_steps and self.steps > MOST_FEW_STEPS:
            raise ParameterError(f"{self.steps} steps are not few; choose at most {MOST_FEW_STEPS}, or all steps.")
        return self.steps or (6 if few_steps else 25)

    def second_steps_with(self, few_steps: bool) -> int:
        """Steps that the second network would take from pure noise, so many that it takes at least one."""
        steps = self.steps_with(few_steps)
        while int(steps * self.renewal) < 1:
            steps += 1
        return steps

    def guidance_with(self, few_steps: bool) -> float:
        """The scale of guidance; at 1 there is none."""
        return self.guidance or (1.5 if few_steps else 7.5)


@dataclass(frozen=True)
class HubRequest:
    """What is to be seen.

    Attributes:
        prompt: with concepts' words bare or in angle brackets.
        image: the subject of an image, or several pictures of it; empty when none was given.
        target: the concept that the image shows (mode b); None: it shows something else. The hub profile does not
            decide this by itself: nobody measured from which cosine on CLIP's vectors show one subject.
        seed: 0 to 2**32 - 1; with the same everything the same video comes out.

    Raises:
        ParameterError: the seed is out of its range, or there is a target but no image.
    """

    prompt: str
    image: tuple[Cutout, ...] = ()
    target: str | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.seed <= LARGEST_SEED:
            raise ParameterError(f"The seed is {self.seed}; choose one from 0 to {LARGEST_SEED}.")
        if self.target is not None and not self.image:
            raise ParameterError(f"No image shows {self.target}; give one, or take the choice back.")


@dataclass(frozen=True, eq=False)
class HubVideo:
    """A video.

    Attributes:
        frames: uint8 (T, H, W, 3), RGB.
        mode: the letter of METHODS 2 that made it.
        unread: the end of the prompt that the text encoder has no room for; empty when it read all.
    """

    frames: Pixels
    mode: Letter
    unread: str = ""
    frame_rate: int = FRAME_RATE
