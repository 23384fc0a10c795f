"""Frames in their order to one vector: the network that similar-video search trains, and `VideoEncoder` to use it.

Source: METHODS 3 (an encoder that gives z of 4096 values). The document leaves the network open. Ours: a frozen image
network looks at every frame; a linear map brings its features to a common width; the temporal model keeps the course
of every feature as the first cosine terms of its curve over time, the mean first (Ahmed et al., "Discrete cosine
transform", 1974); the projector makes 4096 numbers of them. A film played backwards turns the sign of every odd term.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from torch import Tensor, nn

from core.errors import ParameterError, WeightsError, check_ranges
from core.runtime import place, placement
from core.weights import read_trained, weights_path

Vectors = NDArray[np.float32]

DIMENSIONS = 4096
WEIGHTS = "video_search"


@dataclass(frozen=True)
class NetworkConfig:
    """The shape of a `SequenceEncoder`.

    Raises:
        ParameterError: a value is out of its range.
    """

    features: int = 2656
    """Numbers that the image network gives for a frame."""
    width: int = field(default=512, metadata={"help": "numbers kept of every frame, 8 to 4096"})
    terms: int = field(default=6, metadata={"help": "cosine terms over time, 1 to 16; 1 keeps the mean alone"})
    dimensions: int = field(default=DIMENSIONS, metadata={"help": "length of the vector; 0 leaves the projector out"})
    dropout: float = field(default=0.2, metadata={"help": "share of features left out while training, 0 to 0.9"})

    def __post_init__(self) -> None:
        check_ranges(self, ("width", 8, 4096), ("terms", 1, 16), ("dimensions", 0, 65536), ("dropout", 0, 0.9))

    @property
    def output(self) -> int:
        """Length of the vector that comes out."""
        return self.dimensions or self.width * self.terms

    def to_json(self) -> str:
        """For the metadata of a weights file."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "NetworkConfig":
        """The config that `to_json` wrote."""
        return cls(**json.loads(text))


class SequenceEncoder(nn.Module):
    """Features of a sequence of frames to its vector z.

    Args:
        config: its shape.
        statistics: ``mean`` and ``deviation``, (features,), of the image network's features on the training films;
            zeros and ones when None.
    """

    feature_mean: Tensor
    feature_deviation: Tensor

    def __init__(self, config: NetworkConfig, statistics: Mapping[str, Tensor] | None = None) -> None:
        super().__init__()
        self.config = config
        told = statistics or {"mean": torch.zeros(config.features), "deviation": torch.ones(config.features)}
        self.register_buffer("feature_mean", told["mean"].clone())
        self.register_buffer("feature_deviation", told["deviation"].clone())
        self.dropout = nn.Dropout(config.dropout)
        self.frame = nn.Linear(config.features, config.width, bias=False)
        self.term_gains = nn.Parameter(torch.tensor([1.0] + [0.75] * (config.terms - 1)))
        flat = config.width * config.terms
        self.projector: nn.Module = (
            nn.Linear(flat, config.dimensions, bias=False) if config.dimensions else nn.Identity()
        )

    def frames(self, features: Tensor) -> Tensor:
        """Features (B, T, features) of frames one by one, brought to (B, T, width)."""
        return self.frame((features - self.feature_mean) / self.feature_deviation)

    def terms(self, features: Tensor, mask: Tensor) -> Tensor:
        """The cosine terms (B, terms, features) of sequences; nothing in this step is learned.

        Args:
            features: (B, T, features), anything beyond the end of a sequence.
            mask: (B, T), True on frames; every row begins with at least one.
        """
        return cosine_terms((features - self.feature_mean) / self.feature_deviation, mask, self.config.terms)

    def project(self, terms: Tensor) -> Tensor:
        """The vectors z (B, output), not of unit length, of what `terms` gives.

        The map to the common width is linear, so it may as well be applied to the terms as to every frame.
        """
        return self.projector((self.frame(self.dropout(terms)) * self.term_gains[:, None]).flatten(1))

    def forward(self, features: Tensor, mask: Tensor) -> Tensor:
        """The vectors z (B, output), not of unit length, of sequences as in `terms`."""
        return self.project(self.terms(features, mask))


