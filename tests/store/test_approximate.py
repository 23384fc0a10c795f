"""The index for long vectors: what it finds, and what is left of a library whose process is killed while making it."""

import threading
from dataclasses import replace

import lancedb
import numpy as np
import pytest
from moto.s3.responses import S3Response

from core.store import EncoderVersion, Record, open_library
from core.store import lance as lance_engine
from core.store.address import storage_options
from core.store.lance_rows import table_name
from tests.store.makers import ENCODER, direction, record, record_id
from tests.store.oracle import nearest, told
from tests.store.writer import Writer

LONG = EncoderVersion("long", "1", 256)
SUBJECTS = range(10_000, 10_008)


def film(number: int, tags: tuple[str, ...] = ()) -> Record:
    """Every tenth shows one of eight subjects, at a distance of its own; the others are like nothing else."""
    plain = record(number, tags, dimensions=LONG.dimensions)
    if number % 10:
        return plain
    assert plain.vector is not None
    subject = direction(SUBJECTS[number // 10 % len(SUBJECTS)], LONG.dimensions)
    return replace(plain, vector=subject + plain.vector * (0.2 + 0.001 * (number // 80)))


def test_the_approximate_index_finds_what_is_there_now(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows that it knows and rows that it does not, changed and removed ones; with tags and without."""
    monkeypatch.setattr(lance_engine, "MANY_UNINDEXED", 500)
    monkeypatch.setattr(lance_engine, "LONG_VECTOR", LONG.dimensions)
    library = open_library(address, "videos", LONG)
    films = {record_id(number): film(number, ("even",) * (number % 20 == 0)) for number in range(800)}

    def agrees() -> bool:
        return all(
            told(library.find(direction(subject, LONG.dimensions), 5, tags))
            == nearest([f for f in films.values() if set(tags) <= set(f.tags)], direction(subject, LONG.dimensions), 5)
            for subject in SUBJECTS[::2]
            for tags in ((), ("even",))
        )

    library.add(films.values())
    table = lancedb.connect(address, storage_options=storage_options(address)).open_table(table_name("videos", LONG))
    (index,) = table.list_indices()
    assert index.index_type == "IvfRq" and index.num_unindexed_rows == 0 and agrees()
    changes = [replace(films[record_id(n)], vector=film(n + 10).vector) for n in range(0, 200, 10)]
    more = [film(number) for number in range(800, 1000)]
    films |= {one.id: one for one in [*changes, *more]}
    library.add([*changes, *more])
    assert library.remove([films.pop(record_id(number)).id for number in range(200, 300)]) == 100
    assert agrees()
    library.optimise()
    assert agrees()


@pytest.mark.parametrize("moment", ["/_indices/", "/_versions/"], ids=["writing its files", "making it known"])
def test_a_process_killed_while_making_the_index_loses_nothing(
    s3_address: str, writers: list[Writer], moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Object storage is the one place where it can be stopped at a moment of one's choice: in the middle of a put."""
    films = [record(number) for number in range(600)]
    library = open_library(s3_address, "videos", ENCODER)
    library.add(films)
    written: list[str] = []
    reached, killed = threading.Event(), threading.Event()
    put_object = S3Response.put_object

    def stopping(self: S3Response) -> object:
        written.append(self.path)
        if moment in self.path and any("/_indices/" in path for path in written):
            reached.set()
            killed.wait(300)
            return 500, {}, ""
        return put_object(self)

    with monkeypatch.context() as patch:
        patch.setattr(S3Response, "put_object", stopping)
        writers[0].tell("index", s3_address)
        assert reached.wait(300)
        assert writers[0].kill() == []
        killed.set()
    table = lancedb.connect(s3_address, storage_options=storage_options(s3_address)).open_table(
        table_name("videos", ENCODER)
    )
    assert list(table.list_indices()) == []
    again = open_library(s3_address, "videos", ENCODER, create=False)
    assert again.ids() == {one.id for one in films}
    assert told(again.find(direction(5), 5)) == nearest(films, direction(5), 5)
    monkeypatch.setattr(lance_engine, "MANY_UNINDEXED", 400)
    assert again.add([record(600)]) == 1
    assert told(again.find(direction(600), 5)) == nearest([*films, record(600)], direction(600), 5)
    table.checkout_latest()
    assert len(list(table.list_indices())) == 1
    assert np.isclose(again.find(direction(600), 1)[0].similarity, 1)
