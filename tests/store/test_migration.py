"""Libraries copied from one address to another: from engine to engine and back, stopped and gone on with."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.errors import CancelledError, LibraryNotFoundError, ParameterError, StoreError
from core.store import (
    EncoderVersion,
    Library,
    Record,
    migration,
    open_library,
    other_versions,
    read_settings,
    write_setting,
)
from core.store.__main__ import main
from core.store.migration import migrate, record_digest
from tests.store.makers import ENCODER, HASHING, direction, hashed, record, record_id

LONG = EncoderVersion("long", "2.0-b", 4096, code_bits=4096)


def long_record(number: int) -> Record:
    """As large as the real ones: 4096 numbers and bits, a picture of 100 kB, and a film's frames as attributes."""
    random = np.random.default_rng(number)
    return Record(
        id=f"{record_id(number)}:{number}",
        path=f"/films/größer 🎬/{number}\0.mp4",
        title='it\'s "one"',
        duration_s=0.1 + number / 3,
        tags=("blue", "sea", "blue"),
        thumbnail=random.bytes(100_000),
        added_at=datetime(2026, 1, 1, 1, 2, 3, 456789, timezone(timedelta(hours=5))),
        vector=random.standard_normal(4096).astype(np.float32),
        attributes={"frames": random.bytes(80_000).hex(), "": "empty"},
        code=random.integers(0, 256, 512, np.uint8),
    )


@pytest.fixture
def filled(folder_address: str) -> str:
    """Three libraries and two settings."""
    open_library(folder_address, "videos", ENCODER).add([record(number, tags=("sea",)) for number in range(30)])
    open_library(folder_address, "segments", LONG).add([long_record(number) for number in range(20)])
    open_library(folder_address, "tracks", ENCODER).add([record(5)])
    write_setting(folder_address, "model", "long")
    write_setting(folder_address, "it's", "ß" * 70_000)
    return folder_address


def everything(address: str) -> dict[Any, dict[str, str]]:
    """The digests of all that lies at an address."""
    found: dict[Any, dict[str, str]] = {"settings": read_settings(address)}
    for kind in ("videos", "segments", "tracks", "concepts"):
        for encoder in other_versions(address, kind):
            library = open_library(address, kind, encoder, create=False)
            found[kind, encoder] = {one.id: record_digest(one) for one in library.fetch(sorted(library.ids()))}
    return found


def test_a_library_goes_to_another_engine_and_back_and_is_the_same(filled: str, address: str, tmp_path: Path) -> None:
    """Vectors, codes, pictures, times and settings, bit by bit; the source stays as it was."""
    before = everything(filled)
    there = migrate(filled, f"{address}2")
    assert everything(f"{address}2") == everything(filled) == before
    back = migrate(f"{address}2", tmp_path / "back")
    assert everything(str(tmp_path / "back")) == before
    assert [(one.kind, one.records, one.added, one.digest) for one in back.libraries] == [
        (one.kind, one.records, one.added, one.digest) for one in there.libraries
    ]
    assert sum(one.records for one in there.libraries) == 51 and there.settings == back.settings == 2
    segments = open_library(str(tmp_path / "back"), "segments", LONG, create=False)
    assert segments.find_codes(long_record(3).code, 1)[0].record.id == long_record(3).id  # type: ignore[arg-type]


def test_a_migration_that_was_stopped_goes_on_where_it_was(
    folder_address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migration, "AT_ONCE", 4)
    open_library(folder_address, "videos", ENCODER).add([record(number) for number in range(20)])

    def stop_at_twelve(done: int, total: int, what: str) -> None:
        assert (total, what) == (20, "videos of colours 1")
        if done == 12:
            raise CancelledError("Stopped.")

    with pytest.raises(CancelledError):
        migrate(folder_address, tmp_path / "target", stop_at_twelve)
    (done,) = migrate(folder_address, tmp_path / "target").libraries
    assert (done.added, done.kept, done.replaced, done.others) == (8, 12, 0, 0)
    assert everything(folder_address) == everything(str(tmp_path / "target"))
    (again,) = migrate(folder_address, tmp_path / "target").libraries
    assert (again.added, again.kept, again.digest) == (0, 20, done.digest)


