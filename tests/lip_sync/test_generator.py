"""The generator and its discriminator: what goes in is what comes out, and where landmarks are counts."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from core.lip_sync.cartoons import cartoon
from core.lip_sync.crops import crop_matrix, points_in_crop, rest_landmarks
from core.lip_sync.data import openings
from core.lip_sync.faces import face_of
from core.lip_sync.generator import (
    Discriminator,
    Generator,
    Given,
    MouthNetwork,
    landmark_maps,
    mouth_flow,
    mouth_inside,
)
from core.lip_sync.model import GROUP, FeatureExtraction
from core.lip_sync.opening import Opening, opened

CHIN = 24


@pytest.fixture(scope="module")
def network() -> MouthNetwork:
    torch.manual_seed(0)
    return MouthNetwork(FeatureExtraction(), Opening(), Generator()).eval()


def _given(landmarks: torch.Tensor) -> Given:
    torch.manual_seed(1)
    return Given(torch.rand(1, 3, 128, 128), torch.rand(1, 3, 128, 128), landmarks, landmarks)


def _mouth(x: float = 64.0, y: float = 64.0) -> torch.Tensor:
    return torch.tensor([[[x + n % 12 - 6, y] for n in range(24)] + [[x, y + 40]]]).float()


def test_landmarks_are_drawn_where_they_are() -> None:
    maps = landmark_maps(_mouth(40.0, 30.0), 128)

    assert maps.shape == (1, 3, 128, 128)
    assert float(maps[0, 0, 30, 40]) == 1
    assert float(maps[0, 2, 70, 40]) == 1
    assert float(maps[0, 2, 30, 40]) < 1e-6
    assert float(maps[0, 0, 90, 90]) < 1e-6


def _rest() -> torch.Tensor:
    face = face_of(cartoon(1)[1][:, :2])
    return torch.from_numpy(points_in_crop(rest_landmarks(face), crop_matrix(face)))[None]


def test_a_mouth_opens_as_far_as_it_is_told_to() -> None:
    rest = _rest().numpy().repeat(2, axis=0)
    opening = torch.tensor([0.0, 0.4])

    open_ones = opened(torch.from_numpy(rest), opening)

    torch.testing.assert_close(open_ones[0], torch.from_numpy(rest[0]))
    np.testing.assert_allclose(openings(open_ones.numpy()) - openings(rest), opening.numpy(), atol=0.02)
    assert float(open_ones[1, CHIN, 1] - rest[1, CHIN, 1]) > 3


def test_the_reference_follows_the_landmarks_and_nothing_else_moves() -> None:
    """So a picture of shut lips, drawn to an open mouth, has its lips where the landmarks are."""
    rest = _rest()
    wide = opened(rest, torch.tensor([0.5]))

    flow = mouth_flow(wide, rest, 128)

    for point in (3, 9, 24):  # under the lower lip, above the upper one, the chin
        x, y = (round(float(v)) for v in wide[0, point])
        torch.testing.assert_close(128 * flow[0, :, y, x], (rest - wide)[0, point], atol=1.0, rtol=0)
    assert float(128 * flow.abs().max()) > 12 > 12 * float(128 * flow[0, :, 0].abs().max())
    torch.testing.assert_close(mouth_flow(rest, rest, 128), torch.zeros(1, 2, 128, 128))


def test_the_inside_of_a_mouth_is_what_lies_between_its_lips() -> None:
    rest = _rest()
    wide = opened(rest, torch.tensor([0.5]))
    x, top, bottom = (float(wide[0, n, axis]) for n, axis in ((15, 0), (21, 1), (15, 1)))

    inside = mouth_inside(wide, 128)[0, 0]

    assert bottom - top > 8
    assert float(inside[round((top + bottom) / 2), round(x)]) > 0.9
    assert max(float(inside[row, round(x)]) for row in (round(top) - 4, round(bottom) + 4)) < 0.05
    assert float(mouth_inside(rest, 128).sum()) < 0.2 * float(inside.sum())


@torch.no_grad()
def test_nothing_is_made_up_where_lips_meet(network: MouthNetwork) -> None:
    rest = _rest()
    given = Given(torch.rand(1, 3, 128, 128), torch.rand(1, 3, 128, 128), rest, rest)
    x, y = (round(float(v)) for v in rest[0, 15])

    own = {
        told: network.generator(
            replace(given, landmarks=opened(rest, torch.tensor([told]))),
            network.features.see(torch.rand(1, GROUP, 3, 128, 128)),
            torch.rand(1, 256),
        ).shares[0, 2]
        for told in (0.0, 0.5)
    }

    assert float(own[0.0][y, x]) < 0.03 < float(own[0.5][y, x])
    assert float(own[0.0][10, 64]) > 0.03


@torch.no_grad()
def test_the_landmarks_go_where_the_sound_says(network: MouthNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    given, drawn = _given(_mouth()), []
    monkeypatch.setattr(network.generator, "forward", lambda given, *_: drawn.append(given.landmarks))

    for told in (0.0, 0.4):
        monkeypatch.setattr(network.opening, "forward", lambda heard, told=told: torch.full((len(heard),), told))
        network(torch.rand(1, GROUP, 3, 128, 128), torch.zeros(1, 20, 20), given)

    torch.testing.assert_close(drawn[0], given.landmarks)
    torch.testing.assert_close(drawn[1], opened(given.landmarks, torch.tensor([0.4])))


@torch.no_grad()
def test_a_picture_is_a_mean_of_its_three_sources(network: MouthNetwork) -> None:
    """So colours never leave the range, whatever the weights."""
    made = network(torch.rand(1, GROUP, 3, 128, 128), 100 * torch.randn(1, 20, 20), _given(_mouth()))

    torch.testing.assert_close(made.shares.sum(dim=1), torch.ones(1, 128, 128))
    assert 0 <= float(made.picture.min()) <= float(made.picture.max()) <= 1


@torch.no_grad()
@pytest.mark.parametrize("part", ["groups", "windows", "blurred", "reference", "landmarks"])
def test_every_input_has_a_say(network: MouthNetwork, part: str) -> None:
    torch.manual_seed(2)
    groups, windows, given = torch.rand(1, GROUP, 3, 128, 128), 100 * torch.randn(1, 20, 20), _given(_mouth())
    other = {
        "groups": (groups.flip(1), windows, given),
        "windows": (groups, windows.flip(2), given),
        "blurred": (groups, windows, Given(1 - given.blurred, given.reference, given.landmarks, given.landmarks)),
        "reference": (groups, windows, Given(given.blurred, 1 - given.reference, given.landmarks, given.landmarks)),
        "landmarks": (groups, windows, Given(given.blurred, given.reference, _mouth(50, 80), given.landmarks)),
    }

    assert not torch.allclose(network(groups, windows, given).picture, network(*other[part]).picture, atol=1e-5)


@torch.no_grad()
def test_the_discriminator_judges_patches_and_sees_the_landmarks() -> None:
    torch.manual_seed(0)
    judge, picture = Discriminator().eval(), torch.rand(1, 3, 128, 128)

    here, there = judge(picture, _mouth()), judge(picture, _mouth(40, 90))

    assert here.shape == (1, 1, 14, 14)
    assert not torch.allclose(here, there, atol=1e-5)
