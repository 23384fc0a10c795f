"""What every engine must do; the class runs over all of them."""

import random
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from core.errors import LibraryNotFoundError, ParameterError, RecordNotFoundError, StoreError
from core.store import EncoderVersion, Library, Record, open_library, other_versions
from core.store.address import is_milvus
from tests.store.makers import ENCODER, direction, record, record_id
from tests.store.oracle import nearest, told
from tests.store.writer import BATCH, Writer

TEXT = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12) | st.sampled_from(
    ["it's", "'; DROP TABLE videos; --", "') OR ('1'='1", "100%_", "back\\slash'", '"', "a\0b", "ß\u202e🎬"]
)


@pytest.fixture
def library(address: str) -> Library:
    return open_library(address, "videos", ENCODER)


class TestLibrary:
    def test_what_was_added_comes_back_as_it_was_with_its_vector_at_length_one(self, library: Library) -> None:
        films = [record(number, tags=("blue", "sea")) for number in range(3)]
        assert library.add(films) == 3
        back = library.fetch([film.id for film in films])
        assert back == films
        for film, stored in zip(films, back, strict=True):
            assert film.vector is not None and stored.vector is not None
            np.testing.assert_allclose(stored.vector, film.vector / np.linalg.norm(film.vector), rtol=1e-6)

    def test_adding_the_same_content_twice_is_one_row_with_the_later_facts(self, library: Library) -> None:
        assert library.add([record(1), record(2)]) == 2
        assert library.add([record(1, title="renamed"), record(3), record(3, title="last of two")]) == 1
        assert len(library) == 3
        assert [film.title for film in library.records()] == ["last of two", "film 2", "renamed"]

    def test_the_nearest_are_those_of_a_brute_force_search(self, library: Library) -> None:
        films = [record(number) for number in range(120)]
        twins = [replace(record(1000 + number), vector=direction(number % 3)) for number in range(30)]
        library.add(films + twins)
        for seed in range(12):
            query = direction(seed if seed < 4 else 5000 + seed)
            top = (1, 4, 7, 20, 200)[seed % 5]
            assert told(library.find(query, top)) == nearest(films + twins, query, top)

    def test_every_tag_asked_for_must_be_there(self, library: Library) -> None:
        films = [record(n, tags=tuple(t for t, m in (("even", 2), ("third", 3)) if n % m == 0)) for n in range(40)]
        library.add(films)
        for tags in (("even",), ("third",), ("third", "even"), ("eve",)):
            carrying = [film for film in films if set(tags) <= set(film.tags)]
            assert told(library.find(direction(7), 10, tags)) == nearest(carrying, direction(7), 10)

    def test_an_empty_library_finds_and_lists_nothing(self, library: Library) -> None:
        assert (library.find(direction(1)), library.records(), library.ids(), len(library)) == ([], [], set(), 0)
        assert library.add([]) == 0
        assert library.remove([record_id(1)]) == 0

    def test_a_listing_is_newest_first_and_in_pages(self, library: Library) -> None:
        library.add([record(number) for number in random.Random(1).sample(range(25), 25)])
        newest_first = [record_id(number) for number in reversed(range(25))]
        assert [film.id for film in library.records()] == newest_first
        assert [film.id for film in library.records(offset=20, limit=10)] == newest_first[20:]
        assert [film.id for film in library.records(limit=3)] == newest_first[:3]
        assert all(film.vector is None and film.thumbnail for film in library.records(limit=3))

    def test_what_is_removed_is_gone_and_the_rest_stays(self, library: Library) -> None:
        library.add([record(number) for number in range(6)])
        assert library.remove([record_id(number) for number in (1, 4, 99)]) == 2
        assert library.ids() == {record_id(number) for number in (0, 2, 3, 5)}
        assert record_id(1) not in library and record_id(2) in library
        assert record_id(1) not in {match.record.id for match in library.find(direction(1), 6)}
        with pytest.raises(RecordNotFoundError, match=f"{record_id(1)}, {record_id(4)}"):
            library.fetch([record_id(number) for number in (0, 1, 4)])

    def test_changing_the_encoder_never_mixes_vectors(self, library: Library) -> None:
        library.add([record(number) for number in range(4)])
        for encoder in (
            EncoderVersion("colours", "2", 16),
            EncoderVersion("edges", "1", 16),
            EncoderVersion("colours", "1.1", 8),
        ):
            newer = open_library(library.address, "videos", encoder)
            assert newer.find(direction(0, encoder.dimensions)) == []
            newer.add([record(7, dimensions=encoder.dimensions)])
            assert newer.ids() == {record_id(7)}
        assert library.ids() == {record_id(number) for number in range(4)}
        tracks = open_library(library.address, "tracks", ENCODER)
        assert len(tracks) == 0

    def test_an_address_tells_which_encoder_versions_it_holds(self, library: Library) -> None:
        edges, unused = EncoderVersion("edges", "1", 4), EncoderVersion("edges", "2", 4)
        assert other_versions(library.address, "videos") == {}
        library.add([record(number) for number in range(5)])
        open_library(library.address, "videos", edges).add([record(1, dimensions=4)])
        open_library(library.address, "videos", unused)
        assert list(other_versions(library.address, "videos").items()) == [(ENCODER, 5), (edges, 1)]
        assert other_versions(library.address, "videos", than=ENCODER) == {edges: 1}
        assert other_versions(library.address, "tracks") == {}

    def test_one_version_with_another_number_of_dimensions_is_refused(self, library: Library) -> None:
        with pytest.raises(StoreError, match="new version"):
            open_library(library.address, "videos", replace(ENCODER, dimensions=8))

    def test_nothing_is_made_when_only_opening(self, address: str) -> None:
        with pytest.raises(LibraryNotFoundError, match=r"python -m core.video_search add"):
            open_library(address, "videos", ENCODER, create=False)
        open_library(address, "tracks", ENCODER)
        with pytest.raises(LibraryNotFoundError, match="colours 1"):
            open_library(address, "videos", ENCODER, create=False)
        assert len(open_library(address, "tracks", ENCODER, create=False)) == 0

    @pytest.mark.parametrize(
        "vector",
        [None, np.zeros(16), np.full(16, np.nan), np.r_[np.ones(15), np.inf], np.ones(15), np.ones((1, 16))],
        ids=["none", "zero", "nan", "infinite", "short", "matrix"],
    )
    def test_a_vector_without_direction_is_refused_and_nothing_of_its_batch_is_stored(
        self, library: Library, vector: NDArray[np.float32] | None
    ) -> None:
        with pytest.raises(ParameterError, match=r"/films/1\.mp4"):
            library.add([record(0), replace(record(1), vector=vector)])
        assert len(library) == 0
        if vector is not None:
            with pytest.raises(ParameterError, match="query"):
                library.find(vector)

    @settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(st.data())
    def test_any_text_is_only_text(self, library: Library, data: st.DataObject) -> None:
        bystander = record(1, tags=("kept",))
        odd = Record(
            id=data.draw(TEXT.filter(lambda text: text != bystander.id), label="id"),
            path=data.draw(TEXT, label="path"),
            title=data.draw(TEXT, label="title"),
            duration_s=1.0,
            tags=tuple(data.draw(st.lists(TEXT.filter(lambda text: text != "kept"), min_size=1, max_size=3))),
            vector=direction(2),
            attributes=data.draw(st.dictionaries(TEXT, TEXT, max_size=2)),
        )
        library.add([bystander, odd])
        assert library.fetch([odd.id]) == [odd]
        assert [match.record for match in library.find(direction(1), 5, odd.tags)] == [odd]
        assert odd.id in library
        assert library.remove([odd.id]) == 1
        assert library.ids() == {bystander.id}

    def test_others_see_a_write_as_soon_as_it_returns(self, library: Library, writers: list[Writer]) -> None:
        reader = open_library(library.address, "videos", ENCODER, create=False)
        for number in range(5):
            library.add([record(number)])
            assert record_id(number) in reader and len(reader) == number + 1
        writers[0].tell("upsert", library.address, 3, 8)
        assert writers[0].hear() == 3
        assert library.ids() == reader.ids() == {record_id(number) for number in range(8)}
        library.remove([record_id(7)])
        writers[0].tell("upsert", library.address, 7, 8)
        assert writers[0].hear() == 1

    def test_threads_may_share_one_library(self, library: Library) -> None:
        def upsert(start: int) -> int:
            return sum(library.add([record(number)]) for number in range(start, start + 6))

        reading = threading.Event()
        with ThreadPoolExecutor(4) as pool:
            reader = pool.submit(read_until, library, reading)
            new = sum(pool.map(upsert, (0, 3, 3)))
            reading.set()
            assert reader.result() > 0
        assert new == len(library) == 9
        assert_each_once(library)

    def test_three_processes_that_upsert_the_same_new_keys_make_no_duplicates(
        self, library: Library, writers: list[Writer]
    ) -> None:
        """Where the engine has transactions, each key is counted as new by one of them; on Milvus by one or more."""
        most = 60 if is_milvus(library.address) else 20
        for first in range(0, 80, 20):
            for writer in writers:
                writer.tell("upsert", library.address, first, first + 20)
            assert 20 <= sum(writer.hear() for writer in writers) <= most
            assert len(library) == first + 20
        assert library.add([record(number) for number in range(81)]) == 1
        assert_each_once(library)

    def test_processes_killed_while_adding_lose_nothing_acknowledged(
        self, library: Library, writers: list[Writer]
    ) -> None:
        victims, starts = writers[:2], (0, 9000)
        for victim, first in zip(victims, starts, strict=True):
            victim.tell("stream", library.address, first)
        for victim, enough in zip(victims, (4, 15), strict=True):
            acknowledged = [victim.hear() for _ in range(enough)]
            time.sleep(random.uniform(0, 0.05))
            acknowledged += victim.kill()
            library = open_library(library.address, "videos", ENCODER, create=False)
            stored = library.ids()
            assert all(batch(number) <= stored for number in acknowledged)
            cut_short = acknowledged[-1] + BATCH
            assert batch(cut_short) & stored in (set(), batch(cut_short))
            added = library.add([record(cut_short + step) for step in range(BATCH)])
            assert added == len(batch(cut_short) - stored)
            assert_each_once(library)


def read_until(library: Library, done: threading.Event) -> int:
    """Read without a pause; every answer must be whole. Return how often."""
    times = 0
    while not done.is_set() or not times:
        assert all(match.record.thumbnail for match in library.find(direction(times), 5))
        assert len(library.records(limit=5)) <= 5
        times += 1
    return times


def assert_each_once(library: Library) -> None:
    everything = Counter(match.record.id for match in library.find(direction(1), 10_000))
    assert set(everything.values()) == {1}
    assert everything.keys() <= library.ids()


def batch(first: int) -> set[str]:
    return {record_id(first + step) for step in range(BATCH)}
