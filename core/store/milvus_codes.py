"""The codes of a library on Milvus, searched by Hamming distance; which of them count is told by the library's rows."""

import time
from collections.abc import Iterable, Mapping, Sequence
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from core.store.milvus_collection import MOST_HITS, Collection
from core.store.milvus_rows import KEY, Row, carrying, code_in, code_key, tag_digests

ORPHANED_AFTER_S = 600.0
"""A code that no row counts on is left so long, as its writer may be about to write the row."""
_KEY_LENGTH = 64


def new_token() -> str:
    """The name of one write: its time in microseconds, and a number that no other has."""
    return f"{time.time_ns() // 1000:016x}{uuid4().hex}"


class CodeCollection:
    """Codes under ``<key of the row>-<token of the write>``; a row's token says which one is its own."""

    def __init__(self, codes: Collection, rows: Collection) -> None:
        self._codes = codes
        self._rows = rows

    def write(self, rows: Sequence[Row], codes: Mapping[str, NDArray[np.uint8] | None]) -> None:
        """Write the codes that rows to be written next will count on."""
        places = [code_key(row[KEY], row["token"]) for row in rows]
        contents = [np.asarray(codes[row[KEY]]).tobytes() for row in rows]
        self._codes.upsert(
            [
                {KEY: place, "tags": row["tags"], "vector": content}
                for place, row, content in zip(places, rows, contents, strict=True)
            ]
        )

    def forget(self, rows: Iterable[Row]) -> None:
        """Delete the codes of rows that were replaced or removed."""
        keys = [code_key(row[KEY], row["token"]) for row in rows]
        if keys:
            self._codes.delete(keys)

    def nearest(self, code: NDArray[np.uint8], count: int, tags: Sequence[str]) -> list[Row]:
        """The rows of the ``count`` nearest codes, and of all that are as near as the last: key, id and distance.

        Codes that do not count are passed over, and as many more are looked at.
        """
        limit = min(count + 1, MOST_HITS)
        while True:
            hits = self._codes.search(code.tobytes(), limit, carrying(tags))
            all_seen = len(hits) < limit or limit == MOST_HITS
            horizon = float("inf") if all_seen else hits[-1]["distance"]
            near = [row for row in self._counting(hits, code, tags) if row["distance"] <= horizon]
            near.sort(key=lambda row: row["distance"])
            if all_seen or (len(near) > count and near[count - 1]["distance"] < horizon):
                return [row for row in near if row["distance"] <= near[min(count, len(near)) - 1]["distance"]]
            limit = min(4 * limit, MOST_HITS)

    def sweep(self) -> None:
        """Delete the codes that no row counts on and whose writers had time enough, and tidy up."""
        oldest = _tokens_of(time.time() - ORPHANED_AFTER_S)
        counting = {code_key(row[KEY], row["token"]) for row in self._rows.scan(["token"])}
        orphans = [
            row[KEY]
            for row in self._codes.scan([])
            if row[KEY] not in counting and row[KEY][_KEY_LENGTH + 1 :] < oldest
        ]
        self._codes.delete(orphans)
        self._codes.tidy()

    def _counting(self, hits: Sequence[Row], code: NDArray[np.uint8], tags: Sequence[str]) -> list[Row]:
        """The rows of the hits, each once.

        A row that was met only by a code not its own, because it was replaced meanwhile or a writer was killed, is
        compared by the code that lies in the row itself.
        """
        rows = self._rows.rows((hit[KEY][:_KEY_LENGTH] for hit in hits), ["id", "token"])
        distances = {hit[KEY]: hit["distance"] for hit in hits}
        own = {key: code_key(key, row["token"]) for key, row in rows.items()}
        counting = [{**row, "distance": distances[own[key]]} for key, row in rows.items() if own[key] in distances]
        others = [key for key in rows if own[key] not in distances]
        for row in self._rows.large_rows(others, ["id", "tags", "body"]).values():
            if set(tag_digests(tags)) <= set(row["tags"]):
                differing = np.unpackbits(code_in(row, len(code)) ^ code).sum()
                counting.append({KEY: row[KEY], "id": row["id"], "distance": float(differing)})
        return counting


def _tokens_of(time_s: float) -> str:
    """What tokens made before a time are smaller than."""
    return f"{int(time_s * 1e6):016x}"
