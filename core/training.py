"""One training loop for all tools: AdamW under a cosine, averaged weights, figures at checkpoints, and going on after a
kill as if there had been none. It runs through accelerate, so one command serves a CPU, a GPU, and several; what each
of several processes does is told in `core.sharing`.
"""

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from accelerate import Accelerator
from safetensors.torch import save_file
from torch import Tensor, nn

from core.errors import ParameterError
from core.media.whole_file import written_whole
from core.runtime import Progress, silent
from core.sharing import mean_of_all, seed_of, share_gradients

CHECKPOINT, METRICS = "checkpoint.pt", "metrics.jsonl"
Losses = Mapping[str, Tensor]


class LoopConfig(Protocol):
    """What a loop must be told; a config with more fields serves as well, and all of them must stay as they are."""

    @property
    def steps(self) -> int:
        """In all."""

    @property
    def learning_rate(self) -> float:
        """The highest."""

    @property
    def weight_decay(self) -> float:
        """Of AdamW, on all that has two dimensions or more."""

    @property
    def checkpoint_every(self) -> int:
        """Steps between checkpoints."""

    @property
    def seed(self) -> int:
        """Of the training."""


class TrainingLoop:
    """The state of a training: its networks, an optimiser for each, averages of the weights, and how far it is.

    Args:
        networks: by name, trained in place; what needs no gradient is left as it is.
        config: how; what its ``repr`` says must be the same when a training is gone on with.
        folder: for checkpoint and metrics; an unfinished training there is gone on with.
        averaged: 0, or how slowly the average follows the weights, such as 0.999 (it follows faster at first).

    Raises:
        ParameterError: the folder holds a training with other settings.
    """

    def __init__(
        self, networks: Mapping[str, nn.Module], config: LoopConfig, folder: Path, averaged: float = 0.0
    ) -> None:
        self.networks, self.config, self.folder, self.step = networks, config, folder, 0
        self.accelerator = Accelerator(mixed_precision="no")
        for network in networks.values():
            network.to(self.accelerator.device)
        self.averaged = averaged
        self.averages = {name: _copy_of(network) for name, network in networks.items()} if averaged else {}
        self.optimisers = {name: _optimiser(network, config) for name, network in networks.items()}
        folder.mkdir(parents=True, exist_ok=True)
        self._resume()

    def run(
        self,
        one_step: Callable[[int], Losses],
        measure: Callable[[], Mapping[str, float]],
        progress: Progress = silent,
    ) -> None:
        """Train to the end, and leave the averages, where there are any, in the networks.

        Args:
            one_step: of a step's number; calls `descend` for each network, and returns the losses for the record.
            measure: figures at a checkpoint; it sees the averages.
            progress: told of every step; may stop the training, which then goes on from its last checkpoint.
        """
        sums: dict[str, list[float]] = {}
        self._train_mode(True)
        while self.step < self.config.steps:
            progress(self.step, self.config.steps, "training")
            self._set_rate()
            for name, loss in one_step(self.step).items():
                sums.setdefault(name, []).append(mean_of_all(loss, self.accelerator))
            self._average()
            self.step += 1
            if self.step % self.config.checkpoint_every == 0 or self.step == self.config.steps:
                self._keep({name: round(sum(told) / len(told), 5) for name, told in sums.items()}, measure)
                sums = {}
        self._train_mode(False)
        self._exchange()
        self.averages = {}

    def descend(self, name: str, loss: Tensor) -> None:
        """Go one step of a network down a loss."""
        self.optimisers[name].zero_grad()
        self.accelerator.backward(loss)
        share_gradients(self.networks[name], self.accelerator)
        torch.nn.utils.clip_grad_norm_(self.networks[name].parameters(), 1.0)
        self.optimisers[name].step()

    def random(self, step: int) -> np.random.Generator:
        """The random numbers of a step, the same whether or not the training was stopped before it.

        They are the same in all processes; torch, which is seeded too, draws others in each.
        """
        torch.manual_seed(seed_of(self.config.seed * 100_003 + step, self.accelerator))
        return np.random.default_rng([self.config.seed, step])

    def _train_mode(self, on: bool) -> None:
        for network in self.networks.values():
            network.train(on)

    def _set_rate(self) -> None:
        """A twentieth of the training, at most 1000 steps, to rise, the rest to fall along half a cosine."""
        warm = min(0.05 * self.config.steps, 1000)
        share = self.step / warm if self.step < warm else 1.0
        if share >= 1:
            share = 0.5 * (1 + math.cos(math.pi * (self.step - warm) / max(1.0, self.config.steps - warm)))
        for optimiser in self.optimisers.values():
            for group in optimiser.param_groups:
                group["lr"] = self.config.learning_rate * max(share, 0.005)

    @torch.no_grad()
    def _average(self) -> None:
        kept = min(self.averaged, (1 + self.step) / (10 + self.step))
        for name, average in self.averages.items():
            for key, value in self.networks[name].state_dict().items():
                if value.is_floating_point():
                    average[key].lerp_(value, 1 - kept)
                else:
                    average[key].copy_(value)

    @torch.no_grad()
    def _exchange(self) -> None:
        """Averages into the networks, and the networks' weights in their place."""
        for name, average in self.averages.items():
            for key, value in self.networks[name].state_dict().items():
                mine = value.clone()
                value.copy_(average[key])
                average[key].copy_(mine)

    def _keep(self, losses: Mapping[str, float], measure: Callable[[], Mapping[str, float]]) -> None:
        self._exchange()
        self._train_mode(False)
        figures = measure()
        self._train_mode(True)
        self._exchange()
        if not self.accelerator.is_main_process:
            return
        state: dict[str, Any] = {
            "config": repr(self.config),
            "step": self.step,
            "networks": {name: network.state_dict() for name, network in self.networks.items()},
            "averages": self.averages,
            "optimisers": {name: optimiser.state_dict() for name, optimiser in self.optimisers.items()},
        }
        with written_whole(self.folder / CHECKPOINT) as part:
            torch.save(state, part)
        with (self.folder / METRICS).open("a", encoding="utf-8") as stream:
            stream.write(json.dumps({"step": self.step, **losses, **figures}) + "\n")

    def _resume(self) -> None:
        path = self.folder / CHECKPOINT
        if not path.exists():
            (self.folder / METRICS).unlink(missing_ok=True)
            return
        state = torch.load(path, weights_only=True)
        if state["config"] != repr(self.config) or "averages" not in state:  # those of another kind of loop have none
            raise ParameterError(
                f"The folder {self.folder} holds a training with other settings; name another one, or empty it."
            )
        self.step = state["step"]
        for name, network in self.networks.items():
            network.load_state_dict(state["networks"][name])
            self.optimisers[name].load_state_dict(state["optimisers"][name])
        for name, average in self.averages.items():
            for key, value in state["averages"][name].items():
                average[key].copy_(value)


def _optimiser(network: nn.Module, config: LoopConfig) -> torch.optim.Optimizer:
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [p for p in trained if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, config.learning_rate, betas=(0.9, 0.99))


def _copy_of(network: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in network.state_dict().items()}


def write_trained(network: nn.Module, file: Path, told: Mapping[str, str]) -> None:
    """Write the weights, float16, with what is to be told of them."""
    tensors = {name: value.detach().cpu().half().contiguous() for name, value in network.state_dict().items()}
    with written_whole(file) as part:
        save_file(tensors, part, dict(told))
