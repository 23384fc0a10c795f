"""The models that the hub profile adds to the library (METHODS 5, step 1): CLIP, ConvNeXt, DINOv2, VideoMAE, Q-Align.

All are large networks of the transformers library, and stay frozen whole: what they say is prepared once for every
clip, and only what is put on top of it is trained, for a fine-tuned self as for the teacher. Nothing is loaded, nor
fetched, before a model first prepares something.
"""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from core.encoders.image import TransformersImageEncoder
from core.errors import WeightsError
from core.memory import Batches, house
from core.runtime import loading_alone, placement
from core.video_quality.levels import LEVELS
from core.video_quality.library import Kind, LibraryModel, Prepared, middle
from core.video_quality.sampling import Pixels, Window
from core.weights import weights_path

SEEN = [0, 2]
"""The views of a second that image models look at: fragments, and the whole picture."""
FRAMES = 16
"""Pictures that VideoMAE takes at once."""
QUESTION = (
    "<|im_start|>User:<image>How would you rate the quality of this image?<end_of_utterance>\n"
    "Assistant: The quality of the image is"
)
"""Q-Align's question and the beginning of its answer, in the turns that SmolVLM was trained on."""
Pooled = Callable[[Pixels], NDArray[np.float32]]


class PooledModel:
    """An image model whose features are its pooled output for the fragments and for the whole picture of a second.

    Args:
        name: of the model and its weights.
        length: of its pooled output.
        load: makes of the name what turns pictures (T, 224, 224, 3) into pooled outputs (T, length).
    """

    kind: Kind = "image"

    def __init__(self, name: str, length: int, load: Callable[[str], Pooled]) -> None:
        self.name, self.dimensions, self._load = name, len(SEEN) * length, load

    @cached_property
    def _pooled(self) -> Pooled:
        return self._load(self.name)

    def prepare(self, windows: Sequence[Window]) -> Prepared:
        """The pooled outputs of the second in the middle: (2, length).

        Raises:
            WeightsError: the weights are missing or wrong.
        """
        return self._pooled(middle(windows).views[SEEN]).astype(np.float16)

    def network(self) -> nn.Module:
        """Nothing but both outputs one after the other."""
        return nn.Flatten()


class VideoMAEModel:
    """VideoMAE, trained to fill in what was hidden of films, on the whole pictures of a film in their order.

    Source: Tong et al., "VideoMAE: Masked Autoencoders are Data-Efficient Learners for Self-Supervised Video
    Pre-Training", 2022. It was trained on neighbouring pictures; here they lie a second and more apart, so that the
    film is seen as it is. Its weights are for non-commercial use only, see ``weights/videomae``.
    """

    name = "videomae"
    kind: Kind = "video"
    dimensions = 2 * 768

    @cached_property
    def _tower(self) -> "_Tower":
        return _Tower(self.name)

    def prepare(self, windows: Sequence[Window]) -> Prepared:
        """Means and deviations (1536,) of the last layer over all places and times.

        It takes `FRAMES` evenly spread seconds; where a film has fewer, each stands several times.

        Raises:
            WeightsError: the weights are missing or wrong.
        """
        places = np.linspace(0, len(windows) - 1, FRAMES).round().astype(int)
        hidden = self._tower.hidden(np.stack([windows[place].views[2] for place in places]))
        return torch.cat([hidden.mean(0), hidden.std(0)]).numpy().astype(np.float16)

    def network(self) -> nn.Module:
        """Nothing: the statistics are the features."""
        return nn.Identity()


class LevelWordsModel:
    """How a model of pictures and language rates a picture in words: the method of Q-Align over another model.

    Source: Wu et al., "Q-Align: Teaching LMMs for Visual Scoring via Discrete Text-Defined Levels", 2023, section 3.3:
    after "The quality of the image is" the logits of the five words excellent, good, fair, poor, bad are compared by a
    softmax over these alone. Q-Align's own network was trained to answer so, but its weights run only with code of
    their own, which is not run here; SmolVLM, which transformers knows, was never taught quality. Its shares are
    therefore features for the teacher, and no score.
    """

    name = "q_align"
    weights = "smolvlm"
    kind: Kind = "image"
    dimensions = len(SEEN) * len(LEVELS)

    @cached_property
    def _answer(self) -> "_NextWord":
        return _NextWord(self.weights)

    def prepare(self, windows: Sequence[Window]) -> Prepared:
        """Logarithms (2, 5) of the shares of the five levels, bad first, of the second in the middle.

        Raises:
            WeightsError: the weights are missing or wrong, or their vocabulary does not tell the five words apart.
        """
        return self._answer.logits(middle(windows).views[SEEN]).log_softmax(1).numpy().astype(np.float16)

    def network(self) -> nn.Module:
        """Nothing but the shares of both pictures one after the other."""
        return nn.Flatten()


