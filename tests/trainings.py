"""A short training of each kind: ``python -m tests.trainings FOLDER`` runs all, in as many processes as are started.

Nothing is drawn at random inside the networks, and nothing is rounded to half precision, so that several processes
can do what one does.
"""

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate import PartialState
from torch import Tensor, nn

from core.lip_sync import assessment as lip_sync_figures
from core.lip_sync import train as lip_sync
from core.lip_sync.data import SUFFIX, People, Split
from core.lip_sync.model import FeatureExtraction
from core.lip_sync.opening import Opening
from core.music_matching import train as music
from core.music_matching.model import ModelConfig, TwoTowers
from core.personal_video import plan_training
from core.personal_video import train as personal
from core.personal_video.data import CourseConfig
from core.runtime import Progress, placement, seed_everything, silent
from core.sharing import rows_of_mine
from core.training import METRICS, Losses, TrainingLoop
from core.video_quality import train as quality
from core.video_quality.model import Student, StudentConfig
from core.video_quality.selection import features_of
from core.video_quality.teacher import Teacher, TeacherConfig
from core.video_search import train as search
from tests.lip_sync.made import random_clip
from tests.music_matching.test_train import SIZES, pairs
from tests.personal_video.made import SMALL, PlainEncoder, WordEncoder, material
from tests.test_training import Config
from tests.video_quality import synthetic
from tests.video_search.test_train import films, network


def line(folder: Path) -> None:
    """The loop that tools share, with a network of one layer; its record tells how many rows a process had."""
    torch.manual_seed(0)
    layer = nn.Linear(3, 1)
    loop = TrainingLoop({"line": layer}, Config(checkpoint_every=1), folder, averaged=0.9)

    def one_step(step: int) -> dict[str, Tensor]:
        x = rows_of_mine(torch.from_numpy(loop.random(step).normal(size=(16, 3))).float(), loop.accelerator)
        loss = (layer(x) - x.sum(1, keepdim=True)).square().mean()
        loop.descend("line", loss)
        return {"loss": loss, "rows": torch.tensor(float(len(x)))}

    loop.run(one_step, lambda: {"bias": float(layer.bias.detach())})


def music_matching(folder: Path) -> None:
    """The two towers."""
    config = music.TrainConfig(steps=20, learning_rate=3e-3, checkpoint_every=1, seed=1)
    seed_everything(config.seed)
    towers = TwoTowers(ModelConfig(width=32, dimensions=16, dropout=0, missing=0), SIZES, SIZES)
    music.Training(towers, pairs(), config, folder).run()


def video_search(folder: Path) -> None:
    """The encoder of films."""
    made = folder / f"films{PartialState().process_index}"
    made.mkdir(parents=True)
    search.Training(network(), films(made), None, search.TrainConfig(epochs=5, learning_rate=0.01), folder).run()


def video_quality(folder: Path) -> None:
    """Teacher and student."""
    models = (synthetic.Planted("clear", 1.0), synthetic.Planted("dim", 0.4))
    data, config = synthetic.data(models, held_out=24), quality.TrainConfig(epochs=3, batch=16)
    seed_everything(config.seed)
    features = features_of(models, data)
    teacher = Teacher(TeacherConfig(("clear", "dim"), (8, 8), dropout=0))
    teacher.normalise_with({name: values.float() for name, values in features[0].values.items()})
    pair = quality.Pair(teacher, Student(StudentConfig(dropout=0, kept=1)))
    quality.train_pair(pair, data, features, config, quality.Run(folder))


class Undropped(Opening):
    """It leaves nothing out at random."""

    def __init__(self) -> None:
        super().__init__()
        for step in self.steps:
            if isinstance(step, nn.Dropout):
                step.p = 0.0


