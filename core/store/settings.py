"""Small facts about a library as a whole, such as which version of an encoder it is searched with.

They lie in one table of their own at the library's address, key by key, so that a folder, object storage and a server
are alike and a write is one commit: others see the old value or the new one, also when the writer is killed.
"""

from datetime import timedelta
from pathlib import Path

from core.errors import ParameterError
from core.lending import zero_gpu
from core.store.address import SETTINGS_TABLE, holds_something, is_milvus, is_remote, resolve

_MANY_VERSIONS = 64
_KEEP_VERSIONS_FOR = timedelta(minutes=10)


def read_setting(address: str | Path, key: str) -> str | None:
    """What was last written under a key; None when nothing ever was.

    Raises:
        StoreError: the library cannot be read.
    """
    if zero_gpu():
        return read_settings(address).get(key)
    from core.store.lance_rows import sql_text

    place = resolve(address)
    if is_milvus(place):
        from core.store import milvus_settings

        return milvus_settings.read(place, key)
    return _read(place, f"key = {sql_text(key)}").get(key)


def read_settings(address: str | Path) -> dict[str, str]:
    """All that was ever written, by key.

    Raises:
        StoreError: the library cannot be read.
    """
    place = resolve(address)
    if zero_gpu():
        from core.store import apart

        return apart.read_settings(place)
    if is_milvus(place):
        from core.store import milvus_settings

        return milvus_settings.read_all(place)
    return _read(place)


def write_setting(address: str | Path, key: str, value: str) -> None:
    """Write a value under a key, in place of the old one; of several writers at once the last one counts.

    Raises:
        ParameterError: the key is empty.
        StoreError: the address is a file or a folder of other things, or the library cannot be written.
    """
    import pyarrow as pa

    from core.store.lance_errors import patiently
    from core.store.lance_rows import SETTINGS_SCHEMA
    from core.store.lance_tables import connect, open_or_make

    if not key:
        raise ParameterError("The setting has no key; name it.")
    place = resolve(address)
    if zero_gpu():
        from core.store import apart

        apart.write_setting(place, key, value)
        return
    if is_milvus(place):
        from core.store import milvus_settings

        milvus_settings.write(place, key, value)
        return
    holds_something(place)
    row = pa.table({"key": [key], "value": [value]}, schema=SETTINGS_SCHEMA)

    def upsert() -> None:
        table = open_or_make(connect(place), place, SETTINGS_TABLE, SETTINGS_SCHEMA)
        table.merge_insert("key").when_matched_update_all().when_not_matched_insert_all().execute(row)
        if table.version % _MANY_VERSIONS == 0:
            table.optimize(cleanup_older_than=_KEEP_VERSIONS_FOR)

    patiently(place, upsert)


def _read(place: str, condition: str | None = None) -> dict[str, str]:
    """The settings that Lance holds, all or those of a condition; where none is, nothing is made."""
    from core.store.lance_errors import told_as_store_error
    from core.store.lance_tables import connect, table_names

    if not is_remote(place) and not Path(place, f"{SETTINGS_TABLE}.lance").exists():
        return {}
    with told_as_store_error(place):
        connection = connect(place)
        if SETTINGS_TABLE not in table_names(connection):
            return {}
        search = connection.open_table(SETTINGS_TABLE).search()
        rows = (search.where(condition) if condition else search.limit(None)).to_arrow()
    return dict(zip(rows["key"].to_pylist(), rows["value"].to_pylist(), strict=True))
