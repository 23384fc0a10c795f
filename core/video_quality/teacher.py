"""The teacher: what several pretrained models say, weighed for each video by a gate (METHODS 5, step 4).

Source: METHODS 5: the first features of each target model, a dimension change for each, a gating network that gives
each an importance, the weighted sum (the first quality feature), and its classification into the five levels.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.video_quality.model import LEVEL_COUNT, Judgement
from core.video_quality.results import FAULTS


@dataclass(frozen=True)
class TeacherConfig:
    """The shape of a `Teacher`: its models with the lengths of their features, and that of the quality feature."""

    models: tuple[str, ...]
    dimensions: tuple[int, ...]
    quality: int = 128
    dropout: float = 0.3
    gated: bool = True
    """False weighs all models alike, for comparison."""

    def to_json(self) -> str:
        """For the metadata of a weights file."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "TeacherConfig":
        """The config that `to_json` wrote."""
        told = json.loads(text)
        shape: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in told.items()}
        return cls(**shape)


class Teacher(nn.Module):
    """Features of several models to a judgement, with the importance of each."""

    def __init__(self, config: TeacherConfig) -> None:
        super().__init__()
        self.config = config
        self.dimension_changes = nn.ModuleList(_dimension_change(size, config) for size in config.dimensions)
        self.gate = nn.ModuleList(nn.Linear(config.quality, 1) for _ in config.models)
        self.classifier = nn.Linear(config.quality, LEVEL_COUNT)
        self.fault_classifier = nn.Linear(config.quality, len(FAULTS))

    def normalise_with(self, features: Mapping[str, Tensor]) -> None:
        """Take mean and deviation of each model's features (B, D) over the training films as its scale."""
        for name, change in zip(self.config.models, self.dimension_changes, strict=True):
            scale = cast(Standardise, cast(nn.Sequential, change)[0])
            scale.mean.copy_(features[name].mean(0))
            scale.deviation.copy_(features[name].std(0) + 1e-3)

    def importances(self, features: Sequence[Tensor]) -> Tensor:
        """The importance of each model for each film, sum 1: (B, K)."""
        return self._weigh([change(x) for change, x in zip(self.dimension_changes, features, strict=True)])

    def forward(self, features: Sequence[Tensor]) -> Judgement:
        """Judge films by the features (B, D_k) of each model, in the order of ``config.models``."""
        changed = [change(x) for change, x in zip(self.dimension_changes, features, strict=True)]
        weights = self._weigh(changed)
        quality = F.layer_norm((torch.stack(changed, 1) * weights[:, :, None]).sum(1), (self.config.quality,))
        active = F.relu(quality)
        return Judgement(quality, self.classifier(active), self.fault_classifier(active))

    def _weigh(self, changed: Sequence[Tensor]) -> Tensor:
        logits = torch.cat([gate(F.relu(x)) for gate, x in zip(self.gate, changed, strict=True)], 1)
        return logits.softmax(1) if self.config.gated else torch.full_like(logits, 1 / logits.shape[1])


class Standardise(nn.Module):
    """Features less their mean, over their deviation, at most 5 to either side."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("deviation", torch.ones(size))

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, D) to (B, D)."""
        return ((x - self.mean) / self.deviation).clamp(-5, 5)


def _dimension_change(size: int, config: TeacherConfig) -> nn.Sequential:
    return nn.Sequential(
        Standardise(size),
        nn.Dropout(config.dropout),
        nn.Linear(size, config.quality),
        nn.ReLU(),
        nn.Dropout(config.dropout),
        nn.Linear(config.quality, config.quality),
    )
