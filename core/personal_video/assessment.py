"""Figures of a method's videos against what was asked for, on subjects that no training saw."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from core.encoders.image import ImageEncoder
from core.errors import ParameterError
from core.personal_video.measuring import (
    background_colour,
    cut_subjects,
    flicker,
    measured_path,
    sharpness,
    subject_counts,
)
from core.personal_video.motions import Motion, recognised
from core.personal_video.subjects import Pixels

_LOOKED_AT = 4
Vectors = NDArray[np.float32]


@dataclass(frozen=True)
class Asked:
    """What a video was to show: the number of its subject in the gallery, its motion, and the colour behind it."""

    subject: int
    motion: Motion
    colour: str


@dataclass(frozen=True)
class Figures:
    """Of one method, over all its videos.

    Attributes:
        videos: how many.
        identity: share whose subject is nearest to its own concept among all of the gallery.
        likeness: mean cosine to its own concept.
        action, direction, speed: shares in which the path says what was asked; the last two where the action is right.
        one_subject: share of frames that show exactly one thing.
        sharpness, flicker: see `core.personal_video.measuring`.
        colour: share in which the colour behind is nearer to the asked name than to any other.
        colour_error: how far it is off, in CIELAB units.
    """

    videos: int
    identity: float
    likeness: float
    action: float
    direction: float
    speed: float
    one_subject: float
    sharpness: float
    flicker: float
    colour: float
    colour_error: float


def gallery_of(squares: Pixels, encoder: ImageEncoder) -> Vectors:
    """What an encoder says of concepts, each a subject on white (N, S, S, 3): (N, D), length 1."""
    return _unit(encoder.encode(squares))


def figures_of(videos: Sequence[Pixels], asked: Sequence[Asked], gallery: Vectors, encoder: ImageEncoder) -> Figures:
    """Measure a method.

    Args:
        videos: (T, H, W, 3) each, plain behind.
        asked: what each was to show.
        gallery: of `gallery_of`, by the same encoder, which no training may have used.
        encoder: of pictures.

    Raises:
        ParameterError: there are no videos, or not one question for each.
    """
    if not videos or len(videos) != len(asked):
        raise ParameterError(f"There are {len(videos)} videos and {len(asked)} questions; give one of each.")
    rows = [_measured(video, one, gallery, encoder) for video, one in zip(videos, asked, strict=True)]
    mean = {name: _mean([row[name] for row in rows]) for name in rows[0]}
    return Figures(videos=len(videos), **mean)


def _measured(video: Pixels, asked: Asked, gallery: Vectors, encoder: ImageEncoder) -> dict[str, float]:
    colour = background_colour(video, asked.colour)
    row = {
        "one_subject": float((subject_counts(video) == 1).mean()),
        "sharpness": sharpness(video),
        "flicker": flicker(video),
        "colour": float(colour.nearest == asked.colour),
        "colour_error": colour.error,
        "identity": 0.0,
        "likeness": 0.0,
        "action": 0.0,
        "direction": np.nan,
        "speed": np.nan,
    }
    squares = cut_subjects(video, encoder.size)
    if not len(squares):
        return row
    chosen = squares[np.linspace(0, len(squares) - 1, _LOOKED_AT).round().astype(int)]
    likeness = gallery @ _unit(encoder.encode(chosen)).mean(0)
    row |= {"identity": float(likeness.argmax() == asked.subject), "likeness": float(likeness[asked.subject])}
    return row | action_figures(video, asked.motion)


def action_figures(video: Pixels, asked: Motion) -> dict[str, float]:
    """Whether the subject's path says the asked action, and, where it does, its direction and speed; otherwise NaN."""
    seen = recognised(measured_path(video))
    right = seen.action == asked.action
    return {
        "action": float(right),
        "direction": float(seen.direction == asked.direction) if right and asked.direction else np.nan,
        "speed": float(seen.speed == asked.speed) if right else np.nan,
    }


def as_table(rows: Mapping[str, Figures]) -> str:
    """Methods and their figures as a Markdown table."""
    names = [name for name in asdict(next(iter(rows.values()))) if name != "videos"]
    lines = [["method", *(name.replace("_", " ") for name in names)], ["---"] * (len(names) + 1)]
    for method, figures in rows.items():
        told = asdict(figures)
        lines.append([method, *("" if np.isnan(told[name]) else f"{told[name]:.2f}" for name in names)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _mean(values: Sequence[float]) -> float:
    told = [value for value in values if not np.isnan(value)]
    return float(np.mean(told)) if told else float("nan")


def _unit(vectors: Vectors) -> Vectors:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True).clip(1e-12), np.float32)
