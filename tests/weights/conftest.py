"""A weights folder of its own, and a double of the Hub, for every test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.weights.hub_double import HubDouble, point_client_at


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty weights folder, and the one that the product looks in."""
    path = tmp_path / "weights"
    path.mkdir()
    monkeypatch.setenv("SHOWREEL_WEIGHTS", str(path))
    monkeypatch.delenv("SHOWREEL_PROFILE", raising=False)
    monkeypatch.delenv("SHOWREEL_ALLOW_UNPINNED", raising=False)
    return path


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def hub(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubDouble]:
    """A running double whose repositories lie in ``tmp_path/hub``; the client knows no other."""
    with HubDouble(tmp_path / "hub") as double:
        point_client_at(monkeypatch, double.url, cache)
        yield double
