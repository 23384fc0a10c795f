"""Training in stages (METHODS 2, point 11): extraction and generation on single pictures, a subject reconstructed from
other pictures of it; then all on clips. Before both the planner learns paths from words, of which no picture is needed.
All are steps of one loop, and go on after a kill.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from core.command_line import origin
from core.encoders.image import ImageEncoder, image_encoder
from core.encoders.text import MeanPooledEncoder
from core.errors import ParameterError, check_ranges
from core.personal_video.composing import Material, Part
from core.personal_video.conditioning import Given, Text
from core.personal_video.data import PARTS, Batch, Course, CourseConfig, Sample
from core.personal_video.flow import drawn_levels, noised
from core.personal_video.losses import flow_loss
from core.personal_video.modes import Letter
from core.personal_video.network import PersonalVideoNetwork, Widths
from core.personal_video.plan_training import PlanStage
from core.personal_video.planning import Plan
from core.personal_video.prepared import PromptEncoder, ScriptFeatures, TokenEncoder, script_features, subject_vectors
from core.personal_video.trained import FILE, load_network, write_network
from core.runtime import Progress, part_of, placement, seed_everything, silent
from core.training import Losses, TrainingLoop

AVERAGED = 0.9995
MEASURED_LEVELS = (0.03, 0.1, 0.3, 0.7)


@dataclass(frozen=True)
class TrainConfig:
    """How the networks are trained.

    Raises:
        ParameterError: a value is out of its range.
    """

    steps: int = field(default=40_000, metadata={"help": "steps on clips, 0 to 10000000"})
    extraction_steps: int = field(default=10_000, metadata={"help": "steps on single pictures before, 0 to 10000000"})
    plan_steps: int = field(default=10_000, metadata={"help": "steps of the planner before these, 0 to 10000000"})
    plans: int = field(default=64, metadata={"help": "paths in a batch of the planner, 1 to 4096"})
    pictures: int = field(default=4, metadata={"help": "pictures taken from each clip in the first stage, 1 to 32"})
    learning_rate: float = field(default=6e-4, metadata={"help": "highest learning rate, 0.000001 to 1"})
    weight_decay: float = field(default=0.01, metadata={"help": "decay of AdamW, 0 to 1"})
    without_text: float = field(default=0.1, metadata={"help": "clips that are made without their text, 0 to 1"})
    without_subject: float = field(default=0.05, metadata={"help": "clips made without their subject's looks, 0 to 1"})
    checkpoint_every: int = field(default=1000, metadata={"help": "steps between checkpoints, 1 to 100000"})
    measured: int = field(default=8, metadata={"help": "held-out clips of each kind for the curves, 1 to 256"})
    start: str = field(default="", metadata={"help": "weights to begin with, as `train` wrote them; none: untrained"})
    widths: Widths = field(default_factory=Widths)

    def __post_init__(self) -> None:
        shares = [(name, 0, 1) for name in ("weight_decay", "without_text", "without_subject")]
        steps = [(name, 0, 10_000_000) for name in ("steps", "extraction_steps", "plan_steps")]
        check_ranges(self, *steps, ("plans", 1, 4096), ("pictures", 1, 32), *shares)
        check_ranges(self, ("learning_rate", 1e-6, 1), ("checkpoint_every", 1, 100_000), ("measured", 1, 256))


@dataclass(frozen=True)
class StageConfig(TrainConfig):
    """A training's config, and that of its clips, for one stage of it."""

    seed: int = 0
    course: str = ""
    """The clips' config and material in words, so that a folder of other ones is not gone on with."""


@dataclass(frozen=True)
class Prepared:
    """What frozen encoders say of a course."""

    scripts: ScriptFeatures
    vectors: np.ndarray
    prompts: PromptEncoder

    @classmethod
    def of(
        cls, course: Course, encoders: tuple[TokenEncoder, ImageEncoder], folder: Path, progress: Progress = silent
    ) -> "Prepared":
        """Computed, or read from the folder."""
        scripts = script_features(course.scripts, encoders[0], folder, progress)
        vectors = subject_vectors(course.material.subjects, encoders[1], folder, progress)
        return cls(scripts, vectors, PromptEncoder(encoders[0]))


@dataclass(frozen=True)
class Taught:
    """A batch as tensors: its mode, clips (B, T, 3, H, W), where its subjects are, and what the mode may see."""

    mode: Letter
    clips: Tensor
    plan: Plan
    given: Given


