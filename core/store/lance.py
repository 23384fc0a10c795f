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
from core.store.address import holds_something, is_remote, resolve, storage_options
from core.store.lance_errors import patiently, told_as_store_error
from core.store.lance_rows import LISTED, encoder_of, from_arrow, sql_text, table_name, table_schema, to_arrow
from core.store.library import Kind
from core.store.record import EncoderVersion, Match, Record

KEEP_VERSIONS_FOR = timedelta(minutes=10)
"""A reader works on the version that was newest when its query began, so this is the longest a query may take."""
MANY_FRAGMENTS = 32
MANY_VERSIONS = 256
MANY_UNINDEXED = 5000
_INDEX_CELLS = 8
_ALL_CELLS = 2**16
"""More than an index ever has, also after the engine has split large cells."""
_IDS_AT_ONCE = 1000
_HOW_TO_ADD = {
    "videos": "python -m core.video_search add",
    "tracks": "python -m core.music_matching add",
    "concepts": "python -m core.personal_video concept add",
}
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
        if top < 1:
            raise ParameterError(f"top is {top}; ask for at least one.")
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
        return sorted(found, key=lambda match: (-match.similarity, match.record.id))[:top]

    def fetch(self, ids: Sequence[str]) -> list[Record]:
        """See `Library.fetch`."""
        found = self._by_id(ids, [*LISTED, "vector"])
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

    def _nearest(self, query: NDArray[np.float32], limit: int, tags: Sequence[str]) -> pa.Table:
        """Rows by rising ``1 - query · vector``, which is one minus the cosine, as both have length 1."""
        search = self._table.search(query, vector_column_name="vector").distance_type("dot").nprobes(_ALL_CELLS)
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
        from lancedb.index import IvfFlat

        self._table.optimize(cleanup_older_than=KEEP_VERSIONS_FOR)
        if not self._table.list_indices() and self._table.count_rows() >= MANY_UNINDEXED:
            self._table.create_index("vector", config=IvfFlat(distance_type="dot", num_partitions=_INDEX_CELLS))

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
        raise LibraryNotFoundError(f"There is no library at {place}; make it with `{_HOW_TO_ADD[kind]} {place} …`.")
    with told_as_store_error(place):
        connection = _connect(place)
        if name not in _table_names(connection) and not create:
            raise LibraryNotFoundError(
                f"The library {place} has no {kind} of the encoder {encoder}; add them with"
                f" `{_HOW_TO_ADD[kind]} {place} …`."
            )
    table = patiently(place, lambda: _open_or_make(connection, place, kind, encoder))
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
        connection = _connect(place)
        for name in _table_names(connection):
            if name.startswith(f"{kind}__"):
                table = connection.open_table(name)
                told = encoder_of(table.schema)
                if told and told[0] == kind:
                    sizes[told[1]] = int(table.count_rows())
    return sizes


def _connect(address: str) -> Any:
    """A connection whose tables look for others' writes at every call."""
    import lancedb

    return lancedb.connect(
        address, read_consistency_interval=timedelta(0), storage_options=storage_options(address) or None
    )


def _table_names(connection: Any) -> Iterator[str]:
    token = None
    while True:
        page = connection.list_tables(page_token=token)
        yield from page.tables
        token = page.page_token
        if not token:
            return


def _open_or_make(connection: Any, address: str, kind: Kind, encoder: EncoderVersion) -> Any:
    name = table_name(kind, encoder)
    try:
        return connection.open_table(name)
    except ValueError as error:
        if "not found" not in str(error):
            raise
        if not is_remote(address) and any(Path(address, f"{name}.lance", "data").glob("*")):
            raise StoreError(
                f"The library {address} has lost its list of versions; bring the folder back from a copy."
            ) from error
    try:
        return connection.create_table(name, schema=table_schema(kind, encoder))
    except ValueError as error:
        if "already exists" not in str(error):
            raise
        return connection.open_table(name)


def _ends_in_a_tie(rows: pa.Table, top: int, limit: int) -> bool:
    """True when rows that were cut off may be as near as the last one wanted."""
    distances = rows["_distance"]
    return rows.num_rows == limit and distances[limit - 1] == distances[top - 1]


def _one_of(ids: Sequence[str]) -> str:
    return f"id IN ({', '.join(sql_text(id) for id in ids)})"


def _portions(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    unique = list(dict.fromkeys(ids))
    return (unique[start : start + _IDS_AT_ONCE] for start in range(0, len(unique), _IDS_AT_ONCE))
