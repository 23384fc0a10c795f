"""Libraries on LanceDB: embedded, in a folder or on object storage, with no server.

Many at once. Every write is one commit: the next version's manifest is written only if nobody else wrote it first (a
hard link or rename in a folder, a conditional put, ``If-None-Match: *``, on object storage), and the loser looks
again and retries. That is safe on Amazon S3, Google Cloud Storage, Azure and the S3-compatible stores that honour the
condition, such as MinIO and R2; Alibaba OSS is known not to, and there only one process may write. The marked primary
key makes two upserts of one new key conflict instead of both inserting it. There is deliberately no scalar index on
the key: with one, three processes upserting the same new keys made duplicates in 16 of 16 runs, as many as without
the primary key, against 0 of 16.

Tidiness. Each `LanceLibrary.add` leaves a small fragment, and each write a version; a query costs about a quarter of a
millisecond more for each fragment, and the more the more rows the index does not know. So `add` and `remove` tidy up
by the rule of `LanceLibrary._is_untidy`.

Exactness. Below `MANY_UNINDEXED` rows a query scans all vectors in the files. From there on an inverted-file index
holds the vectors as they are, uncompressed and in memory, and a query looks into every one of its cells: that skips
nothing, so it is as exact as the scan, and several times as fast.

Vectors of `LONG_VECTOR` numbers and more would fill the memory (1.6 GB for 100,000 of 4096), so of them the index
holds one bit a number (RaBitQ, 53 MB), and the best candidates are compared exactly. Here too every cell is looked
into; a query that looked into 4 of 16 lost 3 % of the answers, and more cells take longer to make. Measured with
100,000 vectors of 4096 numbers, spliced from real films, on two busy cores: five of five found (recall 1.000, with tags
too) in 26 ms, with a tag in 30, against 1.8 s for a scan of the files and 89 ms for a numpy product with a matrix in
memory; the uncompressed index took 182 ms of made-up ones. `tests/benchmarks/video_search_scale.py` measures it.
Making it took 23 s. In a library that grows it is made at 5000 rows and brought up to date every 5000, so only an `add`
of 100,000 waits so long.

LanceDB runs threads of its own and does not survive a fork: start processes by spawning.
"""

import logging
import threading
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from core.errors import LibraryNotFoundError, ParameterError, RecordNotFoundError, StoreError
from core.store.address import holds_something, resolve
from core.store.code_index import CodeIndex
from core.store.lance_errors import patiently, told_as_store_error
from core.store.lance_rows import (
    LISTED,
    encoder_of,
    from_arrow,
    sql_text,
    table_name,
    table_schema,
    to_arrow,
    vectors_of,
)
from core.store.lance_tables import connect, open_or_make, table_names
from core.store.library import HOW_TO_ADD, SHORTLIST, Kind
from core.store.record import EncoderVersion, Match, Record

KEEP_VERSIONS_FOR = timedelta(minutes=10)
"""A reader works on the version that was newest when its query began, so this is the longest a query may take."""
MANY_FRAGMENTS = 32
MANY_VERSIONS = 256
MANY_UNINDEXED = 5000
LONG_VECTOR = 2048
"""From so many numbers on, the index is approximate."""
_INDEX_CELLS = 8
_APPROXIMATE_CELLS = 16
_REFINE = 20
"""Candidates compared exactly for each row wanted; with 10 no answer was lost either, with 5 eight in 1000."""
_ALL_CELLS = 2**16
"""More than an index ever has, also after the engine has split large cells."""
_IDS_AT_ONCE = 1000
_log = logging.getLogger(__name__)


