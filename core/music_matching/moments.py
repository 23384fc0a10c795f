"""The moment of a track that fits a film: where in it to begin.

A window of the film's length slides over the track from bar to bar. What counts: cuts that fall on onsets, loudness
that follows the motion, likeness of the window's sound to the film, and an opening that is not a quiet intro.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.music_matching.features import MOTION_RATE, Vectors, VideoFeatures
from core.music_matching.results import Moment
from core.music_matching.rhythm import ENERGY_RATE, ONSET_RATE, Rhythm

Curve = NDArray[np.floating]
WEIGHTS = {"cuts": 0.4, "motion": 0.4, "likeness": 0.3, "opening": 0.25}
TOLERANCE_S = 0.08
"""A cut and an onset so near to each other are seen and heard as one."""
OPENING_S = 3.0
_MANY_CUTS = 6
_LOUDNESS_RANGE_DB = 12.0
_GRID_S = 0.5
_SHORTEST_S = 2.0


@dataclass(frozen=True)
class TrackCurves:
    """What of a track decides on moments.

    Attributes:
        duration_s: how long it lasts.
        rhythm: onsets, loudness, bars.
        windows: (W, D) unit vectors of parts of the track in the space of the model.
        window_step_s: from the beginning of one part to that of the next.
    """

    duration_s: float
    rhythm: Rhythm
    windows: Vectors
    window_step_s: float


def best_moment(video: VideoFeatures, vector: Vectors, track: TrackCurves) -> Moment:
    """The best beginning in a track for a film.

    Args:
        video: the film; cuts and motion may be missing.
        vector: (D,) the film in the space of the model.
        track: the music.
    """
    starts = candidate_starts(track, video.duration_s)
    parts = {
        "cuts": cut_fit(video.cuts_s, track.rhythm.onsets, starts),
        "motion": motion_fit(video.motion, track.rhythm.energy_db, starts),
        "likeness": likeness(vector, track, starts, video.duration_s),
        "opening": opening(track.rhythm.energy_db, starts),
    }
    total = np.sum([WEIGHTS[name] * values for name, values in parts.items()], axis=0)
    best = int(np.argmax(total))
    start_s = float(starts[best])
    end_s = min(track.duration_s, start_s + video.duration_s)
    told = _reasons(video, track, start_s, {name: float(values[best]) for name, values in parts.items()})
    return Moment(start_s, end_s, float(total[best]), told)


def candidate_starts(track: TrackCurves, wanted_s: float) -> Curve:
    """Where a window may begin: on downbeats, else on beats, else every half second; at 0 where nothing else fits.

    The window ends within the track, unless the film is longer: then it begins in the first half, and is looped.
    """
    last = track.duration_s - wanted_s if wanted_s <= track.duration_s else track.duration_s / 2
    for places in (track.rhythm.downbeats_s, track.rhythm.beats_s):
        fitting = places[places <= last]
        if len(fitting):
            return fitting
    return np.arange(0, max(last, 0) + 1e-6, _GRID_S)


def cut_fit(cuts_s: Curve, onsets: Curve, starts: Curve) -> Curve:
    """How much stronger onsets are at the cuts than elsewhere: (K,), about 0 by chance, at most 1.

    The mean of the strongest onset within `TOLERANCE_S` of each cut, less what any moment of the track has on average,
    in units of what is left to full strength. Few cuts prove little, and count for less.
    """
    if not len(cuts_s) or not len(onsets):
        return np.zeros(len(starts))
    reach = max(1, round(TOLERANCE_S * ONSET_RATE))
    padded = np.pad(onsets, reach, mode="edge")
    near = np.max([padded[shift : shift + len(onsets)] for shift in range(2 * reach + 1)], axis=0)
    places = np.round((starts[:, None] + cuts_s[None]) * ONSET_RATE).astype(int)
    at_cuts = np.where(places < len(near), near[np.minimum(places, len(near) - 1)], near.mean()).mean(1)
    sure = min(1.0, len(cuts_s) / _MANY_CUTS)
    return sure * (at_cuts - near.mean()) / max(1 - float(near.mean()), 1e-3)


def motion_fit(motion: Curve, energy_db: Curve, starts: Curve) -> Curve:
    """The correlation of the picture's motion with the music's loudness in each window: (K,), -1 to 1.

    Both are smoothed over a second; 0 where one of them does not change, or the film is shorter than two seconds.
    """
    if len(motion) < _SHORTEST_S * MOTION_RATE or not len(energy_db):
        return np.zeros(len(starts))
    times = np.arange(len(motion)) / MOTION_RATE
    moving = _standardised(_smooth(motion, round(MOTION_RATE))[None])
    places = np.round((starts[:, None] + times[None]) * ENERGY_RATE).astype(int)
    loud = _smooth(energy_db, round(ENERGY_RATE))[np.minimum(places, len(energy_db) - 1)]
    return (moving * _standardised(loud)).mean(1)


def likeness(vector: Vectors, track: TrackCurves, starts: Curve, duration_s: float) -> Curve:
    """How alike film and window are, less the mean of the track: (K,)."""
    cosines = track.windows @ vector
    step = track.window_step_s
    spans = [slice(int(s / step), max(int(s / step) + 1, round((s + duration_s) / step) - 2)) for s in starts]
    means = np.array([cosines[span].mean() if len(cosines[span]) else cosines[-1] for span in spans])
    return means - cosines.mean()


def opening(energy_db: Curve, starts: Curve) -> Curve:
    """How strong the first three seconds are against the track's median: (K,), -1 for 12 dB below, at most 0.5."""
    count = max(1, round(OPENING_S * ENERGY_RATE))
    sums = np.concatenate([[0.0], np.cumsum(energy_db)])
    first = np.minimum(np.round(starts * ENERGY_RATE).astype(int), len(energy_db) - 1)
    last = np.minimum(first + count, len(energy_db))
    means = (sums[last] - sums[first]) / (last - first)
    return np.clip((means - np.median(energy_db)) / _LOUDNESS_RANGE_DB, -1, 0.5)


