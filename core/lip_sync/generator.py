"""The decoder-generator subnet and its discriminator (METHODS 4, network and stage 2).

Each visual feature vector becomes a picture: the vectors of sight and hearing steer a decoder over the maps of the
blurred group. Beside it an encoder looks at the blurred picture itself, at a reference picture of the same face whose
mouth is drawn to where it is to be, and at the landmarks there. The picture is a sum of three, with weights that the
network chooses for each pixel: the blurred picture, the reference drawn a little further, and colours of its own.

Sources: feature-wise steering, Perez et al., "FiLM", 2018; a reference beside the masked picture, Prajwal et al., "A
Lip Sync Expert Is All You Need", 2020; drawing the reference, Siarohin et al., "First Order Motion Model", 2019; four
pixels from one place of the last maps, Shi et al., "Real-Time Single Image and Video Super-Resolution Using an
Efficient Sub-Pixel Convolutional Neural Network", 2016.
Deviation: METHODS does not say how landmarks correct the picture. Here they are those of the mouth at rest, opened by
as much as is heard (`core.lip_sync.opening`); they draw the reference along (`mouth_flow`), and become maps
(`landmark_maps`).
"""

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.lip_sync.model import VECTOR, WIDTHS, FeatureExtraction, Seen
from core.lip_sync.opening import CORNERS, Opening, opened

LANDMARKS = 25
_LOOK = (32, 64, 96, 128)
"""Channels at a half, a fourth, an eighth and a sixteenth of the picture's side, as the maps of sight are."""
_FINE = 2
"""So many pixels each way are one place of the finest maps, and come from it again."""
_MAPS = 3
_SPREAD_PX, _EDGE_PX, _SEAM_PX, _APART_PX = 1.5, 0.7, 4.0, 3.0
"""On a picture of 128: how wide landmarks are drawn, how soft the mouth's edge is, how broad the seam of shut lips, and
how far apart lips are from which on they are not shut."""
_PULLS, _LOOSE = ((4.0, 1.0), (14.0, 0.01)), 0.0005
"""How far landmarks draw the skin along, and how strongly; what holds it where it is."""
_LOWER, _UPPER = [12, 13, 14, 15, 16, 17, 18], [12, 23, 22, 21, 20, 19, 18]
"""The lips' inner edge among the 25, from corner to corner."""
_BELOW, _ABOVE = [*range(7), *_LOWER, 24], [0, *range(6, 12), *_UPPER]
_REACH = 0.1
"""How far the reference may be drawn, as a share of the picture's side."""


@dataclass(frozen=True)
class Given:
    """What a picture is made from; pictures are RGB in [0, 1].

    Attributes:
        blurred: (B, 3, S, S), the mouth-blurred picture.
        reference: (B, 3, S, S), the same face in another picture, not blurred.
        landmarks: (B, 25, 2), of the mouth, in pixels of ``blurred``: at rest, or as it is to be.
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
    across, down = _near(landmarks, side_px, _SPREAD_PX)
    parts = (slice(0, 12), slice(12, 24), slice(24, 25))
    return torch.stack([torch.einsum("bny,bnx->bnyx", down[:, p], across[:, p]).amax(dim=1) for p in parts], dim=1)


def mouth_flow(landmarks: Tensor, source: Tensor, side_px: int) -> Tensor:
    """Where to look in a picture with landmarks ``source`` so that they come to lie at ``landmarks``, (B, 25, 2) each.

    Each place follows the landmarks around it: close ones by a Gaussian of 4 pixels' deviation on a picture of 128,
    and where there are none, farther ones by one of 14; far from all of them nothing moves. What is below the middle
    line of the mouth follows the lower lip and the chin alone, what is above it the upper lip.

    Returns:
        (B, 2, S, S), x and y, in shares of the side.
    """
    moved, (top, bottom) = (source - landmarks) / side_px, _edges(landmarks, side_px)
    where = torch.arange(side_px, device=landmarks.device, dtype=torch.float32)[:, None]
    below = torch.sigmoid((where - (top + bottom) / 2) / (_EDGE_PX * side_px / 128))[:, None]
    flow = pulls = torch.zeros_like(below)
    for points, side in ((_BELOW, below), (_ABOVE, 1 - below)):
        for spread_px, weight in _PULLS:
            across, down = _near(landmarks[:, points], side_px, spread_px)
            pulls = pulls + weight * side * torch.einsum("bny,bnx->byx", down, across)[:, None]
            flow = flow + weight * side * torch.einsum("bny,bnx,bnc->bcyx", down, across, moved[:, points])
    return flow / (pulls + _LOOSE)


def mouth_inside(landmarks: Tensor, side_px: int) -> Tensor:
    """What lies between the lips of landmarks (B, 25, 2), (B, 1, S, S): 1 inside, 0 outside, soft at the edge."""
    where = torch.arange(side_px, device=landmarks.device, dtype=torch.float32)
    (top, bottom), soft, rows = _edges(landmarks, side_px), _EDGE_PX * side_px / 128, where[:, None]
    left, right = (landmarks[:, corner, :1] for corner in CORNERS)
    columns = torch.sigmoid((where - left) / soft) * torch.sigmoid((right - where) / soft)
    inside = torch.sigmoid((rows - top) / soft) * torch.sigmoid((bottom - rows) / soft)
    return (inside * columns[:, None])[:, None]


def shut_lips(landmarks: Tensor, side_px: int) -> Tensor:
    """Where lips meet, (B, 1, S, S), 1 to 0: nothing is to be made up there, for the reference has it all."""
    where = torch.arange(side_px, device=landmarks.device, dtype=torch.float32)[:, None]
    (top, bottom), wide = _edges(landmarks, side_px), side_px / 128
    apart = ((bottom - top) / (_APART_PX * wide)).clamp(0, 1)
    return (torch.exp(-0.5 * ((where - (top + bottom) / 2) / (_SEAM_PX * wide)) ** 2) * (1 - apart))[:, None]


def _edges(landmarks: Tensor, side_px: int) -> tuple[Tensor, Tensor]:
    """The row of the upper and of the lower lip's inner edge in each column, (B, 1, S) each."""
    where = torch.arange(side_px, device=landmarks.device, dtype=torch.float32)
    lower, upper = landmarks[:, _LOWER], landmarks[:, _UPPER]
    columns = (lower[..., 0] + upper[..., 0]) / 2
    near = torch.softmax(-0.5 * ((where - columns[..., None]) / (3 * side_px / 128)) ** 2, dim=1)
    top, bottom = (torch.einsum("bnx,bn->bx", near, edge[..., 1])[:, None] for edge in (upper, lower))
    return top, bottom


