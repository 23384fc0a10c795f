"""The Barlow Twins loss against METHODS 3 written out, and what it must not depend on."""

import numpy as np
import pytest
import torch
from scipy.linalg import hadamard
from torch import Tensor

from core.video_search.losses import barlow_twins_loss


def views(films: int, columns: int, likeness: float = 0.7, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Two views that have much in common: (films, columns) each, float64, neither centred nor of one scale."""
    random = np.random.default_rng(seed)
    common, first, second = random.normal(size=(3, films, columns))
    scales, shifts = random.uniform(0.1, 9, columns), random.normal(0, 5, columns)
    apart = (1 - likeness**2) ** 0.5
    return tuple(  # type: ignore[return-value]
        torch.from_numpy((likeness * common + apart * own) * scales + shifts) for own in (first, second)
    )


def written_out(first: Tensor, second: Tensor, redundancy_weight: float) -> float:
    """The document's two formulas, an element of C after the other."""
    z1, z2 = (z.numpy() - z.numpy().mean(0) for z in (first, second))
    loss = 0.0
    for i in range(z1.shape[1]):
        for j in range(z2.shape[1]):
            c = sum(z1[:, i] * z2[:, j]) / (np.sqrt(sum(z1[:, i] ** 2)) * np.sqrt(sum(z2[:, j] ** 2)))
            loss += (1 - c) ** 2 if i == j else redundancy_weight * c**2
    return loss


@pytest.mark.parametrize(("films", "columns"), [(2, 1), (3, 7), (8, 8), (20, 5), (6, 24)])
@pytest.mark.parametrize("redundancy_weight", [0.0, 0.001, 0.7])
def test_the_loss_is_the_formula_of_the_document(films: int, columns: int, redundancy_weight: float) -> None:
    first, second = views(films, columns)
    loss = barlow_twins_loss(first, second, redundancy_weight)
    assert float(loss) == pytest.approx(written_out(first, second, redundancy_weight))


def test_unless_told_otherwise_redundancy_weighs_a_thousandth() -> None:
    first, second = views(9, 6)
    assert float(barlow_twins_loss(first, second)) == pytest.approx(written_out(first, second, 0.001))
    same = torch.arange(4.0)[:, None].repeat(1, 10)
    assert float(barlow_twins_loss(same, same)) == pytest.approx(0.001 * 10 * 9, abs=1e-5)


def test_equal_views_whose_columns_have_nothing_in_common_cost_nothing() -> None:
    columns = torch.from_numpy(hadamard(16)[:, 1:].astype(np.float32)) * 3 + 8
    assert float(barlow_twins_loss(columns, columns)) == pytest.approx(0, abs=1e-6)
    assert float(barlow_twins_loss(columns, -columns)) == pytest.approx(4 * 15, abs=1e-4)


def test_scale_and_shift_of_a_column_and_the_order_of_films_change_nothing() -> None:
    first, second = views(12, 5)
    loss = float(barlow_twins_loss(first, second))
    scales, shifts = torch.tensor([1e-3, 0.5, 1, 40, 1e4]), torch.tensor([7, -300, 0, 1, 1e5])
    assert float(barlow_twins_loss(first * scales + shifts, second)) == pytest.approx(loss)
    assert float(barlow_twins_loss(first, second * scales + shifts)) == pytest.approx(loss)
    order = torch.from_numpy(np.random.default_rng(1).permutation(12))
    assert float(barlow_twins_loss(first[order], second[order])) == pytest.approx(loss)
    assert float(barlow_twins_loss(first[order], second)) > loss + 1


def test_the_more_the_views_have_in_common_the_less_they_cost() -> None:
    costs = [float(barlow_twins_loss(*views(200, 6, likeness))) for likeness in (0, 0.3, 0.6, 0.9, 1)]
    assert costs == sorted(costs, reverse=True)


def test_the_gradient_is_that_of_finite_differences() -> None:
    first, second = (view.requires_grad_() for view in views(5, 4))
    assert torch.autograd.gradcheck(lambda a, b: barlow_twins_loss(a, b, 0.3), (first, second))


def test_a_constant_column_correlates_with_nothing_and_does_no_harm() -> None:
    first, second = views(7, 4)
    without = float(barlow_twins_loss(first, second))
    constant = torch.full((7, 1), 3.0, dtype=torch.float64)
    wider = torch.cat([first, constant], 1).requires_grad_()
    loss = barlow_twins_loss(wider, torch.cat([second, constant], 1))
    loss.backward()
    assert loss.item() == pytest.approx(without + 1)
    assert wider.grad is not None and wider.grad.isfinite().all() and wider.grad[:, :4].abs().min() > 0
