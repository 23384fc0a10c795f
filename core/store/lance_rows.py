"""How a record lies in a Lance table: its columns, its name, and the way there and back."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from core.store.library import Kind
from core.store.record import EncoderVersion, Record

LISTED = ["id", "path", "title", "duration_s", "tags", "thumbnail", "added_at", "attributes"]
"""The columns of a record without its vector."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
PRIMARY_KEY = {"lance-schema:unenforced-primary-key": "true"}
"""Makes Lance record the keys of every upsert in its transaction, so that two at once cannot both insert one key."""

SETTINGS_SCHEMA = pa.schema(
    [pa.field("key", pa.utf8(), nullable=False, metadata=PRIMARY_KEY), pa.field("value", pa.utf8(), nullable=False)]
)


def table_name(kind: Kind, encoder: EncoderVersion) -> str:
    """One table per kind, encoder name and version; ``__`` occurs in none of the three.

    >>> table_name("videos", EncoderVersion("efficientnet_lite0", "1.0", 1280))
    'videos__efficientnet_lite0__1.0'
    """
    return f"{kind}__{encoder.name}__{encoder.version}"


def table_schema(kind: Kind, encoder: EncoderVersion) -> pa.Schema:
    """The columns, with the primary key marked, and kind and encoder in the metadata."""
    columns = [
        pa.field("id", pa.utf8(), nullable=False, metadata=PRIMARY_KEY),
        pa.field("path", pa.utf8(), nullable=False),
        pa.field("title", pa.utf8(), nullable=False),
        pa.field("duration_s", pa.float64(), nullable=False),
        pa.field("tags", pa.list_(pa.utf8()), nullable=False),
        pa.field("thumbnail", pa.binary(), nullable=False),
        pa.field("added_at", pa.timestamp("us", "UTC"), nullable=False),
        pa.field("attributes", pa.utf8(), nullable=False),
        pa.field("vector", pa.list_(pa.float32(), encoder.dimensions), nullable=False),
    ]
    facts = {"kind": kind, "encoder_name": encoder.name, "encoder_version": encoder.version}
    if encoder.code_bits:
        columns.append(pa.field("code", pa.binary(encoder.code_bits // 8), nullable=False))
        facts["code_bits"] = str(encoder.code_bits)
    return pa.schema(columns, metadata=facts)


def encoder_of(schema: pa.Schema) -> tuple[str, EncoderVersion] | None:
    """Kind and encoder version that a table's schema tells of; None when it is not one of ours."""
    facts = {key.decode(): value.decode() for key, value in (schema.metadata or {}).items()}
    try:
        dimensions = schema.field("vector").type.list_size
        code_bits = int(facts.get("code_bits", 0))
        return facts["kind"], EncoderVersion(facts["encoder_name"], facts["encoder_version"], dimensions, code_bits)
    except (KeyError, AttributeError, ValueError):
        return None


def to_arrow(records: Sequence[Record], schema: pa.Schema, encoder: EncoderVersion) -> pa.Table:
    """Records as rows, vectors at length 1.

    Raises:
        ParameterError: a vector is missing, zero, not finite, or has the wrong shape; or so has a code.
    """
    vectors = np.stack([encoder.unit_vector(record.vector, record.path) for record in records])
    columns: dict[str, Any] = {name: [getattr(record, name) for record in records] for name in LISTED}
    columns["attributes"] = [json.dumps(dict(record.attributes), ensure_ascii=False) for record in records]
    columns["vector"] = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), encoder.dimensions)
    if encoder.code_bits:
        columns["code"] = [encoder.checked_code(record.code, record.path).tobytes() for record in records]
    return pa.table(columns, schema=schema)


def from_arrow(rows: pa.Table) -> list[Record]:
    """Rows as records, with vector and code where the columns are there."""
    columns = {name: rows[name].to_pylist() for name in LISTED if name != "added_at"}
    columns["added_at"] = [
        _EPOCH + timedelta(microseconds=time) for time in rows["added_at"].cast(pa.int64()).to_pylist()
    ]
    columns["tags"] = [tuple(tags) for tags in columns["tags"]]
    columns["attributes"] = [json.loads(text) for text in columns["attributes"]]
    if "vector" in rows.column_names:
        columns["vector"] = list(vectors_of(rows))
    if "code" in rows.column_names:
        columns["code"] = list(codes_of(rows))
    return [Record(**dict(zip(columns, values, strict=True))) for values in zip(*columns.values(), strict=True)]


def vectors_of(rows: pa.Table) -> NDArray[np.float32]:
    """The column of vectors, (N, dimensions)."""
    flat = rows["vector"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
    return flat.reshape(rows.num_rows, rows.schema.field("vector").type.list_size)


def codes_of(rows: pa.Table) -> NDArray[np.uint8]:
    """The column of codes, (N, code_bits / 8)."""
    width = rows.schema.field("code").type.byte_width
    column = rows["code"].combine_chunks()
    content = np.frombuffer(column.buffers()[1] or b"", np.uint8)
    return content[column.offset * width :][: len(column) * width].reshape(len(column), width)


def sql_text(text: str) -> str:
    """A text as an SQL literal; the only character with a meaning inside one is the quote, and it is doubled.

    >>> sql_text("it's")
    "'it''s'"
    """
    return "'" + text.replace("'", "''") + "'"
