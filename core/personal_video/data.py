"""Batches of composed clips for training, made in worker processes beside the step, and the clips held out.

A batch has one mode of METHODS 2, drawn by lot, and one or two subjects. Batch n is the same on every machine and in
every run, with or without workers.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from multiprocessing import get_context

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from core.errors import ParameterError, check_ranges
from core.personal_video import backgrounds
from core.personal_video.composing import (
    ComposeConfig,
    Material,
    Part,
    Scene,
    kept_out,
    over,
    placed,
    shaded,
    shadows_of,
    sprites,
)
from core.personal_video.looks import drawn_look
from core.personal_video.modes import MODES, Letter
from core.personal_video.scripts import Script, Span, drawn_script
from core.personal_video.subjects import Pixels, Subject

LOOKS = 2
"""Pictures of each subject beside a clip: the database's, and the image."""
PARTS: tuple[Part, ...] = ("subject", "pair", "background")
_TRIES = 10_000


@dataclass(frozen=True)
class CourseConfig:
    """Which clips a training sees.

    Raises:
        ParameterError: a value is out of its range.
    """

    side_px: int = field(default=64, metadata={"help": "side of clips, a multiple of 8, 32 to 256"})
    frames: int = field(default=16, metadata={"help": "frames of clips, 4 to 32"})
    clips: int = field(default=8, metadata={"help": "clips in a batch, 1 to 256"})
    scripts: int = field(default=6000, metadata={"help": "different captions without a name, 2 to 100000"})
    pair_share: float = field(default=0.12, metadata={"help": "batches with two subjects, 0 to 1"})
    mirrored_share: float = field(default=0.0, metadata={"help": "pictures of subjects that are mirrored, 0 to 1"})
    plain_share: float = field(default=0.4, metadata={"help": "clips with one plain colour behind, 0 to 1"})
    still_share: float = field(default=0.7, metadata={"help": "clips with a camera at rest, 0 to 1"})
    workers: int = field(default=1, metadata={"help": "processes that compose clips, 0 (none beside the step) to 64"})
    seed: int = field(default=0, metadata={"help": "seed of clips and training"})

    def __post_init__(self) -> None:
        shares = [(name, 0, 1) for name in ("pair_share", "mirrored_share", "plain_share", "still_share")]
        sizes = [("side_px", 32, 256), ("frames", 4, 32), ("clips", 1, 256), ("scripts", 2, 100_000)]
        check_ranges(self, *sizes, *shares, ("workers", 0, 64))
        if self.side_px % 8:
            raise ParameterError(f"side_px is {self.side_px}; choose a multiple of 8.")


@dataclass(frozen=True)
class Sample:
    """One clip: frames (T, H, W, 3), looks of each subject (K, R, S, S, 4), its path (K, T, 5), see
    `core.personal_video.motions`, and the looks' poses (K, R, 2, 3), see `core.personal_video.planning`.
    """

    frames: Pixels
    looks: Pixels
    paths: NDArray[np.float32]
    poses: NDArray[np.float32]


@dataclass(frozen=True)
class Batch:
    """Clips of one mode.

    Attributes:
        mode: a letter.
        samples: B of them.
        scripts: numbers of the scripts.
        told: the captions in words, where they are not those of the scripts; otherwise empty.
        subjects: numbers in the material, (B, K).
    """

    mode: Letter
    samples: tuple[Sample, ...]
    scripts: tuple[int, ...]
    told: tuple[tuple[str, tuple[Span, ...]], ...]
    subjects: NDArray[np.int64]


