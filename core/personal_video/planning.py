"""Where the subjects of a clip are in every frame: paths, planned from the words before any pixel is drawn.

A path (T, 5) is that of `core.personal_video.motions`: place, size, angle and squash. The planner makes the paths of
all concepts from noise, by flow matching as the clip is made, and looks at the words alone; what is drawn then follows
them. A path and a picture's pose together say where each point of a frame lies in the picture, so that the subject's
pixels can be copied there.

Source: the two steps, layout and then picture, are those of Lian et al., "LLM-grounded Video Diffusion Models", 2024,
with a network trained here in place of a language model.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from core.personal_video.blocks import Attention, Mixing, TokenNorm, waves
from core.personal_video.looks import FILLED

PATH = 5
_OCTAVES = 6
_MOST_CONCEPTS = 8
_MIDDLE, _SPREAD = (0.5, 0.5, math.log(0.35), 0.0, 0.0), (0.5, 0.5, 1.5, 360.0, 0.5)
"""Of what the network sees of a path: places, the logarithm of the size, degrees, squash; about -1 to 1."""
_STEADY = 4.0
_LEAST_NOISE = 0.2
_SOFT = 20.0


@dataclass(frozen=True)
class Plan:
    """Where K concepts are in T frames.

    Attributes:
        paths: (B, K, T, 5), as of `core.personal_video.motions`.
        poses: (B, K, R, 2, 3), maps from a subject's own plane to each of its R squares, see `upright`.
    """

    paths: Tensor
    poses: Tensor

    def repeated(self, count: int) -> "Plan":
        """Each clip's plan so many times, one after the other."""
        return Plan(*(part.repeat_interleave(count, 0) for part in (self.paths, self.poses)))

    def to_planes(self) -> Tensor:
        """From frames to the subjects' own planes: (B, K, T, 2, 3); places are -1 to 1, planes in longest sides."""
        x, y, size, degrees, squash = self.paths.float().unbind(-1)
        cos, sin = torch.cos(torch.deg2rad(degrees)), torch.sin(torch.deg2rad(degrees))
        wide, high = 2 * size * (1 + squash), 2 * size / (1 + squash)
        linear = torch.stack([cos / wide, sin / wide, -sin / high, cos / high], -1).unflatten(-1, (2, 2))
        middle = torch.stack([2 * x - 1, 2 * y - 1], -1)
        return torch.cat([linear, -linear @ middle[..., None]], dim=-1)

    def to_squares(self) -> Tensor:
        """From frames to the squares of the subjects' pictures: (B, K, R, T, 2, 3)."""
        planes, poses = self.to_planes()[:, :, None], self.poses.float()[:, :, :, None]
        linear = poses[..., :2] @ planes[..., :2]
        return torch.cat([linear, poses[..., :2] @ planes[..., 2:] + poses[..., 2:]], dim=-1)

    def seats(self, grid: Tensor) -> Tensor:
        """How far places (N, 2) of frames lie within a subject's reach, (B, T, N), 0 to 1: a soft disc for each."""
        maps = self.to_planes()
        away = (grid @ maps[..., :2].mT + maps[..., None, :, 2]).norm(dim=-1)
        return torch.sigmoid(_SOFT * (0.5 - away)).amax(dim=1)


def upright(shape: tuple[int, ...]) -> Tensor:
    """Poses (..., 2, 3) of pictures as of `core.personal_video.looks.canonical`: upright, in the middle."""
    return torch.tensor([[2 * FILLED, 0.0, 0.0], [0.0, 2 * FILLED, 0.0]]).expand(*shape, 2, 3)


