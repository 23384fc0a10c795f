"""Seeds reproduce, jobs stop where they should, and placement follows the machine."""

import platform
import random
import subprocess
import sys
import threading

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from core.errors import CancelledError, ParameterError
from core.runtime import (
    PART,
    PROFILE_VARIABLE,
    CancelToken,
    Placement,
    cancellable,
    current_profile,
    loading_alone,
    part_of,
    place,
    placement,
    seed_everything,
    silent,
)


@given(seed=st.integers(0, 2**32 - 1))
def test_the_same_seed_gives_the_same_numbers_everywhere(seed: int) -> None:
    def draws() -> tuple[float, float, float, float]:
        generator = seed_everything(seed)
        return (
            random.random(),
            float(np.random.rand()),
            float(torch.rand(())),
            float(torch.rand((), generator=generator)),
        )

    assert draws() == draws()


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_out_of_range_is_refused_with_the_range(seed: int) -> None:
    with pytest.raises(ParameterError, match="0 to 4294967295"):
        seed_everything(seed)


def test_a_cancelled_job_stops_at_its_next_report_and_not_before() -> None:
    token, seen = CancelToken(), []
    report = cancellable(lambda done, total, what: seen.append(done), token)
    with pytest.raises(CancelledError, match="after 3 of 9"):
        for step in range(9):
            if step == 3:
                token.cancel()
            report(step, 9, "frames")
    assert seen == [0, 1, 2]


@given(count=st.integers(1, 20), steps=st.lists(st.integers(0, 50), min_size=1, max_size=20))
def test_the_parts_of_a_job_add_up_to_one_rising_bar(count: int, steps: list[int]) -> None:
    seen: list[tuple[int, int]] = []
    for index in range(count):
        report = part_of(lambda done, total, what: seen.append((done, total)), index, count)
        for step in sorted(steps):
            report(step, 50, "part")
        report(50, 50, "part")
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert seen[-1] == (count * PART, count * PART)


def test_the_profile_comes_from_the_environment_and_a_wrong_one_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(PROFILE_VARIABLE, raising=False)
    assert current_profile() == "embedded"
    monkeypatch.setenv(PROFILE_VARIABLE, "hub")
    assert current_profile() == "hub"
    monkeypatch.setenv(PROFILE_VARIABLE, "cloud")
    with pytest.raises(ParameterError, match="'cloud'"):
        current_profile()


def test_a_placed_network_is_frozen_in_eval_mode_and_computes_what_it_did() -> None:
    network = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Dropout(0.9))
    wave = torch.ones(1, 4)
    expected = network[0](wave)
    placed = place(network, Placement(torch.device("cpu"), torch.float32))
    assert not placed.training and not any(p.requires_grad for p in placed.parameters())
    assert torch.equal(placed(wave), expected)


def test_autocast_computes_in_the_placement_s_number_format() -> None:
    layer, wave = torch.nn.Linear(4, 4), torch.ones(1, 4)
    for dtype in (torch.float32, torch.bfloat16):
        with Placement(torch.device("cpu"), dtype).autocast():
            assert layer(wave).dtype is dtype


def test_full_precision_is_kept_when_asked_for() -> None:
    assert placement(low_precision=False).dtype is torch.float32
    silent(0, 0, "")


def test_a_thread_that_loads_a_network_keeps_others_from_loading_but_not_itself() -> None:
    order: list[str] = []
    begun, released = threading.Event(), threading.Event()

    @loading_alone()
    def first() -> None:
        with loading_alone():
            begun.set()
            assert released.wait(10)
            order.append("first")

    @loading_alone()
    def second() -> None:
        order.append("second")

    threads = [threading.Thread(target=first)]
    threads[0].start()
    assert begun.wait(10)
    threads.append(threading.Thread(target=second))
    threads[1].start()
    threads[1].join(0.2)
    assert order == []
    released.set()
    for thread in threads:
        thread.join(10)
    assert order == ["first", "second"]


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries give memory back by themselves")
def test_memory_that_is_free_between_what_is_kept_goes_back_to_the_system() -> None:
    told = """
import os
from core.runtime import give_back_memory
def resident():
    with open("/proc/self/statm") as stream:
        return int(stream.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
blocks = [bytes(60_000) for _ in range(2000)]
kept = blocks[::20]
del blocks
before = resident()
give_back_memory()
print(before - resident())
"""
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)
    assert float(done.stdout) > 40