def _smooth(values: Curve, width: int) -> Curve:
    kernel = np.ones(max(1, width)) / max(1, width)
    return np.convolve(np.pad(values, width, mode="edge"), kernel, mode="same")[width:-width]


def _standardised(rows: Curve) -> Curve:
    centred = rows - rows.mean(1, keepdims=True)
    deviation = rows.std(1, keepdims=True)
    return np.where(deviation > 1e-6, centred / np.maximum(deviation, 1e-6), 0.0)


def _reasons(video: VideoFeatures, track: TrackCurves, start_s: float, parts: dict[str, float]) -> tuple[str, ...]:
    told: list[str] = []
    rhythm = track.rhythm
    where = f"{int(start_s) // 60}:{int(start_s) % 60:02}"
    if len(rhythm.downbeats_s) and float(np.abs(rhythm.downbeats_s - start_s).min()) < 1e-3:
        told.append(f"begins on a downbeat at {where}")
    if parts["cuts"] > 0.1:
        hits = _cuts_on_onsets(video.cuts_s, rhythm.onsets, start_s)
        told.append(f"{hits} of {len(video.cuts_s)} cuts fall on onsets")
    if parts["motion"] > 0.25:
        told.append(f"its loudness follows the motion (correlation {parts['motion']:.2f})")
    intro = float(opening(rhythm.energy_db, np.zeros(1))[0])
    if start_s > 1 and intro < -0.3 and parts["opening"] > intro + 0.3:
        told.append("passes over the quiet intro")
    elif parts["opening"] > 0.1:
        told.append("opens strongly")
    return tuple(told)


def _cuts_on_onsets(cuts_s: Curve, onsets: Curve, start_s: float) -> int:
    """How many cuts have an onset of more than the mean strength, and a deviation, near them."""
    strong = float(onsets.mean() + onsets.std())
    reach = max(1, round(TOLERANCE_S * ONSET_RATE))
    places: Sequence[int] = np.round((start_s + cuts_s) * ONSET_RATE).astype(int).tolist()
    return sum(bool((onsets[max(0, place - reach) : place + reach + 1] > strong).any()) for place in places)
