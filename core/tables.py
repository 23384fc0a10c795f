"""Tables of things to make, one row for each, as the bulk commands read them."""

import csv
from collections.abc import Sequence
from pathlib import Path

from core.errors import ParameterError


def cells_of(table: Path) -> list[tuple[int, dict[str, str]]]:
    """The rows of a table, each with the number of its line and its cells by column; what is not there is empty.

    Args:
        table: CSV in UTF-8; the first line names the columns.

    Raises:
        ParameterError: it cannot be read.
    """
    try:
        with table.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream, restval="")
            return [(reader.line_num, {key: cells[key] for key in cells if key}) for cells in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ParameterError(f"The table {table} cannot be read ({error}); give a CSV file in UTF-8.") from error


def check_names(table: Path, outs: Sequence[Path]) -> None:
    """Refuse a table that makes one file twice.

    Raises:
        ParameterError: it does; the message names the file.
    """
    if twice := next((out for number, out in enumerate(outs) if out in outs[:number]), None):
        raise ParameterError(f"{table.name} makes {twice.name} twice; give each row a name of its own as out.")
