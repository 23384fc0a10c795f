"""What a library holds and answers: encoder versions, records, matches."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from core.errors import ParameterError

_NAME = re.compile(r"[A-Za-z0-9]+(?:[._-][A-Za-z0-9]+)*")
_SHORTEST_VECTOR = 1e-12
"""A vector of smaller length has no direction worth keeping."""
_UNIT_TOLERANCE = float(np.finfo(np.float32).eps)
"""Rounding every number of a unit vector to float32 changes its length by half of it at most."""


@dataclass(frozen=True)
class EncoderVersion:
    """The network, and the way of using it, that made a vector. Vectors of two versions are never compared.

    Raises:
        ParameterError: name or version is not made of letters and digits with single ``.``, ``_`` or ``-`` between
            them (both become part of a table's name), dimensions is not positive, or code_bits no multiple of 8.
    """

    name: str
    version: str
    dimensions: int
    code_bits: int = 0
    """Length of the binary code that stands beside every vector, a multiple of 8; 0 for no codes."""

    def __post_init__(self) -> None:
        for what, text in (("name", self.name), ("version", self.version)):
            if not _NAME.fullmatch(text):
                raise ParameterError(
                    f"The encoder's {what} is {text!r}; use letters and digits with single . _ or - between them."
                )
        if self.dimensions < 1:
            raise ParameterError(f"The encoder has {self.dimensions} dimensions; it must have at least one.")
        if self.code_bits < 0 or self.code_bits % 8:
            raise ParameterError(f"The encoder's codes have {self.code_bits} bits; use a multiple of 8, or 0 for none.")

    def __str__(self) -> str:
        return f"{self.name} {self.version}"

    def unit_vector(self, vector: NDArray[np.floating] | None, whose: str) -> NDArray[np.float32]:
        """The vector at length 1, (dimensions,) float32; one that has this length already stays as it is, bit by bit.

        Args:
            vector: (dimensions,), any length but zero.
            whose: names the vector in error messages.

        Raises:
            ParameterError: there is no vector, it has another shape, holds NaN or infinity, or its length is zero.

        >>> EncoderVersion("colours", "1", 2).unit_vector(np.array([3.0, 4.0]), "the example")
        array([0.6, 0.8], dtype=float32)
        """
        if vector is None:
            raise ParameterError(f"The vector of {whose} is missing; describe it with {self} first.")
        values = np.asarray(vector, dtype=np.float64)
        if values.shape != (self.dimensions,):
            raise ParameterError(
                f"The vector of {whose} has the shape {values.shape}; {self} makes ({self.dimensions},)."
            )
        if not np.isfinite(values).all():
            raise ParameterError(f"The vector of {whose} holds NaN or infinity; describe it again.")
        largest = float(np.abs(values).max())
        if largest < _SHORTEST_VECTOR:
            raise ParameterError(f"The vector of {whose} is zero and points nowhere; describe it again.")
        if getattr(vector, "dtype", None) == np.float32 and abs(np.linalg.norm(values) - 1) <= _UNIT_TOLERANCE:
            return values.astype(np.float32)
        values = values / largest
        return (values / np.linalg.norm(values)).astype(np.float32)

    def checked_code(self, code: NDArray[np.uint8] | None, whose: str) -> NDArray[np.uint8]:
        """The code as it is, (code_bits / 8,) uint8.

        Raises:
            ParameterError: this encoder makes no codes, there is none, or it has another shape or type.
        """
        if not self.code_bits:
            raise ParameterError(f"{self} makes no codes; search by vector.")
        if code is None:
            raise ParameterError(f"The code of {whose} is missing; hash its vector with {self} first.")
        values = np.asarray(code)
        if values.dtype != np.uint8 or values.shape != (self.code_bits // 8,):
            raise ParameterError(
                f"The code of {whose} is {values.dtype} {values.shape}; {self} makes uint8 ({self.code_bits // 8},)."
            )
        return values


@dataclass(frozen=True)
class Record:
    """One row of a library: a video, a track or a concept.

    Raises:
        ParameterError: the id is empty, a text cannot be written as UTF-8, a tag is empty, the duration is negative
            or not finite, or ``added_at`` has no time zone.
    """

    id: str
    """sha256 of the content, in hexadecimal; the same content is the same row."""
    path: str
    title: str
    duration_s: float
    tags: tuple[str, ...] = ()
    thumbnail: bytes = field(default=b"", repr=False)
    added_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    vector: NDArray[np.float32] | None = field(default=None, repr=False, compare=False)
    """(dimensions,), of length 1 when it comes from a library; None in listings and matches."""
    attributes: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Further facts: licence, credit, frame rate …"""
    code: NDArray[np.uint8] | None = field(default=None, repr=False, compare=False)
    """(code_bits / 8,), where the encoder makes codes; None in listings and matches."""

    def __post_init__(self) -> None:
        if not self.id:
            raise ParameterError(f"The record of {self.path!r} has no id; give it the sha256 of its content.")
        for text in (self.id, self.path, self.title, *self.tags, *self.attributes, *self.attributes.values()):
            _check_text(text)
        if not all(self.tags):
            raise ParameterError(f"A tag of {self.path!r} is empty; leave it out.")
        if not (math.isfinite(self.duration_s) and self.duration_s >= 0):
            raise ParameterError(f"The duration of {self.path!r} is {self.duration_s} s; it must be zero or more.")
        if self.added_at.tzinfo is None:
            raise ParameterError(f"added_at of {self.path!r} has no time zone; use datetime.now(UTC).")


@dataclass(frozen=True)
class Match:
    """A record, and how alike it and the query are."""

    record: Record
    similarity: float
    """Cosine, -1 to 1; 1 for the same direction. Of codes: ``1 - 2 * distance / code_bits``; 1 for the same code."""


def _check_text(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ParameterError(f"{text!a} cannot be written as UTF-8; rename the file.") from error
