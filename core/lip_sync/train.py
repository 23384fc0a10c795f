"""Training in two stages (METHODS 4): the feature extraction alone, then, with it frozen, generator and discriminator.

Between them a few minutes go into how far what is heard opens the mouth. All are steps of the loop that tools share,
with figures on clips of other faces and voices at every checkpoint. Of several processes each takes its share of a
batch's clips, and all see and hear against the moments of the whole batch (`core.sharing`).
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from core.command_line import origin
from core.errors import ParameterError, check_ranges
from core.lip_sync.assessment import offset_figures, opening_figures, picture_figures, widest
from core.lip_sync.data import SHIFTS, Drawn, Look, Runs, Split, batches, drawn, louder, moments, runs, spoken
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
from core.lip_sync.network import FILE
from core.lip_sync.opening import Opening, quantile_loss
from core.runtime import Progress, part_of, placement, seed_everything, silent
from core.sharing import even, gathered, share_of_mine
from core.training import Losses, TrainingLoop, write_trained

APART = 4
"""Moments nearer to each other than this look and sound alike, and are no contrast."""
_SPOKEN = 4
"""So many times as many clips are in a batch where they are only listened to."""


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
    write_trained(network, out / FILE, {**origin("lip_sync"), "seed": str(config.seed)})
    return picture_figures(network, split.held_out)


def train_features(
    split: Split, config: TrainConfig, folder: Path, look: Look | None = None, progress: Progress = silent
) -> FeatureExtraction:
    """The first stage: sight and hearing alone, until they agree."""
    seed_everything(config.seed)
    features = FeatureExtraction().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    loop = TrainingLoop({"features": features}, config, folder)
    draw = _draws(split, config.clips, loop)

    def one_step(step: int) -> Losses:
        taken = moments(draw(step), config.moments, look).to(loop.accelerator.device)
        with placement().autocast():
            seen, heard = features(taken.groups, taken.windows.flatten(0, 1))
        runs_seen, around = (vectors.unflatten(0, (len(taken.windows), -1)) for vectors in (seen, heard))
        here, scale = around[:, SHIFTS:-SHIFTS], features.scale.clamp(1, 50)
        sights, sounds = (gathered(vectors[:, ::APART].flatten(0, 1)) for vectors in (runs_seen, here))
        told = features.told_opening(torch.cat([seen, here.flatten(0, 1)]))
        losses = {
            "offset": offset_loss(runs_seen, around, 3 * scale),
            "sync": sync_loss(sights, sounds, scale),
            "opening": opening_loss(told, taken.opening.repeat(2)),
        }
        loop.descend("features", losses["offset"] + losses["sync"] + config.opening * losses["opening"])
        return losses

    loop.run(one_step, lambda: offset_figures(features, split.held_out), progress)
    return features.eval()


def train_opening(
    split: Split, features: FeatureExtraction, config: TrainConfig, folder: Path, progress: Progress = silent
) -> Opening:
    """Between both stages: the features frozen, how far the mouth opens by what is heard."""
    seed_everything(config.seed)
    opening = Opening()
    loop = TrainingLoop({"opening": opening}, config, folder)
    draw, device = _draws(split, _SPOKEN * config.clips, loop), loop.accelerator.device
    features.eval().requires_grad_(False).to(device)

    def one_step(step: int) -> Losses:
        parts = [(*spoken(clip), random) for clip, random in draw(step)]
        windows = torch.cat([louder(heard, random, Look()) for heard, _, random in parts]).to(device)
        with placement().autocast():
            told = opening.told(features.hearing(windows))
        loss = quantile_loss(told, torch.cat([opens for _, opens, _ in parts]).to(device), config.quantile)
        loop.descend("opening", loss)
        return {"quantile": loss}

    loop.run(one_step, lambda: opening_figures(features, opening, split.held_out), progress)
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
    loop = TrainingLoop(networks, config, folder)
    draw, device = _draws(split, config.clips, loop), loop.accelerator.device
    network.to(device)

    def one_step(step: int) -> Losses:
        taken = runs(draw(step), GROUP, Look()).to(device)
        with placement().autocast():
            made = network(taken.groups, taken.windows, taken.given)
        losses = generator_losses(network, discriminator, taken, made, config)
        loop.descend("generator", losses["generator"])
        if config.deception:
            losses["discriminator"] = _judged(discriminator, taken, made)
            loop.descend("discriminator", losses["discriminator"])
        return losses

    loop.run(one_step, lambda: picture_figures(network, split.held_out), progress)
    return network.eval()


def _draws(split: Split, size: int, loop: TrainingLoop) -> Callable[[int], Drawn]:
    """This process's clips of each step's batch, by its number; all processes have equally many.

    Raises:
        ParameterError: there are fewer clips than processes.
    """
    count, accelerator = len(split.train), loop.accelerator
    if count < accelerator.num_processes:
        raise ParameterError(
            f"There are {count} clips to train on and {accelerator.num_processes} processes; start fewer processes."
        )
    of_step = batches(split.train, even(min(size, count), accelerator), loop.config.seed)
    return lambda step: drawn(of_step(step), loop.random(step), share_of_mine(accelerator))


def generator_losses(
    network: MouthNetwork, discriminator: Discriminator, taken: Runs, made: Made, config: TrainConfig
) -> dict[str, Tensor]:
    """The parts of the generator's loss, and their weighted sum as ``generator``."""
    edges = network.features.gradient_map
    weight = mouth_weight(taken.given.landmarks, made.picture.shape[-1])
    losses = {
        "picture": picture_loss(made.picture, taken.truth, weight),
        "edges": picture_loss(edges(made.picture), edges(taken.truth), weight),
    }
    total = losses["picture"] + config.edges * losses["edges"]
    if config.agreement:
        groups = made.picture.unflatten(0, (-1, GROUP))
        with placement().autocast():
            seen, heard = network.features(groups, taken.windows[GROUP // 2 :: GROUP])
        told, middle = network.features.told_opening(seen), slice(GROUP // 2, None, GROUP)
        losses["agreement"] = agreement_loss(seen, heard)
        losses["opening"] = opening_loss(told, taken.opening[middle])
        total = total + config.agreement * (losses["agreement"] + losses["opening"])
    if config.deception:
        with placement().autocast():
            losses["deception"] = deception_loss(discriminator(made.picture, taken.given.landmarks).float())
        total = total + config.deception * losses["deception"]
    return losses | {"generator": total}


def _judged(discriminator: Discriminator, taken: Runs, made: Made) -> Tensor:
    with placement().autocast():
        real = discriminator(taken.truth, taken.given.landmarks).float()
        false = discriminator(made.picture.detach(), taken.given.landmarks).float()
    return discriminator_loss(real, false)
