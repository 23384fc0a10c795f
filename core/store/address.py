"""Where a library lies: a folder, a prefix on object storage, or a prefix on a Milvus server."""

import os
import re
from pathlib import Path
from urllib.parse import urlsplit

from core.errors import ParameterError, StoreError

_SCHEMES = {"s3", "gs", "az"}
_MILVUS = "milvus://"
_MILVUS_PREFIX = re.compile(r"/[A-Za-z][A-Za-z0-9]*(?:_[A-Za-z0-9]+)*")
_MILVUS_PORT = 19530
_LONGEST_PREFIX = 64
SETTINGS_TABLE = "settings"
"""Lies beside the libraries of an address, and is none."""


def resolve(address: str | Path) -> str:
    """The full path of a folder, the address on object storage as it stands, or a Milvus server's with its port.

    Raises:
        ParameterError: the address is empty, of an unknown scheme, or holds a password or a query.

    >>> resolve("s3://films/library/")
    's3://films/library'
    >>> resolve("milvus://search.example/films")
    'milvus://search.example:19530/films'
    """
    text = str(address)
    if not text:
        raise ParameterError("The library's address is empty; name a folder.")
    if "://" not in text:
        return str(Path(text).expanduser().absolute())
    if text.startswith(_MILVUS):
        return _milvus_address(text)
    parts = urlsplit(text)
    if parts.scheme not in _SCHEMES or not parts.netloc:
        raise ParameterError(
            f"{parts.scheme}:// is no address for a library; use a folder, s3://bucket/prefix"
            " or milvus://host:port/prefix."
        )
    if parts.username is not None or parts.query or parts.fragment:
        raise ParameterError("The library's address holds more than bucket and prefix; keys belong in AWS_* variables.")
    return text.rstrip("/")


def is_remote(address: str) -> bool:
    """True for object storage and servers, False for a folder."""
    return "://" in address


def is_milvus(address: str) -> bool:
    """True for a library on a Milvus server; the address is one that `resolve` gave."""
    return address.startswith(_MILVUS)


def storage_options(address: str) -> dict[str, str]:
    """What object storage needs beyond the keys, which the engine takes from the environment by itself.

    ``AWS_ENDPOINT_URL_S3`` or ``AWS_ENDPOINT_URL`` names a store other than Amazon's (unencrypted when it begins
    with ``http://``), ``AWS_REGION`` or ``AWS_DEFAULT_REGION`` the region.
    """
    if not address.startswith("s3://"):
        return {}
    options = {}
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    if endpoint:
        options = {"endpoint": endpoint, "allow_http": str(endpoint.startswith("http://")).lower()}
        region = region or "us-east-1"
    if region:
        options["region"] = region
    return options


def holds_something(address: str) -> bool:
    """True when an address may hold a library already: a folder with tables in it, or any object storage.

    Raises:
        StoreError: it is a file, a folder of other things, or may not be looked into.
    """
    if is_remote(address):
        return True
    folder = Path(address)
    try:
        names = [path.name for path in folder.iterdir()]
    except FileNotFoundError:
        return False
    except NotADirectoryError as error:
        raise StoreError(f"{address} is a file, not a library; name a folder.") from error
    except OSError as error:
        raise StoreError(f"The library {address} cannot be read ({error.strerror}); check its permissions.") from error
    names = [name for name in names if not name.startswith(".") and name != f"{SETTINGS_TABLE}.lance"]
    if names and not any(name.endswith(".lance") for name in names):
        raise StoreError(f"The folder {address} holds other things and no library; name an empty folder.")
    return bool(names)


def _milvus_address(text: str) -> str:
    parts = urlsplit(text.rstrip("/"))
    if parts.username is not None or parts.query or parts.fragment:
        raise ParameterError(
            "The library's address holds more than host, port and prefix; passwords belong in MILVUS_* variables."
        )
    try:
        port = parts.port or _MILVUS_PORT
    except ValueError as error:
        raise ParameterError(f"The port of {text} is none; use a number up to 65535.") from error
    if not parts.hostname or not _MILVUS_PREFIX.fullmatch(parts.path) or len(parts.path) > _LONGEST_PREFIX:
        raise ParameterError(
            f"{text} is no address of a library on Milvus; use milvus://host:port/prefix, where the prefix is made of"
            f" letters and digits with single _ between them, at most {_LONGEST_PREFIX - 1}."
        )
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{_MILVUS}{host}:{port}{parts.path}"
