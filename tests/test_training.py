"""The training loop that all tools may share."""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from core.errors import CancelledError, ParameterError
from core.training import CHECKPOINT, METRICS, TrainingLoop


@dataclass(frozen=True)
class Config:
    steps: int = 12
    learning_rate: float = 0.1
    weight_decay: float = 0.0
    checkpoint_every: int = 5
    seed: int = 0


def start(config: Config, folder: Path, averaged: float = 0.0) -> tuple[TrainingLoop, nn.Linear]:
    torch.manual_seed(0)
    network = nn.Linear(3, 1)
    return TrainingLoop({"line": network}, config, folder, averaged), network


def stepping(loop: TrainingLoop, network: nn.Linear) -> Callable[[int], dict[str, Tensor]]:
    def one_step(step: int) -> dict[str, Tensor]:
        random = loop.random(step)
        x = torch.from_numpy(random.normal(size=(16, 3))).float()
        loss = (network(x) - x.sum(1, keepdim=True) + 0.1 * torch.randn(16, 1)).square().mean()
        loop.descend("line", loss)
        return {"loss": loss}

    return one_step


def ran(config: Config, folder: Path, averaged: float = 0.0) -> nn.Linear:
    loop, network = start(config, folder, averaged)
    loop.run(stepping(loop, network), lambda: {"bias": float(network.bias.detach())})
    return network


def rows(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / METRICS).read_text().splitlines()]


@pytest.mark.parametrize("averaged", [0.0, 0.9])
def test_a_training_that_was_stopped_ends_as_one_that_was_not(tmp_path: Path, averaged: float) -> None:
    whole = ran(Config(), tmp_path / "whole", averaged)
    loop, network = start(Config(), tmp_path / "parts", averaged)

    def stop(done: int, total: int, what: str) -> None:
        if done == 8:
            raise CancelledError("stop")

    with pytest.raises(CancelledError):
        loop.run(stepping(loop, network), lambda: {"bias": float(network.bias.detach())}, stop)
    parts = ran(Config(), tmp_path / "parts", averaged)
    assert torch.equal(whole.weight, parts.weight) and torch.equal(whole.bias, parts.bias)
    assert rows(tmp_path / "whole") == rows(tmp_path / "parts")


def test_figures_are_told_at_every_checkpoint_and_at_the_end_with_mean_losses(tmp_path: Path) -> None:
    ran(Config(), tmp_path)
    told = rows(tmp_path)
    assert [row["step"] for row in told] == [5, 10, 12]
    assert told[-1]["loss"] < told[0]["loss"]


def test_the_average_of_the_weights_is_measured_and_left_in_the_network(tmp_path: Path) -> None:
    """Oracle: the average by hand, which follows faster at first."""
    loop, network = start(Config(), tmp_path, 0.7)
    step, average = stepping(loop, network), network.weight.detach().clone()
    measured: list[Tensor] = []

    def watched(number: int) -> dict[str, Tensor]:
        losses = step(number)
        kept = min(0.7, (1 + number) / (10 + number))
        average.mul_(kept).add_((1 - kept) * network.weight.detach())
        return losses

    def measure() -> dict[str, float]:
        measured.append(network.weight.detach().clone())
        torch.testing.assert_close(measured[-1], average)
        return {}

    loop.run(watched, measure)
    assert len(measured) == 3
    torch.testing.assert_close(network.weight.detach(), average)


def test_a_finished_training_is_left_as_it_is(tmp_path: Path) -> None:
    first, again = ran(Config(), tmp_path, 0.9), ran(Config(), tmp_path, 0.9)
    assert torch.equal(first.weight, again.weight) and len(rows(tmp_path)) == 3


def test_the_rate_rises_and_then_falls_along_half_a_cosine(tmp_path: Path) -> None:
    config = Config(steps=40, learning_rate=1.0)
    loop, network = start(config, tmp_path)
    step, seen = stepping(loop, network), []

    def watched(number: int) -> dict[str, Tensor]:
        seen.append(loop.optimisers["line"].param_groups[0]["lr"])
        return step(number)

    loop.run(watched, dict)
    assert seen[:3] == [0.005, 0.5, 1.0]
    for number in range(2, 40):
        assert math.isclose(seen[number], max(0.005, 0.5 * (1 + math.cos(math.pi * (number - 2) / 38))))


def test_a_folder_with_another_training_is_refused(tmp_path: Path) -> None:
    ran(Config(steps=1), tmp_path)
    with pytest.raises(ParameterError, match="other settings"):
        ran(Config(steps=2), tmp_path)


def test_figures_without_a_checkpoint_are_of_no_training(tmp_path: Path) -> None:
    ran(Config(steps=2), tmp_path)
    (tmp_path / CHECKPOINT).unlink()
    ran(Config(steps=1), tmp_path)
    assert [row["step"] for row in rows(tmp_path)] == [1]
