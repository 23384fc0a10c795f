"""The five levels: means are kept, words are those of the nearest level."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.video_quality.levels import LEVELS, deviation_of, distribution_of, level_of, mean_of

scores = st.floats(1, 5)


@given(scores, st.floats(0.3, 1.2))
def test_a_distribution_has_the_mean_it_was_made_for(mos: float, spread: float) -> None:
    shares = distribution_of(mos, spread)
    assert shares.sum() == pytest.approx(1, abs=1e-5)
    assert (shares >= 0).all()
    assert mean_of(shares) == pytest.approx(mos, abs=2e-3)


@given(scores, scores)
def test_more_quality_shifts_every_share_upwards(first: float, second: float) -> None:
    low, high = sorted((first, second))
    assert (np.cumsum(distribution_of(low)) >= np.cumsum(distribution_of(high)) - 1e-4).all()


@given(scores)
def test_the_word_is_the_nearest_level_s(score: float) -> None:
    assert abs(LEVELS.index(level_of(score)) + 1 - score) <= 0.5 + 1e-9


def test_the_deviation_is_that_of_the_levels() -> None:
    assert deviation_of([0, 0, 1, 0, 0]) == 0
    assert deviation_of([0.5, 0, 0, 0, 0.5]) == pytest.approx(2)
