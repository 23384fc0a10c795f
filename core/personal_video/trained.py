"""The trained networks: their weights as one file, and how it is loaded."""

import json
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from core.errors import WeightsError, WeightsNotFoundError
from core.media.whole_file import written_whole
from core.personal_video.network import PersonalVideoNetwork, Widths
from core.runtime import place, placement
from core.weights import read_trained, weights_path

WEIGHTS, FILE = "personal_video", "personal_video.safetensors"


def load_network(file: Path | None = None) -> PersonalVideoNetwork:
    """The trained networks, on their device.

    Args:
        file: of `write_network`; None: the profile's own.

    Raises:
        WeightsError: the weights are missing or wrong.
    """
    path = file or _own()
    try:
        tensors, told = read_trained(path)
        network = PersonalVideoNetwork(Widths(**json.loads(told["widths"])))
        network.load_state_dict(tensors)
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"The weights {path.name} cannot be read ({error}); train or fetch them again.") from error
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise WeightsError(f"The weights {path.name} belong to another network; train them again.") from error
    return on_device(network)


def on_device(network: PersonalVideoNetwork) -> PersonalVideoNetwork:
    """The networks, frozen, where this process computes, laid out as convolutions want it."""
    placed = place(network, placement())
    return placed.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def write_network(network: PersonalVideoNetwork, file: Path, told: dict[str, str]) -> None:
    """Write the weights, float16, with their widths and what is to be told of them."""
    tensors = {name: value.detach().cpu().half().contiguous() for name, value in network.state_dict().items()}
    with written_whole(file) as part:
        save_file(tensors, part, {**told, "widths": json.dumps(asdict(network.generation.widths))})


def _own() -> Path:
    try:
        return weights_path(WEIGHTS, FILE)
    except WeightsNotFoundError as error:
        raise WeightsNotFoundError(
            "The networks that make personal videos are not trained yet; python -m core.personal_video train makes"
            " weights."
        ) from error
