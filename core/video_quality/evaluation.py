"""How well scores agree with the labels of clips, ladder by ladder, and whether they fall down every ladder."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.bulk import ALONE, Workers, results_of_all
from core.encoders.natural_scenes import NIQE_LEAST_SIDE_PX, brisque, niqe
from core.errors import MediaError
from core.runtime import Progress, silent
from core.video_quality.data import Rung, read_rungs
from core.video_quality.distortions import LADDERS
from core.video_quality.levels import mean_of
from core.video_quality.metrics import bootstrap, falling_share, plcc, srcc
from core.video_quality.sampling import Window
from core.video_quality.student import QualityScorer

Scores = NDArray[np.floating]
Judged = tuple[list[Rung], dict[str, list[float]]]
"""What the clips of a file are, and a score for each by method."""
STUDENT, PEERS = "student", ("BRISQUE", "NIQE")
WORST_NIQE = 20.0
ALL = "all"


@dataclass(frozen=True)
class Row:
    """One method on one ladder, or on ``all`` clips.

    Attributes:
        ladder: its name, ``pairs`` for two faults at once, or ``all``.
        method: what gave the scores.
        clips: how many.
        srcc: Spearman's rank correlation with the labels.
        plcc: Pearson's after the usual logistic.
        falling: share of neighbouring steps at which the score falls; nan for ``pairs``.
        interval: 95 % bootstrap interval of ``srcc`` over films.
    """

    ladder: str
    method: str
    clips: int
    srcc: float
    plcc: float
    falling: float
    interval: tuple[float, float]


def evaluate(rungs: Sequence[Rung], scores: Mapping[str, Scores]) -> list[Row]:
    """The rows of all methods: over all clips, and on every ladder with its clean clips.

    Args:
        rungs: what each clip is.
        scores: by method, one score a clip, higher for better.
    """
    groups = {ALL: np.arange(len(rungs))}
    for name in (*(ladder.name for ladder in LADDERS), "pairs"):
        rows = [n for n, rung in enumerate(rungs) if _belongs(rung, name)]
        if len(rows) > 2:
            used = {(rungs[n].film, rungs[n].clip) for n in rows}
            clean = [n for n, rung in enumerate(rungs) if rung.step == 0 and (rung.film, rung.clip) in used]
            groups[name] = np.array(clean + rows if name != "pairs" else rows)
    return [_row(name, method, rungs, (rows, told)) for name, rows in groups.items() for method, told in scores.items()]


def as_table(rows: Sequence[Row]) -> str:
    """The rows in Markdown: a line a ladder, a column a method; rank and linear correlation, and falling steps."""
    methods = list(dict.fromkeys(row.method for row in rows))
    lines = [f"| | clips | {' | '.join(methods)} |", "| --- " * (len(methods) + 2) + "|"]
    for ladder in dict.fromkeys(row.ladder for row in rows):
        of_ladder = {row.method: row for row in rows if row.ladder == ladder}
        cells = [_cell(of_ladder[method], ladder == ALL) for method in methods]
        lines.append(f"| {ladder} | {next(iter(of_ladder.values())).clips} | {' | '.join(cells)} |")
    return "\n".join(lines)


@dataclass(frozen=True)
class JudgeJob:
    """What a worker does: it takes a file of clips, and gives what each is and the scores of all methods.

    Attributes:
        model: weights of a student; the profile's own when None.
    """

    model: Path | None

    def __call__(self) -> Callable[[Path], Judged]:
        """Load the student."""
        return partial(_judged, QualityScorer(self.model))


def assess(clips: Path, model: Path | None = None, progress: Progress = silent, how: Workers = ALONE) -> list[Row]:
    """The rows of the student, BRISQUE and NIQE on all clips of a folder that `core.video_quality.data.build` made.

    BRISQUE and NIQE, of which less is better, count negated: the mean over the two pictures in the middle of a clip's
    halves, at full size. A picture too small for NIQE counts as the worst.

    Args:
        clips: the folder.
        model: weights of a student; the profile's own when None.
        progress: told of every file.
        how: how many workers, which all reach the folder; the rows are the same however many there are.

    Raises:
        WeightsError: the student's weights are missing or wrong.
        MediaError: a file ended the workers that were to judge it.
    """
    files = sorted(clips.glob("*.npz"))
    rungs: list[Rung] = []
    found: dict[str, list[float]] = {name: [] for name in (STUDENT, *PEERS)}
    for judged, by_name in results_of_all(JudgeJob(model), files, progress, how, MediaError):
        rungs += judged
        for name, scores in by_name.items():
            found[name] += scores
    return evaluate(rungs, {name: np.array(values) for name, values in found.items()})


def _judged(scorer: QualityScorer, file: Path) -> Judged:
    found: dict[str, list[float]] = {name: [] for name in (STUDENT, *PEERS)}
    with np.load(file) as made:
        rungs = read_rungs(made)
        views, course, pictures = made["views"], made["course"], made["pictures"]
    for seconds in zip(views, course, strict=True):
        windows = [Window(Fraction(n), *parts) for n, parts in enumerate(zip(*seconds, strict=True))]
        found[STUDENT].append(mean_of(scorer.judge(scorer.describe(windows).mean(0)).distribution))
    for pair in pictures:
        large = min(pair.shape[1:3]) >= NIQE_LEAST_SIDE_PX
        found["BRISQUE"].append(-float(np.mean([brisque(picture) for picture in pair])))
        found["NIQE"].append(-float(np.mean([niqe(picture) for picture in pair])) if large else -WORST_NIQE)
    return rungs, found


def ladders_of(rungs: Sequence[Rung], scores: Scores) -> list[tuple[list[float], list[float]]]:
    """For every clip and ladder the scores and the labels from clean to ruined."""
    clean = {(rung.film, rung.clip): n for n, rung in enumerate(rungs) if rung.step == 0}
    steps: dict[tuple[str, int, str], list[int]] = {}
    for n, rung in enumerate(rungs):
        if rung.step and "+" not in rung.ladder:
            steps.setdefault((rung.film, rung.clip, rung.ladder), []).append(n)
    found = []
    for (film, clip, _), members in steps.items():
        order = [clean[film, clip], *sorted(members, key=lambda n: rungs[n].step)]
        found.append(([float(scores[n]) for n in order], [rungs[n].mos for n in order]))
    return found


def _row(name: str, method: str, rungs: Sequence[Rung], of: tuple[NDArray[np.int64], Scores]) -> Row:
    rows, told = of[0], of[1][of[0]]
    kept = [rungs[n] for n in rows]
    labels = np.array([rung.mos for rung in kept])
    falling = float("nan") if name == "pairs" else falling_share(ladders_of(kept, told))
    interval = bootstrap(srcc, told, labels, [rung.film for rung in kept]) if name == ALL else (np.nan, np.nan)
    return Row(name, method, len(rows), srcc(told, labels), plcc(told, labels), falling, interval)


def _belongs(rung: Rung, name: str) -> bool:
    return "+" in rung.ladder if name == "pairs" else rung.ladder == name


def _cell(row: Row, whole: bool) -> str:
    told = f"{row.srcc:.3f}, {row.plcc:.3f}"
    if whole:
        told = f"{row.srcc:.3f} ({row.interval[0]:.3f} to {row.interval[1]:.3f}), {row.plcc:.3f}"
    return told if np.isnan(row.falling) else f"{told}, {100 * row.falling:.1f} %"
