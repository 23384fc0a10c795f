"""Blocks of the extraction and the generation network: convolutions that can be re-dilated, attention, waves of places.

Places are always told in pictures (-1 to 1), never in pixels, so that one set of weights serves any size.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_PLAIN_KEYS = 128


def waves(values: Tensor, count: int) -> Tensor:
    """Numbers (..., D), about -1 to 1, as sines and cosines of ``count`` octaves: (..., 2 · count · D)."""
    octaves = math.pi * 2.0 ** torch.arange(count, device=values.device, dtype=values.dtype)
    phases = (values[..., None] * octaves).flatten(-2)
    return torch.cat([phases.sin(), phases.cos()], dim=-1)


def places(height: int, width: int, device: torch.device | None = None) -> Tensor:
    """The middles of the cells of a grid as (x, y), -1 to 1: (height, width, 2)."""
    down = (torch.arange(height, device=device) + 0.5) * 2 / height - 1
    across = (torch.arange(width, device=device) + 0.5) * 2 / width - 1
    return torch.stack(torch.meshgrid(across, down, indexing="xy"), dim=-1)


class PlaceEmbedding(nn.Module):
    """Adds to a grid (N, C, H, W) what a linear layer makes of the waves of its places."""

    OCTAVES = 4

    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(4 * self.OCTAVES, width)

    def forward(self, grid: Tensor) -> Tensor:
        """The grid with its places told."""
        height, width = grid.shape[-2:]
        told = self.linear(waves(places(height, width, grid.device), self.OCTAVES))
        return grid + told.permute(2, 0, 1).to(grid.dtype)


class ChannelNorm(nn.Module):
    """RMS norm over the channels of (N, C, H, W): no statistics over places, so that size does not matter."""

    AXIS = 1

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """The same, each cell at about unit size."""
        scale = torch.rsqrt(x.float().square().mean(self.AXIS, keepdim=True) + 1e-6)
        weight = self.weight.to(x.dtype)
        return x * scale.to(x.dtype) * (weight[:, None, None] if self.AXIS == 1 else weight)


class TokenNorm(ChannelNorm):
    """The same of tokens (..., C)."""

    AXIS = -1


class SpatialBlock(nn.Module):
    """A residual block: 3 × 3 convolution, then a mixing of channels, both shifted and scaled by what is told.

    Args:
        width: channels.
        told_width: of what is told; 0: nothing is.
    """

    def __init__(self, width: int, told_width: int = 0) -> None:
        super().__init__()
        self.norm = ChannelNorm(width)
        self.kernel = nn.Conv2d(width, width, 3, padding=1)
        self.wide = nn.Conv2d(width, 2 * width, 1)
        self.narrow = nn.Conv2d(2 * width, width, 1)
        self.told = nn.Linear(told_width, 2 * width) if told_width else None
        with torch.no_grad():
            self.narrow.weight.mul_(0.5)

    def forward(self, grid: Tensor, told: Tensor | None = None, dilation: int = 1) -> Tensor:
        """The grid further on.

        Args:
            grid: (N, C, H, W).
            told: (N, told_width).
            dilation: how far apart the kernel's taps lie, in cells; re-dilation leaves the weights as they are.
        """
        x = self.norm(grid)
        if self.told is not None and told is not None:
            scale, shift = self.told(told)[:, :, None, None].chunk(2, dim=1)
            x = x * (1 + scale) + shift
        x = F.conv2d(x, self.kernel.weight, self.kernel.bias, padding=dilation, dilation=dilation)
        return grid + self.narrow(F.gelu(self.wide(x)))


def attended(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> Tensor:
    """Scaled dot-product attention, by plain products where these are quicker on a CPU than torch's fused kernel.

    Measured, forward and backward: 16 queries and keys 7 times as quick in bfloat16; 512 keys in float32 5 times as
    slow, and so left to the kernel.
    """
    if query.device.type != "cpu" or (query.dtype is torch.float32 and key.shape[-2] > _PLAIN_KEYS):
        return F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
    scores = (query * query.shape[-1] ** -0.5) @ key.mT
    return (scores if mask is None else scores + mask).softmax(-1).to(value.dtype) @ value


class Attention(nn.Module):
    """Residual attention of tokens to a context; with a token of its own in the context, so that there is always one.

    Args:
        width: of the tokens.
        context_width: of the context.
        head_width: of a head.
    """

    def __init__(self, width: int, context_width: int, head_width: int = 32) -> None:
        super().__init__()
        self.heads = max(1, width // head_width)
        self.norm, self.context_norm = TokenNorm(width), TokenNorm(context_width)
        self.query, self.out = nn.Linear(width, width), nn.Linear(width, width)
        self.pair = nn.Linear(context_width, 2 * width)
        self.nothing = nn.Parameter(torch.zeros(2, width))
        with torch.no_grad():
            self.out.weight.mul_(0.5)

    def forward(self, tokens: Tensor, context: Tensor, bias: Tensor | None = None) -> Tensor:
        """The tokens with what they found.

        Args:
            tokens: (N, Q, C).
            context: (N, M, D).
            bias: (N, M), added to the scores; minus infinity hides.
        """
        query = self._split(self.query(self.norm(tokens)))
        key, value = self.pair(self.context_norm(context)).chunk(2, dim=-1)
        none = self.nothing.to(key.dtype)[:, None, None].expand(2, len(key), 1, -1)
        key, value = (self._split(torch.cat([own, x], 1)) for own, x in zip(none, (key, value), strict=True))
        mask = None if bias is None else F.pad(bias, (1, 0))[:, None, None].to(query.dtype)
        found = attended(query, key, value, mask)
        return tokens + self.out(found.transpose(1, 2).flatten(2))

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)


class Mixing(nn.Module):
    """A residual layer that mixes the channels of tokens (..., C)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            TokenNorm(width), nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )

    def forward(self, tokens: Tensor) -> Tensor:
        """The tokens, mixed."""
        return tokens + self.layers(tokens)
