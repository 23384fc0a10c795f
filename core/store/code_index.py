"""The codes of a table in memory, searched by Hamming distance.

A `CodeIndex` mirrors one version of a table and never changes, so queries need no lock. `CodeIndex.at` makes the mirror
of another version from it: Lance's row ids tell which rows went and which came, as a row that is updated or moved gets
a new one, and only the codes of those that came are read. Measured with 100,000 codes of 4096 bits (51 MB) on two busy
cores: 0.4 s for the first mirror, 0.1 s after a small write, most of it the copy in memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from core.store.lance_rows import codes_of

_FEW_ROWS = 2000
"""Up to so many new rows are read one by one; of more, the columns are read as a whole."""


@dataclass(frozen=True)
class CodeIndex:
    """The codes and tags of one version of a table."""

    table: Any
    """Stands at this version and stays there, so that row ids remain true."""
    version: int
    row_ids: NDArray[np.uint64]
    codes: NDArray[np.uint8]
    """(N, bits / 8)."""
    tags: pa.Array
    """N lists of texts."""

    @classmethod
    def empty(cls, bits: int) -> CodeIndex:
        """The mirror of no table yet."""
        nothing = np.empty((0, bits // 8), np.uint8)
        return cls(None, -1, np.empty(0, np.uint64), nothing, pa.array([], pa.list_(pa.utf8())))

    def at(self, table: Any, version: int) -> CodeIndex:
        """The mirror of another version, at which ``table`` has to stand."""
        there = table.search().select(["_rowid"]).limit(None).to_arrow()["_rowid"].to_numpy()
        kept = np.isin(self.row_ids, there, assume_unique=True)
        came = _rows(table, np.setdiff1d(there, self.row_ids, assume_unique=True))
        return CodeIndex(
            table,
            version,
            np.concatenate([self.row_ids[kept], came["_rowid"].to_numpy()]),
            np.concatenate([self.codes if kept.all() else self.codes[kept], codes_of(came)]),
            pa.concat_arrays([self.tags.filter(pa.array(kept)), *came["tags"].chunks]),
        )

    def nearest(
        self, code: NDArray[np.uint8], count: int, tags: Sequence[str] = ()
    ) -> tuple[NDArray[np.uint64], NDArray[np.int32]]:
        """Row ids and distances in bits of the ``count`` nearest codes, and of all that are as near as the last."""
        import faiss

        faiss.omp_set_num_threads(1)  # one query has nothing to share out, and idle threads only wait for one another
        places = self._carrying(tags) if tags else None
        codes = self.codes if places is None else self.codes[places]
        row_ids = self.row_ids if places is None else self.row_ids[places]
        if not len(codes):
            return row_ids, np.empty(0, np.int32)
        limit = min(count + 1, len(codes))
        distances, found = faiss.knn_hamming(code[None], codes, limit)
        while count < limit < len(codes) and distances[0, -1] == distances[0, count - 1]:
            limit = min(4 * limit, len(codes))
            distances, found = faiss.knn_hamming(code[None], codes, limit)
        near = distances[0] <= distances[0, min(count, limit) - 1]
        return row_ids[found[0, near]], distances[0, near]

    def _carrying(self, tags: Sequence[str]) -> NDArray[np.intp]:
        """Where the rows are that carry all of these tags."""
        texts, rows = self.tags.flatten(), pc.list_parent_indices(self.tags)
        carrying = np.ones(len(self.tags), bool)
        for tag in tags:
            one = np.zeros_like(carrying)
            one[rows.filter(pc.equal(texts, tag)).to_numpy()] = True
            carrying &= one
        return np.flatnonzero(carrying)


def _rows(table: Any, row_ids: NDArray[np.uint64]) -> pa.Table:
    columns = ["_rowid", "code", "tags"]
    if len(row_ids) <= _FEW_ROWS:
        return table.take_row_ids(row_ids.tolist()).select(columns).to_arrow()
    rows = table.search().select(columns).limit(None).to_arrow()
    return rows.filter(pc.is_in(rows["_rowid"], pa.array(row_ids)))
