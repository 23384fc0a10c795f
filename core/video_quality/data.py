"""The training clips: clean films, what the ladders make of them, labels, and what the networks look at.

Two seconds of a film (`core.video_quality.clean`) are sent down ladders drawn
for that clip, and down pairs of them. Everything a network looks at is kept, one file a clip, so that a build that is
stopped goes on where it was.
"""

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.bulk import ALONE, Workers, run_all
from core.errors import MediaError, check_ranges
from core.media.whole_file import written_whole
from core.runtime import Progress, part_of, silent
from core.video_quality.clean import clean_scene, clip_starts
from core.video_quality.distortions import (
    LADDERS,
    PRISTINE,
    Ladder,
    Pixels,
    Scene,
    both,
    by_name,
    frame_rate_score,
)
from core.video_quality.labels import opinion_of_vmaf, vmaf
from core.video_quality.results import FAULTS
from core.video_quality.sampling import middle_of, window_of

_STILL = 0.5
"""Mean difference of neighbouring pictures, of 255, below which nothing moves."""


@dataclass(frozen=True)
class LadderConfig:
    """Which clips are made of each film.

    Raises:
        ParameterError: a value is out of its range.
    """

    clips: int = field(default=3, metadata={"help": "clips of each film at most, 1 to 100"})
    ladders: int = field(default=5, metadata={"help": "ladders drawn for each clip, 1 to 15"})
    pairs: int = field(default=3, metadata={"help": "clips with two faults at once, drawn for each clip, 0 to 20"})
    clip_s: float = field(default=2.0, metadata={"help": "length of a clip, 1 to 10 s"})
    seed: int = 0
    """Of what is drawn; the flag is that of the training."""

    def __post_init__(self) -> None:
        check_ranges(self, ("clips", 1, 100), ("ladders", 1, len(LADDERS)), ("pairs", 0, 20), ("clip_s", 1, 10))


@dataclass(frozen=True)
class Rung:
    """One clip made: which ladder and step (0 is clean), its label, and where that is from.

    Attributes:
        film: name of the film.
        clip: number of the clip in the film.
        ladder: name of the ladder, ``clean``, or two names joined by ``+``.
        step: 0 for clean, 1 to 5; of a pair the sum of both.
        mos: label, 1 to 5.
        vmaf: measured, or nan.
        faults: how strongly each of `FAULTS` is there, 0 to 1.
    """

    film: str
    clip: int
    ladder: str
    step: int
    mos: float
    vmaf: float
    faults: tuple[float, ...]


def read_rungs(made: Mapping[str, NDArray[Any]]) -> list[Rung]:
    """What the clips of an opened file are."""
    return [Rung(**{**row, "faults": tuple(row["faults"])}) for row in json.loads(str(made["rungs"]))]


@dataclass(frozen=True)
class BuildJob:
    """What a worker does: it takes a film and makes its clips that are not in the folder yet."""

    config: LadderConfig
    folder: Path

    def __call__(self) -> Callable[[Path], None]:
        """There is nothing to load."""
        return lambda film: _build_film(film, self.config, self.folder, silent)


