"""The trained student for use: windows of a film to its judgement, on any device."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from core.encoders.efficientnet_lite import EfficientNetLite
from core.runtime import place, placement
from core.video_quality.levels import deviation_of, mean_of
from core.video_quality.model import Stem, Student, StudentConfig, padded, trimmed
from core.video_quality.sampling import Window
from core.weights import find_manifest, read_trained, weights_path

NAME = "video_quality"
Floats = NDArray[np.float32]


class Verdict(NamedTuple):
    """What the student says of a film, or of one second: shares over the levels (5,), band, faults (7,), 0 to 1."""

    distribution: Floats
    band: tuple[float, float]
    faults: Floats


class TrainedStudent(nn.Module):
    """Stem and student in one, with what its training told of its certainty.

    Args:
        config: shape of the student.
        band: half the width of the 90 % band about a score, in deviations of its distribution.
    """

    stem: Stem
    student: Student
    band: float

    def __init__(self, config: StudentConfig, band: float) -> None:
        super().__init__()
        network = trimmed(EfficientNetLite("lite0")).eval().fold()
        self.stem, self.student, self.band = Stem(network), Student(config), band


class QualityScorer:
    """Judges films by their windows.

    Args:
        path: of trained weights; those of ``weights/video_quality`` when None.

    Attributes:
        version: of its weights.

    Raises:
        WeightsError: the weights are missing or wrong.
    """

    def __init__(self, path: Path | None = None) -> None:
        file = path or weights_path(NAME, f"{NAME}.safetensors")
        self.version = find_manifest(NAME).revision if path is None else path.stem
        self._placement = placement()
        self._network = cast(TrainedStudent, place(read_student(file), self._placement))

    def describe(self, windows: Sequence[Window]) -> Floats:
        """What the student says of each second: (N, D), to be averaged over a film for `judge`."""
        course, mask = padded([window.course for window in windows])
        views = torch.from_numpy(np.stack([window.views for window in windows])).to(self._placement.device)
        with torch.inference_mode(), self._placement.autocast():
            maps = self._network.stem(views.flatten(0, 1).permute(0, 3, 1, 2).float()).float()
            maps = maps.unflatten(0, views.shape[:2])
            device = self._placement.device
            seconds = self._network.student.seconds(maps, course.to(device), mask.to(device))
        return seconds.float().cpu().numpy()

    def judge(self, features: Floats) -> Verdict:
        """Judge a film by the mean (D,) of what `describe` says of its seconds; or one second."""
        with torch.inference_mode():
            told = self._network.student.judge(torch.from_numpy(features)[None].to(self._placement.device))
        distribution = told.levels.softmax(-1)[0].cpu().numpy()
        score, reach = mean_of(distribution), self._network.band * deviation_of(distribution)
        return Verdict(distribution, (max(1.0, score - reach), min(5.0, score + reach)), _certainties(told.faults[0]))


def read_student(path: Path) -> TrainedStudent:
    """Read weights that a training wrote; config and band are in the metadata."""
    tensors, told = read_trained(path)
    network = TrainedStudent(StudentConfig.from_json(told["config"]), float(told["band"]))
    network.load_state_dict(tensors)
    return network


def student_tensors(stem: Stem, student: Student) -> dict[str, Tensor]:
    """What `read_student` reads: the student in float16; the stem, which does not bear it, in float32."""
    kept = {f"stem.{name}": tensor.contiguous() for name, tensor in stem.state_dict().items()}
    return kept | {f"student.{name}": _half(tensor) for name, tensor in student.state_dict().items()}


def metadata(student: Student, band: float, told: Mapping[str, str]) -> dict[str, str]:
    """The metadata of a file of weights."""
    return {"config": student.config.to_json(), "band": json.dumps(band), **told}


def _half(tensor: Tensor) -> Tensor:
    return tensor.half().contiguous() if tensor.is_floating_point() else tensor.contiguous()


def _certainties(logits: Tensor) -> Floats:
    return logits.sigmoid().cpu().numpy()
