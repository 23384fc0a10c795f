"""The portrait that faces are looked for in, and the finder."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from core.lip_sync.faces import FaceFinder
from tests.lip_sync.stand_ins import Seen, burst_file, watched

ASSETS = Path(__file__).resolve().parents[1] / "assets"


@pytest.fixture(scope="session")
def portrait() -> NDArray[np.uint8]:
    """The astronaut, (512, 512): eyes at about y = 110, mouth at about (225, 165), smiling."""
    return np.asarray(Image.open(ASSETS / "astronaut.jpg").convert("RGB"))


@pytest.fixture(scope="session")
def head(portrait: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The astronaut's head, (240, 240)."""
    return np.ascontiguousarray(portrait[:240, 104:344])


@pytest.fixture(scope="module")
def finder() -> Iterator[FaceFinder]:
    with FaceFinder() as faces:
        yield faces


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Seen:
    """Each picture as it was and as it became, from now on."""
    return watched(monkeypatch)


@pytest.fixture(scope="module")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Bursts of sound, 1.16 seconds of them."""
    return burst_file(tmp_path_factory.mktemp("speech") / "speech.wav", 1.16)