def lip_sync_stages(folder: Path) -> None:
    """All stages, each after an untrained one before it; clips are unequally long, and some openings not known."""
    made = folder / f"clips{PartialState().process_index}"
    made.mkdir(parents=True)
    for n in range(5):
        clip = random_clip(36 + 4 * n, seed=n)
        clip.opening[: 9 * n] = np.nan
        clip.write(made / f"{n}{SUFFIX}", People(f"face{n}", (f"voice{n}",), held_out=n == 4))
    split = Split.of_folder(made)
    config = lip_sync.TrainConfig(steps=3, clips=4, moments=6, learning_rate=3e-4, checkpoint_every=1)
    lip_sync.train_features(split, config, folder / "features", lip_sync.Look())
    torch.manual_seed(0)
    features = FeatureExtraction()
    faster = replace(config, steps=6, learning_rate=1e-2)
    opening = lip_sync.train_opening(split, features, faster, folder / "opening")
    lip_sync.train_generator(split, (features, opening), config, folder / "generator")


@dataclass(frozen=True)
class Place:
    """What a process of several knows of itself."""

    process_index: int
    num_processes: int


class Together(TrainingLoop):
    """One process that takes the batches of two in every step, draws what both would draw, and descends once."""

    def run(
        self,
        one_step: Callable[[int], Losses],
        measure: Callable[[], Mapping[str, float]],
        progress: Progress = silent,
    ) -> None:
        """Train to the end."""
        alone = self.accelerator

        def both(step: int) -> Losses:
            self.parts: dict[str, list[Tensor]] = {}
            losses = []
            for place in (Place(0, 2), Place(1, 2)):
                self.accelerator = place
                losses.append(one_step(step))
            self.accelerator = alone
            for name, parts in self.parts.items():
                super(Together, self).descend(name, torch.stack(parts).mean())
            return {name: (losses[0][name] + losses[1][name]) / 2 for name in losses[0]}

        super().run(both, measure, progress)

    def descend(self, name: str, loss: Tensor) -> None:
        """Wait for the other's loss."""
        self.parts.setdefault(name, []).append(loss)


def personal_video(folder: Path) -> None:
    """All stages; every process composes a batch of its own, so one alone takes two, as two would."""
    clips = CourseConfig(side_px=32, frames=4, clips=2, scripts=12, workers=0)
    config = personal.TrainConfig(
        steps=3,
        extraction_steps=3,
        plan_steps=3,
        plans=4,
        learning_rate=1e-4,
        checkpoint_every=1,
        measured=1,
        widths=SMALL,
    )
    with pytest.MonkeyPatch.context() as patch:
        if PartialState().num_processes == 1:
            for module in (personal, plan_training):
                patch.setattr(module, "TrainingLoop", Together)
        personal.train(material(), (config, clips), folder, (WordEncoder(), PlainEncoder()))


TRAININGS = {
    one.__name__: one for one in (line, music_matching, video_search, video_quality, lip_sync_stages, personal_video)
}
LOSSES = {
    "line": ("loss",),
    "music_matching": ("loss",),
    "video_search": ("loss",),
    "video_quality": ("loss",),
    "lip_sync_stages/features": ("offset", "sync", "opening"),
    "lip_sync_stages/opening": ("quantile",),
    "lip_sync_stages/generator": (
        "picture",
        "edges",
        "agreement",
        "opening",
        "deception",
        "generator",
        "discriminator",
    ),
    "personal_video/planning": ("loss",),
    "personal_video/extraction": ("loss",),
    "personal_video/generation": ("loss",),
}
"""Where the record of a training lies, and which of its numbers are losses."""


def main(folder: Path) -> None:
    """Run all of them, each in a folder of its own."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (search, quality, lip_sync, lip_sync_figures, personal, plan_training):
            patch.setattr(module, "placement", partial(placement, low_precision=False))
        patch.setattr(lip_sync, "Opening", Undropped)
        for name, training in TRAININGS.items():
            training(folder / name)
    PartialState().wait_for_everyone()


def records(folder: Path) -> dict[str, list[dict[str, float]]]:
    """What each training wrote of itself, by where."""
    return {name: [json.loads(row) for row in (folder / name / METRICS).read_text().splitlines()] for name in LOSSES}


if __name__ == "__main__":
    main(Path(sys.argv[1]))
