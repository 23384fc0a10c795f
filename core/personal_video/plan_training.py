"""Training of the planner: paths from words. No picture is rendered, so a batch is as large as it may be."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from core.personal_video.conditioning import PromptFeatures, Text
from core.personal_video.data import Course
from core.personal_video.flow import drawn_levels, noised, planned
from core.personal_video.motions import Motion, recognised
from core.personal_video.planning import Planner, plan_loss, seen_of
from core.personal_video.prepared import PromptEncoder, ScriptFeatures
from core.personal_video.scripts import Script, drawn_script
from core.runtime import Progress, placement, silent
from core.training import LoopConfig, Losses, TrainingLoop

AVERAGED = 0.999
_MEASURED = 64
_UNNAMED = 0.3
"""How often a concept is told by the words that stand for it, as in modes c, d and e."""


class PlanConfig(LoopConfig, Protocol):
    """That of a loop, and how many paths are in a batch, and how many are made without their words."""

    @property
    def plans(self) -> int:
        """Paths in a batch."""

    @property
    def without_text(self) -> float:
        """A share, 0 to 1."""


class PlanStage:
    """The loop of the planner, and its step.

    Args:
        planner: trained in place.
        course: of its scripts.
        said: what the first encoder says of them, and that encoder.
        config: of the stage.
        folder: for checkpoint and metrics.
    """

    def __init__(
        self,
        planner: Planner,
        course: Course,
        said: tuple[ScriptFeatures, PromptEncoder],
        config: PlanConfig,
        folder: Path,
    ) -> None:
        self.planner, self.course, self.config = planner, course, config
        self.scripts, self.prompts = said
        self.loop = TrainingLoop({"planner": planner}, config, folder, AVERAGED)
        self.device = self.loop.accelerator.device

    def run(self, progress: Progress = silent) -> dict[str, float]:
        """Train to the end; gives the figures of the end."""
        self.loop.run(self._step, self.measure, progress)
        return self.measure()

    def _step(self, step: int) -> Losses:
        random, world = self.loop.random(step), self.loop.accelerator
        numbers, paths = self.course.paths(step * world.num_processes + world.process_index, self.config.plans)
        text = unnamed(Text.of([self.scripts.of(number) for number in numbers]), random).to(self.device)
        loss = self.loss(text, torch.from_numpy(paths).to(self.device))
        self.loop.descend("planner", loss)
        return {"loss": loss}

    def loss(self, text: Text, paths: Tensor) -> Tensor:
        """Of a batch of paths (B, K, T, 5)."""
        seen, level = seen_of(paths), drawn_levels(len(paths)).to(self.device)
        kept = text.kept & (torch.rand(len(paths), 1, device=self.device) >= self.config.without_text)
        with placement().autocast():
            noisy = noised(seen, torch.randn_like(seen), level)
            made = self.planner(noisy, level, text.hidden, text.slots, kept)
        return plan_loss(made, seen, level)

    @torch.no_grad()
    def measure(self) -> dict[str, float]:
        """On scripts that were not trained on: how often a plan is read as what was asked for."""
        motions, text = self._asked
        paths = planned(self.planner, text, (1, self.course.config.frames), torch.Generator().manual_seed(1))
        read = [recognised(path) for path in paths[:, 0].cpu().double().numpy()]
        return as_figures(motions, read)

    @cached_property
    def _asked(self) -> tuple[list[Motion], Text]:
        random, known = np.random.default_rng([self.course.config.seed, 5]), set(self.course.scripts)
        scripts: list[Script] = []
        while len(scripts) < _MEASURED:
            script = drawn_script(random, self.course.material.photographs, 1, (self.course.config.plain_share, 1.0))
            scripts += [script] if script not in known else []
        prompts: Sequence[PromptFeatures] = self.prompts.features([script.told() for script in scripts])
        return [script.roles[0].motion for script in scripts], Text.of(prompts).to(self.device)


def unnamed(text: Text, random: np.random.Generator) -> Text:
    """The same; some prompts by lot with the words themselves in the concepts' places."""
    by_words = torch.from_numpy(random.random(len(text.slots)) < _UNNAMED)[:, None]
    return Text(text.hidden, text.slots.masked_fill(by_words, 0), text.kept)


def as_figures(asked: Sequence[Motion], read: Sequence[Motion]) -> dict[str, float]:
    """How many motions are read right: the action, the direction where there is one, the speed likewise."""
    pairs = list(zip(asked, read, strict=True))
    figures = {"plan_action": float(np.mean([one.action == other.action for one, other in pairs]))}
    for part in ("direction", "speed"):
        told = [(getattr(one, part), getattr(other, part)) for one, other in pairs if getattr(one, part)]
        figures[f"plan_{part}"] = float(np.mean([one == other for one, other in told])) if told else 1.0
    return {name: round(value, 4) for name, value in figures.items()}
