"""The arithmetic of the descriptor, held to its definition."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from core.errors import ParameterError
from core.video_search.features import mean_descriptor, sampling_rate

VECTORS = arrays(np.float32, st.tuples(st.integers(1, 20), st.just(7)), elements=st.floats(0.125, 100, width=32))


@given(vectors=VECTORS, cut=st.integers(0, 20))
def test_the_descriptor_is_the_mean_direction_however_the_frames_come_in_batches(vectors: np.ndarray, cut: int) -> None:
    directions = vectors.astype(np.float64) / np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    expected = directions.mean(axis=0)
    expected /= np.linalg.norm(expected)
    batches = [batch for batch in (vectors[:cut], vectors[cut:]) if len(batch)]
    np.testing.assert_allclose(mean_descriptor(batches), expected, atol=1e-6)


@given(vectors=VECTORS, seed=st.integers(0, 99), factor=st.floats(0.5, 50))
def test_neither_the_order_nor_the_brightness_of_frames_counts(vectors: np.ndarray, seed: int, factor: float) -> None:
    shuffled = np.random.default_rng(seed).permutation(vectors)
    shuffled[0] *= np.float32(factor)
    np.testing.assert_allclose(mean_descriptor([vectors]), mean_descriptor([shuffled]), atol=1e-5)


def test_a_film_without_frames_cannot_be_described() -> None:
    with pytest.raises(ParameterError, match="at least one"):
        mean_descriptor([])


@given(
    duration_s=st.fractions(Fraction(1, 100), 20_000),
    frame_rate=st.floats(0.1, 30),
    min_frames=st.integers(1, 64),
)
def test_a_clip_is_looked_at_as_often_as_asked_and_never_less_than_the_minimum(
    duration_s: Fraction, frame_rate: float, min_frames: int
) -> None:
    rate = sampling_rate(duration_s, frame_rate, min_frames)
    assert rate * duration_s >= min_frames or rate >= Fraction(frame_rate).limit_denominator(1000)
    assert rate <= max(Fraction(frame_rate).limit_denominator(1000), min_frames / duration_s)