class LanceLibrary:
    """A `Library` in one Lance table; made by `open_table`."""

    def __init__(self, address: str, kind: Kind, encoder: EncoderVersion, table: Any) -> None:
        self.address = address
        self.kind = kind
        self.encoder = encoder
        self._table = table
        self._schema = table_schema(kind, encoder)
        self._writing = threading.Lock()
        self._codes = CodeIndex.empty(encoder.code_bits)
        self._looking = threading.Lock()

    def add(self, records: Iterable[Record]) -> int:
        """See `Library.add`. A killed process loses nothing acknowledged; a power cut may, as files are not synced."""
        unique = {record.id: record for record in records}
        if not unique:
            return 0
        rows = to_arrow(list(unique.values()), self._schema, self.encoder)

        def upsert() -> int:
            merge = self._table.merge_insert("id").when_matched_update_all().when_not_matched_insert_all()
            return int(merge.execute(rows).num_inserted_rows)

        with self._writing:
            new = patiently(self.address, upsert)
            self._tidy_when_due()
        return new

    def find(self, vector: NDArray[np.floating], top: int = 5, tags: Sequence[str] = ()) -> list[Match]:
        """See `Library.find`."""
        _check_positive("top", top)
        query = self.encoder.unit_vector(vector, "the query")
        limit = top + 1
        with told_as_store_error(self.address):
            rows = self._nearest(query, limit, tags)
            while _ends_in_a_tie(rows, top, limit):
                limit *= 4
                rows = self._nearest(query, limit, tags)
        found = [
            Match(record, float(np.clip(1 - distance, -1, 1)))
            for record, distance in zip(from_arrow(rows), rows["_distance"].to_pylist(), strict=True)
        ]
        return _best(found, top)

    def find_codes(
        self,
        code: NDArray[np.uint8],
        top: int = 5,
        tags: Sequence[str] = (),
        rerank: NDArray[np.floating] | None = None,
        shortlist: int = SHORTLIST,
    ) -> list[Match]:
        """See `Library.find_codes`."""
        _check_positive("top", top)
        _check_positive("shortlist", shortlist)
        wanted = self.encoder.checked_code(code, "the query")
        query = None if rerank is None else self.encoder.unit_vector(rerank, "the query")
        with told_as_store_error(self.address):
            index = self._current_codes()
            row_ids, distances = index.nearest(wanted, top if query is None else max(top, shortlist), tags)
            similarities = dict(zip(row_ids.tolist(), 1 - 2 * distances / self.encoder.code_bits, strict=True))
            if query is not None and similarities:
                similarities = _cosines(index.table, row_ids, query, top)
            if not similarities:
                return []
            rows = index.table.take_row_ids(list(similarities)).select([*LISTED, "_rowid"]).to_arrow()
        return _best(
            [
                Match(record, float(similarities[row_id]))
                for record, row_id in zip(from_arrow(rows), rows["_rowid"].to_pylist(), strict=True)
            ],
            top,
        )

    def fetch(self, ids: Sequence[str]) -> list[Record]:
        """See `Library.fetch`."""
        columns = [name for name in self._schema.names if name not in LISTED]
        found = self._by_id(ids, [*LISTED, *columns])
        missing = [id for id in dict.fromkeys(ids) if id not in found]
        if missing:
            named = ", ".join(missing[:3]) + (f" and {len(missing) - 3} more" if len(missing) > 3 else "")
            raise RecordNotFoundError(f"The library {self.address} has no {named}; list it to see what it holds.")
        return [found[id] for id in ids]

    def records(self, offset: int = 0, limit: int | None = None) -> list[Record]:
        """See `Library.records`."""
        if offset < 0 or (limit is not None and limit < 0):
            raise ParameterError(f"offset is {offset} and limit {limit}; neither may be negative.")
        with told_as_store_error(self.address):
            keys = self._table.search().select(["id", "added_at"]).to_arrow()
        ids = keys.sort_by([("added_at", "descending"), ("id", "ascending")]).slice(offset, limit)["id"].to_pylist()
        found = self._by_id(ids, LISTED)
        return [found[id] for id in ids if id in found]

    def ids(self) -> set[str]:
        """See `Library.ids`."""
        with told_as_store_error(self.address):
            return set(self._table.search().select(["id"]).to_arrow()["id"].to_pylist())

    def remove(self, ids: Sequence[str]) -> int:
        """See `Library.remove`."""
        removed = 0
        with self._writing:
            for some in _portions(ids):
                removed += int(patiently(self.address, partial(self._table.delete, _one_of(some))).num_deleted_rows)
            self._tidy_when_due()
        return removed

    def optimise(self) -> None:
        """Merge small fragments, drop deleted rows, delete old versions, make the index or bring it up to date."""
        with self._writing:
            patiently(self.address, self._tidy)

    def __contains__(self, id: str) -> bool:
        with told_as_store_error(self.address):
            return bool(self._table.count_rows(_one_of([id])))

    def __len__(self) -> int:
        with told_as_store_error(self.address):
            return int(self._table.count_rows())

    def _current_codes(self) -> CodeIndex:
        """The codes as they are now, whoever wrote last."""
        with self._looking:
            version = self._table.version
            if version != self._codes.version:
                table = connect(self.address).open_table(self._table.name)
                table.checkout(version)
                self._codes = self._codes.at(table, version)
            return self._codes

    def _nearest(self, query: NDArray[np.float32], limit: int, tags: Sequence[str]) -> pa.Table:
        """Rows by rising ``1 - query · vector``, which is one minus the cosine, as both have length 1."""
        search = self._table.search(query, vector_column_name="vector").distance_type("dot").nprobes(_ALL_CELLS)
        if self._is_approximate():
            search = search.refine_factor(_REFINE)
        if tags:
            condition = " AND ".join(f"array_has(tags, {sql_text(tag)})" for tag in tags)
            search = search.where(condition, prefilter=True)
        return search.select([*LISTED, "_distance"]).limit(limit).to_arrow()

    def _by_id(self, ids: Sequence[str], columns: list[str]) -> dict[str, Record]:
        found: dict[str, Record] = {}
        for some in _portions(ids):
            with told_as_store_error(self.address):
                rows = self._table.search().where(_one_of(some)).select(columns).to_arrow()
            found |= {record.id: record for record in from_arrow(rows)}
        return found

    def _tidy(self) -> None:
        from lancedb.index import IvfFlat, IvfRq

        self._table.optimize(cleanup_older_than=KEEP_VERSIONS_FOR)
        if not self._table.list_indices() and self._table.count_rows() >= MANY_UNINDEXED:
            exact = IvfFlat(distance_type="dot", num_partitions=_INDEX_CELLS)
            approximate = IvfRq(distance_type="dot", num_partitions=_APPROXIMATE_CELLS)
            self._table.create_index("vector", config=approximate if self._is_approximate() else exact)

    def _is_approximate(self) -> bool:
        return self.encoder.dimensions >= LONG_VECTOR

    def _is_untidy(self) -> bool:
        """True at every 256th version, with 5000 rows outside the index, or with a quarter in 32 fragments and more.

        The quarter bounds the work: a growing library is rewritten about four times as it doubles, not at every add.
        """
        stats = self._table.stats()
        rows, fragments = stats["num_rows"], stats["fragment_stats"]
        if self._table.version % MANY_VERSIONS == 0:
            return True
        if fragments["num_fragments"] >= MANY_FRAGMENTS and 4 * (rows - fragments["lengths"]["max"]) >= rows:
            return True
        return rows >= MANY_UNINDEXED and self._unindexed(rows) >= MANY_UNINDEXED

    def _unindexed(self, rows: int) -> int:
        return int(min((index.num_unindexed_rows for index in self._table.list_indices()), default=rows))

    def _tidy_when_due(self) -> None:
        """Tidy up if need be; what was written is safe already, so a failure is left to the next time."""
        try:
            with told_as_store_error(self.address):
                if self._is_untidy():
                    self._tidy()
        except StoreError as error:
            _log.info("Tidying up is put off: %s", error)


