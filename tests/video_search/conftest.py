"""One encoder for all tests, and a small library of clips that look different from one another."""

from pathlib import Path

import pytest

from core.encoders.image import ImageEncoder, image_encoder
from core.video_search import VideoSearch
from tests.scenes import PLACES, scene


@pytest.fixture(scope="session")
def encoder() -> ImageEncoder:
    return image_encoder("efficientnet_lite0_layout")


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("clips")
    return [scene(folder / f"{place}.mp4", place) for place in PLACES]


@pytest.fixture
def search(tmp_path: Path, encoder: ImageEncoder) -> VideoSearch:
    """A tool with an empty library."""
    return VideoSearch(tmp_path / "library", encoder)


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory, encoder: ImageEncoder, clips: list[Path]) -> VideoSearch:
    """A tool whose library holds the clips; tests leave it as it is."""
    search = VideoSearch(tmp_path_factory.mktemp("filled") / "library", encoder)
    assert {report.status for report in search.add_each(clips, ["made in code"])} == {"added"}
    return search
