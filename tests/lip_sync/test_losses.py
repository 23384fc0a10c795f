"""The losses against their formulas, written out."""

import math

import torch

from core.lip_sync.losses import (
    agreement_loss,
    deception_loss,
    discriminator_loss,
    mouth_weight,
    offset_loss,
    opening_loss,
    picture_loss,
    sync_loss,
)


def test_the_sync_loss_is_the_cross_entropy_both_ways() -> None:
    torch.manual_seed(0)
    seen, heard = (torch.nn.functional.normalize(torch.randn(4, 8), dim=1) for _ in range(2))
    scale = torch.tensor(7.0)

    expected = 0.0
    for n in range(4):
        cosines = [[7.0 * float(s @ h) for h in heard] for s in seen]
        row, column = cosines[n], [line[n] for line in cosines]
        expected -= (row[n] - math.log(sum(map(math.exp, row)))) / 8
        expected -= (column[n] - math.log(sum(map(math.exp, column)))) / 8

    torch.testing.assert_close(sync_loss(seen, heard, scale), torch.tensor(expected))


def test_the_sync_loss_is_least_where_every_moment_finds_its_own() -> None:
    seen = torch.eye(4)

    assert sync_loss(seen, seen, torch.tensor(50.0)) < 1e-6
    assert sync_loss(seen, seen.roll(1, 0), torch.tensor(50.0)) > 10


def test_the_offset_loss_is_the_cross_entropy_of_the_mean_cosines_of_all_shifts() -> None:
    torch.manual_seed(0)
    seen, heard = (torch.nn.functional.normalize(torch.randn(2, n, 8), dim=2) for n in (5, 9))

    expected = 0.0
    for one, around in zip(seen, heard, strict=True):
        means = [3 * float(sum(one[t] @ around[t + shift] for t in range(5)) / 5) for shift in range(5)]
        expected -= (means[2] - math.log(sum(map(math.exp, means)))) / 2

    torch.testing.assert_close(offset_loss(seen, heard, torch.tensor(3.0)), torch.tensor(expected))


def test_what_is_told_of_the_opening_is_in_fifths_and_what_is_not_known_is_left_out() -> None:
    told, opening = torch.tensor([1.0, 2.0, 9.0]), torch.tensor([0.2, 0.2, float("nan")])

    assert float(opening_loss(told, opening)) == 0.5
    assert float(opening_loss(told[2:], opening[2:])) == 0


def test_agreement_runs_from_none_to_two() -> None:
    vector = torch.eye(3)

    assert float(agreement_loss(vector, vector)) == 0
    assert float(agreement_loss(vector, -vector)) == 2


def test_an_error_counts_by_the_weight_of_its_pixel() -> None:
    truth, weight = torch.zeros(1, 3, 2, 2), torch.tensor([[[[1.0, 1.0], [1.0, 5.0]]]])
    light, heavy = truth.clone(), truth.clone()
    light[..., 0, 0], heavy[..., 1, 1] = 1.0, 1.0

    assert float(picture_loss(light, truth, weight)) == 1 / 8
    assert float(picture_loss(heavy, truth, weight)) == 5 / 8


def test_the_lips_weigh_five_times_what_is_far_from_them() -> None:
    lips = torch.stack([torch.linspace(44, 84, 24), torch.full((24,), 64.0)], dim=1)
    landmarks = torch.cat([lips, torch.tensor([[64.0, 110.0]])])[None]

    weight = mouth_weight(landmarks, 128)

    assert abs(float(weight[0, 0, 64, 64]) - 10) < 0.1
    assert abs(float(weight[0, 0, 64, 84]) - (1 + 9 * math.exp(-0.5))) < 0.1
    assert float(weight[0, 0, 0, 0]) < 1.02


def test_the_discriminator_and_the_generator_want_opposite_things() -> None:
    sure, fooled = torch.full((2, 1, 3, 3), -20.0), torch.full((2, 1, 3, 3), 20.0)

    assert discriminator_loss(fooled, sure) < 1e-6
    assert deception_loss(fooled) < 1e-6
    assert deception_loss(sure) > 19
    torch.testing.assert_close(discriminator_loss(0 * sure, 0 * sure), torch.tensor(math.log(2)))
