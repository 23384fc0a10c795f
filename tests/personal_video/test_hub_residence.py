"""The networks of the hub profile share a GPU with those of the other tools.

There is no GPU here: its memory is told, networks only remember where they were sent, and compute on the CPU. What
comes layer by layer is carried by accelerate itself.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from core.errors import CancelledError, ParameterError
from core.memory import Residence, Resident, house, residence
from core.personal_video import hub_networks
from core.personal_video.hub_config import HubConfig, HubRequest
from core.personal_video.hub_networks import HubNetworks, load_networks
from core.personal_video.hub_pipeline import HubGenerator
from core.personal_video.hub_plan import GB
from core.personal_video.hub_redilation import StageDilation
from core.runtime import Placement
from tests.personal_video import hub_toys
from tests.personal_video.conftest import cutout
from tests.weights.hub_double import HubDouble, point_client_at

GPU, CPU = torch.device("cuda", 0), torch.device("cpu")
ON_GPU = Placement(GPU, torch.bfloat16)
CONFIG = HubConfig(width=64, height=64, frames=2, steps=2, stages=(StageDilation("mid_block", 2, 0.3),))
REQUEST = HubRequest("a biscuit runs", seed=3)


@pytest.fixture(scope="module", autouse=True)
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The process's only Hub serves the tiny networks."""
    root = tmp_path_factory.mktemp("hub")
    with HubDouble(root / "hub") as double, pytest.MonkeyPatch.context() as patch:
        hub_toys.serve(double, root / "weights")
        point_client_at(patch, double.url, root / "cache")
        patch.setenv("SHOWREEL_WEIGHTS", str(root / "weights"))
        patch.setenv("SHOWREEL_PROFILE", "hub")
        yield


class Card:
    """A GPU of so many bytes, and where its residents were sent last."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.places: dict[Resident, torch.device] = {}

    @property
    def free(self) -> int:
        return self.total - sum(resident.bytes for resident, at in self.places.items() if at == GPU)


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> Card:
    """This process's only GPU, of 24 GB."""
    card = Card(24 * GB)
    monkeypatch.setattr(residence, "_residences", {GPU: Residence(GPU, free=lambda: card.free)})
    monkeypatch.setattr(Resident, "_moved_whole", lambda resident, device: card.places.update({resident: device}))
    monkeypatch.setattr("core.runtime.free_bytes", lambda device: card.free)
    monkeypatch.setattr(hub_networks, "placement", lambda: ON_GPU)
    return card


def another_tool(bytes_: int) -> Resident:
    """A network of another tool, which takes so many bytes on the card and none here."""
    network = nn.Module()
    network.weight = nn.Parameter(torch.empty(bytes_, dtype=torch.int8, device="meta"), requires_grad=False)
    return house(network, ON_GPU, "another tool")


def generator(networks: HubNetworks, folder: Path) -> HubGenerator:
    made = HubGenerator(folder / "library", networks=networks)
    if "biscuit" not in made.database.words():
        made.database.add("biscuit", [cutout()])
    return made


def lie(networks: HubNetworks) -> set[str]:
    return {resident.lies for resident in networks.residents}


def test_networks_that_nobody_uses_leave_before_it_is_chosen_where_these_lie(card: Card) -> None:
    idle = another_tool(17 * GB)
    assert card.free < 8 * GB
    networks = load_networks()
    assert networks.arrangement.way == "whole" and idle.lies == "away"
    assert len(networks.residents) == 5 and lie(networks) == {"whole"}


def test_networks_in_use_stay_and_what_does_not_fit_beside_them_is_said(card: Card) -> None:
    busy = another_tool(17 * GB)
    with busy.in_use(), pytest.raises(ParameterError, match=r"needs .* GB on a GPU"):
        load_networks()
    assert busy.lies == "whole"


def test_between_two_videos_they_leave_for_another_tool_and_come_back_with_the_same_video(
    card: Card, tmp_path: Path
) -> None:
    networks = load_networks()
    maker = generator(networks, tmp_path)
    first = maker.generate(REQUEST, CONFIG).frames
    assert lie(networks) == {"whole"}, "they stay as long as nobody needs the room"
    card.total = round(card.total - card.free + 1000)
    other = another_tool(card.total * 7 // 10)
    assert other.lies == "whole" and "away" in lie(networks)
    card.total = 24 * GB
    assert np.array_equal(maker.generate(REQUEST, CONFIG).frames, first)
    assert lie(networks) == {"whole"}


def test_a_video_has_the_card_for_itself_and_its_networks_stay_until_its_end(card: Card, tmp_path: Path) -> None:
    networks = load_networks()
    maker = generator(networks, tmp_path)
    idle = another_tool(GB)
    seen: list[tuple[str, set[str], set[int]]] = []

    def told(done: int, total: int, what: str) -> None:
        seen.append((idle.lies, lie(networks), {resident.users for resident in networks.residents}))

    assert idle.lies == "whole"
    first = maker.generate(REQUEST, CONFIG, told)
    maker.enlarge(first.frames, REQUEST, CONFIG, told)
    assert len(seen) == 3 and all(row == ("away", {"whole"}, {1}) for row in seen)
    assert {resident.users for resident in networks.residents} == {0}


def test_a_stopped_video_lets_go_of_its_networks(card: Card, tmp_path: Path) -> None:
    networks = load_networks()

    def stop(done: int, total: int, what: str) -> None:
        raise CancelledError("Stopped.")

    with pytest.raises(CancelledError):
        generator(networks, tmp_path).generate(REQUEST, CONFIG, stop)
    assert {resident.users for resident in networks.residents} == {0}
    with networks.at_work():
        assert {resident.users for resident in networks.residents} == {1}


def test_those_that_find_no_room_are_carried_layer_by_layer_and_both_videos_are_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = [10**12]
    monkeypatch.setattr(residence, "_residences", {CPU: Residence(CPU, free=lambda: free[0])})
    networks = load_networks()
    maker = generator(networks, tmp_path)

    def videos() -> tuple[np.ndarray, np.ndarray]:
        first = maker.generate(REQUEST, CONFIG).frames
        return first, maker.enlarge(first, REQUEST, CONFIG).frames

    whole, free[0] = videos(), 0
    for resident in networks.residents:
        resident.move("away", CPU)
    layers = videos()
    assert lie(networks) == {"layers"} and next(networks.first.unet.parameters()).is_meta
    free[0] = 10**12
    again = videos()
    assert lie(networks) == {"whole"} and not next(networks.first.unet.parameters()).is_meta
    assert all(np.array_equal(one, other) for pair in (layers, again) for one, other in zip(whole, pair, strict=True))
