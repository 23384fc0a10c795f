"""One collection of Milvus: reads that see all that was written before them, and writes of one call each."""

import threading
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from core.store.milvus_rows import KEY, Row, key_ranges, one_of, portions
from core.store.milvus_tables import TIMEOUT_S, told_as_store_error, wait_until_loaded

MOST_HITS = 16_384
"""More no search of Milvus gives."""
_KEYS_AT_ONCE = 1000
_SCANNED_AT_ONCE = 8000
_ANSWER_BYTES = 32_000_000
_FEW_ROWS = 16
"""Of the largest size, as many fit into one answer of a proxy (64 MB)."""


class Collection:
    """Rows by key, and by their vectors; loaded when it is first asked."""

    def __init__(self, client: Any, address: str, name: str) -> None:
        self._client = client
        self._address = address
        self._name = name
        self._loaded = False
        self._loading = threading.Lock()

    def count(self, expression: str = "") -> int:
        """How many rows there are, or how many an expression holds for."""
        (answer,) = self._query(expression, ["count(*)"])
        return int(answer["count(*)"])

    def rows(self, keys: Iterable[str], fields: Sequence[str]) -> dict[str, Row]:
        """The rows with these keys that are there, by key; small fields only."""
        unique = list(dict.fromkeys(keys))
        found: dict[str, Row] = {}
        for start in range(0, len(unique), _KEYS_AT_ONCE):
            some = self._query(one_of(unique[start : start + _KEYS_AT_ONCE]), [KEY, *fields])
            found |= {row[KEY]: row for row in some}
        return found

    def large_rows(self, keys: Sequence[str], fields: Sequence[str], vector_bytes: int = 0) -> dict[str, Row]:
        """The same with large fields: as many at once as fit into an answer."""
        unique = list(dict.fromkeys(keys))
        if len(unique) <= _FEW_ROWS:
            return self.rows(unique, fields)
        found: dict[str, Row] = {}
        sizes = {key: row["size"] + vector_bytes for key, row in self.rows(unique, ["size"]).items()}
        for some in portions(sizes, sizes.__getitem__, _ANSWER_BYTES):
            found |= self.rows(some, fields)
        return found

    def scan(self, fields: Sequence[str]) -> Iterator[Row]:
        """All rows, range by range of their keys; each once, though others write meanwhile."""
        for expression in key_ranges(self.count(), _SCANNED_AT_ONCE):
            yield from self._query(expression, [KEY, *fields])

    def search(self, query: Any, limit: int, expression: str, fields: Sequence[str] = ()) -> list[Row]:
        """The nearest rows, nearest first; each with ``key``, ``distance`` and the fields asked for."""
        self._load()
        with told_as_store_error(self._address):
            (hits,) = self._client.search(
                self._name,
                data=[query],
                anns_field="vector",
                filter=expression,
                limit=limit,
                output_fields=[KEY, *fields],
                consistency_level="Strong",
                timeout=TIMEOUT_S,
            )
        return [{**hit["entity"], "distance": float(hit["distance"])} for hit in hits]

    def upsert(self, rows: Sequence[Row]) -> None:
        """Write rows in one call, in place of those with the same keys."""
        with told_as_store_error(self._address):
            self._client.upsert(self._name, data=list(rows), timeout=TIMEOUT_S)

    def delete(self, keys: Iterable[str]) -> None:
        """Delete the rows with these keys; those that are not there are passed over."""
        unique = list(dict.fromkeys(keys))
        self._load()
        for start in range(0, len(unique), _KEYS_AT_ONCE):
            with told_as_store_error(self._address):
                some = one_of(unique[start : start + _KEYS_AT_ONCE])
                self._client.delete(self._name, filter=some, timeout=TIMEOUT_S)

    def tidy(self) -> None:
        """Write what lies in memory to the object store, and merge small segments in the background."""
        with told_as_store_error(self._address):
            self._client.flush(self._name, timeout=TIMEOUT_S)
            self._client.compact(self._name, timeout=TIMEOUT_S)

    def _query(self, expression: str, fields: list[str]) -> list[Row]:
        self._load()
        with told_as_store_error(self._address):
            return list(
                self._client.query(
                    self._name,
                    filter=expression,
                    output_fields=fields,
                    consistency_level="Strong",
                    timeout=TIMEOUT_S,
                )
            )

    def _load(self) -> None:
        with self._loading, told_as_store_error(self._address):
            if not self._loaded:
                wait_until_loaded(self._client, self._name)
                self._loaded = True
