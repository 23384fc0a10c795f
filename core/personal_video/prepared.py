"""What the frozen encoders say of a training's captions and subjects: computed once, kept beside the checkpoints."""

import hashlib
import json
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from core.encoders.image import ImageEncoder
from core.encoders.text import TokenOutputs
from core.media.whole_file import written_whole
from core.personal_video.conditioning import PromptFeatures, prompt_features
from core.personal_video.looks import drawn_look
from core.personal_video.scripts import Script, Span
from core.personal_video.subjects import Pixels, Subject
from core.runtime import Progress, silent

VARIATIONS = 2
"""Vectors of each subject, from two looks."""
_KEPT = 4096
_AT_ONCE = 64
Halves = NDArray[np.float16]


class TokenEncoder(Protocol):
    """A frozen text network that tells of every token, such as `core.encoders.text.MeanPooledEncoder`."""

    name: str
    version: str

    def tokens(self, sentences: Sequence[str]) -> list[TokenOutputs]:
        """What it says of each token of each sentence."""
        ...


class PromptEncoder:
    """Prompts to features; those used of late are not computed again.

    Args:
        encoder: of their tokens.
    """

    def __init__(self, encoder: TokenEncoder) -> None:
        self._encoder = encoder
        self._kept: OrderedDict[str, TokenOutputs] = OrderedDict()

    def features(self, told: Sequence[tuple[str, Sequence[Span]]]) -> list[PromptFeatures]:
        """Of captions with the places where subject 0, subject 1, … stand."""
        unknown = list(dict.fromkeys(text for text, _ in told if text not in self._kept))
        if unknown:
            self._kept.update(zip(unknown, self._encoder.tokens(unknown), strict=True))
        found = [
            prompt_features(self._kept[text], [(span, number) for number, span in enumerate(spans)])
            for text, spans in told
        ]
        while len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        return found


@dataclass(frozen=True)
class ScriptFeatures:
    """The features of a course's scripts, one after the other; script n is rows ``starts[n]`` to ``starts[n + 1]``."""

    hidden: Halves
    slots: NDArray[np.int8]
    starts: NDArray[np.int64]

    def of(self, number: int) -> PromptFeatures:
        """Of one script."""
        rows = slice(int(self.starts[number]), int(self.starts[number + 1]))
        return PromptFeatures(self.hidden[rows], self.slots[rows])


def script_features(
    scripts: Sequence[Script], encoder: TokenEncoder, folder: Path, progress: Progress = silent
) -> ScriptFeatures:
    """Of all scripts; read from the folder where they were computed before.

    Args:
        scripts: in their order.
        encoder: of their tokens.
        folder: where they are kept.
        progress: told of every 64.
    """
    told = [script.told() for script in scripts]
    path = folder / f"scripts-{_digest([encoder.name, encoder.version, told])}.npz"
    if not path.exists():
        prompts = PromptEncoder(encoder)
        found: list[PromptFeatures] = []
        for start in range(0, len(told), _AT_ONCE):
            progress(start, len(told), "captions")
            found += prompts.features(told[start : start + _AT_ONCE])
        arrays = {
            "hidden": np.concatenate([prompt.hidden for prompt in found]).astype(np.float16),
            "slots": np.concatenate([prompt.slots for prompt in found]),
            "starts": np.cumsum([0, *(len(prompt.slots) for prompt in found)]),
        }
        with written_whole(path) as part, part.open("wb") as out:
            np.savez(out, **arrays)  # type: ignore[arg-type]
    with np.load(path) as kept:
        return ScriptFeatures(kept["hidden"], kept["slots"], kept["starts"])


def subject_vectors(
    subjects: Sequence[Subject], encoder: ImageEncoder, folder: Path, progress: Progress = silent
) -> Halves:
    """What the image encoder says of every subject on white, in `VARIATIONS` looks: (N, VARIATIONS, dimensions).

    Args:
        subjects: in their order.
        encoder: the second encoder.
        folder: where they are kept.
        progress: told of every 64 pictures.
    """
    path = folder / f"subjects-{_digest([encoder.name, encoder.version, [subject.key for subject in subjects]])}.npy"
    if not path.exists():
        looks = [(subject, number) for subject in subjects for number in range(VARIATIONS)]
        found = []
        for start in range(0, len(looks), _AT_ONCE):
            progress(start, len(looks), "subjects")
            pictures = [
                _on_white(*one, encoder.size, start + n) for n, one in enumerate(looks[start : start + _AT_ONCE])
            ]
            found.append(encoder.encode(np.stack(pictures)).astype(np.float16))
        with written_whole(path) as part, part.open("wb") as out:
            np.save(out, np.concatenate(found).reshape(len(subjects), VARIATIONS, -1))
    return np.asarray(np.load(path))


def on_white(look: Pixels) -> Pixels:
    """A look (..., 4), RGB times opacity, on white: (..., 3)."""
    return np.asarray(look[..., :3] + (255 - look[..., 3:]), np.uint8)


def _on_white(subject: Subject, variation: int, side_px: int, seed: int) -> Pixels:
    return on_white(drawn_look(subject, side_px, np.random.default_rng([seed, variation]))[0])


def _digest(told: object) -> str:
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:16]
