"""Arrays in, arrays out: from the vectors of frames to the descriptor of a video."""

from collections.abc import Iterable
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from core.errors import ParameterError


def sampling_rate(duration_s: Fraction, frame_rate: float, min_frames: int) -> Fraction:
    """The rate that looks at a clip ``frame_rate`` times a second, and at least ``min_frames`` times in all.

    Args:
        duration_s: length of the clip, 0 or more.
        frame_rate: wanted frames per second.
        min_frames: frames wanted of a clip that is too short for that rate.

    Returns:
        Frames per second, exact.

    >>> sampling_rate(Fraction(60), 1.0, 8), sampling_rate(Fraction(2), 1.0, 8)
    (Fraction(1, 1), Fraction(4, 1))
    """
    wanted = Fraction(frame_rate).limit_denominator(1000)
    return wanted if duration_s * wanted >= min_frames or duration_s <= 0 else min_frames / duration_s


def mean_descriptor(batches: Iterable[NDArray[np.float32]]) -> NDArray[np.float32]:
    """The mean direction of frame vectors; what a video shows, without the order in which it shows it.

    Every frame vector is first brought to unit length, so that a few bright or busy frames do not outweigh the rest.

    Args:
        batches: arrays (T, D) of frame vectors, all with the same D.

    Returns:
        (D,), unit length.

    Raises:
        ParameterError: there is no frame at all.
    """
    total: NDArray[np.float64] | None = None
    for vectors in batches:
        wide = vectors.astype(np.float64)
        directions = wide / np.maximum(np.linalg.norm(wide, axis=1, keepdims=True), 1e-12)
        summed = directions.sum(axis=0)
        total = summed if total is None else total + summed
    if total is None:
        raise ParameterError("There are no frames to describe; give at least one.")
    return (total / max(float(np.linalg.norm(total)), 1e-12)).astype(np.float32)
