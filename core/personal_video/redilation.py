"""The second network: the first one's weights with kernels pulled apart, for pictures of twice the size and more.

A network trained at one size shows a subject again and again in a larger picture, since its kernels see too little of
it. Pulled apart by the factor of enlargement they see what they saw in training. Source: He et al. 2023
("ScaleCrafter"): re-dilation by stage and by step (section 3.2), noise-damped guidance (3.3, equation 6): what noise
there is is told by the kernels as they were, what the text asks for by those pulled apart. Deviations: it starts from
the first network's video (METHODS 2), noised again; whole factors only, so no kernel is dispersed.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from core.errors import ParameterError, check_ranges
from core.personal_video.flow import Guided, levels_of, noised, walk
from core.personal_video.network import Dilation


@dataclass(frozen=True)
class EnlargeConfig:
    """How a video is enlarged.

    Raises:
        ParameterError: a value is out of its range.
    """

    factor: int = field(default=2, metadata={"help": "how many times as wide and high, 2 to 8"})
    steps: int = field(default=8, metadata={"help": "steps of the second network, 2 to 200"})
    start: float = field(
        default=0.35, metadata={"help": "how much of the first video is kept to begin with, 0 to 0.95"}
    )
    patches_until: float = field(
        default=1.0, metadata={"help": "share of the steps with all kernels apart, those that cut patches too, 0 to 1"}
    )
    small_until: float = field(
        default=1.0, metadata={"help": "after these, share of the steps with the smaller grid's kernels apart"}
    )
    large_until: float = field(default=0.7, metadata={"help": "the same of the larger grid's kernels"})
    damped_until: float = field(default=0.7, metadata={"help": "share of the steps with noise-damped guidance"})

    def __post_init__(self) -> None:
        shares = [(name, 0, 1) for name in ("patches_until", "small_until", "large_until", "damped_until")]
        check_ranges(self, ("factor", 2, 8), ("steps", 2, 200), ("start", 0, 0.95), *shares)

    def dilation(self, done: float) -> Dilation:
        """How far apart kernels lie when a share of the steps is done."""
        if done < self.patches_until:
            return Dilation(patches=self.factor)
        large, small = (self.factor if done < until else 1 for until in (self.large_until, self.small_until))
        return Dilation(1, large, small)


@dataclass(frozen=True)
class Redilated:
    """A denoiser: the second network under noise-damped guidance."""

    first: Guided
    config: EnlargeConfig

    def __call__(self, x: Tensor, level: float, done: float) -> Tensor:
        """The clip; see `core.personal_video.flow.Denoise`."""
        second = replace(self.first, dilation=self.config.dilation(done))
        if done >= self.config.damped_until or second.dilation == Dilation():
            return second(x, level, done)
        plain = self.first.condition.without_text()
        (steady,) = self.first.told(x, level, [plain])
        asked, unasked = second.told(x, level, [second.condition, plain])
        return (steady + self.first.config.text_guidance * (asked - unasked)).clamp(-1, 1)


def enlarged(first: Guided, video: Tensor, config: EnlargeConfig, generator: torch.Generator) -> Iterator[Tensor]:
    """The first network's video at a larger size; gives each step's clip as `core.personal_video.flow.walk` does.

    Args:
        first: the first network with the condition of the video; pictures to copy from may be larger than they were.
        video: (B, T, 3, H, W), -1 to 1.
        config: how.
        generator: of the noise.

    Raises:
        ParameterError: the video's sides are no multiples of 8.
    """
    start = bicubic(video, config.factor)
    noise = torch.randn(start.shape, generator=generator).to(start)
    level = torch.tensor([config.start])
    x = noised(start, noise, level.to(start).expand(len(start)))
    yield from walk(Redilated(first, config), x, levels_of(config.steps, config.start))


def unchanged(first: Guided, video: Tensor, config: EnlargeConfig, generator: torch.Generator) -> Iterator[Tensor]:
    """What the first network makes at the second's size without any of this, from noise alone: for comparison."""
    *front, height, width = video.shape
    shape = (*front, height * config.factor, width * config.factor)
    noise = torch.randn(shape, generator=generator).to(video)
    yield from walk(first, noise, levels_of(first.config.steps))


def bicubic(video: Tensor, factor: int) -> Tensor:
    """Frames (B, T, 3, H, W) enlarged without any network.

    Raises:
        ParameterError: the sides are no multiples of 8.
    """
    if video.shape[-1] % 8 or video.shape[-2] % 8:
        raise ParameterError(f"The video is {video.shape[-1]} × {video.shape[-2]}; give sides that are multiples of 8.")
    large = F.interpolate(video.flatten(0, 1), scale_factor=float(factor), mode="bicubic", align_corners=False)
    return large.clamp(-1, 1).unflatten(0, video.shape[:2])
