"""The measures of the evaluation on courses whose answer is known, and the table of a network that does nothing."""

import math
from dataclasses import asdict

import numpy as np
import pytest
import torch

from core.bulk import ALONE, Workers
from core.lip_sync.articulation import Phone, articulation
from core.lip_sync.evaluation import (
    EvaluateConfig,
    Measured,
    Perceptual,
    Reconstruction,
    Saying,
    as_table,
    closed_share,
    evaluate,
    opening_correlation,
)
from core.lip_sync.generator import MouthNetwork
from core.lip_sync.material import cartoons, synthetic
from core.lip_sync.network import new_network
from core.lip_sync.voices import VoiceConfig


def test_the_correlation_of_a_mouth_that_does_not_move_is_none() -> None:
    course = np.sin(np.arange(50.0))

    assert opening_correlation(0.3 * course + 2, course) == pytest.approx(1)
    assert opening_correlation(-course, course) == pytest.approx(-1)
    assert opening_correlation(np.zeros(50), course) == 0


def test_lips_are_counted_where_they_are_to_be_shut() -> None:
    """Shut during the first of two, and open, by a quarter of the 90th percentile, during the second."""
    phones = [
        Phone("a", 0, 0.4),
        Phone("m", 0.4, 0.48),
        Phone("a", 0.48, 1.2),
        Phone("B", 1.2, 1.28),
        Phone("a", 1.28, 2),
    ]
    opening = np.full(50, 0.4)
    opening[10:12] = 0.05
    opening[30:32] = 0.12

    assert closed_share(opening, phones) == 0.5
    opening[31] = 0.09
    assert closed_share(opening, phones) == 1
    assert math.isnan(closed_share(opening, phones[:1]))


def test_a_closure_between_two_pictures_counts_by_the_nearest() -> None:
    opening = np.full(10, 0.4)
    opening[5] = 0.0

    assert closed_share(opening, [Phone("p", 0.225, 0.235)]) == 1
    assert closed_share(opening, [Phone("p", 0.185, 0.195)]) == 0


def test_what_the_phones_ask_for_is_said_perfectly_by_itself() -> None:
    phones = synthetic("My mother baked a big apple pie for Papa and me.", VoiceConfig("en-us")).phones
    course = articulation(phones, 75)[:, 0].astype(float)

    assert closed_share(course, phones) >= 0.9


def test_pictures_that_look_alike_are_near(head: np.ndarray) -> None:
    noisy = np.clip(head + np.random.default_rng(0).normal(0, 25, head.shape), 0, 255).astype(np.uint8)
    lighter = np.clip(head.astype(int) + 8, 0, 255).astype(np.uint8)
    measure = Perceptual()

    same, near, far = (measure.distance(head[None], other[None]) for other in (head, lighter, noisy))

    assert same == 0
    assert 0 < near < 0.3 * far


def untrained() -> MouthNetwork:
    torch.manual_seed(0)
    return new_network().eval()


def measured(how: Workers) -> Measured:
    said = [
        synthetic("My mother baked a big apple pie for Papa and me.", VoiceConfig("en-us", "m1")),
        synthetic("Fee fi fo fum, who are you?", VoiceConfig("en-gb", "f2")),
    ]
    return evaluate(untrained, (list(cartoons(3)), said), EvaluateConfig(frames=40, most=2), how=how)


@pytest.fixture(scope="module")
def alone() -> Measured:
    return measured(ALONE)


def test_every_method_is_measured_and_the_mouth_model_says_what_it_is_asked_to(alone: Measured) -> None:
    sayings, copies = alone

    assert list(sayings) == ["network", "warp", "shuffled", "untouched"]
    assert sayings["warp"].correlation > 0.8 > abs(sayings["untouched"].correlation)
    assert list(copies) == ["network", "shut mouth", "frozen copy"]
    assert 0 < copies["frozen copy"].ssim < 1


def test_the_figures_are_the_same_however_many_processes_measure(alone: Measured) -> None:
    """But for last digits, which depend on threads; what an untrained network says is nothing but such digits."""
    sayings, copies = measured(Workers(2))
    assert (list(sayings), list(copies)) == (list(alone[0]), list(alone[1]))
    for name in ("warp", "untouched"):
        close(asdict(sayings[name]), asdict(alone[0][name]))
    for name in ("shut mouth", "frozen copy"):
        close(asdict(copies[name]), asdict(alone[1][name]))


def close(one: dict[str, float], other: dict[str, float]) -> None:
    assert one == pytest.approx(other, rel=1e-2, abs=1e-2, nan_ok=True)


def test_the_table_leaves_empty_what_is_not_known() -> None:
    rows = {"network": Saying(0.5, 1, 0.1, 1, 0.2), "warp": Saying(0.9, 1)}

    assert as_table(rows).splitlines() == [
        "| method | correlation | closed | quiet | within one frame | confidence |",
        "| --- | --- | --- | --- | --- | --- |",
        "| network | 0.500 | 1.000 | 0.100 | 1.000 | 0.200 |",
        "| warp | 0.900 | 1.000 |  |  |  |",
    ]
    assert as_table({"copy": Reconstruction(0.9, 30, 0.1)}).splitlines()[-1] == "| copy | 0.900 | 30.000 | 0.100 |"
