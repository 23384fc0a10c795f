"""Designs of the generation network: how many clips a second each trains on, and how well it then knows held-out ones.

``python -m tests.benchmarks.personal_video_designs [PACK] [--seconds 120] [--only DESIGN …] [--folder FOLDER]``

Every design has the same time, in seconds of this process's CPU, so that other work on the machine does not count, and
the same clips. Designs: patches of 4 × 4 pixels with detail features by attention alone, on clips from the beginning,
or on single pictures for a fifth of the time and then on clips; the same network on latents of a small autoencoder,
which has a fifth of the time; and the shipped one, with copies of a subject's pixels where a planner says, which has a
fifth of the time, as have single pictures. Prints a Markdown table: millions of parameters, clips a second of the time
on clips, and the mean squared error of the clip that is told (-1 to 1) at four levels of noise, for subjects held out;
latents are noised as latents, so their levels are harder. The shipped design is measured with plans of its own, which
it makes sharp where others blur what they do not know, and with the plans that training tells it. Without a pack the
subjects are drawn in code, and small stand-ins take the encoders' places.
"""

import argparse
import math
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.encoders.image import image_encoder
from core.encoders.text import MeanPooledEncoder
from core.personal_video.composing import Material
from core.personal_video.conditioning import Text
from core.personal_video.data import Course, CourseConfig
from core.personal_video.flow import planned
from core.personal_video.network import PersonalVideoNetwork, Widths
from core.personal_video.plan_training import PlanStage
from core.personal_video.subjects import read_pack
from core.personal_video.train import MEASURED_LEVELS, Prepared, Stage, StageConfig, Taught, taught
from core.runtime import placement
from tests.benchmarks.video_search import table
from tests.personal_video.made import PlainEncoder, WordEncoder, material

RATE, HELD_OUT = 6e-4, 32
FIRST_SHARE = 0.2
PATHS, SCRIPTS = 64, 2000


class Pixels(nn.Module):
    """What needs no autoencoder."""

    def coded(self, clips: Tensor) -> Tensor:
        return clips

    def decoded(self, clips: Tensor) -> Tensor:
        return clips


class Latents(nn.Module):
    """An autoencoder of frames, with a quarter as many numbers: 3 channels at half the size."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(3, 48, 4, stride=2, padding=1), nn.GELU(), nn.Conv2d(48, 3, 3, padding=1)
        )
        self.decoder = nn.Sequential(
            nn.Conv2d(3, 96, 3, padding=1), nn.GELU(), nn.Conv2d(96, 48, 3, padding=1), nn.GELU(), nn.Conv2d(48, 12, 1)
        )

    def coded(self, clips: Tensor) -> Tensor:
        return torch.tanh(self.encoder(clips.flatten(0, 1))).unflatten(0, clips.shape[:2])

    def decoded(self, clips: Tensor) -> Tensor:
        return F.pixel_shuffle(self.decoder(clips.flatten(0, 1)), 2).unflatten(0, clips.shape[:2])


class Design:
    """A network with its time used up step by step; the learning rate falls along half a cosine over all of it."""

    def __init__(self, course: tuple[Course, Prepared], widths: Widths, seconds: float, folder: Path) -> None:
        torch.manual_seed(0)
        network = PersonalVideoNetwork(widths).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        config = StageConfig(steps=1_000_000, learning_rate=RATE, plans=PATHS, widths=widths)
        self.stage = Stage(network, course, config, folder / "clips", 0)
        said = course[1].scripts, course[1].prompts
        self.plans = PlanStage(network.planner, course[0], said, config, folder / "plans")
        self.course, self.said = course
        self.codec: Pixels | Latents = Pixels()
        self.seconds, self.used, self.on_clips = seconds, 0.0, 0.0
        self.clips = self.number = 0

    def batch(self) -> Taught:
        self.number += 1
        return taught(self.course.batch(self.number), self.said, np.random.default_rng(self.number), self.stage.device)

    def train(self, share: float, pictures: int = 0) -> None:
        """On clips, or on single pictures, for so much of the time."""
        self.stage.pictures = pictures
        self.stage.network.train()
        self._for(share, self._step)
        self.on_clips += 0 if pictures else share * self.seconds

    def train_codec(self, share: float) -> None:
        """An autoencoder alone, in whose latents the clips are from now on."""
        self.codec = Latents()
        optimiser = torch.optim.AdamW(self.codec.parameters(), 2e-3)

        def step() -> None:
            clips = self.batch().clips[:, ::4]
            loss = (self.codec.decoded(self.codec.coded(clips)) - clips).square().mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()

        self._for(share, step)

    def train_planner(self, share: float) -> None:
        """The planner alone."""

        def step() -> None:
            self.number += 1
            numbers, paths = self.course.paths(self.number, PATHS)
            text = Text.of([self.said.scripts.of(number) for number in numbers])
            self.plans.loop.descend("planner", self.plans.loss(text, torch.from_numpy(paths)))

        self._for(share, step)

    def _step(self) -> None:
        batch, random = self.batch(), self.stage.loop.random(self.number)
        with torch.no_grad():
            batch = replace(batch, clips=self.codec.coded(batch.clips))
        self.stage.loop.descend("network", self.stage.losses(batch, random)["loss"])
        self.clips += 0 if self.stage.pictures else len(batch.clips)

    def _for(self, share: float, step: Callable[[], None]) -> None:
        begin = time.process_time()
        while (spent := time.process_time() - begin) < share * self.seconds:
            done = (self.used + spent) / self.seconds
            for optimiser in (*self.stage.loop.optimisers.values(), *self.plans.loop.optimisers.values()):
                for group in optimiser.param_groups:
                    group["lr"] = RATE * max(0.005, 0.5 * (1 + math.cos(math.pi * done)))
            step()
        self.used += share * self.seconds

    @torch.no_grad()
    def errors(self, own_plans: bool) -> list[float]:
        """Of held-out subjects' clips, at each level."""
        self.stage.pictures = 0
        self.stage.network.eval()
        batch = taught(
            self.course.held_out("subject", HELD_OUT), self.said, np.random.default_rng(0), self.stage.device
        )
        if own_plans:
            shape, generator = batch.plan.paths.shape[1:3], torch.Generator().manual_seed(0)
            paths = planned(self.stage.network.planner, batch.given.text, (shape[0], shape[1]), generator)
            batch = replace(batch, plan=replace(batch.plan, paths=paths))
        coded = replace(batch, clips=self.codec.coded(batch.clips))
        noise = torch.randn(coded.clips.shape, generator=torch.Generator().manual_seed(0))
        found = []
        for number in MEASURED_LEVELS:
            with placement().autocast():
                made = self.stage.made(coded, torch.full((HELD_OUT,), number), noise)
            found.append(float((self.codec.decoded(made.float()) - batch.clips).square().mean()))
        return found