def cosine_terms(curves: Tensor, mask: Tensor, terms: int) -> Tensor:
    """The first terms of the discrete cosine transform (type II) of curves over time, each divided by their length.

    ``y_k = 1/T · Σ_t x_t · cos(π k (t + 1/2) / T)``; y_0 is the mean.

    Args:
        curves: (B, T, W).
        mask: (B, T), True up to the end of each row's sequence.
        terms: how many, K.

    Returns:
        (B, K, W).
    """
    lengths = mask.sum(1, keepdim=True).to(curves.dtype)
    places = (torch.arange(curves.shape[1], device=curves.device) + 0.5) / lengths
    orders = torch.arange(terms, device=curves.device, dtype=curves.dtype)
    basis = torch.cos(math.pi * orders[None, :, None] * places[:, None]) * mask[:, None] / lengths[:, None]
    return basis @ (curves * mask[:, :, None])


@dataclass(frozen=True)
class NetworkFile:
    """What a weights file of such a network holds."""

    network: SequenceEncoder
    """In float32."""
    version: str
    encoder: str
    """Name and version of the image encoder whose features it was trained on."""
    metadata: dict[str, str]
    """All that the file says of itself."""
    tensors: dict[str, Tensor]
    """All of the file's, in float32."""


def read_network(path: Path) -> NetworkFile:
    """Read a network that `core.video_search` trained.

    Raises:
        WeightsError: the file is missing, damaged, or not one of these.
    """
    try:
        tensors, metadata = read_trained(path)
        network = SequenceEncoder(NetworkConfig.from_json(metadata["config"]))
        network.load_state_dict({n.removeprefix("network."): t for n, t in tensors.items() if n.startswith("network.")})
        return NetworkFile(network, metadata["version"], metadata["encoder"], metadata, tensors)
    except (OSError, SafetensorError, KeyError, RuntimeError, TypeError, ValueError) as error:
        raise WeightsError(
            f"{path} is not a model of similar-video search ({error}); train or fetch it again."
        ) from error


class VideoEncoder:
    """The trained network of similar-video search, frozen: features of a film's frames to one vector.

    It computes in float32: a film takes two matrix products, too little for fewer bits to matter.

    Args:
        path: of a network that was trained or fine-tuned; the one in ``weights/video_search`` when None.

    Attributes:
        name: of its weights.
        version: of its weights; vectors of two versions must not be compared.
        image_encoder: name and version of the image encoder whose vectors it takes, with a space between.
        features: length of such a vector.
        dimensions: length of its own.

    Raises:
        WeightsError: the file is missing, damaged, or not one of these.
    """

    def __init__(self, path: Path | None = None) -> None:
        file = read_network(path or weights_path(WEIGHTS, f"{WEIGHTS}.safetensors"))
        self.name, self.version, self.image_encoder = WEIGHTS, file.version, file.encoder
        self.features, self.dimensions = file.network.config.features, file.network.config.output
        self._placement = placement(low_precision=False)
        self._network = place(file.network, self._placement)

    def encode(self, features: Vectors) -> Vectors:
        """Turn the features (T, ``features``) of a film's frames, in their order, into z (``dimensions``,).

        The frames are a second apart in training, 8 to 32 of them; one alone is taken as well. z is not of unit
        length.

        Raises:
            ParameterError: ``features`` has another shape or dtype, or no frame at all.
        """
        if features.dtype != np.float32 or features.shape != (max(1, len(features)), self.features):
            raise ParameterError(
                f"Features are {features.dtype} {features.shape}; give float32 of shape (T, {self.features}), T from 1."
            )
        frames = torch.from_numpy(np.ascontiguousarray(features))[None].to(self._placement.device)
        with torch.inference_mode():
            z = self._network(frames, torch.ones(frames.shape[:2], dtype=torch.bool, device=frames.device))
        return z[0].cpu().numpy()
