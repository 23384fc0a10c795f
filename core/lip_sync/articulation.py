"""What the mouth does while phones are spoken: its course in four numbers a frame.

Coarticulation by dominance, after Cohen and Massaro, "Modeling Coarticulation in Synthetic Visual Speech", 1993: each
phone s has for each parameter p a target T and a dominance D(τ) = α exp(-θ |τ|), and the parameter at a time is the
mean of all targets weighted with their dominances, F = ΣDT / ΣD (their equations 1 to 4, with c = 1). Rounding has a
slow θ and is seen long before its vowel; lips that shut have an α that wins against whatever stands beside them.

Deviations: τ counts from the nearest edge of a phone's core and not from its middle, so that long phones hold their
shape; a phone of several letters (a diphthong, an affricate) is cut into as many pieces; and shut lips, or a lip under
the teeth, hold at least until the middle of the nearest frame, for a closure may be shorter than a frame.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from itertools import pairwise
from math import floor

import numpy as np
from numpy.typing import NDArray

from core.errors import ParameterError

Course = NDArray[np.float32]

ARTICULATION = ("opening", "spread", "tuck", "tongue")
"""opening: 0 lips shut, 1 as wide as in "ah". spread: -1 rounded and pushed out as in "oo", 1 drawn as in "ee".
tuck: 0 to 1, the lower lip under the upper teeth as in f. tongue: 0 to 1, its tip is to be seen as in th and l."""
SILENCE = "_"


@dataclass(frozen=True)
class Phone:
    """One sound of speech.

    Attributes:
        symbol: in the International Phonetic Alphabet or ARPAbet; "_" is silence.
        start_s: when it begins, in seconds.
        stop_s: when it ends.
    """

    symbol: str
    start_s: float
    stop_s: float


@dataclass(frozen=True)
class Viseme:
    """What a class of phones wants of the mouth.

    Attributes:
        target: of the four parameters.
        strength: α of each; 0 where the phone has no wish.
        rate: θ of each, per second.
        core: the part of the phone, 0 to 1, between whose edges the dominance is whole.
        holds: whether the core reaches to the middle of the nearest frame.
    """

    target: tuple[float, float, float, float]
    strength: tuple[float, float, float, float]
    rate: tuple[float, float, float, float] = (20.0, 12.0, 35.0, 25.0)
    core: tuple[float, float] = (0.3, 0.7)
    holds: bool = False


_REST = Viseme((0, 0, 0, 0), (20, 6, 20, 20), (50, 25, 40, 40))
_SETTLING_S, _PARTING_S, _WHOLE_REST_S = 0.09, 0.06, 0.2
"""How long lips take to shut in silence, and to part before speech; a shorter silence is a weaker one."""
_SHUT_RATE, _NEVER_S = 110.0, 1e6

_CONSONANTS = {
    # Lips shut: they part at the burst of a stop, and at the end of m.
    "pʙʘ": Viseme((0, 0, 0, 0), (40, 0.3, 3, 1), (_SHUT_RATE, 12, 35, 25), (0.1, 0.6), True),
    "bɓ": Viseme((0, 0, 0, 0), (40, 0.3, 3, 1), (_SHUT_RATE, 12, 35, 25), (0.1, 0.75), True),
    "m": Viseme((0, 0, 0, 0), (40, 0.3, 3, 1), (_SHUT_RATE, 12, 35, 25), (0.05, 0.9), True),
    "ɸβ": Viseme((0.06, 0, 0, 0), (12, 0.3, 3, 1), (70, 12, 35, 25), (0.2, 0.8), True),
    "fvɱⱱ": Viseme((0.08, 0.1, 1, 0), (10, 0.4, 25, 1), (70, 12, 45, 25), (0.1, 0.9), True),
    "ʋ": Viseme((0.15, 0, 0.6, 0), (5, 0.3, 8, 1), (30, 12, 35, 25), (0.2, 0.8)),
    "wʍ": Viseme((0.12, -1, 0, 0), (5, 12, 3, 1), (35, 25, 35, 25)),
    "ɥ": Viseme((0.15, -0.8, 0, 0), (4, 8, 3, 1), (35, 20, 35, 25)),
    "ʃʒʂʐ": Viseme((0.2, -0.55, 0, 0), (2, 2, 3, 1), (22, 12, 35, 25)),
    "ɕʑɧ": Viseme((0.18, -0.1, 0, 0), (2, 1, 3, 1)),
    "ɹɻɚɝ": Viseme((0.25, -0.45, 0, 0.05), (1, 1, 3, 1)),
    "θð": Viseme((0.25, 0.1, 0, 1), (2, 0.3, 3, 8), (35, 12, 35, 32), (0.15, 0.85)),
    "lɫɬɮɭɺ": Viseme((0.35, 0.05, 0, 0.7), (0.8, 0.2, 3, 4)),
    "tdnɾrɖʈɳɽɗ": Viseme((0.2, 0.1, 0, 0.35), (0.9, 0.2, 3, 2)),
    "sz": Viseme((0.12, 0.3, 0, 0.12), (2.5, 0.6, 3, 2), (30, 12, 35, 25)),
    "jʝʎɲcɟçɟ": Viseme((0.22, 0.5, 0, 0.05), (0.8, 0.7, 3, 1)),
    "kgɡŋxɣqɢɴχʁʀɠʄɰʛ": Viseme((0.3, 0, 0, 0), (0.5, 0.05, 3, 1)),
    "hɦħʕʔʜʢʡ": Viseme((0.4, 0, 0, 0), (0.1, 0.02, 3, 0.5)),
}
_VOWELS = {
    "i": (0.25, 1.0), "ɪ": (0.32, 0.6), "ᵻ": (0.32, 0.4), "ɨ": (0.28, 0.4), "e": (0.42, 0.7), "ɘ": (0.4, 0.2),
    "ɛ": (0.58, 0.5),
    "ε": (0.58, 0.5), "æ": (0.8, 0.45), "a": (0.92, 0.15), "ɐ": (0.68, 0.1), "ɑ": (1.0, 0.0), "ʌ": (0.7, 0.0),
    "ə": (0.42, 0.0), "ɜ": (0.48, -0.1), "ɞ": (0.48, -0.3), "ɯ": (0.25, 0.3), "ɤ": (0.42, 0.1),
    "ɒ": (0.8, -0.35), "ɔ": (0.62, -0.6), "o": (0.45, -0.8), "ɵ": (0.4, -0.5), "ʊ": (0.32, -0.7), "ᵿ": (0.32, -0.4),
    "u": (0.2, -1.0), "ʉ": (0.22, -0.8), "y": (0.22, -0.85), "ʏ": (0.3, -0.6), "ø": (0.38, -0.65), "œ": (0.52, -0.45),
    "ɶ": (0.8, -0.2),
}  # fmt: skip
"""Opening and spread; the chart of the International Phonetic Alphabet gives height and rounding."""
_NEUTRAL = _CONSONANTS["kgɡŋxɣqɢɴχʁʀɠʄɰʛ"]

_ARPABET = {
    "AA": "ɑ", "AE": "æ", "AH": "ʌ", "AO": "ɔ", "AW": "aʊ", "AX": "ə", "AXR": "ɚ", "AY": "aɪ", "EH": "ɛ", "ER": "ɝ",
    "EY": "eɪ", "IH": "ɪ", "IX": "ɨ", "IY": "i", "OW": "oʊ", "OY": "ɔɪ", "UH": "ʊ", "UW": "u", "UX": "ʉ",
    "B": "b", "CH": "tʃ", "D": "d", "DH": "ð", "DX": "ɾ", "EL": "l", "EM": "m", "EN": "n", "F": "f", "G": "ɡ",
    "HH": "h", "H": "h", "JH": "dʒ", "K": "k", "L": "l", "M": "m", "N": "n", "NG": "ŋ", "NX": "ɾ", "P": "p", "Q": "ʔ",
    "R": "ɹ", "S": "s", "SH": "ʃ", "T": "t", "TH": "θ", "V": "v", "W": "w", "WH": "ʍ", "Y": "j", "Z": "z", "ZH": "ʒ",
}  # fmt: skip
"""To the International Phonetic Alphabet; the phones of the CMU Pronouncing Dictionary and TIMIT's further ones."""
_SILENT = {SILENCE, "", "_:", "SIL", "SP", "SPN", "PAU", "H#", "<SIL>", "<S>", "</S>"}


