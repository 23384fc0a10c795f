"""The speech that a face is to say: its windows of cepstrum, and when nobody speaks."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.encoders.voice import VoiceSpan, voice_spans
from core.errors import ClipTooShortError
from core.lip_sync.sound import COLUMN_RATE, SAMPLE_RATE, Columns, mfcc, silent_column, windows_at
from core.media import MediaLimits, read_audio

Wave = NDArray[np.float32]

_LEAST_VOICE_S = 0.25
"""Where less voice than this is found, it is singing, an animal or a noise, and loudness decides."""
_QUIET_DB = -35.0
_LEAST_PAUSE_S = 0.15
_EDGE_S = 0.06


@dataclass(frozen=True)
class DrivingSpeech:
    """Speech as the network hears it.

    Attributes:
        columns: (20, K), a hundred a second, silent where the gate is shut.
        duration_s: exact, of the sound as it is.
    """

    columns: Columns
    duration_s: Fraction

    @classmethod
    def of_file(cls, path: str | Path, gate: bool, limits: MediaLimits) -> "DrivingSpeech":
        """Read the sound of a file.

        Raises:
            MediaError: it cannot be read, or has no sound.
            ClipTooShortError: it has no samples.
        """
        clip = read_audio(path, sample_rate=SAMPLE_RATE, mono=True, limits=limits)
        if not len(clip.samples):
            raise ClipTooShortError(f"{Path(path).name} has no sound in it; give a recording of speech.")
        return cls.of_wave(np.ascontiguousarray(clip.samples[:, 0]), gate)

    @classmethod
    def of_wave(cls, wave: Wave, gate: bool = True) -> "DrivingSpeech":
        """Hear a wave (N,), mono at 16 kHz."""
        columns = mfcc(wave)
        if gate:
            columns = np.where(speaking(wave, columns.shape[1]), columns, silent_column()[:, None])
        return cls(columns, Fraction(len(wave), SAMPLE_RATE))

    def windows(self, middles_s: Sequence[Fraction]) -> NDArray[np.float32]:
        """The windows around some times: (len(middles_s), 20, 20)."""
        return windows_at(self.columns, middles_s)


def speaking(wave: Wave, columns: int) -> NDArray[np.bool_]:
    """In which columns, a hundred a second, somebody speaks: (columns,).

    Voice as `core.encoders.voice` finds it; within it pauses of 0.15 s and more whose loudness is 35 dB below the loud
    parts are none either. Where hardly any voice is found, loudness alone decides.
    """
    loud = _loud(wave, columns)
    spans = voice_spans(wave)
    if sum(span.duration_s for span in spans) < _LEAST_VOICE_S:
        return loud
    return loud & _within(spans, columns)


def _within(spans: Sequence[VoiceSpan], columns: int) -> NDArray[np.bool_]:
    inside = np.zeros(columns, np.bool_)
    for span in spans:
        inside[max(0, int(span.start_s * COLUMN_RATE)) : int(np.ceil(span.end_s * COLUMN_RATE))] = True
    return inside


def _loud(wave: Wave, columns: int) -> NDArray[np.bool_]:
    """Columns that are loud, or so near to one that the mouth cannot have shut between."""
    hop = SAMPLE_RATE // COLUMN_RATE
    power = (np.pad(wave, (0, columns * hop - len(wave))).reshape(columns, hop) ** 2).mean(axis=1)
    if not power.any():
        return np.zeros(columns, np.bool_)
    level = power >= np.percentile(power, 95) * 10 ** (_QUIET_DB / 10)
    edge = round(_EDGE_S * COLUMN_RATE)
    near = np.convolve(level, np.ones(2 * edge + 1), "same") > 0
    return near | ~_long_runs(~near, round(_LEAST_PAUSE_S * COLUMN_RATE))


def _long_runs(mask: NDArray[np.bool_], least: int) -> NDArray[np.bool_]:
    """The runs of True that are at least so long."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    out = np.zeros_like(mask)
    for start, stop in zip(edges[::2], edges[1::2], strict=True):
        out[start:stop] = stop - start >= least
    return out
