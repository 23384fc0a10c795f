"""The losses of both stages (METHODS 4, training); of several processes each has its own, of which the mean counts."""

import torch
import torch.nn.functional as F
from torch import Tensor

from core.sharing import evened


def sync_loss(seen: Tensor, heard: Tensor, scale: Tensor) -> Tensor:
    """How far sight and hearing of the same moments are from finding each other among others.

    The symmetric cross entropy of van den Oord et al., "Representation Learning with Contrastive Predictive Coding",
    2018, as Radford et al. 2021 use it for two kinds of input. Batches hold moments of the same clip, so that the
    contrast is one of time, not of voice.

    Args:
        seen: (B, D), of unit length.
        heard: (B, D), of unit length, in the same order.
        scale: of the cosine, above 0.
    """
    cosine = scale * seen @ heard.T
    truth = torch.arange(len(seen), device=seen.device)
    return (F.cross_entropy(cosine, truth) + F.cross_entropy(cosine.T, truth)) / 2


def offset_loss(seen: Tensor, heard: Tensor, scale: Tensor) -> Tensor:
    """How far the offset of runs is from being read as 0, among all shifts: cross entropy.

    Each shift's logit is the mean cosine over the run, as `core.lip_sync.metrics.sync_reading` takes it. One moment
    tells little, a run tells much, so that this falls long before `sync_loss` does.

    Args:
        seen: (K, T, D), of unit length, T moments of K runs that follow one another.
        heard: (K, T + 2 M, D), of unit length, from M moments before to M moments behind.
        scale: of the mean cosine, above 0.
    """
    moments, shifts = seen.shape[1], heard.shape[1] - seen.shape[1] + 1
    likeness = torch.stack([(seen * heard[:, s : s + moments]).sum(dim=2).mean(dim=1) for s in range(shifts)], dim=1)
    truth = torch.full((len(seen),), shifts // 2, device=seen.device)
    return F.cross_entropy(scale * likeness, truth)


def opening_loss(told: Tensor, opening: Tensor) -> Tensor:
    """Mean squared error of what is told of the mouth's opening (B,), in fifths of its width; NaN is left out."""
    known = torch.isfinite(opening)
    return ((told[known] - 5 * opening[known]) ** 2).sum() / evened(known.sum()).clamp(min=1e-6)


def agreement_loss(seen: Tensor, heard: Tensor) -> Tensor:
    """One less the mean cosine of what is seen in made pictures (B, D) and what is heard: 0 to 2."""
    return 1 - (seen * heard).sum(dim=1).mean()


def picture_loss(made: Tensor, truth: Tensor, weight: Tensor) -> Tensor:
    """Mean absolute difference of pictures (B, C, S, S), by a weight (B, 1, S, S) per pixel, above 0."""
    return ((made - truth).abs() * weight).sum() / (made.shape[1] * evened(weight.sum()))


def mouth_weight(landmarks: Tensor, side_px: int) -> Tensor:
    """How much each pixel counts, (B, 1, S, S): 1, and up to 10 around the lips of landmarks (B, 25, 2) in pixels.

    A Gaussian about their middle whose deviation is half the mouth's width.
    """
    lips = landmarks[:, :24]
    middle, width = lips.mean(dim=1), (lips[..., 0].amax(dim=1) - lips[..., 0].amin(dim=1)).clamp(min=1)
    where = torch.arange(side_px, device=landmarks.device, dtype=torch.float32)
    across, down = (torch.exp(-0.5 * ((where - middle[:, n, None]) / (width[:, None] / 2)) ** 2) for n in (0, 1))
    return 1 + 9 * (down[:, :, None] * across[:, None])[:, None]


def discriminator_loss(real: Tensor, made: Tensor) -> Tensor:
    """Binary cross entropy of the discriminator's logits: real pictures are to be told as 1, made ones as 0."""
    return (F.binary_cross_entropy_with_logits(real, torch.ones_like(real))
            + F.binary_cross_entropy_with_logits(made, torch.zeros_like(made))) / 2  # fmt: skip


def deception_loss(made: Tensor) -> Tensor:
    """Binary cross entropy of the discriminator's logits, as the generator wants it: made pictures told as 1."""
    return F.binary_cross_entropy_with_logits(made, torch.ones_like(made))
