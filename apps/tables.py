"""Results as plain rows, and those rows as files to take away."""

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from apps.runtime import AppSettings, request_folder

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
    """Write rows, at least one, all with the same columns, as ``<name>.csv`` and ``<name>.json``; return the paths.

    In CSV a list becomes its parts, separated by commas.
    """
    sheet, data = folder / f"{name}.csv", folder / f"{name}.json"
    with sheet.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows({column: _in_csv(value) for column, value in row.items()} for row in rows)
    data.write_text(json.dumps({"results": list(rows)}, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    return str(sheet), str(data)


def export_buttons(what: str = "") -> tuple[gr.DownloadButton, gr.DownloadButton]:
    """The two buttons that `exports` fills, out of use."""
    with gr.Row():
        sheet, data = (
            gr.DownloadButton(f"{kind}{what}", size="sm", interactive=False, min_width=120) for kind in ("CSV", "JSON")
        )
    return sheet, data


def exports(settings: AppSettings, rows: Sequence[Row], name: str) -> tuple[Any, Any]:
    """Download buttons for rows, in CSV and in JSON; out of use when there is no row."""
    if not rows:
        return gr.DownloadButton(interactive=False), gr.DownloadButton(interactive=False)
    files = write_tables(rows, request_folder(settings).resolve(), name)
    return gr.DownloadButton(value=files[0], interactive=True), gr.DownloadButton(value=files[1], interactive=True)


def _in_csv(value: Any) -> Any:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else value
