"""The trained teacher for use: what each target model contributes to the judgement of a film.

The student scores alone; this is for those who want to know what taught it, and whether the two agree.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.errors import ClipTooShortError, WeightsError
from core.runtime import Progress, part_of, silent
from core.video_quality.config import QualityConfig
from core.video_quality.levels import mean_of
from core.video_quality.library import Kind, LibraryModel, library
from core.video_quality.model import Stem
from core.video_quality.sampling import Window
from core.video_quality.student import NAME, read_student
from core.video_quality.teacher import Teacher, TeacherConfig
from core.video_quality.watching import every_picture, watch
from core.weights import read_trained, weights_path

FILE = "video_quality_teacher.safetensors"
SECONDS = 8
"""A film's seconds that the teacher looks at, evenly spread."""


@dataclass(frozen=True)
class Explanation:
    """What the teacher says of a film.

    Attributes:
        score: 1 to 5.
        distribution: predicted shares of opinions over the five levels, bad first.
        importances: of each target model for this film, sum 1.
    """

    score: float
    distribution: tuple[float, ...]
    importances: Mapping[str, float]


class Ensemble:
    """The target models with the gate over them.

    Args:
        path: of trained weights; those of ``weights/video_quality`` when None.
        stem: of the student, on which one of the models is built; that of ``weights/video_quality`` when None.

    Raises:
        WeightsError: weights are missing or wrong.
    """

    def __init__(self, path: Path | None = None, stem: Stem | None = None) -> None:
        stem = stem or read_student(weights_path(NAME, f"{NAME}.safetensors")).stem
        tensors, told = read_trained(path or weights_path(NAME, FILE))
        config = TeacherConfig.from_json(told["config"])
        parts: dict[str, dict[str, Tensor]] = {}
        for name, tensor in tensors.items():
            owner, _, rest = name.partition(".")
            parts.setdefault(owner, {})[rest] = tensor
        self._teacher = Teacher(config)
        self._teacher.load_state_dict(parts.pop("teacher"))
        self._teacher.eval()
        by_name: dict[str, LibraryModel] = {model.name: model for model in library(stem, parts)}
        missing = [name for name in config.models if name not in by_name]
        if missing:
            raise WeightsError(
                f"The teacher needs {', '.join(missing)}, which only the hub profile has; set SHOWREEL_PROFILE=hub."
            )
        self._models = [by_name[name] for name in config.models]
        self._networks = [model.network().eval() for model in self._models]

    def explain_file(self, path: Path, config: QualityConfig, progress: Progress = silent) -> Explanation:
        """Judge a film by at most `SECONDS` of its seconds, and by every picture of these.

        Raises:
            MediaError: the file cannot be read.
            CancelledError: ``progress`` says so.
        """
        config = replace(config, max_seconds=SECONDS)
        windows = list(watch(path, config, part_of(progress, 0, 2)))
        return self.explain(windows, every_picture(path, config, part_of(progress, 1, 2)))

    @torch.inference_mode()
    def explain(self, windows: Sequence[Window], pictures: Iterable[Window] | None = None) -> Explanation:
        """Judge a film by some of its seconds.

        Image models look at each picture, and what they say is averaged (METHODS 5, step 1); video models look at all
        seconds in order.

        Args:
            windows: the seconds.
            pictures: a window for each picture that image models look at; None: one of each second.

        Raises:
            ClipTooShortError: there is no window.
        """
        if not windows:
            raise ClipTooShortError("There is no second to judge; give at least one window.")
        told = self._of_pictures(windows if pictures is None else pictures) | self._features("video", windows)
        features = [told[model.name] for model in self._models]
        shares: NDArray[np.float32] = self._teacher.importances(features)[0].numpy()
        levels: NDArray[np.float32] = self._teacher(features).levels.softmax(-1)[0].numpy()
        importances = {model.name: float(share) for model, share in zip(self._models, shares, strict=True)}
        return Explanation(mean_of(levels), tuple(float(share) for share in levels), importances)

    def _of_pictures(self, windows: Iterable[Window]) -> dict[str, Tensor]:
        """The mean features (1, D) of each image model over some pictures."""
        totals: dict[str, Tensor] = {}
        count = 0
        for window in windows:
            count += 1
            for name, features in self._features("image", [window]).items():
                totals[name] = totals[name] + features if name in totals else features
        return {name: total / count for name, total in totals.items()}

    def _features(self, kind: Kind, windows: Sequence[Window]) -> dict[str, Tensor]:
        """The features (1, D) of each model of a kind."""
        return {
            model.name: network(torch.from_numpy(model.prepare(windows))[None]).float()
            for model, network in zip(self._models, self._networks, strict=True)
            if model.kind == kind
        }
