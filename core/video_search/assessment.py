"""How well a model finds edited copies among the films of a folder: ``python -m core.video_search evaluate``."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

import numpy as np

from core.bulk import ALONE, Outcome, Workers, run_all
from core.encoders.image import ImageEncoder
from core.errors import ParameterError
from core.runtime import Progress, part_of, silent
from core.video_search.config import SearchConfig
from core.video_search.copies import TRANSFORMS, Copy
from core.video_search.descriptor import Descriptor, Vectors, baseline
from core.video_search.evaluation import DetectionScores, Trial, evaluate
from core.video_search.kept_copies import kept_copy
from core.video_search.reading import frame_features
from core.video_search.rows import VideoDescription, described

Item = TypeVar("Item")
Result = TypeVar("Result")
Model = tuple[ImageEncoder, Descriptor]
Load = Callable[[], Model]
"""Gives what describes films; it can be pickled."""


@dataclass(frozen=True)
class DescribeJob:
    """What a worker does: it takes a film and describes it."""

    load: Load

    def __call__(self) -> Callable[[Path], VideoDescription]:
        """Load the model."""
        model = self.load()
        return lambda path: _describe(path, model)


@dataclass(frozen=True)
class Wanted:
    """A copy that is to be made of a film."""

    film: Path
    transform: str

    def __str__(self) -> str:
        return str(self.film)


@dataclass(frozen=True)
class CopyJob:
    """What a worker does: it makes a copy, and gives it with its vectors and its usual similarity to any film."""

    load: Load
    cache: Path
    others: tuple[Path, ...]

    def __call__(self) -> Callable[[Wanted], tuple[Copy, Vectors, float]]:
        """Load the model."""
        model = self.load()

        def copied(wanted: Wanted) -> tuple[Copy, Vectors, float]:
            copy = kept_copy(wanted.film, wanted.transform, self.cache, self.others)
            query = _describe(copy.path, model)
            return copy, query.descriptors, baseline(model[1], query.descriptor)

        return copied


def assess(
    films: Sequence[Path], load: Load, cache: Path, progress: Progress = silent, how: Workers = ALONE
) -> list[DetectionScores]:
    """Make thirteen copies of every film, and search for each copy among the films.

    Args:
        films: readable films of different content; others are left out.
        load: loads what describes them; called once in this process, or twice in every worker.
        cache: folder for the copies; those that are there are not made again.
        progress: told of films, and then of copies.
        how: how many workers, which all reach films and cache; the scores are the same however many there are.

    Raises:
        ParameterError: fewer than two films can be read.
        CancelledError: ``progress`` says so; finished copies are kept.
    """
    load = lru_cache(load) if how.alone else load
    described_films = run_all(DescribeJob(load), films, part_of(progress, 0, 2), how.workers, how.cluster)
    originals = {str(film): description for film, description in _in_order(described_films)}
    if len(originals) < 2:
        raise ParameterError("There are fewer than two films that can be read; give a folder with more.")
    names = list(originals)
    others = tuple(Path(name) for name in names)
    wanted = [Wanted(film, transform) for film in others for transform in TRANSFORMS]
    copies = run_all(CopyJob(load, cache, others), wanted, part_of(progress, 1, 2), how.workers, how.cluster)
    rows: list[list[float]] = []
    made: list[Copy] = []
    for _, (copy, vectors, usual) in _in_order(copies):
        rows.append([_similarity(vectors, originals[name].descriptors) - usual for name in names])
        made.append(copy)
    behind = [None if copy.background is None else str(copy.background) for copy in made]
    trial = Trial(names, [str(copy.source) for copy in made], [copy.transform for copy in made], backgrounds=behind)
    return evaluate(np.array(rows), trial)


def _in_order(outcomes: Iterable[Outcome[Item, Result]]) -> list[tuple[Item, Result]]:
    """Items with what came of them, in their own order, without those of which nothing came."""
    told = sorted(outcomes, key=lambda outcome: outcome.index)
    return [(outcome.item, outcome.result) for outcome in told if outcome.result is not None]


def as_table(scores: Sequence[DetectionScores]) -> str:
    """A Markdown table of what `assess` found, with 95 % intervals."""
    lines = ["| copies | number | µAP | mAP | recall@1 |", "|---|---|---|---|---|"]
    lines += [
        f"| {s.transform} | {s.copies} | {s.micro_average_precision} | {s.mean_average_precision} | {s.recall_at_1} |"
        for s in scores
    ]
    return "\n".join(lines)


def _describe(path: Path, model: Model) -> VideoDescription:
    return described(path, *frame_features(path, model[0], SearchConfig()), model[1])


def _similarity(first: Vectors, second: Vectors) -> float:
    return float((first @ second.T).max())
