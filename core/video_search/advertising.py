"""Heads and tails to leave out before training: advertising and idents that films of a collection share, and blanks.

METHODS 3 asks for it as simple preprocessing and does not say how. Ours: a frame near the beginning of a film that is
also near the beginning of at least two other films is no part of the film; so is a frame of nearly one colour. What is
cut is the longest run of such frames from the very beginning; the same backwards at the end.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

NEAR_S = 20
"""How far from the beginning or the end is looked."""
SAME_COSINE = 0.98
"""From this cosine on, two frames of different films count as the same."""
OTHER_FILMS = 2
BLANK_SPREAD = 4.0
"""A frame whose grey levels have a smaller standard deviation is blank."""
LARGEST_SHARE = 0.34
"""Of a film; more is never cut from one end."""


@dataclass(frozen=True)
class FilmFrames:
    """Frames of one film, a second apart."""

    vectors: NDArray[np.float32]
    """(T, D), unit length."""
    spread: NDArray[np.float32]
    """(T,): standard deviation of each frame's grey levels, 0 to 127."""


def content_spans(films: Sequence[FilmFrames]) -> list[tuple[int, int]]:
    """First frame and end of what is left of each film when head and tail are cut, in frames.

    Args:
        films: a whole collection; films of one series are what makes this work.

    Returns:
        One ``(start, end)`` per film, ``0 <= start < end <= T``.
    """
    heads = _runs([FilmFrames(f.vectors[:NEAR_S], f.spread[:NEAR_S]) for f in films])
    tails = _runs([FilmFrames(f.vectors[::-1][:NEAR_S], f.spread[::-1][:NEAR_S]) for f in films])
    spans = []
    for film, head, tail in zip(films, heads, tails, strict=True):
        most = int(LARGEST_SHARE * len(film.vectors))
        spans.append((min(head, most), len(film.vectors) - min(tail, most)))
    return spans


def _runs(ends: Sequence[FilmFrames]) -> list[int]:
    """How many frames of each, from the first on, are blank or shared by enough others."""
    runs = []
    for index, own in enumerate(ends):
        shared = np.zeros(len(own.vectors), int)
        for other_index, other in enumerate(ends):
            if other_index != index:
                shared += (own.vectors @ other.vectors.T).max(axis=1, initial=-1.0) >= SAME_COSINE
        extra = (shared >= OTHER_FILMS) | (own.spread < BLANK_SPREAD)
        runs.append(int(np.append(~extra, True).argmax()))
    return runs
