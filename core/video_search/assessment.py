"""How well a model finds edited copies among the films of a folder: ``python -m core.video_search evaluate``."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from core.encoders.image import ImageEncoder
from core.errors import MediaError, ParameterError
from core.runtime import Progress, silent
from core.video_search.config import SearchConfig
from core.video_search.copies import TRANSFORMS, Copy
from core.video_search.descriptor import Descriptor, Vectors, baseline
from core.video_search.evaluation import DetectionScores, Trial, evaluate
from core.video_search.kept_copies import kept_copy
from core.video_search.reading import frame_features
from core.video_search.rows import VideoDescription, described


def assess(
    films: Sequence[Path], model: tuple[ImageEncoder, Descriptor], cache: Path, progress: Progress = silent
) -> list[DetectionScores]:
    """Make thirteen copies of every film, and search for each copy among the films.

    Args:
        films: readable films of different content; others are left out.
        model: what describes them.
        cache: folder for the copies; those that are there are not made again.
        progress: told of films.

    Raises:
        ParameterError: fewer than two films can be read.
        CancelledError: ``progress`` says so; finished copies are kept.
    """
    originals: dict[str, VideoDescription] = {}
    for path in films:
        try:
            originals[str(path)] = _describe(path, model)
        except MediaError:
            continue
    if len(originals) < 2:
        raise ParameterError("There are fewer than two films that can be read; give a folder with more.")
    names = list(originals)
    others = [Path(name) for name in names]
    rows: list[list[float]] = []
    made: list[Copy] = []
    wanted = [(film, transform) for film in others for transform in TRANSFORMS]
    for done, (film, transform) in enumerate(wanted):
        progress(done, len(wanted), film.name)
        try:
            copy = kept_copy(film, transform, cache, others)
            query = _describe(copy.path, model)
        except MediaError:
            continue
        usual = baseline(model[1], query.descriptor)
        rows.append([_similarity(query.descriptors, originals[name].descriptors) - usual for name in names])
        made.append(copy)
    behind = [None if copy.background is None else str(copy.background) for copy in made]
    trial = Trial(names, [str(copy.source) for copy in made], [copy.transform for copy in made], backgrounds=behind)
    return evaluate(np.array(rows), trial)


def as_table(scores: Sequence[DetectionScores]) -> str:
    """A Markdown table of what `assess` found, with 95 % intervals."""
    lines = ["| copies | number | µAP | mAP | recall@1 |", "|---|---|---|---|---|"]
    lines += [
        f"| {s.transform} | {s.copies} | {s.micro_average_precision} | {s.mean_average_precision} | {s.recall_at_1} |"
        for s in scores
    ]
    return "\n".join(lines)


def _describe(path: Path, model: tuple[ImageEncoder, Descriptor]) -> VideoDescription:
    return described(path, *frame_features(path, model[0], SearchConfig()), model[1])


def _similarity(first: Vectors, second: Vectors) -> float:
    return float((first @ second.T).max())
