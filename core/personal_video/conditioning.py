"""What the generation network is told: first semantic features and detail features, by the five modes of METHODS 2.

The first encoder gives the prompt's token outputs, the second semantic features. A mapper brings what the second
(image) encoder says of a subject into their space, the reference feature; it takes the place of the concept's tokens.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from types import MappingProxyType

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from core.encoders.text import TokenOutputs
from core.errors import ParameterError
from core.personal_video.extraction import Details, DetailsFromText, ExtractionNetwork, FusionGate
from core.personal_video.modes import MODES, Letter
from core.personal_video.planning import Plan

TEXT_WIDTH, IMAGE_WIDTH = 384, 1280
Span = tuple[int, int]


@dataclass(frozen=True)
class PromptFeatures:
    """A prompt's token outputs, and which of them stand for concepts.

    Attributes:
        hidden: float (L, 384).
        slots: int8 (L,): 0 for a token of the text, k + 1 where concept k begins, -1 for its further tokens.
    """

    hidden: NDArray[np.floating]
    slots: NDArray[np.int8]


def prompt_features(outputs: TokenOutputs, spans: Sequence[tuple[Span, int]]) -> PromptFeatures:
    """Mark which tokens stand for concepts.

    Args:
        outputs: of the whole prompt.
        spans: (characters, number of the concept) for each place where a concept stands.

    Raises:
        ParameterError: a span lies behind what the text encoder reads.
    """
    slots = np.zeros(len(outputs.hidden), np.int8)
    for (start, end), concept in spans:
        inside = np.flatnonzero((outputs.places[:, 0] < end) & (outputs.places[:, 1] > start))
        if not len(inside):
            raise ParameterError("The concept stands too far back in a long prompt; bring it nearer to the beginning.")
        slots[inside] = -1
        slots[inside[0]] = concept + 1
    return PromptFeatures(outputs.hidden, slots)


@dataclass(frozen=True)
class Text:
    """Prompts of a batch: second semantic features (B, L, 384), slots (B, L) as of `PromptFeatures`, and which tokens
    there are, bool (B, L).
    """

    hidden: Tensor
    slots: Tensor
    kept: Tensor

    @classmethod
    def of(cls, prompts: Sequence[PromptFeatures]) -> "Text":
        """Of several prompts."""
        length = max(len(prompt.hidden) for prompt in prompts)
        hidden = torch.zeros(len(prompts), length, TEXT_WIDTH)
        slots = torch.zeros(len(prompts), length, dtype=torch.int8)
        kept = torch.zeros(len(prompts), length, dtype=torch.bool)
        for row, prompt in enumerate(prompts):
            count = len(prompt.hidden)
            hidden[row, :count] = torch.from_numpy(np.asarray(prompt.hidden, np.float32))
            slots[row, :count] = torch.from_numpy(prompt.slots)
            kept[row, :count] = True
        return cls(hidden, slots, kept)

    def to(self, device: torch.device) -> "Text":
        """On another device."""
        return Text(self.hidden.to(device), self.slots.to(device), self.kept.to(device))


@dataclass(frozen=True)
class Given:
    """What comes in, as far as there is any; a mode takes what it needs and nothing else.

    Attributes:
        text: the prompts.
        database_vectors: (B, K, 1280), of the image encoder, of each concept's pictures in the database.
        database_pictures: (B, K, R, 4, S, S), as of `core.personal_video.extraction.Details`.
        database_present: (B, K, R), 1 where there is a picture.
        image_vectors: (B, K, 1280), of the image, in the place of the concept that it shows.
        image_pictures: (B, K, 1, 4, S, S), likewise.
        image_present: (B, K), 1 for the concept that the image shows; in modes c and e K is 1.
    """

    text: Text
    database_vectors: Tensor | None = None
    database_pictures: Tensor | None = None
    database_present: Tensor | None = None
    image_vectors: Tensor | None = None
    image_pictures: Tensor | None = None
    image_present: Tensor | None = None


@dataclass(frozen=True)
class Condition:
    """What the generation network is told.

    Attributes:
        hidden: (B, L, 384), first semantic features.
        kept: bool (B, L), which tokens there are.
        details: of all concepts.
        plan: where they are; None: the network is not told, and copies nothing.
    """

    hidden: Tensor
    kept: Tensor
    details: Details
    plan: Plan | None = None

    def without_text(self, dropped: Tensor | None = None) -> "Condition":
        """The same without the text, where ``dropped``, bool (B,), says so (everywhere by default)."""
        if dropped is None:
            return replace(self, kept=torch.zeros_like(self.kept))
        return replace(self, kept=self.kept & ~dropped[:, None])

    def without_subject(self, dropped: Tensor | None = None) -> "Condition":
        """The same without detail features, where ``dropped``, bool (B,), says so (everywhere by default)."""
        weights = self.details.weights
        factor = torch.zeros_like(weights) if dropped is None else (~dropped)[:, None, None].to(weights.dtype)
        return replace(self, details=self.details.weighed(factor))

    def repeated(self, count: int) -> "Condition":
        """Each clip's so many times, one after the other."""
        details = Details(*(getattr(self.details, part.name).repeat_interleave(count, 0) for part in fields(Details)))
        plan = None if self.plan is None else self.plan.repeated(count)
        return Condition(self.hidden.repeat_interleave(count, 0), self.kept.repeat_interleave(count, 0), details, plan)

    @property
    def text_bias(self) -> Tensor:
        """(B, L), minus infinity for tokens that are not there."""
        return hiding(self.kept)