def test_what_differs_at_the_target_is_replaced_and_what_is_there_besides_stays(
    folder_address: str, tmp_path: Path
) -> None:
    open_library(folder_address, "videos", HASHING).add([hashed(number) for number in range(6)])
    target = open_library(tmp_path / "target", "videos", HASHING)
    other_code = replace(hashed(1), code=hashed(2).code)
    target.add([hashed(0), other_code, replace(hashed(2), title="renamed"), hashed(77)])
    (done,) = migrate(folder_address, tmp_path / "target").libraries
    assert (done.records, done.added, done.replaced, done.kept, done.others) == (6, 3, 2, 1, 1)
    assert target.ids() == {record_id(number) for number in (*range(6), 77)}
    assert (
        everything(folder_address)["videos", HASHING].items()
        <= everything(str(tmp_path / "target"))["videos", HASHING].items()
    )


@pytest.mark.parametrize(
    "change",
    [
        {"id": "other"},
        {"path": "/other"},
        {"title": "other"},
        {"duration_s": 1.5000001},
        {"tags": ("sea", "blue")},
        {"thumbnail": b"other"},
        {"added_at": datetime(2026, 1, 1, 0, 0, 1, 1, UTC)},
        {"vector": np.nextafter(direction(1), np.float32(9))},
        {"attributes": {"licence": "CC1"}},
        {"code": hashed(2).code},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_digest_tells_every_part_of_a_record(change: dict[str, Any]) -> None:
    one = hashed(1, tags=("blue", "sea"))
    elsewhere = one.added_at.astimezone(timezone(timedelta(hours=9)))
    assert record_digest(one) == record_digest(replace(one, added_at=elsewhere))
    assert record_digest(one) != record_digest(replace(one, **change))


class Forgetful:
    """A target that gives one record another title."""

    def __init__(self, library: Library) -> None:
        self._library = library

    def __getattr__(self, name: str) -> Any:
        return getattr(self._library, name)

    def fetch(self, ids: Sequence[str]) -> list[Record]:
        wrong = record_id(3)
        return [replace(one, title="forgotten") if one.id == wrong else one for one in self._library.fetch(ids)]


@pytest.fixture
def forgetful_target(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def opened(address: Any, kind: Any, encoder: EncoderVersion, create: bool = True) -> Any:
        library = open_library(address, kind, encoder, create)
        return Forgetful(library) if create else library

    monkeypatch.setattr(migration, "open_library", opened)
    yield


@pytest.mark.usefixtures("forgetful_target")
def test_a_record_that_does_not_come_back_as_it_was_is_named(folder_address: str, tmp_path: Path) -> None:
    open_library(folder_address, "videos", ENCODER).add([record(number) for number in range(6)])
    with pytest.raises(StoreError, match=f"1 records, {record_id(3)} first, came back"):
        migrate(folder_address, tmp_path / "target")


def test_records_that_come_meanwhile_are_told_of(folder_address: str, tmp_path: Path) -> None:
    source = open_library(folder_address, "videos", ENCODER)
    source.add([record(1)])
    with pytest.raises(StoreError, match="came or went"):
        migrate(folder_address, tmp_path / "target", lambda done, total, what: print(source.add([record(2)])))
    assert migrate(folder_address, tmp_path / "target").libraries[0].records == 2


def test_nothing_and_the_same_address_are_refused(folder_address: str, tmp_path: Path) -> None:
    with pytest.raises(LibraryNotFoundError, match="nothing to migrate"):
        migrate(folder_address, tmp_path / "target")
    with pytest.raises(ParameterError, match="Both addresses"):
        migrate(folder_address, f"{folder_address}/")
    assert list(tmp_path.iterdir()) == []


def test_the_command_says_what_it_did(filled: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["migrate", filled, str(tmp_path / "target"), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert {one["id"]: (one["records"], one["added"]) for one in answer["results"]} == {
        "videos colours 1": (30, 30),
        "segments long 2.0-b": (20, 20),
        "tracks colours 1": (1, 1),
    }
    assert (answer["from"], answer["to"], answer["settings"]) == (filled, str(tmp_path / "target"), 2)
    assert main(["migrate", filled, str(tmp_path / "target")]) == 0
    told = capsys.readouterr().out
    assert "videos colours 1: 30 records compared and the same (0 added, 0 replaced, 30 there already" in told
    assert main(["migrate", str(tmp_path / "none"), str(tmp_path / "target")]) == 3
    assert main(["migrate", filled, filled]) == 2