def _vowel(opening: float, spread: float) -> Viseme:
    """A vowel; rounded ones and "ee" are seen early and long, others give way to what stands beside them."""
    return Viseme((opening, spread, 0, 0), (1.5, 0.4 + 1.2 * abs(spread), 3, 0.8), (16, 10, 35, 25), (0.2, 0.8))


@cache
def visemes_of(symbol: str) -> tuple[Viseme, ...]:
    """What the letters of a phone want, one after the other.

    Marks of stress, length, tone and the like are left out. A letter that is not known is taken for a vowel or for a
    consonant by the letter that its Unicode name ends with ("LATIN SMALL LETTER TURNED A").

    Args:
        symbol: as in `Phone`.

    Returns:
        One or more; a symbol without a letter is a consonant without a wish, and silence is at rest.
    """
    if symbol.upper() in _SILENT or symbol.startswith("+"):
        return (_REST,)
    if re.fullmatch(r"[A-Z]{1,3}[0-2]?", symbol):
        symbol = _ARPABET.get(symbol.rstrip("012"), symbol)
    found = (_viseme(letter) for letter in unicodedata.normalize("NFC", symbol))
    return tuple(viseme for viseme in found if viseme) or (_NEUTRAL,)


def _viseme(letter: str) -> Viseme | None:
    """What one letter wants; None for what is no letter."""
    letter = unicodedata.normalize("NFC", letter).lower()
    base = unicodedata.normalize("NFD", letter)[0]
    for known in (letter, base):
        if known in _VOWELS:
            return _vowel(*_VOWELS[known])
        for letters, viseme in _CONSONANTS.items():
            if known in letters:
                return viseme
    if unicodedata.category(base) not in ("Ll", "Lo"):
        return None
    ending = unicodedata.name(base, "").split()[-1:]
    return _vowel(0.45, 0) if ending and ending[0][0] in "AEIOUY" else _NEUTRAL


