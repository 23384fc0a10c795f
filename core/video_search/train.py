"""Training the encoder on a collection, and fine-tuning it on a user's own (METHODS 3, training).

One loop: two draws of each film of a batch, the Barlow Twins loss over the batch gathered from all processes, AdamW.
It runs through accelerate, goes on from its last checkpoint after a kill, and keeps the network that was best on the
films held out.
"""

import json
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from accelerate import Accelerator
from numpy.typing import NDArray
from torch import Tensor

from core.encoders.sequence import SequenceEncoder
from core.errors import ParameterError, check_ranges
from core.media.whole_file import written_whole
from core.runtime import Progress, placement, seed_everything, silent
from core.sharing import even, gathered, rows_of_mine
from core.video_search.data import DrawnFilms, padded
from core.video_search.losses import barlow_twins_loss
from core.video_search.metrics import micro_average_precision, recall_at_k

CHECKPOINT, METRICS = "checkpoint.pt", "metrics.jsonl"
LEAST_FILMS = 8
"""Fewer than that cannot be told apart along more than a handful of directions."""


@dataclass(frozen=True)
class TrainConfig:
    """How the network is trained.

    Raises:
        ParameterError: a value is out of its range.
    """

    epochs: int = field(default=10, metadata={"help": "passes over all drawn sequences, 1 to 10000"})
    batch: int = field(default=512, metadata={"help": "films in a batch, over all processes, 2 to 65536"})
    learning_rate: float = field(default=1e-3, metadata={"help": "highest learning rate, above 0"})
    weight_decay: float = field(default=0.01, metadata={"help": "decay of AdamW, 0 to 1"})
    warm_up: float = field(default=0.1, metadata={"help": "share of the steps in which the rate rises, 0 to 0.9"})
    seed: int = field(default=0, metadata={"help": "seed of the training"})

    def __post_init__(self) -> None:
        check_ranges(self, ("epochs", 1, 10_000), ("batch", 2, 65536), ("weight_decay", 0, 1), ("warm_up", 0, 0.9))
        if not self.learning_rate > 0:
            raise ParameterError(f"learning_rate is {self.learning_rate}; choose a number above 0.")


@dataclass(frozen=True)
class Figure:
    """How well copies find their originals among the held-out films."""

    recall_at_1: float
    """0 to 1, more is better."""
    micro_average_precision: float
    """0 to 1, more is better."""


class Training:
    """The state of one training: network, optimiser, and how far it is.

    Args:
        network: to be trained, changed in place.
        films: to train on.
        held_out: to measure with; empty measures nothing, and the last network is kept.
        config: how.
        folder: for checkpoint and metrics; an unfinished training there is gone on with.

    Raises:
        ParameterError: there are fewer than `LEAST_FILMS` films.
    """

    def __init__(
        self,
        network: SequenceEncoder,
        films: DrawnFilms,
        held_out: DrawnFilms | None,
        config: TrainConfig,
        folder: Path,
    ) -> None:
        if len(films) < LEAST_FILMS:
            raise ParameterError(f"There are {len(films)} films to train on; give at least {LEAST_FILMS}.")
        seed_everything(config.seed)
        self.films, self.held_out, self.config, self.folder = pooled(network, films), held_out, config, folder
        self.accelerator = Accelerator(mixed_precision="no")
        self.plain = network
        self.optimiser = torch.optim.AdamW(
            network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
        )
        self.network = self.accelerator.prepare(Projection(network))
        self.epoch, self.best = 0, -1.0
        self.best_weights = _copy_of(network)
        folder.mkdir(parents=True, exist_ok=True)
        self._resume()

    def run(self, progress: Progress = silent) -> SequenceEncoder:
        """Train to the end and return the best network.

        Raises:
            CancelledError: ``progress`` says so; the checkpoint of the last whole epoch is kept.
        """
        while self.epoch < self.config.epochs:
            started = time.perf_counter()
            loss = self._one_epoch(progress)
            self.epoch += 1
            told = measure(self.plain, self.held_out) if self.held_out else None
            if told is None or told.micro_average_precision > self.best:
                self.best = told.micro_average_precision if told else self.best
                self.best_weights = _copy_of(self.plain)
            self._keep(loss, told, time.perf_counter() - started)
        self.plain.load_state_dict(self.best_weights)
        return self.plain.eval()

    def _one_epoch(self, progress: Progress) -> float:
        self.network.train()
        random = np.random.default_rng([self.config.seed, self.epoch])
        torch.manual_seed(hash((self.config.seed, self.epoch, self.accelerator.process_index)) % 2**32)
        size = even(min(self.config.batch, len(self.films)), self.accelerator)
        batches = epoch_batches(len(self.films), self.films.shape[1], size, random)
        total = 0.0
        for done, indices in enumerate(batches):
            progress(self.epoch * len(batches) + done, self.config.epochs * len(batches), f"epoch {self.epoch + 1}")
            rate = self._rate((self.epoch + done / len(batches)) / self.config.epochs)
            for group in self.optimiser.param_groups:
                group["lr"] = rate
            total += self._step(indices, random)
        return total / len(batches)

    def _step(self, indices: NDArray[np.int64], random: np.random.Generator) -> float:
        """One step on two different draws of each film of a batch, of which every process takes its part."""
        draws = np.array([random.choice(self.films.shape[1], 2, replace=False) for _ in indices])
        films, drawn = (rows_of_mine(of_all, self.accelerator) for of_all in (indices, draws))
        first, second = (self.films[films, drawn[:, view]].float().to(self.accelerator.device) for view in (0, 1))
        with placement().autocast():
            z1, z2 = self.network(first), self.network(second)
        loss = barlow_twins_loss(gathered(z1.float()), gathered(z2.float()))
        self.optimiser.zero_grad()
        self.accelerator.backward(loss)
        torch.nn.utils.clip_grad_norm_(self.plain.parameters(), 10.0)
        self.optimiser.step()
        return float(loss.detach())

    def _rate(self, done: float) -> float:
        """Linear warm-up, then half a cosine down to a thousandth; ``done`` is the share of the training."""
        if done < self.config.warm_up:
            return self.config.learning_rate * max(done / self.config.warm_up, 0.01)
        rest = (done - self.config.warm_up) / (1 - self.config.warm_up)
        return self.config.learning_rate * max(0.5 * (1 + math.cos(math.pi * rest)), 0.001)

    def _keep(self, loss: float, told: Figure | None, seconds: float) -> None:
        if not self.accelerator.is_main_process:
            return
        row = {"epoch": self.epoch, "loss": round(loss, 3), "seconds": round(seconds, 2)}
        if told:
            row |= {"recall_at_1": told.recall_at_1, "micro_average_precision": told.micro_average_precision}
        with (self.folder / METRICS).open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(row) + "\n")
        state = {
            "config": self._settings(),
            "epoch": self.epoch,
            "best": self.best,
            "network": self.plain.state_dict(),
            "best_weights": self.best_weights,
            "optimiser": self.optimiser.state_dict(),
        }
        with written_whole(self.folder / CHECKPOINT) as part:
            torch.save(state, part)

    def _settings(self) -> str:
        """What a checkpoint must have been made with to be gone on with."""
        return repr((self.config, self.plain.config.to_json(), len(self.films)))

    def _resume(self) -> None:
        path = self.folder / CHECKPOINT
        if not path.exists():
            self._keep_metrics_of(0)
            return
        state = torch.load(path, weights_only=True)
        if state["config"] != self._settings():
            raise ParameterError(
                f"The folder {self.folder} holds a training with other settings; name another one, or empty it."
            )
        self.epoch, self.best, self.best_weights = state["epoch"], state["best"], state["best_weights"]
        self.plain.load_state_dict(state["network"])
        self.optimiser.load_state_dict(state["optimiser"])
        self._keep_metrics_of(self.epoch)

    def _keep_metrics_of(self, epochs: int) -> None:
        """Forget what was written of an epoch whose checkpoint never came: the process was killed in between."""
        path = self.folder / METRICS
        if path.exists() and self.accelerator.is_main_process:
            lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
            with written_whole(path) as part:
                part.write_text("".join(lines[:epochs]), encoding="utf-8")


