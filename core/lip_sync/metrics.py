"""Sync and picture measures of lip-sync."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from core.errors import ParameterError

MOST_OFFSET_FRAMES = 15
_LEAST_FRAMES = 5
"""Fewer moments that both are there for say nothing of a shift."""

Vectors = NDArray[np.float32]
Picture = NDArray[np.uint8]


@dataclass(frozen=True)
class SyncReading:
    """How well sight and sound go together.

    Attributes:
        av_offset_frames: what is seen in frame n is heard in frame n + offset, at 25 frames a second: above 0 the sound
            is late.
        confidence: the highest mean cosine of all shifts less their median, 0 to 2; higher is surer.
        cosines: by shift from -15 to 15, the mean cosine; NaN where the film is too short for the shift.
    """

    av_offset_frames: int
    confidence: float
    cosines: tuple[float, ...]


def sync_reading(seen: Vectors, heard: Vectors) -> SyncReading:
    """Read the offset of sight (N, D) and hearing (N, D), vectors of unit length, 25 a second.

    Source: Chung and Zisserman, "Out of Time", 2016, section 4: the shift at which the mean distance is least, and the
    median less the least one as confidence. Deviation: cosines in place of distances.

    Raises:
        ParameterError: there are fewer than five frames, or not as many of both.
    """
    if seen.shape != heard.shape or len(seen) < _LEAST_FRAMES:
        raise ParameterError(
            f"There are {len(seen)} moments seen and {len(heard)} heard; give as many of both, {_LEAST_FRAMES} or more."
        )
    likeness = seen @ heard.T
    shifts = range(-MOST_OFFSET_FRAMES, MOST_OFFSET_FRAMES + 1)
    means = [
        float(np.diagonal(likeness, shift).mean()) if len(seen) - abs(shift) >= _LEAST_FRAMES else np.nan
        for shift in shifts
    ]
    best = int(np.nanargmax(means))
    return SyncReading(shifts[best], float(means[best] - np.nanmedian(means)), tuple(means))


def psnr_db(first: Picture, second: Picture) -> float:
    """Peak signal to noise ratio of pictures of one shape, in decibels; infinite for the same. Higher is better."""
    error = float(((first.astype(np.float64) - second) ** 2).mean())
    return float("inf") if error == 0 else 10 * np.log10(255**2 / error)


def ssim(first: Picture, second: Picture) -> float:
    """Structural similarity of two pictures (H, W, 3), -1 to 1, of their grey. Higher is better.

    Source: Wang et al., "Image Quality Assessment: From Error Visibility to Structural Similarity", 2004, with its
    window of 11 pixels and a deviation of 1.5.
    """
    one, two = (cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float64) for picture in (first, second))

    def mean(plane: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(cv2.GaussianBlur(plane, (11, 11), 1.5))

    means = mean(one), mean(two)
    spread = mean(one * one) - means[0] ** 2 + mean(two * two) - means[1] ** 2
    shared = mean(one * two) - means[0] * means[1]
    small, large = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    light = (2 * means[0] * means[1] + small) / (means[0] ** 2 + means[1] ** 2 + small)
    return float((light * (2 * shared + large) / (spread + large)).mean())
