"""What only the LanceDB engine has to answer for: damaged folders, the primary key, tidiness, conflicts."""

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import lancedb
import pytest

from core.errors import StoreError
from core.store import Library, open_library
from core.store import lance as lance_engine
from core.store.address import storage_options
from core.store.lance_errors import patiently
from core.store.lance_rows import table_name
from tests.store.makers import ENCODER, direction, record, record_id
from tests.store.oracle import nearest, told

TABLE = f"{table_name('videos', ENCODER)}.lance"
DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "emptied": lambda content: b"",
    "cut in half": lambda content: content[: len(content) // 2],
    "overwritten": lambda content: os.urandom(len(content)),
}


@pytest.fixture
def library(folder_address: str) -> Library:
    library = open_library(folder_address, "videos", ENCODER)
    library.add([record(number) for number in range(10)])
    return library


def stored_files(library: Library, kind: str) -> list[Path]:
    return sorted(Path(library.address, TABLE).glob(kind))


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
@pytest.mark.parametrize("kind", ["_versions/*.manifest", "data/*.lance"])
def test_a_damaged_library_is_named_with_the_remedy(
    library: Library, kind: str, damage: Callable[[bytes], bytes]
) -> None:
    files = stored_files(library, kind)
    assert files
    for path in files:
        path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(StoreError, match=r"library .*cannot be read .*copy"):
        open_library(library.address, "videos", ENCODER).records()


def test_a_library_that_lost_its_versions_is_not_taken_for_a_new_one(library: Library) -> None:
    shutil.rmtree(Path(library.address, TABLE, "_versions"))
    with pytest.raises(StoreError, match="list of versions"):
        open_library(library.address, "videos", ENCODER)


def test_a_process_killed_while_making_a_library_leaves_nothing_in_the_way(folder_address: str) -> None:
    Path(folder_address, TABLE, "_transactions").mkdir(parents=True)
    assert open_library(folder_address, "videos", ENCODER).add([record(1)]) == 1


def test_a_file_and_a_folder_of_other_things_are_no_library(tmp_path: Path) -> None:
    (tmp_path / "holiday.mp4").write_bytes(b"film")
    with pytest.raises(StoreError, match=r"holiday\.mp4 is a file"):
        open_library(tmp_path / "holiday.mp4", "videos", ENCODER)
    with pytest.raises(StoreError, match="empty folder"):
        open_library(tmp_path, "videos", ENCODER)
    assert [path.name for path in tmp_path.iterdir()] == ["holiday.mp4"]


def test_the_key_is_marked_and_has_no_index(library: Library) -> None:
    """Either lapse lets two upserts of one new key both insert it; see the race in the contract."""
    library.optimise()
    table = lancedb.connect(library.address).open_table(table_name("videos", ENCODER))
    assert table.schema.field("id").metadata == {b"lance-schema:unenforced-primary-key": b"true"}
    assert list(table.list_indices()) == []


def test_small_adds_are_merged_and_old_versions_deleted_in_time(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lance_engine, "KEEP_VERSIONS_FOR", timedelta(milliseconds=1))
    for number in range(10, 90):
        library.add([record(number)])
    table = lancedb.connect(library.address).open_table(table_name("videos", ENCODER))
    stats: Any = table.stats()
    assert stats["fragment_stats"]["num_fragments"] <= lance_engine.MANY_FRAGMENTS
    assert len(stored_files(library, "_versions/*.manifest")) < 80
    assert library.ids() == {record_id(number) for number in range(90)}


def test_removing_alone_is_tidied_too(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lance_engine, "MANY_VERSIONS", 8)
    monkeypatch.setattr(lance_engine, "KEEP_VERSIONS_FOR", timedelta(milliseconds=1))
    for number in range(9):
        library.remove([record_id(number)])
    assert len(stored_files(library, "_versions/*.manifest")) < 8
    assert library.ids() == {record_id(9)}


def test_with_an_index_the_nearest_are_still_those_of_a_brute_force_search(
    lance_address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through the making of the index, rows it does not know, changed and removed rows, and its bringing up to date."""
    monkeypatch.setattr(lance_engine, "MANY_UNINDEXED", 400)
    library = open_library(lance_address, "videos", ENCODER)
    films = {record_id(number): record(number, tags=("third",) * (number % 3 == 0)) for number in range(1000)}

    def agrees() -> bool:
        return all(
            told(library.find(direction(query), 9, tags))
            == nearest([film for film in films.values() if set(tags) <= set(film.tags)], direction(query), 9)
            for query in (0, 500, 5000)
            for tags in ((), ("third",))
        )

    library.add(films.values())
    connection = lancedb.connect(lance_address, storage_options=storage_options(lance_address))
    table = connection.open_table(table_name("videos", ENCODER))
    (index,) = table.list_indices()
    assert index.num_unindexed_rows == 0 and agrees()
    changes = [replace(record(number), vector=direction(number + 7000)) for number in range(490, 510)]
    more = {record_id(number): record(number) for number in range(1000, 1300)}
    films |= more | {film.id: film for film in changes}
    library.add([*more.values(), *changes])
    assert library.remove([films.pop(record_id(number)).id for number in range(480, 500)]) == 20
    assert agrees()
    library.optimise()
    table.checkout_latest()
    (index,) = table.list_indices()
    assert index.num_unindexed_rows == 0 and agrees()


def test_a_reader_may_finish_on_the_version_it_began_with(library: Library) -> None:
    reader = lancedb.connect(library.address).open_table(table_name("videos", ENCODER))
    reader.checkout(reader.version)
    library.remove([record_id(number) for number in range(9)])
    library.optimise()
    assert reader.search(direction(1)).limit(100).to_arrow().num_rows == 10


def failing_first(reason: str, times: int) -> Callable[[], int]:
    """A write that fails so many times, and then returns how often it was called."""
    calls = []

    def write() -> int:
        calls.append(reason)
        if len(calls) <= times:
            raise RuntimeError(reason)
        return len(calls)

    return write


def test_a_conflict_with_another_writer_is_tried_again() -> None:
    assert patiently("/films", failing_first("Retryable commit conflict for version 4", times=2)) == 3


def test_an_error_that_is_no_conflict_is_not_tried_again() -> None:
    write = failing_first("file size is too small", times=1)
    with pytest.raises(StoreError, match="file size is too small"):
        patiently("/films", write)
    assert write() == 2


def test_the_word_conflict_in_an_address_is_no_conflict() -> None:
    with pytest.raises(StoreError, match="cannot be read"):
        patiently("/films/conflict", failing_first("no file films/conflict/data/1.lance", times=1))