def hiding(kept: Tensor) -> Tensor:
    """Zero where True, minus infinity where False."""
    return torch.zeros(kept.shape, device=kept.device).masked_fill(~kept, -torch.inf)


class Conditioner(nn.Module):
    """The networks between the two encoders and the generation network.

    Args:
        width: of detail features.
    """

    def __init__(self, width: int = 96) -> None:
        super().__init__()
        self.mapper = nn.Sequential(nn.Linear(IMAGE_WIDTH, TEXT_WIDTH), nn.GELU(), nn.Linear(TEXT_WIDTH, TEXT_WIDTH))
        self.extraction = ExtractionNetwork(width)
        self.fusion = FusionGate(width)
        self.from_text = DetailsFromText(width, TEXT_WIDTH)

    def forward(self, letter: Letter, given: Given) -> Condition:
        """What a mode makes of what came in.

        Args:
            letter: of the mode, a to e.
            given: at least what the mode needs.

        Raises:
            ParameterError: something that the mode needs is missing.
        """
        mode = MODES[letter]
        for needed, name in ((mode.needs_database, "database_pictures"), (mode.needs_image, "image_pictures")):
            if needed and getattr(given, name) is None:
                raise ParameterError(f"Mode {letter} needs {name.replace('_', ' ')}; give them, or choose another.")
        return PATHS[letter](self, given)

    def replaced(self, text: Text, vectors: Tensor) -> tuple[Tensor, Tensor]:
        """First semantic features (B, L, 384) and which tokens are kept: reference features in the concepts' places.

        Args:
            text: second semantic features.
            vectors: (B, K, 1280), of the image encoder.
        """
        mapped = self.mapper(nn.functional.normalize(vectors, dim=-1) * IMAGE_WIDTH**0.5)
        concept = (text.slots.long() - 1).clamp(min=0)
        inserted = mapped.gather(1, concept[..., None].expand(-1, -1, mapped.shape[-1]))
        hidden = torch.where((text.slots > 0)[..., None], inserted, text.hidden.to(inserted.dtype))
        return hidden, text.kept & (text.slots >= 0)

    def unreplaced(self, text: Text, details: Details) -> Condition:
        """With the text encoder's own features."""
        return Condition(text.hidden, text.kept, details)


def _tensor(value: Tensor | None) -> Tensor:
    assert value is not None
    return value


def _database_details(networks: Conditioner, given: Given) -> Details:
    return networks.extraction(_tensor(given.database_pictures), _tensor(given.database_present))


def _image_details(networks: Conditioner, given: Given) -> Details:
    return networks.extraction(_tensor(given.image_pictures), _tensor(given.image_present)[..., None])


def from_database(networks: Conditioner, given: Given) -> Condition:
    """Mode a: reference and detail features from the database."""
    hidden, kept = networks.replaced(given.text, _tensor(given.database_vectors))
    return Condition(hidden, kept, _database_details(networks, given))


def from_target_image(networks: Conditioner, given: Given) -> Condition:
    """Mode b: the reference feature from the target image, detail features of both, fused.

    Concepts that the image does not show keep the database's reference feature.
    """
    shown = _tensor(given.image_present)[..., None]
    vectors = torch.where(shown > 0, _tensor(given.image_vectors), _tensor(given.database_vectors))
    hidden, kept = networks.replaced(given.text, vectors)
    fused = networks.fusion(_database_details(networks, given), _image_details(networks, given))
    return Condition(hidden, kept, fused)


def from_unrelated_image(networks: Conditioner, given: Given) -> Condition:
    """Modes c and e: the text encoder's own features, detail features of the image."""
    return networks.unreplaced(given.text, _image_details(networks, given))


def from_text_alone(networks: Conditioner, given: Given) -> Condition:
    """Mode d: the text encoder's own features, and detail features from them."""
    details = networks.from_text(given.text.hidden, hiding(given.text.kept))
    return networks.unreplaced(given.text, details)


PATHS: MappingProxyType[Letter, Callable[[Conditioner, Given], Condition]] = MappingProxyType(
    {
        "a": from_database,
        "b": from_target_image,
        "c": from_unrelated_image,
        "d": from_text_alone,
        "e": from_unrelated_image,
    }
)
"""A path for each mode."""
