"""The speech that a face is to say: its windows of cepstrum, and when nobody speaks.

Sound is heard ten minutes at a time; what is kept of an hour is 30 MB of cepstrum.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.encoders.voice import VoiceSpan, voice_spans
from core.errors import ClipTooShortError
from core.lip_sync.sound import COLUMN_RATE, COLUMNS, HOP, SAMPLE_RATE, Columns, mfcc, silent_column, windows_at
from core.media import AudioRequest, MediaLimits, stream_audio

Wave = NDArray[np.float32]
Mask = NDArray[np.bool_]

_LEAST_VOICE_S = 0.25
"""Where less voice than this is found, it is singing, an animal or a noise, and loudness decides."""
_SILENT_DB = -60.0
"""Against full scale; where no voice is found, what is below that is the noise of a recorder."""
_QUIET_DB = -35.0
_STEADY_DB = 6.0
"""Sound without a voice that rises and falls by less than this is a noise, which nobody says."""
_LEAST_PAUSE_S = 0.15
_EDGE_S = 0.06
_PIECE = 60_000
"""Columns that are heard at once: ten minutes."""
_BESIDE = 2
"""Columns beside its own that a column's window of 32 ms reaches into."""


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
        clips = stream_audio(path, AudioRequest(SAMPLE_RATE, mono=True), limits)
        heard = cls.of_blocks((np.ascontiguousarray(clip.samples[:, 0]) for clip in clips), gate)
        if not heard.duration_s:
            raise ClipTooShortError(f"{Path(path).name} has no sound in it; give a recording of speech.")
        return heard

    @classmethod
    def of_wave(cls, wave: Wave, gate: bool = True) -> "DrivingSpeech":
        """Hear a wave (N,), mono at 16 kHz."""
        return cls.of_blocks([wave], gate)

    @classmethod
    def of_blocks(cls, blocks: Iterable[Wave], gate: bool = True) -> "DrivingSpeech":
        """Hear a wave that comes in blocks (N,), mono at 16 kHz."""
        columns, heard, samples = [np.zeros((len(silent_column()), 0), np.float32)], _Heard([], [], []), 0
        for piece in _pieces(blocks):
            samples += len(piece.own)
            columns.append(mfcc(piece.wave)[:, piece.before : piece.before + -(-len(piece.own) // HOP)])
            if gate:
                heard.hear(piece.own)
        joined = np.concatenate(columns, axis=1)
        if gate and samples:
            joined = np.where(heard.speaking(), joined, silent_column()[:, None])
        return cls(joined, Fraction(samples, SAMPLE_RATE))

    def windows(self, middles_s: Sequence[Fraction]) -> NDArray[np.float32]:
        """The windows around some times: (len(middles_s), 20, 20); the nearer they are together, the cheaper."""
        if not middles_s:
            return windows_at(self.columns, middles_s)
        first = max(0, floor(min(middles_s) * COLUMN_RATE) - COLUMNS)
        last = max(first, ceil(max(middles_s) * COLUMN_RATE) + COLUMNS)
        begin_s = Fraction(first, COLUMN_RATE)
        return windows_at(self.columns[:, first:last], [middle_s - begin_s for middle_s in middles_s])


def speaking(wave: Wave) -> Mask:
    """In which columns, a hundred a second, somebody speaks: (⌈N / 160⌉,) for a wave (N,), mono at 16 kHz.

    Voice as `core.encoders.voice` finds it; within it pauses of 0.15 s and more whose loudness is 35 dB below the loud
    parts are none either. Where hardly any voice is found, loudness alone decides, as long as it rises and falls: a
    hum or a hiss is nobody, nor is what stays below -60 dB.
    """
    heard = _Heard([], [], [])
    heard.hear(wave)
    return heard.speaking()


class _Heard(NamedTuple):
    """What is known of all pieces of a wave: the power of each column, whether it has a voice, and how much voice."""

    power: list[NDArray[np.float32]]
    voiced: list[Mask]
    voice_s: list[float]

    def hear(self, wave: Wave) -> None:
        columns = -(-len(wave) // HOP)
        spans = voice_spans(wave)
        padded = np.pad(wave, (0, columns * HOP - len(wave)))
        self.power.append((padded.reshape(columns, HOP) ** 2).mean(axis=1))
        self.voiced.append(_within(spans, columns))
        self.voice_s.append(sum(span.duration_s for span in spans))

    def speaking(self) -> Mask:
        power, voiced = np.concatenate(self.power), np.concatenate(self.voiced)
        if sum(self.voice_s) >= _LEAST_VOICE_S:
            return _loud(power, power[voiced]) & voiced
        sounding = power >= 10 ** (_SILENT_DB / 10)
        return _loud(power, power[:0] if _steady(power) else power[sounding]) & _widened(sounding)


def _steady(power: NDArray[np.float32]) -> bool:
    """Whether sound hardly rises and falls from one fifth of a second to the next."""
    window = COLUMN_RATE // 5
    if len(power) < 2 * window:
        return False
    means = power[: len(power) // window * window].reshape(-1, window).mean(axis=1)
    low, high = np.percentile(10 * np.log10(means + 1e-12), [10, 90])
    return bool(high - low < _STEADY_DB)


class _Piece(NamedTuple):
    """Part of a wave: with a little of what lies around it, how many columns of that lie before, and the part alone."""

    wave: Wave
    before: int
    own: Wave


def _pieces(blocks: Iterable[Wave]) -> Iterator[_Piece]:
    """A wave in pieces of ten minutes."""
    held, before = [np.zeros(0, np.float32)], 0
    for block in blocks:
        held.append(block)
        if sum(map(len, held)) < (before + _PIECE + _BESIDE) * HOP:
            continue
        wave = np.concatenate(held)
        while len(wave) >= (before + _PIECE + _BESIDE) * HOP:
            end = (before + _PIECE) * HOP
            yield _Piece(wave[: end + _BESIDE * HOP], before, wave[before * HOP : end])
            wave, before = wave[end - _BESIDE * HOP :], _BESIDE
        held = [wave]
    wave = np.concatenate(held)
    if len(wave) > before * HOP:
        yield _Piece(wave, before, wave[before * HOP :])


def _within(spans: Sequence[VoiceSpan], columns: int) -> Mask:
    inside = np.zeros(columns, np.bool_)
    for span in spans:
        inside[max(0, int(span.start_s * COLUMN_RATE)) : int(np.ceil(span.end_s * COLUMN_RATE))] = True
    return inside


def _loud(power: NDArray[np.float32], heard: NDArray[np.float32]) -> Mask:
    """Columns that are loud against what is heard, or so near to one that the mouth cannot have shut between."""
    loudest = float(np.percentile(heard, 95)) if len(heard) else 0.0
    if not loudest > 0:
        return np.zeros(len(power), np.bool_)
    near = _widened(power >= loudest * 10 ** (_QUIET_DB / 10))
    return near | ~_long_runs(~near, round(_LEAST_PAUSE_S * COLUMN_RATE))


def _widened(mask: Mask) -> Mask:
    edge = round(_EDGE_S * COLUMN_RATE)
    return np.asarray(np.convolve(np.pad(mask, edge), np.ones(2 * edge + 1), "valid") > 0, np.bool_)


def _long_runs(mask: Mask, least: int) -> Mask:
    """The runs of True that are at least so long."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    out = np.zeros_like(mask)
    for start, stop in zip(edges[::2], edges[1::2], strict=True):
        out[start:stop] = stop - start >= least
    return out
