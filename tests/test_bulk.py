"""Bulk work gives what a plain loop gives, whichever workers do it and whatever becomes of them."""

import logging
import os
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]
import pytest
import ray

from core.bulk import Outcome, Workers, results_of_all, run_all
from core.errors import CancelledError, MediaError, ParameterError, WeightsNotFoundError
from core.runtime import CancelToken, cancellable, silent
from tests.workshop import Workshop, counting_threads, without_weights

WORDS = [f"word {number}" for number in range(12)]


@pytest.fixture(scope="module")
def ray_session() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        ray.init(
            "local",
            num_cpus=2,
            object_store_memory=80 * 2**20,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
        yield
        ray.shutdown()


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path)


def by_word(outcomes: Iterator[Outcome[str, str]], words: Sequence[str]) -> dict[str, Outcome[str, str]]:
    """Outcomes by their word, once it is sure that every word has exactly one."""
    found = sorted(outcomes, key=lambda outcome: outcome.index)
    assert [outcome.index for outcome in found] == list(range(len(words)))
    assert [outcome.item for outcome in found] == list(words)
    return {outcome.item: outcome for outcome in found}


def still_running(workshop: Workshop) -> list[psutil.Process]:
    """The workers that do not end although they are given time."""
    processes = []
    for pid in workshop.workers():
        with suppress(psutil.NoSuchProcess):
            processes.append(psutil.Process(pid))
    return psutil.wait_procs(processes, timeout=30)[1]


@pytest.mark.parametrize("cluster, lethal", [(None, ["poison", "bug"]), ("local", ["bug"])], ids=["processes", "ray"])
def test_killed_workers_and_bad_items_leave_all_other_results_those_of_the_plain_loop(
    tmp_path: Path, cluster: str | None, lethal: list[str], request: pytest.FixtureRequest
) -> None:
    if cluster:
        request.getfixturevalue("ray_session")
    here, there = Workshop(tmp_path / "here"), Workshop(tmp_path / "there")
    for workshop in (here, there):
        workshop.folder.mkdir()
    words = ["fragile first", *WORDS[:5], *lethal, "unreadable", *WORDS[5:], "fragile last"]
    harmless = [word for word in words if word not in lethal]
    for word in ("fragile first", "fragile last"):
        here.meet(word)
    expected = by_word(run_all(here, harmless, silent), harmless)
    reports: list[tuple[int, int]] = []
    progress = lambda done, total, what: reports.append((done, total))  # noqa: E731
    found = by_word(run_all(there, words, progress, workers=2, cluster=cluster), words)
    assert {word: (found[word].result, found[word].error) for word in harmless} == {
        word: (outcome.result, outcome.error) for word, outcome in expected.items()
    }
    assert found["unreadable"].error == "unreadable does not exist; check the path."
    for word in lethal:
        assert found[word].result is None and f"{word} ended its worker three times" in found[word].error
    assert there.has_met("fragile first") and there.has_met("fragile last")
    assert here.workers() == [os.getpid()] and os.getpid() not in there.workers()
    assert reports == sorted(reports) and reports[-1] == (len(words), len(words))
    assert not still_running(there)


def test_cancelling_stops_workers_in_the_middle_of_their_items(workshop: Workshop) -> None:
    token = CancelToken()
    words = ["word", "endless 1", "endless 2", "more words"]
    run = run_all(workshop, words, cancellable(silent, token), workers=2)
    assert next(run).item == "word"
    token.cancel()
    with pytest.raises(CancelledError, match="Stopped at your request after 1 of 4"):
        next(run)
    assert not still_running(workshop)


def test_closing_the_iterator_early_leaves_no_process_and_no_temporary_file(
    workshop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    run = run_all(workshop, ["fragile", "endless", "word", "more words"], silent, workers=2)
    assert [next(run).item, next(run).item] == ["word", "more words"]
    assert len(workshop.workers()) == 3 and len(list(temporary.iterdir())) == 2, "the first was killed"
    run.close()  # type: ignore[attr-defined]
    assert not still_running(workshop) and not list(temporary.iterdir())


class Shelf(Sequence[str]):
    """Words that remember how far they have been read."""

    furthest = -1

    def __len__(self) -> int:
        return 200

    def __getitem__(self, index: Any) -> Any:
        self.furthest = max(self.furthest, index)
        return f"word {index}"


def test_only_as_many_items_are_in_flight_as_there_are_workers(workshop: Workshop) -> None:
    shelf = Shelf()
    for count, _ in enumerate(run_all(workshop, shelf, silent, workers=2), 1):
        assert shelf.furthest < count + 2
    assert count == len(shelf)


def test_never_more_workers_than_items(workshop: Workshop) -> None:
    assert len(list(run_all(workshop, ["word"], silent, workers=5))) == len(workshop.workers()) == 1
    assert list(run_all(workshop, [], silent, workers=5)) == []


def test_what_is_wrong_with_loading_ends_the_run() -> None:
    for workers in (1, 2):
        with pytest.raises(WeightsNotFoundError, match="The weights of the tests are missing"):
            list(run_all(without_weights, WORDS, silent, workers))


def test_workers_that_cannot_start_are_not_replaced_for_ever() -> None:
    dying: Any = partial(os._exit, 1)
    with pytest.raises(ParameterError, match=r"end while they start \(exit status 1\); choose fewer"):
        list(run_all(dying, WORDS, silent, workers=2))


def test_workers_share_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    cores = os.cpu_count() or 1
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setattr(os, "cpu_count", lambda: 3 * cores)
    (outcome,) = run_all(counting_threads, ["word"], silent, workers=3)
    assert outcome.result == cores


def test_a_wish_that_cannot_be_met_is_said_with_the_remedy(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ParameterError, match="workers is 0"):
        run_all(workshop, WORDS, silent, workers=0)
    with monkeypatch.context() as patch, pytest.raises(ParameterError, match="pip install ray"):
        patch.setitem(sys.modules, "ray", None)
        list(run_all(workshop, WORDS, silent, workers=2, cluster="local"))


def test_an_address_without_a_cluster_is_named(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{deaf.getsockname()[1]}"
        with pytest.raises(ParameterError, match=f"No Ray cluster answers at '{address}'"):
            list(run_all(workshop, WORDS, silent, workers=2, cluster=address))


def halved() -> Callable[[int], int]:
    def half(number: int) -> int:
        if number % 2:
            raise ParameterError(f"{number} is odd; give an even number.")
        return number // 2

    return half


@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_in_the_order_of_their_items_or_the_first_failure_is_told(workers: int) -> None:
    assert results_of_all(halved, [6, 2, 4, 0], silent, Workers(workers)) == [3, 1, 2, 0]
    with pytest.raises(MediaError, match="3 is odd"):
        results_of_all(halved, [2, 3, 4, 5], silent, Workers(workers), MediaError)