def build(
    films: Sequence[Path],
    config: LadderConfig,
    folder: Path,
    progress: Progress = silent,
    how: Workers = ALONE,
) -> list[str]:
    """Make the clips of films that are not there yet; films that cannot be used are named, and the rest are done.

    Args:
        films: clean films; names must differ.
        config: what to make.
        folder: where the files go, one npz a clip.
        progress: told of every clip; of every film where several workers make them.
        how: how many workers, which all reach the films and the folder.

    Returns:
        A sentence for each film that was left out.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if not how.alone:
        outcomes = run_all(BuildJob(config, folder), films, progress, how.workers, how.cluster)
        return [outcome.error for outcome in sorted(outcomes, key=lambda outcome: outcome.index) if outcome.error]
    left_out = []
    for number, film in enumerate(films):
        try:
            _build_film(film, config, folder, part_of(progress, number, len(films)))
        except MediaError as error:
            left_out.append(str(error))
    return left_out


def _build_film(film: Path, config: LadderConfig, folder: Path, progress: Progress) -> None:
    for clip, start_s in enumerate(clip_starts(film, config.clips, config.clip_s)):
        progress(clip, config.clips, film.name)
        out = folder / f"{film.stem}--{clip}.npz"
        if out.exists():
            continue
        scene = clean_scene(film, start_s, config.clip_s, config.seed)
        rungs, looks = zip(*((rung, _look(made)) for rung, made in _rungs(film.stem, clip, scene, config)), strict=True)
        arrays: dict[str, NDArray[Any]] = {name: np.stack([look[name] for look in looks]) for name in looks[0]}
        arrays["rungs"] = np.array(json.dumps([asdict(rung) for rung in rungs]))
        with written_whole(out) as part:
            np.savez(part, **arrays)  # type: ignore[arg-type]


def _rungs(film: str, clip: int, scene: Scene, config: LadderConfig) -> Iterator[tuple[Rung, Sequence[Pixels]]]:
    """The clean clip, the drawn ladders down, and pairs of steps of two ladders with different faults."""
    random = np.random.default_rng(scene.seed)
    moving = _motion(scene) >= _STILL
    usable = [ladder for ladder in LADDERS if moving or not ladder.moving]
    drawn = [usable[index] for index in random.permutation(len(usable))[: config.ladders]]
    yield Rung(film, clip, "clean", 0, PRISTINE, 100.0, (0.0,) * len(FAULTS)), scene.pictures
    labels: dict[tuple[str, int], float] = {}
    for ladder in drawn:
        for step, strength in enumerate(ladder.strengths, 1):
            made = ladder.apply(scene, strength)
            mos, measured = label_of(ladder, step, scene, made)
            labels[ladder.name, step] = mos
            yield Rung(film, clip, ladder.name, step, mos, measured, faults_of({ladder.fault: mos})), made
    for _ in range(config.pairs):
        yield from _pair(film, clip, scene, labels, random)


def _pair(
    film: str, clip: int, scene: Scene, labels: dict[tuple[str, int], float], random: np.random.Generator
) -> Iterator[tuple[Rung, Sequence[Pixels]]]:
    steps = list(labels)
    first, second = (steps[index] for index in random.permutation(len(steps))[:2])
    one, two = sorted((by_name[first[0]], by_name[second[0]]), key=lambda ladder: ladder.fault == "blocks")
    if one.fault == two.fault:
        return
    levels = dict((first, second))
    made = one.apply(scene, one.strengths[levels[one.name] - 1])
    made = two.apply(Scene(made, scene.frame_rate, scene.seed), two.strengths[levels[two.name] - 1])
    scores = {ladder.fault: labels[ladder.name, levels[ladder.name]] for ladder in (one, two)}
    mos = both(*scores.values())
    name = f"{one.name}+{two.name}"
    yield Rung(film, clip, name, sum(levels.values()), mos, math.nan, faults_of(scores)), made


def label_of(ladder: Ladder, step: int, scene: Scene, made: Sequence[Pixels]) -> tuple[float, float]:
    """The label of a step, 1 to 5, and the VMAF it comes from, or nan; no label is above `PRISTINE`."""
    if ladder.by_vmaf:
        measured = vmaf(scene.pictures, made, scene.frame_rate)
        return min(PRISTINE, opinion_of_vmaf(measured)), measured
    if ladder.scores:
        return ladder.scores[step - 1], math.nan
    return frame_rate_score(scene.frame_rate, scene.frame_rate / int(ladder.strengths[step - 1])), math.nan


def faults_of(scores: dict[str, float]) -> tuple[float, ...]:
    """How strongly each fault is there, by the label that it alone would bring: 0 from 4.4 on, 1 up to 3.4."""
    return tuple(float(np.clip(4.4 - scores.get(fault, PRISTINE), 0, 1)) for fault in FAULTS)


def _look(clip: Sequence[Pixels]) -> dict[str, NDArray[Any]]:
    """What the networks look at: views (2, 3, S, S, 3), course (2, T, 9), and the pictures (2, H, W, 3) themselves."""
    middle = len(clip) // 2
    halves = clip[:middle], clip[middle : 2 * middle]
    windows = [window_of(half) for half in halves]
    return {
        "views": np.stack([window.views for window in windows]),
        "course": np.stack([window.course for window in windows]),
        "pictures": np.stack([half[middle_of(len(half))] for half in halves]),
    }


def _motion(scene: Scene) -> float:
    pairs = zip(scene.pictures[::4], scene.pictures[1::4], strict=False)
    return float(np.mean([np.abs(a[::4, ::4].astype(np.int16) - b[::4, ::4]).mean() for a, b in pairs]))
