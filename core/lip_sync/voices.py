"""Speech made from text by espeak-ng, with the times of its phones.

The library and its data come with the package espeakng-loader; nothing is installed on the system. It is driven as its
header speak_lib.h says: synchronous retrieval, a callback that is handed samples and events, and an event for each
phoneme (``espeakINITIALIZE_PHONEME_EVENTS``), named in the International Phonetic Alphabet. espeak-ng keeps one state
per process: it is opened at the first use, and one caller speaks at a time.

Its generator also keeps its phase from one call to the next: the same text takes a few samples more or fewer again.

Deviation: an event of a voiceless stop marks its burst, and the closure before it would count to the phone before.
Here such a phone begins where the sound before it ends, at most 80 ms earlier: that is when the lips shut.
"""

import ctypes
import re
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cache
from itertools import pairwise
from pathlib import Path
from unicodedata import category

import numpy as np
from numpy.typing import NDArray

from core.errors import CoreError, ParameterError, check_ranges
from core.lip_sync.articulation import SILENCE, Phone

ESPEAK = "espeak-ng"
Wave = NDArray[np.float32]

MOST_CHARACTERS = 5000
"""What one call may be asked to speak: some five minutes."""
_BLOCK_S, _CLOSURE_S, _QUIET = 0.005, 0.08, 10 ** (-25 / 20)
_VOICELESS_STOPS = "ptkcqʈʔ"
_STRESS = "ˈˌ"
_MARKS = ("Lm", "Mn", "Sk")
"""Categories of characters that say how the letter before them is spoken."""

_PAUSES, _CLOSING, _TAIL = ",;:.!?…—", "\"'”’»)]} \t\r\n", 64
_ABBREVIATED = re.compile(r"\b(?:Dr|Mr|Mrs|Ms|St|Prof|Jr|Sr|[A-HJ-Z])\.$")
_OTHER_LANGUAGE = re.compile(r"\([a-z-]+\)")
"""What espeak-ng writes before a word that it takes for a foreign one, and behind it."""

_LOCK = threading.RLock()
_SYNCHRONOUS, _PHONEME_EVENTS, _IPA, _DO_NOT_EXIT = 2, 0x0001, 0x0002, 0x8000
_RATE, _PITCH = 1, 3
_UTF8, _BY_CHARACTER, _AS_IPA = 1, 1, 0x02
_LIST_ENDS, _PHONEME = 0, 7


class _Id(ctypes.Union):
    _fields_ = (("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8))


class _Event(ctypes.Structure):
    """``espeak_EVENT`` of speak_lib.h."""

    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _Id),
    )


