"""From a prompt with its concepts and an image to a video: the first network, and the second after it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.encoders.image import ImageEncoder
from core.errors import ParameterError, check_ranges
from core.personal_video.conditioning import Condition, Given, Span, Text, prompt_features
from core.personal_video.flow import Guided, SampleConfig, levels_of, planned, walk
from core.personal_video.looks import canonical
from core.personal_video.modes import MODES, Letter
from core.personal_video.network import PersonalVideoNetwork
from core.personal_video.planning import Plan, upright
from core.personal_video.prepared import TokenEncoder, on_white
from core.personal_video.redilation import EnlargeConfig, enlarged
from core.personal_video.subjects import Pixels
from core.runtime import placement

KEPT_PX = 256
"""Side of the squares that looks are kept at; larger videos copy from no more."""
MOST_PICTURES = 2
"""Of a concept, that are looked at; training saw no more."""


@dataclass(frozen=True, eq=False)
class Looks:
    """How a subject looks: squares (R, 256, 256, 4) as of `core.personal_video.looks.canonical`, and what the image
    encoder says of them, (1280,).
    """

    pictures: Pixels
    vector: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class VideoRequest:
    """What is to be seen.

    Attributes:
        mode: one of the five; decides which of the following count.
        text: the prompt, without brackets.
        spans: (characters, number of the concept) where concepts stand.
        concepts: their looks in the database, in the order of their numbers.
        image: the looks of the image's subject.
        shown: number of the concept that the image shows, in mode b.
        seed: the same request with the same seed gives the same video.
        frames, side_px: of the first video.

    Raises:
        ParameterError: a part that the mode needs is missing, or a value is out of its range.
    """

    mode: Letter
    text: str
    spans: tuple[tuple[Span, int], ...] = ()
    concepts: tuple[Looks, ...] = ()
    image: Looks | None = None
    shown: int = 0
    seed: int = 0
    frames: int = field(default=16, metadata={"help": "frames, 4 to 64"})
    side_px: int = field(default=64, metadata={"help": "side of the first video, a multiple of 8, 32 to 256"})

    def __post_init__(self) -> None:
        check_ranges(self, ("frames", 4, 64), ("side_px", 32, 256), ("seed", 0, 2**63 - 1))
        mode = MODES[self.mode]
        if mode.needs_database and not self.concepts:
            raise ParameterError(f"Mode {self.mode} needs a concept of the database; name one in the prompt.")
        if mode.needs_image and self.image is None:
            raise ParameterError(f"Mode {self.mode} needs an image; give one, or choose another mode.")
        if self.side_px % 8:
            raise ParameterError(f"side_px is {self.side_px}; choose a multiple of 8.")
        if any(number >= len(self.concepts) for _, number in self.spans) and mode.needs_database:
            raise ParameterError("The prompt names a concept whose looks are missing; give the looks of each.")


class VideoMaker:
    """Makes videos; may be shared by threads.

    Args:
        network: trained, on its device.
        text: the first encoder.
    """

    def __init__(self, network: PersonalVideoNetwork, text: TokenEncoder) -> None:
        self._network, self._text = network, text
        self._device = next(network.parameters()).device

    def first_steps(self, request: VideoRequest, config: SampleConfig | None = None) -> Iterator[Pixels]:
        """The video after every step of the first network, (T, H, W, 3); the last is the result."""
        config = config or SampleConfig()
        guided = Guided(self._network.generation, self.condition(request, request.side_px), config)
        shape = (1, request.frames, 3, request.side_px, request.side_px)
        noise = torch.randn(shape, generator=torch.Generator().manual_seed(request.seed)).to(self._device)
        for clip in walk(guided, noise, levels_of(config.steps)):
            yield as_pixels(clip)

    def enlarged_steps(
        self, request: VideoRequest, video: Pixels, config: SampleConfig | None = None, how: EnlargeConfig | None = None
    ) -> Iterator[Pixels]:
        """The first network's video (T, H, W, 3) after every step of the second, larger; the last is the result."""
        how = how or EnlargeConfig()
        condition = self.condition(request, request.side_px * how.factor)
        guided = Guided(self._network.generation, condition, config or SampleConfig())
        generator = torch.Generator().manual_seed(request.seed)
        for clip in enlarged(guided, as_clip(video).to(self._device), how, generator):
            yield as_pixels(clip)

    def condition(self, request: VideoRequest, side_px: int) -> Condition:
        """What the generation network is told; pictures to copy from are made for frames of a size."""
        (outputs,) = self._text.tokens([request.text])
        text = Text.of([prompt_features(outputs, request.spans)]).to(self._device)
        with torch.no_grad(), placement().autocast():
            condition: Condition = self._network.conditioner(request.mode, given_for(request, text, side_px))
        count = condition.details.weights.shape[1]
        generator = torch.Generator().manual_seed(request.seed)
        paths = planned(self._network.planner, text, (count, request.frames), generator)
        return replace(condition, plan=Plan(paths, upright(condition.details.weights.shape).to(self._device)))


