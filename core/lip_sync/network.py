"""The trained network: its weights as one file, and how it is loaded."""

import hashlib
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor, nn

from core.errors import WeightsError, WeightsNotFoundError
from core.lip_sync.generator import Generator, MouthNetwork
from core.lip_sync.model import FeatureExtraction
from core.lip_sync.opening import Opening
from core.media.whole_file import written_whole
from core.runtime import place, placement
from core.weights import read_trained, weights_path

WEIGHTS, FILE = "lip_sync", "lip_sync.safetensors"


def new_network() -> MouthNetwork:
    """An untrained network."""
    return MouthNetwork(FeatureExtraction(), Opening(), Generator())


def load_network(file: Path | None = None) -> MouthNetwork:
    """The trained network, on its device.

    Args:
        file: of `write_network`; None: the profile's own.

    Raises:
        WeightsError: the weights are missing or wrong.
    """
    path = file or _own()
    try:
        tensors, _ = read_trained(path)
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"The weights {path.name} cannot be read ({error}); train or fetch them again.") from error
    network = new_network()
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        raise WeightsError(f"The weights {path.name} belong to another network; train them again.") from error
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


def write_network(network: MouthNetwork, file: Path, told: dict[str, str]) -> None:
    """Write the weights, float16, with what is to be told of them."""
    tensors: dict[str, Tensor] = {name: value.half().contiguous() for name, value in network.state_dict().items()}
    with written_whole(file) as part:
        save_file(tensors, part, told)


def fingerprint(network: nn.Module) -> str:
    """What tells two networks apart: the sha256 of their weights, in hexadecimal."""
    found = hashlib.sha256()
    for name, value in sorted(network.state_dict().items()):
        found.update(name.encode() + value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return found.hexdigest()
