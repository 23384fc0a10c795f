"""Training in two stages (METHODS 4): the feature extraction alone, then, with it frozen, generator and discriminator.

Between them a few minutes go into how far what is heard opens the mouth. All are steps of one loop: AdamW under a
cosine, figures on clips of other faces and voices at every checkpoint, and after a kill it goes on from the last one.
"""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor, nn

from core.command_line import origin
from core.errors import ParameterError, check_ranges
from core.lip_sync.assessment import offset_figures, opening_figures, picture_figures, widest
from core.lip_sync.data import SHIFTS, Look, Runs, Split, batches, louder, moments, runs, spoken
from core.lip_sync.generator import Discriminator, Generator, Made, MouthNetwork
from core.lip_sync.losses import (
    agreement_loss,
    deception_loss,
    discriminator_loss,
    mouth_weight,
    offset_loss,
    opening_loss,
    picture_loss,
    sync_loss,
)
from core.lip_sync.model import GROUP, FeatureExtraction
from core.lip_sync.network import FILE, write_network
from core.lip_sync.opening import Opening, quantile_loss
from core.media.whole_file import written_whole
from core.runtime import Progress, part_of, placement, seed_everything, silent

CHECKPOINT, METRICS = "checkpoint.pt", "metrics.jsonl"
APART = 4
"""Moments nearer to each other than this look and sound alike, and are no contrast."""
_SPOKEN = 4
"""So many times as many clips are in a batch where they are only listened to."""
Losses = Mapping[str, Tensor]


@dataclass(frozen=True)
class TrainConfig:
    """How a stage is trained.

    Raises:
        ParameterError: a value is out of its range.
    """

    steps: int = field(default=4000, metadata={"help": "steps of the second stage, 1 to 10000000"})
    feature_steps: int = field(default=1600, metadata={"help": "steps of the first stage, 1 to 10000000"})
    opening_steps: int = field(default=600, metadata={"help": "steps between both, for the opening, 1 to 1000000"})
    quantile: float = field(default=0.1, metadata={"help": "of openings, that is told; 0.5: the median, 0 to 1"})
    clips: int = field(default=4, metadata={"help": "clips in a batch, 1 to 256"})
    moments: int = field(default=16, metadata={"help": "moments of each run in the first stage, 2 to 64"})
    learning_rate: float = field(default=1e-3, metadata={"help": "highest of the second stage, 0.000001 to 1"})
    feature_learning_rate: float = field(default=1e-3, metadata={"help": "highest of the first, 0.000001 to 1"})
    weight_decay: float = field(default=0.01, metadata={"help": "decay of AdamW, 0 to 1"})
    opening: float = field(default=1.0, metadata={"help": "weight of the mouth's opening in the first stage, 0 to 10"})
    deception: float = field(default=0.02, metadata={"help": "weight of the discriminator's word, 0 to 10; 0: none"})
    edges: float = field(default=1.0, metadata={"help": "weight of the difference of gradient maps, 0 to 10"})
    agreement: float = field(default=0.05, metadata={"help": "weight of sync and opening as they are seen, 0 to 10"})
    checkpoint_every: int = field(default=250, metadata={"help": "steps between checkpoints, 1 to 100000"})
    seed: int = field(default=0, metadata={"help": "seed of the training"})

    def __post_init__(self) -> None:
        check_ranges(
            self,
            ("steps", 1, 10_000_000),
            ("feature_steps", 1, 10_000_000),
            ("opening_steps", 1, 1_000_000),
            ("quantile", 0, 1),
            ("clips", 1, 256),
            ("moments", 2, 64),
            ("learning_rate", 1e-6, 1),
            ("feature_learning_rate", 1e-6, 1),
            ("weight_decay", 0, 1),
            ("opening", 0, 10),
            ("deception", 0, 10),
            ("agreement", 0, 10),
            ("edges", 0, 10),
            ("checkpoint_every", 1, 100_000),
        )


