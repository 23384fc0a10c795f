"""How well copies are found, from scores of queries against references: µAP, mAP, recall at k, and their intervals.

All are from 0 to 1, and more is better. Scores say how surely a reference is the original of a query; more is surer.
Equal scores are one step of the ranking, so the result does not hang on the order in which references are listed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.errors import ParameterError

Scores = NDArray[np.floating]
Mask = NDArray[np.bool_]
Weights = NDArray[np.floating]


@dataclass(frozen=True)
class Ranking:
    """The pairs of all queries and references in one list, the surest first; sorted once, resampled cheaply.

    Args:
        queries: (N,) the query's number, of each pair.
        positives: (N,) whether the reference is the query's original.
        last: (N,) the place of the last pair with the same score.
    """

    queries: NDArray[np.intp]
    positives: Mask
    last: NDArray[np.intp]

    @classmethod
    def of(cls, scores: Scores, positives: Mask, ignored: Mask | None = None) -> "Ranking":
        """Sort the pairs of a score matrix.

        Args:
            scores: (Q, R), finite.
            positives: (Q, R), the pairs that belong together.
            ignored: (Q, R), pairs that count neither for nor against; none when None.

        Raises:
            ParameterError: the shapes differ, or a score is not a number.
        """
        counted = _counted(scores, positives, ignored)
        queries, _ = np.nonzero(counted)
        order = np.argsort(-scores[counted], kind="stable")
        falling = scores[counted][order]
        ends = np.flatnonzero(np.append(falling[1:] != falling[:-1], True)) if len(falling) else np.zeros(0, np.intp)
        last = np.repeat(ends, np.diff(ends, prepend=-1))
        return cls(queries[order], positives[counted][order], last)

    def average_precision(self, weights: Weights | None = None) -> float:
        """``Σ precision(i) · Δrecall(i)`` down the list.

        Args:
            weights: (Q,) how often each query counts, 0 or more; once each when None.

        Returns:
            0 to 1; not a number when no positive pair has any weight.
        """
        weight = np.ones(len(self.queries)) if weights is None else weights[self.queries].astype(np.float64)
        found = weight * self.positives
        total = found.sum()
        if total <= 0:
            return float("nan")
        (at,) = np.nonzero(found)
        ends = self.last[at]
        precision = np.cumsum(found)[ends] / np.cumsum(weight)[ends]
        return float((precision * found[at]).sum() / total)


def micro_average_precision(scores: Scores, positives: Mask, ignored: Mask | None = None) -> float:
    """µAP: average precision over the pairs of all queries in one common ranking.

    ``µAP = Σᵢ p(i) · Δr(i)``, where p(i) is the share of right pairs among the i surest and r(i) the share of all
    right pairs that is among them. One threshold serves all queries: a score that is right for one and too high for
    the next costs. This is the measure of the Image Similarity Challenge (Douze et al., arXiv:2106.09672, section 4)
    and of the descriptor track of the Video Similarity Challenge (Pizzi et al., arXiv:2306.09489, section 4), over all
    pairs instead of submitted ones.

    >>> micro_average_precision(np.array([[0.9, 0.8], [0.7, 0.1]]), np.array([[True, False], [True, False]]))
    0.8333333333333333

    Raises:
        ParameterError: there is no right pair, the shapes differ, or a score is not a number.
    """
    return _defined(Ranking.of(scores, positives, ignored).average_precision())


def mean_average_precision(scores: Scores, positives: Mask, ignored: Mask | None = None) -> float:
    """mAP: the average precision of each query's own ranking, averaged over the queries that have an original.

    With one original a query this is the mean of 1 / rank. Unlike µAP it asks for no common threshold. Source: Manning,
    Raghavan and Schütze, Introduction to Information Retrieval, equation 8.8.

    Raises:
        ParameterError: see `micro_average_precision`.
    """
    return _mean(average_precisions(scores, positives, ignored))


def recall_at_k(scores: Scores, positives: Mask, k: int = 1, ignored: Mask | None = None) -> float:
    """The share of queries with an original among their first ``k``; a wrong one with an equal score goes before it.

    Raises:
        ParameterError: ``k`` is not positive; or see `micro_average_precision`.
    """
    return _mean(hits_at_k(scores, positives, k, ignored))


def average_precisions(scores: Scores, positives: Mask, ignored: Mask | None = None) -> NDArray[np.float64]:
    """(Q,), the average precision of each query's own ranking; not a number where it has no original.

    Raises:
        ParameterError: the shapes differ, or a score is not a number.
    """
    ignored = ~_counted(scores, positives, ignored)
    rows = [slice(row, row + 1) for row in range(len(scores))]
    return np.array([Ranking.of(scores[r], positives[r], ignored[r]).average_precision() for r in rows])


def hits_at_k(scores: Scores, positives: Mask, k: int = 1, ignored: Mask | None = None) -> NDArray[np.float64]:
    """(Q,), 1 where an original is among the first ``k``, else 0; not a number where a query has none.

    Raises:
        ParameterError: ``k`` is not positive, the shapes differ, or a score is not a number.
    """
    if k < 1:
        raise ParameterError(f"k is {k}; give 1 or more.")
    counted = _counted(scores, positives, ignored)
    right, wrong = positives & counted, ~positives & counted
    best = np.where(right, scores, -np.inf).max(axis=1, keepdims=True)
    before = (wrong & (scores >= best)).sum(axis=1)
    return np.where(right.any(axis=1), (before < k).astype(np.float64), np.nan)


def bootstrap_interval(
    statistic: Callable[[Weights], float],
    groups: Sequence[str],
    rounds: int = 1000,
    seed: int = 0,
    confidence: float = 0.95,
) -> tuple[float, float]:
    """The percentile bootstrap: between which values a measure lies when the groups are drawn anew, with replacement.

    Copies of one source stand or fall together, so whole sources are drawn and not single queries (Efron and
    Tibshirani, An Introduction to the Bootstrap, sections 8.4 and 13.3). The references stay as they are.

    Args:
        statistic: the measure for weights (Q,), which say how often each query was drawn.
        groups: (Q,) what each query is drawn together with.
        rounds: how often the groups are drawn, 1 or more.
        seed: chooses the draws; measures with the same groups and seed see the same draws.
        confidence: share of the draws inside the interval, above 0 and below 1.

    Returns:
        The lower and the upper bound.

    Raises:
        ParameterError: a number is out of its range, or there are no groups.
    """
    if rounds < 1 or not 0 < confidence < 1 or not len(groups):
        raise ParameterError(
            f"rounds is {rounds}, confidence {confidence} and there are {len(groups)} queries; "
            "give 1 or more rounds and queries, and a confidence between 0 and 1."
        )
    random = np.random.default_rng(seed)
    names, member = np.unique(np.asarray(groups), return_inverse=True)
    drawn = (np.bincount(random.integers(len(names), size=len(names)), minlength=len(names)) for _ in range(rounds))
    values = [statistic(counts[member].astype(np.float64)) for counts in drawn]
    low, high = np.nanquantile(values, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def _counted(scores: Scores, positives: Mask, ignored: Mask | None) -> Mask:
    """The pairs that count, (Q, R), once all three are seen to fit together."""
    counted = np.ones(scores.shape, bool) if ignored is None else ~ignored
    if scores.ndim != 2 or positives.shape != scores.shape or counted.shape != scores.shape:
        raise ParameterError(
            f"Scores {scores.shape}, right pairs {positives.shape} and counted pairs {counted.shape} differ; "
            "give all as (Q, R)."
        )
    if np.isnan(scores[counted]).any():
        raise ParameterError("A score is not a number; give the least score to pairs that cannot be compared.")
    return counted


def _mean(values: NDArray[np.float64]) -> float:
    defined = values[~np.isnan(values)]
    return _defined(float(defined.mean()) if len(defined) else float("nan"))


def _defined(value: float) -> float:
    if np.isnan(value):
        raise ParameterError("No query has an original among the references; give pairs that belong together.")
    return value
