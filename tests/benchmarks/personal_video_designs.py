"""Designs of the generation network: how many clips a second each trains on, and how well it then knows held-out ones.

``python -m tests.benchmarks.personal_video_designs [PACK] [--seconds 120] [--folder FOLDER]``

Every design has the same time, in seconds of this process's CPU, so that other work on the machine does not count, and
the same clips. Designs: patches of 4 × 4 pixels with detail features by attention alone; the same network on latents of
a small autoencoder, which has a fifth of the time; the first on single pictures for a fifth of the time and then on
clips; and with copies, learned maps through which a subject's pixels are drawn, in one stage and in two. Prints a
Markdown table: millions of parameters, clips a second, and the mean squared error of the clip that is told (-1 to 1) at
four levels of noise, for subjects held out; latents are noised as latents, so their levels are harder. Without a pack
the subjects are drawn in code, and small stand-ins take the encoders' places.
"""

import argparse
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
from core.personal_video.data import Course, CourseConfig
from core.personal_video.network import PersonalVideoNetwork, Widths
from core.personal_video.subjects import read_pack
from core.personal_video.train import MEASURED_LEVELS, Prepared, Stage, StageConfig, Taught, taught
from core.runtime import placement
from tests.benchmarks.video_search import table
from tests.personal_video.made import PlainEncoder, WordEncoder, material

RATE, HELD_OUT = 6e-4, 8
FIRST_SHARE = 0.2


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
    """A network with its time used up step by step."""

    def __init__(self, course: tuple[Course, Prepared], widths: Widths, folder: Path, latent: bool = False) -> None:
        torch.manual_seed(0)
        network = PersonalVideoNetwork(widths).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        config = StageConfig(steps=1_000_000, learning_rate=RATE, widths=widths)
        self.stage = Stage(network, course, config, folder, 0)
        self.course, self.said = course
        self.codec: Pixels | Latents = Latents() if latent else Pixels()
        self.clips = self.number = 0

    def batch(self) -> Taught:
        self.number += 1
        return taught(self.course.batch(self.number), self.said, np.random.default_rng(self.number), self.stage.device)

    def train(self, seconds: float, pictures: int = 0) -> None:
        """On clips, or on single pictures, for so long."""
        self.stage.pictures = pictures
        self.stage.network.train()
        self._for(seconds, self._step)

    def train_codec(self, seconds: float) -> None:
        """The autoencoder alone."""
        optimiser = torch.optim.AdamW(self.codec.parameters(), 2e-3)

        def step() -> None:
            clips = self.batch().clips[:, ::4]
            loss = (self.codec.decoded(self.codec.coded(clips)) - clips).square().mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()

        self._for(seconds, step)

    def _step(self) -> None:
        batch, random = self.batch(), self.stage.loop.random(self.number)
        with torch.no_grad():
            batch = replace(batch, clips=self.codec.coded(batch.clips))
        self.stage.loop.descend("network", self.stage.losses(batch, random)["loss"])
        self.clips += 0 if self.stage.pictures else len(batch.clips)

    def _for(self, seconds: float, step: Callable[[], None]) -> None:
        begin = time.process_time()
        while time.process_time() - begin < seconds:
            step()

    @torch.no_grad()
    def errors(self) -> list[float]:
        """Of held-out subjects' clips, at each level."""
        self.stage.pictures = 0
        self.stage.network.eval()
        batch = taught(
            self.course.held_out("subject", HELD_OUT), self.said, np.random.default_rng(0), self.stage.device
        )
        coded = replace(batch, clips=self.codec.coded(batch.clips))
        noise = torch.randn(coded.clips.shape, generator=torch.Generator().manual_seed(0))
        found = []
        for number in MEASURED_LEVELS:
            with placement().autocast():
                made = self.stage.made(coded, torch.full((HELD_OUT,), number), noise)
            found.append(float((self.codec.decoded(made.float()) - batch.clips).square().mean()))
        return found


def designs(course: tuple[Course, Prepared], seconds: float, folder: Path) -> list[list[str]]:
    """Each design's row, after the same time."""
    plain, first = Widths(copies=False), FIRST_SHARE * seconds

    def at_once(design: Design) -> None:
        design.train(seconds)

    def after_codec(design: Design) -> None:
        design.train_codec(first)
        design.train(seconds - first)

    def after_pictures(design: Design) -> None:
        design.train(first, 4)
        design.train(seconds - first)

    plans: dict[str, tuple[Widths, bool, Callable[[Design], None]]] = {
        "patches": (plain, False, at_once),
        "patches, latents": (plain, True, after_codec),
        "patches, pictures first": (plain, False, after_pictures),
        "copies": (Widths(), False, at_once),
        "copies, pictures first": (Widths(), False, after_pictures),
    }
    lines = []
    for name, (widths, latent, plan) in plans.items():
        design = Design(course, widths, folder / name.replace(" ", "_"), latent)
        plan(design)
        on_clips = seconds if plan is at_once else seconds - first
        size = sum(p.numel() for p in design.stage.network.parameters()) / 1e6
        errors = [f"{error:.4f}" for error in design.errors()]
        lines.append([name, f"{size:.1f}", f"{design.clips / on_clips:.1f}", *errors])
        print(lines[-1], flush=True)
    return lines


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pack", nargs="?", type=Path, help="subjects, as `pack` wrote them")
    parser.add_argument("--seconds", type=float, default=120, help="of CPU for each design (default: 120)")
    parser.add_argument("--folder", type=Path, help="where what encoders say is kept")
    arguments = parser.parse_args()
    config = CourseConfig(scripts=120, workers=0, clips=4)
    with tempfile.TemporaryDirectory() as name:
        folder = arguments.folder or Path(name)
        if arguments.pack:
            course = Course(Material(read_pack(arguments.pack)), config)
            said = Prepared.of(course, (MeanPooledEncoder("minilm"), image_encoder("efficientnet_lite0")), folder)
        else:
            course = Course(material(400), config)
            said = Prepared.of(course, (WordEncoder(), PlainEncoder()), folder)
        lines = designs((course, said), arguments.seconds, Path(name))
    levels = [f"error at {level}" for level in MEASURED_LEVELS]
    print(table(["design", "M parameters", "clips per CPU s", *levels], lines))


if __name__ == "__main__":
    main()
