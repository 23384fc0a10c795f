"""Settings on a Milvus server; see `core.store.settings`."""

import json
from typing import Any

import numpy as np

from core.errors import ParameterError
from core.store.milvus_collection import Collection
from core.store.milvus_rows import KEY, LARGEST_BODY, key_of_id, pieces, settings_schema, whole
from core.store.milvus_tables import TIMEOUT_S, connect, make, settings_name, told_as_store_error


def read(address: str, key: str) -> str | None:
    """See `core.store.settings.read_setting`."""
    collection = _existing(address)
    if collection is None:
        return None
    row = collection.rows([key_of_id(key)], ["body"]).get(key_of_id(key))
    return _pair(row)[1] if row else None


def read_all(address: str) -> dict[str, str]:
    """See `core.store.settings.read_settings`."""
    collection = _existing(address)
    return dict(map(_pair, collection.scan(["body"]))) if collection else {}


def write(address: str, key: str, value: str) -> None:
    """See `core.store.settings.write_setting`."""
    body = pieces(json.dumps([key, value]).encode())
    if sum(map(len, body)) > LARGEST_BODY:
        raise ParameterError(f"The value of the setting {key!r} is too large for Milvus; keep it in a file.")
    client = connect(address)
    with told_as_store_error(address):
        make(client, settings_name(address), settings_schema, "IP")
    row = {KEY: key_of_id(key), "body": body, "vector": np.array([1, 0], np.float32)}
    Collection(client, address, settings_name(address)).upsert([row])


def _existing(address: str) -> Collection | None:
    client = connect(address)
    with told_as_store_error(address):
        if not client.has_collection(settings_name(address), timeout=TIMEOUT_S):
            return None
    return Collection(client, address, settings_name(address))


def _pair(row: dict[str, Any]) -> tuple[str, str]:
    key, value = json.loads(whole(row["body"]))
    return key, value