def given_for(request: VideoRequest, text: Text, side_px: int) -> Given:
    """What comes in, as tensors beside the prompt's; a batch of one."""
    device = text.hidden.device
    parts: dict[str, Any] = {}
    if request.concepts:
        count = max(min(len(looks.pictures), MOST_PICTURES) for looks in request.concepts)
        pictures = torch.zeros(1, len(request.concepts), count, 4, side_px, side_px)
        present = torch.zeros(1, len(request.concepts), count)
        for number, looks in enumerate(request.concepts):
            found = as_pictures(looks.pictures[:MOST_PICTURES], side_px)
            pictures[0, number, : len(found)], present[0, number, : len(found)] = found, 1
        vectors = torch.from_numpy(np.stack([looks.vector for looks in request.concepts]))[None].float()
        parts |= {"database_vectors": vectors, "database_pictures": pictures, "database_present": present}
    if request.image is not None:
        places = len(request.concepts) if request.mode == "b" else 1
        shown = torch.zeros(1, places)
        shown[0, request.shown if request.mode == "b" else 0] = 1
        picture = as_pictures(request.image.pictures[:1], side_px)[None, None].repeat(1, places, 1, 1, 1, 1)
        vector = torch.from_numpy(request.image.vector)[None, None].float().repeat(1, places, 1)
        parts |= {"image_vectors": vector, "image_pictures": picture, "image_present": shown}
    return Given(text, **{name: value.to(device) for name, value in parts.items()})


def looks_of(cutouts: Sequence[Pixels], encoder: ImageEncoder) -> Looks:
    """How a subject looks, of its cut-outs.

    Args:
        cutouts: uint8 (H, W, 4) each, RGB with straight alpha.
        encoder: the second encoder.

    Raises:
        ParameterError: there are none, or nothing in one is visible.
    """
    if not cutouts:
        raise ParameterError("There is no picture of the subject; give at least one.")
    squares = np.stack([canonical(cutout, KEPT_PX) for cutout in cutouts])
    shown = np.stack([on_white(canonical(cutout, encoder.size)) for cutout in cutouts])
    vectors = encoder.encode(shown)
    directions = vectors / np.linalg.norm(vectors, axis=1, keepdims=True).clip(1e-12)
    return Looks(squares, directions.mean(0).astype(np.float32))


def as_pictures(squares: Pixels, side_px: int) -> Tensor:
    """Squares (R, S, S, 4), RGB times opacity, as the networks take them: (R, 4, side_px, side_px)."""
    sized = np.stack([cv2.resize(square, (side_px, side_px), interpolation=cv2.INTER_AREA) for square in squares])
    pictures = torch.from_numpy(sized).permute(0, 3, 1, 2).float() / 255
    return torch.cat([2 * pictures[:, :3] - pictures[:, 3:], pictures[:, 3:]], dim=1)


def as_clip(frames: Pixels) -> Tensor:
    """Frames (T, H, W, 3) as a clip (1, T, 3, H, W), -1 to 1."""
    return torch.from_numpy(frames).permute(0, 3, 1, 2)[None].float() / 127.5 - 1


def as_pixels(clip: Tensor) -> Pixels:
    """A clip (1, T, 3, H, W), -1 to 1, as frames (T, H, W, 3)."""
    values = ((clip[0].float().clamp(-1, 1) + 1) * 127.5).round()
    return np.asarray(values.to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy())
