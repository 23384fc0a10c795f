"""How well scores agree with labels, and whether they fall where they should."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import curve_fit
from scipy.stats import pearsonr, spearmanr

Floats = NDArray[np.floating]
LEAST_STEP = 0.05
"""Labels of neighbouring steps that differ by less are not held to be in order."""


def srcc(scores: Sequence[float] | Floats, labels: Sequence[float] | Floats) -> float:
    """Spearman's rank correlation, −1 to 1, more is better; 0 where all scores or all labels are equal."""
    if np.ptp(scores) == 0 or np.ptp(labels) == 0:
        return 0.0
    return float(spearmanr(scores, labels).statistic)


def plcc(scores: Sequence[float] | Floats, labels: Sequence[float] | Floats) -> float:
    """Pearson's correlation after a logistic of four parameters is fitted from scores to labels.

    Source: VQEG, final report on full-reference television, 2000: ``(a − b) / (1 + exp(−(x − c) / d)) + b``. Where the
    fit fails, the scores are taken as they are.
    """
    x, y = np.asarray(scores, np.float64), np.asarray(labels, np.float64)
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        return 0.0
    start = [
        y.max(),
        y.min(),
        float(np.median(x)),
        max(1e-6, float(x.std()) / 2) * np.sign(np.corrcoef(x, y)[0, 1] or 1),
    ]
    try:
        fitted, _ = curve_fit(_logistic, x, y, start, maxfev=20_000)
        x = _logistic(x, *fitted).astype(np.float64)
    except RuntimeError:
        pass
    return float(pearsonr(x, y).statistic) if np.ptp(x) > 0 else 0.0


def falling_share(ladders: Sequence[tuple[Sequence[float], Sequence[float]]]) -> float:
    """The share of neighbouring steps of ladders at which the score falls, 0 to 1.

    Args:
        ladders: for each the scores and the labels from clean to ruined; only steps whose labels fall by at least
            `LEAST_STEP` count.
    """
    falls = [
        after < before
        for scores, labels in ladders
        for before, after, label, next_label in zip(scores, scores[1:], labels, labels[1:], strict=False)
        if label - next_label >= LEAST_STEP
    ]
    return float(np.mean(falls)) if falls else 1.0


def bootstrap(
    measure: Callable[[Floats, Floats], float], scores: Floats, labels: Floats, groups: Sequence[str], draws: int = 300
) -> tuple[float, float]:
    """The 95 % interval of a measure when whole groups (films) are drawn anew with replacement."""
    random = np.random.default_rng(0)
    members = [np.flatnonzero(np.asarray(groups) == group) for group in sorted(set(groups))]
    found = []
    for _ in range(draws):
        rows = np.concatenate([members[index] for index in random.integers(0, len(members), len(members))])
        found.append(measure(scores[rows], labels[rows]))
    low, high = np.percentile(found, [2.5, 97.5])
    return float(low), float(high)


def _logistic(x: Floats, top: float, bottom: float, middle: float, width: float) -> Floats:
    return (top - bottom) / (1 + np.exp(-np.clip((x - middle) / width, -500, 500))) + bottom
