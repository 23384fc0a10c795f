"""What the network hears: the mel-frequency cepstrum of speech, in a window around each frame (METHODS 4, step 4).

A hundred columns a second, and twenty of them a frame: a fifth of a second, or five frames at 25 a second, as Chung and
Zisserman, "Out of Time: Automated Lip Sync in the Wild", 2016. Deviation: 20 coefficients where they take 13. Column k
is centred on (k + ½) / 100 s, so that at 25 frames a second columns 4n to 4n + 3 are those of frame n, and its window,
4n - 8 to 4n + 11, reaches as far before the frame as behind it.
"""

from collections.abc import Sequence
from fractions import Fraction
from math import floor

import numpy as np
from numpy.typing import NDArray

from core.errors import ParameterError

Wave = NDArray[np.float32]
Columns = NDArray[np.float32]

SAMPLE_RATE = 16000
FRAME_RATE = Fraction(25)
COEFFICIENTS = 20
COLUMNS = 20
"""Columns of a window."""
COLUMN_RATE = 100
"""Columns a second."""
HOP = SAMPLE_RATE // COLUMN_RATE
_FFT, _WINDOW, _BANDS = 512, 400, 40
_BEFORE = (_FFT - HOP) // 2
_POWER_FLOOR = 1e-10
_BLOCK = 6000
"""Columns that are computed at once: a minute."""


def mfcc(wave: Wave) -> Columns:
    """The cepstrum of sound: one column for every begun hundredth of a second.

    Each is the cosine transform of 40 mel bands of a Hann window of 25 ms, in decibels against full scale and not below
    -100. Sound is taken as silent before its beginning and after its end. Memory beside the result does not grow with
    the length.

    Args:
        wave: (N,), mono at 16 kHz, in [-1, 1]; may be empty.

    Returns:
        (20, ⌈N / 160⌉).

    Raises:
        ParameterError: ``wave`` has another shape or dtype, or a sample is not a number.
    """
    import librosa  # half a second, and only needed here

    if wave.dtype != np.float32 or wave.ndim != 1:
        raise ParameterError(f"The sound is {wave.dtype} {wave.shape}; give float32 of shape (N,), mono at 16 kHz.")
    if not np.isfinite(wave).all():
        raise ParameterError("The sound has samples that are not numbers; decode it again.")
    count = -(-len(wave) // HOP)
    padded = np.pad(wave, (_BEFORE, _FFT - _BEFORE))
    blocks = [np.zeros((COEFFICIENTS, 0), np.float32)]
    for begin in range(0, count, _BLOCK):
        length = min(_BLOCK, count - begin)
        part = padded[begin * HOP :][: (length - 1) * HOP + _FFT]
        part = np.pad(part, (0, (length - 1) * HOP + _FFT - len(part)))
        bands = librosa.feature.melspectrogram(
            y=part, sr=SAMPLE_RATE, n_fft=_FFT, hop_length=HOP, win_length=_WINDOW, n_mels=_BANDS, center=False
        )
        decibels = librosa.power_to_db(bands, amin=_POWER_FLOOR, top_db=None)
        blocks.append(librosa.feature.mfcc(S=decibels, n_mfcc=COEFFICIENTS).astype(np.float32))
    return np.concatenate(blocks, axis=1)


def silent_column() -> Columns:
    """The column of silence, (20,): the first coefficient is -100·√40, the others are 0."""
    column = np.zeros(COEFFICIENTS, np.float32)
    column[0] = 10 * np.log10(_POWER_FLOOR) * np.sqrt(_BANDS)
    return column


def frame_windows(columns: Columns, frame_count: int, frame_rate: Fraction = FRAME_RATE) -> Columns:
    """The window of each frame, with silence before the first column and after the last.

    The window of frame n has its middle at the middle of the frame's time, (n + ½) / ``frame_rate``, or the next column
    boundary; where the first column is heard with frame 0.

    Args:
        columns: (C, K), of `mfcc`.
        frame_count: of the film, or as many as are wanted; may be 0.
        frame_rate: frames a second.

    Returns:
        (frame_count, C, 20).

    Raises:
        ParameterError: there are fewer than zero frames, or the rate is not positive.
    """
    if frame_count < 0 or not frame_rate > 0:
        raise ParameterError(f"There are {frame_count} frames at {frame_rate} a second; give numbers above zero.")
    return windows_at(columns, [(frame + Fraction(1, 2)) / Fraction(frame_rate) for frame in range(frame_count)])


def windows_at(columns: Columns, middles_s: Sequence[Fraction]) -> Columns:
    """The windows around some times, in seconds after the first column's begin: (len(middles_s), C, 20).

    The middle of a window is at its time, or the next column boundary; silence is before and behind the columns (C, K).
    """
    starts = np.array([_first_column(middle_s) for middle_s in middles_s], np.int64)
    wanted = starts[:, None] + np.arange(COLUMNS)
    behind = columns.shape[1]
    with_silence = np.concatenate([columns, silent_column()[:, None]], axis=1)
    return with_silence[:, np.where((wanted >= 0) & (wanted < behind), wanted, behind)].swapaxes(0, 1)


def frames_of(wave: Wave, frame_rate: Fraction = FRAME_RATE) -> int:
    """How many frames sound (N,) at 16 kHz lasts, the last one begun included.

    >>> frames_of(np.zeros(16001, np.float32))
    26
    """
    return -(-len(wave) * frame_rate.numerator // (SAMPLE_RATE * frame_rate.denominator))


def _first_column(middle_s: Fraction) -> int:
    """The middle in columns, less half a window, rounded to the nearest."""
    return floor(middle_s * COLUMN_RATE - COLUMNS // 2 + Fraction(1, 2))