class _Tower:
    """A frozen network that takes pictures of its own size as they are, after scaling of their values."""

    def __init__(self, name: str) -> None:
        folder = weights_path(name)
        with loading_alone():
            from transformers import AutoImageProcessor, AutoModel

            self._processor: Any = AutoImageProcessor.from_pretrained(folder, local_files_only=True, backend="pil")
            model = AutoModel.from_pretrained(folder, local_files_only=True, use_safetensors=True)
        self._placement = placement()
        self._batches = Batches(name, self._placement.device, len(SEEN))
        self._network = house(model, self._placement, name)

    def pooled(self, pictures: Pixels) -> NDArray[np.float32]:
        """The pooled outputs (T, length) of pictures (T, H, W, 3)."""
        with self._network.in_use() as network:
            seen = self._batches.run(len(pictures), lambda part: self._seen(network, pictures[part]).pooler_output)
        return torch.cat(seen).float().cpu().numpy()

    def hidden(self, film: Pixels) -> Tensor:
        """The last layer (places, length) of one film of pictures (T, H, W, 3); it cannot be divided."""
        with self._network.in_use() as network:
            (seen,) = self._batches.run(1, lambda _: self._seen(network, film).last_hidden_state[0].float().cpu())
        return seen

    def _seen(self, network: Any, pictures: Pixels) -> Any:
        as_they_are = {"do_resize": False, "do_center_crop": False}
        values = self._processor(list(pictures), return_tensors="pt", **as_they_are)["pixel_values"]
        with torch.inference_mode(), self._placement.autocast():
            return network(pixel_values=values.to(self._placement.device))


class _NextWord:
    """The logits of the five level words as the next one of the answer to `QUESTION`."""

    def __init__(self, weights: str) -> None:
        folder = weights_path(weights)
        self._placement = placement()
        with loading_alone():
            from transformers import AutoModelForImageTextToText, AutoProcessor

            self._processor: Any = AutoProcessor.from_pretrained(folder, local_files_only=True, backend="pil")
            model = AutoModelForImageTextToText.from_pretrained(
                folder, local_files_only=True, use_safetensors=True, dtype=self._placement.dtype
            )
        self._batches = Batches(weights, self._placement.device, len(SEEN))
        self._network = house(model, self._placement, weights)
        self.tokens = [self._processor.tokenizer.encode(f" {word}", add_special_tokens=False)[0] for word in LEVELS]
        if len(set(self.tokens)) < len(LEVELS):
            raise WeightsError(f"The vocabulary of {weights} begins two of {', '.join(LEVELS)} alike; choose another.")

    def logits(self, pictures: Pixels) -> Tensor:
        """(T, 5), bad first, of pictures (T, H, W, 3), each seen whole rather than in tiles."""
        with self._network.in_use() as network:
            return torch.cat(self._batches.run(len(pictures), lambda part: self._logits(network, pictures[part])))

    def _logits(self, network: Any, pictures: Pixels) -> Tensor:
        given = self._processor(
            text=[QUESTION] * len(pictures),
            images=[[picture] for picture in pictures],
            return_tensors="pt",
            do_image_splitting=False,
            do_resize=False,
        )
        given = given.to(self._placement.device, self._placement.dtype)
        with torch.inference_mode():
            logits: Tensor = network(**given, logits_to_keep=1).logits[:, -1, self.tokens]
        return logits.float().cpu()


def hub_library() -> tuple[LibraryModel, ...]:
    """The models that only the hub profile has; nothing of them is loaded yet."""
    return (
        PooledModel("clip", 1024, _tower_of_pictures),
        PooledModel("convnext", 768, _convolutions),
        PooledModel("dinov2", 768, _tower_of_pictures),
        VideoMAEModel(),
        LevelWordsModel(),
    )


def _tower_of_pictures(name: str) -> Pooled:
    return TransformersImageEncoder(name).encode


def _convolutions(name: str) -> Pooled:
    return _Tower(name).pooled
