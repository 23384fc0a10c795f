"""Copying a subject's looks into a clip: every cell of every frame says where in the subject's square it lies, one map
is fitted to what the cells of a frame say, and the square's pixels are drawn through it.

The fit is the closed form of weighted least squares, so that one frame's copy is whole and sharp although single cells
are unsure. Squares may be larger than those the network looks at, frames of any size: maps know no pixels.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.personal_video.blocks import TokenNorm, attended, places, waves
from core.personal_video.extraction import COARSE, Details

_OCTAVES = 4
_RIDGE = 0.3
_LEVELS = 3
_START = 2.2
"""About how much larger a subject is in its square than in a frame; where an untrained network begins."""
_FEW = 1e-4


@dataclass(frozen=True)
class Copies:
    """What is copied of K concepts (R pictures each) into T frames of H × W.

    Attributes:
        colours: (B, K, T, 3, H, W), times opacity.
        opacities: (B, K, T, 1, H, W).
        maps: (B, K, R, T, 2, 3), from a frame to the square, see `core.personal_video.looks`.
        votes: (B, K, R, T, N, 2), where each cell says that it lies.
        confidence: (B, K, R, T, N), logits: how surely it lies in the subject.
    """

    colours: Tensor
    opacities: Tensor
    maps: Tensor
    votes: Tensor
    confidence: Tensor

    def over(self, pixels: Tensor, kept: Tensor) -> Tensor:
        """The copies, the later concepts in front, over pixels (B, T, 3, H, W), as far as ``kept`` (B, T, 1, H, W)."""
        for concept in range(self.colours.shape[1]):
            through = 1 - self.opacities[:, concept] * kept
            pixels = pixels * through + self.colours[:, concept] * kept
        return pixels


class Copying(nn.Module):
    """Says for every frame where each subject is, and copies it there.

    Args:
        width: of the cells' features.
        plan_width: of what is planned for a whole frame.
        detail_width: of detail features.
        inner: width inside.
    """

    def __init__(self, width: int, plan_width: int, detail_width: int, inner: int = 64) -> None:
        super().__init__()
        self.norm, self.detail_norm = TokenNorm(width), TokenNorm(detail_width)
        self.query, self.pair = nn.Linear(width, inner), nn.Linear(detail_width, 2 * inner)
        self.place = nn.Linear(4 * _OCTAVES + 2, 2 * inner)
        self.from_cell, self.from_found = nn.Linear(width, inner), nn.Linear(inner, inner)
        vote, framed = nn.Linear(inner, 4), nn.Linear(inner, 14)
        self.voting = nn.Sequential(nn.GELU(), nn.Linear(inner, inner), nn.GELU(), vote)
        self.from_plan, self.from_details = nn.Linear(plan_width, inner), nn.Linear(detail_width, inner)
        self.framing = nn.Sequential(nn.GELU(), framed)
        with torch.no_grad():
            vote.weight.mul_(0.3)
            framed.weight.mul_(0.3)
            framed.bias.zero_()
            framed.bias[[0, 4]] = _START

    def forward(self, cells: Tensor, plan: Tensor, details: Details, size: tuple[int, int]) -> Copies:
        """Copies into frames.

        Args:
            cells: (B, T, h, w, C).
            plan: (B, T, P).
            details: of K concepts, R pictures each.
            size: (H, W) of the frames.
        """
        shape = details.weights.shape[1:]
        coarse = self.detail_norm(details.coarse).flatten(1, 2)
        frame = self._framed(plan, coarse.mean(2))
        grid = places(cells.shape[2], cells.shape[3], cells.device).flatten(0, 1)
        prior = frame[..., :6].float().unflatten(-1, (2, 3))
        told = self._told(cells.flatten(2, 3), coarse)
        with torch.autocast(cells.device.type, enabled=False):
            votes = _mapped(prior, grid) + told[..., :2].float()
            maps = fitted_maps(grid, votes, torch.sigmoid(told[..., 2].float()), prior)
            colours, opacities = _drawn(details.pictures.flatten(1, 2).float(), maps, size)
            gain, lift = (0.2 * torch.tanh(x.float())[..., None, None] for x in frame[..., 6:12].split(3, -1))
            colours = colours * (1 + gain) + opacities * lift
            share = self._shares(told, frame, details)[..., None, None, None]
            colours, opacities = ((x.unflatten(1, shape) * share).sum(2) for x in (colours, opacities))
        return Copies(
            colours,
            opacities,
            maps.unflatten(1, shape),
            votes.unflatten(1, shape),
            told[..., 2].unflatten(1, shape),
        )

    def _framed(self, plan: Tensor, summary: Tensor) -> Tensor:
        """What is said of whole frames, (B, S, T, 14): a map, three gains, three lifts, presence, choice."""
        return self.framing(self.from_plan(plan)[:, None] + self.from_details(summary)[:, :, None])

    def _told(self, cells: Tensor, coarse: Tensor) -> Tensor:
        """What each cell says of each picture: (B, S, T, N, 4), its place's correction, confidence, and choice."""
        frames, count = cells.shape[1:3]
        cells = self.norm(cells).flatten(1, 2)
        there = places(COARSE, COARSE, cells.device).flatten(0, 1)
        key, value = (self.pair(coarse) + self.place(torch.cat([waves(there, _OCTAVES), there], -1))).chunk(2, dim=-1)
        query = self.query(cells)[:, None].expand(-1, key.shape[1], -1, -1)
        found = attended(query, key, value)
        told = self.voting(self.from_cell(cells)[:, None] + self.from_found(found))
        return told.unflatten(2, (frames, count))

    def _shares(self, told: Tensor, frame: Tensor, details: Details) -> Tensor:
        """How much of each picture is drawn in each frame, (B, K, R, T): a choice among R, times presence."""
        sure = torch.sigmoid(told[..., 2].float())
        choice = (told[..., 3].float() * sure).sum(-1) / (sure.sum(-1) + _FEW) + frame[..., 13].float()
        choice = choice.unflatten(1, details.weights.shape[1:]) + (details.weights + _FEW)[..., None].log()
        copied = details.copied[..., None]
        choice = choice.masked_fill(copied == 0, -1e4).softmax(2)
        presence = torch.sigmoid(frame[..., 12].float().unflatten(1, details.weights.shape[1:]) + 2)
        return choice * presence * copied


