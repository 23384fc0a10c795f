"""Batches fit: they grow by what was measured, are halved when memory runs out, and at one thing the error is clear."""

import logging

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from core.errors import CoreError, OutOfMemoryError
from core.memory import Batches, batches, house
from core.runtime import Placement

CPU = torch.device("cpu")
MESSAGES = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 8 GiB"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:121] data. DefaultCPUAllocator: can't allocate memory: 9 bytes."),
    MemoryError(),
]


class Work:
    """Doubles numbers; more than ``room`` at once are too many for it."""

    def __init__(self, room: int, error: Exception = MESSAGES[0]) -> None:
        self.room, self.error, self.tried = room, error, list[int]()

    def __call__(self, part: slice) -> list[int]:
        count = part.stop - part.start
        self.tried.append(count)
        if count > self.room:
            raise self.error
        return [2 * n for n in range(part.start, part.stop)]


def doubled(batches: Batches, count: int, work: Work) -> list[int]:
    return [number for answer in batches.run(count, work) for number in answer]


@given(count=st.integers(0, 60), first=st.integers(1, 32), room=st.integers(1, 40))
@settings(deadline=None)
def test_whatever_fits_every_thing_is_computed_once_and_in_order(count: int, first: int, room: int) -> None:
    work = Work(room)
    assert doubled(Batches("net", CPU, first), count, work) == [2 * n for n in range(count)]
    assert sum(tried for tried in work.tried if tried <= room) == count


@pytest.mark.parametrize("error", MESSAGES, ids=["gpu", "cpu", "python"])
def test_out_of_memory_halves_the_batch_says_so_each_time_and_keeps_what_was_done(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    work, sizes = Work(16, error), Batches("siglip", CPU, 16)
    assert len(doubled(sizes, 16, work)) == 16
    work.room = 5
    with caplog.at_level(logging.WARNING):
        doubled(sizes, 20, work)
    assert work.tried == [16, 16, 8, 4, 4, 4, 4, 4]
    assert [record.args[1:3] for record in caplog.records if isinstance(record.args, tuple)] == [(16, 8), (8, 4)]
    assert all("siglip" in record.getMessage() for record in caplog.records)


def test_the_size_that_fitted_is_kept_for_the_next_call() -> None:
    work, sizes = Work(4), Batches("net", CPU, 16)
    doubled(sizes, 16, work)
    work.tried.clear()
    doubled(sizes, 8, work)
    assert work.tried == [4, 4]


@pytest.mark.parametrize("error", MESSAGES, ids=["gpu", "cpu", "python"])
def test_without_room_for_one_the_error_names_the_network_and_the_remedy(error: Exception) -> None:
    work = Work(0, error)
    with pytest.raises(OutOfMemoryError, match=r"siglip has no room on cpu .* embedded profile") as caught:
        doubled(Batches("siglip", CPU, 4), 8, work)
    assert isinstance(caught.value, CoreError) and work.tried == [4, 2, 1]


def test_every_other_error_comes_through_at_once() -> None:
    work = Work(0, RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    with pytest.raises(RuntimeError, match="mat1"):
        doubled(Batches("net", CPU, 4), 8, work)
    assert work.tried == [4]


def test_idle_networks_leave_before_a_batch_is_halved_and_only_once_for_a_size(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    work, asked = Work(4), list[torch.device]()

    def make_room(device: torch.device) -> bool:
        asked.append(device)
        work.room = 8
        return True

    monkeypatch.setattr(batches, "make_room", make_room)
    doubled(Batches("net", CPU, 8), 8, work)
    assert (work.tried, asked) == ([8, 8], [CPU])
    work = Work(2)
    monkeypatch.setattr(batches, "make_room", lambda device: True)
    doubled(Batches("net", CPU, 4), 4, work)
    assert work.tried == [4, 4, 2, 2]


class Gauge:
    """A `Meter` of a device where each thing takes as many bytes as is said."""

    def __init__(self, free: int, each: int, work: Work) -> None:
        self.room, self.each, self.work = free, each, work

    def free(self) -> int:
        return self.room

    def start(self) -> None:
        self.before = len(self.work.tried)

    def most(self) -> int:
        return self.each * max(self.work.tried[self.before :])


def test_on_a_gpu_later_batches_take_half_of_what_is_free_by_measure() -> None:
    work = Work(1000)
    sizes = Batches("net", CPU, 16, meter=Gauge(free=2000, each=25, work=work))
    doubled(sizes, 100, work)
    assert work.tried == [16, 40, 40, 4]


def test_batches_grow_no_more_than_eightfold_and_shrink_to_one_at_least() -> None:
    work = Work(1000)
    doubled(Batches("net", CPU, 2, meter=Gauge(free=10**9, each=1, work=work)), 50, work)
    assert work.tried == [2, 16, 16, 16]
    work = Work(1000)
    doubled(Batches("net", CPU, 2, meter=Gauge(free=10, each=50, work=work)), 4, work)
    assert work.tried == [2, 1, 1]


def test_after_a_halving_batches_do_not_grow_again_in_the_same_call() -> None:
    work = Work(20)
    doubled(Batches("net", CPU, 16, meter=Gauge(free=10**9, each=1, work=work)), 100, work)
    assert work.tried == [16, 84, 42, 21, 10, 10, 10, 10, 10, 10, 10, 10, 4]


@given(room=st.integers(1, 12), first=st.integers(1, 16))
@settings(max_examples=20, deadline=None)
def test_a_network_answers_the_same_whatever_the_batches(room: int, first: int) -> None:
    torch.manual_seed(0)
    network, pictures = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(64, 5)), torch.randn(12, 3, 6, 6)
    resident = house(network, Placement(CPU, torch.float32), "net")

    def work(part: slice) -> torch.Tensor:
        if part.stop - part.start > room:
            raise MESSAGES[0]
        with torch.inference_mode():
            return ready(pictures[part])

    with resident.in_use() as ready:
        seen = torch.cat(Batches("net", CPU, first).run(12, work))
        with torch.inference_mode():
            torch.testing.assert_close(seen, ready(pictures), rtol=1e-5, atol=1e-6)
