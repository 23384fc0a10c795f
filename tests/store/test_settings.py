"""Settings of a library, and the removal of a version, on every engine."""

from datetime import timedelta
from pathlib import Path

import hypothesis
import pytest
from hypothesis import HealthCheck, given

from core.errors import LibraryNotFoundError, ParameterError, StoreError
from core.store import open_library, other_versions, read_setting, read_settings, remove_version, write_setting
from core.store import settings as engine
from core.store.address import holds_something
from tests.store.makers import ENCODER, HASHING, hashed, record
from tests.store.test_contract import TEXT
from tests.store.writer import KEY, Writer


class TestSettings:
    def test_what_was_written_last_is_read(self, address: str) -> None:
        assert read_setting(address, "model") is None
        write_setting(address, "model", "1")
        write_setting(address, "model", "2")
        write_setting(address, "other", "")
        assert [read_setting(address, key) for key in ("model", "other", "none")] == ["2", "", None]
        assert read_settings(address) == {"model": "2", "other": ""}

    @hypothesis.settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(TEXT, TEXT)
    def test_any_text_is_only_text(self, address: str, key: str, value: str) -> None:
        write_setting(address, "bystander", "there")
        write_setting(address, key, value)
        assert read_setting(address, key) == value
        assert key == "bystander" or read_setting(address, "bystander") == "there"

    def test_they_are_no_library(self, address: str) -> None:
        write_setting(address, "model", "1")
        assert other_versions(address, "videos") == {}
        with pytest.raises(LibraryNotFoundError):
            open_library(address, "videos", ENCODER, create=False)
        open_library(address, "videos", ENCODER).add([record(1)])
        assert other_versions(address, "videos") == {ENCODER: 1}
        assert read_setting(address, "model") == "1"

    def test_a_key_is_needed(self, address: str) -> None:
        with pytest.raises(ParameterError, match="no key"):
            write_setting(address, "", "1")

    def test_writers_killed_at_work_lose_nothing_acknowledged(self, address: str, writers: list[Writer]) -> None:
        """Each counts upwards, and each value is whole: it is the last one acknowledged by either, or a later one."""
        victims = writers[:2]
        for victim, first in zip(victims, (0, 1_000_000), strict=True):
            victim.tell("set", address, first)
        heard = [[victim.hear() for _ in range(4)] for victim in victims]
        last = [(some + victim.kill())[-1] for some, victim in zip(heard, victims, strict=True)]
        value = int(read_setting(address, KEY) or -1)
        assert any(end <= value <= end + 1 for end in last)
        write_setting(address, KEY, "afterwards")
        assert read_setting(address, KEY) == "afterwards"


class TestRemovingVersions:
    def test_one_version_goes_and_the_rest_stays(self, address: str) -> None:
        assert not remove_version(address, "videos", ENCODER)
        other = HASHING.__class__("edges", "1", HASHING.dimensions, HASHING.code_bits)
        old, new = open_library(address, "videos", ENCODER), open_library(address, "videos", other)
        old.add([record(1)])
        new.add([hashed(1), hashed(2)])
        write_setting(address, "model", "edges")
        assert remove_version(address, "videos", ENCODER)
        assert not remove_version(address, "videos", ENCODER)
        assert other_versions(address, "videos") == {other: 2}
        assert read_setting(address, "model") == "edges"
        assert len(new) == 2
        with pytest.raises(StoreError):
            old.find(record(1).vector)  # type: ignore[arg-type]
        assert len(open_library(address, "videos", ENCODER)) == 0


def test_settings_alone_are_nothing_and_hide_no_other_things(folder_address: str) -> None:
    write_setting(folder_address, "model", "1")
    assert not holds_something(folder_address)
    Path(folder_address, "holiday.mp4").write_bytes(b"film")
    with pytest.raises(StoreError, match="empty folder"):
        open_library(folder_address, "videos", ENCODER)


def test_reading_makes_nothing(folder_address: str) -> None:
    assert read_setting(folder_address, "model") is None
    assert not Path(folder_address).exists()


def test_many_writes_leave_few_versions(folder_address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "_MANY_VERSIONS", 8)
    monkeypatch.setattr(engine, "_KEEP_VERSIONS_FOR", timedelta(milliseconds=1))
    for number in range(20):
        write_setting(folder_address, "model", str(number))
    assert len(list(Path(folder_address, "settings.lance", "_versions").iterdir())) < 12
    assert read_setting(folder_address, "model") == "19"
