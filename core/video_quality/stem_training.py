"""Teaching the student's stem what faults look like, before anything of the student is trained.

The first stages of EfficientNet-Lite0 know things, not faults. They are trained further, whole, to name the ladders
that fragments went down and to score them, on fragments of the training clips and on pictures spoilt anew for every
batch; patches are shuffled and mirrored, since neither order nor side says anything about quality. After that the stem
stays as it is, so that what it makes of a clip is computed once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from core.encoders.efficientnet_lite import EfficientNetLite
from core.encoders.image import load_efficientnet_lite
from core.runtime import placement, seed_everything
from core.video_quality.data import read_rungs
from core.video_quality.distortions import LADDERS, PRISTINE, Ladder, Scene
from core.video_quality.levels import distribution_of
from core.video_quality.losses import level_loss
from core.video_quality.metrics import srcc
from core.video_quality.model import LEVEL_COUNT, STEM_CHANNELS, STEM_STAGES, trimmed
from core.video_quality.sampling import GRID, PATCH, Pixels, fragments
from core.video_quality.train import Run, TrainConfig, Training

SCORED = tuple(ladder for ladder in LADDERS if ladder.scores and not ladder.moving and ladder.name != "shake")
"""Ladders whose labels are tables, so that pictures can be spoilt to any strength between two steps."""
STEM_TRAINING = TrainConfig(epochs=8, batch=24, learning_rate=5e-4)
"""A rate that a pretrained network bears, and as many epochs as the held-out ranks rose."""
FRESH = 0.4
"""Share of a batch that is spoilt anew."""


@dataclass(frozen=True)
class Mosaics:
    """Fragments of clips with their labels, and whole clean pictures to be spoilt anew.

    Attributes:
        fragments: uint8 (N, 4, S, S, 3), four of each clip.
        mos: (N,).
        ladders: (N, ladders), 1 for those it went down.
        films: name of each clip's film.
        clean: the clean pictures of all clips.
    """

    fragments: Pixels
    mos: NDArray[np.float64]
    ladders: NDArray[np.float32]
    films: tuple[str, ...]
    clean: tuple[Pixels, ...]


def read_mosaics(folders: Sequence[Path], films: set[str]) -> Mosaics:
    """The fragments of all clips of some films in folders that `core.video_quality.data.build` made."""
    parts, mos, ladders, names, clean = [], [], [], [], []
    for file in sorted(file for folder in folders for file in folder.glob("*.npz")):
        with np.load(file) as made:
            rungs = read_rungs(made)
            if rungs[0].film not in films:
                continue
            parts.append(made["views"][:, :, :2].reshape(len(rungs), 4, *made["views"].shape[3:]))
            clean += list(made["pictures"][0])
        mos += [rung.mos for rung in rungs]
        ladders += [went_down(rung.ladder) for rung in rungs]
        names += [rung.film for rung in rungs]
    return Mosaics(np.concatenate(parts), np.array(mos), np.array(ladders, np.float32), tuple(names), tuple(clean))


def went_down(name: str) -> list[float]:
    """A number for each ladder: 1 where it is among the names joined by ``+``."""
    return [float(ladder.name in name.split("+")) for ladder in LADDERS]


class StemClassifier(nn.Module):
    """The stages of the stem, with heads for levels and ladders that are thrown away afterwards."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = trimmed(load_efficientnet_lite())
        self.levels = nn.Linear(2 * STEM_CHANNELS, LEVEL_COUNT)
        self.ladders = nn.Linear(2 * STEM_CHANNELS, len(LADDERS))

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of levels and ladders of fragments, uint8 (B, S, S, 3)."""
        x = (pictures.permute(0, 3, 1, 2).float() - 127) / 128
        maps = self.stem.until(x.contiguous(memory_format=torch.channels_last), STEM_STAGES).float()
        pooled = torch.cat([maps.mean((2, 3)), maps.std((2, 3))], 1)
        return self.levels(pooled), self.ladders(pooled)


def train_stem(
    train: Mosaics, held_out: Mosaics, config: TrainConfig, run: Run, start: Mapping[str, Tensor] | None = None
) -> EfficientNetLite:
    """Train the stem and return it with the epoch's weights that scored held-out fragments best.

    Args:
        train: fragments to learn from.
        held_out: fragments of other films, to choose the epoch by.
        config: how long and how fast.
        run: where.
        start: weights of an earlier training to go on from; those of the classifier of ImageNet when None.
    """
    seed_everything(config.seed)
    classifier = StemClassifier()
    if start is not None:
        classifier.stem.load_state_dict(start)

    def step(rows: NDArray[np.int64]) -> Tensor:
        pictures, mos, ladders = _batch(train, rows, np.random.default_rng([config.seed, *rows[:4]]))
        with placement().autocast():
            levels, named = classifier(torch.from_numpy(pictures))
        given = torch.from_numpy(np.stack([distribution_of(value) for value in mos]))
        told = F.binary_cross_entropy_with_logits(named.float(), torch.from_numpy(ladders))
        return level_loss(levels.float(), given) + told

    def measure() -> dict[str, float]:
        with torch.no_grad(), placement().autocast():
            given = torch.from_numpy(held_out.fragments[:, 0])
            parts = [classifier(given[n : n + 32]) for n in range(0, len(given), 32)]
        scores = torch.cat([levels.float().softmax(1) @ torch.arange(1.0, 6) for levels, _ in parts])
        named = torch.cat([ladders.float() for _, ladders in parts])
        loss = F.binary_cross_entropy_with_logits(named, torch.from_numpy(held_out.ladders))
        return {"srcc": srcc(scores.numpy(), held_out.mos), "naming_loss": float(loss)}

    Training(classifier, config, run.folder).run(step, len(train.mos), measure, run.progress)
    return classifier.stem.eval()


def _batch(
    clips: Mosaics, rows: NDArray[np.int64], random: np.random.Generator
) -> tuple[Pixels, NDArray[np.float64], NDArray[np.float32]]:
    pictures, mos, ladders = [], [], []
    for row in rows:
        if random.random() < FRESH:
            picture, score, name = spoilt(clips.clean[random.integers(len(clips.clean))], random)
            pictures.append(shuffled(fragments(picture), random))
            mos.append(score)
            ladders.append(went_down(name))
        else:
            pictures.append(shuffled(clips.fragments[row, random.integers(4)], random))
            mos.append(clips.mos[row])
            ladders.append(list(clips.ladders[row]))
    return np.stack(pictures), np.array(mos), np.array(ladders, np.float32)


def spoilt(picture: Pixels, random: np.random.Generator) -> tuple[Pixels, float, str]:
    """A picture spoilt by one ladder with a table, to any strength, or left clean one time in four."""
    if random.random() < 0.25:
        return picture, PRISTINE, "clean"
    ladder: Ladder = SCORED[random.integers(len(SCORED))]
    place = random.uniform(0, len(ladder.strengths) - 1)
    strength = float(np.interp(place, range(len(ladder.strengths)), ladder.strengths))
    score = float(np.interp(place, range(len(ladder.scores)), ladder.scores))
    scene = Scene([picture], Fraction(1), int(random.integers(2**31)))
    return ladder.apply(scene, strength)[0], score, ladder.name


def shuffled(mosaic: Pixels, random: np.random.Generator) -> Pixels:
    """The patches in another order, each of them mirrored or not."""
    patches = mosaic.reshape(GRID, PATCH, GRID, PATCH, 3).swapaxes(1, 2).reshape(-1, PATCH, PATCH, 3)
    patches = patches[random.permutation(len(patches))]
    if random.random() < 0.5:
        patches = patches[:, :, ::-1]
    if random.random() < 0.5:
        patches = patches[:, ::-1]
    return patches.reshape(GRID, GRID, PATCH, PATCH, 3).swapaxes(1, 2).reshape(mosaic.shape)
