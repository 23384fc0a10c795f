"""Files of weights that trainings of this project write: safetensors, with what is to be told in the metadata."""

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import torch
from safetensors import SafetensorError, safe_open
from torch import nn

from core.errors import WeightsError

Network = TypeVar("Network", bound=nn.Module)


def read_trained(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """The tensors, in float32, and the metadata of a file.

    Raises:
        OSError, SafetensorError: there is no such file, or it is another one.
    """
    with safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name).float() for name in file.keys()}, file.metadata() or {}  # noqa: SIM118


def load_trained(path: Path, new: Callable[[Mapping[str, str]], Network]) -> Network:
    """A network with the weights of a file.

    Args:
        path: of `core.training.write_trained`.
        new: makes the network, from the file's metadata.

    Raises:
        WeightsError: the file is missing or wrong, or of another network.
    """
    try:
        tensors, told = read_trained(path)
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"The weights {path.name} cannot be read ({error}); train or fetch them again.") from error
    try:
        network = new(told)
        network.load_state_dict(tensors)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise WeightsError(f"The weights {path.name} belong to another network; train them again.") from error
    return network


def fingerprint(network: nn.Module) -> str:
    """What tells two networks apart: the sha256 of their weights, in hexadecimal."""
    found = hashlib.sha256()
    for name, value in sorted(network.state_dict().items()):
        found.update(name.encode() + value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return found.hexdigest()
