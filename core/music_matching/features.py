"""What is known of a film and of a track, in numbers: the inputs of the two towers, and the curves of moments.

All of it is arrays and small facts, which `packed` and `unpacked` turn to bytes and back.
"""

import json
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from core.music_matching.keywords import Keyword
from core.music_matching.rhythm import Rhythm

Vectors = NDArray[np.float32]
MOTION_RATE = 4.0
"""Values of a film's motion curve a second."""
COLOURS = 8
RHYTHM = 6
_SMALL = 1e-6


@dataclass(frozen=True)
class VideoFeatures:
    """A film.

    Attributes:
        duration_s: how long it lasts.
        image: (D,) mean of the frames' image features, each at unit length.
        colour: (8,) see `colour_statistics`.
        words: (D,) the direction of what is said in it and of its title; None where there is neither.
        keywords: what is seen and said in it, and the words of its title.
        cuts_s: (C,) when a new shot begins; of a long film in its first minutes only.
        motion: (N,) how much the picture changes, `MOTION_RATE` values a second, 0 to 1.
        voice: (V, 2) begin and end of every stretch of speech, in seconds.
        seen: (D,) the direction of all things that may be seen in it, see `Words.seen`; None where nobody looked.
    """

    duration_s: float
    image: Vectors
    colour: Vectors
    words: Vectors | None = None
    keywords: tuple[Keyword, ...] = ()
    cuts_s: Vectors = field(default_factory=lambda: np.zeros(0, np.float32))
    motion: Vectors = field(default_factory=lambda: np.zeros(0, np.float32))
    voice: Vectors = field(default_factory=lambda: np.zeros((0, 2), np.float32))
    seen: Vectors | None = None

    def modalities(self) -> dict[str, Vectors | None]:
        """What the video tower takes."""
        return {"image": self.image, "colour": self.colour, "seen": self.seen, "words": self.words}


@dataclass(frozen=True)
class TrackFeatures:
    """A piece of music.

    Attributes:
        duration_s: how long it lasts.
        patches: (P, 200) musicnn vectors, one for each patch that was listened to.
        tags: (P, 50) probabilities of its tags, patch by patch.
        traits: (50,) mean probabilities of the other tag set: instruments, voices, tempo.
        patch_step_s: from the beginning of one patch to that of the next.
        rhythm: tempo, beats, onsets and loudness.
        words: (D,) the direction of its keywords; None where it has no words.
        keywords: of its title and of what is sung or said.
        voice_share: share of it in which somebody sings or speaks, 0 to 1.
    """

    duration_s: float
    patches: Vectors
    tags: Vectors
    traits: Vectors
    patch_step_s: float
    rhythm: Rhythm
    words: Vectors | None = None
    keywords: tuple[Keyword, ...] = ()
    voice_share: float = 0.0

    @cached_property
    def mood_logits(self) -> Vectors:
        """(50,) of the mean probabilities of its tags."""
        return logits(self.tags.mean(0))

    @cached_property
    def mean_energy_db(self) -> float:
        """Its mean loudness."""
        return float(self.rhythm.energy_db.mean())

    def modalities(self, begin_s: float = 0.0, end_s: float = float("inf")) -> dict[str, Vectors | None]:
        """What the music tower takes, of the whole track or of a part of it."""
        chosen = self._patches_in(begin_s, end_s)
        sound = self.patches[chosen]
        spread = sound.std(0) if len(sound) > 1 else self.patches.std(0)
        return {
            "sound": np.concatenate([sound.mean(0), spread]),
            "tags": logits(np.concatenate([self.tags[chosen].mean(0), self.traits])),
            "rhythm": rhythm_statistics(self.rhythm),
            "words": self.words,
        }

    def _patches_in(self, begin_s: float, end_s: float) -> slice:
        """The patches that begin within a part; at least one."""
        first = min(len(self.patches) - 1, max(0, int(np.ceil(begin_s / self.patch_step_s - 0.5))))
        last = len(self.patches) if np.isinf(end_s) else int(np.ceil(end_s / self.patch_step_s - 0.5))
        return slice(first, max(first + 1, last))


