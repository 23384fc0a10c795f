"""The feature-extraction subnet: what is seen and what is heard, as vectors that agree (METHODS 4, network, stage 1).

Sight takes a group of five pictures, each with its gradient map as a fourth channel; hearing takes the cepstrum around
the middle one. Both give a vector of unit length, and their cosine says how well the two belong together. The same
subnet measures sync on clear pictures, and tells the generator on blurred ones where everything is.

Deviations: METHODS leaves open how the two vectors come to agree. Ours do as those of Chung and Zisserman, "Out of
Time", 2016, but by a contrast among many moments at once (`core.lip_sync.losses.sync_loss`) in place of pairs. And in
training both vectors also tell how far the mouth is open, by one and the same linear map, which gets them started.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from core.lip_sync.mouth_region import gradient_kernels
from core.lip_sync.sound import COEFFICIENTS, COLUMNS
from core.sharing import SharedBatchNorm1d, SharedBatchNorm2d

GROUP = 5
"""The x of METHODS: pictures in a group, 25 a second, the middle one the one that is meant."""
AROUND = GROUP // 2
VECTOR = 256
WIDTHS = (32, 64, 128, 192)
"""Channels of the maps of sight, at a half, a fourth, an eighth and a sixteenth of the picture's side."""
_GREY = (0.299, 0.587, 0.114)
_LOUDNESS, _SHAPE = (-350.0, 150.0), 40.0
"""Middle and spread of the first coefficient of the cepstrum in decibels times √40, and the spread of the others."""


@dataclass(frozen=True)
class Seen:
    """What sight makes of groups.

    Attributes:
        vector: (B, 256), of unit length.
        maps: (B, C, S, S) each, from the finest to the coarsest, see `WIDTHS`.
    """

    vector: Tensor
    maps: tuple[Tensor, ...]


class GradientMap(nn.Module):
    """`core.lip_sync.mouth_region.gradient_map` for tensors: (..., 3, H, W), RGB in [0, 1], to (..., 1, H, W)."""

    def __init__(self) -> None:
        super().__init__()
        for name, kernel in zip(("edges", "wide"), gradient_kernels(), strict=True):
            self.register_buffer(name, torch.from_numpy(kernel)[None, None], persistent=False)
        self.register_buffer("grey", torch.tensor(_GREY)[:, None, None], persistent=False)

    def forward(self, pictures: Tensor) -> Tensor:
        """The map, in [-1, 1]."""
        edges, wide, grey = self.get_buffer("edges"), self.get_buffer("wide"), self.get_buffer("grey")
        luma = (pictures * grey).sum(dim=-3, keepdim=True).flatten(0, -4)
        margin = 1 + wide.shape[-1] // 2
        padded = F.pad(luma, (margin,) * 4, mode="replicate")
        found = F.conv2d(F.conv2d(padded, edges), wide).clamp(-1, 1)
        return found.reshape(*pictures.shape[:-3], 1, *pictures.shape[-2:])


def block(channels: int, out: int, stride: int = 1) -> nn.Sequential:
    """Convolution of 3 × 3, batch normalisation and SiLU; what is brighter or louder than the batch stays so."""
    return nn.Sequential(nn.Conv2d(channels, out, 3, stride, 1, bias=False), SharedBatchNorm2d(out), nn.SiLU())


def centred(channels: int) -> nn.Sequential:
    """To a vector about the mean of the batch, so that vectors of unit length point all ways from the beginning."""
    return nn.Sequential(nn.Flatten(), nn.Linear(channels, VECTOR), SharedBatchNorm1d(VECTOR, affine=False))


class Sight(nn.Module):
    """A group of pictures with their gradient maps to a vector, and to maps for the generator."""

    def __init__(self) -> None:
        super().__init__()
        steps, channels = [], 4 * GROUP
        for width in WIDTHS:
            steps.append(nn.Sequential(block(channels, width, 2), block(width, width)))
            channels = width
        self.steps = nn.ModuleList(steps)
        self.last = nn.Sequential(block(channels, channels, 2), centred(16 * channels))

    def forward(self, groups: Tensor) -> Seen:
        """See groups (B, 5, 4, 128, 128), RGB and gradient map."""
        x, maps = groups.flatten(1, 2), []
        for step in self.steps:
            x = step(x)
            maps.append(x)
        return Seen(F.normalize(self.last(x).float(), dim=1), tuple(maps))


class Hearing(nn.Module):
    """The cepstrum around a picture to a vector."""

    def __init__(self) -> None:
        super().__init__()
        self.steps = nn.Sequential(block(1, 32), block(32, 64, 2), block(64, 64), block(64, 128, 2), block(128, 128))
        self.last = centred(128 * (COEFFICIENTS // 4) * (COLUMNS // 4))

    def forward(self, windows: Tensor) -> Tensor:
        """Hear windows (B, 20, 20) of `core.lip_sync.sound.frame_windows`: (B, 256), of unit length."""
        loudness = (windows[:, :1] - _LOUDNESS[0]) / _LOUDNESS[1]
        x = torch.cat([loudness, windows[:, 1:] / _SHAPE], dim=1).unsqueeze(1)
        return F.normalize(self.last(self.steps(x)).float(), dim=1)


class FeatureExtraction(nn.Module):
    """Sight and hearing, the scale of their cosine, and how far open either says that the mouth is (training only)."""

    def __init__(self) -> None:
        super().__init__()
        self.gradient_map, self.sight, self.hearing = GradientMap(), Sight(), Hearing()
        self.scale = nn.Parameter(torch.tensor(10.0))
        self.opening = nn.Linear(VECTOR, 1)

    def see(self, groups: Tensor) -> Seen:
        """See groups of pictures (B, 5, 3, 128, 128), RGB in [0, 1]."""
        return self.sight(torch.cat([groups, self.gradient_map(groups)], dim=2))

    def told_opening(self, vector: Tensor) -> Tensor:
        """How far the mouth is open by a vector (B, 256) of either, in fifths of its width: (B,)."""
        return self.opening(VECTOR**0.5 * vector).squeeze(1)

    def forward(self, groups: Tensor, windows: Tensor) -> tuple[Tensor, Tensor]:
        """The vectors of sight and hearing, of as many groups and windows as there are, (B, 256) each."""
        return self.see(groups).vector, self.hearing(windows)


def as_tensor(pictures: NDArray[np.uint8]) -> Tensor:
    """Pictures uint8 (..., H, W, 3) as RGB in [0, 1]: float32 (..., 3, H, W)."""
    return torch.from_numpy(pictures).movedim(-1, -3).float() / 255


def as_pictures(tensor: Tensor) -> NDArray[np.uint8]:
    """RGB in [0, 1], (..., 3, H, W), as pictures: uint8 (..., H, W, 3)."""
    return np.asarray((tensor.detach().float().clamp(0, 1) * 255).round().byte().movedim(-3, -1).numpy(), np.uint8)
