"""A clean scene of cloudy texture that drifts: something for every fault to spoil."""

from fractions import Fraction

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from core.video_quality.distortions import Scene


@pytest.fixture(scope="session")
def scene() -> Scene:
    random = np.random.default_rng(3)
    cloud = sum(gaussian_filter(random.normal(size=(320, 420, 3)), (s, s, 0), mode="wrap") * s for s in (1, 3, 9))
    cloud = np.clip(127 + 55 * cloud / cloud.std(), 12, 243).astype(np.uint8)
    return Scene([np.ascontiguousarray(np.roll(cloud, 3 * n, 1)[:288, :352]) for n in range(12)], Fraction(12), seed=5)
