"""The first encoder of the hub profile: CLIP's text encoder, and which of its tokens stand for a concept.

A prompt becomes 77 token outputs; those of a concept's word are replaced by its reference feature, brought into the
text encoder's space by `ReferenceMapper` (METHODS 2, claims 4 and 6).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.errors import ParameterError
from core.personal_video.prompt import ParsedPrompt

Vector = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class SemanticFeatures:
    """What the first encoder says of a prompt.

    Attributes:
        tokens: (1, L, D), the text encoder's outputs, L is 77.
        places: of each concept of the prompt, which tokens stand for it.
        unread: the end of the prompt, for which there was no room.
    """

    tokens: Tensor
    places: Mapping[str, tuple[int, ...]]
    unread: str

    def with_references(self, references: Mapping[str, Tensor]) -> Tensor:
        """The tokens (1, L, D) with those of concepts replaced, each by a vector as long as the others on the average.

        The first token, whose length is an exception in CLIP, does not count among the others.

        Args:
            references: (D,) by word, of length 1; concepts that have none keep their tokens.
        """
        tokens = self.tokens.clone()
        replaced = {place for word in references for place in self.places[word]}
        others = [place for place in range(1, tokens.shape[1]) if place not in replaced]
        length = self.tokens[0, others].float().norm(dim=1).mean()
        for word, reference in references.items():
            tokens[0, list(self.places[word])] = (length * reference.to(tokens.device)).to(tokens.dtype)
        return tokens


class PromptEncoder:
    """The text encoder with its tokenizer.

    Args:
        tokenizer: CLIP's, of the transformers library.
        network: ``CLIPTextModel``, in eval mode.
    """

    def __init__(self, tokenizer: Any, network: Any) -> None:
        self._tokenizer, self._network = tokenizer, network
        self._room = int(tokenizer.model_max_length)

    def encode(
        self, prompt: ParsedPrompt, replaced: Sequence[str] = (), device: str | torch.device = "cpu"
    ) -> SemanticFeatures:
        """The token outputs of a prompt.

        Deviation: the word of a concept that gets a reference feature is hidden from all other tokens. Otherwise they
        would hold what the word means to others: biscuits would lie about where <biscuit> runs.

        Args:
            prompt: parsed against the database.
            replaced: its concepts that will get a reference feature.
            device: where the text encoder computes.

        Raises:
            ParameterError: a concept stands only where the text encoder does not read any more.
        """
        read = self._tokens(prompt.text)
        places = {word: _places(prompt, word, read["offset_mapping"]) for word in prompt.words}
        for word, tokens in places.items():
            if not tokens:
                raise ParameterError(
                    f"<{word}> stands too far back: the text encoder reads {self._room - 2} tokens, about 50 words."
                    " Name it earlier, or shorten the prompt."
                )
        mask = torch.ones(1, self._room, dtype=torch.long)
        for word in replaced:
            mask[0, list(places[word])] = 0
        ids = torch.tensor([read["input_ids"]])
        with torch.inference_mode():
            tokens_out = self._network(ids.to(device), attention_mask=mask.to(device)).last_hidden_state
        return SemanticFeatures(tokens_out.clone(), places, self._unread(prompt.text))

    def _tokens(self, text: str) -> Any:
        return self._tokenizer(
            text, truncation=True, max_length=self._room, padding="max_length", return_offsets_mapping=True
        )

    def _unread(self, text: str) -> str:
        offsets = self._tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
        beyond = offsets["offset_mapping"][self._room - 2 :]
        return text[beyond[0][0] :] if beyond else ""


def _places(prompt: ParsedPrompt, word: str, offsets: Sequence[tuple[int, int]]) -> tuple[int, ...]:
    """The tokens that overlap any place of a word; first, last and filling tokens have no extent."""
    spans = [(span.start, span.end) for span in prompt.spans if span.word == word]
    return tuple(
        number
        for number, (begin, end) in enumerate(offsets)
        if begin < end and any(begin < stop and start < end for start, stop in spans)
    )


class ReferenceMapper:
    """Brings the image encoder's vectors into the text encoder's space.

    CLIP was trained to bring picture and text together by two linear maps: ``W_image · v`` and ``W_text · t`` point the
    same way when picture and text agree, where t is the text encoder's output at the end of the text. So the text
    output that agrees with a picture is ``W_text⁺ · W_image · v`` (⁺: pseudo-inverse), and nothing is to be learned.

    Args:
        image_map: (J, I), ``visual_projection.weight`` of CLIP.
        text_map: (J, D), ``text_projection.weight`` of CLIP.
    """

    def __init__(self, image_map: Tensor, text_map: Tensor) -> None:
        self._map = torch.linalg.pinv(text_map.double()) @ image_map.double()

    def map(self, reference: Vector) -> Tensor:
        """The direction (D,), float32, of length 1, for the image encoder's vector (I,).

        Raises:
            ParameterError: the vector is another encoder's, of another length.
        """
        if reference.shape != self._map.shape[1:]:
            raise ParameterError(
                f"The reference feature has {reference.shape} numbers, not {self._map.shape[1]}; it is another"
                " encoder's. Open the database with the hub profile's own."
            )
        mapped = self._map @ torch.tensor(reference, dtype=torch.float64)
        return (mapped / mapped.norm().clamp_min(1e-12)).float()
