"""The loss of METHODS 5, step 6, against its terms written out, and what its gradients may reach."""

import numpy as np
import pytest
import torch
from torch import Tensor

from core.video_quality.losses import Labels, LossWeights, level_loss, order_loss, quality_loss
from core.video_quality.model import Judgement


def judgement(seed: int, films: int = 4) -> Judgement:
    random = torch.Generator().manual_seed(seed)
    parts = (torch.randn(films, size, generator=random, dtype=torch.float64) for size in (6, 5, 7))
    return Judgement(*(part.requires_grad_() for part in parts))


def labels(films: int = 4) -> Labels:
    random = torch.Generator().manual_seed(9)
    shares = torch.rand(films, 5, generator=random, dtype=torch.float64)
    return Labels(shares / shares.sum(1, keepdim=True), torch.rand(films, 7, generator=random, dtype=torch.float64))


def earth_movers(logits: Tensor, given: Tensor) -> float:
    """The squared distance of the cumulated shares, film by film and level by level."""
    total = 0.0
    for film in range(len(logits)):
        told = np.exp(logits[film].detach().numpy())
        told /= told.sum()
        for level in range(5):
            total += (told[: level + 1].sum() - given[film, : level + 1].sum().item()) ** 2
    return total / len(logits)


def crossed(logits: Tensor, given: Tensor) -> float:
    p = 1 / (1 + np.exp(-logits.detach().numpy()))
    return float(-(given.numpy() * np.log(p) + (1 - given.numpy()) * np.log(1 - p)).mean())


@pytest.mark.parametrize(("one", "two", "three", "four"), [(1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (2, 0.5, 3, 0.25)])
def test_the_loss_is_the_weighted_sum_of_its_terms(one: float, two: float, three: float, four: float) -> None:
    teacher, student, given = judgement(1), judgement(2), labels()
    distance = float(((teacher.quality - student.quality) ** 2).mean().detach())
    faults = crossed(teacher.faults, given.faults) + crossed(student.faults, given.faults)
    expected = one * earth_movers(teacher.levels, given.levels) + two * earth_movers(student.levels, given.levels)
    loss = quality_loss(teacher, student, given, LossWeights(one, two, three, four))
    assert float(loss.detach()) == pytest.approx(expected + three * distance + four * faults)


def test_the_distance_teaches_the_student_and_leaves_the_teacher_alone() -> None:
    teacher, student = judgement(1), judgement(2)
    quality_loss(teacher, student, labels(), LossWeights(0, 0, 1, 0)).backward()
    assert teacher.quality.grad is None
    assert student.quality.grad is not None and student.quality.grad.abs().sum() > 0


def test_one_network_alone_has_only_its_own_terms() -> None:
    student, given = judgement(2), labels()
    alone = quality_loss(None, student, given, LossWeights(7, 1, 7, 0))
    assert float(alone.detach()) == pytest.approx(earth_movers(student.levels, given.levels))


def test_a_prediction_two_levels_off_costs_more_than_one_level_off() -> None:
    sure = 40 * torch.eye(5)
    truth = torch.eye(5)[:1]
    costs = [float(level_loss(sure[level : level + 1], truth)) for level in range(5)]
    assert costs[0] == pytest.approx(0, abs=1e-6)
    assert costs == sorted(costs) and len({round(cost, 3) for cost in costs}) == 5


def test_scores_are_asked_to_fall_where_the_labels_do_and_by_no_more_than_the_margin() -> None:
    better, worse = torch.tensor([4.0, 4.0, 3.0, 2.0]), torch.tensor([3.5, 3.95, 3.2, 2.0])
    gap = torch.tensor([1.0, 1.0, 0.05, 0.0])  # far apart; too near; the wrong way round; the same clip
    torch.testing.assert_close(order_loss(better, worse, gap), torch.tensor((0 + 0.10 + 0.25 + 0) / 4))
