"""EfficientNet-Lite: an ImageNet classifier made for small devices, and its 1280-number picture vector.

Source: Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", 2019, table 1 for the
stages and equation 3 for the scaling. The Lite variants differ in three published points: no squeeze-and-excite, ReLU6
for every activation, and a stem, first stage, last stage and head that do not grow with the multipliers.
"""

import itertools
import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

STEM_CHANNELS, HEAD_CHANNELS, CLASSES = 32, 1280, 1000
BATCH_NORM_EPS = 1e-3


@dataclass(frozen=True)
class Variant:
    """How much wider and deeper than the smallest one, the input side, and where few bits do harm.

    The stem and the first ``exact_blocks`` blocks carry nearly all of the error that bfloat16 brings (see the model
    cards), so a caller may leave these in float32 and run the rest, which is most of the work, in bfloat16.
    """

    width: float
    depth: float
    size: int
    exact_blocks: int


@dataclass(frozen=True)
class Stage:
    """A run of blocks of one shape, before the multipliers; only its first block has the stride."""

    repeats: int
    kernel: int
    stride: int
    expansion: int
    channels: int


VARIANTS = {
    "lite0": Variant(width=1.0, depth=1.0, size=224, exact_blocks=1),
    "lite2": Variant(width=1.1, depth=1.2, size=260, exact_blocks=2),
}
STAGES = (
    Stage(repeats=1, kernel=3, stride=1, expansion=1, channels=16),
    Stage(repeats=2, kernel=3, stride=2, expansion=6, channels=24),
    Stage(repeats=2, kernel=5, stride=2, expansion=6, channels=40),
    Stage(repeats=3, kernel=3, stride=2, expansion=6, channels=80),
    Stage(repeats=3, kernel=5, stride=1, expansion=6, channels=112),
    Stage(repeats=4, kernel=5, stride=2, expansion=6, channels=192),
    Stage(repeats=1, kernel=3, stride=1, expansion=6, channels=320),
)


LAYOUT_STAGES = (2, 4, 5)
"""Stages whose ends make the layout vector: maps of 28, 14 and 7 places a side for lite0."""


def stage_repeats(variant: Variant) -> list[int]:
    """How many blocks each stage has; the first and the last do not grow with the depth."""
    last = len(STAGES) - 1
    return [s.repeats if i in (0, last) else math.ceil(s.repeats * variant.depth) for i, s in enumerate(STAGES)]


def stage_ends(variant: Variant) -> list[int]:
    """The index of the last block of each stage.

    >>> stage_ends(VARIANTS["lite0"])
    [0, 2, 4, 7, 10, 14, 15]
    """
    return [end - 1 for end in itertools.accumulate(stage_repeats(variant))]


def layout_dimensions(variant: Variant) -> int:
    """The length of a layout vector: four quarters of each map, and the picture vector.

    >>> layout_dimensions(VARIANTS["lite0"])
    2656
    """
    return 4 * sum(scaled_channels(STAGES[s].channels, variant.width) for s in LAYOUT_STAGES) + HEAD_CHANNELS