def taught(batch: Batch, prepared: Prepared, random: np.random.Generator, device: torch.device) -> Taught:
    """A batch as tensors, with what its mode may see and nothing else."""
    clips, looks, paths, poses = (
        torch.from_numpy(np.stack([getattr(sample, part.name) for sample in batch.samples])).to(device)
        for part in fields(Sample)
    )
    pictures = looks.movedim(-1, 3).float() / 255
    pictures[:, :, :, :3] = 2 * pictures[:, :, :, :3] - pictures[:, :, :, 3:]
    vectors = torch.from_numpy(np.asarray(prepared.vectors)[batch.subjects].astype(np.float32)).to(device)
    prompts = prepared.prompts.features(batch.told) if batch.told else [prepared.scripts.of(n) for n in batch.scripts]
    text = Text.of(prompts).to(device)
    present = torch.ones(pictures.shape[:3], device=device)
    if batch.mode == "a":
        present[:, :, 1] = torch.from_numpy((random.random(present.shape[:2]) < 0.5).astype(np.float32))
        given = Given(text, vectors[:, :, 0], pictures, present)
    elif batch.mode == "b":
        shown = present[:, :, 1]
        shown[:, 1:] = 0
        present = torch.stack([present[:, :, 0], shown], 2)
        given = Given(text, vectors[:, :, 0], pictures[:, :, :1], present[:, :, :1], vectors[:, :, 1],
                      pictures[:, :, 1:], shown)  # fmt: skip
    else:
        poses, present = poses[:, :, 1:], present[:, :, 1:] * float(batch.mode != "d")
        given = Given(text, image_pictures=pictures[:, :, 1:], image_present=present[:, :, 0])
    return Taught(batch.mode, clips.movedim(-1, 2).float() / 127.5 - 1, Plan(paths, poses), given)


