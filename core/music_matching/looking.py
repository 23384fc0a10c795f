"""From a film to its features (METHODS 1, inference, step 1)."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.encoders.image import EfficientNetLiteEncoder, Pictures
from core.encoders.voice import VoiceSpan, voice_spans
from core.errors import ClipTooShortError, MediaDamagedError, NoAudioTrackError
from core.media import MediaInfo, VideoReader, read_audio, shot_boundaries, sound_tags
from core.music_matching.config import MatchConfig
from core.music_matching.features import MOTION_RATE, Vectors, VideoFeatures, colour_statistics
from core.music_matching.keywords import Keyword, imagenet_labels, merged, seen_keywords, title_keywords
from core.music_matching.listening import SAMPLE_RATE, Words
from core.runtime import Progress, silent

LABELS = 5
_MOTION_SIDE_PX = 64
_MOTION_FULL = 0.25
"""Mean change of brightness, of full scale, that counts as 1."""


@dataclass(frozen=True)
class Watcher:
    """Everything that looks at films: an image network with its labels, and words.

    Attributes:
        config: how it looks.
        image: the network.
        words: for what is said.
    """

    config: MatchConfig
    image: EfficientNetLiteEncoder
    words: Words

    @classmethod
    def load(cls, config: MatchConfig, words: Words | None = None) -> "Watcher":
        """With the embedded networks.

        Raises:
            WeightsError: some are missing or wrong.
        """
        return cls(config, EfficientNetLiteEncoder("lite0"), words or Words(config))

    def watch(self, path: Path, progress: Progress = silent) -> VideoFeatures:
        """Look at a film and listen to who speaks in it.

        Raises:
            ClipTooShortError: it is a still picture.
            MediaError: it cannot be read.
            CancelledError: ``progress`` says so.
        """
        progress(0, 4, path.name)
        with VideoReader(path, size=(self.image.size, self.image.size), limits=self.config.limits) as reader:
            info = reader.info
            _check_film(info)
            frames = np.stack([frame.pixels for frame in reader.frames_at_rate(self._rate(info.duration_s))])
        progress(1, 4, path.name)
        cuts, motion = self._movement(path, info)
        progress(2, 4, path.name)
        spans, said = self._voices(path)
        progress(3, 4, path.name)
        features = self.describe(frames, said, f"{sound_tags(path, self.config.limits).title} {path.stem}")
        return VideoFeatures(
            float(info.duration_s),
            features.image,
            features.colour,
            features.words,
            features.keywords,
            np.array([float(cut) for cut in cuts], np.float32),
            motion,
            np.array([(span.start_s, span.end_s) for span in spans], np.float32).reshape(-1, 2),
            features.seen,
        )

    def describe(self, pictures: Pictures, said: tuple[Keyword, ...] = (), title: str = "") -> VideoFeatures:
        """Look at pictures (T, H, W, 3) alone: a film without times, cuts and voices."""
        vectors = self.image.encode(pictures)
        logits = self.image.logits(pictures)
        likely = np.exp(logits - logits.max(1, keepdims=True))
        likely /= likely.sum(1, keepdims=True)
        named = title_keywords(title)
        told = merged(said, named)
        keywords = merged(seen_keywords(most_likely(likely, LABELS), self.config.label_threshold), said, named)
        directions = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-6)
        image = directions.mean(0).astype(np.float32)
        words, seen = self.words.direction(told), self.words.seen(likely)
        return VideoFeatures(0.0, image, colour_statistics(pictures), words, keywords, seen=seen)

    def _rate(self, duration_s: Fraction) -> Fraction:
        """Frames a second: as configured, fewer in a long film, and at least eight in a short one."""
        wanted = Fraction(self.config.frame_rate).limit_denominator(1000)
        duration_s = max(duration_s, Fraction(1, 10))
        return min(max(wanted, 8 / duration_s), max(self.config.most_frames / duration_s, Fraction(1, 3600)))

    def _movement(self, path: Path, info: MediaInfo) -> tuple[Sequence[Fraction], Vectors]:
        """When shots begin, and how much the picture changes, in the first part of a film."""
        end = min(info.duration_s, Fraction(self.config.close_s))
        with VideoReader(path, _MOTION_SIDE_PX, limits=self.config.limits) as reader:
            frames = reader.frames_at_rate(Fraction(MOTION_RATE), end_s=end)
            motion = motion_curve(frame.pixels for frame in frames)
        return shot_boundaries(path, end_s=end, limits=self.config.limits), motion

    def _voices(self, path: Path) -> tuple[tuple[VoiceSpan, ...], tuple[Keyword, ...]]:
        """Who speaks when, and keywords of it; nothing in a silent film."""
        try:
            clip = read_audio(path, SAMPLE_RATE, mono=True, duration_s=self.config.close_s, limits=self.config.limits)
        except (NoAudioTrackError, ClipTooShortError, MediaDamagedError):
            return (), ()
        wave = clip.samples[:, 0]
        spans = voice_spans(wave, self.config.voice_threshold)
        return spans, self.words.said(wave, spans)


def most_likely(probabilities: Vectors, top: int) -> list[list[tuple[str, float]]]:
    """The ``top`` most likely names of each picture, of probabilities (T, 1000), the likeliest first."""
    names = imagenet_labels()
    return [[(names[i], float(row[i])) for i in np.argsort(-row, kind="stable")[:top]] for row in probabilities]


def motion_curve(pictures: Iterable[NDArray[np.uint8]]) -> Vectors:
    """How much each picture differs from the one before, 0 to 1; the first like the second.

    The mean change of brightness; a quarter of full scale counts as 1, and more no more: cuts are told elsewhere.
    """
    changes = list(_changes(pictures))
    return np.array([*changes[:1], *changes] or [0.0], np.float32)


def _changes(pictures: Iterable[NDArray[np.uint8]]) -> Iterator[float]:
    before: NDArray[np.float32] | None = None
    for picture in pictures:
        grey = picture.astype(np.float32).mean(2) / 255
        if before is not None:
            yield min(1.0, float(np.abs(grey - before).mean()) / _MOTION_FULL)
        before = grey


def _check_film(info: MediaInfo) -> None:
    if info.is_still:
        raise ClipTooShortError(f"{info.path.name} is a still picture; give a film or an animated picture.")