class PathLayer(nn.Module):
    """Moments see one another, then the words."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.among, self.asking, self.mixing = Attention(width, width), Attention(width, width), Mixing(width)

    def forward(self, tokens: Tensor, words: Tensor, bias: Tensor) -> Tensor:
        """Tokens (B, K · T, C) further on; words (B, L, C) with their bias (B, L)."""
        return self.mixing(self.asking(self.among(tokens, tokens), words, bias))


class Planner(nn.Module):
    """Says what noisy paths look like without noise.

    Args:
        width: of a token; there is one for each concept and frame.
        text_width: of the words' features.
        layers: how many.
    """

    def __init__(self, width: int = 128, text_width: int = 384, layers: int = 4) -> None:
        super().__init__()
        self.text_width = text_width
        self.words = nn.Linear(text_width, width)
        self.concepts = nn.Parameter(torch.randn(_MOST_CONCEPTS, width))
        self.level = nn.Sequential(nn.Linear(2 * _OCTAVES, width), nn.GELU(), nn.Linear(width, width))
        self.path, self.time = nn.Linear(PATH, width), nn.Linear(2 * _OCTAVES, width)
        self.layers = nn.ModuleList([PathLayer(width) for _ in range(layers)])
        self.norm, self.clean = TokenNorm(width), nn.Linear(width, PATH)

    def forward(self, noisy: Tensor, level: Tensor, hidden: Tensor, slots: Tensor, kept: Tensor) -> Tensor:
        """Paths without noise, as the network sees them (`seen_of`), (B, K, T, 5).

        Args:
            noisy: (B, K, T, 5), ``(1 - level) · noise + level · path``.
            level: (B,), 0 to 1, both exclusive.
            hidden: (B, L, 384), token outputs of the prompt.
            slots: (B, L), as of `core.personal_video.conditioning.PromptFeatures`; a concept is known by its number.
            kept: bool (B, L), which tokens there are.
        """
        (concepts, frames), names = noisy.shape[1:3], self.concepts
        own = names[(slots.long() - 1).clamp(0, len(names) - 1)]
        words = torch.where((slots > 0)[..., None], own, self.words(hidden))
        bias = torch.zeros(kept.shape, device=kept.device).masked_fill(~(kept & (slots >= 0)), -torch.inf)
        odds = (torch.logit(level.float(), eps=1e-4) / 8).clamp(-1, 1)[:, None]
        time = torch.linspace(-1, 1, frames, device=noisy.device)[:, None] / 2
        tokens = self.path(noisy) + self.time(waves(time, _OCTAVES)) + names[:concepts, None]
        tokens = (tokens + self.level(waves(odds, _OCTAVES))[:, None, None]).flatten(1, 2)
        for layer in self.layers:
            tokens = layer(tokens, words, bias)
        return self.clean(self.norm(tokens)).unflatten(1, (concepts, frames)).float()


def seen_of(paths: Tensor) -> Tensor:
    """Paths (..., 5) as the network sees them."""
    x, y, size, degrees, squash = paths.float().unbind(-1)
    values = torch.stack([x, y, size.clamp(min=1e-3).log(), degrees, squash], -1)
    return (values - values.new_tensor(_MIDDLE)) / values.new_tensor(_SPREAD)


def paths_of(seen: Tensor) -> Tensor:
    """The inverse of `seen_of`.

    >>> path = torch.tensor([0.2, 0.7, 0.4, 90.0, 0.1])
    >>> bool(torch.allclose(paths_of(seen_of(path)), path, atol=1e-4))
    True
    """
    values = seen.float() * seen.new_tensor(_SPREAD) + seen.new_tensor(_MIDDLE)
    x, y, size, degrees, squash = values.unbind(-1)
    return torch.stack([x, y, size.clamp(max=1).exp(), degrees, squash.clamp(-0.8, 4)], -1)


def plan_loss(made: Tensor, seen: Tensor, level: Tensor) -> Tensor:
    """The squared error of the flow of paths (B, K, T, 5), and of how they change from frame to frame: a scalar.

    Args:
        made: paths as the planner says, as it sees them.
        seen: as they are.
        level: (B,); the division by (1 - level)² stops at 0.8.
    """
    off = made - seen
    errors = off.square().mean((1, 2, 3)) + _STEADY * off.diff(dim=2).square().mean((1, 2, 3))
    return (errors / (1 - level).clamp(min=_LEAST_NOISE).square()).mean()
