"""Moments: a planted one is found, windows begin on beats, quiet intros are passed over."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.music_matching.features import MOTION_RATE, VideoFeatures
from core.music_matching.moments import (
    TrackCurves,
    best_moment,
    candidate_starts,
    cut_fit,
    motion_fit,
    opening,
    reasons_of,
)
from core.music_matching.results import Moment
from core.music_matching.rhythm import ENERGY_RATE, ONSET_RATE, Rhythm

VECTOR = np.array([1, 0], np.float32)


def curves(duration_s: float = 120, seed: int = 0, beats: bool = True) -> TrackCurves:
    """A track with a strong onset now and then, loudness that wanders, and a beat every half second."""
    random = np.random.default_rng(seed)
    onsets = 0.1 * random.random(round(duration_s * ONSET_RATE)).astype(np.float32)
    strong = random.choice(len(onsets), round(duration_s / 2), replace=False)
    onsets[strong] = 0.6 + 0.4 * random.random(len(strong))
    energy = np.cumsum(random.standard_normal(round(duration_s * ENERGY_RATE)))
    energy = (-20 + 5 * (energy - energy.mean()) / energy.std()).astype(np.float32)
    beats_s = np.arange(0, duration_s, 0.5, dtype=np.float32) if beats else np.zeros(0, np.float32)
    windows = np.tile(VECTOR, (int(duration_s / 6), 1))
    return TrackCurves(duration_s, Rhythm(120, beats_s, beats_s[::4], onsets, energy), windows, 6.0)


def film_cut_to(track: TrackCurves, start_s: float, duration_s: float) -> VideoFeatures:
    """A film that cuts at the strong onsets of a part of a track, and moves as loud as it is."""
    first, last = round(start_s * ONSET_RATE), round((start_s + duration_s) * ONSET_RATE)
    cuts = np.flatnonzero(track.rhythm.onsets[first:last] > 0.5) / ONSET_RATE
    times = start_s + np.arange(round(duration_s * MOTION_RATE)) / MOTION_RATE
    loud = np.interp(times, np.arange(len(track.rhythm.energy_db)) / ENERGY_RATE, track.rhythm.energy_db)
    motion = (loud - loud.min()) / max(np.ptp(loud), 1e-6)
    zeros = np.zeros(2, np.float32)
    return VideoFeatures(duration_s, zeros, zeros, cuts_s=cuts.astype(np.float32), motion=motion.astype(np.float32))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.integers(0, 50), st.sampled_from([12.0, 20.0, 30.0]))
def test_a_planted_moment_is_found(seed: int, bar: int, duration_s: float) -> None:
    track = curves(seed=seed)
    start_s = min(2.0 * bar, 120 - duration_s - 2)
    film = film_cut_to(track, start_s, duration_s)
    found = best_moment(film, VECTOR, track)
    assert found.start_s == pytest.approx(start_s, abs=2)
    told = reasons_of(film, track, Moment(start_s, start_s + duration_s, 0.5))
    assert any("cuts fall on onsets" in reason for reason in told)


@given(st.floats(1, 300), st.booleans())
def test_windows_lie_within_the_track_and_begin_on_beats(wanted_s: float, beats: bool) -> None:
    track = curves(beats=beats)
    starts = candidate_starts(track, wanted_s)
    assert len(starts) and starts.min() >= 0
    assert (starts + wanted_s <= 120 + 1e-4).all() if wanted_s <= 120 else (starts <= 60).all()
    if beats and len(starts) > 1:
        assert np.isin(starts, track.rhythm.beats_s).all()


def test_a_quiet_intro_is_passed_over_and_the_reason_says_so() -> None:
    track = curves(seed=3)
    track.rhythm.energy_db[:] = -20
    track.rhythm.energy_db[: round(20 * ENERGY_RATE)] = -50
    still = VideoFeatures(20.0, np.zeros(2, np.float32), np.zeros(2, np.float32))
    found = best_moment(still, VECTOR, track)
    assert found.start_s >= 18 and "passes over the quiet intro" in reasons_of(still, track, found)


def test_the_likest_part_is_chosen_where_nothing_else_tells() -> None:
    track = curves(seed=4)
    track.rhythm.energy_db[:] = -20
    track.windows[:] = (0, 1)
    track.windows[10:14] = VECTOR
    still = VideoFeatures(20.0, np.zeros(2, np.float32), np.zeros(2, np.float32))
    assert best_moment(still, VECTOR, track).start_s == pytest.approx(60, abs=6)


def test_no_cuts_and_no_motion_say_nothing() -> None:
    starts = np.arange(5.0)
    assert not cut_fit(np.zeros(0), curves(), starts).any()
    assert not motion_fit(np.zeros(3), curves(), starts).any()
    assert not motion_fit(np.full(80, 0.3), curves(), starts).any()


def test_the_opening_is_measured_against_the_median() -> None:
    track = curves()
    track.rhythm.energy_db[:] = -20
    track.rhythm.energy_db[:20] = -32
    assert opening(track, np.array([0.0, 10.0])) == pytest.approx([-1, 0], abs=0.05)


@given(st.integers(0, 1000), st.floats(3, 90))
def test_motion_and_loudness_correlate_as_numpy_says_window_by_window(seed: int, duration_s: float) -> None:
    track, random = curves(seed=seed), np.random.default_rng(seed)
    motion = random.random(round(duration_s * MOTION_RATE)).astype(np.float32)
    starts = random.uniform(0, 120, 9)
    moving = np.convolve(np.pad(motion, 4, mode="edge"), np.ones(4) / 4, mode="same")[4:-4]
    times = np.arange(round(len(motion) / MOTION_RATE * ENERGY_RATE)) / ENERGY_RATE
    moving = np.interp(times, np.arange(len(motion)) / MOTION_RATE, moving)
    loud = track.smooth_energy
    for start, told in zip(starts, motion_fit(motion, track, starts), strict=True):
        first = min(round(start * ENERGY_RATE), len(loud) - 1)
        window = loud[np.minimum(first + np.arange(len(times)), len(loud) - 1)]
        expected = np.corrcoef(moving, window)[0, 1] if window.std() > 1e-3 else 0.0
        assert told == pytest.approx(expected, abs=1e-3)