def open_table(address: str | Path, kind: Kind, encoder: EncoderVersion, create: bool = True) -> LanceLibrary:
    """Open or make a library; see `core.store.open_library`."""
    place = resolve(address)
    name = table_name(kind, encoder)
    if not holds_something(place) and not create:
        raise LibraryNotFoundError(f"There is no library at {place}; make it with `{HOW_TO_ADD[kind]} {place} …`.")
    with told_as_store_error(place):
        connection = connect(place)
        if name not in table_names(connection) and not create:
            raise LibraryNotFoundError(
                f"The library {place} has no {kind} of the encoder {encoder}; add them with"
                f" `{HOW_TO_ADD[kind]} {place} …`."
            )
    table = patiently(place, lambda: open_or_make(connection, place, name, table_schema(kind, encoder)))
    if encoder_of(table.schema) != (kind, encoder):
        raise StoreError(
            f"The table {name} in {place} was not made for {encoder} with {encoder.dimensions} numbers a vector;"
            " give the encoder a new version, or name a new folder."
        )
    return LanceLibrary(place, kind, encoder, table)


def table_sizes(address: str | Path, kind: Kind) -> dict[EncoderVersion, int]:
    """The number of records of a kind by encoder version."""
    place = resolve(address)
    sizes: dict[EncoderVersion, int] = {}
    if not holds_something(place):
        return sizes
    with told_as_store_error(place):
        connection = connect(place)
        for name in table_names(connection):
            if name.startswith(f"{kind}__"):
                table = connection.open_table(name)
                told = encoder_of(table.schema)
                if told and told[0] == kind:
                    sizes[told[1]] = int(table.count_rows())
    return sizes


def drop_table(address: str | Path, kind: Kind, encoder: EncoderVersion) -> bool:
    """Delete one library; see `core.store.remove_version`."""
    place = resolve(address)
    name = table_name(kind, encoder)
    if not holds_something(place):
        return False
    with told_as_store_error(place):
        connection = connect(place)
        if name not in table_names(connection):
            return False
        connection.drop_table(name)
    return True


def _cosines(table: Any, row_ids: NDArray[np.uint64], query: NDArray[np.float32], top: int) -> dict[int, float]:
    """The ``top`` rows nearest to a query and their cosines; equals by id."""
    rows = table.take_row_ids(row_ids.tolist()).select(["_rowid", "id", "vector"]).to_arrow()
    cosines = np.clip((vectors_of(rows) * query).sum(axis=1), -1, 1).tolist()
    ranked = sorted(zip(cosines, rows["id"].to_pylist(), rows["_rowid"].to_pylist(), strict=True), key=_by_likeness)
    return {row_id: cosine for cosine, _, row_id in ranked[:top]}


def _by_likeness(row: tuple[float, str, int]) -> tuple[float, str]:
    return -row[0], row[1]


def _best(found: list[Match], top: int) -> list[Match]:
    return sorted(found, key=lambda match: (-match.similarity, match.record.id))[:top]


def _check_positive(name: str, number: int) -> None:
    if number < 1:
        raise ParameterError(f"{name} is {number}; ask for at least one.")


def _ends_in_a_tie(rows: pa.Table, top: int, limit: int) -> bool:
    """True when rows that were cut off may be as near as the last one wanted."""
    distances = rows["_distance"]
    return rows.num_rows == limit and distances[limit - 1] == distances[top - 1]


def _one_of(ids: Sequence[str]) -> str:
    return f"id IN ({', '.join(sql_text(id) for id in ids)})"


def _portions(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    unique = list(dict.fromkeys(ids))
    return (unique[start : start + _IDS_AT_ONCE] for start in range(0, len(unique), _IDS_AT_ONCE))
