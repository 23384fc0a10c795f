"""Measures of sync and of pictures, on signals whose answer is known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import ParameterError
from core.lip_sync.metrics import psnr_db, ssim, sync_reading


def _moments(count: int, seed: int = 0) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(count, 32)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@given(offset=st.integers(-15, 15))
def test_a_planted_offset_is_read(offset: int) -> None:
    """Seen in frame n is heard in frame n + offset."""
    moments = _moments(110)
    seen, heard = moments[20:90], moments[20 - offset : 90 - offset]

    reading = sync_reading(seen, heard)

    assert reading.av_offset_frames == offset
    assert reading.confidence > 0.5
    assert len(reading.cosines) == 31


def test_what_does_not_belong_together_has_little_confidence() -> None:
    assert sync_reading(_moments(100), _moments(100, seed=1)).confidence < 0.1


def test_shifts_that_a_short_film_cannot_tell_are_left_out() -> None:
    reading = sync_reading(_moments(8), _moments(8))

    assert reading.av_offset_frames == 0
    assert [n for n, cosine in zip(range(-15, 16), reading.cosines, strict=True) if cosine == cosine] == list(
        range(-3, 4)
    )


def test_too_little_to_read_is_said() -> None:
    with pytest.raises(ParameterError, match="5 or more"):
        sync_reading(_moments(4), _moments(4))
    with pytest.raises(ParameterError, match="20 moments seen and 21 heard"):
        sync_reading(_moments(20), _moments(21))


def test_psnr_is_that_of_the_formula(portrait: np.ndarray) -> None:
    off = portrait.astype(int)
    off[::2] += np.where(off[::2] < 250, 4, -4)

    assert psnr_db(portrait, off.astype(np.uint8)) == pytest.approx(10 * np.log10(255**2 / 8))
    assert psnr_db(portrait, portrait) == float("inf")


def test_ssim_is_one_for_the_same_and_falls_with_noise_more_than_with_light(head: np.ndarray) -> None:
    random = np.random.default_rng(0)
    noisy = np.clip(head + random.normal(0, 20, head.shape), 0, 255).astype(np.uint8)
    lighter = np.clip(head.astype(int) + 20, 0, 255).astype(np.uint8)

    assert ssim(head, head) == pytest.approx(1)
    assert ssim(head, noisy) < 0.7 < 0.8 < ssim(head, lighter) < 1
