"""The trained network: its weights as one file, and how it is loaded."""

from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from core.errors import WeightsError
from core.lip_sync.generator import Generator, MouthNetwork
from core.lip_sync.model import FeatureExtraction
from core.media.whole_file import written_whole
from core.runtime import place, placement
from core.weights import read_trained, weights_path

WEIGHTS, FILE = "lip_sync", "lip_sync.safetensors"


def new_network() -> MouthNetwork:
    """An untrained network."""
    return MouthNetwork(FeatureExtraction(), Generator())


def load_network(file: Path | None = None) -> MouthNetwork:
    """The trained network, on its device.

    Args:
        file: of `write_network`; None: the profile's own.

    Raises:
        WeightsError: the weights are missing or wrong.
    """
    tensors, _ = read_trained(file or weights_path(WEIGHTS, FILE))
    network = new_network()
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        raise WeightsError(f"The weights of {file or WEIGHTS} belong to another network; train them again.") from error
    network = place(network, placement())  # type: ignore[assignment]
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def write_network(network: MouthNetwork, file: Path, told: dict[str, str]) -> None:
    """Write the weights, float16, with what is to be told of them."""
    tensors: dict[str, Tensor] = {name: value.half().contiguous() for name, value in network.state_dict().items()}
    with written_whole(file) as part:
        save_file(tensors, part, told)
