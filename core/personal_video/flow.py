"""Flow matching: from noise to a clip in a few steps, guided by text and subject apart.

A noisy clip is ``(1 - level) · noise + level · clip``; the network says what the clip is (Lipman et al. 2023; Li and He
2025 for the prediction of the clean clip). Steps are DPM-Solver++(2M) (Lu et al. 2022) for this path, whose half
log-SNR is the logit of the level. Guidance on two conditions: Brooks et al. 2023 ("InstructPix2Pix"), equation 3.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields
from itertools import pairwise

import torch
from torch import Tensor

from core.errors import ParameterError, check_ranges
from core.personal_video.conditioning import Condition, Text
from core.personal_video.extraction import Details
from core.personal_video.network import Dilation, GenerationNetwork
from core.personal_video.planning import PATH, Plan, Planner, paths_of
from core.runtime import placement

LEVEL_MIDDLE, LEVEL_SPREAD = -1.0, 2.0
"""Of the logits of levels, in training and of steps. A video repeats itself from frame to frame, so that what is where
is decided while a clip is still nine tenths noise."""
_FIRST, _LAST = 1e-3, 1 - 1e-3
_PLAN_STEPS, _PLAN_GUIDANCE = 24, 1.5
Denoise = Callable[[Tensor, float, float], Tensor]
"""(noisy clip, level, share of the steps that are done) -> clip."""


@dataclass(frozen=True)
class SampleConfig:
    """How a clip is made from noise.

    Raises:
        ParameterError: a value is out of its range.
    """

    steps: int = field(default=16, metadata={"help": "steps from noise to clip, 2 to 200"})
    text_guidance: float = field(default=2.5, metadata={"help": "how far the text is overstated; 1: not, 0 to 20"})
    subject_guidance: float = field(default=1.0, metadata={"help": "the same of the subject's looks, 0 to 20"})
    guided_until: float = field(default=0.7, metadata={"help": "share of the steps with guidance, 0 to 1"})

    def __post_init__(self) -> None:
        ranges = [("steps", 2, 200), ("text_guidance", 0, 20), ("subject_guidance", 0, 20), ("guided_until", 0, 1)]
        check_ranges(self, *ranges)


def drawn_levels(count: int, generator: torch.Generator | None = None) -> Tensor:
    """Levels for training: sigmoids of normal numbers."""
    return torch.sigmoid(LEVEL_MIDDLE + LEVEL_SPREAD * torch.randn(count, generator=generator))


def levels_of(steps: int, first: float = 0.0) -> list[float]:
    """The levels between which steps are taken, from ``first`` to 1; as dense as those of training.

    >>> [round(level, 2) for level in levels_of(4)]
    [0.0, 0.09, 0.27, 0.59, 1.0]
    """
    normal = torch.distributions.Normal(LEVEL_MIDDLE, LEVEL_SPREAD)
    begin = float(normal.cdf(torch.logit(torch.tensor(max(first, _FIRST)))))
    shares = torch.linspace(begin, 1, steps + 1)[1:-1]
    inner = torch.sigmoid(normal.icdf(shares)).tolist()
    return [first, *inner, 1.0]


def noised(clip: Tensor, noise: Tensor, level: Tensor) -> Tensor:
    """Clips (B, ...) between noise (level 0) and themselves (level 1)."""
    level = level.reshape(-1, *[1] * (clip.ndim - 1))
    return (1 - level) * noise + level * clip


def walk(denoise: Denoise, start: Tensor, levels: list[float]) -> Iterator[Tensor]:
    """Go from a noisy clip to a clean one; gives after every step what the clip looks like; the last is the result.

    Args:
        denoise: says what a noisy clip is.
        start: (B, T, 3, H, W) at the first of the levels.
        levels: rising, as of `levels_of`.
    """
    x, before, odds_before = start, None, 0.0
    for number, (level, after) in enumerate(pairwise(levels)):
        here = max(level, _FIRST)
        clean = denoise(x, here, number / (len(levels) - 1))
        if after >= _LAST:
            yield clean
            return
        odds, odds_after = math.log(here / (1 - here)), math.log(after / (1 - after))
        towards = clean
        if before is not None:
            ratio = (odds_after - odds) / (odds - odds_before) / 2
            towards = (1 + ratio) * clean - ratio * before
        kept = (1 - after) / (1 - here)
        x = kept * x + (after - here * kept) * towards.clamp(-1.2, 1.2)
        before, odds_before = clean, odds
        yield clean


@dataclass(frozen=True)
class Guided:
    """A denoiser of the first network, guided by text and subject apart.

    Attributes:
        network: that says what a clip is.
        condition: of B clips.
        config: how far.
        dilation: of its kernels.
    """

    network: GenerationNetwork
    condition: Condition
    config: SampleConfig
    dilation: Dilation = field(default_factory=Dilation)

    def __call__(self, x: Tensor, level: float, done: float) -> Tensor:
        """The clip; see `Denoise`."""
        if done >= self.config.guided_until:
            return self.told(x, level, [self.condition])[0].clamp(-1, 1)
        wanted = [self.condition, self.condition.without_text()]
        if self.config.subject_guidance != 1:
            wanted.append(self.condition.without_text().without_subject())
        full, plain, *bare = self.told(x, level, wanted)
        guided = plain + self.config.text_guidance * (full - plain)
        if bare:
            guided = guided + (self.config.subject_guidance - 1) * (plain - bare[0])
        return guided.clamp(-1, 1)

    def told(self, x: Tensor, level: float, conditions: list[Condition]) -> list[Tensor]:
        """What the network says under each condition, in one batch."""
        together = joined(conditions)
        levels = torch.full((len(conditions) * len(x),), level, device=x.device)
        with torch.no_grad(), placement().autocast():
            clips = self.network(x.repeat(len(conditions), 1, 1, 1, 1), levels, together, self.dilation)
        return list(clips.chunk(len(conditions)))


def joined(conditions: list[Condition]) -> Condition:
    """Conditions of the same sizes as one batch.

    Raises:
        ParameterError: there are none.
    """
    if not conditions:
        raise ParameterError("There is no condition to join; give at least one.")
    details = Details(*(torch.cat([getattr(c.details, part.name) for c in conditions]) for part in fields(Details)))
    plans = [c.plan for c in conditions if c.plan is not None]
    plan = Plan(*(torch.cat([getattr(p, part.name) for p in plans]) for part in fields(Plan))) if plans else None
    return Condition(torch.cat([c.hidden for c in conditions]), torch.cat([c.kept for c in conditions]), details, plan)


@torch.no_grad()
def planned(planner: Planner, text: Text, shape: tuple[int, int], generator: torch.Generator) -> Tensor:
    """Paths (B, K, T, 5) that the words ask for, as of `core.personal_video.motions`.

    Args:
        planner: trained.
        text: the prompts; B of them.
        shape: (K, T), of concepts and frames.
        generator: of the noise; it decides where nothing is said.
    """
    kept, none = text.kept, torch.zeros_like(text.kept)

    def denoise(x: Tensor, level: float, done: float) -> Tensor:
        levels = torch.full((2 * len(x),), level, device=x.device)
        words = (torch.cat([part, part]) for part in (text.hidden, text.slots))
        full, plain = planner(x.repeat(2, 1, 1, 1), levels, *words, torch.cat([kept, none])).chunk(2)
        return plain + _PLAN_GUIDANCE * (full - plain)

    noise = torch.randn(len(kept), *shape, PATH, generator=generator).to(kept.device)
    *_, seen = walk(denoise, noise, levels_of(_PLAN_STEPS))
    return paths_of(seen)
