"""Pictures, tiny networks of the hub profile, and the weights folder that holds them."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tests.encoders.toys import lay_hub_weights

ASSETS = Path(__file__).resolve().parents[1] / "assets"


@pytest.fixture(scope="session")
def photographs() -> dict[str, NDArray[np.uint8]]:
    """A cup of coffee (400, 600), a cat (300, 451) and an astronaut (512, 512)."""
    names = ("coffee", "chelsea", "astronaut")
    return {name: np.asarray(Image.open(ASSETS / f"{name}.jpg").convert("RGB")) for name in names}


@pytest.fixture(scope="session")
def toy_hub(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A weights folder with a tiny network under every name of the hub profile."""
    folder = tmp_path_factory.mktemp("hub_weights")
    lay_hub_weights(folder)
    return folder


@pytest.fixture(scope="module")
def hub_profile(toy_hub: Path) -> Iterator[Path]:
    """The process runs the hub profile on the tiny networks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SHOWREEL_WEIGHTS", str(toy_hub))
        patch.setenv("SHOWREEL_PROFILE", "hub")
        yield toy_hub