@dataclass(frozen=True)
class _Piece:
    """What a viseme wants, and between which times its dominance is whole."""

    viseme: Viseme
    strength: float
    start_s: float
    stop_s: float


def articulation(phones: Sequence[Phone], frame_count: int, frame_rate: Fraction | int = Fraction(25)) -> Course:
    """The course of the mouth, at the middle of each frame.

    It depends on nothing but the phones. Where there are none the mouth is at rest: shut, and not drawn.

    Args:
        phones: in order and not overlapping; gaps are silence.
        frame_count: how many frames, 0 or more.
        frame_rate: frames a second.

    Returns:
        (frame_count, 4), the columns being those of `ARTICULATION`.

    Raises:
        ParameterError: the phones are out of order, or count or rate are not possible.
    """
    if frame_count < 0 or frame_rate <= 0:
        raise ParameterError(f"{frame_count} frames at {frame_rate} a second cannot be; give numbers above zero.")
    pieces = _pieces(phones, Fraction(frame_rate))
    times = np.array([float((Fraction(frame) + Fraction(1, 2)) / frame_rate) for frame in range(frame_count)])
    starts, stops = (np.array([getattr(piece, name) for piece in pieces]) for name in ("start_s", "stop_s"))
    course = np.zeros((frame_count, len(ARTICULATION)), np.float32)
    block = 256
    for first in range(0, frame_count, block):
        some = times[first : first + block]
        near = np.flatnonzero((stops > some[0] - _REACH_S) & (starts < some[-1] + _REACH_S))
        course[first : first + block] = _blended([pieces[index] for index in near], some)
    return course


_REACH_S = 1.5
"""Farther away than this the slowest dominance is below a millionth."""


def _blended(pieces: Sequence[_Piece], times: NDArray[np.float64]) -> NDArray[np.float64]:
    """F = ΣDT / ΣD of (T,) times: (T, 4)."""
    starts, stops = (np.array([getattr(piece, name) for piece in pieces]) for name in ("start_s", "stop_s"))
    distance = np.maximum(np.maximum(starts - times[:, None], times[:, None] - stops), 0)[..., None]
    rates = np.array([piece.viseme.rate for piece in pieces])
    strengths = np.array([np.multiply(piece.viseme.strength, piece.strength) for piece in pieces])
    dominance = strengths * np.exp(-rates * distance)
    targets = np.array([piece.viseme.target for piece in pieces])
    blended: NDArray[np.float64] = (dominance * targets).sum(axis=1) / (dominance.sum(axis=1) + 1e-9)
    return blended


def _pieces(phones: Sequence[Phone], frame_rate: Fraction) -> list[_Piece]:
    """The pieces of all phones, gaps filled with silence that goes on at either end."""
    pieces = []
    for phone in _without_gaps(phones):
        visemes = visemes_of(phone.symbol)
        edges = np.linspace(phone.start_s, phone.stop_s, len(visemes) + 1)
        pieces += [
            _piece(viseme, float(start), float(stop), frame_rate)
            for viseme, (start, stop) in zip(visemes, pairwise(edges), strict=True)
        ]
    return pieces


def _without_gaps(phones: Sequence[Phone]) -> list[Phone]:
    """The phones with silence before, between and behind them; neighbouring silences are one."""
    whole: list[Phone] = []
    reached = -_NEVER_S
    for phone in [*phones, Phone(SILENCE, _NEVER_S, _NEVER_S)]:
        if not reached - 1e-6 <= phone.start_s <= phone.stop_s <= _NEVER_S:
            raise ParameterError(
                f"The phone {phone.symbol!r} from {phone.start_s} to {phone.stop_s} s ends before it begins or "
                "overlaps the one before it; give phones in the order of time."
            )
        silent = visemes_of(phone.symbol) == (_REST,)
        if phone.start_s > reached or silent:
            start = reached
            stop = phone.stop_s if silent else phone.start_s
            if whole and whole[-1].symbol == SILENCE:
                start = whole.pop().start_s
            whole.append(Phone(SILENCE, start, stop))
        if not silent:
            whole.append(phone)
        reached = phone.stop_s
    return whole


def _piece(viseme: Viseme, start: float, stop: float, frame_rate: Fraction) -> _Piece:
    length = stop - start
    if viseme is _REST:
        settled, parting = start + _SETTLING_S, stop - _PARTING_S
        if settled > parting:
            settled = parting = start + length * _SETTLING_S / (_SETTLING_S + _PARTING_S)
        return _Piece(viseme, min(1.0, (length / _WHOLE_REST_S) ** 3), settled, parting)
    first, last = start + viseme.core[0] * length, start + viseme.core[1] * length
    if viseme.holds:
        middle = float((floor((first + last) / 2 * frame_rate) + Fraction(1, 2)) / frame_rate)
        first, last = min(first, middle), max(last, middle)
    return _Piece(viseme, 1.0, first, last)
