"""Where an excerpt lies in a film: frames of both, one to the second or so, laid over one another.

No outside source; the search over one diagonal after another is the "temporal Hough voting" of Douze et al.,
"An image-based approach to video copy detection with spatio-temporal post-filtering", 2010, section 4, at one speed.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

STEP_S = 0.25
"""Offsets tried are this far apart."""
LEAST_OVERLAP = 0.5
"""Share of the shorter film that the two must have in common."""
CLEAR = 0.05
"""How far the best offset's mean cosine must stand above the median one, or there is none."""


@dataclass(frozen=True)
class FrameTrack:
    """Frames of a film as unit vectors, evenly spaced in time from its beginning."""

    vectors: NDArray[np.float32]
    """(T, D), rows of unit length."""
    step_s: float
    """Seconds between two frames, above zero."""

    @property
    def times_s(self) -> NDArray[np.float64]:
        """(T,): when each frame is shown."""
        return np.arange(len(self.vectors), dtype=np.float64) * self.step_s


def offset_s(query: FrameTrack, film: FrameTrack) -> float | None:
    """Where in ``film`` the ``query`` begins, in seconds.

    For each offset tried, the query's frames are compared with the film's frames of that time (between two of them,
    with both in proportion), and the mean cosine counts. Negative: the query begins before the film does.

    Returns:
        The offset with the highest mean; None when no offset stands out, as in films in which nothing moves.
    """
    cosines = query.vectors @ film.vectors.T
    longest_query, longest_film = query.times_s[-1], film.times_s[-1]
    least = LEAST_OVERLAP * min(longest_query, longest_film)
    first, last = min(0.0, least - longest_query), max(0.0, longest_film - least)
    offsets = np.arange(np.ceil(first / STEP_S), np.floor(last / STEP_S) + 1) * STEP_S
    means = np.array([_mean_at(cosines, (query.times_s + offset) / film.step_s) for offset in offsets])
    best = int(means.argmax())
    if len(means) > 1 and means[best] - np.median(means) < CLEAR:
        return None
    return float(offsets[best])


def _mean_at(cosines: NDArray[np.float32], places: NDArray[np.float64]) -> float:
    """The mean over the query's frames of the cosine at fractional columns ``places``; those outside do not count."""
    columns = cosines.shape[1]
    inside = np.flatnonzero((places >= 0) & (places <= columns - 1))
    if not len(inside):
        return -1.0
    left = np.minimum(places[inside].astype(int), max(columns - 2, 0))
    share = places[inside] - left
    right = np.minimum(left + 1, columns - 1)
    values = cosines[inside, left] * (1 - share) + cosines[inside, right] * share
    return float(values.mean())
