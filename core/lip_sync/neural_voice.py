"""Speech made from text by a neural network, on the hub profile: 109 people who speak English.

Source: Kim, Kong and Son, "Conditional Variational Autoencoder with Adversarial Learning for End-to-End
Text-to-Speech" (VITS), 2021, in the class of transformers, with the authors' weights for the VCTK corpus.

The network reads phonemes as espeak-ng writes them for American English, stress included, whoever speaks: so it was
trained, and the accent is the speaker's own. It is handed one sentence at a time, as it knows them, which also bounds
its memory. How long each letter of a sentence lasts is what its own duration predictor says, so phones come with their
times, exact to a step of 256 samples; what lies between two phones, such as a blank or the mark of a stress, is halved.

Deviation: what it draws at random comes from one generator on the CPU, so that a seed says a text alike on every
device, whatever other threads draw.
"""

import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import prod
from textwrap import wrap
from typing import Any, cast
from unicodedata import category

import numpy as np
import torch
from torch.overrides import TorchFunctionMode

from core.errors import ParameterError, WeightsError
from core.lip_sync.articulation import SILENCE, Phone
from core.lip_sync.voices import Spoken, VoiceConfig, Wave, clauses
from core.memory import house
from core.runtime import loading_alone, placement
from core.weights import weights_path

WEIGHTS = "vits_vctk"
SPEAKERS = tuple(f"speaker-{number}" for number in range(109))
OWN_RATE_WPM = 160
"""At this rate the network speaks as fast as it learnt; others are faster or slower in proportion."""
_BETWEEN = " ˈˌ"
_ENDS = frozenset(".!?…")
_LONG, _MOST = 240, 480
"""Letters of a sentence from which the end of a clause ends it too, and those that are said at once at most."""
_PAUSE_S = 0.25
_LENGTHENING = ("Lm", "Mn", "Sk")
"""Categories of characters that say how the letter before them is spoken."""


@dataclass(frozen=True, eq=False)
class _Sentence:
    """A sentence as it was said: its samples, its letters with blanks between them, and the steps that each lasts."""

    wave: Wave
    letters: tuple[str, ...]
    steps: tuple[int, ...]


class NeuralVoice:
    """The network, loaded; one caller speaks at a time.

    Args:
        name: of the weights.

    Raises:
        WeightsError: the weights are missing or wrong, or have another number of speakers.
    """

    def __init__(self, name: str = WEIGHTS) -> None:
        folder, self._name = weights_path(name), name
        with loading_alone():
            from transformers import VitsModel, VitsTokenizer

            network = VitsModel.from_pretrained(folder, local_files_only=True, use_safetensors=True)
            self._tokenizer: Any = VitsTokenizer.from_pretrained(folder, local_files_only=True, phonemize=False)
        if network.config.num_speakers != len(SPEAKERS):
            raise WeightsError(
                f"The network {name} has {network.config.num_speakers} speakers, not {len(SPEAKERS)}; correct the "
                "repository in its manifest."
            )
        where = placement(low_precision=False)
        self._network, self._device = cast(Any, network), where.device
        self._resident = house(network, where, name)
        self._lock = threading.Lock()

    @property
    def step(self) -> int:
        """Samples of a step of time."""
        return prod(self._network.config.upsample_rates)

    def speak(self, text: str, voice: VoiceConfig) -> Spoken:
        """Say an English text; the same text, voice and seed give the same samples.

        Args:
            text: plain, at most 5,000 characters.
            voice: its variant is one of `SPEAKERS`, or nothing for the first of them; its pitch is left out.

        Returns:
            N is the sum of all durations in steps of 256 samples, and a quarter of a second between two sentences; the
            sample rate is the network's, 22,050 Hz.

        Raises:
            ParameterError: the text is empty, too long, or has nothing in it that is spoken.
        """
        speaker, rate = voice.variant or SPEAKERS[0], self._network.config.sampling_rate
        pause = np.zeros(round(_PAUSE_S * rate), np.float32)
        waves: list[Wave] = []
        phones: list[Phone] = []
        at = 0
        with self._lock, self._resident.in_use(), torch.inference_mode(), _Noise(voice.seed):
            for phonemes in sentences(clauses(text)):
                if waves:
                    waves.append(pause)
                    phones.append(Phone(SILENCE, at / rate, (at + len(pause)) / rate))
                    at += len(pause)
                said = self._said(phonemes, SPEAKERS.index(speaker), voice.rate_wpm / OWN_RATE_WPM)
                phones += [
                    Phone(symbol, (at + start * self.step) / rate, (at + stop * self.step) / rate)
                    for symbol, start, stop in phone_steps(said.letters, said.steps)
                ]
                waves.append(said.wave)
                at += len(said.wave)
        if all(phone.symbol == SILENCE for phone in phones):
            raise ParameterError(f"Nothing in the text {text[:40]!r} is spoken; write words.")
        return Spoken(np.concatenate(waves), rate, tuple(_joined(phones)), f"{self._name} {speaker}")

    def _said(self, phonemes: str, speaker: int, speaking_rate: float) -> _Sentence:
        """Say one sentence.

        The number of steps of each letter is computed of the predictor's logarithms as the network itself does.
        """
        given = self._tokenizer(phonemes, return_tensors="pt").to(self._device)
        heard: list[torch.Tensor] = []
        watching = self._network.duration_predictor.register_forward_hook(lambda *told: heard.append(told[-1]))
        try:
            said = self._network(**given, speaker_id=speaker, speaking_rate=speaking_rate)
        finally:
            watching.remove()
        steps = torch.ceil(torch.exp(heard[0]) * (1.0 / speaking_rate)).long().flatten().tolist()
        wave = np.clip(said.waveform[0].float().cpu().numpy(), -1, 1)
        assert len(wave) == sum(steps) * self.step, "a sentence lasts as long as its letters"
        return _Sentence(wave, tuple(self._tokenizer.convert_ids_to_tokens(given["input_ids"][0])), tuple(steps))


