"""The personalised extraction network of the hub profile: IP-Adapter Plus, and how details of several sources join.

Source: Ye et al., "IP-Adapter: Text Compatible Image Prompt Adapter for Text-to-Image Diffusion Models", 2023, its
variant Plus: 16 questions ask the patches of a picture, in the last layer but one of an image encoder, and their
answers enter every cross-attention of the generation network beside the text, at each of its scales, by keys and values
of their own. Deviation from METHODS 2: the features themselves are of one scale.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from core.personal_video.cutting import Cutout

Details = NDArray[np.float16]
"""(N, S, D): S tokens of each of N pictures. They are kept, and used, in this precision."""
MOST_PICTURES = 4
"""Of a concept whose details are looked at: the first ones."""


class DetailExtractor:
    """Pictures to detail features.

    Args:
        encoder: ``CLIPVisionModelWithProjection`` in eval mode.
        processor: its image processor, of the transformers library.
        resampler: the adapter's own network, patches (N, P, E) to tokens (N, S, D).

    Attributes:
        side_px: of the squares that it looks at.
        networks: both of them, for `core.personal_video.hub_placement.arrange`.
    """

    def __init__(self, encoder: Any, processor: Any, resampler: nn.Module) -> None:
        self._processor = processor
        self.side_px = int(encoder.config.image_size)
        self.networks: tuple[nn.Module, nn.Module] = (encoder, resampler)

    def extract(self, cutouts: Sequence[Cutout], device: str | torch.device = "cpu") -> Details:
        """The details of the first `MOST_PICTURES` cut-outs, each on white in the middle of a square."""
        squares = [cutout.square(self.side_px) for cutout in cutouts[:MOST_PICTURES]]
        as_they_are = {"do_resize": False, "do_center_crop": False}
        return self._tokens(self._processor(squares, return_tensors="pt", **as_they_are)["pixel_values"], device)

    def nothing(self, device: str | torch.device = "cpu") -> Details:
        """What stands for no picture in classifier-free guidance: the details (1, S, D) of an input of zeros."""
        return self._tokens(torch.zeros(1, 3, self.side_px, self.side_px), device)

    def _tokens(self, values: torch.Tensor, device: str | torch.device) -> Details:
        encoder: Any
        encoder, resampler = self.networks
        with torch.inference_mode():
            seen = encoder(values.to(device, encoder.dtype), output_hidden_states=True).hidden_states[-2]
            tokens: Details = resampler(seen).float().cpu().numpy().astype(np.float16)
        return tokens


def fused(sources: Sequence[Details]) -> Details:
    """Details of several sources as those of one, (N, S, D): attention chooses among them, place by place.

    Each source has as much weight as the next, however many pictures it has: those with fewer are repeated. There is no
    gate to train here; the adapter's attention is the gate.

    Args:
        sources: at least one, each (N_i, S, D) with N_i from 1.
    """
    most = max(len(source) for source in sources)
    return np.concatenate([source[np.arange(most) % len(source)] for source in sources])
