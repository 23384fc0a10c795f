"""Encoder versions, vectors, records and addresses."""

from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import ParameterError
from core.store import EncoderVersion
from core.store.address import resolve, storage_options
from core.store.lance_rows import table_name
from tests.store.makers import ENCODER, record

NAMES = st.from_regex(r"[A-Za-z0-9]+([._-][A-Za-z0-9]+){0,2}", fullmatch=True)


@given(NAMES, NAMES, NAMES, NAMES)
def test_two_encoder_versions_never_share_a_table(name: str, version: str, name2: str, version2: str) -> None:
    tables = {table_name("videos", EncoderVersion(*pair, 4)) for pair in ((name, version), (name2, version2))}
    assert len(tables) == len({(name, version), (name2, version2)})


@pytest.mark.parametrize("bad", ["", "a__b", "../up", "a/b", "a'b", "_a", "a.", "größe", "a\n"])
def test_names_that_could_not_be_a_tables_are_refused(bad: str) -> None:
    for name, version in ((bad, "1"), ("colours", bad)):
        with pytest.raises(ParameterError, match="encoder's"):
            EncoderVersion(name, version, 4)


@given(
    st.lists(st.floats(-1, 1), min_size=4, max_size=4).filter(lambda values: max(map(abs, values)) > 1e-3),
    st.integers(-8, 30),
)
def test_only_the_direction_of_a_vector_counts(values: list[float], magnitude: int) -> None:
    encoder, vector = EncoderVersion("colours", "1", 4), np.array(values)
    unit = encoder.unit_vector(vector * 10.0**magnitude, "the example")
    assert np.linalg.norm(unit.astype(np.float64)) == pytest.approx(1, abs=1e-6)
    np.testing.assert_allclose(unit, encoder.unit_vector(vector, "the example"), atol=1e-6)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"id": ""}, "no id"),
        ({"path": "/films/\udcff.mp4"}, "rename the file"),
        ({"tags": ("sea", "")}, "tag"),
        ({"duration_s": -1.0}, "duration"),
        ({"duration_s": float("nan")}, "duration"),
        ({"added_at": datetime(2026, 1, 1)}, "time zone"),
    ],
)
def test_a_record_that_could_not_be_stored_is_refused_when_made(change: dict[str, Any], named: str) -> None:
    with pytest.raises(ParameterError, match=named):
        replace(record(1), **change)


def test_dimensions_must_be_positive() -> None:
    with pytest.raises(ParameterError, match="0 dimensions"):
        replace(ENCODER, dimensions=0)


def test_a_folder_is_told_by_its_full_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/ada")
    assert resolve("films") == resolve(Path("films")) == str(tmp_path / "films")
    assert resolve("~/films") == "/home/ada/films"


@pytest.mark.parametrize(
    "address", ["", "s3://", "ftp://host/films", "s3://key:secret@films/library", "s3://films/library?secret=1"]
)
def test_an_address_that_is_none_or_holds_a_secret_is_refused(address: str) -> None:
    with pytest.raises(ParameterError) as refusal:
        resolve(address)
    assert "secret" not in str(refusal.value)


def test_object_storage_is_told_by_the_environment_and_folders_need_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    assert storage_options("s3://films/library") == {}
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9000")
    local = {"endpoint": "http://127.0.0.1:9000", "allow_http": "true", "region": "us-east-1"}
    assert storage_options("s3://films/library") == local
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "https://objects.example")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    remote = {"endpoint": "https://objects.example", "allow_http": "false", "region": "eu-central-1"}
    assert storage_options("s3://films/library") == remote
    assert storage_options("/films") == {}


@given(st.lists(st.floats(-1, 1), min_size=9, max_size=9).filter(lambda values: max(map(abs, values)) > 1e-3))
def test_a_vector_that_comes_from_a_library_goes_into_another_bit_by_bit(values: list[float]) -> None:
    encoder = EncoderVersion("colours", "1", 9)
    unit = encoder.unit_vector(np.array(values), "the example")
    assert encoder.unit_vector(unit, "the example").tobytes() == unit.tobytes()
