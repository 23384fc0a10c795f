"""The library of pretrained models that have to do with video quality (METHODS 5, step 1).

Each has a frozen part, whose answer is prepared once for every clip, and a pretrained network behind it: left as it is
it gives the model's first features, trained further it is the model's fine-tuned self. Image models look at pictures
one by one, and what they say of single seconds is averaged where a film has several; video models take the film as
it is. Structures differ on purpose: two convolutional classifiers of different depth, statistics of natural scenes, a
network over differences in time, the search tool's encoder of whole sequences, and a network trained here on fragments
at native resolution. The hub profile adds larger ones (core/video_quality/hub_library.py).
"""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Literal, Protocol

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from core.encoders.efficientnet_lite import HEAD_CHANNELS, STAGES, VARIANTS, EfficientNetLite, scaled_channels
from core.encoders.image import LayoutEncoder, load_efficientnet_lite
from core.encoders.natural_scenes import brisque_features, niqe_features
from core.encoders.sequence import WEIGHTS, read_network
from core.runtime import Profile, current_profile, placement
from core.video_quality.model import STEM_CHANNELS, Stem
from core.video_quality.sampling import SIDE, Pixels, Window
from core.weights import weights_path

_LAST_STAGE = 6
_MOST_SECONDS = 32
Prepared = NDArray[np.float16] | NDArray[np.uint8]
Kind = Literal["image", "video"]


class LibraryModel(Protocol):
    """One pretrained model of the library.

    Attributes:
        name: of the model.
        kind: whether it looks at pictures one by one or at the film as it is.
        dimensions: length of its first features.
    """

    name: str
    kind: Kind
    dimensions: int

    def prepare(self, windows: Sequence[Window]) -> Prepared:
        """The frozen part: what is kept of a film's windows for `network`, without the batch."""
        ...

    def network(self) -> nn.Module:
        """A new copy of the pretrained part: what `prepare` gives, as (B, …), to first features (B, dimensions)."""
        ...


class EfficientNetModel:
    """EfficientNet-Lite, an ImageNet classifier, on the fragments and on the whole picture of a second.

    Its features are means and deviations of the maps at the end of every stage: what a classifier's last answer no
    longer tells of texture is still there in the first ones.
    """

    kind: Kind = "image"

    def __init__(self, variant: str) -> None:
        self.name, self._variant = f"efficientnet_{variant}", variant
        shape = VARIANTS[variant]
        self._channels = [scaled_channels(stage.channels, shape.width) for stage in STAGES[1:_LAST_STAGE]]
        self.dimensions = 2 * 2 * (sum(self._channels) + HEAD_CHANNELS)

    @cached_property
    def _frozen(self) -> EfficientNetLite:
        return load_efficientnet_lite(self._variant).eval().fold()

    def prepare(self, windows: Sequence[Window]) -> Prepared:
        """For fragments and whole picture of the second in the middle: the statistics of the stages before the last,
        and the maps before the last, (2, 2 · channels + C · 49).
        """
        with torch.inference_mode(), placement().autocast():
            return self._of_pictures(_pictures(middle(windows).views[[0, 2]])).half().numpy()

    def network(self) -> nn.Module:
        """The last stage and the head."""
        return _LastStage(load_efficientnet_lite(self._variant).eval(), 2 * sum(self._channels))

    def _of_pictures(self, x: Tensor) -> Tensor:
        x, parts = self._frozen.stem(x), []
        for stage in range(_LAST_STAGE):
            for block in self._frozen.blocks[self._frozen.first_block(stage) : self._frozen.first_block(stage + 1)]:
                x = block(x)
            if stage:
                parts += [x.float().mean((2, 3)), x.float().std((2, 3))]
        return torch.cat([*parts, x.float().flatten(1)], 1)


class NaturalScenesModel:
    """The statistics behind BRISQUE and NIQE, of fragments."""

    name = "natural_scenes"
    kind: Kind = "image"
    dimensions = 72

    def prepare(self, windows: Sequence[Window]) -> Prepared:
        """The 36 numbers of each, one after the other, of the second in the middle: (72,)."""
        luma = cv2.cvtColor(middle(windows).views[0], cv2.COLOR_RGB2GRAY).astype(np.float32)
        row = np.concatenate([brisque_features(luma), niqe_features(luma)])
        return np.clip(row, -6e4, 6e4).astype(np.float16)

    def network(self) -> nn.Module:
        """Nothing: the statistics are the features."""
        return nn.Identity()


class SequenceModel:
    """The search tool's encoder, trained with Barlow Twins, on the whole pictures of a film in their order."""

    name = "video_search"
    kind: Kind = "video"
    dimensions = 4096

    @cached_property
    def _frames(self) -> LayoutEncoder:
        return LayoutEncoder()

    def prepare(self, windows: Sequence[Window]) -> Prepared:
        """The features (T, 2656) of one picture a second; evenly spread ones of a film beyond 32 seconds."""
        places = np.linspace(0, len(windows) - 1, min(len(windows), _MOST_SECONDS)).round().astype(int)
        return self._frames.encode(np.stack([windows[place].views[2] for place in places])).astype(np.float16)

    def network(self) -> nn.Module:
        """The encoder of sequences."""
        return _Sequence(read_network(weights_path(WEIGHTS, f"{WEIGHTS}.safetensors")).network)


