"""From the frames of a sequence to the vector of the library: the trained encoder, or the plain mean.

A `Descriptor` carries all that belongs to one version of a model: its network, the binary codes of its vectors, the
background set against which similarities are normalised, and the thresholds that were measured for it.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor

from core.encoders.image import ImageEncoder
from core.encoders.sequence import SequenceEncoder, read_network
from core.errors import WeightsError
from core.media.whole_file import written_whole
from core.video_search.features import mean_descriptor
from core.video_search.hashing import HashCodes
from core.weights import weights_path

Vectors = NDArray[np.float32]
NEAREST_OF_BACKGROUND = 50
MEAN_VERSION = "1"


@dataclass(frozen=True)
class Thresholds:
    """Scores (see `Descriptor.baseline`) from which on two films are called copies, and of one topic."""

    copy: float
    topic: float


class Descriptor(Protocol):
    """One version of a model.

    Attributes:
        name: of the model.
        version: vectors of two versions must not be compared.
        dimensions: length of a vector.
        codes: makes the binary code of a vector.
        background: (N, dimensions), unit vectors of films of no importance; N may be 0.
        thresholds: measured for this version.
    """

    name: str
    version: str
    dimensions: int
    codes: HashCodes
    background: Vectors
    thresholds: Thresholds

    def describe(self, features: Vectors) -> Vectors:
        """The unit vector (dimensions,) of a sequence of frame features (T, D) in their order."""
        ...

    def describe_frames(self, features: Vectors) -> Vectors:
        """Unit vectors (T, W) of the single frames, for laying two films over one another."""
        ...


class MeanDescriptor:
    """The mean direction of the frames' features: no training, no order.

    Args:
        encoder: whose features they are.
    """

    def __init__(self, encoder: ImageEncoder) -> None:
        self.name, self.version = f"mean_{encoder.name}", f"{encoder.version}-{MEAN_VERSION}"
        self.dimensions = encoder.dimensions
        self.codes = HashCodes(np.zeros(self.dimensions, np.float32))
        self.background = np.empty((0, self.dimensions), np.float32)
        self.thresholds = Thresholds(copy=0.9, topic=0.7)

    def describe(self, features: Vectors) -> Vectors:
        """See `Descriptor.describe`."""
        return mean_descriptor([features])

    def describe_frames(self, features: Vectors) -> Vectors:
        """See `Descriptor.describe_frames`."""
        return unit_rows(features)


class TrainedDescriptor:
    """The network that `core.video_search.train` made.

    Args:
        path: its safetensors file; the weights of the embedded profile when None.

    Raises:
        WeightsError: the file is missing, damaged, or not one of these.
    """

    def __init__(self, path: Path | None = None) -> None:
        model = read_model(path or weights_path("video_search", "video_search.safetensors"))
        self.name, self.version, self.encoder = "video_search", model.version, model.encoder
        self.network, self.thresholds, self.background = model.network.eval(), model.thresholds, model.background
        self.codes = HashCodes(model.mean)
        self.dimensions = self.network.config.output

    def describe(self, features: Vectors) -> Vectors:
        """See `Descriptor.describe`."""
        with torch.inference_mode():
            z = self.network(torch.from_numpy(features)[None], torch.ones(1, len(features), dtype=torch.bool))
        return unit_rows(z.numpy())[0]

    def describe_frames(self, features: Vectors) -> Vectors:
        """See `Descriptor.describe_frames`."""
        with torch.inference_mode():
            return unit_rows(self.network.frames(torch.from_numpy(features)[None])[0].numpy())


def baseline(descriptor: Descriptor, vector: Vectors) -> float:
    """How similar a film is to films it has nothing to do with: the mean of its nearest of the background set.

    A score is a similarity less the query's baseline, so that one threshold serves queries that resemble everything
    (a dark, still picture) and queries that resemble nothing. Source: the score normalisation of the Video Similarity
    Challenge, Pizzi et al., "The 2023 Video Similarity Dataset and Challenge", 2023, section 5, with a weight of 1.
    """
    return float(baselines(descriptor.background, vector[None])[0])


def baselines(background: Vectors, vectors: Vectors) -> Vectors:
    """The `baseline` of each of the unit vectors (N, D) against a background set (M, D): (N,), zeros when M is 0."""
    if not len(background):
        return np.zeros(len(vectors), np.float32)
    return np.sort(vectors @ background.T, axis=1)[:, -NEAREST_OF_BACKGROUND:].mean(1)


@dataclass(frozen=True)
class Model:
    """What a weights file of this tool holds."""

    network: SequenceEncoder
    version: str
    encoder: str
    """Name and version of the image encoder whose features it was trained on."""
    mean: Vectors
    """(D,): the mean of its unit vectors."""
    background: Vectors
    """(N, D): unit vectors."""
    thresholds: Thresholds


def write_model(model: Model, path: Path, facts: Mapping[str, str]) -> None:
    """Write a weights file, whole: tensors in float16, the config and ``facts`` in its metadata."""
    tensors = {f"network.{name}": _small(value) for name, value in model.network.state_dict().items()}
    tensors["descriptor_mean"] = torch.from_numpy(model.mean)
    tensors["background"] = torch.from_numpy(model.background).half()
    metadata = {
        "config": model.network.config.to_json(),
        "version": model.version,
        "encoder": model.encoder,
        "thresholds": json.dumps(asdict(model.thresholds)),
        **facts,
    }
    with written_whole(path) as part:
        save_file(tensors, part, metadata)


def read_model(path: Path) -> Model:
    """Read a weights file.

    Raises:
        WeightsError: it is missing, damaged, or not one of these.
    """
    file = read_network(path)
    try:
        return Model(
            file.network,
            file.version,
            file.encoder,
            file.tensors["descriptor_mean"].numpy(),
            unit_rows(file.tensors["background"].numpy()),
            Thresholds(**json.loads(file.metadata["thresholds"])),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise WeightsError(
            f"{path} is not a model of similar-video search ({error}); train or fetch it again."
        ) from error


def unit_rows(rows: NDArray[np.floating]) -> Vectors:
    """Rows (N, D) brought to unit length; a row of zeros stays."""
    return (rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)).astype(np.float32)


def _small(value: Tensor) -> Tensor:
    return value.half() if value.is_floating_point() and value.ndim > 1 else value
