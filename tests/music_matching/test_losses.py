"""The loss against the papers' formulas, written out."""

import math

import numpy as np
import pytest
import torch

from core.music_matching.losses import symmetric_info_nce


def written_out(s: np.ndarray, ignored: np.ndarray, beta: float) -> float:
    """InfoNCE in both directions with weights of Robinson et al., equation 4, term by term."""
    total = 0.0
    for matrix, skip in ((s, ignored), (s.T, ignored.T)):
        for i in range(len(matrix)):
            negatives = [matrix[i, j] for j in range(len(matrix)) if j != i and not skip[i, j]]
            raised = [math.exp(beta * value) for value in negatives]
            weights = [len(negatives) * one / sum(raised) for one in raised]
            below = math.exp(matrix[i, i]) + sum(w * math.exp(v) for w, v in zip(weights, negatives, strict=True))
            total -= math.log(math.exp(matrix[i, i]) / below) / len(matrix)
    return total / 2


@pytest.mark.parametrize("beta", [0.0, 0.5, 2.0])
def test_it_is_the_formula(beta: float) -> None:
    random = np.random.default_rng(0)
    s = random.standard_normal((6, 6)) * 2
    ignored = random.random((6, 6)) < 0.2
    told = symmetric_info_nce(torch.tensor(s), torch.tensor(ignored), beta)
    assert float(told) == pytest.approx(written_out(s, ignored, beta), abs=1e-5)


def test_ignored_pairs_have_no_influence() -> None:
    s, ignored = torch.randn(5, 5, generator=torch.Generator().manual_seed(0)), torch.zeros(5, 5, dtype=torch.bool)
    ignored[1, 3] = True
    changed = s.clone()
    changed[1, 3] = 50
    assert torch.allclose(symmetric_info_nce(s, ignored, 0.3), symmetric_info_nce(changed, ignored, 0.3))


def test_harder_negatives_count_for_more() -> None:
    s = torch.tensor([[2.0, 1.9, -3.0], [-3.0, 2.0, 1.9], [1.9, -3.0, 2.0]])
    none = torch.zeros(3, 3, dtype=torch.bool)
    assert symmetric_info_nce(s, none, 1.0) > symmetric_info_nce(s, none, 0.0) + 0.1


def test_without_negatives_there_is_nothing_to_lose() -> None:
    s = torch.randn(3, 3, requires_grad=True)
    loss = symmetric_info_nce(s, torch.ones(3, 3, dtype=torch.bool), 0.5)
    loss.backward()
    assert float(loss.detach()) == 0 and s.grad is not None and torch.isfinite(s.grad).all()
