"""Training: teacher and student together, a library model further, and the two networks of our own.

One loop serves all: batches of clips, the loss of METHODS 5, AdamW under a cosine, the epoch that ranks the held-out
films best is kept. It runs through accelerate and goes on from its last checkpoint after a kill; several processes
share each batch (`core.sharing`).
"""

import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from accelerate import Accelerator
from numpy.typing import NDArray
from torch import Tensor, nn

from core.errors import ParameterError, check_ranges
from core.media.whole_file import written_whole
from core.runtime import Progress, placement, seed_everything, silent
from core.sharing import even, mean_of_all, rows_of_mine, seed_of, share_gradients
from core.video_quality.data import Rung
from core.video_quality.distortions import LADDERS
from core.video_quality.library import LibraryModel
from core.video_quality.losses import Labels, LossWeights, order_loss, quality_loss
from core.video_quality.metrics import srcc
from core.video_quality.model import Judgement, Student
from core.video_quality.prepared import STUDENT, Clips
from core.video_quality.teacher import Teacher, TeacherConfig

CHECKPOINT, METRICS = "checkpoint.pt", "metrics.jsonl"
LEAST_CLIPS = 16
Step = Callable[[NDArray[np.int64]], Tensor]


@dataclass(frozen=True)
class TrainConfig:
    """How a network is trained.

    Raises:
        ParameterError: a value is out of its range.
    """

    epochs: int = field(default=20, metadata={"help": "passes over the clips, 1 to 10000"})
    batch: int = field(default=32, metadata={"help": "clips in a batch, 2 to 4096"})
    learning_rate: float = field(default=1e-3, metadata={"help": "highest learning rate, above 0"})
    weight_decay: float = field(default=0.02, metadata={"help": "decay of AdamW, 0 to 1"})
    seed: int = field(default=0, metadata={"help": "seed of the training"})

    def __post_init__(self) -> None:
        check_ranges(self, ("epochs", 1, 10_000), ("batch", 2, 4096), ("weight_decay", 0, 1))
        if not self.learning_rate > 0:
            raise ParameterError(f"learning_rate is {self.learning_rate}; choose a number above 0.")


@dataclass(frozen=True)
class Run:
    """Where a training keeps checkpoint and metrics, what its loss weighs, and who is told of every batch."""

    folder: Path
    weights: LossWeights = field(default_factory=LossWeights)
    progress: Progress = silent


@dataclass(frozen=True)
class Data:
    """Clips to train on, and clips of other films to choose the best epoch by."""

    train: Clips
    held_out: Clips


class Training:
    """The state of one training of a module: optimiser, epoch, and the best weights so far.

    Args:
        module: trained in place.
        config: how.
        folder: for checkpoint and metrics; an unfinished training there is gone on with.

    Raises:
        ParameterError: the folder holds a training with other settings.
    """

    def __init__(self, module: nn.Module, config: TrainConfig, folder: Path) -> None:
        self.config, self.folder, self.module = config, folder, module
        self.accelerator = Accelerator(mixed_precision="no")
        self.optimiser = torch.optim.AdamW(
            [p for p in module.parameters() if p.requires_grad], config.learning_rate, weight_decay=config.weight_decay
        )
        self.epoch, self.best = 0, -math.inf
        self.best_weights = _copy_of(module)
        folder.mkdir(parents=True, exist_ok=True)
        self._resume()

    def run(
        self, step: Step, clips: int, measure: Callable[[], dict[str, float]], progress: Progress = silent
    ) -> float:
        """Train to the end, leave the best weights in the module, and return what they measure.

        Args:
            step: the loss of a batch, given by the numbers of its clips.
            clips: how many there are.
            measure: figures on held-out clips; the first one is to be high.
            progress: told of every batch; may stop the training after a whole epoch's checkpoint.
        """
        while self.epoch < self.config.epochs:
            batches = list(self._batches(clips))
            total = 0.0
            for done, rows in enumerate(batches):
                progress(self.epoch * len(batches) + done, self.config.epochs * len(batches), f"epoch {self.epoch + 1}")
                self._set_rate((self.epoch + done / len(batches)) / self.config.epochs)
                total += self._step(step, rows)
            self.module.eval()
            self.epoch += 1
            figures = measure()
            if (told := next(iter(figures.values()))) > self.best:
                self.best, self.best_weights = told, _copy_of(self.module)
            self._keep({"epoch": self.epoch, "loss": round(total / len(batches), 4), **figures})
        self.module.load_state_dict(self.best_weights)
        self.module.eval()
        return self.best

    def _step(self, step: Step, rows: NDArray[np.int64]) -> float:
        self.module.train()
        loss = step(rows_of_mine(rows, self.accelerator))
        self.optimiser.zero_grad()
        self.accelerator.backward(loss)
        share_gradients(self.module, self.accelerator)
        torch.nn.utils.clip_grad_norm_(self.module.parameters(), 1.0)
        self.optimiser.step()
        return mean_of_all(loss, self.accelerator)

    def _batches(self, clips: int) -> Iterator[NDArray[np.int64]]:
        torch.manual_seed(seed_of(self.config.seed * 10_007 + self.epoch, self.accelerator))
        order = np.random.default_rng([self.config.seed, self.epoch]).permutation(clips)
        size = even(min(self.config.batch, clips), self.accelerator)
        for start in range(0, clips - size + 1, size):
            yield order[start : start + size]

    def _set_rate(self, done: float) -> None:
        """A tenth of the training to rise, the rest to fall along half a cosine."""
        share = done / 0.1 if done < 0.1 else 0.5 * (1 + math.cos(math.pi * (done - 0.1) / 0.9))
        for group in self.optimiser.param_groups:
            group["lr"] = self.config.learning_rate * max(share, 0.005)

    def _keep(self, row: dict[str, float]) -> None:
        if not self.accelerator.is_main_process:
            return
        with (self.folder / METRICS).open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(row) + "\n")
        state = {
            "config": repr(self.config),
            "epoch": self.epoch,
            "best": self.best,
            "module": self.module.state_dict(),
            "best_weights": self.best_weights,
            "optimiser": self.optimiser.state_dict(),
        }
        with written_whole(self.folder / CHECKPOINT) as part:
            torch.save(state, part)

    def _resume(self) -> None:
        path = self.folder / CHECKPOINT
        if not path.exists():
            (self.folder / METRICS).unlink(missing_ok=True)
            return
        state = torch.load(path, weights_only=True)
        if state["config"] != repr(self.config):
            raise ParameterError(
                f"The folder {self.folder} holds a training with other settings; name another one, or empty it."
            )
        self.epoch, self.best, self.best_weights = state["epoch"], state["best"], state["best_weights"]
        self.module.load_state_dict(state["module"])
        self.optimiser.load_state_dict(state["optimiser"])


