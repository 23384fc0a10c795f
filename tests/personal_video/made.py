"""Encoders that need no weights, small networks, and material drawn in code."""

import functools
import hashlib
from collections.abc import Sequence

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from core.encoders.text import TokenOutputs
from core.personal_video.composing import Material
from core.personal_video.conditioning import Given, Text
from core.personal_video.network import PersonalVideoNetwork, Widths
from core.personal_video.subjects import Pixels, Subject, cut_out

SMALL = Widths(cells=32, deep=32, details=32, blocks=1)


class WordEncoder:
    """A token encoder for which every word is one token, and tells nothing of its companions."""

    name, version = "words", "1"

    def __init__(self) -> None:
        self.asked: list[str] = []

    def tokens(self, sentences: Sequence[str]) -> list[TokenOutputs]:
        self.asked += sentences
        return [self._tokens(sentence) for sentence in sentences]

    def _tokens(self, sentence: str) -> TokenOutputs:
        places, end = [], 0
        for word in sentence.split():
            start = sentence.index(word, end)
            end = start + len(word)
            places.append((start, end))
        hidden = np.stack([_noise(sentence[a:b].strip(".,").lower(), 384) for a, b in places])
        return TokenOutputs(hidden, np.array(places))


class PlainEncoder:
    """An image encoder whose vector is the picture at 20 × 20 pixels."""

    name, version, dimensions, size = "plain", "1", 1280, 40

    def __init__(self) -> None:
        self.seen = 0

    def encode(self, pictures: Pixels) -> NDArray[np.float32]:
        self.seen += len(pictures)
        small = [cv2.resize(picture, (20, 20), interpolation=cv2.INTER_AREA).ravel() for picture in pictures]
        vectors = np.zeros((len(pictures), 1280), np.float32)
        vectors[:, :1200] = np.stack(small) / 128 - 1
        return vectors


def _noise(word: str, width: int) -> NDArray[np.float32]:
    seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:8], "big")
    return np.random.default_rng(seed).normal(size=width).astype(np.float32)


def small_network(seed: int = 0) -> PersonalVideoNetwork:
    torch.manual_seed(seed)
    return PersonalVideoNetwork(SMALL).eval()


def given(concepts: int = 1, seed: int = 0, words: int = 6) -> Given:
    """All that may come in, at random, for two prompts; word 1 stands for concept 0, word 3 for concept 1."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator)

    slots = torch.zeros(2, words, dtype=torch.int8)
    slots[:, 1] = 1
    if concepts > 1:
        slots[:, 3] = 2
    shown = torch.zeros(2, concepts)
    shown[:, 0] = 1
    return Given(
        Text(normal(2, words, 384), slots, torch.ones(2, words, dtype=torch.bool)),
        normal(2, concepts, 1280),
        normal(2, concepts, 1, 4, 32, 32).abs(),
        torch.ones(2, concepts, 1),
        normal(2, concepts, 1280),
        normal(2, concepts, 1, 4, 32, 32).abs(),
        shown,
    )


def figure(number: int) -> Subject:
    """A thing of its own colours and outline."""
    random = np.random.default_rng(number)
    picture = np.zeros((80, 80, 4), np.uint8)
    light, dark = (tuple(int(c) for c in random.integers(0, 255, 3)) for _ in range(2))
    cv2.ellipse(picture, (40, 40), (38, int(random.integers(22, 38))), 0, 0, 360, (*light, 255), -1)
    cv2.circle(picture, (int(random.integers(15, 35)), 35), 10, (*dark, 255), -1)
    cv2.rectangle(picture, (50, 30), (70, 45), (*dark, 255), -1)
    name = f"figure {chr(97 + number // 26)}{chr(97 + number % 26)}"
    return cut_out(name, name, picture[None])


@functools.cache
def material(count: int = 60) -> Material:
    return Material([figure(number) for number in range(count)])
