"""From a piece of music to its features (METHODS 1, inference, step 2)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.encoders.audio import MusicnnEncoder, musicnn_tags
from core.encoders.speech import SHORTEST_SAMPLES, SpeechRecogniser, speech_recogniser
from core.encoders.text import TextEncoder, text_encoder
from core.encoders.voice import VoiceSpan, voice_spans
from core.errors import ClipTooShortError
from core.media import read_audio
from core.music_matching.config import MatchConfig
from core.music_matching.features import TrackFeatures, Vectors
from core.music_matching.keywords import (
    Keyword,
    imagenet_labels,
    keyword_vector,
    merged,
    said_keywords,
    title_keywords,
    unit,
)
from core.music_matching.rhythm import rhythm_of
from core.runtime import Progress, silent

Wave = NDArray[np.float32]
SAMPLE_RATE = 16000
SHORTEST_TRACK_S = 3.0
TRAIT_PATCHES = 12
"""Patches, evenly spread, that are heard for instruments and voices."""
LEAST_VOICE_S = 2.0
"""Less voice than that is not worth a recognition."""
TEXT_ENCODER = "minilm"
"""On every profile: the towers take its vectors, and from which cosine on words mean the same was chosen with it."""


class Words:
    """Speech to keywords, and keywords to vectors; the recogniser is loaded when somebody first speaks.

    Args:
        config: how much of the voices is written down.
        encoder: turns keywords to vectors; `TEXT_ENCODER` when None.
        load_recogniser: makes the recogniser; the profile's own by default.
    """

    def __init__(
        self,
        config: MatchConfig,
        encoder: TextEncoder | None = None,
        load_recogniser: Callable[[], SpeechRecogniser] = speech_recogniser,
    ) -> None:
        self.config, self.encoder = config, encoder or text_encoder(TEXT_ENCODER)
        self._load = load_recogniser

    @cached_property
    def recogniser(self) -> SpeechRecogniser:
        """The network that writes down what is said."""
        return self._load()

    @cached_property
    def things(self) -> Vectors:
        """(1000, D) the vectors of all things that the image network can name."""
        return self.encoder.encode([name.partition(" (")[0] for name in imagenet_labels()])

    @cached_property
    def usual(self) -> Vectors:
        """(D,) what the vectors of words have in common: without it, words that have little to do are far apart."""
        return self.things.mean(0)

    def direction(self, keywords: Sequence[Keyword]) -> Vectors | None:
        """The direction (D,) of keywords, seen from `usual`; None where there are none."""
        vector = keyword_vector(keywords, self.encoder)
        return None if vector is None else unit(vector - self.usual)

    @cached_property
    def heard(self) -> Vectors:
        """(100, D) the directions of the names of all tags of music, in the order of the modality ``tags``.

        What their vectors have in common is taken away. "House" alone would be a word for something else.
        """
        vectors = self.encoder.encode([f"{name} music" for kind in ("msd", "mtt") for name in musicnn_tags(kind)])
        return np.stack([unit(vector) for vector in vectors - vectors.mean(0)])

    def seen(self, probabilities: Vectors) -> Vectors:
        """The direction (D,) of all things that may be seen, by their ``probabilities`` (T, 1000) in each picture.

        Source: Norouzi et al., "Zero-shot learning by convex combination of semantic embeddings", 2014. A drawn forest
        is no thing that the network names surely; the unsure names still lie in its direction. So, unlike there, all
        names count, and by the root of their probability (a softmax at temperature 2), which evens them out.
        """
        even = np.sqrt(probabilities)
        even /= even.sum(1, keepdims=True)
        return unit(even.mean(0) @ (self.things - self.usual))

    def said(self, wave: Wave, spans: tuple[VoiceSpan, ...]) -> tuple[Keyword, ...]:
        """Keywords of what is said or sung in the stretches of a wave (N,); nothing where there is too little."""
        voices = [wave[int(s.start_s * SAMPLE_RATE) : int(s.end_s * SAMPLE_RATE)] for s in spans]
        voice = np.concatenate([np.zeros(0, np.float32), *voices])[: int(self.config.recognise_s * SAMPLE_RATE)]
        if len(voice) < max(SHORTEST_SAMPLES, LEAST_VOICE_S * SAMPLE_RATE):
            return ()
        return said_keywords(self.recogniser.transcribe(voice).text)


@dataclass(frozen=True)
class Listener:
    """Everything that listens to music: two taggers, and words.

    Attributes:
        config: how it listens.
        sound: the tagger whose vectors are the audio features: genres, moods, decades.
        traits: the tagger for instruments, voices and tempo.
        words: for what is sung.
    """

    config: MatchConfig
    sound: MusicnnEncoder
    traits: MusicnnEncoder
    words: Words

    @classmethod
    def load(cls, config: MatchConfig, words: Words | None = None) -> "Listener":
        """With the embedded networks.

        Raises:
            WeightsError: some are missing or wrong.
        """
        return cls(config, MusicnnEncoder("msd"), MusicnnEncoder("mtt"), words or Words(config))

    def listen(self, path: Path, title: str, progress: Progress = silent) -> TrackFeatures:
        """Listen to a file; ``title`` gives keywords too.

        Raises:
            ClipTooShortError: it lasts less than three seconds.
            MediaError: it cannot be read.
            CancelledError: ``progress`` says so.
        """
        progress(0, 4, path.name)
        clip = read_audio(path, SAMPLE_RATE, mono=True, duration_s=self.config.listen_s, limits=self.config.limits)
        wave = clip.samples[:, 0]
        if len(wave) < SHORTEST_TRACK_S * SAMPLE_RATE:
            raise ClipTooShortError(
                f"{path.name} lasts {len(wave) / SAMPLE_RATE:.1f} s; give music of at least {SHORTEST_TRACK_S:.0f} s."
            )
        return self.describe(wave, title, lambda done: progress(done, 4, path.name))

    def describe(self, wave: Wave, title: str = "", step: Callable[[int], None] = lambda done: None) -> TrackFeatures:
        """Listen to a wave (N,), mono at 16 kHz in [-1, 1], of at least three seconds."""
        sound = self.sound.tags(every_patch(wave, self.sound.patch_s, self.config.patch_step))
        step(1)
        traits = self.traits.tags(spread_patches(wave, self.traits.patch_s, TRAIT_PATCHES))
        step(2)
        rhythm = rhythm_of(wave)
        step(3)
        spans = voice_spans(wave, self.config.voice_threshold)
        keywords = merged(title_keywords(title), self.words.said(wave, spans))
        duration_s = len(wave) / SAMPLE_RATE
        return TrackFeatures(
            duration_s=duration_s,
            patches=sound.vectors,
            tags=sound.probabilities,
            traits=traits.probabilities.mean(0),
            patch_step_s=self.sound.patch_s * self.config.patch_step,
            rhythm=rhythm,
            words=self.words.direction(keywords),
            keywords=keywords,
            voice_share=sum(span.duration_s for span in spans) / duration_s,
        )


def every_patch(wave: Wave, patch_s: float, step: int) -> Wave:
    """Every ``step``-th patch of a wave (N,), joined; a wave shorter than one patch as it is.

    >>> every_patch(np.arange(160000, dtype=np.float32), 2.0, 2)[[0, 31999, 32000]].tolist()
    [0.0, 31999.0, 64000.0]
    """
    length = round(patch_s * SAMPLE_RATE)
    starts = range(0, len(wave) - length + 1, length * step)
    return np.concatenate([wave[start : start + length] for start in starts]) if starts else wave


def spread_patches(wave: Wave, patch_s: float, most: int) -> Wave:
    """At most ``most`` patches of a wave (N,), evenly spread, joined; a wave shorter than one patch as it is."""
    length = round(patch_s * SAMPLE_RATE)
    count = min(most, len(wave) // length)
    starts = np.linspace(0, len(wave) - length, count).astype(int) if count else ()
    return np.concatenate([wave[start : start + length] for start in starts]) if count else wave