def scaled_channels(channels: int, width: float) -> int:
    """The multiple of 8 nearest to ``channels * width``, never more than a tenth below it.

    >>> scaled_channels(40, 1.0), scaled_channels(40, 1.1), scaled_channels(24, 1.1)
    (40, 48, 24)
    """
    wanted = channels * width
    rounded = max(8, int(wanted + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * wanted else rounded


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Zeros before and after one axis so that the output has ``ceil(size / stride)`` places, as TensorFlow lays them.

    >>> same_padding(224, kernel=3, stride=2), same_padding(65, kernel=3, stride=2)
    ((0, 1), (1, 1))
    """
    spare = max((math.ceil(size / stride) - 1) * stride + kernel - size, 0)
    return spare // 2, spare - spare // 2


class ConvolutionNorm(nn.Module):
    """Convolution with "same" padding, batch norm, and ReLU6 unless it is told to stay linear."""

    def __init__(self, channels: tuple[int, int], kernel: int = 1, stride: int = 1, depthwise: bool = False) -> None:
        super().__init__()
        groups = channels[0] if depthwise else 1
        self.conv = nn.Conv2d(*channels, kernel, stride, groups=groups, bias=False)
        self.norm: nn.Module = nn.BatchNorm2d(channels[1], eps=BATCH_NORM_EPS)
        self.activation: nn.Module = nn.ReLU6(inplace=True)

    def linear(self) -> "ConvolutionNorm":
        """Leave the activation out; returns itself."""
        self.activation = nn.Identity()
        return self

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, C', ceil(H / stride), ceil(W / stride))."""
        return self.activation(self.norm(self._convolve(x)))

    def _convolve(self, x: Tensor) -> Tensor:
        conv, (height, width) = self.conv, x.shape[-2:]
        kernel, stride = conv.kernel_size[0], conv.stride[0]
        top, bottom = same_padding(height, kernel, stride)
        left, right = same_padding(width, kernel, stride)
        if (top, left) == (bottom, right):
            return F.conv2d(x, conv.weight, conv.bias, conv.stride, (top, left), groups=conv.groups)
        return conv(F.pad(x, (left, right, top, bottom)))

    def fold(self) -> None:
        """Put the norm into the convolution: the same answers in fewer passes. The module must be in eval mode."""
        assert isinstance(self.norm, nn.BatchNorm2d)
        self.conv, self.norm = fuse_conv_bn_eval(self.conv, self.norm), nn.Identity()


class InvertedResidual(nn.Module):
    """Widen, filter each channel, narrow; add the input where the shapes agree."""

    def __init__(self, channels: tuple[int, int], kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = channels[0] * expansion
        self.expand: nn.Module = ConvolutionNorm((channels[0], wide)) if expansion > 1 else nn.Identity()
        self.depthwise = ConvolutionNorm((wide, wide), kernel, stride, depthwise=True)
        self.project = ConvolutionNorm((wide, channels[1])).linear()
        self.residual = stride == 1 and channels[0] == channels[1]

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, C', ceil(H / stride), ceil(W / stride))."""
        y = self.project(self.depthwise(self.expand(x)))
        return x + y if self.residual else y


class EfficientNetLite(nn.Module):
    """The network of one variant, ``lite0`` or ``lite2``."""

    def __init__(self, variant: str = "lite0") -> None:
        super().__init__()
        self.variant = VARIANTS[variant]
        self.stem = ConvolutionNorm((3, STEM_CHANNELS), kernel=3, stride=2)
        self.blocks = nn.ModuleList(_blocks(self.variant))
        self.head = ConvolutionNorm((scaled_channels(STAGES[-1].channels, self.variant.width), HEAD_CHANNELS))
        self.classifier = nn.Linear(HEAD_CHANNELS, CLASSES)

    def shallow(self, x: Tensor) -> Tensor:
        """The stem and the first blocks: (B, 3, S, S), RGB as (value - 127) / 128, to a feature map for `deep`."""
        x = self.stem(x)
        for block in self.blocks[: self.variant.exact_blocks]:
            x = block(x)
        return x

    def deep(self, x: Tensor) -> Tensor:
        """All the rest: the answer of `shallow` to picture vectors (B, 1280), the mean of the last feature map."""
        for block in self.blocks[self.variant.exact_blocks :]:
            x = block(x)
        return self.head(x).float().mean((2, 3))

    def layout(self, x: Tensor) -> Tensor:
        """The answer of `shallow` to layout vectors (B, `layout_dimensions`): what is to be seen, and roughly where.

        The means over the quarters of the feature maps at the ends of the `LAYOUT_STAGES`, and the picture vector, each
        brought to unit length.
        """
        parts, ends = [], stage_ends(self.variant)
        for index, block in enumerate(self.blocks[self.variant.exact_blocks :], self.variant.exact_blocks):
            x = block(x)
            if index in (ends[stage] for stage in LAYOUT_STAGES):
                parts.append(F.adaptive_avg_pool2d(x.float(), 2).flatten(1))
        parts.append(self.head(x).float().mean((2, 3)))
        return torch.cat([F.normalize(part, dim=1) for part in parts], 1)

    def until(self, x: Tensor, stage: int) -> Tensor:
        """The feature map (B, C, h, w) before a stage (0 to 6), of pictures as in `embed`."""
        x = self.stem(x)
        for block in self.blocks[: self.first_block(stage)]:
            x = block(x)
        return x

    def onward(self, x: Tensor, stage: int) -> Tensor:
        """All the rest from a stage on: the answer of `until` to picture vectors (B, 1280)."""
        for block in self.blocks[self.first_block(stage) :]:
            x = block(x)
        return self.head(x).float().mean((2, 3))

    def first_block(self, stage: int) -> int:
        """The index of a stage's first block."""
        return sum(stage_repeats(self.variant)[:stage])

    def embed(self, x: Tensor) -> Tensor:
        """Picture vectors (B, 1280) of (B, 3, S, S), RGB as (value - 127) / 128, S the variant's ``size``."""
        return self.deep(self.shallow(x))

    def forward(self, x: Tensor) -> Tensor:
        """ImageNet-1k logits (B, 1000) of pictures as in `embed`."""
        return self.classifier(self.embed(x))

    def fold(self) -> "EfficientNetLite":
        """Fold every norm into its convolution; for a network in eval mode that will not be trained. Returns itself."""
        for module in self.modules():
            if isinstance(module, ConvolutionNorm):
                module.fold()
        return self


def _blocks(variant: Variant) -> list[InvertedResidual]:
    blocks, channels = [], STEM_CHANNELS
    for stage, repeats in zip(STAGES, stage_repeats(variant), strict=True):
        wanted = scaled_channels(stage.channels, variant.width)
        for step in range(repeats):
            stride = stage.stride if step == 0 else 1
            blocks.append(InvertedResidual((channels, wanted), stage.kernel, stride, stage.expansion))
            channels = wanted
    return blocks
