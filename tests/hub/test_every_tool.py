"""Every tool on the hub profile, from file to file: with a cold cache, a warm one, offline, cut off in mid-download.

The real pipelines run over tiny networks of the real classes, which the real client brings from a double of the Hub.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from huggingface_hub import constants

from core.errors import WeightsError, WeightsNotFoundError
from core.weights import Manifest, find_manifest
from core.weights.plan import NEEDED
from tests.hub.tools import NOT_PINNED, TOOLS, Tool
from tests.weights.hub_double import LARGE_SUFFIXES, Fault, HubDouble, point_client_at

PIECE = 1 << 12
"""Bytes that the client writes at once here, so that something of a tiny file is kept when its connection is cut."""


@dataclass
class Place:
    """A tool, the Hub that has its networks, and what came out when it first ran, with nothing in the cache."""

    tool: Tool
    hub: HubDouble
    root: Path
    answer: list[Any] = field(default_factory=list)
    fetched: dict[str, list[int]] = field(default_factory=dict)

    def run(self) -> list[Any]:
        """Do the tool's job anew, with a pipeline of its own, in a folder of its own."""
        films, folder = self.root / "films", self.root / f"job{len(list(self.root.iterdir()))}"
        films.mkdir(exist_ok=True)
        folder.mkdir()
        return self.tool.run(films, folder)

    @property
    def manifests(self) -> list[Manifest]:
        """Of what it needs of the Hub."""
        return [find_manifest(name) for name in self.tool.makers]

    @property
    def largest(self) -> tuple[Manifest, str]:
        """The largest file among them that comes from the storage server."""
        sizes = {(m.name, f.path): f.bytes or 0 for m in self.manifests for f in m.files if _large(f.path)}
        name, path = max(sizes, key=lambda place: sizes[place])
        return find_manifest(name), path


def _large(path: str) -> bool:
    return Path(path).suffix in LARGE_SUFFIXES


@pytest.fixture(scope="module", params=TOOLS, ids=[tool.name for tool in TOOLS])
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """The process runs the hub profile; its only Hub serves this tool's networks, and one run has filled the cache."""
    tool: Tool = request.param
    root = tmp_path_factory.mktemp(tool.name)
    with HubDouble(root / "hub") as hub, pytest.MonkeyPatch.context() as patch:
        tool.publish(hub, root / "weights")
        point_client_at(patch, hub.url, root / "cache")
        patch.setenv("SHOWREEL_WEIGHTS", str(root / "weights"))
        patch.setenv("SHOWREEL_PROFILE", "hub")
        place = Place(tool, hub, root)
        place.answer = place.run()
        place.fetched = {name: list(sizes) for name, sizes in hub.bytes_sent.items()}
        yield place


@pytest.fixture(autouse=True)
def _as_before(place: Place) -> Iterator[None]:
    """Every test begins with a Hub that is well, and of which nothing was asked."""
    place.hub.requests.clear()
    place.hub.bytes_sent.clear()
    yield
    place.hub.faults.clear()


@pytest.fixture
def cold(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache."""
    point_client_at(monkeypatch, place.hub.url, tmp_path / "cold")
    return tmp_path / "cold"


def test_a_cold_cache_is_filled_with_what_the_manifests_pin_and_nothing_else(place: Place) -> None:
    pinned = {f"{m.repository}/{file.path}": [file.bytes] for m in place.manifests for file in m.files}
    assert place.fetched == pinned, "each file whole, and once"
    assert not {name for name in place.fetched if name.endswith(NOT_PINNED)}
    assert set(place.tool.makers) <= set(NEEDED["hub"][place.tool.name]), "the memory plan knows of them"


def test_a_warm_cache_gives_the_same_answer_and_the_hub_is_asked_nothing(place: Place) -> None:
    assert _same(place.run(), place.answer)
    assert place.hub.requests == []


def test_offline_the_cache_is_enough(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert _same(place.run(), place.answer)
    assert place.hub.requests == []


def test_offline_without_a_cache_it_is_said_what_to_do(
    place: Place, cold: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(WeightsNotFoundError, match=r"HF_HUB_OFFLINE is set; unset it and run ") as caught:
        place.run()
    assert _fetch_named(caught.value) in place.tool.makers
    assert place.hub.requests == []


def test_cut_off_once_in_mid_download_it_goes_on_where_it_was_and_only_the_rest_is_fetched(
    place: Place, cold: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", PIECE)
    manifest, path = place.largest
    served, size = f"{manifest.repository}/{path}", manifest.file(path).bytes or 0
    cut = size // 2 + 1
    place.hub.faults[served] = Fault(cut_after=cut)
    assert _same(place.run(), place.answer)
    first, second = (line.range for line in place.hub.bodies(f"/{served}") if line.server == "storage")
    kept = cut // PIECE * PIECE
    assert kept > 0 and (first, second) == (None, f"bytes={kept}-")
    assert place.hub.bytes_sent == {**place.fetched, served: [cut, size - kept]}


def test_cut_off_for_good_it_is_said_what_to_do_and_a_second_try_fetches_what_is_missing(
    place: Place, cold: Path
) -> None:
    manifest, path = place.largest
    served, size = f"{manifest.repository}/{path}", manifest.file(path).bytes or 0
    place.hub.faults[served] = Fault(cut_after=size // 2, reset=True, times=None)
    with pytest.raises(WeightsError, match=r"did not deliver .*Check the connection and HF_ENDPOINT") as caught:
        place.run()
    assert path in str(caught.value) and _fetch_named(caught.value) == manifest.name
    assert not list(cold.rglob("*.incomplete")), "no half file is left"
    before = {name: list(sizes) for name, sizes in place.hub.bytes_sent.items() if name != served}
    place.hub.faults.clear()
    place.hub.bytes_sent.clear()
    assert _same(place.run(), place.answer)
    missing = {name: sizes for name, sizes in place.fetched.items() if name not in before}
    assert place.hub.bytes_sent == missing, "what had come is not fetched again"


def _fetch_named(error: WeightsError) -> str:
    """The weights that the remedy says to fetch."""
    found = re.search(r"python -m core\.weights fetch (\w+)`", str(error))
    assert found, str(error)
    return found[1]


def _same(ours: list[Any], theirs: list[Any]) -> bool:
    """Equal to the last bit."""
    return len(ours) == len(theirs) and all(np.array_equal(one, other) for one, other in zip(ours, theirs, strict=True))
