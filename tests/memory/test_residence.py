"""Networks take turns on a GPU: the least recently used leaves, one in use never does, and results stay the same."""

import gc
import threading
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from core.memory import Residence, Resident, house, make_room
from core.runtime import SHARE, Placement, network_bytes

GPU = torch.device("cuda", 0)
CPU = torch.device("cpu")


class Travelling(nn.Module):
    """A network that only remembers where it was sent, so that a GPU needs not be there."""

    def __init__(self, numbers: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(numbers))
        self.at, self.journeys = CPU, 0

    def to(self, device: torch.device) -> "Travelling":  # type: ignore[override]
        self.journeys += device != self.at
        self.at = device
        return self

    @property
    def bytes(self) -> int:
        return network_bytes(self)


class Card:
    """A GPU of some bytes, and the networks that may lie on it."""

    def __init__(self, total: int) -> None:
        self.total, self.networks = total, list[Travelling]()
        self.residence = Residence(GPU, free=lambda: self.free)

    @property
    def free(self) -> int:
        return self.total - sum(network.bytes for network in self.networks if network.at == GPU)

    def house(self, numbers: int, name: str) -> tuple[Travelling, Resident]:
        network = Travelling(numbers)
        self.networks.append(network)
        return network, self.residence.take_in(network, name)


def card(networks: float) -> Card:
    """One with room for so many networks of 100 numbers, by the share that networks may take."""
    return Card(round(400 * (networks - 1) + 400 / SHARE) + 1)


def use(resident: Resident) -> None:
    with resident.in_use():
        pass


def test_networks_lie_on_the_gpu_from_the_start_as_long_as_there_is_room() -> None:
    gpu = card(2)
    pair = [gpu.house(100, name) for name in "ab"]
    assert [network.at for network, _ in pair] == [GPU, GPU]
    for _, resident in pair * 2:
        use(resident)
    assert [network.journeys for network, _ in pair] == [1, 1]


def test_the_least_recently_used_network_leaves_for_the_next_and_comes_back_when_it_is_used() -> None:
    gpu = card(2)
    (a, resident_a), (b, resident_b) = gpu.house(100, "a"), gpu.house(100, "b")
    use(resident_a)
    c, _ = gpu.house(100, "c")
    assert (a.at, b.at, c.at) == (GPU, CPU, GPU)
    use(resident_b)
    assert (a.at, b.at, c.at) == (CPU, GPU, GPU)
    assert (resident_a.lies, resident_b.lies) == ("away", "whole")


def test_no_more_networks_leave_than_must() -> None:
    gpu = card(4)
    small = [gpu.house(100, str(n)) for n in range(4)]
    gpu.house(180, "large")
    assert [network.at for network, _ in small] == [CPU, CPU, GPU, GPU]


def test_a_network_in_use_stays_and_the_next_leaves_in_its_place() -> None:
    gpu = card(2)
    (a, resident_a), (b, _) = gpu.house(100, "a"), gpu.house(100, "b")
    with resident_a.in_use():
        c, _ = gpu.house(100, "c")
        assert (a.at, b.at, c.at) == (GPU, CPU, GPU)


def test_when_all_others_are_in_use_nobody_waits_and_layers_are_carried_one_by_one() -> None:
    gpu = card(1)
    a, resident_a = gpu.house(100, "a")
    network = nn.Linear(10, 10)
    with resident_a.in_use():
        beside = gpu.residence.take_in(network, "beside")
        assert (a.at, beside.lies) == (GPU, "layers")


def test_for_a_network_that_never_fits_nobody_is_sent_away() -> None:
    gpu = card(2)
    a, _ = gpu.house(100, "a")
    assert gpu.residence.take_in(nn.Linear(100, 100), "huge").lies == "layers"
    assert (a.at, a.journeys) == (GPU, 1)


def test_make_room_sends_every_idle_network_away_and_says_whether_there_was_one() -> None:
    gpu = card(3)
    (a, resident_a), (b, _) = gpu.house(100, "a"), gpu.house(100, "b")
    with resident_a.in_use():
        assert gpu.residence.make_room() and (a.at, b.at) == (GPU, CPU)
        assert not gpu.residence.make_room()


def test_a_network_that_failed_is_not_in_use_any_longer() -> None:
    gpu = card(1)
    a, resident_a = gpu.house(100, "a")
    with pytest.raises(ZeroDivisionError), resident_a.in_use():
        raise ZeroDivisionError
    b, _ = gpu.house(100, "b")
    assert (a.at, b.at) == (CPU, GPU)