class Pair(nn.Module):
    """Teacher and student, to be trained together; either may be left out."""

    def __init__(self, teacher: Teacher | None, student: Student | None) -> None:
        super().__init__()
        self.teacher, self.student = teacher, student

    def forward(self, clips: Clips, features: "Features", rows: NDArray[np.int64]) -> tuple[Judgement | None, ...]:
        """The judgements of both about some clips, None for the one that is left out."""
        taught = self.teacher(features.of(self.teacher.config.models, rows)) if self.teacher else None
        learnt = self.student(*student_input(clips, rows)) if self.student else None
        return taught, learnt


@dataclass(frozen=True)
class Features:
    """First features of library models, (N, D) each, by name."""

    values: dict[str, Tensor]

    def of(self, models: tuple[str, ...], rows: NDArray[np.int64]) -> list[Tensor]:
        """Those of some clips, in the order of ``models``."""
        return [self.values[name][rows].float() for name in models]


def student_input(clips: Clips, rows: NDArray[np.int64]) -> tuple[Tensor, Tensor, Tensor]:
    """What `Student` takes, of some clips."""
    return clips.inputs[STUDENT][rows].float(), clips.course[rows], clips.mask[rows]


def train_pair(pair: Pair, data: Data, features: tuple[Features, Features], config: TrainConfig, run: Run) -> float:
    """Train teacher and student by the loss of METHODS 5, and return the held-out rank correlation.

    That of the student, or of the teacher where there is no student.

    Args:
        pair: changed in place.
        data: clips to train on and to choose the epoch by.
        features: first features of both, in the same order.
        config: how long and how fast.
        run: where, and by which weights of the loss.
    """
    if len(data.train) < LEAST_CLIPS:
        raise ParameterError(f"There are {len(data.train)} clips to train on; give at least {LEAST_CLIPS}.")
    levels, faults, mos = data.train.levels, data.train.faults, torch.from_numpy(data.train.mos).float()
    worse = next_steps(data.train.rungs)

    def step(rows: NDArray[np.int64]) -> Tensor:
        both = np.concatenate([rows, worse[rows]])
        with placement().autocast():
            taught, learnt = pair(data.train, features[0], both)
        loss = quality_loss(taught, learnt, Labels(levels[both], faults[both]), run.weights)
        if learnt is not None:
            before, after = learnt.score.float().chunk(2)
            loss = loss + run.weights.order * order_loss(before, after, mos[rows] - mos[worse[rows]])
        return loss

    def measure() -> dict[str, float]:
        scores = judge(pair, data.held_out, features[1])
        return {f"{name}_srcc": srcc(told, data.held_out.mos) for name, told in scores.items()}

    return Training(pair, config, run.folder).run(step, len(data.train), measure, run.progress)