class _Voice(ctypes.Structure):
    """``espeak_VOICE`` of speak_lib.h; ``languages`` holds a byte of priority and a code, again and again, then 0."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("languages", ctypes.c_void_p),
        ("identifier", ctypes.c_char_p),
        ("gender", ctypes.c_ubyte),
        ("age", ctypes.c_ubyte),
        ("variant", ctypes.c_ubyte),
        ("unused", ctypes.c_ubyte),
        ("score", ctypes.c_int),
        ("spare", ctypes.c_void_p),
    )


_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


@dataclass(frozen=True)
class VoiceConfig:
    """Who speaks, and how.

    Raises:
        ParameterError: a value is out of its range. Language and variant are looked up when it speaks.
    """

    language: str = field(default="en-us", metadata={"help": "a code that languages() names"})
    variant: str = field(default="", metadata={"help": "a name of variants(), or nothing for the plain voice"})
    rate_wpm: int = field(default=160, metadata={"help": "how fast, 80 to 450 words a minute"})
    pitch: int = field(default=50, metadata={"help": "how high, 0 to 99; 50 is the voice's own"})
    seed: int = field(default=0, metadata={"help": "of a neural voice, which never says a text twice alike"})

    def __post_init__(self) -> None:
        check_ranges(self, ("rate_wpm", 80, 450), ("pitch", 0, 99), ("seed", 0, 2**32 - 1))


@dataclass(frozen=True, eq=False)
class Spoken:
    """What was said.

    Attributes:
        wave: (N,), mono, in [-1, 1].
        sample_rate: of ``wave``, in Hz.
        phones: what is heard when, in the International Phonetic Alphabet, with marks of stress and length; from 0 to
            the end of ``wave`` without a gap.
        voice: who said it.
    """

    wave: Wave
    sample_rate: int
    phones: tuple[Phone, ...]
    voice: str = ESPEAK


@dataclass(frozen=True)
class _Library:
    functions: ctypes.CDLL
    sample_rate: int


@cache
def _library() -> _Library:
    """espeak-ng, opened once; to be called with the lock held.

    Raises:
        CoreError: the library or its data cannot be opened.
    """
    import espeakng_loader

    path, data = espeakng_loader.get_library_path(), str(_data())
    try:
        functions = ctypes.CDLL(path)
    except OSError as error:
        raise CoreError(f"espeak-ng cannot be opened ({error}); install espeakng-loader again.") from error
    functions.espeak_ListVoices.restype = ctypes.POINTER(ctypes.POINTER(_Voice))
    functions.espeak_TextToPhonemes.restype = ctypes.c_char_p
    options = _DO_NOT_EXIT | _PHONEME_EVENTS | _IPA
    sample_rate = functions.espeak_Initialize(_SYNCHRONOUS, 0, data.encode(), options)
    if sample_rate <= 0:
        raise CoreError(f"espeak-ng finds no voices in {data}; install espeakng-loader again, on a shorter path.")
    return _Library(functions, sample_rate)


def languages() -> tuple[tuple[str, str], ...]:
    """The languages that can be spoken, as (code, name), in the order of their names.

    A `VoiceConfig` may also name them by their other codes, such as "fr" for "fr-fr" and "zh" for "cmn".
    """
    found: dict[str, str] = {}
    for name, _, codes in _voices():
        found.setdefault(codes[0][1], name)
    return tuple(sorted(found.items(), key=lambda row: row[1].casefold()))


def _voices() -> list[tuple[str, str, list[tuple[int, str]]]]:
    """Name and file of each voice, and its codes with their priorities, of which the lowest goes first."""
    found = []
    with _LOCK:
        voices = _library().functions.espeak_ListVoices(None)
        index = 0
        while voices[index]:
            voice = voices[index].contents
            file = voice.identifier.decode()
            if _has_dictionary(file):
                found.append((voice.name.decode(), file, list(_codes(voice.languages))))
            index += 1
    return found


@cache
def _has_dictionary(file: str) -> bool:
    """Whether the words of a voice come with espeakng-loader; it leaves a few out."""
    lines = (_data() / "lang" / file).read_text("utf-8").splitlines()
    named = [line.split()[1] for line in lines if line.startswith("dictionary ")]
    own = file.split("/")[-1].split("-")[0].lower()
    return (_data() / f"{(named or [own])[0]}_dict").exists()


def _data() -> Path:
    import espeakng_loader

    return Path(espeakng_loader.get_data_path())


def _codes(address: int) -> Iterator[tuple[int, str]]:
    """Priorities and codes of a voice: each code ends with a 0, and another 0 stands instead of the next priority."""
    while (priority := ctypes.string_at(address, 1)) != b"\0":
        code = ctypes.string_at(address + 1)
        yield priority[0], code.decode()
        address += len(code) + 2


def variants() -> tuple[str, ...]:
    """Other speakers for any language, such as "f2" and "m3"."""
    return tuple(sorted(path.name for path in (_data() / "voices" / "!v").iterdir()))


def speak(text: str, voice: VoiceConfig | None = None) -> Spoken:
    """Say a text.

    Args:
        text: plain, at most 5,000 characters.
        voice: American English where none is given.

    Returns:
        N is what the text takes; the sample rate is espeak-ng's, 22,050 Hz.

    Raises:
        ParameterError: the text is empty, too long, or has nothing in it that is spoken; language or variant are
            unknown.
        CoreError: espeak-ng cannot be opened.
    """
    voice = voice or VoiceConfig()
    _check(text)
    name = voice_name(voice)
    with _LOCK:
        sample_rate = _library().sample_rate
        wave, starts = _synthesised(text, name, voice)
    phones = _phones(wave, starts, sample_rate)
    if all(phone.symbol == SILENCE for phone in phones):
        raise ParameterError(f"Nothing in the text {text[:40]!r} is spoken; write words.")
    return Spoken(wave, sample_rate, phones)


def clauses(text: str, language: str = "en-us") -> list[tuple[str, str]]:
    """What espeak-ng would say, in writing.

    Args:
        text: as for `speak`.
        language: a code that `languages` names.

    Returns:
        For each clause its words in the International Phonetic Alphabet, with stress, and the mark of punctuation that
        it ends with: one of ``,;:.!?…—``, or nothing.

    Raises:
        ParameterError, CoreError: as `speak`.
    """
    _check(text)
    name = voice_name(VoiceConfig(language))
    written = text.replace("\0", " ").encode("utf-8", "replace")
    held = ctypes.create_string_buffer(written)
    begin, found = ctypes.addressof(held), []
    here = ctypes.c_void_p(begin)
    with _LOCK:
        functions = _library().functions
        _choose(functions, name)
        while here.value is not None:
            said = functions.espeak_TextToPhonemes(ctypes.byref(here), _UTF8, _AS_IPA).decode("utf-8", "ignore")
            # It has read one character beyond the clause, unless the text ends.
            ended = here.value is None
            read = written if here.value is None else written[: here.value - begin]
            tail = read[-_TAIL:].decode("utf-8", "ignore")
            found.append((_OTHER_LANGUAGE.sub("", said).strip(), _mark(tail if ended else tail[:-1])))
    return [(said, mark) for said, mark in found if said]


def _mark(read: str) -> str:
    """The mark of punctuation that what was read ends with; the dot of an abbreviation is none."""
    read = read.rstrip(_CLOSING)
    return read[-1] if read and read[-1] in _PAUSES and not _ABBREVIATED.search(read) else ""


def _check(text: str) -> None:
    if all(not letter.isprintable() or letter.isspace() or category(letter)[0] == "P" for letter in text):
        raise ParameterError(f"Nothing in the text {text[:40]!r} is spoken; write words.")
    if len(text) > MOST_CHARACTERS:
        raise ParameterError(f"The text has {len(text)} characters; give at most {MOST_CHARACTERS} at a time.")


def _choose(functions: ctypes.CDLL, name: str) -> None:
    """Let a voice speak from now on; to be called with the lock held."""
    if functions.espeak_SetVoiceByName(name.encode()) != 0:
        raise CoreError(f"espeak-ng cannot speak {name}; choose another language, or install espeakng-loader again.")


def voice_name(voice: VoiceConfig) -> str:
    """What espeak-ng calls a voice, such as "gmw/en-US+f2".

    Raises:
        ParameterError: language or variant are unknown.
    """
    ranked = sorted((priority, code, file) for _, file, codes in _voices() for priority, code in codes)
    names = {code: file for _, code, file in reversed(ranked)}
    for what, name, known in (("language", voice.language, {*names}), ("variant", voice.variant, {"", *variants()})):
        if name not in known:
            near = get_close_matches(name, sorted(known - {""}), 3, 0)
            raise ParameterError(f"No {what} is called {name!r}; choose another, for instance {', '.join(near)}.")
    return "+".join(filter(None, (names[voice.language], voice.variant)))


def _synthesised(text: str, name: str, voice: VoiceConfig) -> tuple[Wave, list[tuple[int, str]]]:
    """Samples, and (sample, symbol) of each phoneme event; to be called with the lock held."""
    functions = _library().functions
    blocks: list[NDArray[np.int16]] = []
    starts: list[tuple[int, str]] = []

    @_Callback
    def collect(samples: "ctypes._Pointer[ctypes.c_short]", count: int, events: "ctypes._Pointer[_Event]") -> int:
        if samples and count > 0:
            blocks.append(np.ctypeslib.as_array(samples, (count,)).copy())
        index = 0
        while events[index].type != _LIST_ENDS:
            if events[index].type == _PHONEME:
                starts.append((events[index].sample, events[index].id.string.decode("utf-8", "ignore")))
            index += 1
        return 0

    functions.espeak_SetSynthCallback(collect)
    _choose(functions, name)
    functions.espeak_SetParameter(_RATE, voice.rate_wpm, 0)
    functions.espeak_SetParameter(_PITCH, voice.pitch, 0)
    written = text.replace("\0", " ").encode("utf-8", "replace") + b"\0"
    functions.espeak_Synth(written, ctypes.c_size_t(len(written)), 0, _BY_CHARACTER, 0, _UTF8, None, None)
    functions.espeak_Synchronize()
    samples = np.concatenate([np.zeros(0, np.int16), *blocks])
    return (samples / np.float32(32768)).astype(np.float32), starts


def _phones(wave: Wave, starts: Sequence[tuple[int, str]], sample_rate: int) -> tuple[Phone, ...]:
    """Phones from events: closures counted to their stops, pauses named, nothing of no length."""
    block = round(_BLOCK_S * sample_rate)
    quiet = _quiet(wave, block)
    edges = [(0, ""), *((min(max(sample, 0), len(wave)), symbol.strip(_STRESS)) for sample, symbol in starts)]
    rows: list[tuple[int, str]] = []
    unheard = ""
    for (start, symbol), (stop, _) in pairwise([*edges, (len(wave), "")]):
        if stop <= start:
            unheard = symbol or unheard
            continue
        heard = bool(rows) and rows[-1][1] != SILENCE
        if not symbol and (stop - start < block or quiet[start // block : stop // block].mean() > 0.5):
            symbol = SILENCE
        elif not symbol and not heard:  # what had no length before has it now
            symbol = unheard or SILENCE
        unheard = ""
        if heard and all(category(letter) in _MARKS for letter in symbol):  # it goes on, or palatalised
            rows[-1] = (rows[-1][0], rows[-1][1] + symbol)
        elif heard or not rows or symbol != SILENCE:
            rows.append((start, symbol))
    bounds = [*_with_closures(rows, quiet, block, round(_CLOSURE_S * sample_rate)), len(wave)]
    return tuple(
        Phone(symbol, start / sample_rate, stop / sample_rate)
        for (_, symbol), (start, stop) in zip(rows, pairwise(bounds), strict=True)
    )


def _quiet(wave: Wave, block: int) -> NDArray[np.bool_]:
    """Which whole blocks are 25 dB or more below the loud ones."""
    blocks = wave[: len(wave) // block * block].reshape(-1, block)
    if not len(blocks):
        return np.zeros(0, bool)
    loudness = np.sqrt(np.square(blocks).mean(axis=1))
    return np.asarray(loudness <= _QUIET * np.quantile(loudness, 0.9))


def _with_closures(rows: Sequence[tuple[int, str]], quiet: NDArray[np.bool_], block: int, most: int) -> list[int]:
    """The first samples of phones, voiceless stops with the quiet before them; the phone before keeps a half at least.

    Args:
        rows: first sample and symbol of each phone.
        quiet: of the blocks.
        block: how long they are.
        most: how much earlier a stop may begin; samples as ``block``.
    """
    bounds = [start for start, _ in rows]
    for index, (start, symbol) in enumerate(rows[1:], 1):
        if symbol[0] not in _VOICELESS_STOPS:
            continue
        before, what = rows[index - 1]
        earliest = max(before + 1 if what == SILENCE else (before + start) // 2, start - most)
        # The block that holds the event is its own, the one before it the first that may be quiet.
        first = start // block
        while first > 0 and (first - 1) * block >= earliest and quiet[first - 1]:
            first -= 1
        bounds[index] = min(start, first * block)
    return bounds
