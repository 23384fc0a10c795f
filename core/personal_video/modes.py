"""The five input modes of METHODS 2, and what feeds the generation network in each.

What decides between b and c: whether the image shows the concept. The user may say so; otherwise the image encoder's
vectors of the cut-out image and of the concept are compared (`shown_concept`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.personal_video.prompt import ParsedPrompt

Letter = Literal["a", "b", "c", "d", "e"]
SAME_SUBJECT_COSINE = 0.6
"""From here on an image is taken to show the concept. Of the embedded encoder (EfficientNet-Lite0), subjects on white:

| pair | pairs | 5th and 50th percentile | at least 0.6 |
|---|---|---|---|
| two frames of one animated emoji | 123 | 0.82, 0.95 | 100 % |
| a stamp, and it mirrored; turned by 20° and darker | 40, 40 | 0.95, 0.98; 0.82, 0.90 | 100 % |
| a stamp, and it mirrored on a gradient and cut out again | 40 | 0.84, 0.95 | 97 % |
| two stamps of one name (two frogs) | 14 | 0.53, 0.60 | 50 % |
| an animated emoji, and another designer's of that name | 110 | 0.30, 0.48 | 10 % |
| two different emoji; stamps; an emoji and a stamp | 107,930 | 0.16, 0.26 | 1.0 % |

Different emoji of one designer reach it in about 7 of 100 cases, so the user has the last word. Photographs of one
animal from several sides were not at hand."""


class Source(Enum):
    """Where a feature comes from."""

    DATABASE = "the concept database"
    IMAGE = "the image"
    TEXT = "the text"
    FUSION = "the concept database and the image, fused"


@dataclass(frozen=True)
class Mode:
    """One of the five ways in which prompt and image work together.

    Attributes:
        letter: as in METHODS 2.
        reference: what replaces the concept's part of the text features; TEXT leaves them as the text encoder made
            them.
        details: what the detail features are made from.
        sentence: says it to the user.
    """

    letter: Letter
    reference: Source
    details: Source
    sentence: str

    @property
    def needs_image(self) -> bool:
        """Whether an image is looked at."""
        return bool({Source.IMAGE, Source.FUSION} & {self.reference, self.details})

    @property
    def needs_database(self) -> bool:
        """Whether the concept's stored features are looked at."""
        return bool({Source.DATABASE, Source.FUSION} & {self.reference, self.details})


MODES: dict[Letter, Mode] = {
    mode.letter: mode
    for mode in (
        Mode("a", Source.DATABASE, Source.DATABASE, "The concept looks as in the database."),
        Mode("b", Source.IMAGE, Source.FUSION, "The image shows the concept: it looks as in both image and database."),
        Mode("c", Source.TEXT, Source.IMAGE, "The image shows something else: the video has the looks of the image."),
        Mode("d", Source.TEXT, Source.TEXT, "No concept and no image: the video is made from the text alone."),
        Mode("e", Source.TEXT, Source.IMAGE, "No concept in the text: the video has the looks of the image."),
    )
}


class Shown(NamedTuple):
    """The concept an image is most like, and how much: a cosine, -1 to 1."""

    word: str
    similarity: float

    @property
    def is_target(self) -> bool:
        """Whether the image is taken to show it."""
        return self.similarity >= SAME_SUBJECT_COSINE


def mode_of(prompt: ParsedPrompt, has_image: bool, shows_concept: bool = False) -> Mode:
    """The mode of an input.

    Args:
        prompt: parsed against the database.
        has_image: whether an image came with it.
        shows_concept: whether the image is the target image of one of the prompt's concepts: by the user's word, or
            by `Shown.is_target`. Without concept or image it decides nothing.
    """
    if not prompt.spans:
        return MODES["e" if has_image else "d"]
    if not has_image:
        return MODES["a"]
    return MODES["b" if shows_concept else "c"]


def shown_concept(image: NDArray[np.floating], references: Mapping[str, NDArray[np.floating]]) -> Shown:
    """The concept that an image is most like.

    Args:
        image: (D,), the image encoder's vector of the subject cut out of it.
        references: (D,) by word, of the prompt's concepts; at least one.
    """
    cosines = {word: _cosine(image, reference) for word, reference in references.items()}
    word = max(cosines, key=lambda word: (cosines[word], word))
    return Shown(word, cosines[word])


def _cosine(a: NDArray[np.floating], b: NDArray[np.floating]) -> float:
    lengths = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(np.clip(np.dot(a, b) / lengths, -1, 1)) if lengths else 0.0
