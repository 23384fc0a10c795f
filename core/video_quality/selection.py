"""Choosing the target models by experiment (METHODS 5, steps 2 and 3; the document's claims 8 and 9).

For every model of the library: the effect of its fine-tuned self, and the first effect, that of a student distilled
from it alone. Candidates are those whose student is the better one; the K best of them by first effect go on; of the
combinations of those the one whose student is best, the second effect, is taken. Every effect is the rank correlation
on films held out. Each training resumes, so the whole goes on where it was stopped.
"""

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace

from core.errors import check_ranges
from core.media.whole_file import written_whole
from core.runtime import part_of, seed_everything
from core.video_quality.library import LibraryModel
from core.video_quality.model import Student
from core.video_quality.teacher import Teacher, TeacherConfig
from core.video_quality.train import Data, Features, Pair, Run, TrainConfig, fine_tune, first_features, train_pair

SELECTION = "selection.json"


@dataclass(frozen=True)
class SelectionConfig:
    """How the target models are chosen.

    Raises:
        ParameterError: a value is out of its range.
    """

    best: int = field(default=3, metadata={"help": "candidates whose combinations are tried, 2 to 6"})

    def __post_init__(self) -> None:
        check_ranges(self, ("best", 2, 6))


@dataclass(frozen=True)
class Trial:
    """One model of the library: rank correlations on held-out films, and what became of it.

    Attributes:
        model: its name.
        kind: image or video.
        fine_tuned: effect of the model itself, trained further.
        first_effect: effect of the student distilled from it alone.
    """

    model: str
    kind: str
    fine_tuned: float
    first_effect: float

    @property
    def candidate(self) -> bool:
        """The student is better than the model itself."""
        return self.first_effect > self.fine_tuned


@dataclass(frozen=True)
class Selection:
    """The whole experiment.

    Attributes:
        trials: every model, the best first effect first.
        second_effects: effect of the student of each combination, names joined by ``+``.
        chosen: the target models.
    """

    trials: tuple[Trial, ...]
    second_effects: Mapping[str, float]
    chosen: tuple[str, ...]

    def table(self) -> str:
        """Both experiments in Markdown."""
        rows = ["| model | kind | fine-tuned itself | its student | candidate |", "| --- | --- | --- | --- | --- |"]
        rows += [
            f"| {t.model} | {t.kind} | {t.fine_tuned:.3f} | {t.first_effect:.3f} | {'yes' if t.candidate else 'no'} |"
            for t in self.trials
        ]
        rows += ["", "| combination | its student |", "| --- | --- |"]
        best = "+".join(self.chosen)
        rows += [f"| {'**' * (n == best)}{n}{'**' * (n == best)} | {e:.3f} |" for n, e in self.second_effects.items()]
        return "\n".join(rows)


def select_teachers(
    models: Sequence[LibraryModel], data: Data, configs: tuple[TrainConfig, SelectionConfig], run: Run
) -> Selection:
    """Run the experiment, write it to ``selection.json`` in the folder, and return it.

    Where fewer than two models are candidates, which leaves no combination to try, the best two by first effect are
    taken all the same; the table shows that they are none.

    Args:
        models: the library.
        data: clips to train on and to measure with.
        configs: of every training, and of the choice.
        run: the folder for all trainings, and who is told of them.
    """
    config, choice = configs
    features = features_of(models, data)
    by_name = {model.name: model for model in models}
    trials = [_trial(model, data, features, config, part(run, n, len(models) + 1)) for n, model in enumerate(models)]
    trials.sort(key=lambda trial: -trial.first_effect)
    tried = combinations(best_candidates(trials, choice.best))
    last = part(run, len(models), len(models) + 1)
    second = {
        "+".join(names): distil([by_name[name] for name in names], data, features, config, part(last, n, len(tried)))
        for n, names in enumerate(tried)
    }
    selection = Selection(tuple(trials), second, tuple(max(second, key=lambda name: second[name]).split("+")))
    with written_whole(run.folder / SELECTION) as file:
        file.write_text(json.dumps(asdict(selection), indent=2) + "\n", encoding="utf-8")
    return selection


def part(run: Run, index: int, count: int) -> Run:
    """A run in the same folder that reports as one part of several."""
    return replace(run, progress=part_of(run.progress, index, count))


def _trial(
    model: LibraryModel, data: Data, features: tuple[Features, Features], config: TrainConfig, run: Run
) -> Trial:
    own = replace(part(run, 0, 2), folder=run.folder / f"fine-tuned-{model.name}")
    tuned = fine_tune(model, data, config, own)
    return Trial(model.name, model.kind, tuned, distil([model], data, features, config, part(run, 1, 2)))


def best_candidates(trials: Sequence[Trial], count: int) -> tuple[str, ...]:
    """The names of at most ``count`` candidates, the best first effect first; at least two models."""
    ranked = sorted(trials, key=lambda trial: -trial.first_effect)
    candidates = [trial.model for trial in ranked if trial.candidate][:count]
    return tuple(candidates if len(candidates) >= 2 else [trial.model for trial in ranked[:2]])


def combinations(names: Sequence[str]) -> list[tuple[str, ...]]:
    """All combinations of at least two of the names, the smallest first."""
    sizes = range(2, len(names) + 1)
    return [combination for size in sizes for combination in itertools.combinations(names, size)]


def features_of(models: Sequence[LibraryModel], data: Data) -> tuple[Features, Features]:
    """The first features of all models for both sets of clips."""
    both = (data.train, data.held_out)
    train, held_out = ({model.name: first_features(model, clips) for model in models} for clips in both)
    return Features(train), Features(held_out)


def new_pair(
    models: Sequence[LibraryModel], train: Features, seed: int, gated: bool = True, student: bool = True
) -> Pair:
    """An untrained teacher over some models, and an untrained student."""
    seed_everything(seed)
    names = tuple(model.name for model in models)
    teacher = Teacher(TeacherConfig(names, tuple(model.dimensions for model in models), gated=gated))
    teacher.normalise_with({name: train.values[name].float() for name in names})
    return Pair(teacher, Student() if student else None)


def distil(
    models: Sequence[LibraryModel], data: Data, features: tuple[Features, Features], config: TrainConfig, run: Run
) -> float:
    """Train a student under a teacher over some models; its held-out rank correlation."""
    place = run.folder / f"student-of-{'+'.join(model.name for model in models)}"
    return train_pair(new_pair(models, features[0], config.seed), data, features, config, replace(run, folder=place))
