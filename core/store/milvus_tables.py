"""Connections to Milvus, its collections by name, and its errors in the house's words.

The address is ``milvus://host:port/prefix``; every collection of a library begins with its prefix. Who asks is told by
the environment, never by the address: ``MILVUS_TOKEN``, or ``MILVUS_USER`` and ``MILVUS_PASSWORD``; ``MILVUS_DATABASE``
names a database other than the server's default, and ``MILVUS_SECURE=1`` asks for TLS.
"""

import json
import logging
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from hashlib import sha256
from typing import Any
from urllib.parse import urlsplit

from core.errors import CoreError, ParameterError, StoreError
from core.store.address import SETTINGS_TABLE
from core.store.library import Kind
from core.store.record import EncoderVersion

CODES = "__codes"
"""How the name of the collection of codes ends that stands beside a library's own."""
CONNECT_S = 10.0
TIMEOUT_S = 60.0
"""The longest one call may take."""
_ACCESS = ("MILVUS_TOKEN", "MILVUS_USER", "MILVUS_PASSWORD", "MILVUS_DATABASE", "MILVUS_SECURE")
_LOADING_S = 300.0
_POLL_S = 0.05
_COLLECTION_NOT_FOUND = 100


@contextmanager
def told_as_store_error(address: str) -> Iterator[None]:
    """Turn what pymilvus raises into `StoreError`, with the remedy."""
    from grpc import RpcError
    from pymilvus import MilvusException

    try:
        yield
    except CoreError:
        raise
    except MilvusException as error:
        if error.code == _COLLECTION_NOT_FOUND:
            raise StoreError(f"The library {address} was removed meanwhile; open it again.") from error
        raise _unreachable(address, str(error.message)) from error
    except RpcError as error:
        raise _unreachable(address, str(error)) from error


def connect(address: str) -> Any:
    """A client of the server that an address names; calls with the same address and environment share it.

    Raises:
        ParameterError: pymilvus is not installed.
        StoreError: no server answers there, or it refuses.
    """
    try:
        import pymilvus  # noqa: F401
    except ImportError as error:
        raise ParameterError(
            f"A library on Milvus ({address}) needs the package pymilvus; install it with `pip install pymilvus`."
        ) from error
    with told_as_store_error(address):
        return _client(urlsplit(address).netloc, tuple(os.environ.get(name, "") for name in _ACCESS))


def prefix_of(address: str) -> str:
    """What the names of an address's collections begin with.

    >>> prefix_of("milvus://localhost:19530/films")
    'films__'
    """
    return urlsplit(address).path.strip("/") + "__"


def collection_name(address: str, kind: Kind, encoder: EncoderVersion) -> str:
    """One collection per kind, encoder name and version.

    Milvus allows letters, digits and underscores, so a digest tells names apart that are spelt alike without the rest.

    >>> collection_name("milvus://localhost:19530/films", "videos", EncoderVersion("colours", "1.0", 16))
    'films__videos__colours_1_0__19476c88c508'
    """
    spelt = re.sub(r"[^A-Za-z0-9]", "_", f"{encoder.name}_{encoder.version}")[:64]
    digest = sha256(f"{encoder.name} {encoder.version}".encode()).hexdigest()[:12]
    return f"{prefix_of(address)}{kind}__{spelt}__{digest}"


def settings_name(address: str) -> str:
    """The collection of an address's settings."""
    return prefix_of(address) + SETTINGS_TABLE


def library_names(client: Any, address: str, kind: Kind | None = None) -> list[str]:
    """The collections of an address that are libraries, of one kind or of all, without those of codes."""
    beginning = prefix_of(address) + (f"{kind}__" if kind else "")
    names = [name for name in client.list_collections(timeout=TIMEOUT_S) if name.startswith(beginning)]
    return sorted(name for name in names if not name.endswith(CODES) and name != settings_name(address))


def told_by(client: Any, name: str) -> tuple[str, EncoderVersion] | None:
    """Kind and encoder version that a collection's description tells of; None when it is not one of ours."""
    try:
        facts = json.loads(client.describe_collection(name, timeout=TIMEOUT_S)["description"])
        return facts["kind"], EncoderVersion(**facts["encoder"])
    except (KeyError, TypeError, ValueError):
        return None


def make(client: Any, name: str, schema: Callable[[], Any], metric: str) -> None:
    """Make a collection, searched exactly, and begin to load it; one that is there and loaded stays as it is.

    Every step may be repeated, so what a killed process left half made is finished.
    """
    state = client.get_load_state(name, timeout=TIMEOUT_S)["state"].name
    if state not in ("NotExist", "NotLoad"):
        return
    if state == "NotExist":
        client.create_collection(name, schema=schema(), num_shards=1, consistency_level="Strong", timeout=TIMEOUT_S)
    index = client.prepare_index_params()
    index.add_index("vector", index_type="BIN_FLAT" if metric == "HAMMING" else "FLAT", metric_type=metric)
    client.create_index(name, index, sync=False, timeout=TIMEOUT_S)
    client.load_collection(name, _async=True, timeout=TIMEOUT_S)


def wait_until_loaded(client: Any, name: str) -> None:
    """Have a collection brought into the memory of the query nodes, and wait for it: seconds, once it is made.

    Raises:
        StoreError: it takes longer than five minutes.
    """
    end = time.monotonic() + _LOADING_S
    asked = False
    while (state := client.get_load_state(name, timeout=TIMEOUT_S)["state"].name) != "Loaded":
        if state == "NotExist":
            raise StoreError(f"The collection {name} was removed meanwhile; open the library again.")
        if state == "NotLoad" and not asked:
            client.load_collection(name, _async=True, timeout=TIMEOUT_S)
            asked = True
        if time.monotonic() > end:
            raise StoreError(f"Milvus does not load the collection {name}; see that its query nodes have memory left.")
        time.sleep(_POLL_S)


@lru_cache(maxsize=8)
def _client(server: str, access: tuple[str, ...]) -> Any:
    from pymilvus import MilvusClient

    logging.getLogger("pymilvus").setLevel(logging.CRITICAL)  # what it logs as an error it raises, too
    token, user, password, database, secure = access
    return MilvusClient(
        uri=f"{'https' if secure == '1' else 'http'}://{server}",
        token=token,
        user=user,
        password=password,
        db_name=database,
        timeout=CONNECT_S,
    )


def _unreachable(address: str, reason: str) -> StoreError:
    reason = reason.partition("\n")[0][:200]
    return StoreError(
        f"The library {address} cannot be read or written ({reason});"
        " check that the Milvus server runs, the address, and the MILVUS_* variables."
    )
