"""The music bed: a track cut or looped to a length on bars, with crossfades and fades."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.errors import ParameterError

Samples = NDArray[np.float32]
SHORTEST_LOOP_S = 1.0
LONG_LOOP_S = 20.0
"""What goes round is at least so long, where the track allows it."""


@dataclass(frozen=True)
class Piece:
    """A part of a track that is played as it is, in seconds of the track."""

    begin_s: float
    end_s: float


@dataclass(frozen=True)
class BedPlan:
    """Which pieces of a track follow one another, and how they are joined and faded.

    Attributes:
        pieces: in order; all but the last end, and all but the first begin, on a downbeat where there are any.
        crossfade_s: for how long a piece goes on under the beginning of the next.
        fade_in_s: at the beginning.
        fade_out_s: at the end.
    """

    pieces: tuple[Piece, ...]
    crossfade_s: float
    fade_in_s: float
    fade_out_s: float

    @property
    def duration_s(self) -> float:
        """How long the bed lasts."""
        return sum(piece.end_s - piece.begin_s for piece in self.pieces)


def plan_pieces(
    track_s: float, downbeats_s: NDArray[np.floating], start_s: float, wanted_s: float, crossfade_s: float
) -> tuple[Piece, ...]:
    """Cut a track to a length, or loop it on bars.

    A track that is long enough from its start is cut. Otherwise it is played to its last downbeat that leaves time for
    a crossfade, and goes on from its start, or, when that is near its end, from its first downbeat. Music without beats
    goes round as a whole.

    Args:
        track_s: how long the track is.
        downbeats_s: where its bars begin, ascending.
        start_s: where in the track to begin.
        wanted_s: how much is wanted, above 0.
        crossfade_s: for how long two pieces overlap.

    Raises:
        ParameterError: the start lies outside the track, or the track is too short to be looped.
    """
    if not 0 <= start_s < track_s:
        raise ParameterError(f"The start is {start_s:.2f} s, and the track lasts {track_s:.2f} s; start within it.")
    if start_s + wanted_s <= track_s:
        return (Piece(start_s, start_s + wanted_s),)
    last = track_s - crossfade_s
    bars = [float(beat) for beat in downbeats_s if beat <= last]
    exit_s = bars[-1] if bars and bars[-1] - bars[0] >= SHORTEST_LOOP_S else last
    first = bars[0] if exit_s in bars else 0.0
    if exit_s <= start_s:
        exit_s = last
    entry_s = start_s if exit_s - start_s >= min(LONG_LOOP_S, (exit_s - first) / 2) else first
    if exit_s - entry_s < max(SHORTEST_LOOP_S, crossfade_s) or exit_s <= start_s:
        raise ParameterError(f"The track lasts {track_s:.2f} s, too short to be looped; choose a longer one.")
    pieces, filled, begin = [], 0.0, start_s
    while wanted_s - filled > 1e-9:
        left = wanted_s - filled
        end = begin + left if begin + left <= track_s else exit_s
        pieces.append(Piece(begin, end))
        filled, begin = filled + end - begin, entry_s
    return tuple(pieces)


def render_bed(track: Samples, plan: BedPlan, sample_rate: int) -> Iterator[Samples]:
    """Play the pieces: blocks of at most a second, float32 (n, C), together exactly as long as the plan.

    Crossfades have equal power (sine and cosine), fades are half a cosine.

    Args:
        track: (N, C).
        plan: its times are rounded to samples.
        sample_rate: of the track.
    """
    total = round(plan.duration_s * sample_rate)
    position, drawn = 0.0, 0
    before: int | None = None
    for piece in plan.pieces:
        position += piece.end_s - piece.begin_s
        begin, count = round(piece.begin_s * sample_rate), round(position * sample_rate) - drawn
        overlap = min(count, round(plan.crossfade_s * sample_rate)) if before is not None else 0
        for first in range(0, count, sample_rate):
            block = _part(track, begin + first, min(sample_rate, count - first))
            if before is not None and first < overlap:
                block = _crossfaded(block, _part(track, before + first, len(block)), first, overlap)
            yield block * _fades(drawn + first, len(block), total, plan, sample_rate)
        before, drawn = begin + count, drawn + count


def _part(track: Samples, begin: int, count: int) -> Samples:
    """Samples of a track, with silence after its end."""
    part = track[begin : begin + count]
    return np.pad(part, ((0, count - len(part)), (0, 0)))


def _crossfaded(rising: Samples, falling: Samples, first: int, overlap: int) -> Samples:
    angle = np.clip((first + np.arange(len(rising))) / overlap, 0, 1)[:, None] * (np.pi / 2)
    return (rising * np.sin(angle) + falling * np.cos(angle) * (angle < np.pi / 2)).astype(np.float32)


def _fades(first: int, count: int, total: int, plan: BedPlan, rate: int) -> Samples:
    """The gain (n, 1) of both fades for the samples from ``first`` on."""
    times = (first + np.arange(count)) / rate
    rise = np.clip(times / plan.fade_in_s, 0, 1) if plan.fade_in_s else np.ones(count)
    fall = np.clip((total / rate - times) / plan.fade_out_s, 0, 1) if plan.fade_out_s else np.ones(count)
    gain = (0.5 - 0.5 * np.cos(np.pi * rise)) * (0.5 - 0.5 * np.cos(np.pi * fall))
    return gain[:, None].astype(np.float32)
