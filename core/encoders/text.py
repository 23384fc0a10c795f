"""Sentences to vectors of unit length, so that a dot product is the cosine.

Embedded: all-MiniLM-L6-v2, English only. Hub: multilingual e5, about a hundred languages.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.memory import Batches, Resident, house
from core.runtime import Profile, current_profile, loading_alone, placement
from core.weights import find_manifest, weights_path

Vectors = NDArray[np.float32]
Role = Literal["query", "passage"]

BATCH = 32
"""Sentences in the first batch, and on a CPU in each; see `core.memory.Batches`."""
DEFAULT_NAMES: dict[Profile, str] = {"embedded": "minilm", "hub": "multilingual_e5"}
PREFIXED = frozenset({"multilingual_e5"})
"""Weights whose network was trained on sentences that begin with ``query: `` or ``passage: ``."""


class TextEncoder(Protocol):
    """A frozen network that turns sentences into vectors.

    Attributes:
        name: of its weights.
        version: of its weights; vectors of two versions must not be compared.
        dimensions: length of a vector.
    """

    name: str
    version: str
    dimensions: int

    def encode(self, sentences: Sequence[str], role: Role = "query") -> Vectors:
        """Turn sentences into vectors (B, dimensions) of unit length.

        Args:
            sentences: B of them; each is cut at the number of tokens that the network was trained on.
            role: ``passage`` for what is searched, ``query`` for what is asked and for sentences that are compared
                with each other. A network that was not trained to tell them apart takes no notice.
        """
        ...


@dataclass(frozen=True)
class TokenOutputs:
    """What a text network says of each token of a sentence.

    Attributes:
        hidden: float32 (T, dimensions), the last layer, with the marks at both ends of the sentence.
        places: int (T, 2), the characters that a token stands for, start and end (exclusive); equal for marks.
    """

    hidden: Vectors
    places: NDArray[np.int64]


class MeanPooledEncoder:
    """A `TextEncoder` on a transformers network: the mean of the last layer over all tokens, brought to unit length.

    Source: Reimers and Gurevych, "Sentence-BERT", 2019, section 3 (mean pooling); Wang et al., "Multilingual E5 Text
    Embeddings", 2024, for the prefixes.

    It computes in float32 everywhere: bfloat16 moves similarities by 7e-4, four times as much as the float16 weights
    do, and sentences are too few for its speed to matter.

    Args:
        name: of the weights, such as ``minilm`` or ``multilingual_e5``.

    Raises:
        WeightsError: the weights are missing or wrong.
    """

    def __init__(self, name: str = "minilm") -> None:
        folder = weights_path(name)
        self.name = name
        self.version = find_manifest(name).revision
        with loading_alone():
            from transformers import AutoModel, AutoTokenizer

            self._tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
            model = AutoModel.from_pretrained(folder, local_files_only=True, use_safetensors=True, dtype=torch.float32)
        self.dimensions: int = model.config.hidden_size
        self._placement = placement(low_precision=False)
        self._batches = Batches(name, self._placement.device, BATCH)
        self._network: Resident = house(model, self._placement, name)

    def encode(self, sentences: Sequence[str], role: Role = "query") -> Vectors:
        """Turn sentences into vectors; see `TextEncoder`."""
        prefix = f"{role}: " if self.name in PREFIXED else ""
        texts = [prefix + sentence for sentence in sentences]
        with self._network.in_use() as network:
            vectors = self._batches.run(len(texts), lambda part: self._encode(network, texts[part]))
        return np.concatenate([np.empty((0, self.dimensions), np.float32), *vectors])

    def tokens(self, sentences: Sequence[str]) -> list[TokenOutputs]:
        """What the network says of each token, for every sentence; those are cut as in `encode`, and not prefixed."""
        texts = list(sentences)
        with self._network.in_use() as network:
            outputs = self._batches.run(len(texts), lambda part: self._tokens(network, texts[part]))
        return list(chain.from_iterable(outputs))

    def _tokens(self, network: Any, texts: list[str]) -> list[TokenOutputs]:
        batch = self._tokenizer(texts, padding=True, truncation=True, return_tensors="pt", return_offsets_mapping=True)
        places, mask = batch.pop("offset_mapping").numpy(), batch["attention_mask"].bool().numpy()
        with torch.inference_mode():
            hidden = network(**batch.to(self._placement.device)).last_hidden_state.cpu().numpy()
        return [TokenOutputs(h[m], p[m]) for h, p, m in zip(hidden, places, mask, strict=True)]

    def _encode(self, network: Any, texts: list[str]) -> Vectors:
        batch = self._tokenizer(texts, padding=True, truncation=True, return_tensors="pt").to(self._placement.device)
        with torch.inference_mode():
            hidden = network(**batch).last_hidden_state
            return mean_pooled(hidden, batch["attention_mask"]).cpu().numpy()


def mean_pooled(hidden: Tensor, mask: Tensor) -> Tensor:
    """The mean of (B, T, D) over the tokens where ``mask`` (B, T) is 1, brought to unit length: (B, D).

    >>> mean_pooled(torch.tensor([[[3.0, 0.0], [0.0, 4.0], [9.0, 9.0]]]), torch.tensor([[1, 1, 0]])).tolist()
    [[0.6000000238418579, 0.800000011920929]]
    """
    weights = mask[..., None].to(hidden.dtype)
    return torch.nn.functional.normalize((hidden * weights).sum(1) / weights.sum(1), dim=1)


def text_encoder(name: str | None = None, profile: Profile | None = None) -> TextEncoder:
    """Load an encoder: the one named, or that of the profile (this process's own when None).

    Raises:
        WeightsError: there are no such weights, or they are missing or wrong.
    """
    return MeanPooledEncoder(name or DEFAULT_NAMES[profile or current_profile()])
