"""Subjects drawn in code, a database in a fresh folder, and an encoder that needs no network."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from core.personal_video.concepts import ConceptDatabase
from core.personal_video.cutting import Cutout

ASSETS = Path(__file__).resolve().parents[1] / "assets"
Pixels = NDArray[np.uint8]
Colour = tuple[int, int, int]


class ColourEncoder:
    """An image encoder whose vector is the picture at 4 × 4 pixels."""

    name, version, dimensions, size = "colours", "1", 48, 32

    def __init__(self) -> None:
        self.seen = 0

    def encode(self, pictures: Pixels) -> NDArray[np.float32]:
        self.seen += len(pictures)
        blocks = pictures.reshape(len(pictures), 4, 8, 4, 8, 3).mean((2, 4))
        return blocks.reshape(len(pictures), 48).astype(np.float32)


def disc(colour: Colour, side: int = 96, radius: int = 30) -> Pixels:
    """A disc on a transparent square, RGBA."""
    pixels = np.zeros((side, side, 4), np.uint8)
    cv2.circle(pixels, (side // 2, side // 2), radius, (*colour, 255), cv2.FILLED)
    return pixels


def saved(folder: Path, name: str, pixels: Pixels) -> Path:
    path = folder / name
    Image.fromarray(pixels).save(path)
    return path


def cutout(colour: Colour = (200, 30, 30), side: int = 12) -> Cutout:
    """A small opaque square, cut out."""
    pixels = np.full((side, side, 4), (*colour, 255), np.uint8)
    return Cutout(pixels, (0, 0, side, side), (side, side), "alpha", "square.png")


@pytest.fixture
def encoder() -> ColourEncoder:
    return ColourEncoder()


@pytest.fixture
def database(tmp_path: Path, encoder: ColourEncoder) -> ConceptDatabase:
    return ConceptDatabase(tmp_path / "library", encoder)
