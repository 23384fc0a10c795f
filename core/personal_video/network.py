"""The dynamic generation network: factorised in space and time, it says what a noisy clip looks like without noise.

Patches of 4 × 4 pixels are cells; work is done on grids of 16 × 16 and 8 × 8 cells a frame (for 64 pixels a side), time
is mixed on the smaller one. One token a frame sees all of its frame, all other frames and the text. Where subjects are
is planned before (`core.personal_video.planning`); the network is shown what is copied of them there, and what it draws
itself, cell by cell, lies behind as much of the copies as it keeps (`core.personal_video.copying`).

Sources: flow matching as Lipman et al. 2023; prediction of the clean clip on large patches as Li and He 2025 ("Back to
basics"); factorised space and time as Ho et al. 2022 ("Video diffusion models"). Deviations: the plan and the copies.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.personal_video.blocks import Attention, ChannelNorm, Mixing, PlaceEmbedding, SpatialBlock, places, waves
from core.personal_video.conditioning import TEXT_WIDTH, Condition, Conditioner
from core.personal_video.copying import SHOWN, Copies, copied, interleaved, woven
from core.personal_video.extraction import Details
from core.personal_video.planning import Planner

PATCH = 4
_OCTAVES = 6
_TOUCH = 0.3
"""How much lighter or darker, of 2, copied pixels may be made."""


@dataclass(frozen=True)
class Dilation:
    """How far apart the taps of kernels lie: of those that cut patches, and of those on the larger and smaller grid.

    With ``patches`` apart all the network is: every kernel, and attention likewise, sees the n² pictures that lie
    interleaved in a larger one, each by itself and each of the size that training saw. The grids' own dilation then
    counts in cells of those.
    """

    patches: int = 1
    large: int = 1
    small: int = 1


@dataclass(frozen=True)
class Widths:
    """Of the networks: of cells on the larger and on the smaller grid, of detail features, the deep blocks' number, and
    that of the planner.

    Without ``copies`` the network draws everything itself; only comparisons ask for that.
    """

    cells: int = 64
    deep: int = 128
    details: int = 64
    blocks: int = 4
    planner: int = 128
    copies: bool = True


class FrameLayer(nn.Module):
    """A token a frame sees its frame, then all frames and the text, and tells the frame's cells."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.seeing, self.asking = Attention(width, width), Attention(width, width)
        self.mixing, self.telling = Mixing(width), nn.Linear(width, width)

    def forward(self, plan: Tensor, cells: Tensor, text: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """The plan (B, T, C) further on, and what it tells each frame, (B, T, C).

        Args:
            plan: (B, T, C).
            cells: (B, T, N, C).
            text: (B, L, C) and its bias (B, L).
        """
        seen = self.seeing(plan.flatten(0, 1)[:, None], cells.flatten(0, 1))[:, 0].unflatten(0, plan.shape[:2])
        context = torch.cat([seen, text[0]], dim=1)
        bias = F.pad(text[1], (plan.shape[1], 0))
        plan = self.mixing(self.asking(seen, context, bias))
        return plan, self.telling(plan)


class DeepBlock(nn.Module):
    """On the smaller grid: space, then time, then the text and the coarse detail features."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.space = SpatialBlock(width, width)
        self.time, self.context = Attention(width, width), Attention(width, width)

    def forward(self, grid: Tensor, told: Tensor, context: tuple[Tensor, Tensor], dilation: int) -> Tensor:
        """The grid (B, T, C, h, w) further on."""
        batch, frames, _, height, width = grid.shape
        x = self.space(grid.flatten(0, 1), told.flatten(0, 1), dilation).unflatten(0, (batch, frames))
        cells = x.flatten(3).permute(0, 3, 1, 2)
        if frames > 1:
            cells = self.time(cells.flatten(0, 1), cells.flatten(0, 1)).unflatten(0, (batch, -1))
        flat = self.context(cells.flatten(1, 2), *context)
        return flat.unflatten(1, (-1, frames)).permute(0, 2, 3, 1).unflatten(3, (height, width))


class GenerationNetwork(nn.Module):
    """See the module. One set of weights is the first network, and re-dilated the second.

    Args:
        widths: of everything.
    """

    def __init__(self, widths: Widths | None = None) -> None:
        super().__init__()
        self.widths = widths = widths or Widths()
        cells, deep = widths.cells, widths.deep
        self.level = nn.Sequential(nn.Linear(2 * _OCTAVES, deep), nn.GELU(), nn.Linear(deep, deep))
        self.frame_place = nn.Linear(2 * _OCTAVES, deep)
        self.text = nn.Linear(TEXT_WIDTH, deep)
        self.detail_text = nn.Linear(widths.details, deep)
        self.patches = nn.Conv2d(3 + SHOWN, cells, PATCH, stride=PATCH)
        self.place = PlaceEmbedding(cells)
        self.first = SpatialBlock(cells, deep)
        self.down, self.deep_place = nn.Conv2d(cells, deep, 2, stride=2), PlaceEmbedding(deep)
        self.deep = nn.ModuleList([DeepBlock(deep) for _ in range(widths.blocks)])
        self.plans = nn.ModuleList([FrameLayer(deep) for _ in range(max(1, widths.blocks // 2))])
        self.up = nn.Conv2d(deep, 4 * cells, 1)
        self.detail_place = nn.Linear(4 * PlaceEmbedding.OCTAVES, widths.details)
        self.fine = Attention(deep, widths.details)
        self.last = nn.ModuleList([SpatialBlock(cells, deep) for _ in range(2)])
        self.norm, self.pixels = ChannelNorm(cells), nn.Conv2d(cells, (3 + 1 + 3) * PATCH**2, 1)

    def forward(self, noisy: Tensor, level: Tensor, condition: Condition, dilation: Dilation | None = None) -> Tensor:
        """What the clip looks like without noise, (B, T, 3, H, W), about -1 to 1.

        Args:
            noisy: (B, T, 3, H, W), ``(1 - level) · noise + level · clip``; sides are multiples of 8 pixels, times the
                patches' dilation.
            level: (B,), how much of it is the clip, 0 to 1, both exclusive.
            condition: what is to be seen.
            dilation: of the kernels; none is the first network.
        """
        dilation = dilation or Dilation()
        copies, apart = self._copies(condition, noisy), dilation.patches
        if apart == 1:
            return self._seen(noisy, level, (condition, copies), dilation)
        pictures = apart * apart
        given = condition.repeated(pictures), None if copies is None else copies.interleaved(apart)
        return woven(self._seen(interleaved(noisy, apart), level.repeat_interleave(pictures), given, dilation), apart)

    def _seen(self, noisy: Tensor, level: Tensor, given: tuple[Condition, Copies | None], dilation: Dilation) -> Tensor:
        """The clip: what is drawn, with the copies over it as far as they are kept."""
        (condition, copies), (batch, frames) = given, noisy.shape[:2]
        told, plan = self._begun(level, frames)
        text = self.text(condition.hidden), condition.text_bias
        shown = noisy.new_zeros(*noisy.shape[:2], SHOWN, *noisy.shape[3:]) if copies is None else copies.shown()
        x = self.place(self.patches(torch.cat([noisy, shown], dim=2).flatten(0, 1)))
        skip = x = self.first(x, told.flatten(0, 1), dilation.large)
        y = self.deep_place(self.down(x)).unflatten(0, (batch, frames)) + plan[..., None, None]
        y, told, plan = self._deep(y, told, plan, (text, condition), dilation.small)
        y = self._with_fine_details(y, condition.details)
        x = F.pixel_shuffle(self.up(y.flatten(0, 1)), 2) + skip
        for block in self.last:
            x = block(x, told.flatten(0, 1), dilation.large)
        x = self.norm(x)
        drawn = F.pixel_shuffle(self.pixels(x), PATCH).unflatten(0, (batch, frames)).float()
        pixels, kept, touch = drawn.split((3, 1, 3), dim=2)
        if copies is None:
            return pixels
        return copies.touched(_TOUCH * touch.tanh()).over(pixels, torch.sigmoid(kept + 2))

    def _copies(self, condition: Condition, noisy: Tensor) -> Copies | None:
        """What is copied where the plan says, where there is one."""
        if condition.plan is None or not self.widths.copies:
            return None
        with torch.autocast(noisy.device.type, enabled=False):
            return copied(condition.details, condition.plan, (noisy.shape[3], noisy.shape[4]))

    def _begun(self, level: Tensor, frames: int) -> tuple[Tensor, Tensor]:
        """What is told to each frame, and the plan, before anything is seen: (B, T, C) each."""
        odds = (torch.logit(level.float(), eps=1e-4) / 8).clamp(-1, 1)[:, None]
        told = self.level(waves(odds, _OCTAVES))[:, None].expand(-1, frames, -1)
        time = torch.linspace(-1, 1, frames, device=level.device)[:, None] if frames > 1 else odds.new_zeros(1, 1)
        return told, told + self.frame_place(waves(time / 2, _OCTAVES))

    def _deep(
        self, y: Tensor, told: Tensor, plan: Tensor, given: tuple[tuple[Tensor, Tensor], Condition], dilation: int
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The smaller grid, what is told, and the plan after the deep blocks."""
        text, condition = given
        context = self._context(text, condition)
        for number, block in enumerate(self.deep):
            if number % 2 == 0:
                plan, more = self.plans[min(number // 2, len(self.plans) - 1)](plan, y.flatten(3).mT, text)
                told = told + more
            y = block(y, told, context, dilation)
        return y, told, plan

    def _context(self, text: tuple[Tensor, Tensor], condition: Condition) -> tuple[Tensor, Tensor]:
        """Text and coarse detail features beside each other, with their bias."""
        coarse = condition.details.coarse
        side = round(coarse.shape[3] ** 0.5)
        coarse = self.detail_text(coarse + self._detail_place(side, coarse.device)).flatten(1, 3)
        bias = _spread(condition.details.weights, side * side)
        return torch.cat([text[0], coarse], dim=1), torch.cat([text[1], bias], dim=1)

    def _with_fine_details(self, y: Tensor, details: Details) -> Tensor:
        """The smaller grid (B, T, C, h, w) after its cells have asked the fine detail features."""
        side = round(details.fine.shape[3] ** 0.5)
        context = (details.fine + self._detail_place(side, y.device)).flatten(1, 3)
        (frames, _, height, width), cells = y.shape[1:], y.flatten(3).permute(0, 1, 3, 2).flatten(1, 2)
        cells = self.fine(cells, context, _spread(details.weights, side * side))
        return cells.unflatten(1, (frames, height, width)).permute(0, 1, 4, 2, 3)

    def _detail_place(self, side: int, device: torch.device) -> Tensor:
        return self.detail_place(waves(places(side, side, device).flatten(0, 1), PlaceEmbedding.OCTAVES))


class PersonalVideoNetwork(nn.Module):
    """All that is trained: the planner, the conditioner and the generation network.

    Args:
        widths: of everything.
    """

    def __init__(self, widths: Widths | None = None) -> None:
        super().__init__()
        self.generation = GenerationNetwork(widths)
        self.conditioner = Conditioner(self.generation.widths.details)
        self.planner = Planner(self.generation.widths.planner, TEXT_WIDTH)


def _spread(weights: Tensor, count: int) -> Tensor:
    """Weights (B, K, R) as a bias of each of ``count`` tokens of a picture: (B, K · R · count), their logarithm."""
    absent = weights == 0
    bias = weights.masked_fill(absent, 1).log().masked_fill(absent, -torch.inf)
    return bias.flatten(1).repeat_interleave(count, dim=1)
