"""Records made in code, the same in every process."""

import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from core.store import EncoderVersion, Record

ENCODER = EncoderVersion("colours", "1", 16)
HASHING = EncoderVersion("colours", "1", 16, code_bits=64)


def record_id(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


def direction(number: int, dimensions: int = ENCODER.dimensions) -> NDArray[np.float32]:
    return np.random.default_rng(number).standard_normal(dimensions).astype(np.float32)


def record(number: int, tags: tuple[str, ...] = (), title: str = "", dimensions: int = ENCODER.dimensions) -> Record:
    return Record(
        id=record_id(number),
        path=f"/films/{number}.mp4",
        title=title or f"film {number}",
        duration_s=number + 0.5,
        tags=tags,
        thumbnail=bytes([number % 256]) * 100,
        added_at=datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=number),
        vector=direction(number, dimensions),
        attributes={"licence": "CC0"},
    )


def code(number: int) -> NDArray[np.uint8]:
    """The signs of the direction's products with 64 fixed others, so near directions have near codes."""
    others = np.random.default_rng(0).standard_normal((HASHING.code_bits, HASHING.dimensions))
    return np.packbits(others @ direction(number) > 0)


def hashed(number: int, tags: tuple[str, ...] = ()) -> Record:
    return replace(record(number, tags), code=code(number))