def _near(landmarks: Tensor, side_px: int, spread_px: float) -> tuple[Tensor, Tensor]:
    """How near each column and each row is to landmarks (B, N, 2), (B, N, S) each, 1 to 0; pixels on one of 128."""
    where, spread = torch.arange(side_px, device=landmarks.device, dtype=torch.float32), spread_px * side_px / 128
    across, down = (torch.exp(-0.5 * ((where - landmarks[..., axis, None]) / spread) ** 2) for axis in (0, 1))
    return across, down


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
        channels, look = (3 + 3 + _MAPS + 1) * _FINE**2, []
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
        self.last = nn.Conv2d(channels, 2 + (3 + 3) * _FINE**2, 3, 1, 1)

    def forward(self, given: Given, seen: Seen, heard: Tensor) -> Made:
        """Make a picture for each group that was seen.

        Args:
            given: what the pictures are made from.
            seen: of the blurred groups, by `core.lip_sync.model.FeatureExtraction`.
            heard: (B, 256).
        """
        side = given.blurred.shape[-1]
        flow = mouth_flow(given.landmarks, given.reference_landmarks, side)
        maps = landmark_maps(given.landmarks, side), mouth_inside(given.landmarks, side)
        x, looks = F.pixel_unshuffle(torch.cat([given.blurred, _drawn(given, flow), *maps], dim=1), _FINE), []
        for step in self.look:
            x = step(x)
            looks.append(x)
        code = self.code(torch.cat([seen.vector, heard], dim=1))
        x = self.middle(torch.cat([looks[-1], seen.maps[-1]], dim=1), code)
        for step, look, beside in zip(self.steps, looks[-2::-1], seen.maps[-2::-1], strict=True):
            x = F.interpolate(x, scale_factor=2, mode="nearest")
            x = step(torch.cat([x, look, beside], dim=1), code)
        return _composed(self.last(x).float(), given, flow)


def _drawn(given: Given, flow: Tensor) -> Tensor:
    """The reference, each place looked up as far away as the flow (B, 2, S, S) says in shares of the side."""
    rows, columns = (torch.linspace(-1, 1, n, device=flow.device) for n in flow.shape[-2:])
    grid = torch.stack(torch.meshgrid(columns, rows, indexing="xy"), dim=-1) + 2 * flow.permute(0, 2, 3, 1)
    return F.grid_sample(given.reference.float(), grid, padding_mode="border", align_corners=True)


def _composed(x: Tensor, given: Given, flow: Tensor) -> Made:
    further = F.interpolate(x[:, :2].tanh() * _REACH, scale_factor=_FINE, mode="bilinear", align_corners=False)
    x = F.pixel_shuffle(x[:, 2:], _FINE)
    colours, shares = x[:, :3].sigmoid(), x[:, 3:].softmax(dim=1)
    shut = shut_lips(given.landmarks, shares.shape[-1])
    shares = torch.cat([shares[:, :1], shares[:, 1:2] + shut * shares[:, 2:], (1 - shut) * shares[:, 2:]], dim=1)
    reference = _drawn(given, flow + further)
    picture = shares[:, :1] * given.blurred + shares[:, 1:2] * reference + shares[:, 2:] * colours
    return Made(picture, shares)


class MouthNetwork(nn.Module):
    """Both subnets: a blurred group, speech and landmarks in, a picture out."""

    def __init__(self, features: FeatureExtraction, opening: Opening, generator: Generator) -> None:
        super().__init__()
        self.features, self.opening, self.generator = features, opening, generator

    def forward(self, groups: Tensor, windows: Tensor, given: Given) -> Made:
        """Make pictures from blurred groups (B, 5, 3, 128, 128) and windows (B, 20, 20) of the cepstrum."""
        return self.make(given, self.features.see(groups), self.features.hearing(windows))

    def make(self, given: Given, seen: Seen, heard: Tensor) -> Made:
        """Make pictures of what was seen and heard; the landmarks that are given are those at rest."""
        return self.generator(replace(given, landmarks=opened(given.landmarks, self.opening(heard))), seen, heard)


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
