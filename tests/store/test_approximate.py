"""The index for long vectors: what it finds, also right after rows came, changed and went."""

from dataclasses import replace

import lancedb
import pytest

from core.store import EncoderVersion, Record, open_library
from core.store import lance as lance_engine
from core.store.address import storage_options
from core.store.lance_rows import table_name
from tests.store.makers import direction, record, record_id
from tests.store.oracle import nearest, told

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


def test_the_approximate_index_finds_what_is_there_now(lance_address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows that it knows and rows that it does not, changed and removed ones; with tags and without."""
    monkeypatch.setattr(lance_engine, "MANY_UNINDEXED", 500)
    monkeypatch.setattr(lance_engine, "LONG_VECTOR", LONG.dimensions)
    library = open_library(lance_address, "videos", LONG)
    films = {record_id(number): film(number, ("even",) * (number % 20 == 0)) for number in range(800)}

    def agrees() -> bool:
        return all(
            told(library.find(direction(subject, LONG.dimensions), 5, tags))
            == nearest([f for f in films.values() if set(tags) <= set(f.tags)], direction(subject, LONG.dimensions), 5)
            for subject in SUBJECTS[::2]
            for tags in ((), ("even",))
        )

    library.add(films.values())
    connection = lancedb.connect(lance_address, storage_options=storage_options(lance_address))
    table = connection.open_table(table_name("videos", LONG))
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
