"""The generator and its discriminator: what goes in is what comes out, and where landmarks are counts."""

import pytest
import torch

from core.lip_sync.generator import Discriminator, Generator, Given, MouthNetwork, landmark_maps
from core.lip_sync.model import GROUP, FeatureExtraction


@pytest.fixture(scope="module")
def network() -> MouthNetwork:
    torch.manual_seed(0)
    return MouthNetwork(FeatureExtraction(), Generator()).eval()


def _given(landmarks: torch.Tensor) -> Given:
    torch.manual_seed(1)
    return Given(torch.rand(1, 3, 128, 128), torch.rand(1, 3, 128, 128), landmarks, landmarks)


def _mouth(x: float = 64.0, y: float = 64.0) -> torch.Tensor:
    return torch.tensor([[[x + n % 12 - 6, y] for n in range(24)] + [[x, y + 40]]])


def test_landmarks_are_drawn_where_they_are() -> None:
    maps = landmark_maps(_mouth(40.0, 30.0), 128)

    assert maps.shape == (1, 3, 128, 128)
    assert float(maps[0, 0, 30, 40]) == 1
    assert float(maps[0, 2, 70, 40]) == 1
    assert float(maps[0, 2, 30, 40]) < 1e-6
    assert float(maps[0, 0, 90, 90]) < 1e-6


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
