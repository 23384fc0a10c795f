"""The decoder-generator subnet and its discriminator (METHODS 4, network and stage 2).

Each visual feature vector becomes a picture: the vectors of sight and hearing steer a decoder over the maps of the
blurred group. Beside it an encoder looks at the blurred picture itself, at a reference picture of the same face, and at
where the mouth's landmarks are in both. The picture is a sum of three, with weights that the network chooses for each
pixel: the blurred picture, the reference drawn to where it is needed, and colours of the network's own.

Sources: feature-wise steering, Perez et al., "FiLM", 2018; a reference beside the masked picture, Prajwal et al., "A
Lip Sync Expert Is All You Need", 2020; drawing the reference, Siarohin et al., "First Order Motion Model", 2019; four
pixels from one place of the last maps, Shi et al., "Real-Time Single Image and Video Super-Resolution Using an
Efficient Sub-Pixel Convolutional Neural Network", 2016.
Deviation: METHODS does not say how landmarks correct the picture; here they are drawn as maps (`landmark_maps`).
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.lip_sync.model import VECTOR, WIDTHS, FeatureExtraction, Seen

LANDMARKS = 25
_LOOK = (32, 64, 96, 128)
"""Channels at a half, a fourth, an eighth and a sixteenth of the picture's side, as the maps of sight are."""
_FINE = 2
"""So many pixels each way are one place of the finest maps, and come from it again."""
_MAPS = 3
_SPREAD_PX = 1.5
_REACH = 0.25
"""How far the reference may be drawn, as a share of the picture's side."""


@dataclass(frozen=True)
class Given:
    """What a picture is made from; pictures are RGB in [0, 1].

    Attributes:
        blurred: (B, 3, S, S), the mouth-blurred picture.
        reference: (B, 3, S, S), the same face in another picture, not blurred.
        landmarks: (B, 25, 2), of the mouth at rest, in pixels of ``blurred``.
        reference_landmarks: (B, 25, 2), as they are in ``reference``.
    """

    blurred: Tensor
    reference: Tensor
    landmarks: Tensor
    reference_landmarks: Tensor


@dataclass(frozen=True)
class Made:
    """What the generator makes.

    Attributes:
        picture: (B, 3, S, S), RGB in [0, 1].
        shares: (B, 3, S, S), of the blurred picture, the drawn reference, and own colours; they sum to 1.
    """

    picture: Tensor
    shares: Tensor


def landmark_maps(landmarks: Tensor, side_px: int) -> Tensor:
    """Landmarks (B, 25, 2) drawn as maps (B, 3, S, S), in [0, 1]: outer lip, inner lip, chin.

    Each landmark is a spot of 1.5 pixels' deviation, on a map of a picture of 128; the brightest one counts.
    """
    where = torch.arange(side_px, device=landmarks.device, dtype=torch.float32)
    spread = _SPREAD_PX * side_px / 128
    across, down = (torch.exp(-0.5 * ((where - landmarks[..., axis, None]) / spread) ** 2) for axis in (0, 1))
    parts = (slice(0, 12), slice(12, 24), slice(24, 25))
    return torch.stack([torch.einsum("bny,bnx->bnyx", down[:, p], across[:, p]).amax(dim=1) for p in parts], dim=1)