def next_steps(rungs: Sequence[Rung]) -> NDArray[np.int64]:
    """For each clip the number of the one that is a step further down its ladder, or its own where there is none.

    From a clean clip the first of its ladders leads down.
    """
    found = {(rung.film, rung.clip, rung.ladder, rung.step): n for n, rung in enumerate(rungs)}
    first: dict[tuple[str, int], int] = {}
    for (film, clip, ladder, step), n in found.items():
        if step == 1 and "+" not in ladder:
            first.setdefault((film, clip), n)

    def below(n: int, rung: Rung) -> int:
        if rung.step == 0:
            return first.get((rung.film, rung.clip), n)
        return n if "+" in rung.ladder else found.get((rung.film, rung.clip, rung.ladder, rung.step + 1), n)

    return np.array([below(n, rung) for n, rung in enumerate(rungs)])


@torch.no_grad()
def judge(pair: Pair, clips: Clips, features: Features, batch: int = 64) -> dict[str, NDArray[np.floating]]:
    """The scores, 1 to 5, of all clips by the student and by the teacher, whichever there are."""
    pair.eval()
    found: dict[str, list[Tensor]] = {}
    for start in range(0, len(clips), batch):
        rows = np.arange(start, min(start + batch, len(clips)))
        taught, learnt = pair(clips, features, rows)
        for name, judgement in (("student", learnt), ("teacher", taught)):
            if judgement is not None:
                found.setdefault(name, []).append(judgement.score)
    return {name: torch.cat(parts).numpy() for name, parts in found.items()}


class FineTuned(nn.Module):
    """A library model whose pretrained network is trained further, with a classifier behind it."""

    def __init__(self, model: LibraryModel) -> None:
        super().__init__()
        self.network = model.network()
        self.head = Teacher(TeacherConfig((model.name,), (model.dimensions,)))

    def forward(self, prepared: Tensor) -> Judgement:
        """Judge what `LibraryModel.prepare` gave, (B, …)."""
        return self.head([self.network(prepared)])


def fine_tune(model: LibraryModel, data: Data, config: TrainConfig, run: Run) -> float:
    """Train a library model itself on the labels, and return the held-out rank correlation (its updated model)."""
    seed_everything(config.seed)
    tuned = FineTuned(model)
    tuned.head.normalise_with({model.name: first_features(model, data.train)})
    inputs, levels, faults = data.train.inputs[model.name], data.train.levels, data.train.faults

    def step(rows: NDArray[np.int64]) -> Tensor:
        return quality_loss(tuned(inputs[rows]), None, Labels(levels[rows], faults[rows]))

    def measure() -> dict[str, float]:
        given = data.held_out.inputs[model.name]
        with torch.no_grad():
            told = torch.cat([tuned(given[n : n + 64]).score for n in range(0, len(given), 64)])
        return {"srcc": srcc(told.numpy(), data.held_out.mos)}

    slow = replace(config, learning_rate=config.learning_rate / 3)
    return Training(tuned, slow, run.folder).run(step, len(data.train), measure, run.progress)


@torch.no_grad()
def first_features(model: LibraryModel, clips: Clips, batch: int = 64) -> Tensor:
    """The first features (N, D), float16, of a library model as it is."""
    network, given = model.network().eval(), clips.inputs[model.name]
    return torch.cat([network(given[n : n + batch]).half() for n in range(0, len(given), batch)])


def pretrain(model: LibraryModel, data: Data, config: TrainConfig, run: Run) -> dict[str, Tensor]:
    """Train a network of our own to name the ladders that a clip went down, and return its weights.

    No opinion is used: the answers are the ladders' names, one number for each, more than one for pairs.
    """
    seed_everything(config.seed)
    classifier = nn.Sequential(model.network(), nn.Linear(model.dimensions, len(LADDERS)))
    inputs, truth, held_out = data.train.inputs[model.name], _ladders(data.train), _ladders(data.held_out)

    def step(rows: NDArray[np.int64]) -> Tensor:
        return F.binary_cross_entropy_with_logits(classifier(inputs[rows]), truth[rows])

    def measure() -> dict[str, float]:
        given = data.held_out.inputs[model.name]
        with torch.no_grad():
            told = torch.cat([classifier(given[n : n + 64]) for n in range(0, len(given), 64)])
        return {"negative_loss": -float(F.binary_cross_entropy_with_logits(told, held_out))}

    Training(classifier, config, run.folder).run(step, len(data.train), measure, run.progress)
    return {name: value.half() for name, value in classifier[0].state_dict().items()}


def _ladders(clips: Clips) -> Tensor:
    names = [ladder.name for ladder in LADDERS]
    return torch.tensor([[float(name in rung.ladder.split("+")) for name in names] for rung in clips.rungs])


def _copy_of(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in module.state_dict().items()}
