"""The five levels of quality, and how a mean opinion and a distribution over the levels go together (METHODS 5).

The levels are those of ITU-R BT.500 and ITU-T P.910: bad, poor, fair, good, excellent, from 1 to 5. A network gives a
distribution over them; the score is its mean.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

LEVELS = ("bad", "poor", "fair", "good", "excellent")
SPREAD = 0.6
"""Deviation of single opinions about the mean, in levels, that a training label is given."""


def distribution_of(mos: float, spread: float = SPREAD) -> NDArray[np.float32]:
    """The distribution over the five levels with a given mean: a normal one cut at the ends, of unchanged mean.

    Args:
        mos: mean opinion, 1 to 5.
        spread: deviation of the opinions before they are cut.

    Returns:
        (5,), sum 1, mean ``mos`` to within 0.001.

    >>> [round(float(share), 2) for share in distribution_of(3.0)]
    [0.0, 0.17, 0.66, 0.17, 0.0]
    """
    levels = np.arange(1, 6)
    low, high = -20.0, 26.0
    for _ in range(60):  # the mean of the cut distribution rises with the centre, so halving finds it
        centre = (low + high) / 2
        weights = np.exp(-0.5 * ((levels - centre) / spread) ** 2 + 0.5 * ((levels - centre) / spread).min() ** 2)
        weights /= weights.sum()
        low, high = (centre, high) if weights @ levels < mos else (low, centre)
    return weights.astype(np.float32)


def mean_of(distribution: Sequence[float] | NDArray[np.floating]) -> float:
    """The score, 1 to 5, of a distribution over the levels."""
    return float(np.dot(np.asarray(distribution, np.float64), np.arange(1, 6)) / np.sum(distribution))


def deviation_of(distribution: Sequence[float] | NDArray[np.floating]) -> float:
    """The standard deviation of a distribution over the levels, in levels."""
    weights = np.asarray(distribution, np.float64) / np.sum(distribution)
    levels = np.arange(1, 6)
    return math.sqrt(max(0.0, float(weights @ (levels - weights @ levels) ** 2)))


def level_of(score: float) -> str:
    """The word for a score from 1 to 5: that of the nearest level.

    >>> level_of(1.0), level_of(3.6), level_of(4.5)
    ('bad', 'good', 'excellent')
    """
    return LEVELS[min(4, max(0, math.floor(score + 0.5) - 1))]
