"""Search by binary code, on every engine."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from core.errors import ParameterError, StoreError
from core.store import EncoderVersion, Library, Match, Record, code_index, open_library, other_versions
from core.store.lance_rows import table_schema
from tests.store.makers import ENCODER, HASHING, code, direction, hashed, record, record_id
from tests.store.oracle import nearest, told
from tests.store.writer import Writer


@pytest.fixture
def library(address: str) -> Library:
    return open_library(address, "videos", HASHING)


def by_code(records: list[Record], wanted: NDArray[np.uint8], top: int) -> list[tuple[str, float]]:
    """Every distance counted bit by bit, sorted; equals by id."""
    ranked = []
    for one in records:
        assert one.code is not None
        ranked.append((int((np.unpackbits(one.code) != np.unpackbits(wanted)).sum()), one.id))
    return [(id, 1 - 2 * distance / HASHING.code_bits) for distance, id in sorted(ranked)[:top]]


def listed(matches: list[Match]) -> list[tuple[str, float]]:
    return [(match.record.id, match.similarity) for match in matches]


class TestCodes:
    def test_codes_come_back_as_they_were(self, library: Library) -> None:
        films = [hashed(number) for number in range(3)]
        library.add(films)
        for film, stored in zip(films, library.fetch([film.id for film in films]), strict=True):
            np.testing.assert_array_equal(stored.code, film.code)
        assert all(film.code is None for film in library.records())

    def test_the_nearest_codes_are_those_of_counting_bits_with_equals_by_id(self, library: Library) -> None:
        twins = [replace(hashed(1000 + number), code=code(number % 3)) for number in range(40)]
        films = [hashed(number, tags=("third",) * (number % 3 == 0)) for number in range(120)] + twins
        library.add(films)
        for seed in range(8):
            tags = ("third",) * (seed % 2)
            carrying = [film for film in films if set(tags) <= set(film.tags)]
            top = (1, 5, 20, 300)[seed % 4]
            assert listed(library.find_codes(code(seed), top, tags)) == by_code(carrying, code(seed), top)

    def test_every_tag_asked_for_must_be_there(self, library: Library) -> None:
        library.add([hashed(1, ("blue",)), hashed(2, ("blue", "sea")), hashed(3, ("sea",)), hashed(4)])
        assert {match.record.id for match in library.find_codes(code(1), 9, ["sea", "blue"])} == {record_id(2)}
        assert library.find_codes(code(1), 9, ["se"]) == []

    def test_a_shortlist_is_ordered_by_exact_cosine(self, library: Library) -> None:
        films = [hashed(number, tags=("third",) * (number % 3 == 0)) for number in range(90)]
        films += [replace(hashed(1000 + number), vector=direction(5), code=code(5)) for number in range(7)]
        library.add(films)
        for seed in (0, 5, 500):
            for tags in ((), ("third",)):
                carrying = [film for film in films if set(tags) <= set(film.tags)]
                found = library.find_codes(code(seed), 5, tags, direction(seed), shortlist=len(films))
                assert told(found) == nearest(carrying, direction(seed), 5)
        ranked = by_code(films, code(500), len(films))
        short = {id for id, similarity in ranked if similarity >= ranked[7][1]}
        found = library.find_codes(code(500), 8, (), direction(500), shortlist=8)
        assert told(found) == nearest([film for film in films if film.id in short], direction(500), 8)

    def test_an_empty_library_finds_nothing(self, library: Library) -> None:
        assert library.find_codes(code(1)) == library.find_codes(code(1), 5, ["blue"], direction(1)) == []
        library.add([hashed(1)])
        library.remove([record_id(1)])
        assert library.find_codes(code(1)) == []

    def test_others_writes_are_seen_at_once(self, library: Library, writers: list[Writer]) -> None:
        """Added, changed and removed rows, by this object and by another process, and after tidying up."""
        films = {record_id(number): hashed(number) for number in range(30)}
        library.add(films.values())

        def agrees() -> bool:
            return all(
                listed(library.find_codes(code(seed), 9)) == by_code([*films.values()], code(seed), 9)
                for seed in (3, 25, 33, 99)
            )

        assert agrees()
        writers[0].tell("hash", library.address, 20, 40)
        assert writers[0].hear() == 10
        films |= {record_id(number): hashed(number) for number in range(20, 40)}
        assert agrees()
        changed = [replace(film, code=~film.code) for film in list(films.values())[:4] if film.code is not None]
        library.add(changed)
        films |= {film.id: film for film in changed}
        assert agrees()
        writers[0].tell("forget", library.address, 2, 27)
        assert writers[0].hear() == 25
        films = {id: film for id, film in films.items() if id not in {record_id(number) for number in range(2, 27)}}
        assert agrees()
        library.optimise()
        assert agrees()

    @pytest.mark.parametrize(
        "wrong",
        [None, np.zeros(7, np.uint8), np.zeros((1, 8), np.uint8), np.zeros(8, np.int64)],
        ids=["none", "short", "matrix", "integers"],
    )
    def test_a_wrong_code_is_refused_and_nothing_of_its_batch_is_stored(self, library: Library, wrong: Any) -> None:
        with pytest.raises(ParameterError, match=r"code of /films/1\.mp4"):
            library.add([hashed(0), replace(hashed(1), code=wrong)])
        assert len(library) == 0
        with pytest.raises(ParameterError, match="code of the query"):
            library.find_codes(wrong)

    def test_an_encoder_without_codes_says_so(self, address: str) -> None:
        library = open_library(address, "videos", ENCODER)
        library.add([hashed(1)])
        with pytest.raises(ParameterError, match="colours 1 makes no codes"):
            library.find_codes(code(1))
        assert library.fetch([record_id(1)])[0].code is None

    def test_top_and_shortlist_are_positive(self, library: Library) -> None:
        with pytest.raises(ParameterError, match="top is 0"):
            library.find_codes(code(1), 0)
        with pytest.raises(ParameterError, match="shortlist is 0"):
            library.find_codes(code(1), 1, (), direction(1), 0)

    def test_segments_have_a_library_of_their_own(self, library: Library) -> None:
        segments = open_library(library.address, "segments", HASHING)
        segments.add([hashed(number) for number in range(3)])
        assert (len(library), len(segments)) == (0, 3)
        assert other_versions(library.address, "segments") == {HASHING: 3}

    def test_one_version_with_other_codes_is_refused(self, library: Library) -> None:
        for bits in (0, 128):
            with pytest.raises(StoreError, match="new version"):
                open_library(library.address, "videos", replace(HASHING, code_bits=bits))


def test_a_small_write_costs_the_reading_of_its_own_rows_only(
    folder_address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    rows = code_index._rows

    def counted(table: Any, row_ids: NDArray[np.uint64]) -> Any:
        read.append(len(row_ids))
        return rows(table, row_ids)

    monkeypatch.setattr(code_index, "_rows", counted)
    library = open_library(folder_address, "videos", HASHING)
    library.add([hashed(number) for number in range(50)])
    library.find_codes(code(1))
    library.add([hashed(3), hashed(99)])
    library.remove([record_id(7)])
    library.find_codes(code(1))
    library.find_codes(code(2))
    assert read == [50, 2]


def test_many_new_rows_are_read_as_a_whole(folder_address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(code_index, "_FEW_ROWS", 10)
    library = open_library(folder_address, "videos", HASHING)
    films = [hashed(number) for number in range(60)]
    for start in range(0, 60, 20):
        library.add(films[start : start + 20])
        assert listed(library.find_codes(code(5), 7)) == by_code(films[: start + 20], code(5), 7)


def test_a_table_without_codes_is_as_it_always_was() -> None:
    schema = table_schema("videos", ENCODER)
    assert schema.names == [
        "id", "path", "title", "duration_s", "tags", "thumbnail", "added_at", "attributes", "vector"
    ]  # fmt: skip
    assert schema.metadata == {b"kind": b"videos", b"encoder_name": b"colours", b"encoder_version": b"1"}


@pytest.mark.parametrize("bits", [-8, 12])
def test_the_length_of_codes_is_a_multiple_of_eight(bits: int) -> None:
    with pytest.raises(ParameterError, match="multiple of 8"):
        EncoderVersion("colours", "1", 16, bits)


def test_a_record_without_code_is_fine_where_there_are_none(folder_address: str) -> None:
    assert open_library(folder_address, "videos", ENCODER).add([record(1)]) == 1
