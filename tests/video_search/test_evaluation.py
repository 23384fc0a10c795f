"""A trial with few films, whose outcome can be worked out by hand."""

import numpy as np
import pytest

from core.errors import ParameterError
from core.video_search.evaluation import OVERALL, Trial, advantage, evaluate
from core.video_search.metrics import micro_average_precision, recall_at_k

REFERENCES = ["a", "b", "b again", "c"]
SOURCES = ["a", "b", "c", "a", "b", "c"]
TRANSFORMS = ["crop"] * 3 + ["blur"] * 3
SCORES = np.array(
    [
        [0.9, 0.1, 0.1, 0.2],
        [0.1, 0.8, 0.85, 0.3],
        [0.2, 0.1, 0.1, 0.7],
        [0.4, 0.1, 0.1, 0.5],
        [0.1, 0.6, 0.65, 0.2],
        [0.1, 0.1, 0.1, 0.3],
    ]
)
TWINS = {"b": "b", "b again": "b"}


def test_each_transform_is_measured_on_its_own_copies_and_against_all_references() -> None:
    overall, crop, blur = evaluate(SCORES, Trial(REFERENCES, SOURCES, TRANSFORMS, TWINS), rounds=50)
    assert [row.transform for row in (overall, crop, blur)] == [OVERALL, "crop", "blur"]
    assert [row.copies for row in (overall, crop, blur)] == [6, 3, 3]
    assert crop.micro_average_precision.value == crop.recall_at_1.value == 1
    assert blur.recall_at_1.value == pytest.approx(2 / 3)
    assert blur.mean_average_precision.value == pytest.approx((1 + 1 + 1 / 2) / 3)
    assert blur.micro_average_precision.value == pytest.approx((1 / 1 + 2 / 3 + 3 / 4) / 3)
    assert overall.recall_at_1.value == pytest.approx(5 / 6)
    assert overall.micro_average_precision.value == pytest.approx((1 + 1 + 1 + 1 + 5 / 6 + 6 / 8) / 6, abs=0.02)


def test_a_twin_is_a_distractor_unless_it_is_named() -> None:
    unnamed, named = (evaluate(SCORES, Trial(REFERENCES, SOURCES, TRANSFORMS, twins), 20)[0] for twins in ({}, TWINS))
    assert unnamed.recall_at_1.value == pytest.approx(3 / 6)
    assert named.recall_at_1.value == pytest.approx(5 / 6)


def test_a_film_behind_a_copy_is_not_counted_against_it_nor_is_that_films_twin() -> None:
    scores = np.array([[0.3, 0.9, 0.8, 0.1], [0.9, 0.1, 0.1, 0.95]])
    sources, transforms = ["a", "a"], ["picture_in_picture", "crop"]
    counted = Trial(REFERENCES, sources, transforms, TWINS, ["b", None])
    assert evaluate(scores, counted, 10)[1].recall_at_1.value == 1
    assert evaluate(scores, counted, 10)[2].recall_at_1.value == 0
    assert evaluate(scores, Trial(REFERENCES, sources, transforms, TWINS), 10)[1].recall_at_1.value == 0


def test_the_original_itself_counts_even_where_it_is_its_own_background() -> None:
    trial = Trial(REFERENCES, ["a"], ["crop"], {}, ["a"])
    assert trial.positives.tolist() == [[True, False, False, False]] and not trial.ignored.any()


def test_measures_and_intervals_are_those_of_the_metrics() -> None:
    random = np.random.default_rng(0)
    names = [str(n) for n in range(12)]
    trial = Trial(names, names * 3, ["one"] * 12 + ["two"] * 24)
    scores = random.random((36, 12)) + 0.4 * trial.positives
    rows = evaluate(scores, trial, rounds=200)
    assert rows[0].micro_average_precision.value == micro_average_precision(scores, trial.positives)
    assert rows[2].recall_at_1.value == recall_at_k(scores[12:], trial.positives[12:])
    for row in rows:
        for estimate in (row.micro_average_precision, row.mean_average_precision, row.recall_at_1):
            assert estimate.low < estimate.value < estimate.high
            assert str(estimate) == f"{estimate.value:.3f} ({estimate.low:.3f} to {estimate.high:.3f})"
    assert rows == evaluate(scores, trial, rounds=200)


def test_a_better_method_is_ahead_and_a_method_is_never_ahead_of_itself() -> None:
    random = np.random.default_rng(0)
    names = [str(n) for n in range(30)]
    trial = Trial(names, names, ["one"] * 30)
    noise = random.random((30, 30))
    good, poor = noise + 0.8 * trial.positives, noise[:, ::-1] + 0.2 * trial.positives
    ahead = advantage(good, poor, trial, 200)
    assert 0 < ahead.low < ahead.value < ahead.high
    behind = advantage(poor, good, trial, 200)
    assert (behind.value, behind.low, behind.high) == pytest.approx((-ahead.value, -ahead.high, -ahead.low))
    assert advantage(good, good, trial, 50).low == advantage(good, good, trial, 50).high == 0


def test_descriptors_that_match_their_originals_are_all_found() -> None:
    references = np.random.default_rng(0).normal(size=(20, 16))
    names = [str(n) for n in range(20)]
    copies = references + 0.1 * np.random.default_rng(1).normal(size=(20, 16))
    lengths = np.outer(np.linalg.norm(copies, axis=1), np.linalg.norm(references, axis=1))
    (overall, _) = evaluate(copies @ references.T / lengths, Trial(names, names, ["noise"] * 20), 20)
    assert overall.micro_average_precision.value == overall.mean_average_precision.value == 1


def test_a_trial_that_does_not_fit_together_is_named() -> None:
    with pytest.raises(ParameterError, match="d is the source"):
        Trial(REFERENCES, ["d"], ["crop"])
    with pytest.raises(ParameterError, match="named twice"):
        Trial(["a", "a"], ["a"], ["crop"])
    for transforms, backgrounds in (([], ()), (["crop"], (None, None))):
        with pytest.raises(ParameterError, match="There are 1 sources"):
            Trial(REFERENCES, ["a"], transforms, {}, backgrounds)
    with pytest.raises(ParameterError, match=r"\(6, 3\)"):
        evaluate(SCORES[:, :3], Trial(REFERENCES, SOURCES, TRANSFORMS))
