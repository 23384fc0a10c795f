"""Why a track goes with a film, in words."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from core.encoders.text import TextEncoder
from core.music_matching.features import TrackFeatures, Vectors, VideoFeatures
from core.music_matching.keywords import Keyword
from core.music_matching.steering import across

SHARED = 0.5
"""The cosine of two words from which on they are called shared."""
MOST_SHARED = 3
_SLOW_BPM, _FAST_BPM = 85.0, 130.0
_LOUD, _QUIET = 0.8, -0.8
_UNUSUAL = 0.8
_NO_MOODS = frozenset({"00s", "60s", "70s", "80s", "90s", "weird", "man", "woman", "male", "female"})


def learn_words(parts: Iterable[Sequence[Keyword]], encoder: TextEncoder, known: dict[str, Vectors]) -> None:
    """Put the vectors of all words of some keywords to those that are known; each is made once."""
    new = list(dict.fromkeys(keyword.word for part in parts for keyword in part if keyword.word not in known))
    if new:
        known.update(zip(new, encoder.encode(new), strict=True))


def shared_words(video: VideoFeatures, track: TrackFeatures, vectors: Mapping[str, Vectors]) -> str:
    """The pairs of keywords that mean the same, as a phrase; empty where there are none."""
    seen = [keyword.word for keyword in video.keywords]
    heard = [keyword.word for keyword in track.keywords]
    if not seen or not heard:
        return ""
    likeness = np.stack([vectors[word] for word in seen]) @ np.stack([vectors[word] for word in heard]).T
    order = np.argsort(-likeness, axis=None)[:MOST_SHARED]
    pairs = [(seen[i], heard[j]) for i, j in zip(*np.unravel_index(order, likeness.shape), strict=True)
             if likeness[i, j] >= SHARED]  # fmt: skip
    told = [one if one == other else f"{one} – {other}" for one, other in pairs]
    return f"shared words: {', '.join(told)}" if told else ""


def moods(library: Sequence[TrackFeatures], chosen: Sequence[int], names: Sequence[str], top: int = 3) -> list[str]:
    """The tags that are most unusual of some tracks of a library, as a phrase each.

    Probabilities of moods are small, so they are compared with those of the other tracks. Of a track alone the most
    probable tags are named.

    Args:
        library: all tracks.
        chosen: places in it of those that are asked about.
        names: of the tags.
        top: how many are named at most.
    """
    table = np.stack([track.mood_logits for track in library])
    usual = across(table) if len(library) > 2 else table
    told = []
    for row in usual[list(chosen)]:
        best = [int(i) for i in np.argsort(-row) if names[i] not in _NO_MOODS][:top]
        kept = [names[i] for i in best if len(library) <= 2 or row[i] > _UNUSUAL]
        told.append(f"mood: {', '.join(kept)}" if kept else "")
    return told


def tempo(track: TrackFeatures) -> str:
    """Tempo in words."""
    bpm = track.rhythm.tempo_bpm
    if not bpm:
        return "no steady beat"
    word = "slow" if bpm < _SLOW_BPM else "fast" if bpm > _FAST_BPM else "moderate"
    return f"{word}, {bpm:.0f} beats a minute"


def energies(library: Sequence[TrackFeatures]) -> list[str]:
    """How loud each track is against the others of its library, as a phrase each; empty where it is as most are."""
    deviations = across(np.array([track.mean_energy_db for track in library], np.float32))
    return ["energetic" if d > _LOUD else "quiet" if d < _QUIET else "" for d in deviations]
