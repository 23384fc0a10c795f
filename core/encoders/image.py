"""Pictures to vectors.

Embedded: EfficientNet-Lite (core/encoders/efficientnet_lite.py). Hub: the vision tower of SigLIP or DINOv2, or of any
other network that transformers opens with ``AutoModel``.
"""

import json
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from core.encoders.efficientnet_lite import VARIANTS, EfficientNetLite, layout_dimensions
from core.errors import ParameterError
from core.memory import Batches, Resident, house
from core.runtime import Profile, current_profile, loading_alone, place, placement
from core.weights import find_manifest, load_tensors, weights_path

Pictures = NDArray[np.uint8]
Vectors = NDArray[np.float32]

BATCH = 16
"""Pictures in the first batch, and on a CPU in each; see `core.memory.Batches`."""
CROP_MARGIN_PX = 32
DEFAULT_NAMES: dict[Profile, str] = {"embedded": "efficientnet_lite0", "hub": "siglip"}


class ImageEncoder(Protocol):
    """A frozen network that turns pictures into vectors.

    Attributes:
        name: of its weights.
        version: of its weights; vectors of two versions must not be compared.
        dimensions: length of a vector.
        size: side of its input in pixels; pictures of that size are taken as they are.
    """

    name: str
    version: str
    dimensions: int
    size: int

    def encode(self, pictures: Pictures) -> Vectors:
        """Turn pictures (T, H, W, 3), RGB, into vectors (T, dimensions), not of unit length.

        A vector does not depend on the other pictures of the call.

        Raises:
            ParameterError: ``pictures`` has another shape or dtype.
        """
        ...


class EfficientNetLiteEncoder:
    """An `ImageEncoder` on EfficientNet-Lite, with the ImageNet classifier beside it.

    Args:
        variant: ``lite0`` (224 px) or ``lite2`` (260 px).
        low_precision: run all but the first blocks in bfloat16 where the hardware is fast at it.

    Raises:
        WeightsError: the weights are missing or wrong.
    """

    dimensions = 1280

    def __init__(self, variant: str = "lite0", low_precision: bool = True) -> None:
        self.name = f"efficientnet_{variant}"
        self.version = find_manifest(self.name).revision
        network = load_efficientnet_lite(variant)
        self.size = network.variant.size
        self._placement = placement(low_precision)
        self._batches = Batches(self.name, self._placement.device, BATCH)
        self._network = network.eval().fold()
        place(self._network.to(memory_format=torch.channels_last), self._placement)  # type: ignore[call-overload]

    def encode(self, pictures: Pictures) -> Vectors:
        """Turn pictures into vectors; see `ImageEncoder`. Those of another size go through `preprocess`."""
        return _in_batches(pictures, self.dimensions, self._encode, self._batches)

    def logits(self, pictures: Pictures) -> Vectors:
        """ImageNet-1k logits (T, 1000) of pictures as in `encode`."""
        with torch.inference_mode():
            vectors = torch.from_numpy(self.encode(pictures)).to(self._placement.device)
            return self._network.classifier(vectors).cpu().numpy()

    def classify(self, pictures: Pictures, top: int = 5) -> list[list[tuple[str, float]]]:
        """The ``top`` ImageNet labels of every picture with their probabilities, the most likely first."""
        labels = json.loads(weights_path(self.name, "imagenet_labels.json").read_text("utf-8"))
        best = torch.from_numpy(self.logits(pictures)).softmax(1).topk(top)
        rows = zip(best.indices.tolist(), best.values.tolist(), strict=True)
        return [[(labels[i], p) for i, p in zip(indices, values, strict=True)] for indices, values in rows]

    def layouts(self, pictures: Pictures) -> Vectors:
        """Layout vectors (T, `layout_dimensions`) of pictures as in `encode`; see `EfficientNetLite.layout`."""
        return _in_batches(pictures, layout_dimensions(self._network.variant), self._layout, self._batches)

    def _encode(self, pictures: Pictures) -> Tensor:
        shallow = self._shallow(pictures)
        with self._placement.autocast():
            return self._network.deep(shallow)

    def _layout(self, pictures: Pictures) -> Tensor:
        shallow = self._shallow(pictures)
        with self._placement.autocast():
            return self._network.layout(shallow)

    def _shallow(self, pictures: Pictures) -> Tensor:
        x = torch.from_numpy(preprocess(pictures, self.size)).to(self._placement.device)
        return self._network.shallow((x.permute(0, 3, 1, 2).float() - 127) / 128)


def load_efficientnet_lite(variant: str = "lite0") -> EfficientNetLite:
    """The network of a variant with its pretrained weights, on the CPU in float32.

    Raises:
        WeightsError: the weights are missing or wrong.
    """
    network, name = EfficientNetLite(variant), f"efficientnet_{variant}"
    network.load_state_dict(load_tensors(name, f"{name}.safetensors", torch.float32))
    return network


