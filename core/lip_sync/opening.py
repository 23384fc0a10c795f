"""How far a mouth is to open, by what is heard; the landmarks that correct the picture go there (METHODS 4, stage 2).

It is a low quantile that is told, not the mean: where a sound leaves it open how far the mouth is, lips that stay apart
through a p look worse than a vowel that opens a little less. A gain then brings the widest openings back to what they
are in training.

Source of the loss: Koenker and Bassett, "Regression Quantiles", 1978.
"""

import torch
from torch import Tensor, nn

from core.lip_sync.crops import FOLLOWING
from core.lip_sync.model import VECTOR
from core.sharing import evened

_UNITS = 5
"""What is told is in fifths of the mouth's width, about 0 to 2."""
_SHUT = 0.05
"""Below this, in widths of the mouth, lips are shut."""
CORNERS = (12, 18)
"""Those of the inner lips among the 25 landmarks."""


class Opening(nn.Module):
    """From the vector of hearing to how far the mouth opens."""

    gain: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.steps = nn.Sequential(
            nn.Linear(VECTOR, 256), nn.SiLU(), nn.Dropout(0.3), nn.Linear(256, 64), nn.SiLU(), nn.Linear(64, 1)
        )
        self.register_buffer("gain", torch.ones(()))

    def told(self, heard: Tensor) -> Tensor:
        """The quantile of the opening by vectors (B, 256) of hearing, in fifths of the mouth's width: (B,)."""
        return self.steps(VECTOR**0.5 * heard).squeeze(1).float()

    def forward(self, heard: Tensor) -> Tensor:
        """How far mouths open by vectors (B, 256) of hearing, in their widths, 0 and more: (B,)."""
        return self.gain * (self.told(heard) / _UNITS - _SHUT).clamp(min=0)


def quantile_loss(told: Tensor, opening: Tensor, quantile: float) -> Tensor:
    """How far what is told (B,) is from a quantile of openings (B,) in widths of the mouth; NaN is left out."""
    known = torch.isfinite(opening)
    more = _UNITS * opening[known] - told[known]
    return torch.maximum(quantile * more, (quantile - 1) * more).sum() / evened(known.sum()).clamp(min=1e-6)


def opened(rest: Tensor, opening: Tensor) -> Tensor:
    """The landmarks (B, 25, 2) of an upright mouth at rest, once it has opened (B,) by so many of its widths."""
    down = rest.new_tensor(FOLLOWING)
    left, right = CORNERS
    wide = (rest[:, right] - rest[:, left]).norm(dim=1)
    return torch.stack([rest[..., 0], rest[..., 1] + (opening * wide)[:, None] * down], dim=-1)
