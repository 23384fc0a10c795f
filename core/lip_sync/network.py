"""The trained network: its weights as one file, and how it is loaded."""

from pathlib import Path

import torch

from core.errors import WeightsNotFoundError
from core.lip_sync.generator import Generator, MouthNetwork
from core.lip_sync.model import FeatureExtraction
from core.lip_sync.opening import Opening
from core.runtime import place, placement
from core.weights import load_trained, weights_path

WEIGHTS, FILE = "lip_sync", "lip_sync.safetensors"


def new_network() -> MouthNetwork:
    """An untrained network."""
    return MouthNetwork(FeatureExtraction(), Opening(), Generator())


def load_network(file: Path | None = None) -> MouthNetwork:
    """The trained network, on its device.

    Args:
        file: of `core.training.write_trained`; None: the profile's own.

    Raises:
        WeightsError: the weights are missing or wrong.
    """
    network = load_trained(file or _own(), lambda _: new_network())
    network = place(network, placement())  # type: ignore[assignment]
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def _own() -> Path:
    try:
        return weights_path(WEIGHTS, FILE)
    except WeightsNotFoundError as error:
        raise WeightsNotFoundError(
            "The weights of the network that makes mouths are missing, so nothing can be rendered; fetch them again, "
            "or make new ones with python -m core.lip_sync train."
        ) from error
