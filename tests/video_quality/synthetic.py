"""Made-up clips and library models for tests of training: labels that can be read from what the networks are given."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from core.video_quality.data import Rung, faults_of
from core.video_quality.library import Kind, Prepared
from core.video_quality.model import STEM_CHANNELS
from core.video_quality.prepared import STUDENT, Clips
from core.video_quality.sampling import COURSE, Window
from core.video_quality.train import Data


class Planted:
    """A library model whose prepared numbers tell the label, as clearly as ``clarity`` says: 0 not at all."""

    kind: Kind = "image"
    dimensions = 8

    def __init__(self, name: str, clarity: float) -> None:
        self.name, self.clarity = name, clarity

    def prepare(self, windows: Sequence[Window]) -> Prepared:
        raise AssertionError("planted models are prepared already")

    def network(self) -> nn.Module:
        return nn.Identity()

    def planted(self, mos: Tensor, seed: int) -> Tensor:
        noise = torch.randn(len(mos), self.dimensions, generator=torch.Generator().manual_seed(seed))
        return noise + self.clarity * (mos[:, None] - 3)


def clips(count: int, models: Sequence[Planted], seed: int, clarity: float = 0.6) -> Clips:
    """Clips of ``count // 6`` films with random labels; the maps and the course that the student is given tell them."""
    random = np.random.default_rng(seed)
    mos = random.uniform(1, 4.7, count)
    rungs = tuple(
        Rung(f"film{seed}-{n // 6}", 0, "h264" if n % 6 else "clean", n % 6, m, 50.0, faults_of({"blocks": m}))
        for n, m in enumerate(mos)
    )
    told = torch.from_numpy(mos).float()
    generator = torch.Generator().manual_seed(seed)
    maps = torch.randn(count, 1, 3, STEM_CHANNELS, 14, 14, generator=generator)
    maps[:, :, :, :8] += clarity * (told - 3)[:, None, None, None, None, None]
    course = torch.randn(count, 1, 4, len(COURSE), generator=generator)
    inputs = {STUDENT: maps.half(), **{model.name: model.planted(told, seed) for model in models}}
    return Clips(rungs, inputs, course, torch.ones(count, 1, 4, dtype=torch.bool))


def data(models: Sequence[Planted], train: int = 96, held_out: int = 48, clarity: float = 0.6) -> Data:
    return Data(clips(train, models, seed=1, clarity=clarity), clips(held_out, models, seed=2, clarity=clarity))
