"""The moment of a track that fits a film: where in it to begin.

A window of the film's length slides over the track from beat to beat, and prefers the beginnings of bars. What counts:
cuts that fall on onsets, loudness that follows the motion, likeness of the window's sound to the film, and an opening
that is not a quiet intro.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from core.music_matching.features import MOTION_RATE, Vectors, VideoFeatures
from core.music_matching.results import Moment
from core.music_matching.rhythm import ENERGY_RATE, ONSET_RATE, Rhythm

Curve = NDArray[np.floating]
WEIGHTS = {"cuts": 0.5, "motion": 1.5, "likeness": 0.3, "opening": 0.5, "bar": 0.3}
"""Cuts and likeness are in deviations from what the track has elsewhere, motion in those of a correlation (Fisher)."""
TOLERANCE_S = 0.08
"""A cut and an onset so near to each other are seen and heard as one."""
OPENING_S = 3.0
_INDEPENDENT_S = 2.0
"""Motion and loudness are worth one independent value in so many seconds."""
_MANY_CUTS = 6
_LOUDNESS_RANGE_DB = 12.0
_GRID_S = 0.5
_SHORTEST_S = 2.0
_GOOD_FIT = 6.0


@dataclass(frozen=True)
class TrackCurves:
    """What of a track decides on moments.

    Attributes:
        duration_s: how long it lasts.
        rhythm: onsets, loudness, bars.
        windows: (W, D) parts of the track in the learned part of the space of the model.
        window_step_s: from the beginning of one part to that of the next.
    """

    duration_s: float
    rhythm: Rhythm
    windows: Vectors
    window_step_s: float

    @cached_property
    def near_onsets(self) -> Curve:
        """The strongest onset within `TOLERANCE_S` of every moment."""
        reach = max(1, round(TOLERANCE_S * ONSET_RATE))
        padded, count = np.pad(self.rhythm.onsets, reach, mode="edge"), len(self.rhythm.onsets)
        return np.max([padded[shift : shift + count] for shift in range(2 * reach + 1)], axis=0)

    @cached_property
    def smooth_energy(self) -> Curve:
        """Loudness smoothed over a second."""
        return _smooth(self.rhythm.energy_db, round(ENERGY_RATE))

    @cached_property
    def usual_energy_db(self) -> float:
        """The median of its loudness."""
        return float(np.median(self.rhythm.energy_db))

    @cached_property
    def begins_bar(self) -> Curve:
        """Of every beat, 1 where a bar begins with it, else 0."""
        return np.isin(self.rhythm.beats_s, self.rhythm.downbeats_s).astype(float)


def best_moment(video: VideoFeatures, vector: Vectors, track: TrackCurves) -> Moment:
    """The best beginning in a track for a film; `reasons_of` tells why.

    Args:
        video: the film; cuts and motion may be missing.
        vector: (D,) the film in the learned part of the space of the model; more numbers than D are passed over.
        track: the music.
    """
    starts = candidate_starts(track, video.duration_s)
    independent = max(1.0, min(video.duration_s, len(video.motion) / MOTION_RATE) / _INDEPENDENT_S)
    parts = {
        "cuts": min(1.0, len(video.cuts_s) / _MANY_CUTS) * _standardised(cut_fit(video.cuts_s, track, starts)),
        "motion": np.arctanh(0.99 * motion_fit(video.motion, track, starts)) * np.sqrt(independent),
        "likeness": _standardised(likeness(vector, track, starts, video.duration_s)),
        "opening": opening(track, starts),
        "bar": _bars(track, starts),
    }
    total = np.sum([WEIGHTS[name] * values for name, values in parts.items()], axis=0)
    best = int(np.argmax(total))
    start_s = float(starts[best])
    end_s = min(track.duration_s, start_s + video.duration_s)
    return Moment(start_s, end_s, float(np.tanh(total[best] / _GOOD_FIT)))


def candidate_starts(track: TrackCurves, wanted_s: float) -> Curve:
    """Where a window may begin: on beats, else every half second; at 0 where nothing else fits.

    The window ends within the track, unless the film is longer: then it begins in the first half, and is looped.
    """
    last = track.duration_s - wanted_s if wanted_s <= track.duration_s else track.duration_s / 2
    fitting = track.rhythm.beats_s[track.rhythm.beats_s <= last]
    return fitting if len(fitting) else np.arange(0, max(last, 0) + 1e-6, _GRID_S)


def cut_fit(cuts_s: Curve, track: TrackCurves, starts: Curve) -> Curve:
    """How much stronger onsets are at the cuts than elsewhere: (K,), about 0 by chance, at most 1.

    The mean of the strongest onset within `TOLERANCE_S` of each cut, less what any moment of the track has on average,
    in units of what is left to full strength.
    """
    near = track.near_onsets
    if not len(cuts_s) or not len(near):
        return np.zeros(len(starts))
    places = np.round((starts[:, None] + cuts_s[None]) * ONSET_RATE).astype(int)
    usual = float(near.mean())
    at_cuts = np.where(places < len(near), near[np.minimum(places, len(near) - 1)], usual).mean(1)
    return (at_cuts - usual) / max(1 - usual, 1e-3)


def motion_fit(motion: Curve, track: TrackCurves, starts: Curve) -> Curve:
    """The correlation of the picture's motion with the music's loudness in each window: (K,), -1 to 1.

    Both are smoothed over a second, and the motion is read at the times of the loudness; where the track ends, its last
    loudness goes on. 0 where one of them does not change, or the film is shorter than two seconds.
    """
    loud = track.smooth_energy
    if len(motion) < _SHORTEST_S * MOTION_RATE or not len(loud):
        return np.zeros(len(starts))
    moving = _standardised(_at_rate(_smooth(motion, round(MOTION_RATE)), MOTION_RATE, ENERGY_RATE))
    count = len(moving)
    held = np.pad(loud - loud.mean(), (0, count), mode="edge").astype(float)
    first = np.minimum(np.rint(starts * ENERGY_RATE).astype(int), len(loud) - 1)
    sums, squares = (np.concatenate([[0.0], np.cumsum(values)]) for values in (held, held * held))
    means, powers = ((ends[first + count] - ends[first]) / count for ends in (sums, squares))
    deviations = np.sqrt(np.maximum(powers - means * means, 0))
    together = np.correlate(held, moving)[first] / count
    return np.where(deviations > 1e-3, np.clip(together / np.maximum(deviations, 1e-3), -1, 1), 0.0)


def likeness(vector: Vectors, track: TrackCurves, starts: Curve, duration_s: float) -> Curve:
    """How alike film and window are: (K,), the mean cosine of the track's parts in it."""
    sums = np.concatenate([[0.0], np.cumsum(track.windows @ vector[: track.windows.shape[1]])])
    first = np.minimum((starts / track.window_step_s).astype(int), len(sums) - 2)
    last = np.round((starts + duration_s) / track.window_step_s).astype(int) - 2
    last = np.minimum(np.maximum(last, first + 1), len(sums) - 1)
    return (sums[last] - sums[first]) / (last - first)


