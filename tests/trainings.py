"""A short training of each kind: ``python -m tests.trainings FOLDER`` runs all, in as many processes as are started.

Nothing is drawn at random inside the networks, and nothing is rounded to half precision, so that several processes
can do what one does.
"""

import json
import sys
from functools import partial
from pathlib import Path

import pytest
import torch
from accelerate import PartialState
from torch import Tensor, nn

from core.music_matching import train as music
from core.music_matching.model import ModelConfig, TwoTowers
from core.runtime import placement, seed_everything
from core.sharing import rows_of_mine
from core.training import METRICS, TrainingLoop
from core.video_quality import train as quality
from core.video_quality.model import Student, StudentConfig
from core.video_quality.selection import features_of
from core.video_quality.teacher import Teacher, TeacherConfig
from core.video_search import train as search
from tests.music_matching.test_train import SIZES, pairs
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


TRAININGS = {one.__name__: one for one in (line, music_matching, video_search, video_quality)}


def main(folder: Path) -> None:
    """Run all of them, each in a folder of its own."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (search, quality):
            patch.setattr(module, "placement", partial(placement, low_precision=False))
        for name, training in TRAININGS.items():
            training(folder / name)
    PartialState().wait_for_everyone()


def records(folder: Path) -> dict[str, list[dict[str, float]]]:
    """What each training wrote of itself, by name."""
    return {name: [json.loads(row) for row in (folder / name / METRICS).read_text().splitlines()] for name in TRAININGS}


if __name__ == "__main__":
    main(Path(sys.argv[1]))
