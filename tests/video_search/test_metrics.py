"""The measures against hand-worked rankings, against their definition written out, and against their own laws."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from core.errors import ParameterError
from core.video_search.metrics import (
    Mask,
    Ranking,
    Scores,
    average_precisions,
    bootstrap_interval,
    mean_average_precision,
    micro_average_precision,
    recall_at_k,
)

SCORES = np.array([[0.9, 0.8, 0.1], [0.7, 0.6, 0.2], [0.3, 0.4, 0.5]])
OWN = np.eye(3, dtype=bool)
"""All nine pairs from the surest: own (0.9), wrong, wrong, own (0.6), own (0.5), wrong, wrong, wrong, wrong."""


def slow_average_precision(pairs: list[tuple[float, bool]]) -> float:
    """The definition: precision at each threshold, times how much recall rises there."""
    total, recall_before, area = sum(positive for _, positive in pairs), 0.0, 0.0
    for threshold in sorted({score for score, _ in pairs}, reverse=True):
        found = [positive for score, positive in pairs if score >= threshold]
        recall = sum(found) / total
        area += sum(found) / len(found) * (recall - recall_before)
        recall_before = recall
    return area


@st.composite
def trials(draw: st.DrawFn) -> tuple[Scores, Mask, Mask]:
    """Scores with many ties, each query with an original that counts, and some pairs that do not."""
    queries, references = draw(st.integers(1, 6)), draw(st.integers(2, 7))
    random = np.random.default_rng(draw(st.integers(0, 10**6)))
    positives = random.random((queries, references)) < 0.3
    positives[np.arange(queries), random.integers(references, size=queries)] = True
    return (
        random.integers(0, 6, (queries, references)) / 4,
        positives,
        ~positives & (random.random(positives.shape) < 0.2),
    )


def counted(trial: tuple[Scores, Mask, Mask], rows: NDArray[np.intp] | slice = slice(None)) -> list[tuple[float, bool]]:
    scores, positives, ignored = (array[rows] for array in trial)
    return [(float(s), bool(p)) for s, p, i in zip(scores.flat, positives.flat, ignored.flat, strict=True) if not i]


def test_measures_are_those_worked_out_by_hand() -> None:
    assert micro_average_precision(SCORES, OWN) == pytest.approx((1 / 1 + 2 / 4 + 3 / 5) / 3)
    assert mean_average_precision(SCORES, OWN) == pytest.approx((1 + 1 / 2 + 1) / 3)
    assert average_precisions(SCORES, OWN) == pytest.approx([1, 1 / 2, 1])
    assert recall_at_k(SCORES, OWN, 1) == pytest.approx(2 / 3)
    assert recall_at_k(SCORES, OWN, 2) == 1


def test_one_threshold_for_all_is_what_micro_average_precision_asks_for() -> None:
    """Every query has its own original first, but the sure query's wrong pair is surer than the unsure one's right."""
    scores = np.array([[0.9, 0.8], [0.2, 0.3]])
    assert mean_average_precision(scores, np.eye(2, dtype=bool)) == 1
    assert micro_average_precision(scores, np.eye(2, dtype=bool)) == pytest.approx((1 + 2 / 3) / 2)


@settings(max_examples=60, deadline=None)
@given(trials())
def test_measures_agree_with_their_definition_written_out(trial: tuple[Scores, Mask, Mask]) -> None:
    scores, positives, ignored = trial
    assert micro_average_precision(scores, positives, ignored) == pytest.approx(slow_average_precision(counted(trial)))
    rows = [slow_average_precision(counted(trial, slice(row, row + 1))) for row in range(len(scores))]
    assert mean_average_precision(scores, positives, ignored) == pytest.approx(np.mean(rows))
    for k in (1, 2, 5):
        found = 0
        for row in range(len(scores)):
            pairs = sorted(counted(trial, slice(row, row + 1)), key=lambda pair: (-pair[0], pair[1]))
            found += any(positive for _, positive in pairs[:k])
        assert recall_at_k(scores, positives, k, ignored) == pytest.approx(found / len(scores))


@settings(max_examples=40, deadline=None)
@given(trials(), st.randoms(use_true_random=False))
def test_the_order_of_references_and_a_rising_change_of_scores_do_not_matter(
    trial: tuple[Scores, Mask, Mask], random: object
) -> None:
    order = np.random.default_rng(hash(random) % 1000).permutation(trial[0].shape[1])
    for measure in (micro_average_precision, mean_average_precision, lambda s, p, i: recall_at_k(s, p, 1, i)):
        scores, positives, ignored = trial
        expected = measure(scores, positives, ignored)
        assert measure(scores[:, order], positives[:, order], ignored[:, order]) == pytest.approx(expected)
        assert measure(np.exp(3 * scores) - 5, positives, ignored) == pytest.approx(expected)


@settings(max_examples=40, deadline=None)
@given(trials(), st.integers(0, 1000))
def test_a_weight_is_as_good_as_a_repetition(trial: tuple[Scores, Mask, Mask], seed: int) -> None:
    weights = np.random.default_rng(seed).integers(0, 4, len(trial[0])).astype(float)
    weights[0] += 1
    rows = np.repeat(np.arange(len(weights)), weights.astype(int))
    scores, positives, ignored = trial
    repeated = micro_average_precision(scores[rows], positives[rows], ignored[rows])
    assert Ranking.of(*trial).average_precision(weights) == pytest.approx(repeated)


def test_a_query_without_an_original_lowers_only_the_micro_average() -> None:
    scores = np.array([[0.9, 0.1], [0.95, 0.2]])
    positives = np.array([[True, False], [False, False]])
    assert micro_average_precision(scores, positives) == pytest.approx(1 / 2)
    assert mean_average_precision(scores, positives) == 1 and recall_at_k(scores, positives) == 1


def test_a_left_out_pair_counts_neither_for_nor_against() -> None:
    ignored = np.zeros((3, 3), bool)
    ignored[1, 0] = ignored[0, 1] = True
    assert micro_average_precision(SCORES, OWN, ignored) == 1
    assert recall_at_k(SCORES, OWN, 1, ignored) == 1


def test_a_score_that_is_the_same_for_all_pairs_is_worth_the_share_of_right_ones() -> None:
    assert micro_average_precision(np.zeros((3, 3)), OWN) == pytest.approx(1 / 3)
    assert recall_at_k(np.zeros((3, 3)), OWN) == 0


def test_the_bootstrap_draws_whole_groups_with_replacement() -> None:
    """With two groups there are three draws: 00, 01 (twice as likely), 11."""
    groups = ["a", "a", "b"]
    drawn: list[tuple[float, ...]] = []

    def statistic(weights: NDArray[np.floating]) -> float:
        drawn.append(tuple(weights))
        return float(weights[0])

    bootstrap_interval(statistic, groups, rounds=400, seed=1)
    assert set(drawn) == {(2, 2, 0), (1, 1, 1), (0, 0, 2)}
    assert drawn.count((1, 1, 1)) == pytest.approx(200, abs=50)


def test_the_interval_of_a_mean_is_as_wide_as_theory_says() -> None:
    """For the mean of n independent values: ± 1.96 standard deviations / √n."""
    values = np.random.default_rng(0).normal(5, 2, 400)
    low, high = bootstrap_interval(lambda w: float(np.average(values, weights=w)), [str(n) for n in range(400)], 2000)
    expected = 1.96 * values.std() / 20
    assert (low, high) == pytest.approx((values.mean() - expected, values.mean() + expected), abs=0.03)


def test_copies_of_one_source_are_no_independent_proof() -> None:
    """Ten equal copies of each of 20 sources give the interval of 20 values, not that of 200."""
    values = np.repeat(np.random.default_rng(0).normal(0, 1, 20), 10)
    by_source = [str(n // 10) for n in range(200)]
    wide, narrow = (
        bootstrap_interval(lambda w: float(np.average(values, weights=w)), groups)
        for groups in (by_source, [str(n) for n in range(200)])
    )
    assert wide[1] - wide[0] > 2.5 * (narrow[1] - narrow[0])


def test_what_cannot_be_measured_is_named() -> None:
    with pytest.raises(ParameterError, match="No query has an original"):
        micro_average_precision(SCORES, np.zeros((3, 3), bool))
    with pytest.raises(ParameterError, match="No query has an original"):
        recall_at_k(SCORES, np.zeros((3, 3), bool))
    for measure in (micro_average_precision, mean_average_precision, recall_at_k):
        with pytest.raises(ParameterError, match="not a number"):
            measure(np.where(OWN, np.nan, SCORES), OWN)
        with pytest.raises(ParameterError, match=r"\(3, 2\)"):
            measure(SCORES, OWN[:, :2])
    with pytest.raises(ParameterError, match="k is 0"):
        recall_at_k(SCORES, OWN, 0)
    for rounds, confidence, groups in ((0, 0.95, ["a"]), (10, 1.0, ["a"]), (10, 0.95, [])):
        with pytest.raises(ParameterError, match="rounds is"):
            bootstrap_interval(lambda weights: 0.0, groups, rounds, confidence=confidence)