def logits(probabilities: Vectors) -> Vectors:
    """``log(p / (1 - p))``, within ±7: moods have small probabilities, whose ratios tell."""
    p = np.clip(probabilities, 1e-3, 1 - 1e-3)
    return np.log(p / (1 - p)).astype(np.float32)


def colour_statistics(pictures: NDArray[np.uint8]) -> Vectors:
    """Light and colour of pictures (T, H, W, 3): (8,).

    Mean of red, green, blue and their largest-minus-smallest, all 0 to 1; the deviations of brightness within a picture
    and between pictures; the shares of dark (below a quarter) and of bright (above three quarters) pixels.
    """
    small = pictures[:, ::4, ::4].astype(np.float32) / 255
    light = small.mean(3)
    saturation = small.max(3) - small.min(3)
    within, between = light.std((1, 2)).mean(), light.mean((1, 2)).std()
    shares = (light < 0.25).mean(), (light > 0.75).mean()
    return np.array([*small.mean((0, 1, 2)), saturation.mean(), within, between, *shares], np.float32)


def rhythm_statistics(rhythm: Rhythm) -> Vectors:
    """Tempo, how regular and how many onsets, and loudness of a track: (6,)."""
    onsets, energy = rhythm.onsets, rhythm.energy_db
    return np.array(
        [
            np.log2(max(rhythm.tempo_bpm, 30.0) / 100),
            onsets.mean() if len(onsets) else 0.0,
            onsets.std() if len(onsets) else 0.0,
            energy.mean() / 20,
            energy.std() / 20,
            np.quantile(energy, 0.95) / 20,
        ],
        np.float32,
    )


def packed(features: VideoFeatures | TrackFeatures) -> bytes:
    """Features as bytes of a safetensors file; curves in eight bits, the rest in float16 and float32."""
    from safetensors.numpy import save

    arrays, facts = {}, {}
    flat = {f.name: getattr(features, f.name) for f in fields(features)}
    if isinstance(features, TrackFeatures):
        rhythm = flat.pop("rhythm")
        flat |= {f"rhythm.{f.name}": getattr(rhythm, f.name) for f in fields(rhythm)}
    for name, value in flat.items():
        if isinstance(value, np.ndarray):
            arrays[name] = _small(name, value)
        else:
            facts[name] = [asdict(keyword) for keyword in value] if name == "keywords" else value
    return bytes(save(arrays, {"facts": json.dumps(facts)}))


def unpacked(data: bytes, kind: "type[VideoFeatures] | type[TrackFeatures]") -> VideoFeatures | TrackFeatures:
    """What `packed` made, within its precision."""
    from safetensors.numpy import load

    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    facts = json.loads(header["__metadata__"]["facts"])
    values = {name: _large(name, array) for name, array in load(data).items()} | facts
    values["keywords"] = tuple(Keyword(**keyword) for keyword in values["keywords"])
    if kind is TrackFeatures:
        inner = {name.partition(".")[2]: values.pop(name) for name in list(values) if name.startswith("rhythm.")}
        values["rhythm"] = Rhythm(**inner)
    return kind(**values)


def _small(name: str, values: Vectors) -> NDArray[np.generic]:
    """Curves between 0 and 1, or in dB, fit in eight bits; times do not fit in fewer than 32."""
    if name in ("rhythm.onsets", "motion"):
        return np.round(values * 255).astype(np.uint8)
    if name == "rhythm.energy_db":
        return np.round(-values * 3).clip(0, 255).astype(np.uint8)
    return values.astype(np.float16 if name in ("patches", "tags") else np.float32)


def _large(name: str, values: NDArray[np.generic]) -> Vectors:
    if name in ("rhythm.onsets", "motion"):
        return (values.astype(np.float32) / 255).astype(np.float32)
    if name == "rhythm.energy_db":
        return (-values.astype(np.float32) / 3).astype(np.float32)
    return values.astype(np.float32)