def fitted_maps(grid: Tensor, votes: Tensor, weights: Tensor, prior: Tensor) -> Tensor:
    """The maps nearest to what cells say: min over A of Σ w |A (x, y, 1) − vote|² + 0.3 |A − prior|².

    Args:
        grid: (N, 2), the cells' places.
        votes: (..., N, 2), where they say that they lie.
        weights: (..., N), how far they count.
        prior: (..., 2, 3).

    Returns:
        (..., 2, 3).
    """
    points = torch.cat([grid, torch.ones_like(grid[:, :1])], dim=1)
    weighted = weights[..., None] * points
    ridge = _RIDGE * torch.eye(3, device=grid.device)
    left = weighted.transpose(-1, -2) @ points + ridge
    right = weighted.transpose(-1, -2) @ votes + _RIDGE * prior.transpose(-1, -2)
    return torch.linalg.solve(left, right).transpose(-1, -2)


def _mapped(maps: Tensor, grid: Tensor) -> Tensor:
    """Places (N, 2) through maps (..., 2, 3): (..., N, 2)."""
    return grid @ maps[..., :2].transpose(-1, -2) + maps[..., None, :, 2]


def _drawn(pictures: Tensor, maps: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Squares (B, S, 4, P, P) through maps (B, S, T, 2, 3): colours (B, S, T, 3, H, W) and opacities (…, 1, H, W).

    Where a square is made smaller it is averaged first: three levels of a pyramid, blended by how much smaller.
    """
    (batch, sources), (height, width) = maps.shape[:2], size
    grid = _mapped(maps, places(height, width, maps.device).flatten(0, 1)).flatten(0, 1)
    with torch.no_grad():
        shrunk = maps[..., :2].det().abs().sqrt() * pictures.shape[-1] / height
        level = shrunk.clamp(min=1).log2().clamp(max=_LEVELS - 1).flatten(0, 1)
    drawn: Tensor | float = 0.0
    picture = pictures.flatten(0, 1)
    for number in range(_LEVELS):
        share = (1 - (level - number).abs()).clamp(min=0)[:, None, :, None]
        if share.any():
            seen = F.grid_sample(picture, grid, padding_mode="zeros", align_corners=False)
            drawn = drawn + seen * share
        picture = F.avg_pool2d(picture, 2, ceil_mode=True)
    assert isinstance(drawn, Tensor)
    layers = drawn.unflatten(0, (batch, sources)).unflatten(-1, (height, width)).transpose(2, 3)
    return layers[:, :, :, :3], layers[:, :, :, 3:]
