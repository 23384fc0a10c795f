"""Copy detection as a trial: every copy is scored against all references, and its own original is to come first."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from core.errors import ParameterError
from core.video_search.metrics import Mask, Ranking, Scores, Weights, average_precisions, bootstrap_interval, hits_at_k

OVERALL = "overall"


@dataclass(frozen=True)
class Trial:
    """What was searched for, and where.

    Args:
        references: (R,) names of the originals, each once.
        sources: (Q,) the original's name, of each copy.
        transforms: (Q,) what was done to each copy.
        twins: a group's name for references that show the same; a copy's pairs with twins of its original are left
            out of the count, and sources of one group are resampled together.
        backgrounds: (Q,) the name of a film that is also to be seen in a copy, or None; those pairs, and those with
            its twins, are left out of the count too. Empty: none.

    Raises:
        ParameterError: the lengths differ, a reference is named twice, or a source is not among the references.
    """

    references: Sequence[str]
    sources: Sequence[str]
    transforms: Sequence[str]
    twins: Mapping[str, str] = field(default_factory=dict)
    backgrounds: Sequence[str | None] = ()

    def __post_init__(self) -> None:
        if len(self.transforms) != len(self.sources) or len(self.backgrounds) not in (0, len(self.sources)):
            raise ParameterError(f"There are {len(self.sources)} sources; give as many transforms and backgrounds.")
        if len(set(self.references)) != len(self.references):
            raise ParameterError("A reference is named twice; give every original once.")
        if missing := sorted(set(self.sources) - set(self.references)):
            raise ParameterError(f"{missing[0]} is the source of a copy and no reference; add it to the references.")

    @cached_property
    def positives(self) -> Mask:
        """(Q, R), each copy with its original."""
        return np.asarray(self.sources)[:, None] == np.asarray(self.references)[None]

    @cached_property
    def ignored(self) -> Mask:
        """(Q, R), pairs that show the same and yet are not copy and original."""
        groups = np.array([self.group(name) for name in self.references])
        shown = np.array(self.groups)[:, None] == groups[None]
        if self.backgrounds:
            behind = np.array([self.group(name) if name is not None else "" for name in self.backgrounds])
            shown |= (behind[:, None] == groups[None]) & (behind != "")[:, None]
        return shown & ~self.positives

    @property
    def groups(self) -> list[str]:
        """(Q,), what each copy is resampled together with."""
        return [self.group(source) for source in self.sources]

    def group(self, name: str) -> str:
        """The twins' group of a film, or its own name."""
        return self.twins.get(name, name)

    def of(self, transform: str) -> tuple[NDArray[np.intp], "Trial"]:
        """The rows of one transform, and the trial of these rows alone."""
        rows = [row for row, name in enumerate(self.transforms) if name == transform]
        behind = [self.backgrounds[row] for row in rows] if self.backgrounds else ()
        sources = [self.sources[row] for row in rows]
        return np.array(rows, np.intp), Trial(self.references, sources, [transform] * len(rows), self.twins, behind)


@dataclass(frozen=True)
class Estimate:
    """A measure and its 95 % bootstrap interval over sources."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})"


@dataclass(frozen=True)
class DetectionScores:
    """How well the copies of one transform, or all, were found; the measures are those of `metrics`."""

    transform: str
    copies: int
    micro_average_precision: Estimate
    mean_average_precision: Estimate
    recall_at_1: Estimate


def evaluate(scores: Scores, trial: Trial, rounds: int = 1000, seed: int = 0) -> list[DetectionScores]:
    """The measures overall, and then for each transform in the order of its first copy.

    Args:
        scores: (Q, R), more is surer.
        trial: which copy belongs to which reference.
        rounds: draws of the bootstrap.
        seed: of the bootstrap.

    Raises:
        ParameterError: the shapes differ, a score is not a number, or there are no copies.
    """
    _check(scores, trial)
    parts = [(OVERALL, scores, trial)]
    for transform in dict.fromkeys(trial.transforms):
        rows, part = trial.of(transform)
        parts.append((transform, scores[rows], part))
    return [_scores(*part, rounds, seed) for part in parts]


def advantage(ours: Scores, theirs: Scores, trial: Trial, rounds: int = 1000, seed: int = 0) -> Estimate:
    """By how much the µAP of one method is above another's on the same copies, -1 to 1; sources drawn in pairs.

    Where the interval is above 0, the difference is not owed to the choice of sources.

    Raises:
        ParameterError: see `evaluate`.
    """
    for scores in (ours, theirs):
        _check(scores, trial)
    first, second = (Ranking.of(scores, trial.positives, trial.ignored) for scores in (ours, theirs))

    def difference(weights: Weights | None) -> float:
        return first.average_precision(weights) - second.average_precision(weights)

    return Estimate(difference(None), *bootstrap_interval(difference, trial.groups, rounds, seed))


def _scores(transform: str, scores: Scores, trial: Trial, rounds: int, seed: int) -> DetectionScores:
    ranking = Ranking.of(scores, trial.positives, trial.ignored)
    of_queries = (
        average_precisions(scores, trial.positives, trial.ignored),
        hits_at_k(scores, trial.positives, 1, trial.ignored),
    )

    micro = Estimate(
        ranking.average_precision(), *bootstrap_interval(ranking.average_precision, trial.groups, rounds, seed)
    )
    mean, recall = (_mean_estimate(values, trial.groups, rounds, seed) for values in of_queries)
    return DetectionScores(transform, len(trial.sources), micro, mean, recall)


def _mean_estimate(values: NDArray[np.float64], groups: Sequence[str], rounds: int, seed: int) -> Estimate:
    def mean(weights: Weights) -> float:
        return float(np.average(values, weights=weights))

    return Estimate(float(values.mean()), *bootstrap_interval(mean, groups, rounds, seed))


def _check(scores: Scores, trial: Trial) -> None:
    wanted = len(trial.sources), len(trial.references)
    if scores.shape != wanted or not len(trial.sources):
        raise ParameterError(f"The scores are {scores.shape} and the trial is {wanted}; give (copies, references).")
