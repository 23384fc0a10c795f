"""The student: a light network that judges a video alone (METHODS 5, step 5 and inference).

Source: METHODS 5 leaves the network open. Ours looks at three things in each second: fragments at native resolution
and the whole picture, both through a stem (`core.video_quality.stem_training`) and small branches
of its own; and the course of the second, through convolutions over time. What it says of the seconds is averaged over
the film, brought to the dimension of the quality feature, and classified into the five levels.
"""

import itertools
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from core.encoders.efficientnet_lite import EfficientNetLite
from core.sharing import SharedBatchNorm2d
from core.video_quality.results import FAULTS
from core.video_quality.sampling import COURSE

STEM_STAGES, STEM_CHANNELS = 4, 80
LEVEL_COUNT = 5


@dataclass(frozen=True)
class StudentConfig:
    """The shape of a `Student`: widths of its branches, length of the quality feature, and what training leaves out."""

    fragments: tuple[int, ...] = (96, 128)
    whole: tuple[int, ...] = (48, 64)
    course: int = 32
    hidden: int = 256
    quality: int = 128
    dropout: float = 0.2
    kept: float = 0.5

    @property
    def seconds(self) -> int:
        """Length of what is said of one second."""
        return 3 * self.fragments[-1] + self.whole[-1] + 2 * self.course

    def to_json(self) -> str:
        """For the metadata of a weights file."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "StudentConfig":
        """The config that `to_json` wrote."""
        told = json.loads(text)
        shape: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in told.items()}
        return cls(**shape)


class Judgement(NamedTuple):
    """What a network says of films: the quality feature (B, Q), and logits of the levels (B, 5) and faults (B, 7)."""

    quality: Tensor
    levels: Tensor
    faults: Tensor

    @property
    def score(self) -> Tensor:
        """The mean of the distribution over the levels, 1 to 5: (B,)."""
        return self.levels.float().softmax(-1) @ torch.arange(1.0, LEVEL_COUNT + 1, device=self.levels.device)


class Student(nn.Module):
    """Seconds of a film to its judgement."""

    def __init__(self, config: StudentConfig = StudentConfig()) -> None:
        super().__init__()
        self.config = config
        self.fragment_branch = _branch((STEM_CHANNELS, *config.fragments))
        self.whole_branch = _branch((STEM_CHANNELS, *config.whole))
        self.course_branch = nn.ModuleList(
            [nn.Conv1d(len(COURSE), config.course, 5, padding=2), nn.Conv1d(config.course, config.course, 5, padding=2)]
        )
        self.dimension_change = nn.Sequential(
            nn.LayerNorm(config.seconds),
            nn.Dropout(config.dropout),
            nn.Linear(config.seconds, config.hidden),
            nn.ReLU(),
            nn.Dropout(config.dropout),
            nn.Linear(config.hidden, config.quality),
            nn.LayerNorm(config.quality, elementwise_affine=False),
        )
        self.classifier = nn.Linear(config.quality, LEVEL_COUNT)
        self.fault_classifier = nn.Linear(config.quality, len(FAULTS))

    def seconds(self, maps: Tensor, course: Tensor, mask: Tensor) -> Tensor:
        """What is said of each second: (N, `StudentConfig.seconds`).

        Args:
            maps: (N, 3, 80, 14, 14), what `stem` gives for the three views.
            course: (N, T, 9), see `core.video_quality.sampling.course`, anything beyond the end of a second.
            mask: (N, T), True on pictures; every row begins with at least one.
        """
        count = len(maps)
        both = self.fragment_branch(maps[:, :2].flatten(0, 1).contiguous(memory_format=torch.channels_last))
        first, second = both.float().unflatten(0, (count, 2)).unbind(1)
        whole = self.whole_branch(maps[:, 2].contiguous(memory_format=torch.channels_last)).float()
        kept, kept_whole = self._kept(first), self._kept(whole)
        mean = _mean(first, kept)
        deviation = (_mean((first - mean[:, :, None, None]) ** 2, kept) + 1e-6).sqrt()
        spatial = [mean, deviation, _mean((first - second).abs(), kept), _mean(whole, kept_whole)]
        return torch.cat([*spatial, self._over_time(course, mask)], 1)

    def judge(self, seconds: Tensor) -> Judgement:
        """Judge films by the mean (B, `StudentConfig.seconds`) of what is said of their seconds; or single seconds."""
        quality = self.dimension_change(seconds)
        active = F.relu(quality)
        return Judgement(quality, self.classifier(active), self.fault_classifier(active))

    def forward(self, maps: Tensor, course: Tensor, mask: Tensor) -> Judgement:
        """Judge films of as many seconds each: maps (B, W, 3, 80, 14, 14), course (B, W, T, 9), mask (B, W, T)."""
        films = maps.shape[:2]
        seconds = self.seconds(maps.flatten(0, 1), course.flatten(0, 1), mask.flatten(0, 1))
        return self.judge(seconds.unflatten(0, films).mean(1))

    def _kept(self, maps: Tensor) -> Tensor:
        """Places of maps (N, C, h, w) that count, (N, 1, h, w): all of them, but a random half while training.

        So each step sees other parts of the same clip.
        """
        shape = (len(maps), 1, *maps.shape[2:])
        if not self.training:
            return maps.new_ones(shape)
        kept = (torch.rand(shape, device=maps.device) < self.config.kept).to(maps.dtype)
        return torch.where(kept.sum((2, 3), keepdim=True) > 0, kept, torch.ones_like(kept))

    def _over_time(self, course: Tensor, mask: Tensor) -> Tensor:
        shown = mask[:, None].to(course.dtype)
        x = course.transpose(1, 2) * shown
        for layer in self.course_branch:
            x = F.relu(layer(x)) * shown
        mean = x.sum(2) / shown.sum(2)
        return torch.cat([mean, x.amax(2)], 1)


def trimmed(network: EfficientNetLite) -> EfficientNetLite:
    """The network without what lies behind the stem, which is changed in place."""
    del network.blocks[network.first_block(STEM_STAGES) :]
    del network.head, network.classifier
    return network


class Stem(nn.Module):
    """The first stages of EfficientNet-Lite0, taught about faults, norms folded in; the student keeps them so."""

    def __init__(self, network: EfficientNetLite) -> None:
        super().__init__()
        self.network = network

    def forward(self, views: Tensor) -> Tensor:
        """The maps (N, 80, 14, 14) of pictures (N, 3, 224, 224), values 0 to 255."""
        x = ((views - 127) / 128).contiguous(memory_format=torch.channels_last)
        return self.network.until(x, STEM_STAGES)


def padded(courses: Sequence[NDArray[np.float32]]) -> tuple[Tensor, Tensor]:
    """Courses (…, T_n, 9) of different lengths as one tensor (N, …, T, 9), and its mask (N, …, T)."""
    longest = max(course.shape[-2] for course in courses)
    values = np.zeros((len(courses), *courses[0].shape[:-2], longest, courses[0].shape[-1]), np.float32)
    mask = np.zeros(values.shape[:-1], bool)
    for row, course in enumerate(courses):
        values[row, ..., : course.shape[-2], :] = course
        mask[row, ..., : course.shape[-2]] = True
    return torch.from_numpy(values), torch.from_numpy(mask)


def _mean(maps: Tensor, kept: Tensor) -> Tensor:
    """The mean (N, C) over the places that count."""
    return (maps * kept).sum((2, 3)) / kept.sum((2, 3))


def _branch(channels: tuple[int, ...]) -> nn.Sequential:
    """Convolutions over maps, of which the first halves the side."""
    layers: list[nn.Module] = []
    for index, pair in enumerate(itertools.pairwise(channels)):
        stride = 2 if index == 0 else 1
        layers += [nn.Conv2d(*pair, 3, stride, padding=1, bias=False), SharedBatchNorm2d(pair[1]), nn.ReLU()]
    return nn.Sequential(*layers)
