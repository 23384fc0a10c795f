"""The feature extraction: its gradient map is the one of the method, and its vectors are comparable."""

import numpy as np
import pytest
import torch

from core.lip_sync.model import GROUP, WIDTHS, FeatureExtraction, GradientMap, as_tensor
from core.lip_sync.mouth_region import gradient_map


@pytest.fixture(scope="module")
def features() -> FeatureExtraction:
    torch.manual_seed(0)
    return FeatureExtraction().eval()


def test_the_gradient_map_of_tensors_is_that_of_pictures(portrait: np.ndarray) -> None:
    pictures = np.stack([portrait[:96, 200:296], portrait[100:196, 180:276]])

    found = GradientMap()(as_tensor(pictures))

    assert found.shape == (2, 1, 96, 96)
    for picture, seen in zip(pictures, found[:, 0].numpy(), strict=True):
        np.testing.assert_allclose(seen, gradient_map(picture), atol=2e-6)


@torch.no_grad()
def test_vectors_have_unit_length_and_maps_halve_in_size(features: FeatureExtraction) -> None:
    seen = features.see(torch.rand(2, GROUP, 3, 128, 128))
    heard = features.hearing(100 * torch.randn(2, 20, 20))

    for vector in (seen.vector, heard):
        torch.testing.assert_close(vector.norm(dim=1), torch.ones(2))
    assert [tuple(m.shape[1:]) for m in seen.maps] == [(w, 64 >> n, 64 >> n) for n, w in enumerate(WIDTHS)]


@torch.no_grad()
def test_sight_depends_on_the_order_of_the_pictures_in_a_group(features: FeatureExtraction) -> None:
    group = torch.rand(1, GROUP, 3, 128, 128)

    forth, back = features.see(group).vector, features.see(group.flip(1)).vector

    assert (forth - back).abs().max() > 1e-6


@torch.no_grad()
def test_silence_and_speech_are_of_a_size_that_hearing_can_use(features: FeatureExtraction) -> None:
    """The first coefficient lies far from the others; unscaled, it would drown them."""
    windows = torch.zeros(2, 20, 20)
    windows[:, 0] = -350.0
    windows[1, 1:] = 40 * torch.randn(19, 20)

    quiet, loud = features.hearing(windows)

    assert (quiet - loud).norm() > 1e-3