def test_a_move_for_which_there_was_no_room_after_all_ends_in_layers() -> None:
    class Fragmented(nn.Linear):
        def to(self, device: torch.device) -> "Fragmented":  # type: ignore[override]
            if device == GPU:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
            return self

    network = Fragmented(4, 4)
    assert Residence(GPU, free=lambda: 10**9).take_in(network, "a").lies == "layers"


def test_a_network_that_nobody_holds_is_forgotten() -> None:
    gpu = card(2)
    _, resident = gpu.house(100, "a")
    del resident
    gc.collect()
    assert not gpu.residence.make_room()


@given(
    sizes=st.lists(st.integers(10, 200), min_size=1, max_size=6),
    uses=st.lists(st.integers(0, 5), max_size=30),
    room=st.integers(300, 3000),
)
@settings(max_examples=60, deadline=None)
def test_whatever_is_used_memory_is_never_overdrawn_and_the_used_network_is_there(
    sizes: list[int], uses: list[int], room: int
) -> None:
    gpu = Card(room)
    fitting = [size for size in sizes if 4 * size <= SHARE * room]
    pairs = [gpu.house(size, str(n)) for n, size in enumerate(fitting)]
    for n in (n for n in uses if n < len(pairs)):
        network, resident = pairs[n]
        with resident.in_use():
            assert network.at == GPU and gpu.free >= 0


def test_many_threads_find_their_network_where_it_should_be_and_never_lose_it_while_they_use_it() -> None:
    gpu = card(2)
    pairs = [gpu.house(100, str(n)) for n in range(4)]
    lost: list[str] = []

    def work(start: int) -> None:
        for n in range(150):
            network, resident = pairs[(start + n * (start + 1)) % 4]
            with resident.in_use():
                before = (network.at, network.journeys) if resident.lies == "whole" else None
                if before and (before[0] != GPU or gpu.free < 0):
                    lost.append(resident.name)
                if before and (network.at, network.journeys) != before:
                    lost.append(resident.name)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not lost and not any(thread.is_alive() for thread in threads)
    assert [resident.users for _, resident in pairs] == [0] * 4


class TestOnACpu:
    """The real moves of torch and accelerate, with memory that is only told."""

    def network(self) -> nn.Module:
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 4))

    def test_in_layers_whole_and_back_it_computes_the_same(self) -> None:
        network, given_ = self.network().eval(), torch.ones(3, 8)
        expected: Tensor = network(given_)
        free = [0, 10**9, 10**9]
        residence = Residence(CPU, free=lambda: free[0])
        resident = residence.take_in(network, "network")
        seen = []
        for room in (0, 10**9, 10**9):
            free[0] = room
            with torch.inference_mode(), resident.in_use() as ready:
                seen.append((resident.lies, torch.equal(ready(given_), expected)))
        assert seen == [("layers", True), ("whole", True), ("whole", True)]
        assert torch.equal(network(given_), expected)

    def test_two_threads_use_a_network_in_layers_one_after_the_other(self) -> None:
        resident = Residence(CPU, free=lambda: 0).take_in(self.network(), "network")
        inside, most, wrong = [0], [0], []
        with resident.in_use() as ready:
            expected = ready(torch.ones(3, 8))

        def work() -> None:
            for _ in range(20):
                with resident.in_use() as ready:
                    inside[0] += 1
                    most[0] = max(most[0], inside[0])
                    if not torch.equal(ready(torch.ones(3, 8)), expected):
                        wrong.append(1)
                    inside[0] -= 1

        run_at_once(work, work, work)
        assert (most, wrong) == ([1], [])

    def test_a_cpu_has_room_for_all_and_nothing_is_moved(self) -> None:
        resident = house(self.network(), Placement(CPU, torch.float32), "network")
        assert resident.lies == "whole" and not make_room(CPU)

    def test_a_housed_network_is_frozen_and_in_eval_mode(self) -> None:
        with house(self.network().train(), Placement(CPU, torch.float32), "network").in_use() as ready:
            assert not ready.training and not any(p.requires_grad for p in ready.parameters())


def run_at_once(*works: Callable[[], None]) -> None:
    threads = [threading.Thread(target=work) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
class TestOnAGpu:
    def test_networks_that_take_turns_compute_as_before(self) -> None:
        networks = [nn.Linear(256, 256) for _ in range(3)]
        inputs = torch.ones(2, 256)
        expected = [network(inputs) for network in networks]
        size = network_bytes(networks[0])
        used = [0]
        residence = Residence(GPU, free=lambda: int(1.5 * size) - used[0])
        residents = [residence.take_in(network, str(n)) for n, network in enumerate(networks)]
        for resident, before in zip(residents, expected, strict=True):
            with resident.in_use() as ready:
                torch.testing.assert_close(ready(inputs.to(GPU)).cpu(), before, rtol=1e-3, atol=1e-3)