class _Noise(TorchFunctionMode):
    """Within it whatever this thread draws of a normal distribution comes from a generator of its own.

    Args:
        seed: of the generator.
    """

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._generator = torch.Generator().manual_seed(seed)

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if function is torch.randn:
            return function(*args, **kwargs, generator=self._generator)
        if function is torch.randn_like:
            like: torch.Tensor = args[0]
            return torch.empty_like(like, device="cpu").normal_(generator=self._generator).to(like.device)
        return function(*args, **kwargs)


def sentences(said: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Clauses, with their marks, joined to sentences; a long one ends with a clause, and a very long one with a word.

    >>> list(sentences([("həlˈoʊ", ","), ("juː", "!"), ("ɡˈʊd", "")]))
    ['həlˈoʊ, juː!', 'ɡˈʊd']
    """
    held = ""
    for words, mark in said:
        held = f"{held} {words}{mark}".strip()
        if mark in _ENDS or len(held) > _LONG:
            yield from wrap(held, _MOST, break_on_hyphens=False)
            held = ""
    if held:
        yield held


def phone_steps(letters: Sequence[str], steps: Sequence[int]) -> list[tuple[str, float, float]]:
    """The phones of a sentence: symbol, begin and end, in steps, from 0 to the sum without a gap.

    Args:
        letters: of the International Phonetic Alphabet, with "_" for blanks.
        steps: how long each of them lasts.

    >>> phone_steps(["_", "ˈ", "_", "ɑ", "ː", "_", "m", "_", "."], [1, 1, 2, 3, 2, 2, 4, 0, 5])
    [('ɑː', 0, 10.0), ('m', 10.0, 15.0), ('_', 15.0, 20)]
    """
    ends = [0, *np.cumsum(steps).tolist()]
    rows: list[tuple[str, int, int]] = []
    for index, letter in enumerate(letters):
        if letter == SILENCE or letter in _BETWEEN:
            continue
        if rows and rows[-1][0] != SILENCE and category(letter) in _LENGTHENING:
            rows[-1] = (rows[-1][0] + letter, rows[-1][1], index + 1)
        else:
            rows.append((SILENCE if category(letter)[0] == "P" else letter, index, index + 1))
    if not rows:
        return [(SILENCE, 0, ends[-1])]
    bounds = [0, *((ends[stop] + ends[start]) / 2 for (_, _, stop), (_, start, _) in pairwise(rows)), ends[-1]]
    return [(symbol, *between) for (symbol, _, _), between in zip(rows, pairwise(bounds), strict=True)]


def _joined(phones: Iterable[Phone]) -> Iterator[Phone]:
    """The same phones, with silences that follow one another as one."""
    held: Phone | None = None
    for phone in phones:
        if held and held.symbol == phone.symbol == SILENCE:
            held = Phone(SILENCE, held.start_s, phone.stop_s)
            continue
        if held:
            yield held
        held = phone
    if held:
        yield held
