"""Rhythm on music whose beats are known, and its curves."""

import numpy as np
import pytest

from core.errors import ParameterError
from core.music_matching.rhythm import BAR_BEATS, ENERGY_RATE, ONSET_RATE, energy_db, first_downbeat, rhythm_of
from tests.music_matching.makers import groove


@pytest.mark.parametrize("bpm", [96.0, 120.0])
def test_beats_and_downbeats_fall_where_the_drums_are(bpm: float) -> None:
    wave = groove(24, bpm, rate=16000)[:, 0]
    rhythm = rhythm_of(wave)
    assert rhythm.tempo_bpm == pytest.approx(bpm, rel=0.04)
    off = rhythm.beats_s * bpm / 60
    assert np.abs(off - np.round(off)).max() * 60 / bpm <= 0.05
    bars = rhythm.downbeats_s * bpm / 60 / BAR_BEATS
    assert np.abs(bars - np.round(bars)).max() < 0.05
    assert len(rhythm.onsets) == pytest.approx(24 * ONSET_RATE, abs=2)
    assert len(rhythm.energy_db) == pytest.approx(24 * ENERGY_RATE, abs=2)


def test_silence_has_no_beat_and_no_onset() -> None:
    rhythm = rhythm_of(np.zeros(16000 * 5, np.float32))
    assert rhythm.tempo_bpm == 0 and not len(rhythm.beats_s) and not rhythm.onsets.any()
    assert (rhythm.energy_db == -80).all()


def test_energy_is_mean_power_in_decibels() -> None:
    wave = np.concatenate([np.full(16000, 0.5), np.full(16000, 0.05)]).astype(np.float32)
    curve = energy_db(wave)
    assert curve[1] == pytest.approx(20 * np.log10(0.5), abs=1e-3)
    assert curve[-3] == pytest.approx(20 * np.log10(0.05), abs=1e-3)


def test_no_beats_give_the_first_place() -> None:
    assert first_downbeat(np.zeros(0, np.float32)) == 0


@pytest.mark.parametrize("wave", [np.zeros(0, np.float32), np.zeros((10, 2), np.float32), np.zeros(10)])
def test_another_shape_or_type_is_refused(wave: np.ndarray) -> None:
    with pytest.raises(ParameterError, match="mono at 16 kHz"):
        rhythm_of(wave)