class LayoutEncoder:
    """An `ImageEncoder` for telling pictures apart that show the same kind of thing: EfficientNet-Lite's layouts.

    Args:
        variant: as of `EfficientNetLiteEncoder`.

    Raises:
        WeightsError: the weights are missing or wrong.
    """

    def __init__(self, variant: str = "lite0") -> None:
        self._encoder = EfficientNetLiteEncoder(variant)
        self.name, self.version = f"{self._encoder.name}_layout", self._encoder.version
        self.size = self._encoder.size
        self.dimensions = layout_dimensions(VARIANTS[variant])

    def encode(self, pictures: Pictures) -> Vectors:
        """Turn pictures into vectors; see `ImageEncoder`."""
        return self._encoder.layouts(pictures)


class TransformersImageEncoder:
    """An `ImageEncoder` on the vision tower of a network of the transformers library; its vector is the pooled output.

    Args:
        name: of the weights, such as ``siglip`` or ``dinov2``.
        low_precision: compute in bfloat16 where the hardware is fast at it.

    Raises:
        WeightsError: the weights are missing or wrong.
    """

    def __init__(self, name: str, low_precision: bool = True) -> None:
        folder = weights_path(name)
        self.name = name
        self.version = find_manifest(name).revision
        with loading_alone():
            from transformers import AutoImageProcessor, AutoModel

            self._processor: Any = AutoImageProcessor.from_pretrained(folder, local_files_only=True, backend="pil")
            model = AutoModel.from_pretrained(folder, local_files_only=True, use_safetensors=True)
        tower = getattr(model, "vision_model", model)
        self.dimensions: int = tower.config.hidden_size
        self.size = _input_size(self._processor)
        self._placement = placement(low_precision)
        self._batches = Batches(name, self._placement.device, BATCH)
        self._network: Resident = house(tower, self._placement, name)

    def encode(self, pictures: Pictures) -> Vectors:
        """Turn pictures into vectors; see `ImageEncoder`. Those of another size are scaled as the network's own
        processor says.
        """
        with self._network.in_use() as network:
            return _in_batches(pictures, self.dimensions, partial(self._encode, network), self._batches)

    def _encode(self, network: Any, pictures: Pictures) -> Tensor:
        fits = pictures.shape[1:3] == (self.size, self.size)
        as_they_are = {"do_resize": False, "do_center_crop": False} if fits else {}
        values = self._processor(list(pictures), return_tensors="pt", **as_they_are)["pixel_values"]
        with self._placement.autocast():
            pooled: Tensor = network(pixel_values=values.to(self._placement.device)).pooler_output
        return pooled


def image_encoder(name: str | None = None, profile: Profile | None = None) -> ImageEncoder:
    """Load an encoder: the one named, or that of the profile (this process's own when None).

    Raises:
        WeightsError: there are no such weights, or they are missing or wrong.
    """
    name = name or DEFAULT_NAMES[profile or current_profile()]
    if name.startswith("efficientnet_"):
        variant, _, layout = name.removeprefix("efficientnet_").partition("_")
        return LayoutEncoder(variant) if layout else EfficientNetLiteEncoder(variant)
    return TransformersImageEncoder(name)


def preprocess(pictures: Pictures, size: int) -> Pictures:
    """Cut and scale pictures as EfficientNet-Lite was trained: a central square, bicubic to ``size`` pixels a side.

    The square is ``size / (size + 32)`` of the shorter side. Pictures of that size already are returned as they are.

    Args:
        pictures: (T, H, W, 3), RGB.
        size: wanted side in pixels.

    Returns:
        (T, size, size, 3).
    """
    height, width = pictures.shape[1:3]
    if (height, width) == (size, size):
        return pictures
    side = max(1, int(min(height, width) * size / (size + CROP_MARGIN_PX)))
    left, top = (width - side) // 2, (height - side) // 2
    box = (left, top, left + side, top + side)
    scaled = [Image.fromarray(p).crop(box).resize((size, size), Image.Resampling.BICUBIC) for p in pictures]
    return np.stack([np.asarray(picture) for picture in scaled])


def _input_size(processor: Any) -> int:
    """The side of what a transformers image processor gives to its network."""
    size = processor.crop_size if getattr(processor, "do_center_crop", False) else processor.size
    return int(size["height"])


def _in_batches(pictures: Pictures, dimensions: int, encode: Callable[[Pictures], Tensor], batches: Batches) -> Vectors:
    """Encode some pictures at once, so that memory does not grow with their number."""
    if pictures.dtype != np.uint8 or pictures.ndim != 4 or pictures.shape[3] != 3 or 0 in pictures.shape[1:]:
        raise ParameterError(f"Pictures are {pictures.dtype} {pictures.shape}; give uint8 of shape (T, H, W, 3), RGB.")
    vectors = np.empty((len(pictures), dimensions), np.float32)

    def fill(part: slice) -> None:
        with torch.inference_mode():
            vectors[part] = encode(pictures[part]).float().cpu().numpy()

    batches.run(len(pictures), fill)
    return vectors
