"""The loss of the two towers: symmetric InfoNCE with hard negatives.

Source: van den Oord et al., "Representation learning with contrastive predictive coding", 2018 (InfoNCE), in both
directions as in Radford et al., "Learning transferable visual models", 2021; Robinson et al., "Contrastive learning
with hard negative samples", 2021, equation 4, for the weights of the negatives. Ours: several rows may belong to one
film or one track, and are then neither positives nor negatives of one another.
"""

import torch
from torch import Tensor


def symmetric_info_nce(similarities: Tensor, ignored: Tensor, hardness: float = 0.0) -> Tensor:
    """The mean of both directions' InfoNCE, a number.

    Args:
        similarities: (B, B), already divided by the temperature; row i and column i belong together.
        ignored: (B, B), pairs that are no negatives; the diagonal counts as positive whatever it says.
        hardness: 0 weighs all negatives alike; above it the weight of each grows with ``exp(hardness · cosine)``,
            given here in units of ``similarities``.
    """
    diagonal = torch.eye(len(similarities), dtype=torch.bool)
    negative = ~(ignored | diagonal)
    return (_one_way(similarities, negative, hardness) + _one_way(similarities.T, negative.T, hardness)) / 2


def _one_way(similarities: Tensor, negative: Tensor, hardness: float) -> Tensor:
    positive = similarities.diagonal()
    held = similarities.masked_fill(~negative, -torch.inf)
    count = negative.sum(1).clamp(min=1)
    weights = torch.softmax((hardness * held).masked_fill(~negative, -torch.inf).detach(), 1).nan_to_num()
    if hardness == 0:
        weights = negative / count[:, None]
    log_weight = torch.log((count[:, None] * weights).clamp(min=1e-30))
    hard = torch.logsumexp((held + log_weight).masked_fill(~negative, -torch.inf), 1)
    return (torch.logaddexp(positive, hard) - positive).mean()
