"""Teaching the student's stem what faults look like, before anything of the student is trained.

The first stages of EfficientNet-Lite0 know things, not faults. They are trained further, whole, to name the ladders
that pictures went down and to score them, on the training clips and on pictures spoilt anew for every batch; patches
are cut at random places and mirrored, since neither place nor side says anything about quality. After that the stem
stays as it is, so that what it makes of a clip is computed once.
"""

from collections.abc import Sequence
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
from core.video_quality.sampling import GRID, PATCH, Pixels, enlarged, fragments, views
from core.video_quality.train import Run, TrainConfig, Training

SCORED = tuple(ladder for ladder in LADDERS if ladder.scores and not ladder.moving and ladder.name != "shake")
"""Ladders whose labels are tables, so that pictures can be spoilt to any strength between two steps."""
STEM_TRAINING = TrainConfig(epochs=8, batch=24, learning_rate=5e-4)
"""A rate that a pretrained network bears, and as many epochs as the held-out ranks rose."""
FRESH = 0.4
"""Share of a batch that is spoilt anew."""
MOST_SIDE = 448
"""Of larger pictures the middle is kept."""


@dataclass(frozen=True)
class Pictures:
    """Pictures of clips with their labels, and clean ones to be spoilt anew.

    Attributes:
        pictures: uint8 (2, H, W, 3) of each of N clips, at native resolution.
        mos: (N,).
        ladders: (N, ladders), 1 for those it went down.
        clean: the clean pictures of all clips.
    """

    pictures: tuple[Pixels, ...]
    mos: NDArray[np.float64]
    ladders: NDArray[np.float32]
    clean: tuple[Pixels, ...]


def read_pictures(folders: Sequence[Path], films: set[str]) -> Pictures:
    """The pictures of all clips of some films in folders that `core.video_quality.data.build` made."""
    pictures, mos, ladders, clean = [], [], [], []
    for file in sorted(file for folder in folders for file in folder.glob("*.npz")):
        with np.load(file) as made:
            rungs = read_rungs(made)
            if rungs[0].film not in films:
                continue
            inner = _middle(made["pictures"])
        pictures += list(inner)
        clean += list(inner[0])
        mos += [rung.mos for rung in rungs]
        ladders += [went_down(rung.ladder) for rung in rungs]
    return Pictures(tuple(pictures), np.array(mos), np.array(ladders, np.float32), tuple(clean))


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


def train_stem(train: Pictures, held_out: Pictures, config: TrainConfig, run: Run) -> EfficientNetLite:
    """Train the stem and return it with the epoch's weights that scored held-out fragments best.

    Args:
        train: pictures to learn from.
        held_out: pictures of other films, to choose the epoch by.
        config: how long and how fast.
        run: where.
    """
    seed_everything(config.seed)
    classifier = StemClassifier()
    given = torch.from_numpy(np.stack([views(pair[0], pair[1])[0] for pair in held_out.pictures]))

    def step(rows: NDArray[np.int64]) -> Tensor:
        pictures, mos, ladders = _batch(train, rows, np.random.default_rng([config.seed, *rows[:4]]))
        with placement().autocast():
            levels, named = classifier(torch.from_numpy(pictures))
        truth = torch.from_numpy(np.stack([distribution_of(value) for value in mos]))
        told = F.binary_cross_entropy_with_logits(named.float(), torch.from_numpy(ladders))
        return level_loss(levels.float(), truth) + told

    def measure() -> dict[str, float]:
        with torch.no_grad(), placement().autocast():
            parts = [classifier(given[n : n + 32]) for n in range(0, len(given), 32)]
        scores = torch.cat([levels.float().softmax(1) @ torch.arange(1.0, 6) for levels, _ in parts])
        named = torch.cat([ladders.float() for _, ladders in parts])
        loss = F.binary_cross_entropy_with_logits(named, torch.from_numpy(held_out.ladders))
        return {"srcc": srcc(scores.numpy(), held_out.mos), "naming_loss": float(loss)}

    Training(classifier, config, run.folder).run(step, len(train.mos), measure, run.progress)
    return classifier.stem.eval()


def _batch(
    clips: Pictures, rows: NDArray[np.int64], random: np.random.Generator
) -> tuple[Pixels, NDArray[np.float64], NDArray[np.float32]]:
    pictures, mos, ladders = [], [], []
    for row in rows:
        if random.random() < FRESH:
            picture, score, name = spoilt(clips.clean[random.integers(len(clips.clean))], random)
            pictures.append(random_fragments(picture, random))
            mos.append(score)
            ladders.append(went_down(name))
        else:
            pictures.append(random_fragments(clips.pictures[row][random.integers(2)], random))
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


def random_fragments(picture: Pixels, random: np.random.Generator) -> Pixels:
    """Patches from random places of a picture (H, W, 3), all of them mirrored or not: uint8 (`SIDE`, `SIDE`, 3)."""
    picture = enlarged(picture)
    ends = np.array(picture.shape[:2]) - PATCH + 1
    places = [(int(top), int(left)) for top, left in random.integers(0, ends, (GRID * GRID, 2))]
    mosaic = fragments(picture, places)
    return np.ascontiguousarray(mosaic[:: random.choice((-1, 1)), :: random.choice((-1, 1))])


def _middle(pictures: Pixels) -> Pixels:
    """The middle of pictures (…, H, W, 3) with a side above `MOST_SIDE`."""
    top, left = (max(0, side - MOST_SIDE) // 2 for side in pictures.shape[-3:-1])
    return pictures[..., top : top + MOST_SIDE, left : left + MOST_SIDE, :].copy()
