"""How well the model finds music for films it has never seen, against chance and against parts of its features.

The games and films are dealt into folds. For each fold a model is trained on all the others, and the fold's pictures
look for their tracks among those of the fold and all tracks that no pair has. So neither picture nor track of a query
was ever trained on, nor was any other of the candidates, nor anything of the same game or film.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from core.bulk import ALONE, Workers, results_of_all
from core.music_matching.collecting import Material
from core.music_matching.data import TrainingPair, TrainingSet
from core.music_matching.features import Vectors
from core.music_matching.metrics import Interval, bootstrap, chance_at_k, ranks_of, recall_at_k
from core.music_matching.model import MUSIC_MODALITIES, VIDEO_MODALITIES, Modalities, TwoTowers
from core.runtime import Progress, silent

KS = (1, 5, 10)
ALL_VIDEO, ALL_MUSIC = frozenset(VIDEO_MODALITIES), frozenset(MUSIC_MODALITIES)
OTHER_TITLES = "no title in common"
"""The line in which a film whose title shares a word with that of its track has no title."""
_STEM = 4
"""Words that begin with so many letters alike are taken for one."""
FEATURES: dict[str, tuple[frozenset[str], frozenset[str]]] = {
    "all features": (ALL_VIDEO, ALL_MUSIC),
    OTHER_TITLES: (ALL_VIDEO, ALL_MUSIC),
    "picture only": (ALL_VIDEO - {"words"}, ALL_MUSIC),
    "tags only": (ALL_VIDEO, frozenset({"tags"})),
    "text only": (frozenset({"words"}), frozenset({"words"})),
    "without titles": (ALL_VIDEO - {"words"}, ALL_MUSIC - {"words"}),
}
"""Which modalities of films and of tracks a model may use."""
Fit = Callable[[TrainingSet, int], TwoTowers]
"""Trains a model on a set with a seed; it can be pickled where workers are to share the trainings."""
FOLDS = 2
SEEDS = 6


@dataclass(frozen=True)
class Figures:
    """One line of the table.

    Attributes:
        features: a name of `FEATURES`, or ``chance``.
        direction: ``film to music`` or ``music to film``.
        recalls: at `KS`.
        median_rank: as it is, and as a share of the candidates.
        median_share: 0 to 1, less is better; what chance gives stands in its own line.
        queries: how many.
    """

    features: str
    direction: str
    recalls: tuple[Interval, ...]
    median_rank: float
    median_share: Interval
    queries: int


@dataclass(frozen=True)
class HeldOut:
    """A part of the table: games and films that are held out, under a line of `FEATURES`."""

    features: str
    groups: frozenset[str]

    def __str__(self) -> str:
        return f"{self.features}, without {min(self.groups)}"


@dataclass(frozen=True)
class HeldOutJob:
    """What a worker does: it takes a part of the table, trains without it, and ranks it in both directions."""

    material: Material
    fit: Fit

    def __call__(self) -> "Callable[[HeldOut], tuple[Outcome, Outcome]]":
        """Nothing is to be loaded."""
        return lambda part: _held_out(self.material, part.groups, part.features, self.fit)


@dataclass(frozen=True)
class Outcome:
    """Ranks of all queries of one direction, how many candidates each had, and what random orders would give.

    ``usual`` are the expected ranks, ``(n + 1) / (r + 1)`` with n candidates of which r are right; ``chances`` the sums
    of the expected recalls at `KS`.
    """

    ranks: NDArray[np.float64]
    candidates: NDArray[np.float64]
    usual: NDArray[np.float64]
    groups: tuple[str, ...]
    chances: tuple[float, ...]


def training_set(
    material: Material, without: frozenset[str] = frozenset(), features: str = "all features"
) -> TrainingSet:
    """All pairs but those of some groups, with the modalities of a line of `FEATURES`."""
    kept = [pair for pair in material.pairs if pair.group not in without]
    video, music = FEATURES[features]
    return TrainingSet(
        [only(pair.video.modalities(), _usable(pair, features)) for pair in kept],
        [only(pair.music.modalities(), music) for pair in kept],
        [pair.source for pair in kept],
        [only(film.modalities(), video) for film in material.captioned],
        material.captions,
        material.heard,
    )


def assess(
    material: Material,
    fit: Fit,
    names: Sequence[str] = tuple(FEATURES),
    progress: Progress = silent,
    how: Workers = ALONE,
) -> list[Figures]:
    """The table of recalls and ranks, for every line of features in both directions.

    Args:
        material: pairs, candidates, captioned films.
        fit: trains a model on a set with a seed.
        names: lines of `FEATURES`.
        progress: told how far it is.
        how: how many workers; the lines are the same however many there are.

    Returns:
        Lines whose scores are means over `SEEDS` trainings, which takes some of the chance out of small differences.

    Raises:
        ParameterError: what is left of the material when a part is held out cannot be trained on.
    """
    groups = folds_of(material.pairs)
    parts = [HeldOut(name, group) for name in names for group in groups]
    ranked = results_of_all(HeldOutJob(material, fit), parts, progress, how)
    lines: list[Figures] = []
    for number, name in enumerate(names):
        mine = ranked[number * len(groups) : (number + 1) * len(groups)]
        for side, direction in enumerate(("film to music", "music to film")):
            joined = _joined([outcomes[side] for outcomes in mine])
            if not number:
                lines.append(_chance(direction, joined))
            lines.append(_figures(name, direction, joined))
    return sorted(lines, key=lambda line: line.direction)


def folds_of(pairs: Sequence[TrainingPair]) -> list[frozenset[str]]:
    """Groups dealt into `FOLDS` folds of about as many tracks: the largest first, each to the fold with the fewest.

    Few and large folds leave less to train on, but many candidates to choose from: among ten nothing is hard to find.
    """
    tracks: dict[str, set[str]] = {}
    for pair in pairs:
        tracks.setdefault(pair.group, set()).add(pair.track)
    folds: list[tuple[int, list[str]]] = [(0, []) for _ in range(FOLDS)]
    for group in sorted(tracks, key=lambda name: (-len(tracks[name]), name)):
        least = min(range(FOLDS), key=lambda index: folds[index][0])
        folds[least] = folds[least][0] + len(tracks[group]), [*folds[least][1], group]
    return [frozenset(names) for _, names in folds if names]


def only(modalities: Modalities, names: frozenset[str]) -> Modalities:
    """Modalities of which only some are there."""
    return {name: vector if name in names else None for name, vector in modalities.items()}


def titles_share_a_word(pair: TrainingPair) -> bool:
    """True where a word of the film's title begins as one of the track's does."""
    one, other = ([k.word for k in side.keywords if k.source == "title"] for side in (pair.video, pair.music))
    return any(a == b or (a[:_STEM] == b[:_STEM] and min(len(a), len(b)) >= _STEM) for a in one for b in other)


def _usable(pair: TrainingPair, features: str) -> frozenset[str]:
    """The modalities of a film that a line of `FEATURES` allows."""
    names = FEATURES[features][0]
    return names - {"words"} if features == OTHER_TITLES and titles_share_a_word(pair) else names


def as_table(lines: Sequence[Figures]) -> str:
    """The lines as a Markdown table."""
    rows = ["| direction | features | R@1 | R@5 | R@10 | median rank | as a share |", "|---|---|---|---|---|---|---|"]
    for line in lines:
        figures = [*map(str, line.recalls), f"{line.median_rank:.1f}", str(line.median_share)]
        rows.append(f"| {' | '.join([line.direction, line.features, *figures])} |")
    return "\n".join(rows)


def _held_out(material: Material, groups: frozenset[str], features: str, fit: Fit) -> tuple[Outcome, Outcome]:
    """Ranks of the pictures and of the tracks of some groups under models that have seen neither."""
    data = training_set(material, groups, features)
    mine = [pair for pair in material.pairs if pair.group in groups]
    music_names = FEATURES[features][1]
    tracks = {pair.track: pair.music for pair in mine}
    candidates = [*tracks.values(), *material.candidates.values()]
    videos = [only(pair.video.modalities(), _usable(pair, features)) for pair in mine]
    music = [only(track.modalities(), music_names) for track in candidates]
    scores = np.zeros((len(videos), len(music)))
    for seed in range(SEEDS):
        towers = fit(data, seed)
        scores += towers.embed_video(videos) @ towers.embed_music(music).T
    right = np.array([[pair.track == name for name in tracks] for pair in mine])
    wide = np.pad(right, ((0, 0), (0, len(material.candidates))))
    names = tuple(pair.track for pair in mine)
    there = _outcome(scores, wide, names)
    return there, _outcome(scores[:, : len(tracks)].T, right.T, tuple(tracks))


def _outcome(scores: Vectors | NDArray[np.float64], right: NDArray[np.bool_], groups: tuple[str, ...]) -> Outcome:
    sizes = np.full(len(scores), float(scores.shape[1]))
    usual = (sizes + 1) / (right.sum(1) + 1)
    chances = tuple(len(scores) * chance_at_k(right, k) for k in KS)
    return Outcome(ranks_of(scores, right), sizes, usual, groups, chances)


def _joined(outcomes: Sequence[Outcome]) -> Outcome:
    return Outcome(
        np.concatenate([outcome.ranks for outcome in outcomes]),
        np.concatenate([outcome.candidates for outcome in outcomes]),
        np.concatenate([outcome.usual for outcome in outcomes]),
        tuple(group for outcome in outcomes for group in outcome.groups),
        tuple(sum(sums) for sums in zip(*(outcome.chances for outcome in outcomes), strict=True)),
    )


def _figures(features: str, direction: str, outcome: Outcome) -> Figures:
    recalls = tuple(bootstrap(outcome.ranks, outcome.groups, partial(recall_at_k, k=k)) for k in KS)
    shares = (outcome.ranks - 0.5) / outcome.candidates
    share = bootstrap(shares, outcome.groups, lambda values: float(np.median(values)))
    return Figures(features, direction, recalls, float(np.median(outcome.ranks)), share, len(outcome.ranks))


def _chance(direction: str, outcome: Outcome) -> Figures:
    recalls = tuple(Interval(c / len(outcome.ranks), *[c / len(outcome.ranks)] * 2) for c in outcome.chances)
    share = float(np.median((outcome.usual - 0.5) / outcome.candidates))
    middle = float(np.median(outcome.usual))
    return Figures("chance", direction, recalls, middle, Interval(share, share, share), len(outcome.ranks))