class Projection(torch.nn.Module):
    """The part of a network that is learned, as a module of its own, which accelerate can share out."""

    def __init__(self, network: SequenceEncoder) -> None:
        super().__init__()
        self.network = network

    def forward(self, terms: Tensor) -> Tensor:
        """See `SequenceEncoder.project`."""
        return self.network.project(terms)


def pooled(network: SequenceEncoder, films: DrawnFilms, batch: int = 64) -> Tensor:
    """The cosine terms (films, draws, terms, features), float16, of all draws: what of the network is not learned."""
    draws = [draw for film in films.films for draw in film]
    device = network.feature_mean.device
    with torch.no_grad():
        parts = [
            network.terms(*(tensor.to(device) for tensor in padded(draws[start : start + batch]))).half().cpu()
            for start in range(0, len(draws), batch)
        ]
    return torch.cat(parts).unflatten(0, (len(films), -1))


def epoch_batches(films: int, draws: int, batch: int, random: np.random.Generator) -> list[NDArray[np.int64]]:
    """Indices of films, each film in as many batches as it has pairs of draws, no film twice in a batch."""
    size, batches = min(batch, films), []
    for _ in range(max(1, draws // 2)):
        order = random.permutation(films)
        batches += [order[start : start + size] for start in range(0, films - size + 1, size)]
    return batches


@torch.no_grad()
def encode(network: SequenceEncoder, terms: Tensor) -> NDArray[np.float32]:
    """Unit vectors (films, draws, D) of what `pooled` gives."""
    network.eval()
    device = network.feature_mean.device
    return np.stack([F.normalize(network.project(film.float().to(device)), dim=1).cpu().numpy() for film in terms])


def measure(network: SequenceEncoder, films: DrawnFilms, copies: int = 7) -> Figure:
    """How well drawn copies of films find the films as they are, among all of ``films``."""
    vectors = encode(network, pooled(network, films)[:, : copies + 1])
    drawn = vectors[:, 1:].reshape(-1, vectors.shape[2])
    scores = drawn @ vectors[:, 0].T
    truth = np.repeat(np.arange(len(films)), vectors.shape[1] - 1)[:, None] == np.arange(len(films))
    return Figure(float(recall_at_k(scores, truth, 1)), float(micro_average_precision(scores, truth)))


def feature_statistics(films: DrawnFilms) -> Mapping[str, Tensor]:
    """Mean and deviation, (features,), of the frames of all draws."""
    frames = np.concatenate([np.concatenate(film) for film in films.films]).astype(np.float32)
    return {"mean": torch.from_numpy(frames.mean(0)), "deviation": torch.from_numpy(frames.std(0) + 1e-3)}


def _copy_of(network: SequenceEncoder) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in network.state_dict().items()}
