"""The trained networks: a photograph that a camera moves across goes down the ladders, and the score with it."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.video_quality.clean import panned
from core.video_quality.distortions import PRISTINE, Scene, by_name
from core.video_quality.ensemble import Ensemble
from core.video_quality.levels import mean_of
from core.video_quality.results import FAULTS
from core.video_quality.sampling import Window, window_of
from core.video_quality.student import QualityScorer, Verdict

LADDERS = ("h264", "gaussian_blur", "rescale", "noise", "dark", "freeze", "shake")


@pytest.fixture(scope="module")
def clean() -> Scene:
    with Image.open(Path(__file__).parents[1] / "assets" / "coffee.jpg") as opened:
        picture = np.asarray(opened.convert("RGB"))
    return Scene(panned(picture, (picture.shape[1], picture.shape[0]), 50, seed=2), Fraction(25), seed=3)


@pytest.fixture(scope="module")
def scorer() -> QualityScorer:
    return QualityScorer()


def windows(pictures: list[np.ndarray]) -> list[Window]:
    return [window_of(pictures[:25]), window_of(pictures[25:])]


def verdict(scorer: QualityScorer, pictures: list[np.ndarray]) -> Verdict:
    return scorer.judge(scorer.describe(windows(pictures)).mean(0))


def test_a_clean_film_scores_well_and_the_teachers_agree(scorer: QualityScorer, clean: Scene) -> None:
    score = mean_of(verdict(scorer, list(clean.pictures)).distribution)
    assert abs(score - PRISTINE) < 0.6
    told = Ensemble().explain(windows(list(clean.pictures)))
    assert abs(told.score - score) < 1 and sum(told.importances.values()) == pytest.approx(1)


@pytest.mark.parametrize("name", LADDERS)
def test_the_score_falls_down_a_ladder_and_the_fault_is_named(scorer: QualityScorer, clean: Scene, name: str) -> None:
    ladder = by_name[name]
    steps = [verdict(scorer, list(clean.pictures))]
    steps += [verdict(scorer, ladder.apply(clean, ladder.strengths[step])) for step in (2, 4)]
    scores = [mean_of(step.distribution) for step in steps]
    assert scores[0] > scores[1] > scores[2] and scores[0] - scores[2] > 1
    assert steps[2].faults[FAULTS.index(ladder.fault)] > 0.5
