"""Speech to words with their times, by Whisper.

Source: Radford et al., "Robust Speech Recognition via Large-Scale Weak Supervision", 2022.

Embedded: Whisper base in int8 through faster-whisper, on the CPU. Hub: a large Whisper through transformers.
"""

from dataclasses import dataclass
from typing import Any, Protocol, cast

import numpy as np
import torch
from numpy.typing import NDArray

from core.errors import ClipTooShortError, ParameterError
from core.memory import Batches, house
from core.runtime import Profile, Progress, current_profile, loading_alone, placement, silent
from core.weights import weights_path

Wave = NDArray[np.float32]

SAMPLE_RATE = 16000
SHORTEST_SAMPLES = 400
"""One window of the spectrum, 25 ms."""
DEFAULT_NAMES: dict[Profile, str] = {"embedded": "whisper_base", "hub": "whisper_large"}


@dataclass(frozen=True)
class Word:
    """One word as it was heard.

    Attributes:
        start_s: when it begins; that of the first word may reach into the silence before it.
        end_s: when it ends.
        text: with its punctuation, and with the space before it in languages that write one.
    """

    start_s: float
    end_s: float
    text: str


@dataclass(frozen=True)
class Transcript:
    """All words in the order of time, and the code of the language, such as ``en`` or ``zh``."""

    words: tuple[Word, ...]
    language: str

    @property
    def text(self) -> str:
        """The words joined.

        >>> Transcript((Word(0.0, 0.4, " Good"), Word(0.4, 0.9, " morning.")), "en").text
        'Good morning.'
        """
        return "".join(word.text for word in self.words).strip()


class SpeechRecogniser(Protocol):
    """A frozen network that writes down what is said."""

    def transcribe(self, wave: Wave, language: str | None = None, progress: Progress = silent) -> Transcript:
        """Write down speech (N,), mono at 16 kHz in [-1, 1].

        Args:
            wave: the speech; silence gives no words.
            language: its code where it is known; otherwise the first 30 seconds decide.
            progress: told of whole seconds done and in all, where the network works piece by piece.

        Raises:
            ParameterError: ``wave`` has another shape or dtype, or the language is not known.
            ClipTooShortError: it is shorter than 25 ms.
            CancelledError: ``progress`` says so.
        """
        ...


class FasterWhisperRecogniser:
    """A `SpeechRecogniser` on faster-whisper, in int8 on the CPU; Chinese comes out in traditional characters.

    Args:
        name: of the weights, a CTranslate2 folder.
        threads: of the CPU; 0 leaves it to the library.

    Raises:
        WeightsError: the weights are missing or wrong.
    """

    def __init__(self, name: str = "whisper_base", threads: int = 0) -> None:
        from faster_whisper import WhisperModel

        folder = str(weights_path(name))
        self._model = WhisperModel(
            folder, device="cpu", compute_type="int8", cpu_threads=threads, local_files_only=True
        )

    def transcribe(self, wave: Wave, language: str | None = None, progress: Progress = silent) -> Transcript:
        """Write down speech; see `SpeechRecogniser`. The search is greedy."""
        _check(wave, language, self._model.supported_languages)
        segments, about = self._model.transcribe(wave, language=language, beam_size=1, word_timestamps=True)
        words: list[Word] = []
        for segment in segments:
            words += [Word(float(word.start), float(word.end), word.word) for word in segment.words or ()]
            progress(min(int(segment.end), int(about.duration)), int(about.duration), "speech")
        return Transcript(tuple(words), about.language)


class TransformersRecogniser:
    """A `SpeechRecogniser` on a Whisper of the transformers library; meant for a GPU.

    Args:
        name: of the weights.
        low_precision: compute in bfloat16 where the hardware is fast at it.

    Raises:
        WeightsError: the weights are missing or wrong.
    """

    def __init__(self, name: str = "whisper_large", low_precision: bool = True) -> None:
        folder = weights_path(name)
        where = placement(low_precision)
        with loading_alone():
            from transformers import AutoFeatureExtractor, AutoTokenizer, WhisperForConditionalGeneration, pipeline

            model = WhisperForConditionalGeneration.from_pretrained(
                folder, local_files_only=True, use_safetensors=True, dtype=where.dtype
            )
            tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
            self._extract: Any = AutoFeatureExtractor.from_pretrained(folder, local_files_only=True)
            self._pipeline: Any = pipeline(
                "automatic-speech-recognition",
                model=model,
                tokenizer=tokenizer,
                feature_extractor=self._extract,
                device="cpu",
            )
        tokens: dict[str, int] = cast(Any, model).generation_config.lang_to_id
        self._languages = {token.strip("<|>"): number for token, number in tokens.items()}
        self._pipeline.device = where.device
        self._where, self._batches = where, Batches(name, where.device, first=1, most=1)
        self._network = house(model, where, name)

    def transcribe(self, wave: Wave, language: str | None = None, progress: Progress = silent) -> Transcript:
        """Write down speech; see `SpeechRecogniser`. The search is greedy; ``progress`` is told only at the end."""
        _check(wave, language, list(self._languages))
        with self._network.in_use() as network:
            ((chunks, language),) = self._batches.run(1, lambda _: self._heard(network, wave, language))
        total = len(wave) // SAMPLE_RATE
        progress(total, total, "speech")
        return Transcript(tuple(_word(chunk) for chunk in chunks), language)

    def _heard(self, network: Any, wave: Wave, language: str | None) -> tuple[list[dict[str, Any]], str]:
        """The words, and the language they are in."""
        with torch.inference_mode():
            language = language or self._detected(network, wave)
            heard = self._pipeline(
                {"raw": wave, "sampling_rate": SAMPLE_RATE},
                return_timestamps="word",
                generate_kwargs={"language": language, "task": "transcribe", "num_beams": 1},
            )
        return heard["chunks"], language

    def _detected(self, network: Any, wave: Wave) -> str:
        """The language of the first 30 seconds."""
        features = self._extract(wave, sampling_rate=SAMPLE_RATE, return_tensors="pt")["input_features"]
        token = int(network.detect_language(features.to(self._where.device, self._where.dtype)))
        return next(code for code, number in self._languages.items() if number == token)


def speech_recogniser(name: str | None = None, profile: Profile | None = None) -> SpeechRecogniser:
    """Load a recogniser: the one named, or that of the profile (this process's own when None).

    Raises:
        WeightsError: there are no such weights, or they are missing or wrong.
    """
    name = name or DEFAULT_NAMES[profile or current_profile()]
    return FasterWhisperRecogniser(name) if name == DEFAULT_NAMES["embedded"] else TransformersRecogniser(name)


def _word(chunk: dict[str, Any]) -> Word:
    """A word of the transformers pipeline, which leaves the end open where the sound ends first."""
    start, end = chunk["timestamp"]
    return Word(float(start), float(start if end is None else end), chunk["text"])


def _check(wave: Wave, language: str | None, known: list[str]) -> None:
    if wave.dtype != np.float32 or wave.ndim != 1:
        raise ParameterError(f"The speech is {wave.dtype} {wave.shape}; give float32 of shape (N,), mono at 16 kHz.")
    if len(wave) < SHORTEST_SAMPLES:
        raise ClipTooShortError(f"The speech has {len(wave)} samples; give at least {SHORTEST_SAMPLES} (25 ms).")
    if language is not None and language not in known:
        raise ParameterError(f"The language {language!r} is not known; choose one of {', '.join(sorted(known))}.")