def at_once(design: Design) -> None:
    design.train(1)


def after_pictures(design: Design) -> None:
    design.train(FIRST_SHARE, 4)
    design.train(1 - FIRST_SHARE)


def after_codec(design: Design) -> None:
    design.train_codec(FIRST_SHARE)
    design.train(1 - FIRST_SHARE)


def after_planner(design: Design) -> None:
    design.train_planner(FIRST_SHARE)
    design.train(FIRST_SHARE, 4)
    design.train(1 - 2 * FIRST_SHARE)


PLANS: dict[str, tuple[bool, Callable[[Design], None]]] = {
    "patches": (False, at_once),
    "patches, pictures first": (False, after_pictures),
    "patches, latents": (False, after_codec),
    "planned copies": (True, after_planner),
}
"""Whether a design copies, and how it uses its time."""


def rows(course: tuple[Course, Prepared], name: str, seconds: float, folder: Path) -> list[list[str]]:
    """A design's row after its time; of one that copies two, since the second is told the paths."""
    copies, plan = PLANS[name]
    design = Design(course, Widths(copies=copies), seconds, folder)
    plan(design)
    size = sum(p.numel() for p in design.stage.network.parameters()) / 1e6
    told = [name, f"{size:.1f}", f"{design.clips / design.on_clips:.1f}"]
    found = [[*told, *(f"{error:.4f}" for error in design.errors(own_plans=copies))]]
    if copies:
        found.append(["the same, told the paths", *told[1:], *(f"{error:.4f}" for error in design.errors(False))])
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pack", nargs="?", type=Path, help="subjects, as `pack` wrote them")
    parser.add_argument("--seconds", type=float, default=120, help="of CPU for each design (default: 120)")
    parser.add_argument("--only", nargs="+", default=[], choices=PLANS, metavar="DESIGN", help="as in the table")
    parser.add_argument("--folder", type=Path, help="where what encoders say is kept")
    arguments = parser.parse_args()
    config = CourseConfig(scripts=SCRIPTS, workers=0, clips=4)
    with tempfile.TemporaryDirectory() as name:
        folder = arguments.folder or Path(name)
        folder.mkdir(parents=True, exist_ok=True)
        if arguments.pack:
            course = Course(Material(read_pack(arguments.pack)), config)
            said = Prepared.of(course, (MeanPooledEncoder("minilm"), image_encoder("efficientnet_lite0")), folder)
        else:
            course = Course(material(400), config)
            said = Prepared.of(course, (WordEncoder(), PlainEncoder()), folder)
        lines: list[list[str]] = []
        for design in arguments.only or PLANS:
            lines += rows((course, said), design, arguments.seconds, Path(name) / design.replace(" ", "_"))
            print(lines[-1], flush=True)
    levels = [f"error at {level}" for level in MEASURED_LEVELS]
    print(table(["design", "M parameters", "clips per CPU s", *levels], lines))


if __name__ == "__main__":
    main()
