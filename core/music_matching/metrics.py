"""How well the right track is found: recall at k, median rank, and their intervals.

Ranks begin with 1. Equal scores share the mean of their places, so that a model that tells nothing apart is at chance.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.floating]
Mask = NDArray[np.bool_]


def ranks_of(scores: Scores, right: Mask) -> NDArray[np.float64]:
    """The rank of the best right candidate of each query: (Q,), 1 is best.

    Args:
        scores: (Q, C), more is better.
        right: (Q, C), which candidates are right; at least one of each query.

    >>> ranks_of(np.array([[0.9, 0.5, 0.1], [0.2, 0.2, 0.2]]), np.eye(2, 3, 1, dtype=bool)).tolist()
    [2.0, 2.0]
    """
    best = np.where(right, scores, -np.inf).max(1, keepdims=True)
    above = (scores > best).sum(1)
    level = ((scores == best) & ~right).sum(1)
    return 1 + above + level / 2


def recall_at_k(ranks: NDArray[np.floating], k: int) -> float:
    """Share of queries whose rank is at most k: 0 to 1, more is better."""
    return float((ranks <= k).mean())


def chance_at_k(right: Mask, k: int) -> float:
    """The recall at k of candidates in random order: the mean over queries of ``1 - C(n - r, k) / C(n, k)``."""
    n = right.shape[1]
    missed = [np.prod([max(0, n - r - i) / (n - i) for i in range(min(k, n))]) for r in right.sum(1)]
    return float(1 - np.mean(missed))


@dataclass(frozen=True)
class Interval:
    """A figure with its 95 % interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})"


def bootstrap(
    ranks: NDArray[np.floating],
    groups: Sequence[str],
    figure: Callable[[NDArray[np.floating]], float],
    draws: int = 1000,
    seed: int = 0,
) -> Interval:
    """A figure of ranks with the 2.5th and 97.5th percentile of a cluster bootstrap.

    Queries with one right answer stand together or not at all: what is drawn, with replacement, are their groups.

    Args:
        ranks: (Q,).
        groups: (Q,) the group of each query.
        figure: from ranks to a number.
        draws: how many samples.
        seed: of the draws.
    """
    names = np.array(groups)
    members = [np.flatnonzero(names == name) for name in dict.fromkeys(groups)]
    random = np.random.default_rng(seed)
    drawn = [
        figure(ranks[np.concatenate([members[i] for i in random.integers(0, len(members), len(members))])])
        for _ in range(draws)
    ]
    return Interval(figure(ranks), float(np.quantile(drawn, 0.025)), float(np.quantile(drawn, 0.975)))
