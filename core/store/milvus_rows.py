"""How a record lies in a Milvus collection: its fields, and the way there and back.

Milvus 2.3 knows no bytes, no times and no text beyond 64 kB, and its expressions do not take every text. So a row is
found by digests: its key is the sha256 of its id, and tags are compared by theirs. All that is only read lies in
``body``, compressed, in base64, and cut into pieces.
"""

import base64
import json
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from core.errors import ParameterError
from core.store.library import Kind
from core.store.record import EncoderVersion, Record

KEY = "key"
LISTED = ["id", "added_at", "body"]
"""The fields of a record without its vector."""
LARGEST_BODY = 64 * 60_000
"""Letters of base64, so 2.9 MB compressed; a message of Milvus's log may have 5 MB."""
LARGEST_REQUEST = 32_000_000
"""Bytes of rows written in one call; a proxy takes 64 MB."""
MOST_TAGS = 4096
_PIECE = 60_000
_LONGEST_TEXT = 65_535
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
Row = dict[str, Any]
Thing = TypeVar("Thing")


def library_schema(kind: Kind, encoder: EncoderVersion) -> Any:
    """The fields of a library, with kind and encoder in the description."""
    from pymilvus import DataType

    facts = {"name": encoder.name, "version": encoder.version, "dimensions": encoder.dimensions}
    schema = _schema(json.dumps({"kind": kind, "encoder": {**facts, "code_bits": encoder.code_bits}}))
    schema.add_field("id", DataType.VARCHAR, max_length=_LONGEST_TEXT)
    schema.add_field("token", DataType.VARCHAR, max_length=64)
    schema.add_field("added_at", DataType.INT64)
    schema.add_field("size", DataType.INT64)
    _add_texts(schema, "tags", MOST_TAGS, 64)
    _add_texts(schema, "body", LARGEST_BODY // _PIECE, _LONGEST_TEXT)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=encoder.dimensions)
    return schema


def codes_schema(encoder: EncoderVersion) -> Any:
    """The fields of the codes that stand beside a library: a collection of Milvus 2.3 holds one vector a row."""
    from pymilvus import DataType

    schema = _schema(f"the codes of {encoder}")
    _add_texts(schema, "tags", MOST_TAGS, 64)
    schema.add_field("vector", DataType.BINARY_VECTOR, dim=encoder.code_bits)
    return schema


def settings_schema() -> Any:
    """The fields of the settings; the vector is there because Milvus asks for one."""
    from pymilvus import DataType

    schema = _schema("settings")
    _add_texts(schema, "body", LARGEST_BODY // _PIECE, _LONGEST_TEXT)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=2)
    return schema


def key_of_id(id: str) -> str:
    """The primary key of a record."""
    return sha256(id.encode()).hexdigest()


def code_key(key: str, token: str) -> str:
    """The primary key of the code that the write called ``token`` gave the record ``key``."""
    return f"{key}-{token}"


def to_row(record: Record, encoder: EncoderVersion, token: str) -> Row:
    """A record as a row.

    Raises:
        ParameterError: vector or code is missing or wrong, or the record is larger than a row may be.
    """
    vector = encoder.unit_vector(record.vector, record.path)
    code = encoder.checked_code(record.code, record.path).tobytes() if encoder.code_bits else b""
    facts = {
        "path": record.path,
        "title": record.title,
        "duration_s": record.duration_s,
        "tags": record.tags,
        "attributes": dict(record.attributes),
    }
    written = json.dumps(facts).encode()
    body = pieces(len(written).to_bytes(4, "big") + written + code + record.thumbnail)
    size = sum(map(len, body))
    if size > LARGEST_BODY or len(record.id.encode()) > _LONGEST_TEXT or len(record.tags) > MOST_TAGS:
        raise ParameterError(
            f"The record of {record.path!r} is too large for a row of Milvus: texts and thumbnail may take"
            f" {LARGEST_BODY * 3 // 4 / 1e6:.1f} MB compressed, and tags be {MOST_TAGS}; make its thumbnail smaller."
        )
    return {
        KEY: key_of_id(record.id),
        "id": record.id,
        "token": token,
        "added_at": (record.added_at - _EPOCH) // _MICROSECOND,
        "size": size,
        "tags": tag_digests(record.tags),
        "body": body,
        "vector": vector,
    }


def to_record(row: Mapping[str, Any], encoder: EncoderVersion) -> Record:
    """A row as a record; with vector and code where the field ``vector`` was asked for."""
    content = whole(row["body"])
    start = 4 + int.from_bytes(content[:4], "big")
    end = start + encoder.code_bits // 8
    facts = json.loads(content[4:start])
    known = "vector" in row
    return Record(
        id=row["id"],
        path=facts["path"],
        title=facts["title"],
        duration_s=facts["duration_s"],
        tags=tuple(facts["tags"]),
        thumbnail=content[end:],
        added_at=_EPOCH + row["added_at"] * _MICROSECOND,
        vector=np.asarray(row["vector"], np.float32) if known else None,
        attributes=facts["attributes"],
        code=np.frombuffer(content[start:end], np.uint8) if known and encoder.code_bits else None,
    )


def pieces(content: bytes) -> list[str]:
    """Bytes as texts that Milvus holds."""
    text = base64.b64encode(zlib.compress(content)).decode()
    return [text[start : start + _PIECE] for start in range(0, len(text), _PIECE)]


def whole(texts: Iterable[str]) -> bytes:
    """What `pieces` was given."""
    return zlib.decompress(base64.b64decode("".join(texts)))


def code_in(row: Mapping[str, Any], length: int) -> NDArray[np.uint8]:
    """The code of so many bytes that lies in a row's body."""
    content = whole(row["body"])
    start = 4 + int.from_bytes(content[:4], "big")
    return np.frombuffer(content[start : start + length], np.uint8)


def tag_digests(tags: Sequence[str]) -> list[str]:
    """What stands for tags in the field ``tags``, each once."""
    return [sha256(tag.encode()).hexdigest()[:32] for tag in dict.fromkeys(tags)]


def carrying(tags: Sequence[str]) -> str:
    """The expression for rows that carry all of these tags; empty for any."""
    return f"array_contains_all(tags, {json.dumps(tag_digests(tags))})" if tags else ""


def one_of(keys: Iterable[str]) -> str:
    """The expression for rows with these keys."""
    return f"{KEY} in {json.dumps(list(keys))}"


def key_ranges(rows: int, at_once: int) -> Iterator[str]:
    """Expressions that part the keys into ranges of about ``at_once`` rows each; digests are spread evenly.

    >>> list(key_ranges(5, 10))
    ['key >= "00000000"']
    >>> list(key_ranges(20, 10))
    ['key >= "00000000" and key < "80000000"', 'key >= "80000000"']
    """
    parts = max(1, -(-rows // at_once))
    bounds = [f"{part * 2**32 // parts:08x}" for part in range(parts)]
    for low, high in zip(bounds, [*bounds[1:], ""], strict=True):
        yield f'{KEY} >= "{low}"' + (f' and {KEY} < "{high}"' if high else "")


def requests(rows: Sequence[Row]) -> Iterator[list[Row]]:
    """Rows in portions that one call may write."""
    return portions(
        rows, lambda row: int(row["size"] + row["vector"].nbytes + 33 * len(row["tags"]) + 1000), LARGEST_REQUEST
    )


def portions(things: Iterable[Thing], size_of: Callable[[Thing], int], most: int) -> Iterator[list[Thing]]:
    """Things in their order, in portions of ``most`` bytes at most; what is larger by itself is one.

    >>> list(portions([3, 4, 9, 1], int, 8))
    [[3, 4], [9], [1]]
    """
    some: list[Thing] = []
    total = 0
    for thing in things:
        size = size_of(thing)
        if some and total + size > most:
            yield some
            some, total = [], 0
        some.append(thing)
        total += size
    if some:
        yield some


def _schema(description: str) -> Any:
    from pymilvus import DataType, MilvusClient

    schema = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False, description=description)
    schema.add_field(KEY, DataType.VARCHAR, max_length=128, is_primary=True)
    return schema


def _add_texts(schema: Any, name: str, most: int, longest: int) -> None:
    from pymilvus import DataType

    schema.add_field(name, DataType.ARRAY, element_type=DataType.VARCHAR, max_capacity=most, max_length=longest)
