"""The personalised extraction network: detail features of a subject at two scales (METHODS 2), their fusion, and detail
features from text where there is no picture.
"""

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.personal_video.blocks import Attention, ChannelNorm, Mixing, PlaceEmbedding, SpatialBlock

LOOK_PX = 64
"""Side of the square that the network looks at."""
COARSE, FINE = 8, 16
"""Sides of the grids of detail features."""


@dataclass(frozen=True)
class Details:
    """Detail features of K concepts, from R pictures of each.

    Attributes:
        coarse: (B, K, R, 64, D), a grid of 8 × 8.
        fine: (B, K, R, 256, D), a grid of 16 × 16.
        pictures: (B, K, R, 4, S, S), colours (-1 to 1) times opacity, and opacity (0 to 1); S is any size.
        weights: (B, K, R), how much each counts, 0 (not at all) to 1.
        copied: (B, K, R), 1 where there is a picture whose pixels may be copied, otherwise 0.
    """

    coarse: Tensor
    fine: Tensor
    pictures: Tensor
    weights: Tensor
    copied: Tensor

    def weighed(self, factor: Tensor) -> "Details":
        """The same with all weights multiplied by a factor that spreads to (B, K, R); zero takes the subject away."""
        seen = (factor > 0).to(self.copied.dtype)
        return replace(self, weights=self.weights * factor, copied=self.copied * seen)

    def joined(self, other: "Details") -> "Details":
        """These and those, picture beside picture."""
        return Details(
            *(
                torch.cat([getattr(self, name), getattr(other, name)], dim=2)
                for name in ("coarse", "fine", "pictures", "weights", "copied")
            )
        )


class ExtractionNetwork(nn.Module):
    """From a subject in a square, as `core.personal_video.looks.canonical` lays it, to detail features.

    Args:
        width: of the detail features.
    """

    def __init__(self, width: int = 96) -> None:
        super().__init__()
        self.patches = nn.Conv2d(4, width, 4, stride=4)
        self.place = PlaceEmbedding(width)
        self.upper = nn.ModuleList([SpatialBlock(width) for _ in range(2)])
        self.down = nn.Conv2d(width, width, 2, stride=2)
        self.lower = nn.ModuleList([SpatialBlock(width) for _ in range(2)])
        self.fine_norm, self.coarse_norm = ChannelNorm(width), ChannelNorm(width)

    def forward(self, pictures: Tensor, present: Tensor) -> Details:
        """Detail features.

        Args:
            pictures: (B, K, R, 4, S, S) as of `Details`; made 64 pixels a side to be looked at.
            present: (B, K, R), 1 where there is a picture.
        """
        shape = pictures.shape[:3]
        seen = pictures.flatten(0, 2)
        if seen.shape[-1] != LOOK_PX:
            seen = F.interpolate(seen, size=(LOOK_PX, LOOK_PX), mode="area")
        x = self.place(self.patches(seen))
        for block in self.upper:
            x = block(x)
        y = self.down(x)
        for block in self.lower:
            y = block(y)
        fine, coarse = (
            norm(grid).flatten(2).transpose(1, 2).unflatten(0, shape)
            for norm, grid in ((self.fine_norm, x), (self.coarse_norm, y))
        )
        return Details(coarse, fine, pictures, present, present)


class FusionGate(nn.Module):
    """Fuses a database's detail features with those of a target image (mode b): a learned gate says how much of each.

    Both stay beside each other, since their squares show the subject in different poses; the gate weighs their part in
    every attention, and which of both pictures is copied from.
    """

    def __init__(self, width: int = 96) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(3 * width, width), nn.GELU(), nn.Linear(width, 1))

    def forward(self, database: Details, image: Details) -> Details:
        """Both, R of the first and one of the second, weighed; a concept without image keeps the database's."""
        kept, new = database.coarse.mean((2, 3)), image.coarse.mean((2, 3))
        gate = torch.sigmoid(self.layers(torch.cat([kept, new, kept * new], dim=-1)))
        has_both = (image.weights.amax(2, keepdim=True) > 0).to(gate.dtype)
        share = 1 - has_both * (1 - gate)
        return database.weighed(share).joined(image.weighed(has_both * (1 - gate)))


class DetailsFromText(nn.Module):
    """Detail features of a subject that only the text tells of (mode d): learned queries ask the text's tokens."""

    def __init__(self, width: int = 96, text_width: int = 384) -> None:
        super().__init__()
        self.queries = nn.Parameter(torch.randn(COARSE * COARSE, width) * 0.5)
        self.asking = nn.ModuleList([Attention(width, text_width) for _ in range(2)])
        self.mixing = nn.ModuleList([Mixing(width) for _ in range(2)])

    def forward(self, hidden: Tensor, bias: Tensor) -> Details:
        """Detail features of one subject, without a picture to copy from.

        Args:
            hidden: (B, L, text_width), token outputs.
            bias: (B, L), 0 for tokens that count and minus infinity for the rest.
        """
        x = self.queries.expand(len(hidden), -1, -1)
        for asking, mixing in zip(self.asking, self.mixing, strict=True):
            x = mixing(asking(x, hidden, bias))
        grid = x.transpose(1, 2).unflatten(2, (COARSE, COARSE))
        fine = F.interpolate(grid, scale_factor=2.0, mode="bilinear").flatten(2).transpose(1, 2)
        none = x.new_zeros(len(x), 1, 1)
        pictures = x.new_zeros(len(x), 1, 1, 4, 8, 8)
        return Details(x[:, None, None], fine[:, None, None], pictures, none + 1, none)
