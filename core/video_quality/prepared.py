"""The training clips as the networks take them: what is frozen is computed once and kept, one file a clip."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.media.whole_file import written_whole
from core.runtime import Progress, placement, silent
from core.video_quality.data import Rung, read_rungs
from core.video_quality.levels import distribution_of
from core.video_quality.library import LibraryModel
from core.video_quality.model import Stem, padded
from core.video_quality.sampling import Window

STUDENT = "student"
"""The name under which the maps of the student's frozen stem are kept."""


@dataclass(frozen=True)
class Clips:
    """Clips ready for training.

    Attributes:
        rungs: what each is.
        inputs: by model, and `STUDENT` for the student's maps (N, W, 3, 80, 14, 14): what `LibraryModel.prepare` gave.
        course: (N, W, T, 9), zeros beyond the end.
        mask: (N, W, T), True on pictures.
    """

    rungs: tuple[Rung, ...]
    inputs: Mapping[str, Tensor]
    course: Tensor
    mask: Tensor

    def __len__(self) -> int:
        return len(self.rungs)

    @property
    def levels(self) -> Tensor:
        """The labels as shares of opinions over the five levels: (N, 5)."""
        return torch.from_numpy(np.stack([distribution_of(rung.mos) for rung in self.rungs]))

    @property
    def faults(self) -> Tensor:
        """The strengths of the faults: (N, 7)."""
        return torch.tensor([rung.faults for rung in self.rungs])

    @property
    def mos(self) -> NDArray[np.float64]:
        """The labels, 1 to 5: (N,)."""
        return np.array([rung.mos for rung in self.rungs])

    def of_films(self, films: set[str]) -> "Clips":
        """Those clips alone that were made of some films."""
        rows = [row for row, rung in enumerate(self.rungs) if rung.film in films]
        inputs = {name: value[rows] for name, value in self.inputs.items()}
        return Clips(tuple(self.rungs[row] for row in rows), inputs, self.course[rows], self.mask[rows])


def prepare(clips: Path, models: Sequence[LibraryModel], stem: Stem, out: Path, progress: Progress = silent) -> None:
    """Compute what is frozen, of the library's models and the student's stem, for every clip that lacks any of it."""
    out.mkdir(parents=True, exist_ok=True)
    files = sorted(clips.glob("*.npz"))
    for number, file in enumerate(files):
        progress(number, len(files), file.stem)
        target = out / file.name
        there = _names(target)
        lacking = [model for model in models if model.name not in there]
        if there and not lacking:
            continue
        with np.load(file) as made:
            views, course, rungs = made["views"], made["course"], made["rungs"]
        rows = [_one(views[row], course[row], lacking, None if there else stem) for row in range(len(views))]
        arrays = _kept(target) | {name: np.stack([row[name] for row in rows]) for name in rows[0]}
        with written_whole(target) as part:
            np.savez(part, **arrays | {"course": course, "rungs": rungs})


def load(folder: Path, names: Sequence[str] = ()) -> Clips:
    """Read prepared clips into memory.

    Args:
        folder: as `prepare` wrote it.
        names: the inputs to read; all when empty.
    """
    rungs: list[Rung] = []
    inputs: dict[str, list[NDArray]] = {}
    courses: list[NDArray[np.float32]] = []
    for file in sorted(folder.glob("*.npz")):
        with np.load(file) as kept:
            rungs += read_rungs(kept)
            courses += list(kept["course"])
            for name in set(kept.files) - {"course", "rungs"}:
                if not names or name in names:
                    inputs.setdefault(name, []).append(kept[name])
    joined = {name: torch.from_numpy(np.concatenate(parts)) for name, parts in inputs.items()}
    return Clips(tuple(rungs), joined, *padded(courses))


def _names(file: Path) -> list[str]:
    """The names of what was computed of a clip before; none where there is no file."""
    if not file.exists():
        return []
    with np.load(file) as kept:
        return list(kept.files)


def _kept(file: Path) -> dict[str, NDArray]:
    """What was computed of a clip before; nothing where there is no file."""
    if not file.exists():
        return {}
    with np.load(file) as kept:
        return {name: kept[name] for name in kept.files}


def _one(
    views: NDArray[np.uint8], course: NDArray[np.float32], models: Sequence[LibraryModel], stem: Stem | None
) -> dict[str, NDArray]:
    windows = [Window(Fraction(n), view, part) for n, (view, part) in enumerate(zip(views, course, strict=True))]
    told = {model.name: model.prepare(windows) for model in models}
    if stem is None:
        return told
    with torch.inference_mode(), placement().autocast():
        planes = torch.from_numpy(views).flatten(0, 1).permute(0, 3, 1, 2).float()
        maps = stem(planes).unflatten(0, views.shape[:2])
    return told | {STUDENT: maps.half().numpy()}
