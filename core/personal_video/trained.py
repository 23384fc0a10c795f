"""The trained networks: their weights as one file, and how it is loaded."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import torch

from core.errors import WeightsNotFoundError
from core.personal_video.network import PersonalVideoNetwork, Widths
from core.runtime import place, placement
from core.training import write_trained
from core.weights import load_trained, weights_path

WEIGHTS, FILE = "personal_video", "personal_video.safetensors"


def load_network(file: Path | None = None) -> PersonalVideoNetwork:
    """The trained networks, on their device.

    Args:
        file: of `write_network`; None: the profile's own.

    Raises:
        WeightsError: the weights are missing or wrong.
    """
    return on_device(load_trained(file or _own(), _untrained))


def _untrained(told: Mapping[str, str]) -> PersonalVideoNetwork:
    return PersonalVideoNetwork(Widths(**json.loads(told["widths"])))


def on_device(network: PersonalVideoNetwork) -> PersonalVideoNetwork:
    """The networks, frozen, where this process computes, laid out as convolutions want it."""
    placed = place(network, placement())
    return placed.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def write_network(network: PersonalVideoNetwork, file: Path, told: dict[str, str]) -> None:
    """Write the weights, float16, with their widths and what is to be told of them."""
    write_trained(network, file, {**told, "widths": json.dumps(asdict(network.generation.widths))})


def _own() -> Path:
    try:
        return weights_path(WEIGHTS, FILE)
    except WeightsNotFoundError as error:
        raise WeightsNotFoundError(
            "The networks that make personal videos are not trained yet; python -m core.personal_video train makes"
            " weights."
        ) from error