def single_pictures(batch: Taught, count: int, random: np.random.Generator) -> Taught:
    """Some frames of every clip as clips of one frame, (B · count, 1, ...); conditions are to be repeated as often."""
    frames = batch.clips.shape[1]
    chosen = np.stack([random.choice(frames, min(count, frames), replace=False) for _ in range(len(batch.clips))])
    rows = torch.arange(len(chosen))[:, None]
    clips = batch.clips[rows, chosen].flatten(0, 1)[:, None]
    paths = batch.plan.paths.movedim(2, 1)[rows, chosen].flatten(0, 1)[:, :, None]
    plan = Plan(paths, batch.plan.poses.repeat_interleave(clips.shape[0] // len(rows), 0))
    return Taught(batch.mode, clips, plan, batch.given)


class Stage:
    """One of both stages: the loop, and its step.

    Args:
        network: trained in place.
        course: of its clips, with what encoders say of them.
        config: of the stage.
        folder: for checkpoint and metrics.
        pictures: frames taken from each clip; 0: whole clips.
    """

    def __init__(
        self,
        network: PersonalVideoNetwork,
        course: tuple[Course, Prepared],
        config: StageConfig,
        folder: Path,
        pictures: int,
    ) -> None:
        (self.course, self.prepared), self.network, self.config = course, network, config
        self.pictures = pictures
        self.loop = TrainingLoop({"network": network}, config, folder, AVERAGED)
        self.device = self.loop.accelerator.device
        self._measured: dict[str, Taught] = {}

    def run(self, first_batch: int, progress: Progress = silent) -> dict[str, float]:
        """Train to the end; gives the figures of the end.

        Args:
            first_batch: number of the course's batch that the first step takes.
            progress: told of every step.
        """
        world, rank = self.loop.accelerator.num_processes, self.loop.accelerator.process_index
        batches = self.course.stream(first_batch + self.loop.step * world + rank, world)
        self.loop.run(self._step(batches), self.measure, progress)
        return self.measure()

    def _step(self, batches: Iterator[Batch]) -> Callable[[int], Losses]:
        def one_step(step: int) -> Losses:
            random = self.loop.random(step)
            batch = taught(next(batches), self.prepared, random, self.device)
            mode_losses = self.losses(batch, random)
            self.loop.descend("network", mode_losses["loss"])
            return mode_losses

        return one_step

    def losses(self, batch: Taught, random: np.random.Generator) -> Losses:
        """The ``loss`` of a batch."""
        if self.pictures:
            batch = single_pictures(batch, self.pictures, random)
        level = drawn_levels(len(batch.clips)).to(self.device)
        made = self.made(batch, level, torch.randn_like(batch.clips))
        return {"loss": flow_loss(made, batch.clips, level).mean()}

    def made(self, batch: Taught, level: Tensor, noise: Tensor) -> Tensor:
        """What the networks make of a batch's noised clips; in training some lose their text or their subject."""
        repeats = len(batch.clips) // len(batch.given.text.kept)
        with placement().autocast():
            condition = self.network.conditioner(batch.mode, batch.given).repeated(repeats)
            condition = replace(condition, plan=batch.plan)
            if self.network.training:
                odds = torch.rand(2, len(batch.clips), device=self.device)
                condition = condition.without_text(odds[0] < self.config.without_text)
                condition = condition.without_subject(odds[1] < self.config.without_subject)
            made: Tensor = self.network.generation(noised(batch.clips, noise, level), level, condition)
        return made

    @torch.no_grad()
    def measure(self) -> dict[str, float]:
        """On held-out clips: the loss of the flow at fixed levels."""
        figures: dict[str, float] = {}
        for part in PARTS:
            batch = self._held_out(part)
            noise = torch.randn(batch.clips.shape, generator=torch.Generator().manual_seed(1)).to(self.device)
            flows = []
            for number in MEASURED_LEVELS:
                level = torch.full((len(batch.clips),), number, device=self.device)
                made = self.made(batch, level, noise)
                flows.append(float(flow_loss(made, batch.clips, level).mean()))
            figures[f"{part}_flow"] = round(float(np.mean(flows)), 5)
        return figures

    def _held_out(self, part: Part) -> Taught:
        if part not in self._measured:
            held_out = self.course.held_out(part, self.config.measured)
            self._measured[part] = taught(held_out, self.prepared, np.random.default_rng(0), self.device)
        batch = self._measured[part]
        return single_pictures(batch, 1, np.random.default_rng(0)) if self.pictures else batch


def train(
    material: Material,
    config: tuple[TrainConfig, CourseConfig],
    out: Path,
    encoders: tuple[TokenEncoder, ImageEncoder] | None = None,
    progress: Progress = silent,
) -> dict[str, float]:
    """All stages on composed clips; writes the weights, and goes on where it was stopped.

    Args:
        material: subjects and photographs.
        config: of the training, and of its clips.
        out: folder for checkpoints, metrics and weights.
        encoders: first and second; by default those of the embedded profile.
        progress: told of every step.

    Returns:
        The figures of the planner, and of the last stage, on what was held out.

    Raises:
        ParameterError: the folder holds another training, there are too few subjects, or what it is to begin with has
            other widths.
        WeightsError: what it is to begin with is missing or wrong.
    """
    seed_everything(config[1].seed)
    out.mkdir(parents=True, exist_ok=True)
    course = Course(material, config[1])
    encoders = encoders or (MeanPooledEncoder("minilm"), image_encoder("efficientnet_lite0"))
    prepared = Prepared.of(course, encoders, out, progress)
    network = PersonalVideoNetwork(config[0].widths).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if config[0].start:
        network.load_state_dict(_begun(config[0]).state_dict())
    config_of = StageConfig(
        **{part.name: getattr(config[0], part.name) for part in fields(TrainConfig)},
        seed=config[1].seed,
        course=_in_words(course),
    )
    planning = replace(config_of, steps=config_of.plan_steps)
    said = prepared.scripts, prepared.prompts
    figures = PlanStage(network.planner, course, said, planning, out / "planning").run(part_of(progress, 0, 3))
    first = replace(config_of, steps=config_of.extraction_steps)
    Stage(network, (course, prepared), first, out / "extraction", first.pictures).run(0, part_of(progress, 1, 3))
    second = Stage(network, (course, prepared), config_of, out / "generation", 0)
    figures |= second.run(first.steps, part_of(progress, 2, 3))
    write_network(network, out / FILE, {**origin("personal_video"), "seed": str(config[1].seed)})
    return figures


def _begun(config: TrainConfig) -> PersonalVideoNetwork:
    """The networks that a training begins with.

    Raises:
        ParameterError: they have other widths.
        WeightsError: they are missing or wrong.
    """
    network = load_network(Path(config.start))
    if network.generation.widths != config.widths:
        raise ParameterError(f"{config.start} has {network.generation.widths}; train with the same widths.")
    return network


def _in_words(course: Course) -> str:
    """What must be the same for a training to be gone on with; how many processes compose clips is free."""
    material = course.material
    keys = [subject.key for subject in material.subjects] + [photograph.key for photograph in material.photographs]
    digest = hashlib.sha256(" ".join(keys).encode()).hexdigest()[:16]
    return f"{replace(course.config, workers=0)!r} {digest}"
