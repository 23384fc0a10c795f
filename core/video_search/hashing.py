"""Vectors to binary codes: ``sign(R (x − mean))``.

Source: METHODS 3, "Search", hash retrieval; Charikar, "Similarity estimation techniques from rounding algorithms",
2002, for signs of projections; Andoni et al., "Practical and optimal LSH for angular distance", 2015, section 5, for
R: three rounds of random signs followed by a Hadamard transform. That is an orthogonal matrix drawn at random, but it
needs no memory and n·log n steps instead of n². On data with few strong directions a rotation is what makes all bits
carry equally much.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_ROUNDS = 3


@dataclass(frozen=True)
class HashCodes:
    """Codes of one model version; two of them compare by the number of bits that differ.

    Args:
        mean: (D,), subtracted from every vector first: the mean of the model's vectors.
        seed: of R.
    """

    mean: NDArray[np.float32]
    seed: int = 0

    @property
    def bits(self) -> int:
        """Length of a code: D, or the next power of two.

        >>> HashCodes(np.zeros(3, np.float32)).bits
        4
        """
        return max(8, 1 << (len(self.mean) - 1).bit_length())

    def encode(self, vectors: NDArray[np.floating]) -> NDArray[np.uint8]:
        """The codes (N, bits / 8) of vectors (N, D); their length does not count when the mean is zero."""
        return np.packbits(self.rotate(vectors) > 0, axis=1)

    def rotate(self, vectors: NDArray[np.floating]) -> NDArray[np.float32]:
        """``R (x − mean)``: (N, bits), at the same distances from one another as the vectors (N, D)."""
        rotated = np.zeros((len(vectors), self.bits), np.float32)
        rotated[:, : len(self.mean)] = vectors - self.mean
        for signs in self._signs():
            rotated = hadamard(rotated * signs)
        return rotated

    def _signs(self) -> NDArray[np.float32]:
        random = np.random.default_rng(self.seed)
        return (random.integers(0, 2, (_ROUNDS, self.bits)) * 2 - 1).astype(np.float32)


def hadamard(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Every row times the orthonormal Hadamard matrix.

    Args:
        rows: (N, D), D a power of two.

    Returns:
        (N, D).

    >>> hadamard(np.array([[2.0, 0.0]], np.float32)) * 2**0.5
    array([[2., 2.]], dtype=float32)
    """
    count, length = rows.shape
    mixed, half = rows, 1
    while half < length:
        pairs = mixed.reshape(count, length // (2 * half), 2, half)
        first, second = pairs[:, :, 0], pairs[:, :, 1]
        mixed = np.stack([first + second, first - second], axis=2).reshape(count, length)
        half *= 2
    return mixed / np.float32(np.sqrt(length))