class Stage:
    """The state of one stage: its networks, an optimiser for each, and how far it is.

    Args:
        networks: by name, trained in place.
        config: how.
        folder: for checkpoint and metrics; an unfinished training there is gone on with.

    Raises:
        ParameterError: the folder holds a training with other settings.
    """

    def __init__(self, networks: Mapping[str, nn.Module], config: TrainConfig, folder: Path) -> None:
        self.networks, self.config, self.folder, self.step = networks, config, folder, 0
        self.accelerator = Accelerator(mixed_precision="no")
        self.optimisers = {
            name: torch.optim.AdamW(
                network.parameters(), config.learning_rate, betas=(0.9, 0.99), weight_decay=config.weight_decay
            )
            for name, network in networks.items()
        }
        folder.mkdir(parents=True, exist_ok=True)
        self._resume()

    def run(
        self,
        one_step: Callable[[int], Losses],
        measure: Callable[[], Mapping[str, float]],
        progress: Progress = silent,
    ) -> None:
        """Train to the end.

        Args:
            one_step: of a step's number; calls `descend` for each network, and returns the losses for the record.
            measure: figures on held-out clips.
            progress: told of every step; may stop the training, which then goes on from its last checkpoint.
        """
        sums: dict[str, float] = {}
        for network in self.networks.values():
            network.train()
        while self.step < self.config.steps:
            progress(self.step, self.config.steps, "training")
            self._set_rate()
            for name, loss in one_step(self.step).items():
                sums[name] = sums.get(name, 0.0) + float(loss.detach())
            self.step += 1
            every = (self.step - 1) % self.config.checkpoint_every + 1
            if every == self.config.checkpoint_every or self.step == self.config.steps:
                self._keep({name: round(total / every, 4) for name, total in sums.items()}, measure())
                sums = {}
        for network in self.networks.values():
            network.eval()

    def descend(self, name: str, loss: Tensor) -> None:
        """Go one step of a network down a loss."""
        self.optimisers[name].zero_grad()
        self.accelerator.backward(loss)
        torch.nn.utils.clip_grad_norm_(self.networks[name].parameters(), 1.0)
        self.optimisers[name].step()

    def random(self, step: int) -> np.random.Generator:
        """The random numbers of a step, the same whether or not the training was stopped before it."""
        torch.manual_seed(self.config.seed * 100_003 + step)
        return np.random.default_rng([self.config.seed, step])

    def _set_rate(self) -> None:
        """A twentieth of the training to rise, the rest to fall along half a cosine."""
        done = self.step / self.config.steps
        share = done / 0.05 if done < 0.05 else 0.5 * (1 + math.cos(math.pi * (done - 0.05) / 0.95))
        for optimiser in self.optimisers.values():
            for group in optimiser.param_groups:
                group["lr"] = self.config.learning_rate * max(share, 0.005)

    def _keep(self, losses: Mapping[str, float], figures: Mapping[str, float]) -> None:
        if not self.accelerator.is_main_process:
            return
        with (self.folder / METRICS).open("a", encoding="utf-8") as stream:
            stream.write(json.dumps({"step": self.step, **losses, **figures}) + "\n")
        state = {
            "config": repr(self.config),
            "step": self.step,
            "networks": {name: network.state_dict() for name, network in self.networks.items()},
            "optimisers": {name: optimiser.state_dict() for name, optimiser in self.optimisers.items()},
        }
        with written_whole(self.folder / CHECKPOINT) as part:
            torch.save(state, part)

    def _resume(self) -> None:
        path = self.folder / CHECKPOINT
        if not path.exists():
            (self.folder / METRICS).unlink(missing_ok=True)
            return
        state = torch.load(path, weights_only=True)
        if state["config"] != repr(self.config):
            raise ParameterError(
                f"The folder {self.folder} holds a training with other settings; name another one, or empty it."
            )
        self.step = state["step"]
        for name, network in self.networks.items():
            network.load_state_dict(state["networks"][name])
            self.optimisers[name].load_state_dict(state["optimisers"][name])


def train(clips: Path, config: TrainConfig, out: Path, progress: Progress = silent) -> dict[str, float]:
    """Both stages on a folder of clips; writes the weights, and goes on where it was stopped.

    Args:
        clips: as `core.lip_sync.material.make_clips` or `core.lip_sync.filming.film_clips` wrote them.
        config: of both stages; clips in a batch and moments of each are as they come for both.
        out: folder for checkpoints, metrics and weights.
        progress: told of every step.

    Returns:
        The figures of the second stage on clips of other faces and voices.
    """
    split = Split.of_folder(clips)
    first = replace(config, steps=config.feature_steps, learning_rate=config.feature_learning_rate)
    features = train_features(split, first, out / "features", Look(), part_of(progress, 0, 3))
    opening = train_opening(split, features, replace(first, steps=config.opening_steps), out / "opening",
                            part_of(progress, 1, 3))  # fmt: skip
    network = train_generator(split, (features, opening), config, out / "generator", part_of(progress, 2, 3))
    write_network(network, out / FILE, {**origin("lip_sync"), "seed": str(config.seed)})
    return picture_figures(network, split.held_out)


