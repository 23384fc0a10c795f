"""Libraries on a Milvus cluster: many query nodes answer one query together.

Exactness. Vectors lie in a FLAT index, so a query compares all of them, wherever they lie: query nodes share the
segments of a collection among them, and more nodes make a query faster. Every read is made with strong consistency: it
waits for the server's next tick (`proxy.timeTickInterval`, 200 ms unless set otherwise) and sees every write that was
acknowledged before. LanceDB answers a small library faster; this engine is for those that one machine cannot search.

Many at once. A call that writes is one request, which the server carries out as a whole, also when the caller is killed
meanwhile; a replaced row goes and comes at one moment. So `MilvusLibrary.add` is all or nothing up to 32 MB of rows
(`core.store.milvus_rows.LARGEST_REQUEST`); more is written in such portions. What was acknowledged lies in Milvus's
log. There is no compare and swap: two processes that add the same new record at the same moment make one row, but both
may count it as new.

Codes. Milvus 2.3 holds one vector a row, so the codes have a collection of their own beside the library's. Each write
gives its rows a token; the codes are written first, under key and token, and the rows with their token make them
count. A code whose token is not its row's (its writer was killed, or its record replaced or removed) does not count,
and is deleted by `MilvusLibrary.optimise` when it is ten minutes old. See `core.store.milvus_codes`.
"""

import threading
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import LibraryNotFoundError, ParameterError, RecordNotFoundError, StoreError
from core.store.address import resolve
from core.store.library import HOW_TO_ADD, SHORTLIST, Kind
from core.store.milvus_codes import CodeCollection, new_token
from core.store.milvus_collection import MOST_HITS, Collection
from core.store.milvus_rows import (
    KEY,
    LISTED,
    Row,
    carrying,
    codes_schema,
    key_of_id,
    library_schema,
    one_of,
    requests,
    to_record,
    to_row,
)
from core.store.milvus_tables import (
    CODES,
    TIMEOUT_S,
    collection_name,
    connect,
    library_names,
    make,
    told_as_store_error,
    told_by,
)
from core.store.record import EncoderVersion, Match, Record

_FEW_HITS = 16
"""Up to so many come with the search itself; more are read afterwards, as many at once as an answer may hold."""


class MilvusLibrary:
    """A `Library` in one collection of Milvus, and one of codes beside it; made by `open_table`."""

    def __init__(self, address: str, kind: Kind, encoder: EncoderVersion, client: Any) -> None:
        self.address = address
        self.kind = kind
        self.encoder = encoder
        name = collection_name(address, kind, encoder)
        self._rows = Collection(client, address, name)
        self._codes = CodeCollection(Collection(client, address, name + CODES), self._rows)
        self._writing = threading.Lock()

    def add(self, records: Iterable[Record]) -> int:
        """See `Library.add`."""
        token = new_token()
        unique = {record.id: record for record in records}
        rows = [to_row(record, self.encoder, token) for record in unique.values()]
        codes = {row[KEY]: record.code for row, record in zip(rows, unique.values(), strict=True)}
        new = 0
        with self._writing:
            for some in requests(rows):
                before = self._rows.rows([row[KEY] for row in some], ["token"])
                if self.encoder.code_bits:
                    self._codes.write(some, codes)
                self._rows.upsert(some)
                new += len(some) - len(before)
                if self.encoder.code_bits:
                    self._codes.forget(before.values())
        return new

    def find(self, vector: NDArray[np.floating], top: int = 5, tags: Sequence[str] = ()) -> list[Match]:
        """See `Library.find`."""
        _check_hits("top", top)
        query = self.encoder.unit_vector(vector, "the query")
        limit = top + 1
        hits = self._nearest(query, limit, tags)
        while len(hits) == limit < MOST_HITS and hits[-1]["distance"] == hits[top - 1]["distance"]:
            limit = min(4 * limit, MOST_HITS)
            hits = self._nearest(query, limit, tags)
        if limit > _FEW_HITS:
            listed = self._rows.large_rows([hit[KEY] for hit in hits], LISTED)
            hits = [{**hit, **listed[hit[KEY]]} for hit in hits if hit[KEY] in listed]
        return self._best([(_cosine(hit), hit) for hit in hits], top)

    def find_codes(
        self,
        code: NDArray[np.uint8],
        top: int = 5,
        tags: Sequence[str] = (),
        rerank: NDArray[np.floating] | None = None,
        shortlist: int = SHORTLIST,
    ) -> list[Match]:
        """See `Library.find_codes`."""
        _check_hits("top", top)
        _check_hits("shortlist", shortlist)
        wanted = self.encoder.checked_code(code, "the query")
        query = None if rerank is None else self.encoder.unit_vector(rerank, "the query")
        near = self._codes.nearest(wanted, top if query is None else max(top, shortlist), tags)
        if query is None or not near:
            ranked = [(1 - 2 * row["distance"] / self.encoder.code_bits, row) for row in near]
        else:
            hits = self._rows.search(query, len(near), one_of(row[KEY] for row in near), ["id"])
            ranked = [(_cosine(hit), hit) for hit in hits]
        ranked = sorted(ranked, key=_by_likeness)[:top]
        listed = self._rows.large_rows([row[KEY] for _, row in ranked], LISTED)
        return self._best([(alike, listed[row[KEY]]) for alike, row in ranked if row[KEY] in listed], top)

    def fetch(self, ids: Sequence[str]) -> list[Record]:
        """See `Library.fetch`."""
        keys = {id: key_of_id(id) for id in ids}
        rows = self._rows.large_rows([*keys.values()], [*LISTED, "vector"], 4 * self.encoder.dimensions)
        missing = [id for id, key in keys.items() if key not in rows]
        if missing:
            named = ", ".join(missing[:3]) + (f" and {len(missing) - 3} more" if len(missing) > 3 else "")
            raise RecordNotFoundError(f"The library {self.address} has no {named}; list it to see what it holds.")
        return [to_record(rows[keys[id]], self.encoder) for id in ids]

    def records(self, offset: int = 0, limit: int | None = None) -> list[Record]:
        """See `Library.records`."""
        if offset < 0 or (limit is not None and limit < 0):
            raise ParameterError(f"offset is {offset} and limit {limit}; neither may be negative.")
        newest = sorted(self._rows.scan(["id", "added_at"]), key=lambda row: (-row["added_at"], row["id"]))
        keys = [row[KEY] for row in newest[offset : None if limit is None else offset + limit]]
        rows = self._rows.large_rows(keys, LISTED)
        return [to_record(rows[key], self.encoder) for key in keys if key in rows]

    def ids(self) -> set[str]:
        """See `Library.ids`."""
        return {row["id"] for row in self._rows.scan(["id"])}

    def remove(self, ids: Sequence[str]) -> int:
        """See `Library.remove`."""
        with self._writing:
            there = self._rows.rows(map(key_of_id, ids), ["token"])
            self._rows.delete(there)
            if self.encoder.code_bits:
                self._codes.forget(there.values())
        return len(there)

    def optimise(self) -> None:
        """Flush and compact, as Milvus also does by itself, and delete codes that no row counts on."""
        with self._writing:
            self._rows.tidy()
            if self.encoder.code_bits:
                self._codes.sweep()

    def __contains__(self, id: str) -> bool:
        return bool(self._rows.rows([key_of_id(id)], []))

    def __len__(self) -> int:
        return self._rows.count()

    def _nearest(self, query: NDArray[np.float32], limit: int, tags: Sequence[str]) -> list[Row]:
        """Rows by falling inner product, which is the cosine, as both have length 1."""
        return self._rows.search(query, limit, carrying(tags), LISTED if limit <= _FEW_HITS else ())

    def _best(self, found: list[tuple[float, Row]], top: int) -> list[Match]:
        best = sorted(found, key=_by_likeness)[:top]
        return [Match(to_record(row, self.encoder), similarity) for similarity, row in best]


