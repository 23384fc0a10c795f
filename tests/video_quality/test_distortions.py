"""Every ladder goes down, step by step, and leaves the number and the size of the pictures."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest

from core.video_quality.distortions import (
    LADDERS,
    PRISTINE,
    STEPS,
    Ladder,
    Scene,
    both,
    by_name,
    frame_rate_score,
)
from core.video_quality.results import FAULTS
from tests.factories import Pixels

NAMES = [ladder.name for ladder in LADDERS]


def error(made: list[Pixels], scene: Scene) -> float:
    pairs = zip(made, scene.pictures, strict=True)
    return float(np.mean([(a.astype(float) - b.astype(float)) ** 2 for a, b in pairs]))


@pytest.mark.parametrize("ladder", LADDERS, ids=NAMES)
def test_every_step_strays_further_from_the_clean_clip(ladder: Ladder, scene: Scene) -> None:
    made = [ladder.apply(scene, strength) for strength in ladder.strengths]
    assert len(made) == STEPS
    for clip in made:
        assert len(clip) == len(scene.pictures)
        assert {picture.shape for picture in clip} == {scene.pictures[0].shape}
        assert {picture.dtype for picture in clip} == {np.dtype(np.uint8)}
    errors = [error(clip, scene) for clip in made]
    if ladder.name in ("frame_drop", "freeze", "shake"):  # where it stands still or lies is drawn: more is not further
        assert min(errors) > 0
    elif ladder.name == "transmission":  # which slices are hit is drawn
        assert errors[-1] > 4 * errors[0]
    else:
        assert errors == sorted(errors) and errors[0] > 0


@pytest.mark.parametrize("ladder", LADDERS, ids=NAMES)
def test_the_same_seed_gives_the_same_clip(ladder: Ladder, scene: Scene) -> None:
    first, second = (ladder.apply(scene, ladder.strengths[2]) for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize("ladder", LADDERS, ids=NAMES)
def test_labels_fall_from_below_the_clean_one_s(ladder: Ladder) -> None:
    assert ladder.fault in FAULTS
    assert list(ladder.scores) == sorted(ladder.scores, reverse=True)
    assert all(1 <= score < PRISTINE for score in ladder.scores)
    assert bool(ladder.scores) + ladder.by_vmaf + (ladder.name == "frame_drop") == 1


def test_a_frozen_film_shows_one_picture_for_its_share_of_the_time(scene: Scene) -> None:
    repeated = [
        sum(np.array_equal(a, b) for a, b in itertools.pairwise(clip))
        for clip in (by_name["freeze"].apply(scene, share) for share in (0.25, 0.5, 0.9))
    ]
    assert repeated == [2, 5, 10]


def test_dropped_frames_leave_every_nth(scene: Scene) -> None:
    clip = by_name["frame_drop"].apply(scene, 4)
    assert [next(n for n, p in enumerate(scene.pictures) if p is shown) for shown in clip] == [0] * 4 + [4] * 4 + [
        8
    ] * 4


def test_noise_has_the_variance_it_says() -> None:
    grey = Scene([np.full((64, 64, 3), 128, np.uint8)] * 8, Fraction(8), 0)
    noise = np.stack(by_name["noise"].apply(grey, 0.005)).astype(float) - 128
    assert noise.var() / 255**2 == pytest.approx(0.005, rel=0.03)


def test_banding_leaves_as_many_levels_as_it_says() -> None:
    ramp = np.broadcast_to(np.arange(256, dtype=np.uint8)[None, :, None], (32, 256, 3))
    (banded,) = by_name["banding"].apply(Scene([ramp], Fraction(1), 0), 7)
    assert len(np.unique(banded)) == 7


def test_the_label_of_a_lower_frame_rate_is_the_formula() -> None:
    def factor(rate: float) -> float:
        return (1 - math.exp(-5 * min(1, rate / 30))) / (1 - math.exp(-5))

    assert frame_rate_score(Fraction(24), Fraction(6)) == pytest.approx(1 + 3.7 * factor(6) / factor(24))
    assert frame_rate_score(Fraction(60), Fraction(30)) == pytest.approx(PRISTINE)


def test_two_faults_are_worse_than_either_and_no_fault_changes_nothing() -> None:
    assert both(3.5, 3.0) < 3.0
    assert both(PRISTINE, 2.5) == pytest.approx(2.5)
    assert both(1.0, 4.0) == 1
