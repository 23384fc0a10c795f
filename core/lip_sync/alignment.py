"""When the phones of a recording are spoken whose text is known.

English is aligned by pocketsphinx with the American English model of its package: words first, then their phones, as
its `Decoder.set_alignment` says. Any other language, and English where that fails, is spoken by espeak-ng; dynamic
time warping lays that reading beside the recording, and its phone times are carried over (as Malfrère and Dutoit,
"High-Quality Speech Synthesis for Phonetic Speech Segmentation", 1997).

Deviation: what is warped are the cepstra of `core.lip_sync.sound`, less their mean and over their deviation, with their
differences; both sounds get a floor of faint noise first, or a recording's hiss would be compared with digital silence.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import ParameterError
from core.lip_sync.articulation import SILENCE, Phone
from core.lip_sync.sound import COLUMN_RATE, SAMPLE_RATE, mfcc
from core.lip_sync.voices import VoiceConfig, Wave, speak

Features = NDArray[np.float32]
Rows = list[tuple[str, float]]
"""Symbol of each phone, and when it begins in seconds."""

MOST_SECONDS = 60
"""The warping keeps three tables of all pairs of columns: of a minute three quarters of a gigabyte."""
_COEFFICIENTS = 13
_FLOOR_DB = -45
_MARGIN_S = 0.2
_BEAMS = (1e-48, 1e-80)
_PAUSE_S = 0.2
_LEAST_S = 0.005
_SPHINX_SHIFT_S = 0.008
"""Between the middles of two windows of 25.6 ms, 10 ms apart, counted from the beginning of the second."""

_ARPABET_OF = {
    "i": "IY", "ɪ": "IH", "ᵻ": "IH", "e": "EH", "ɛ": "EH", "æ": "AE", "a": "AA", "ɐ": "AH", "ɑ": "AA", "ʌ": "AH",
    "ə": "AH", "ɜ": "ER", "ɚ": "ER", "ɝ": "ER", "ɒ": "AA", "ɔ": "AO", "o": "OW", "ʊ": "UH", "u": "UW", "y": "UW",
    "eɪ": "EY", "aɪ": "AY", "ɔɪ": "OY", "oʊ": "OW", "əʊ": "OW", "aʊ": "AW", "tʃ": "CH", "dʒ": "JH", "p": "P", "b": "B",
    "t": "T", "d": "D", "k": "K", "g": "G", "ɡ": "G", "ɾ": "T", "ʔ": "T", "m": "M", "n": "N", "ŋ": "NG", "f": "F",
    "v": "V", "θ": "TH", "ð": "DH", "s": "S", "z": "Z", "ʃ": "SH", "ʒ": "ZH", "h": "HH", "x": "K", "ɹ": "R", "r": "R",
    "l": "L", "ɫ": "L", "w": "W", "j": "Y",
}  # fmt: skip


def align(wave: Wave, text: str, language: str = "en") -> tuple[Phone, ...]:
    """The phones of a recording.

    Args:
        wave: (N,), mono at 16 kHz, in [-1, 1], at most a minute.
        text: what is said in it, as it is written.
        language: a code that `core.lip_sync.voices.languages` names.

    Returns:
        Phones from 0 to N / 16000 s without a gap: in ARPAbet where pocketsphinx found them, otherwise in the
        International Phonetic Alphabet.

    Raises:
        ParameterError: the sound is empty, too long or of another shape or dtype; the text has nothing that is spoken;
            the language is unknown.
    """
    _check(wave)
    if language.split("-")[0] == "en":
        phones = by_pocketsphinx(wave, text)
        if phones:
            return phones
    return by_warping(wave, text, language)


def _check(wave: Wave) -> None:
    if wave.dtype != np.float32 or wave.ndim != 1 or not len(wave):
        raise ParameterError(f"The sound is {wave.dtype} {wave.shape}; give float32 of shape (N,), mono at 16 kHz.")
    if len(wave) > MOST_SECONDS * SAMPLE_RATE:
        raise ParameterError(
            f"The recording lasts {len(wave) / SAMPLE_RATE:.0f} s; cut it into parts of at most {MOST_SECONDS} s."
        )


def by_pocketsphinx(wave: Wave, text: str) -> tuple[Phone, ...]:
    """The phones of English speech; none where the text cannot be aligned with it.

    Words that the dictionary lacks get the phones that espeak-ng says.

    Args:
        wave: as for `align`.
        text: as for `align`.

    Raises:
        ParameterError: the text has nothing that is spoken.
    """
    from pocketsphinx import Decoder

    samples = (np.clip(wave, -1, 1) * 32767).astype(np.int16).tobytes()
    for beam in _BEAMS:
        # The best path through the lattice may leave less time to a word than its states need.
        decoder = Decoder(
            samprate=SAMPLE_RATE, lm=None, bestpath=False, beam=beam, pbeam=beam, wbeam=beam, loglevel="FATAL"
        )
        phones = _covering(_sphinx_rows(decoder, samples, _known_words(decoder, text)), len(wave) / SAMPLE_RATE)
        if phones:
            return phones
    return ()


def _sphinx_rows(decoder: Any, samples: bytes, words: Sequence[str]) -> Rows:
    """The phones of these words; none where there is no way through all of them."""
    if not words:
        return []
    try:
        decoder.set_align_text(" ".join(words))
        _decode(decoder, samples)
        decoder.set_alignment()
        _decode(decoder, samples)
    except RuntimeError:  # all that pocketsphinx raises
        return []
    rows: Rows = []
    spoken: list[str] = []
    for word in decoder.get_alignment() or ():  # its entries are gone when the next one is asked for
        spoken.append(word.name)
        for phone in word:
            symbol = SILENCE if phone.name.startswith(("SIL", "+")) else phone.name
            rows.append((symbol, phone.start / COLUMN_RATE + _SPHINX_SHIFT_S))
    return rows if sum(name[0] not in "<[+" for name in spoken) == len(words) else []


def _decode(decoder: Any, samples: bytes) -> None:
    decoder.start_utt()
    decoder.process_raw(samples, full_utt=True)
    decoder.end_utt()


def _known_words(decoder: Any, text: str) -> list[str]:
    """The words of a text as the dictionary spells them; those that it lacks are added to it."""
    known = []
    for word in _words(text):
        if decoder.lookup_word(word) is None:
            phones = arpabet_of(speak(word, VoiceConfig("en-us")).phones)
            if not phones:
                continue
            decoder.add_word(word, " ".join(phones), True)
        known.append(word)
    return known


def _words(text: str) -> list[str]:
    """Lower-case words without the punctuation around them; apostrophes within stay."""
    split = text.lower().replace("’", "'").replace("-", " ").replace("—", " ").replace("–", " ").split()
    trimmed = ("".join(letter for letter in word if letter.isalnum() or letter == "'").strip("'") for word in split)
    return [word for word in trimmed if word]


def arpabet_of(phones: Sequence[Phone]) -> list[str]:
    """English phones of espeak-ng as those that pocketsphinx knows; what it has none for is left out."""
    found = []
    for phone in phones:
        letters = "".join(letter for letter in phone.symbol if letter in _ARPABET_OF)
        found += [_ARPABET_OF[letters]] if letters in _ARPABET_OF else [_ARPABET_OF[letter] for letter in letters]
    return found


def by_warping(wave: Wave, text: str, language: str) -> tuple[Phone, ...]:
    """The phones of speech in any language that espeak-ng speaks, by dynamic time warping.

    The text is read twice, the second time about as fast as the recording. Pauses of a fifth of a second and more that
    the reading has not are silence nevertheless.

    Args:
        wave: as for `align`.
        text: as for `align`.
        language: as for `align`.

    Raises:
        ParameterError: the text has nothing that is spoken, or the language is unknown.
    """
    import librosa

    quiet = _quiet_columns(wave)
    voice = VoiceConfig(language)
    spoken = speak(text, voice)
    said_s = max(1, int((~quiet).sum())) / COLUMN_RATE
    takes_s = sum(phone.stop_s - phone.start_s for phone in spoken.phones if phone.symbol != SILENCE)
    rate = int(np.clip(voice.rate_wpm * takes_s / said_s, 80, 450))
    spoken = speak(text, VoiceConfig(language, rate_wpm=rate))
    reading = librosa.resample(spoken.wave, orig_sr=spoken.sample_rate, target_sr=SAMPLE_RATE)
    margin = round(_MARGIN_S * SAMPLE_RATE)
    when = _warped(_features(np.pad(reading, margin)), _features(np.pad(wave, margin)))
    starts = np.array([phone.start_s for phone in spoken.phones]) + _MARGIN_S
    carried = np.interp(starts * COLUMN_RATE, np.arange(len(when)) + 0.5, when) / COLUMN_RATE - _MARGIN_S
    rows = [(phone.symbol, float(start)) for phone, start in zip(spoken.phones, carried, strict=True)]
    return _with_pauses(_covering(rows, len(wave) / SAMPLE_RATE), quiet)


def _features(wave: Wave) -> Features:
    """What is compared: (26, columns)."""
    import librosa

    loud = float(np.sqrt(np.quantile(np.square(wave), 0.95))) or 1.0
    noise = np.random.default_rng(0).standard_normal(len(wave)).astype(np.float32)
    cepstra = mfcc((wave / loud + 10 ** (_FLOOR_DB / 20) * noise).astype(np.float32))[:_COEFFICIENTS]
    both = np.concatenate([cepstra, librosa.feature.delta(cepstra, width=5)])
    return np.asarray((both - both.mean(axis=1, keepdims=True)) / (both.std(axis=1, keepdims=True) + 1e-6), np.float32)


def _warped(reading: Features, recording: Features) -> NDArray[np.float64]:
    """For each column of the reading the place in the recording, in columns; it never goes back."""
    import librosa

    _, path = librosa.sequence.dtw(reading, recording, metric="euclidean")
    columns, places = path[::-1].T
    first = np.searchsorted(columns, np.arange(reading.shape[1]))
    last = np.searchsorted(columns, np.arange(reading.shape[1]), side="right") - 1
    return (places[first] + places[last]) / 2 + 0.5


def _quiet_columns(wave: Wave) -> NDArray[np.bool_]:
    """Which hundredths of a second are silent: less than a fifth of the way from the quietest to the loudest, in dB."""
    hop = SAMPLE_RATE // COLUMN_RATE
    blocks = np.pad(wave, (0, -len(wave) % hop)).reshape(-1, hop)
    level = 10 * np.log10(np.square(blocks).mean(axis=1) + 1e-10)
    low, high = np.quantile(level, (0.02, 0.95))
    low = max(float(low), float(high) - 60)
    return np.asarray(level < low + 0.2 * (high - low))


def _covering(rows: Rows, stop_s: float) -> tuple[Phone, ...]:
    """Phones from their beginnings: the first from 0 on, each until the next, and none of them shorter than 5 ms."""
    if not rows:
        return ()
    if rows[0][0] != SILENCE and rows[0][1] > 0.03:
        rows = [(SILENCE, 0.0), *rows]
    edges = np.array([0.0, *(start for _, start in rows[1:]), stop_s])
    apart = np.arange(len(edges)) * min(_LEAST_S, stop_s / len(edges))
    edges = np.maximum.accumulate(np.clip(edges, 0, stop_s) - apart) + apart
    edges = np.minimum.accumulate((np.minimum(edges, stop_s) - apart)[::-1])[::-1] + apart
    found: list[Phone] = []
    for (symbol, _), (start, stop) in zip(rows, pairwise(edges.tolist()), strict=True):
        if found and symbol == found[-1].symbol == SILENCE:
            start = found.pop().start_s
        if stop > start:
            found.append(Phone(symbol, start, stop))
    return tuple(found)


def _with_pauses(phones: Sequence[Phone], quiet: NDArray[np.bool_]) -> tuple[Phone, ...]:
    """Phones with silence laid over long quiet stretches.

    A phone that a pause cuts in two is spoken on the longer side of it, one within it on the nearer, and its
    neighbours fill what it leaves.
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[False], quiet, [False]]).astype(int))) / COLUMN_RATE
    stop_s = phones[-1].stop_s
    for first, last in edges.reshape(-1, 2):
        if last - first < _PAUSE_S:
            continue
        kept = [p for p in phones if p.symbol != SILENCE or p.start_s < first or p.stop_s > last]
        before = [p for p in kept if first - p.start_s > p.stop_s - last]
        rows = [(p.symbol, min(p.start_s, float(first))) for p in before] + [(SILENCE, float(first))]
        after = kept[len(before) :]
        rows += [(p.symbol, float(last) if p is after[0] else max(p.start_s, float(last))) for p in after]
        phones = _covering(rows, stop_s)
    return tuple(phones)