def block(channels: int, out: int, stride: int = 1) -> nn.Sequential:
    """Convolution of 3 × 3, normalisation in groups of eight channels, and SiLU; one picture is made as many are."""
    return nn.Sequential(nn.Conv2d(channels, out, 3, stride, 1), nn.GroupNorm(out // 8, out), nn.SiLU())


class Steered(nn.Module):
    """A block whose channels are scaled and shifted by a code."""

    def __init__(self, channels: int, out: int, code: int) -> None:
        super().__init__()
        self.first, self.second = block(channels, out), nn.Conv2d(out, out, 3, 1, 1)
        self.norm, self.steer = nn.GroupNorm(out // 8, out), nn.Linear(code, 2 * out)

    def forward(self, x: Tensor, code: Tensor) -> Tensor:
        """(B, C, H, W) and (B, K) to (B, out, H, W)."""
        scale, shift = self.steer(code)[:, :, None, None].chunk(2, dim=1)
        return F.silu(self.norm(self.second(self.first(x))) * (1 + scale) + shift)


class Generator(nn.Module):
    """From features to pictures of the mouth and chin."""

    def __init__(self) -> None:
        super().__init__()
        channels, look = (3 + 3 + 2 * _MAPS) * _FINE**2, []
        for number, width in enumerate(_LOOK):
            look.append(block(channels, width, 2 if number else 1))
            channels = width
        self.look = nn.ModuleList(look)
        code = VECTOR
        self.code = nn.Sequential(nn.Linear(2 * VECTOR, code), nn.SiLU(), nn.Linear(code, code), nn.SiLU())
        self.middle = Steered(_LOOK[-1] + WIDTHS[-1], _LOOK[-1], code)
        steps, channels = [], _LOOK[-1]
        for width, beside in zip(_LOOK[-2::-1], WIDTHS[-2::-1], strict=True):
            steps.append(Steered(channels + width + beside, width, code))
            channels = width
        self.steps = nn.ModuleList(steps)
        self.last = nn.Sequential(nn.Conv2d(channels, (3 + 2 + 3) * _FINE**2, 3, 1, 1), nn.PixelShuffle(_FINE))

    def forward(self, given: Given, seen: Seen, heard: Tensor) -> Made:
        """Make a picture for each group that was seen.

        Args:
            given: what the pictures are made from.
            seen: of the blurred groups, by `core.lip_sync.model.FeatureExtraction`.
            heard: (B, 256).
        """
        side = given.blurred.shape[-1]
        maps = [landmark_maps(points, side) for points in (given.landmarks, given.reference_landmarks)]
        x, looks = F.pixel_unshuffle(torch.cat([given.blurred, given.reference, *maps], dim=1), _FINE), []
        for step in self.look:
            x = step(x)
            looks.append(x)
        code = self.code(torch.cat([seen.vector, heard], dim=1))
        x = self.middle(torch.cat([looks[-1], seen.maps[-1]], dim=1), code)
        for step, look, beside in zip(self.steps, looks[-2::-1], seen.maps[-2::-1], strict=True):
            x = F.interpolate(x, scale_factor=2, mode="nearest")
            x = step(torch.cat([x, look, beside], dim=1), code)
        return _composed(self.last(x).float(), given)


def _composed(x: Tensor, given: Given) -> Made:
    colours, drawn = x[:, :3].sigmoid(), x[:, 3:5].tanh() * _REACH
    shares = x[:, 5:].softmax(dim=1)
    rows, columns = (torch.linspace(-1, 1, n, device=x.device) for n in x.shape[-2:])
    grid = torch.stack(torch.meshgrid(columns, rows, indexing="xy"), dim=-1) + 2 * drawn.permute(0, 2, 3, 1)
    reference = F.grid_sample(given.reference.float(), grid, padding_mode="border", align_corners=True)
    picture = shares[:, :1] * given.blurred + shares[:, 1:2] * reference + shares[:, 2:] * colours
    return Made(picture, shares)


class MouthNetwork(nn.Module):
    """Both subnets: a blurred group, speech and landmarks in, a picture out."""

    def __init__(self, features: FeatureExtraction, generator: Generator) -> None:
        super().__init__()
        self.features, self.generator = features, generator

    def forward(self, groups: Tensor, windows: Tensor, given: Given) -> Made:
        """Make pictures from blurred groups (B, 5, 3, 128, 128) and windows (B, 20, 20) of the cepstrum."""
        return self.generator(given, self.features.see(groups), self.features.hearing(windows))


class Discriminator(nn.Module):
    """Says of each patch of a picture, with the mouth's landmarks beside it, whether it is real: (B, 1, 14, 14) logits.

    Source: the patch discriminator of Isola et al., "Image-to-Image Translation with Conditional Adversarial Networks",
    2017, on pictures of 128.
    """

    def __init__(self) -> None:
        super().__init__()
        self.steps = nn.Sequential(
            nn.Conv2d(3 + _MAPS, 32, 4, 2, 1), nn.LeakyReLU(0.2),
            *_patches(32, 64, 2), *_patches(64, 128, 2), *_patches(128, 128, 1),
            nn.Conv2d(128, 1, 4, 1, 1),
        )  # fmt: skip

    def forward(self, pictures: Tensor, landmarks: Tensor) -> Tensor:
        """Judge pictures (B, 3, 128, 128), RGB in [0, 1], with landmarks (B, 25, 2)."""
        return self.steps(torch.cat([pictures, landmark_maps(landmarks, pictures.shape[-1])], dim=1))


def _patches(channels: int, out: int, stride: int) -> tuple[nn.Module, ...]:
    return nn.Conv2d(channels, out, 4, stride, 1), nn.GroupNorm(out // 8, out), nn.LeakyReLU(0.2)