class DifferenceModel:
    """A network over the differences of neighbouring pictures, trained here to name what was done to a clip.

    Args:
        weights: of the network; untrained when None.
    """

    name = "temporal_difference"
    kind: Kind = "video"
    dimensions = 128

    def __init__(self, weights: Mapping[str, Tensor] | None = None) -> None:
        self._weights = weights

    def prepare(self, windows: Sequence[Window]) -> Prepared:
        """The pair of fragments of the second in the middle: uint8 (2, S, S, 3)."""
        return middle(windows).views[:2]

    def network(self) -> nn.Module:
        """The convolutions over what changed, brighter and darker apart."""
        return _loaded(DifferenceNetwork(), self._weights)


class FragmentModel:
    """A network on fragments at native resolution, trained here: the student's stem, and convolutions over its maps.

    Args:
        stem: `core.video_quality.stem_training` trains it.
        weights: of the convolutions, which are trained to name what was done to a clip; untrained when None.
    """

    name = "fragments"
    kind: Kind = "image"
    dimensions = 256

    def __init__(self, stem: Stem, weights: Mapping[str, Tensor] | None = None) -> None:
        self._stem, self._weights = stem, weights

    def prepare(self, windows: Sequence[Window]) -> Prepared:
        """The maps (80, 14, 14) of the first fragments of the second in the middle."""
        picture = torch.from_numpy(middle(windows).views[:1])
        with torch.inference_mode(), placement().autocast():
            return self._stem(picture.permute(0, 3, 1, 2).float())[0].half().numpy()

    def network(self) -> nn.Module:
        """The convolutions over the maps."""
        return _loaded(FragmentNetwork(), self._weights)


class FragmentNetwork(nn.Module):
    """Maps of fragments (B, 80, 14, 14) to features (B, 256): means and deviations over the places."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(STEM_CHANNELS, 128, 3, padding=1, bias=False),
            nn.BatchNorm2d(128),
            nn.ReLU(),
            nn.Conv2d(128, 128, 3, 2, padding=1, bias=False),
            nn.BatchNorm2d(128),
            nn.ReLU(),
        )

    def forward(self, maps: Tensor) -> Tensor:
        """See the class."""
        x = self.layers(maps.float()).float()
        return torch.cat([x.mean((2, 3)), x.std((2, 3))], 1)


class DifferenceNetwork(nn.Module):
    """Pairs of fragments, uint8 (B, 2, S, S, 3), to features (B, 128) of their difference."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = _convolutions(6)

    def forward(self, pairs: Tensor) -> Tensor:
        """See the class."""
        change = 4 * (_planes(pairs[:, 1]) - _planes(pairs[:, 0]))
        return self.layers(torch.cat([change.relu(), (-change).relu()], 1)).mean((2, 3))


class _LastStage(nn.Module):
    def __init__(self, network: EfficientNetLite, statistics: int) -> None:
        super().__init__()
        first = network.first_block(_LAST_STAGE)
        self.blocks, self.head, self.statistics = nn.Sequential(*network.blocks[first:]), network.head, statistics

    def forward(self, prepared: Tensor) -> Tensor:
        rows = prepared.flatten(0, 1).float()
        maps = rows[:, self.statistics :].reshape(len(rows), -1, SIDE // 32, SIDE // 32)
        last = self.head(self.blocks(maps)).float()
        parts = [rows[:, : self.statistics], last.mean((2, 3)), last.std((2, 3))]
        return torch.cat(parts, 1).reshape(len(prepared), -1)


class _Sequence(nn.Module):
    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, features: Tensor) -> Tensor:
        mask = torch.ones(features.shape[:2], dtype=torch.bool, device=features.device)
        return self.network(features.float(), mask)


def library(
    stem: Stem, own: Mapping[str, Mapping[str, Tensor]] | None = None, profile: Profile | None = None
) -> tuple[LibraryModel, ...]:
    """All models of a profile: the embedded ones, and behind them those of the hub where it is that profile.

    Args:
        stem: of the student, on which one of the models is built.
        own: weights of the two networks that were trained here, by their names; untrained when None.
        profile: this process's own when None.
    """
    embedded = _embedded(stem, own or {})
    if (profile or current_profile()) == "embedded":
        return embedded
    from core.video_quality.hub_library import hub_library

    return embedded + hub_library()


def _embedded(stem: Stem, own: Mapping[str, Mapping[str, Tensor]]) -> tuple[LibraryModel, ...]:
    return (
        EfficientNetModel("lite0"),
        EfficientNetModel("lite2"),
        NaturalScenesModel(),
        SequenceModel(),
        DifferenceModel(own.get(DifferenceModel.name)),
        FragmentModel(stem, own.get(FragmentModel.name)),
    )


def middle(windows: Sequence[Window]) -> Window:
    """The second in the middle, or the earlier of the two there."""
    return windows[(len(windows) - 1) // 2]


def _convolutions(channels: int) -> nn.Sequential:
    layers: list[nn.Module] = [nn.Conv2d(channels, 32, 4, 4), nn.BatchNorm2d(32), nn.ReLU()]
    for before, after in ((32, 64), (64, 96), (96, 128)):
        layers += [nn.Conv2d(before, after, 3, 2, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
    return nn.Sequential(*layers)


def _planes(pictures: Tensor) -> Tensor:
    return ((pictures.float() - 127) / 128).permute(0, 3, 1, 2)


def _pictures(views: Pixels) -> Tensor:
    assert views.shape[1:] == (SIDE, SIDE, 3)
    return _planes(torch.from_numpy(views)).contiguous(memory_format=torch.channels_last)


def _loaded(network: nn.Module, weights: Mapping[str, Tensor] | None) -> nn.Module:
    if weights is not None:
        network.load_state_dict({name: value.float() for name, value in weights.items()})
    return network.eval()