def opening(track: TrackCurves, starts: Curve) -> Curve:
    """How strong the first three seconds are against the track's median: (K,), -1 for 12 dB below, at most 0.5."""
    energy_db, count = track.rhythm.energy_db, max(1, round(OPENING_S * ENERGY_RATE))
    sums = np.concatenate([[0.0], np.cumsum(energy_db)])
    first = np.minimum(np.round(starts * ENERGY_RATE).astype(int), len(energy_db) - 1)
    last = np.minimum(first + count, len(energy_db))
    means = (sums[last] - sums[first]) / (last - first)
    return np.clip((means - track.usual_energy_db) / _LOUDNESS_RANGE_DB, -1, 0.5)


def _bars(track: TrackCurves, starts: Curve) -> Curve:
    """1 where a start begins a bar, else 0; starts are the first beats, or no beats at all, see `candidate_starts`."""
    fitting = track.begins_bar[: len(starts)]
    return fitting if np.array_equal(track.rhythm.beats_s[: len(starts)], starts) else np.zeros(len(starts))


def _at_rate(values: Curve, rate: float, wanted: float) -> Curve:
    """A curve with another number of values a second."""
    times = np.arange(max(1, round(len(values) / rate * wanted))) / wanted
    return np.interp(times, np.arange(len(values)) / rate, values)


def _smooth(values: Curve, width: int) -> Curve:
    kernel = np.ones(max(1, width)) / max(1, width)
    return np.convolve(np.pad(values, width, mode="edge"), kernel, mode="same")[width:-width]


def _standardised(values: Curve) -> Curve:
    centred = values - values.mean()
    deviation = float(np.sqrt(centred @ centred / len(centred)))
    return centred / deviation if deviation > 1e-6 else np.zeros(len(values))


def reasons_of(video: VideoFeatures, track: TrackCurves, moment: Moment) -> tuple[str, ...]:
    """Why a moment was chosen, in words."""
    told: list[str] = []
    rhythm, start_s, starts = track.rhythm, moment.start_s, np.array([moment.start_s])
    where = f"{int(start_s) // 60}:{int(start_s) % 60:02}"
    for name, places in (("downbeat", rhythm.downbeats_s), ("beat", rhythm.beats_s)):
        if len(places) and float(np.abs(places - start_s).min()) < 1e-3:
            told.append(f"begins on a {name} at {where}")
            break
    if len(video.cuts_s) and float(cut_fit(video.cuts_s, track, starts)[0]) > 0.1:
        hits = _cuts_on_onsets(video.cuts_s, rhythm.onsets, start_s)
        told.append(f"{hits} of {len(video.cuts_s)} cuts fall on onsets")
    follows = float(motion_fit(video.motion, track, starts)[0])
    if follows > 0.25:
        told.append(f"its loudness follows the motion (correlation {follows:.2f})")
    intro, here = (float(opening(track, np.array([at]))[0]) for at in (0.0, start_s))
    if start_s > 1 and intro < -0.3 and here > intro + 0.3:
        told.append("passes over the quiet intro")
    elif here > 0.1:
        told.append("opens strongly")
    return tuple(told)


def _cuts_on_onsets(cuts_s: Curve, onsets: Curve, start_s: float) -> int:
    """How many cuts have an onset of more than the mean strength, and a deviation, near them."""
    strong = float(onsets.mean() + onsets.std())
    reach = max(1, round(TOLERANCE_S * ONSET_RATE))
    places: Sequence[int] = np.round((start_s + cuts_s) * ONSET_RATE).astype(int).tolist()
    return sum(bool((onsets[max(0, place - reach) : place + reach + 1] > strong).any()) for place in places)
