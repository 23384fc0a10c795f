"""What personal video answers, and the settings that travel in a video's metadata."""

import json
from dataclasses import asdict, dataclass, field, fields
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import ParameterError, check_ranges
from core.personal_video.modes import MODES, Letter, Mode, Shown

Pixels = NDArray[np.uint8]
LARGEST_SEED = 2**32 - 1
VERSION = 1
"""Of the settings' format; files of a later one are refused."""


@dataclass(frozen=True)
class VideoSettings:
    """All that a video was made from; with the same networks, concepts and image it comes out again, byte for byte.

    Attributes:
        prompt: as it was typed.
        mode: the letter of METHODS 2.
        seed: of the noise.
        profile: embedded or hub.
        weights: stands for the networks.
        concepts: the words of the prompt, and what stands for their pictures at the time (`Concept.looks`).
        image: name of the image's file; empty when there was none. The image itself does not travel with the video.
        image_sha256: of its content.
        target: the concept that the image shows (mode b); otherwise empty.
        steps, text_guidance, subject_guidance: of the first network.
        frames, side_px: of the first video.
        factor: how many times larger than the first video this one is; 1 for the first one itself.
        second_steps: of the second network; 0 for the first video.
        start: how much of the first video the second network began with.
        repeated: how often the file repeats each pixel along a row and a column.
    """

    prompt: str
    mode: Letter
    seed: int
    profile: str
    weights: str
    concepts: tuple[tuple[str, str], ...] = ()
    image: str = ""
    image_sha256: str = ""
    target: str = ""
    steps: int = 0
    text_guidance: float = 0.0
    subject_guidance: float = 0.0
    frames: int = 16
    side_px: int = 64
    factor: int = 1
    second_steps: int = 0
    start: float = 0.0
    repeated: int = 1

    def __post_init__(self) -> None:
        check_ranges(self, ("seed", 0, LARGEST_SEED), ("frames", 1, 64), ("side_px", 8, 1024), ("factor", 1, 8))
        check_ranges(self, ("repeated", 1, 64))

    def as_json(self) -> str:
        """One JSON object; the same settings give the same text."""
        return json.dumps({"tool": "Showreel personal video", "version": VERSION, **asdict(self)}, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> "VideoSettings":
        """The settings that `as_json` wrote.

        Raises:
            ParameterError: it is none, or of a later version.
        """
        try:
            told: Any = json.loads(text)
            version = int(told["version"])
            kept = {one.name: told[one.name] for one in fields(cls)}
            kept["concepts"] = tuple((str(word), str(looks)) for word, looks in kept["concepts"])
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise ParameterError("Its settings cannot be read.") from error
        if version > VERSION:
            raise ParameterError("Its settings are of a later version; update first.")
        usual = cls("", "d", 0, "", "")
        if any(not _is_like(kept[name], value) for name, value in vars(usual).items()) or kept["mode"] not in MODES:
            raise ParameterError("Its settings cannot be read.")
        return cls(**kept)

    @property
    def words(self) -> tuple[str, ...]:
        """The concepts of the prompt."""
        return tuple(word for word, _ in self.concepts)


def _is_like(value: object, usual: object) -> bool:
    """Whether a value is of the kind of another one; a whole number may stand for any."""
    return isinstance(value, type(usual)) or (isinstance(usual, float) and isinstance(value, int))


@dataclass(frozen=True)
class ModeReading:
    """What an input is taken to mean, before anything is made.

    Attributes:
        mode: one of the five.
        words: the concepts that the prompt names, each once.
        target: the concept that the image shows, in mode b.
        shown: the concept that the image is most like, where that was looked at.
        note: what stands in for an empty prompt, or what the networks cannot do, as a sentence; otherwise empty.
    """

    mode: Mode
    words: tuple[str, ...] = ()
    target: str | None = None
    shown: Shown | None = None
    note: str = ""

    @property
    def sentence(self) -> str:
        """Says it to the user."""
        likeness = "" if self.shown is None else f" (Likeness to <{self.shown.word}>: {self.shown.similarity:.2f}.)"
        return f"{self.mode.sentence}{likeness}{f' {self.note}' if self.note else ''}"


@dataclass(frozen=True, eq=False)
class Seen:
    """What a video looks like after a step of sampling.

    Attributes:
        frames: uint8 (T, H, W, 3).
        step, steps: so many are done, of so many.
    """

    frames: Pixels = field(repr=False)
    step: int
    steps: int


@dataclass(frozen=True, eq=False)
class GeneratedVideo:
    """A finished video.

    Attributes:
        out: the file.
        frames: uint8 (T, H, W, 3), as the network made them; the file may repeat each pixel.
        settings: as they are in its metadata.
        frame_rate: pictures a second.
        seconds_taken: by the clock.
        sentence: what the mode means.
        notes: what of the input was not understood, as sentences.
    """

    out: str
    frames: Pixels = field(repr=False)
    settings: VideoSettings
    frame_rate: Fraction
    seconds_taken: float
    sentence: str
    notes: tuple[str, ...] = ()

    @property
    def mode(self) -> Letter:
        """The letter of METHODS 2."""
        return MODES[self.settings.mode].letter

    @property
    def seed(self) -> int:
        """Of the noise."""
        return self.settings.seed

    @property
    def duration_s(self) -> float:
        """How long it plays."""
        return float(len(self.frames) / self.frame_rate)