def train_features(
    split: Split, config: TrainConfig, folder: Path, look: Look | None = None, progress: Progress = silent
) -> FeatureExtraction:
    """The first stage: sight and hearing alone, until they agree."""
    seed_everything(config.seed)
    features = FeatureExtraction().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    stage, draws = Stage({"features": features}, config, folder), batches(split.train, config.clips, config.seed)

    def one_step(step: int) -> Losses:
        drawn = moments(draws(step), config.moments, stage.random(step), look)
        with placement().autocast():
            seen, heard = features(drawn.groups, drawn.windows.flatten(0, 1))
        around, scale = heard.unflatten(0, drawn.windows.shape[:2]), features.scale.clamp(1, 50)
        here = around[:, SHIFTS:-SHIFTS].flatten(0, 1)
        apart = slice(None, None, APART)
        losses = {
            "offset": offset_loss(seen.unflatten(0, (len(around), -1)), around, 3 * scale),
            "sync": sync_loss(seen[apart], here[apart], scale),
            "opening": opening_loss(features.told_opening(torch.cat([seen, here])), drawn.opening.repeat(2)),
        }
        stage.descend("features", losses["offset"] + losses["sync"] + config.opening * losses["opening"])
        return losses

    stage.run(one_step, lambda: offset_figures(features, split.held_out), progress)
    return features.eval()


def train_opening(
    split: Split, features: FeatureExtraction, config: TrainConfig, folder: Path, progress: Progress = silent
) -> Opening:
    """Between both stages: the features frozen, how far the mouth opens by what is heard."""
    seed_everything(config.seed)
    features.eval().requires_grad_(False)
    opening, draws = Opening(), batches(split.train, _SPOKEN * config.clips, config.seed)
    stage = Stage({"opening": opening}, config, folder)

    def one_step(step: int) -> Losses:
        random, parts = stage.random(step), [spoken(clip) for clip in draws(step)]
        windows = torch.cat([louder(windows, random, Look()) for windows, _ in parts])
        with placement().autocast():
            told = opening.told(features.hearing(windows))
        loss = quantile_loss(told, torch.cat([opens for _, opens in parts]), config.quantile)
        stage.descend("opening", loss)
        return {"quantile": loss}

    stage.run(one_step, lambda: opening_figures(features, opening, split.held_out), progress)
    opening.gain.fill_(widest(features, opening, split.train))
    return opening


def train_generator(
    split: Split,
    subnets: tuple[FeatureExtraction, Opening],
    config: TrainConfig,
    folder: Path,
    progress: Progress = silent,
) -> MouthNetwork:
    """The second stage: what hears is frozen, generator and discriminator in turns."""
    seed_everything(config.seed)
    for subnet in subnets:
        subnet.eval().requires_grad_(False)
    network, discriminator = MouthNetwork(*subnets, Generator()), Discriminator()
    network.generator.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    networks: dict[str, nn.Module] = {"generator": network.generator}
    if config.deception:
        networks["discriminator"] = discriminator
    stage, draws = Stage(networks, config, folder), batches(split.train, config.clips, config.seed)

    def one_step(step: int) -> Losses:
        drawn = runs(draws(step), GROUP, stage.random(step), Look())
        with placement().autocast():
            made = network(drawn.groups, drawn.windows, drawn.given)
        losses = generator_losses(network, discriminator, drawn, made, config)
        stage.descend("generator", losses["generator"])
        if config.deception:
            losses["discriminator"] = _judged(discriminator, drawn, made)
            stage.descend("discriminator", losses["discriminator"])
        return losses

    stage.run(one_step, lambda: picture_figures(network, split.held_out), progress)
    return network.eval()


def generator_losses(
    network: MouthNetwork, discriminator: Discriminator, drawn: Runs, made: Made, config: TrainConfig
) -> dict[str, Tensor]:
    """The parts of the generator's loss, and their weighted sum as ``generator``."""
    edges = network.features.gradient_map
    weight = mouth_weight(drawn.given.landmarks, made.picture.shape[-1])
    losses = {
        "picture": picture_loss(made.picture, drawn.truth, weight),
        "edges": picture_loss(edges(made.picture), edges(drawn.truth), weight),
    }
    total = losses["picture"] + config.edges * losses["edges"]
    if config.agreement:
        groups = made.picture.unflatten(0, (-1, GROUP))
        with placement().autocast():
            seen, heard = network.features(groups, drawn.windows[GROUP // 2 :: GROUP])
        told, middle = network.features.told_opening(seen), slice(GROUP // 2, None, GROUP)
        losses["agreement"] = agreement_loss(seen, heard)
        losses["opening"] = opening_loss(told, drawn.opening[middle])
        total = total + config.agreement * (losses["agreement"] + losses["opening"])
    if config.deception:
        with placement().autocast():
            losses["deception"] = deception_loss(discriminator(made.picture, drawn.given.landmarks).float())
        total = total + config.deception * losses["deception"]
    return losses | {"generator": total}


def _judged(discriminator: Discriminator, drawn: Runs, made: Made) -> Tensor:
    with placement().autocast():
        real = discriminator(drawn.truth, drawn.given.landmarks).float()
        false = discriminator(made.picture.detach(), drawn.given.landmarks).float()
    return discriminator_loss(real, false)
