"""Search results as plain rows, and those rows as files to take away."""

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

Row = Mapping[str, Any]
COLUMNS = ("file", "rank", "title", "similarity", "score", "relation", "offset_s", "duration_s", "tags", "why", "id",
           "error")  # fmt: skip


def rows_of(file: str, results: Iterable[Row], error: str = "") -> list[dict[str, Any]]:
    """One row of `COLUMNS` for each result of a query, ranked from 1; a query that failed has one row with its error.

    >>> rows_of("letter.mp4", [], "letter.mp4 is not a film.")[0]["error"]
    'letter.mp4 is not a film.'
    """
    if error:
        return [dict.fromkeys(COLUMNS, "") | {"file": file, "error": error}]
    ranked = [{"file": file, "rank": rank, "error": "", **row} for rank, row in enumerate(results, 1)]
    return [{name: row.get(name, "") for name in COLUMNS} for row in ({**row, "file": file} for row in ranked)]


def write_tables(rows: Sequence[Row], folder: Path, name: str) -> tuple[str, str]:
    """Write rows as ``<name>.csv`` and ``<name>.json`` into a folder; return the two paths."""
    sheet, data = folder / f"{name}.csv", folder / f"{name}.json"
    with sheet.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, COLUMNS)
        writer.writeheader()
        writer.writerows({**row, "tags": ", ".join(row["tags"])} for row in rows)
    data.write_text(json.dumps({"results": list(rows)}, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    return str(sheet), str(data)
