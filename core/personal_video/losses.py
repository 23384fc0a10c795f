"""What the networks are trained by: the clip, and, since training clips are composed, where each subject truly is."""

import torch
import torch.nn.functional as F
from torch import Tensor

from core.personal_video.blocks import places
from core.personal_video.copying import Copies

_LEAST_NOISE = 0.2
_SEEN = 0.03
"""About the level from which a noisy clip tells where things are; below it a place is anyone's guess."""


def flow_loss(made: Tensor, clip: Tensor, level: Tensor) -> Tensor:
    """The squared error of the flow, (B,): of the clip over (1 − level)², as flow = (clip − noisy) / (1 − level).

    Args:
        made: (B, T, 3, H, W), the clip as the network says.
        clip: (B, T, 3, H, W), as it is.
        level: (B,); the division stops at 0.8.
    """
    return (made.float() - clip).square().mean((1, 2, 3, 4)) / (1 - level).clamp(min=_LEAST_NOISE).square()


def place_losses(copies: Copies, truth: Tensor, masks: Tensor, level: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """How far fitted maps and single cells are off, and how wrongly cells say that they lie in a subject.

    Args:
        copies: of a batch.
        truth: (B, K, R, T, 2, 3), true maps; NaN where there is no picture.
        masks: (B, K, T, h, w), how far each cell is covered by the subject, 0 to 1.
        level: (B,).

    Returns:
        Three scalars; the first two in halves of a square, Huber's loss; both count less the more noise there is.
    """
    height, width = masks.shape[-2:]
    points = places(height, width, masks.device).flatten(0, 1)
    known = ~truth.isnan().flatten(-2).any(-1)
    inside = masks.flatten(-2)[:, :, None] * known[..., None]
    weights = inside * (level / (level + _SEEN))[:, None, None, None, None]
    total = weights.sum().clamp(min=1)
    true = _through(truth.nan_to_num(), points)
    losses = [
        (F.smooth_l1_loss(told.float(), true, reduction="none", beta=0.1).sum(-1) * weights).sum() / total
        for told in (_through(copies.maps, points), copies.votes)
    ]
    told = copies.confidence.float()
    target = masks.flatten(-2)[:, :, None].expand_as(told)
    wrong = F.binary_cross_entropy_with_logits(told, target, reduction="none")
    return losses[0], losses[1], (wrong * known[..., None]).sum() / (known.sum() * target.shape[-1]).clamp(min=1)


@torch.no_grad()
def place_error_px(copies: Copies, truth: Tensor, masks: Tensor, side_px: int) -> float:
    """How far, in pixels of a frame, a copied subject's points lie from where they truly are, on average."""
    points = places(masks.shape[-2], masks.shape[-1], masks.device).flatten(0, 1)
    known = ~truth.isnan().flatten(-2).any(-1)
    inside = masks.flatten(-2)[:, :, None] * known[..., None]
    off = (_through(copies.maps, points) - _through(truth.nan_to_num(), points)).norm(dim=-1)
    shrunk = truth.nan_to_num()[..., :2].det().abs().sqrt().clamp(min=1e-3)[..., None]
    return float((off / shrunk * inside).sum() / inside.sum().clamp(min=1e-6) * side_px / 2)


def _through(maps: Tensor, points: Tensor) -> Tensor:
    """Places (N, 2) through maps (..., 2, 3): (..., N, 2)."""
    return points @ maps[..., :2].transpose(-1, -2) + maps[..., None, :, 2]
