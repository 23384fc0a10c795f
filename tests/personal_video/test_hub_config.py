"""Settings and requests of the hub profile of personal video, and how details of several sources join."""

from typing import Any

import numpy as np
import pytest

from core.errors import ParameterError
from core.personal_video.hub_config import HubConfig, HubRequest
from core.personal_video.hub_details import fused


def test_even_little_renewal_takes_a_step() -> None:
    for renewal in (0.1, 0.15, 0.3, 0.7):
        steps = HubConfig(steps=1, renewal=renewal).second_steps_with(False)
        assert int(steps * renewal) == 1


@pytest.mark.parametrize(
    "wrong", [{"width": 100}, {"frames": 1}, {"frames": 64}, {"guidance": 0.5}, {"renewal": 0}, {"height": 2048}]
)
def test_sizes_and_scales_have_their_ranges(wrong: dict[str, Any]) -> None:
    with pytest.raises(ParameterError, match="choose"):
        HubConfig(**wrong)


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_so_have_seeds(seed: int) -> None:
    with pytest.raises(ParameterError, match="choose one from 0 to 4294967295"):
        HubRequest("a dog runs", seed=seed)


def test_sources_have_the_same_weight_however_many_pictures_they_have() -> None:
    many = np.arange(3, dtype=np.float16)[:, None, None]
    one = np.full((1, 1, 1), 9, np.float16)
    assert fused([many, one]).ravel().tolist() == [0, 1, 2, 9, 9, 9]
    assert fused([one]).ravel().tolist() == [9]