@dataclass(frozen=True)
class Course:
    """All clips of a training, by the number of their batch."""

    material: Material
    config: CourseConfig

    @cached_property
    def compose(self) -> ComposeConfig:
        """Sizes and shares for `core.personal_video.composing`."""
        return ComposeConfig(side_px=self.config.side_px, frames=self.config.frames, references=0)

    @cached_property
    def scripts(self) -> tuple[Script, ...]:
        """The captions without names; one of six tells of two subjects. None has a background that is held out."""
        random = np.random.default_rng([self.config.seed, 1])
        shares = self.config.plain_share, self.config.still_share
        found: list[Script] = []
        while len(found) < self.config.scripts:
            count = 2 if len(found) % 6 == 5 else 1
            script = drawn_script(random, self.material.photographs, count, shares)
            if "background" not in kept_out(self.material.subjects[0], script.roles[0].motion, script.background):
                found.append(script)
        return tuple(found)

    @cached_property
    def numbers(self) -> dict[str, int]:
        """The number of each subject, by its key."""
        return {subject.key: number for number, subject in enumerate(self.material.subjects)}

    def batch(self, number: int) -> Batch:
        """A batch by its number.

        Raises:
            ParameterError: all of the material's subjects are held out.
        """
        random = np.random.default_rng([self.config.seed, 2, number])
        count = 2 if random.random() < self.config.pair_share and self.config.scripts > 5 else 1
        odds = (0.4, 0.25, 0.1, 0.1, 0.15) if count == 1 else (0.8, 0.2, 0, 0, 0)
        mode = tuple(MODES)[int(random.choice(len(MODES), p=odds))]
        of_count = [n for n in range(len(self.scripts)) if (n % 6 == 5) == (count == 2)]
        rows = [self._row(of_count[int(random.integers(len(of_count)))], random) for _ in range(self.config.clips)]
        told = tuple(self._told(mode, script, subjects, random) for script, subjects, _ in rows) if mode in "de" else ()
        subjects = np.array([[self.numbers[subject.key] for subject in subjects] for _, subjects, _ in rows])
        return Batch(mode, tuple(sample for *_, sample in rows), tuple(row[0] for row in rows), told, subjects)

    def _row(self, script: int, random: np.random.Generator) -> tuple[int, tuple[Subject, ...], Sample]:
        chosen: list[Subject] = []
        for role in self.scripts[script].roles:
            for _ in range(_TRIES):
                variants = self.material.sources[int(random.integers(len(self.material.sources)))]
                subject = variants[int(random.integers(len(variants)))]
                if not kept_out(subject, role.motion, self.scripts[script].background) and subject not in chosen:
                    chosen.append(subject)
                    break
            else:
                raise ParameterError("Nearly all of these subjects are held out; give more of them.")
        return script, tuple(chosen), self.filmed(self.scripts[script], chosen, random)

    def _told(
        self, mode: Letter, script: int, subjects: Sequence[Subject], random: np.random.Generator
    ) -> tuple[str, tuple[Span, ...]]:
        """A caption with names: the subject's own in mode d, half of the time any other in mode e."""
        named = list(subjects)
        if mode == "e" and random.random() < 0.5:
            named = [self.material.subjects[int(random.integers(len(self.material.subjects)))] for _ in named]
        return self.scripts[script].named([(subject.phrase, subject.plural) for subject in named]).told()

    def filmed(self, script: Script, subjects: Sequence[Subject], random: np.random.Generator) -> Sample:
        """The clip of a script with these subjects, the later ones in front, and looks of each."""
        config = self._compose_for(len(subjects))
        side, strength = config.side_px, random.uniform(0.25, 0.5) if random.random() < config.shadow_share else 0.0
        frames = backgrounds.plates(script.background, script.camera, config.frames, side, random)
        seen: list[NDArray[np.float32]] = []
        paths, poses, looks = [], [], []
        for subject, role in zip(subjects, script.roles, strict=True):
            scene = Scene(subject, role.motion, script.background, script.camera)
            path, layers = _clear_of(seen, scene, config, random)
            frames = over(layers, shaded(frames, shadows_of(layers[..., 3], strength)))
            opacity = (layers[..., 3] / 255).astype(np.float32)
            seen = [*(mask * (1 - opacity) for mask in seen), opacity]
            drawn = [drawn_look(subject, side, random, self.config.mirrored_share) for _ in range(LOOKS)]
            looks.append(np.stack([look for look, _ in drawn]))
            paths.append(path.astype(np.float32))
            poses.append(np.stack([pose for _, pose in drawn]).astype(np.float32))
        return Sample(frames, np.stack(looks), np.stack(paths), np.stack(poses))

    def _compose_for(self, subjects: int) -> ComposeConfig:
        return replace(self.compose, smallest=0.2, largest=0.34) if subjects > 1 else self.compose

    def paths(self, number: int, count: int) -> tuple[tuple[int, ...], NDArray[np.float32]]:
        """Scripts and the paths that they ask for, (count, K, T, 5), without a picture of them; by a number."""
        random = np.random.default_rng([self.config.seed, 4, number])
        pair = int(random.random() < self.config.pair_share and self.config.scripts > 5)
        scripts = [n for n in range(len(self.scripts)) if (n % 6 == 5) == bool(pair)]
        chosen = tuple(int(n) for n in random.choice(scripts, count))
        return chosen, np.stack([self._laid(self.scripts[n], random) for n in chosen])

    def _laid(self, script: Script, random: np.random.Generator) -> NDArray[np.float32]:
        """Paths of a script for subjects by lot; of a few by lot those farthest from the ones before."""
        config, laid = self._compose_for(len(script.roles)), list[NDArray[np.float64]]()
        for role in script.roles:
            subject = self.material.subjects[int(random.integers(len(self.material.subjects)))]
            scene = Scene(subject, role.motion, script.background, script.camera)
            tries = [placed(scene, config, random) for _ in range(6 if laid else 1)]
            near = [max((float((p[:, 2] - np.hypot(*(p - q)[:, :2].T)).max()) for q in laid), default=0) for p in tries]
            laid.append(tries[int(np.argmin(near))])
        return np.stack(laid).astype(np.float32)

    def held_out(self, part: Part, count: int) -> Batch:
        """Clips of mode a of which this one part was held out; the same ones whenever they are asked for.

        Raises:
            ParameterError: the material has none.
        """
        random = np.random.default_rng([self.config.seed, 3, PARTS.index(part)])
        rows: list[tuple[Script, Subject, Sample]] = []
        for _ in range(_TRIES * count):
            if len(rows) == count:
                break
            script = drawn_script(random, self.material.photographs, 1, (self.config.plain_share, 1.0))
            variants = self.material.sources[int(random.integers(len(self.material.sources)))]
            subject = variants[int(random.integers(len(variants)))]
            if kept_out(subject, script.roles[0].motion, script.background) == {part}:
                rows.append((script, subject, self.filmed(script, [subject], random)))
        if len(rows) < count:
            raise ParameterError(f"These subjects give no clips with a held-out {part}; give more subjects.")
        told = tuple(script.told() for script, *_ in rows)
        subjects = np.array([[self.numbers[subject.key]] for _, subject, _ in rows])
        return Batch("a", tuple(sample for *_, sample in rows), (0,) * count, told, subjects)

    def stream(self, start: int, step: int = 1) -> Iterator[Batch]:
        """Batches without end, from a number on, every ``step``-th."""
        rows = _Rows(self, start, step)
        if not self.config.workers:
            return iter(rows)
        context = get_context("spawn")  # a fork would inherit OpenCV's threads, and wait for them for ever
        return iter(
            DataLoader(rows, None, num_workers=self.config.workers, prefetch_factor=4, multiprocessing_context=context)
        )


