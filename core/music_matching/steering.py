"""What is asked for in words: "calmer, no vocals", as a number for each track of a library."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from core.encoders.text import TextEncoder
from core.music_matching.features import TrackFeatures, Vectors, logits, rhythm_statistics

NEGATIONS = re.compile(r"\b(no|not|without|less|never|non)\b", re.IGNORECASE)
ANSWERED = 0.15
"""The deviation from the library's mean from which on a track is as asked."""
NEAR = 0.45
"""The cosine from which on a word and a tag mean the same."""
_TEMPO, _ONSETS, _LOUD = 0, 1, 3
_RHYTHM_WORDS: Mapping[str, Mapping[int, float]] = {
    "calm": {_TEMPO: -0.5, _ONSETS: -0.5, _LOUD: -1},
    "quiet": {_LOUD: -1},
    "soft": {_LOUD: -1, _ONSETS: -0.5},
    "slow": {_TEMPO: -1, _ONSETS: -0.5},
    "gentle": {_LOUD: -0.7, _ONSETS: -0.7},
    "loud": {_LOUD: 1},
    "fast": {_TEMPO: 1, _ONSETS: 0.5},
    "energetic": {_TEMPO: 0.5, _ONSETS: 0.7, _LOUD: 0.7},
    "driving": {_TEMPO: 0.5, _ONSETS: 1},
}
_SAME = {
    "calm": "calmer relaxed relaxing peaceful mellow chill serene tranquil",
    "quiet": "quieter silent hushed",
    "soft": "softer delicate",
    "slow": "slower slowly",
    "gentle": "gentler tender",
    "loud": "louder heavy heavier powerful",
    "fast": "faster quick quicker upbeat",
    "energetic": "energy lively exciting action wild intense",
    "driving": "rhythmic groovy dancing",
}
_VOICES = ["vocal", "vocals", "voice", "voices", "singing", "sung", "singer", "song", "lyrics", "words", "speech"]
_INSTRUMENTAL = ["instrumental", "instrumentals"]


@dataclass(frozen=True)
class Steer:
    """What a text asks for, for each track of a library.

    Attributes:
        scores: (N,) -1 to 1, 0 where nothing was asked for.
        phrases: (N,) the phrases that a track answers well.
        unknown: phrases that nothing here understands.
    """

    scores: Vectors
    phrases: tuple[tuple[str, ...], ...]
    unknown: tuple[str, ...]


def steer(
    text: str, tracks: Sequence[TrackFeatures], tag_names: tuple[Sequence[str], Sequence[str]], encoder: TextEncoder
) -> Steer:
    """How well each track answers a text.

    The text is cut at commas and at "and". A phrase is about voices, about tempo and loudness, or about the tag whose
    name means the same; "no", "not", "without" and "less" turn it round. What is measured is compared across the
    library, in deviations from its mean.

    Args:
        text: "calmer, no vocals".
        tracks: (N) of the library.
        tag_names: of `TrackFeatures.tags` and of `TrackFeatures.traits`.
        encoder: compares words with tags.
    """
    phrases = [phrase.strip() for phrase in re.split(r"[,;.]|\band\b", text) if phrase.strip()]
    scores, told, unknown = np.zeros(len(tracks)), [[] for _ in tracks], []  # type: ignore[var-annotated]
    for phrase in phrases:
        values = _answers(phrase, tracks, tag_names, encoder)
        if values is None:
            unknown.append(phrase)
            continue
        scores += np.tanh(values) / len(phrases)
        for index in np.flatnonzero(values > ANSWERED):
            told[index].append(phrase)
    return Steer(scores.astype(np.float32), tuple(map(tuple, told)), tuple(unknown))


def across(values: Vectors) -> Vectors:
    """Values (N,), or every column of (N, D), in deviations from their mean; zeros where they are all alike."""
    centred = values - values.mean(0)
    deviations = values.std(0)
    return np.where(deviations > 1e-6, centred / np.maximum(deviations, 1e-6), np.zeros((), values.dtype))


def _answers(
    phrase: str,
    tracks: Sequence[TrackFeatures],
    tag_names: tuple[Sequence[str], Sequence[str]],
    encoder: TextEncoder,
) -> Vectors | None:
    """How well each track answers a phrase (N,), in deviations; None where it is not understood."""
    sign = -1.0 if NEGATIONS.search(phrase) else 1.0
    words = [word for word in re.findall(r"\w+", phrase.lower()) if not NEGATIONS.fullmatch(word) and word != "more"]
    if not words:
        return None
    if set(words) & {*_VOICES, *_INSTRUMENTAL}:
        sign = -sign if set(words) & set(_INSTRUMENTAL) else sign
        return sign * _voices(tracks, tag_names[1])
    for name, same in _SAME.items():
        if set(words) & {name, *same.split()}:
            table = np.stack([rhythm_statistics(track.rhythm) for track in tracks])
            parts = [weight * across(table[:, column]) for column, weight in _RHYTHM_WORDS[name].items()]
            return (sign * np.sum(parts, axis=0)).astype(np.float32)
    names = [*tag_names[0], *tag_names[1]]
    likeness = encoder.encode(names) @ encoder.encode([" ".join(words)])[0]
    best = int(np.argmax(likeness))
    if likeness[best] >= NEAR:
        table = np.stack([logits(np.concatenate([track.tags.mean(0), track.traits])) for track in tracks])
        return sign * across(table[:, best])
    return None


def _voices(tracks: Sequence[TrackFeatures], names: Sequence[str]) -> Vectors:
    """How surely somebody sings in each track: detected voices first, then the tags about them."""
    about = {name: (-1.0 if name.startswith("no ") else 1.0) for name in names if _about_voices(name)}
    columns = [list(names).index(name) for name in about]
    signs = np.array(list(about.values()), np.float32)
    tags = np.array([float((logits(track.traits)[columns] * signs).mean()) for track in tracks], np.float32)
    heard = np.array([track.voice_share for track in tracks], np.float32)
    return across(tags) + 4 * np.clip(heard, 0, 0.5) - 0.2


def _about_voices(name: str) -> bool:
    return bool(set(name.split()) & {"vocal", "vocals", "voice", "singing", "singer", "choir", "choral", "opera"})
