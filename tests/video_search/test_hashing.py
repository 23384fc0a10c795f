"""Binary codes: the rotation is one, the codes keep angles, and every bit carries equally much."""

import numpy as np
import pytest
import scipy.linalg
from numpy.typing import NDArray

from core.video_search.hashing import HashCodes, hadamard

Vectors = NDArray[np.float32]


def vectors(count: int, dimensions: int, seed: int = 0) -> Vectors:
    return np.random.default_rng(seed).normal(size=(count, dimensions)).astype(np.float32)


def centred(dimensions: int, seed: int = 0) -> HashCodes:
    """Codes that subtract nothing."""
    return HashCodes(np.zeros(dimensions, np.float32), seed)


def differing_bits(codes: NDArray[np.uint8]) -> NDArray[np.int64]:
    """How many bits differ between each two of the codes, (N, N)."""
    bits = np.unpackbits(codes, axis=1)
    return (bits[:, None] != bits[None]).sum(2)


@pytest.mark.parametrize("length", [1, 2, 8, 64])
def test_the_fast_transform_is_the_orthonormal_hadamard_matrix(length: int) -> None:
    rows = vectors(5, length)
    expected = rows @ scipy.linalg.hadamard(length) / np.sqrt(length)
    np.testing.assert_allclose(hadamard(rows), expected, atol=1e-5)
    np.testing.assert_allclose(hadamard(hadamard(rows)), rows, atol=1e-5)


@pytest.mark.parametrize(("dimensions", "bits"), [(1, 8), (8, 8), (9, 16), (100, 128), (128, 128), (4096, 4096)])
def test_a_code_has_as_many_bits_as_the_vector_or_the_next_power_of_two(dimensions: int, bits: int) -> None:
    codes = centred(dimensions)
    assert codes.bits == bits and codes.encode(vectors(3, dimensions)).shape == (3, bits // 8)


@pytest.mark.parametrize("dimensions", [8, 100, 512])
def test_the_rotation_is_orthogonal_and_keeps_every_distance(dimensions: int) -> None:
    rotation = centred(dimensions).rotate(np.eye(dimensions))
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(dimensions), atol=1e-5)
    codes, x = HashCodes(vectors(1, dimensions, seed=9)[0]), vectors(6, dimensions)
    before, after = (np.linalg.norm(rows[:, None] - rows[None], axis=2) for rows in (x, codes.rotate(x)))
    np.testing.assert_allclose(after, before, atol=1e-3)


def test_a_rotation_mixes_every_number_into_all() -> None:
    rotation = centred(256).rotate(np.eye(256))
    assert np.abs(rotation).max() < 0.4 and np.abs(rotation).mean() > 0.04


def test_a_code_is_the_same_at_every_call_and_another_for_another_seed() -> None:
    x = vectors(4, 256)
    np.testing.assert_array_equal(centred(256).encode(x), centred(256).encode(x))
    np.testing.assert_array_equal(centred(256).encode(x)[2:3], centred(256).encode(x[2:3]))
    both = np.concatenate([centred(256).encode(x[:1]), centred(256, seed=1).encode(x[:1])])
    assert differing_bits(both)[0, 1] == pytest.approx(128, abs=40)


def test_what_counts_is_the_direction_from_the_mean() -> None:
    x, mean = vectors(5, 64), vectors(1, 64, seed=1)[0]
    np.testing.assert_array_equal(HashCodes(mean).encode(x + mean), centred(64).encode(x + mean - mean))
    np.testing.assert_array_equal(centred(64).encode(x * 37), centred(64).encode(x))
    assert (centred(64).encode(x) != HashCodes(mean).encode(x)).any()


@pytest.mark.parametrize("angle", [0, 0.2, 1, np.pi / 2, 2.5, np.pi])
def test_the_share_of_differing_bits_is_the_angle_over_pi(angle: float) -> None:
    """Charikar, 2002, section 3. The standard deviation of the share is 0.008 at most with 4096 bits."""
    x, y = np.linalg.qr(vectors(2, 4096).T)[0].T
    codes = centred(4096).encode(np.stack([x, np.cos(angle) * x + np.sin(angle) * y]))
    assert differing_bits(codes)[0, 1] / 4096 == pytest.approx(angle / np.pi, abs=0.03)


def test_with_few_strong_directions_the_rotation_lets_codes_find_the_neighbours_that_cosine_finds() -> None:
    """Plain signs spend one bit on a strong direction, as on a weak one."""
    x = vectors(300, 64)
    x[:, :4] *= 12
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)

    def neighbours(likeness: NDArray[np.floating]) -> list[set[int]]:
        np.fill_diagonal(likeness, -np.inf)
        return [set(row[:10]) for row in np.argsort(-likeness, axis=1, kind="stable").tolist()]

    true = neighbours(unit @ unit.T)
    plain, rotated = (
        np.mean([len(a & b) / 10 for a, b in zip(true, neighbours(-differing_bits(codes).astype(float)), strict=True)])
        for codes in (np.packbits(x > 0, axis=1), centred(64).encode(x))
    )
    assert rotated > 0.5 and plain < 0.2
