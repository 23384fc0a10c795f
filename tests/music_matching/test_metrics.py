"""Ranks, recall and intervals."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.music_matching.metrics import bootstrap, chance_at_k, ranks_of, recall_at_k


@given(st.integers(0, 10_000), st.integers(1, 12), st.integers(2, 12))
def test_the_rank_is_the_place_of_the_best_right_candidate(seed: int, queries: int, candidates: int) -> None:
    random = np.random.default_rng(seed)
    scores = random.permutation(queries * candidates).reshape(queries, candidates).astype(float)
    right = random.random((queries, candidates)) < 0.3
    right[np.arange(queries), random.integers(0, candidates, queries)] = True
    for rank, row, good in zip(ranks_of(scores, right), scores, right, strict=True):
        order = list(np.argsort(-row))
        assert rank == 1 + min(order.index(index) for index in np.flatnonzero(good))


def test_a_model_that_tells_nothing_apart_is_at_chance() -> None:
    right = np.eye(9, dtype=bool)
    assert (ranks_of(np.zeros((9, 9)), right) == 5).all()


@pytest.mark.parametrize("k", [1, 5, 10])
def test_chance_is_what_random_orders_reach(k: int) -> None:
    random = np.random.default_rng(0)
    right = np.zeros((40, 25), bool)
    for row, count in zip(right, random.integers(1, 4, 40), strict=True):
        row[random.choice(25, count, replace=False)] = True
    drawn = [recall_at_k(ranks_of(random.random(right.shape), right), k) for _ in range(400)]
    assert chance_at_k(right, k) == pytest.approx(np.mean(drawn), abs=0.02)


def test_the_interval_holds_the_figure_and_is_wider_for_fewer_groups() -> None:
    ranks = np.random.default_rng(1).integers(1, 30, 60).astype(float)
    many = bootstrap(ranks, [str(n) for n in range(60)], lambda r: recall_at_k(r, 10))
    few = bootstrap(np.repeat(ranks[:6], 10), [str(n // 10) for n in range(60)], lambda r: recall_at_k(r, 10))
    assert many.low <= many.value <= many.high
    assert few.high - few.low > many.high - many.low
