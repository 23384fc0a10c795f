"""Connections to LanceDB and its tables by name, for libraries and settings alike."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa

from core.errors import StoreError
from core.store.address import is_remote, storage_options


def connect(address: str) -> Any:
    """A connection whose tables look for others' writes at every call."""
    import lancedb

    return lancedb.connect(
        address, read_consistency_interval=timedelta(0), storage_options=storage_options(address) or None
    )


def table_names(connection: Any) -> Iterator[str]:
    """The names of all tables, page by page."""
    token = None
    while True:
        page = connection.list_tables(page_token=token)
        yield from page.tables
        token = page.page_token
        if not token:
            return


def open_or_make(connection: Any, address: str, name: str, schema: pa.Schema) -> Any:
    """The table, made when there is none, though others may make it at the same moment.

    Raises:
        StoreError: it has lost its list of versions.
    """
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
        return connection.create_table(name, schema=schema)
    except ValueError as error:
        if "already exists" not in str(error):
            raise
        return connection.open_table(name)