def open_table(address: str | Path, kind: Kind, encoder: EncoderVersion, create: bool = True) -> MilvusLibrary:
    """Open or make a library; see `core.store.open_library`."""
    place = resolve(address)
    client = connect(place)
    name = collection_name(place, kind, encoder)
    with told_as_store_error(place):
        names = library_names(client, place)
        if name not in names and not create:
            missing = f"no {kind} of the encoder {encoder}; add them" if names else "no library yet; make it"
            raise LibraryNotFoundError(f"At {place} there is {missing} with `{HOW_TO_ADD[kind]} {place} …`.")
        if name in names and told_by(client, name) != (kind, encoder):
            raise StoreError(
                f"The collection {name} in {place} was not made for {encoder} with {encoder.dimensions} numbers a"
                " vector; give the encoder a new version, or name a new prefix."
            )
        if create and encoder.code_bits:
            make(client, name + CODES, partial(codes_schema, encoder), "HAMMING")
        if create:
            make(client, name, partial(library_schema, kind, encoder), "IP")
    return MilvusLibrary(place, kind, encoder, client)


def table_sizes(address: str | Path, kind: Kind) -> dict[EncoderVersion, int]:
    """The number of records of a kind by encoder version."""
    place = resolve(address)
    client = connect(place)
    sizes: dict[EncoderVersion, int] = {}
    with told_as_store_error(place):
        for name in library_names(client, place, kind):
            told = told_by(client, name)
            if told and told[0] == kind:
                sizes[told[1]] = Collection(client, place, name).count()
    return sizes


def drop_table(address: str | Path, kind: Kind, encoder: EncoderVersion) -> bool:
    """Delete one library; see `core.store.remove_version`."""
    place = resolve(address)
    client = connect(place)
    name = collection_name(place, kind, encoder)
    with told_as_store_error(place):
        there = bool(client.has_collection(name, timeout=TIMEOUT_S))
        for one in (name, name + CODES):
            client.drop_collection(one, timeout=TIMEOUT_S)
    return there


def _cosine(hit: Row) -> float:
    """The inner product of two vectors of length 1, without what rounding adds."""
    return float(np.clip(hit["distance"], -1, 1))


def _by_likeness(found: tuple[float, Row]) -> tuple[float, str]:
    return -found[0], found[1]["id"]


def _check_hits(name: str, number: int) -> None:
    if number < 1:
        raise ParameterError(f"{name} is {number}; ask for at least one.")
    if number >= MOST_HITS:
        raise ParameterError(f"{name} is {number}; Milvus gives at most {MOST_HITS - 1}.")
