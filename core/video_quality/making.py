"""From a folder of clean films to trained weights: the steps behind the commands train, select-teachers, evaluate."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from core.command_line import origin
from core.encoders.efficientnet_lite import EfficientNetLite
from core.errors import ParameterError
from core.media.whole_file import written_whole
from core.runtime import Progress, silent
from core.video_quality import prepared
from core.video_quality.data import LadderConfig, build
from core.video_quality.ensemble import FILE
from core.video_quality.levels import deviation_of
from core.video_quality.library import DifferenceModel, FragmentModel, LibraryModel, library
from core.video_quality.model import Stem, trimmed
from core.video_quality.prepared import Clips
from core.video_quality.selection import SELECTION, features_of, new_pair
from core.video_quality.stem_training import STEM_TRAINING, read_pictures, train_stem
from core.video_quality.student import metadata, student_tensors
from core.video_quality.train import Data, Pair, Run, TrainConfig, pretrain, student_input, train_pair

STUDENT_FILE, TEACHER_FILE = "video_quality.safetensors", FILE
STEM_FILE = "stem.safetensors"
OWN = (DifferenceModel, FragmentModel)
NEIGHBOURS, EVERY = 3, 6
"""Of every six runs of three films next to one another by name, one is held out: neighbours may show the same."""


@dataclass(frozen=True)
class Ready:
    """Clips of films, apart by source, the library with its own networks trained, and the student's stem."""

    data: Data
    models: tuple[LibraryModel, ...]
    stem: Stem
    left_out: tuple[str, ...]


def make_ready(
    films: Sequence[Path], ladders: LadderConfig, config: TrainConfig, out: Path, progress: Progress = silent
) -> Ready:
    """Make and prepare the clips of films, and train the two networks of our own on them; goes on where it stopped.

    Raises:
        ParameterError: there are too few films to hold any out.
    """
    left_out = build(films, ladders, out / "clips", progress)
    names = sorted({file.stem.rpartition("--")[0] for file in (out / "clips").glob("*.npz")})
    kept_out = held_out_films(names)
    if not kept_out:
        raise ParameterError(f"There are clips of {len(names)} films; give at least {NEIGHBOURS * EVERY}.")
    stem = _stem(out, set(names) - kept_out, kept_out, Run(out / "stem", progress=progress))
    prepared.prepare(out / "clips", library(stem), stem, out / "prepared", progress)
    clips = prepared.load(out / "prepared")
    data = Data(clips.of_films(set(names) - kept_out), clips.of_films(kept_out))
    own = {model.name: _own_weights(model, data, config, out) for model in library(stem) if isinstance(model, OWN)}
    return Ready(data, library(stem, own), stem, tuple(left_out))


def held_out_films(names: Sequence[str]) -> set[str]:
    """The films, of sorted names, by which the best epoch is chosen.

    >>> sorted(held_out_films([f"{n:02}" for n in range(20)]))
    ['15', '16', '17']
    """
    return {name for number, name in enumerate(names) if number // NEIGHBOURS % EVERY == EVERY - 1}


def train(
    ready: Ready, teachers: Sequence[str], config: TrainConfig, out: Path, progress: Progress = silent
) -> dict[str, float]:
    """Train the teacher over the target models and its student, and write the weights of both.

    Args:
        ready: clips and library.
        teachers: names of the target models; those of the folder's ``selection.json`` when empty.
        config: how.
        out: folder for the training and the two files.
        progress: told of every batch.

    Returns:
        The held-out rank correlation, and half the width of the band.
    """
    names = list(teachers) or json.loads(_selection(out).read_text(encoding="utf-8"))["chosen"]
    models = [model for model in ready.models if model.name in names]
    if len(models) != len(names):
        raise ParameterError(f"Not all of {', '.join(names)} are models of the library; choose from "
                             f"{', '.join(model.name for model in ready.models)}.")  # fmt: skip
    features = features_of(models, ready.data)
    pair = new_pair(models, features[0], config.seed)
    effect = train_pair(pair, ready.data, features, config, Run(out / "training", progress=progress))
    band = band_of(pair, ready.data.held_out)
    told = {**origin("video_quality"), "seed": str(config.seed), "held_out_srcc": f"{effect:.4f}"}
    write(pair, ready, band, out, told)
    return {"srcc": effect, "band": band}


@torch.no_grad()
def band_of(pair: Pair, clips: Clips, share: float = 0.9) -> float:
    """Half the width of the band, in deviations of the distribution, that holds a share of held-out labels."""
    assert pair.student is not None
    student, reaches = pair.student.eval(), []
    for start in range(0, len(clips), 64):
        rows = np.arange(start, min(start + 64, len(clips)))
        told = student(*student_input(clips, rows))
        deviations = [deviation_of(levels) for levels in told.levels.softmax(-1).numpy()]
        reaches += list(np.abs(told.score.numpy() - clips.mos[rows]) / deviations)
    return float(np.quantile(reaches, share))


def write(pair: Pair, ready: Ready, band: float, out: Path, told: Mapping[str, str]) -> None:
    """Write student and teacher; the teacher's file holds the networks of our own that it needs."""
    assert pair.student is not None and pair.teacher is not None
    teacher = {f"teacher.{name}": value.half() for name, value in pair.teacher.state_dict().items()}
    for model in ready.models:
        if model.name in pair.teacher.config.models and isinstance(model, OWN):
            teacher |= {f"{model.name}.{name}": value for name, value in model.network().state_dict().items()}
    with written_whole(out / STUDENT_FILE) as part:
        save_file(student_tensors(ready.stem, pair.student), part, metadata(pair.student, band, told))
    with written_whole(out / TEACHER_FILE) as part:
        save_file(teacher, part, {"config": pair.teacher.config.to_json(), **told})


def _stem(out: Path, train: set[str], held_out: set[str], run: Run) -> Stem:
    """The student's stem, trained on the clips of some films and measured on others', or as it was trained before."""
    path, stem = out / STEM_FILE, trimmed(EfficientNetLite("lite0"))
    if not path.exists():
        pictures = [read_pictures([out / "clips"], films) for films in (train, held_out)]
        trained = train_stem(pictures[0], pictures[1], STEM_TRAINING, run)
        with written_whole(path) as part:
            save_file(trained.state_dict(), part)
    stem.load_state_dict(load_file(path))
    return Stem(stem.eval().fold())


def _own_weights(model: LibraryModel, data: Data, config: TrainConfig, out: Path) -> dict[str, Tensor]:
    path = out / f"{model.name}.safetensors"
    if not path.exists():
        weights = pretrain(model, data, config, Run(out / f"pretraining-{model.name}"))
        with written_whole(path) as part:
            save_file(weights, part)
    return load_file(path)


def _selection(out: Path) -> Path:
    path = out / SELECTION
    if not path.exists():
        raise ParameterError(f"{path} does not exist; run select-teachers first, or name the teachers.")
    return path
