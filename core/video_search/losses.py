"""The loss of the self-supervised encoder.

Source: METHODS 3, training; Zbontar et al., "Barlow Twins: Self-Supervised Learning via Redundancy Reduction", 2021,
equations 1 and 2.
"""

from torch import Tensor

REDUNDANCY_WEIGHT = 0.001
"""λ of the document; the paper's own is 0.005."""


def barlow_twins_loss(first: Tensor, second: Tensor, redundancy_weight: float = REDUNDANCY_WEIGHT) -> Tensor:
    """``Σ_i (1 − C_ii)² + λ Σ_i Σ_{j≠i} C_ij²``, where C is the cross-correlation of two views over the batch.

    ``C_ij = Σ_b z1_bi z2_bj / (sqrt(Σ_b z1_bi²) · sqrt(Σ_b z2_bj²))``, with z centred over the batch. A column that is
    constant over the batch correlates with nothing.

    Args:
        first: z1, (B, D), B at least 2.
        second: z2, (B, D), row b from the same video as row b of ``first``.
        redundancy_weight: λ.

    Returns:
        A scalar, 0 or more.
    """
    first, second = _unit_columns(first), _unit_columns(second)
    diagonal = (first * second).sum(0)
    # Σ_ij C_ij² = tr(Z1ᵀ Z2 Z2ᵀ Z1): two products of B × B instead of C itself, which has D × D numbers.
    squares = ((first @ first.T) * (second @ second.T)).sum()
    redundancy = squares - diagonal.square().sum()
    return (1 - diagonal).square().sum() + redundancy_weight * redundancy


def _unit_columns(z: Tensor) -> Tensor:
    centred = z - z.mean(0)
    return centred / centred.norm(dim=0).clamp_min(1e-6)
