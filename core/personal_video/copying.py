"""Copying a subject's looks into a clip: the pixels of its square are drawn where the plan puts them.

Squares may be larger than those the network looks at, frames of any size: maps know no pixels. What is copied is shown
to the network before it draws, and laid over what it draws, as far as it keeps it.
"""

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from core.personal_video.blocks import places
from core.personal_video.extraction import Details
from core.personal_video.planning import Plan

SHOWN = 5
"""Channels of `Copies.shown`."""
_LEVELS = 3
_SHARP, _FIRST_COUNTS = 8.0, 0.5
"""How steep the soft choice of a picture is in its weight, and how far the earlier one is preferred."""


@dataclass(frozen=True)
class Copies:
    """What is copied of K concepts into T frames of H × W.

    Attributes:
        colours: (B, K, T, 3, H, W), times opacity.
        opacities: (B, K, T, 1, H, W).
        seats: (B, T, 1, H, W), where subjects are to be, whether or not there is a picture to copy, 0 to 1.
    """

    colours: Tensor
    opacities: Tensor
    seats: Tensor

    def touched(self, touch: Tensor) -> "Copies":
        """The same, lighter or darker by (B, T, 3, H, W), added to what is opaque."""
        return replace(self, colours=self.colours + self.opacities * touch[:, None])

    def over(self, pixels: Tensor, kept: Tensor) -> Tensor:
        """The copies, the later concepts in front, over pixels (B, T, 3, H, W), as far as ``kept`` (B, T, 1, H, W)."""
        for concept in range(self.colours.shape[1]):
            through = 1 - self.opacities[:, concept] * kept
            pixels = pixels * through + self.colours[:, concept] * kept
        return pixels

    def interleaved(self, apart: int) -> "Copies":
        """The same of each of the pictures that lie interleaved in the frames; see `interleaved`."""
        return Copies(*(interleaved(part, apart) for part in (self.colours, self.opacities, self.seats)))

    def shown(self) -> Tensor:
        """All of it as channels, (B, T, 5, H, W): colours over black, opacity, seats."""
        black, whole = torch.zeros_like(self.colours[:, 0]), torch.ones_like(self.opacities[:, 0])
        clear = whole
        for concept in range(self.colours.shape[1]):
            clear = clear * (1 - self.opacities[:, concept])
        return torch.cat([self.over(black, whole), 1 - clear, self.seats], dim=2)


def copied(details: Details, plan: Plan, size: tuple[int, int]) -> Copies:
    """Copies into frames of (H, W), of each concept that picture which counts most."""
    batch, concepts, pictures = details.weights.shape
    frames = plan.paths.shape[2]
    grid = places(*size, device=plan.paths.device).flatten(0, 1)
    seats = plan.seats(grid).unflatten(-1, size)[:, :, None]
    if not bool(details.copied.any()):
        none = seats.new_zeros(batch, concepts, frames, 4, *size)
        return Copies(none[:, :, :, :3], none[:, :, :, 3:], seats)
    maps = plan.to_squares().flatten(1, 2)
    drawn = drawn_through(details.pictures.flatten(1, 2).float(), maps, size).unflatten(1, (concepts, pictures))
    drawn = (drawn * _shares(details)[..., None, None, None, None]).sum(2)
    return Copies(drawn[:, :, :, :3], drawn[:, :, :, 3:], seats)


def _shares(details: Details) -> Tensor:
    """How much of each picture is drawn, (B, K, R): all of one, by its weight; nothing where none may be.

    The gradient is that of a soft choice (Bengio et al., "Estimating or Propagating Gradients", 2013).
    """
    order = torch.arange(details.weights.shape[2], device=details.weights.device)
    choice = _SHARP * (details.weights.float() + 1e-4).log() - _FIRST_COUNTS * order
    soft = choice.masked_fill(details.copied == 0, -1e4).softmax(2)
    one = F.one_hot(soft.argmax(2), soft.shape[2]).to(soft.dtype)
    return (one + soft - soft.detach()) * details.copied


def drawn_through(pictures: Tensor, maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Squares (B, S, 4, P, P) through maps (B, S, T, 2, 3) from frames: (B, S, T, 4, H, W).

    Where a square is made smaller it is averaged first: three levels of a pyramid, blended by how much smaller.
    """
    (batch, sources), (height, width) = maps.shape[:2], size
    points = places(height, width, maps.device).flatten(0, 1)
    grid = (points @ maps[..., :2].mT + maps[..., None, :, 2]).flatten(0, 1)
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
    return drawn.unflatten(0, (batch, sources)).unflatten(-1, (height, width)).transpose(2, 3)


def interleaved(x: Tensor, apart: int) -> Tensor:
    """Every ``apart``-th pixel of both sides as a picture of its own: (B, ..., H, W) to (B · apart², ..., H/a, W/a)."""
    rows = x.unflatten(-1, (-1, apart)).unflatten(-3, (-1, apart))
    return rows.movedim((-3, -1), (1, 2)).flatten(0, 2)


def woven(x: Tensor, apart: int) -> Tensor:
    """`interleaved` undone."""
    rows = x.unflatten(0, (-1, apart, apart)).movedim((1, 2), (-3, -1))
    return rows.flatten(-4, -3).flatten(-2, -1)