def _clear_of(
    seen: Sequence[NDArray[np.float32]], scene: Scene, config: ComposeConfig, random: np.random.Generator
) -> tuple[NDArray[np.float64], Pixels]:
    """A path, and the subject along it; of a few by lot the one that hides least of those that are there already."""
    phase = int(random.integers(len(scene.subject.pictures)))
    best: tuple[float, NDArray[np.float64], Pixels] | None = None
    for _ in range(6 if seen else 1):
        path = placed(scene, config, random)
        layers = sprites(scene.subject, path, config.side_px, phase)
        hidden = max((float((mask * layers[..., 3]).sum() / (mask.sum() + 1)) for mask in seen), default=0.0)
        if best is None or hidden < best[0]:
            best = hidden, path, layers
    assert best is not None
    return best[1], best[2]


class _Rows(IterableDataset[Batch]):
    """Batches for a worker: every n-th."""

    def __init__(self, course: Course, start: int, step: int) -> None:
        self.course, self.start, self.step = course, start, step

    def __iter__(self) -> Iterator[Batch]:
        told = get_worker_info()
        worker, workers = (0, 1) if told is None else (told.id, told.num_workers)
        if told is not None:
            cv2.setNumThreads(1)
            torch.set_num_threads(1)
        number = self.start + worker * self.step
        while True:
            yield self.course.batch(number)
            number += workers * self.step
