"""Correlations against their definitions, and ladders that fall or do not."""

import numpy as np
import pytest

from core.video_quality.metrics import bootstrap, falling_share, plcc, srcc

RANDOM = np.random.default_rng(0)


def test_rank_correlation_is_pearson_s_of_the_ranks() -> None:
    x, y = RANDOM.normal(size=(2, 40))
    ranks = [np.argsort(np.argsort(values)) for values in (x, y)]
    assert srcc(x, y) == pytest.approx(np.corrcoef(ranks[0], ranks[1])[0, 1])


def test_any_rising_curve_keeps_the_rank_correlation_and_a_logistic_one_the_linear() -> None:
    labels = RANDOM.uniform(1, 5, 80)
    assert srcc(np.exp(3 * labels), labels) == pytest.approx(1)
    assert plcc(np.log((labels - 0.9) / (5.1 - labels)), labels) > 0.999


def test_scores_without_any_difference_agree_with_nothing() -> None:
    labels = RANDOM.uniform(1, 5, 10)
    assert srcc(np.ones(10), labels) == 0
    assert plcc(np.ones(10), labels) == 0


def test_only_steps_whose_labels_fall_are_counted() -> None:
    down, flat = ([5, 4, 3, 2], [4.7, 4.0, 3.0, 2.0]), ([5, 6, 7], [4.7, 4.69, 4.68])
    assert falling_share([down, flat]) == 1
    assert falling_share([([5, 4, 4.5, 2], down[1])]) == pytest.approx(2 / 3)
    assert falling_share([([5, 5], [4.7, 4.0])]) == 0, "an equal score does not fall"


def test_the_interval_holds_the_measure_and_narrows_with_the_number_of_films() -> None:
    def width(films: int) -> float:
        labels = RANDOM.uniform(1, 5, films * 5)
        scores = labels + RANDOM.normal(0, 1, labels.shape)
        low, high = bootstrap(srcc, scores, labels, [str(n // 5) for n in range(len(labels))])
        assert low <= srcc(scores, labels) <= high
        return high - low

    assert width(60) < width(8)
