"""Tempo, beats, bars, onsets and loudness over time of a piece of music, by librosa.

Source: Böck and Widmer, "Maximum filter vibrato suppression for onset detection", 2013 (onset envelope); Ellis, "Beat
tracking by dynamic programming", 2007 (beats). Bars are ours: librosa finds none, so four beats are taken for a bar,
and of the four places where it may begin the one with the strongest low onsets.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.errors import ParameterError

Curve = NDArray[np.float32]
Wave = NDArray[np.float32]

SAMPLE_RATE = 16000
HOP = 256
ONSET_STEP, ENERGY_STEP = 2, 16
ONSET_RATE = SAMPLE_RATE / HOP / ONSET_STEP
"""Values of the onset envelope a second."""
ENERGY_RATE = SAMPLE_RATE / HOP / ENERGY_STEP
"""Values of the energy curve a second."""
BAR_BEATS = 4
_FFT, _BANDS, _LOW_BANDS = 1024, 64, 8
_FLOOR_DB = -80.0


@dataclass(frozen=True)
class Rhythm:
    """What beats in a piece of music, and when.

    Attributes:
        tempo_bpm: beats a minute; 0 where there are none.
        beats_s: (B,) when each beat falls.
        downbeats_s: (D,) the beats with which bars begin.
        onsets: (N,) strength of onsets, `ONSET_RATE` values a second, 0 to 1.
        energy_db: (M,) loudness, `ENERGY_RATE` values a second, -80 to 0 dB against full scale.
    """

    tempo_bpm: float
    beats_s: Curve
    downbeats_s: Curve
    onsets: Curve
    energy_db: Curve


def rhythm_of(wave: Wave) -> Rhythm:
    """Follow the rhythm of a piece of music (N,), mono at 16 kHz, in [-1, 1].

    Raises:
        ParameterError: ``wave`` has another shape or dtype, or is empty.
    """
    import librosa  # half a second, and only needed here

    if wave.dtype != np.float32 or wave.ndim != 1 or not len(wave):
        raise ParameterError(f"The music is {wave.dtype} {wave.shape}; give float32 of shape (N,), mono at 16 kHz.")
    power = librosa.feature.melspectrogram(
        y=np.pad(wave, (0, max(0, _FFT - len(wave)))), sr=SAMPLE_RATE, n_fft=_FFT, hop_length=HOP, n_mels=_BANDS
    )
    level = librosa.power_to_db(power, ref=1.0, amin=1e-8, top_db=None)
    onsets = librosa.onset.onset_strength(S=level, sr=SAMPLE_RATE, hop_length=HOP, n_fft=_FFT)
    low = librosa.onset.onset_strength(S=level[:_LOW_BANDS], sr=SAMPLE_RATE, hop_length=HOP, n_fft=_FFT)
    tempo, beats = librosa.beat.beat_track(onset_envelope=onsets, sr=SAMPLE_RATE, hop_length=HOP)
    beats_s = (beats * HOP / SAMPLE_RATE).astype(np.float32)
    return Rhythm(
        float(np.atleast_1d(tempo)[0]) if len(beats) else 0.0,
        beats_s,
        beats_s[first_downbeat(low[beats]) :: BAR_BEATS],
        normalised(highest(onsets, ONSET_STEP)),
        energy_db(wave),
    )


def first_downbeat(strengths: Curve) -> int:
    """Which of the first four beats begins a bar: the one whose bar's beats are the strongest.

    >>> first_downbeat(np.array([1, 1, 5, 1, 1, 1, 5, 1, 1, 1, 5], np.float32))
    2
    """
    sums = [float(strengths[phase::BAR_BEATS].mean()) for phase in range(min(BAR_BEATS, len(strengths)))]
    return int(np.argmax(sums)) if sums else 0


def energy_db(wave: Wave) -> Curve:
    """Mean power of a wave (N,) in stretches of `ENERGY_STEP` hops, in dB against full scale, at least -80."""
    length = HOP * ENERGY_STEP
    padded = np.pad(wave, (0, -len(wave) % length))
    power = np.square(padded.reshape(-1, length), dtype=np.float32).mean(1)
    return np.maximum(10 * np.log10(power + 1e-12), _FLOOR_DB).astype(np.float32)


def highest(values: Curve, step: int) -> Curve:
    """The highest of every ``step`` values; the last one may stand for fewer.

    >>> highest(np.array([1, 3, 2, 2, 7], np.float32), 2).tolist()
    [3.0, 2.0, 7.0]
    """
    padded = np.pad(values, (0, -len(values) % step), mode="edge")
    return np.asarray(padded.reshape(-1, step).max(1), np.float32)


def normalised(values: Curve) -> Curve:
    """Values divided by their 99th percentile and cut at 1; zeros stay zeros."""
    most = float(np.quantile(values, 0.99)) if len(values) else 0.0
    return np.clip(values / most, 0, 1).astype(np.float32) if most > 0 else np.zeros_like(values, np.float32)
