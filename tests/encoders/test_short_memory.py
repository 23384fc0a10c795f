"""The encoders of the hub profile where memory is short: the same vectors, or a clear error."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from core.encoders.audio import audio_encoder
from core.encoders.image import image_encoder
from core.encoders.text import text_encoder
from core.errors import OutOfMemoryError
from core.memory import Resident

Vectors = NDArray[np.float32]
SENTENCES = [f"a cat in {'house ' * (n % 5)}number {n}" for n in range(11)]


def pictures(side: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (11, side, side, 3), dtype=np.uint8)


def seen() -> tuple[Any, Callable[[], Vectors]]:
    encoder = image_encoder()
    return encoder, lambda: encoder.encode(pictures(encoder.size))


def read() -> tuple[Any, Callable[[], Vectors]]:
    encoder = text_encoder()
    return encoder, lambda: encoder.encode(SENTENCES)


def heard() -> tuple[Any, Callable[[], Vectors]]:
    encoder = audio_encoder()
    wave = np.random.default_rng(0).uniform(-0.5, 0.5, round(11.5 * encoder.patch_s * encoder.sample_rate))
    return encoder, lambda: encoder.encode(wave.astype(np.float32))


def shorten(encoder: Any, room: int) -> None:
    """Let the network run out of memory whenever it is given more than ``room`` things."""
    resident: Resident = encoder._network

    def refuse(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        tensors = [value for value in (*args, *kwargs.values()) if isinstance(value, Tensor)]
        if max(len(tensor) for tensor in tensors) > room:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    with resident.in_use() as network:
        inner = getattr(network, "audio_model", network)
        inner.register_forward_pre_hook(refuse, with_kwargs=True)


@pytest.mark.usefixtures("hub_profile")
@pytest.mark.parametrize("made", [seen, read, heard])
def test_vectors_are_the_same_when_the_batch_is_halved_and_one_thing_too_many_is_an_error(
    made: Callable[[], tuple[Any, Callable[[], Vectors]]], hub_profile: Path, caplog: pytest.LogCaptureFixture
) -> None:
    encoder, encode = made()
    before = encode()
    assert len(before) == 11
    shorten(encoder, room=3)
    with caplog.at_level(logging.WARNING):
        np.testing.assert_allclose(encode(), before, rtol=1e-4, atol=1e-5)
    assert encoder._batches.size <= 3 and encoder.name in caplog.text and "going on with" in caplog.text
    shorten(encoder, room=0)
    with pytest.raises(OutOfMemoryError, match=encoder.name):
        encode()
    assert encoder._network.users == 0
