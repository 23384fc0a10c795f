"""The interface every engine keeps to, and the door to the engines."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from core.lending import zero_gpu
from core.store.address import is_milvus, resolve
from core.store.record import EncoderVersion, Match, Record

Kind = Literal["videos", "segments", "tracks", "concepts"]
"""Segments are windows of 32 seconds of videos, many of one video."""

HOW_TO_ADD = {
    "videos": "python -m core.video_search add",
    "segments": "python -m core.video_search add",
    "tracks": "python -m core.music_matching add",
    "concepts": "python -m core.personal_video concept add",
}
"""The command that makes a library of a kind."""

SHORTLIST = 200
"""How many of the nearest codes are ordered by cosine. Measured at 100,000 rows of 4096 synthetic numbers and bits: the
five nearest were among the 10 nearest codes in 99 of 100 cases, and always among the 20 nearest."""


class Library(Protocol):
    """Records of one kind, described by one encoder version, at one address.

    One object may be shared by threads, and several processes may open the same address, to read and to write; each
    sees what the others have written as soon as they have. Every method raises `StoreError` when the library cannot
    be read or written.
    """

    @property
    def address(self) -> str:
        """The folder, or the address on object storage or of a Milvus server."""

    @property
    def kind(self) -> Kind:
        """What its records are."""

    @property
    def encoder(self) -> EncoderVersion:
        """What made its vectors."""

    def add(self, records: Iterable[Record]) -> int:
        """Store records; one whose id is there already replaces the old one. Return how many were new.

        All of them are stored, or none. Once this has returned they are acknowledged: a process killed at any later
        moment loses none of them. Of several records with one id the last counts. On Milvus, which has no
        transactions, both hold of portions of 32 MB, written one after the other, and where several processes add the
        same new records at the same moment, each row is there once, but more than one of them may count it as new.

        Raises:
            ParameterError: a vector or a code is missing or has the wrong shape, a vector is zero or not finite, or a
                record is larger than the engine takes.
        """

    def find(self, vector: NDArray[np.floating], top: int = 5, tags: Sequence[str] = ()) -> list[Match]:
        """The ``top`` records nearest to a vector by cosine, best first, equals by id.

        Exact on Milvus, and on LanceDB below 5000 rows, and for vectors of fewer than 2048 numbers at any size. From
        5000 rows on, LanceDB looks longer vectors up in an approximate index, and the best candidates, more than twenty
        for each wanted, are ordered by their exact cosines: a near row may be missed (`core.store.lance` tells how
        seldom), but a similarity is never wrong, and rows that the index does not know yet are all looked at.

        Args:
            vector: (dimensions,), any length but zero.
            top: at least 1; on Milvus at most 16,383.
            tags: only records that carry all of these.

        Raises:
            ParameterError: the vector or ``top`` is out of range.
        """

    def find_codes(
        self,
        code: NDArray[np.uint8],
        top: int = 5,
        tags: Sequence[str] = (),
        rerank: NDArray[np.floating] | None = None,
        shortlist: int = SHORTLIST,
    ) -> list[Match]:
        """The ``top`` records whose codes differ in the fewest bits, best first, equals by id; the fast way.

        Args:
            code: (code_bits / 8,).
            top: at least 1.
            tags: only records that carry all of these.
            rerank: (dimensions,); the ``shortlist`` nearest codes are ordered by their cosine to it instead, and the
                similarities are cosines.
            shortlist: at least 1; never fewer than ``top`` are looked at, and all that are as near as the last.

        Raises:
            ParameterError: the encoder makes no codes, or an argument is out of range.
        """

    def fetch(self, ids: Sequence[str]) -> list[Record]:
        """The records with these ids, in this order, vectors and codes included.

        Raises:
            RecordNotFoundError: some are not there; the message names them.
        """

    def records(self, offset: int = 0, limit: int | None = None) -> list[Record]:
        """The records without their vectors, newest first, from ``offset`` on, at most ``limit``.

        Raises:
            ParameterError: offset or limit is negative.
        """

    def ids(self) -> set[str]:
        """The ids of all records."""

    def remove(self, ids: Sequence[str]) -> int:
        """Remove the records with these ids; return how many there were. Ids that are not there are passed over."""

    def optimise(self) -> None:
        """Tidy up what many small writes leave behind; an engine also does it by itself when it is due."""

    def __contains__(self, id: str) -> bool: ...

    def __len__(self) -> int: ...


def open_library(address: str | Path, kind: Kind, encoder: EncoderVersion, create: bool = True) -> Library:
    """Open the library of one kind and one encoder version, or make it.

    Args:
        address: a folder, or an address on object storage such as ``s3://bucket/prefix``, both held by LanceDB; or
            ``milvus://host:port/prefix``, held by a Milvus cluster. Endpoint, region and keys come from the standard
            ``AWS_*`` environment variables, and from ``MILVUS_*`` (`core.store.milvus_tables`), never from the address.
        kind: what the records are; libraries of all kinds may share an address.
        encoder: what made the vectors; each version has its own table, so two versions are never mixed.
        create: make the library, and its folder, when there is none.

    Raises:
        LibraryNotFoundError: there is none, and ``create`` is False.
        ParameterError: the address is not one that can be opened, or holds a password; or it is one of Milvus, and
            pymilvus is not installed.
        StoreError: the address is a file or a folder of other things, or the library there cannot be read.
    """
    library: Library = _engine(address).open_table(address, kind, encoder, create)
    return library


def other_versions(address: str | Path, kind: Kind, than: EncoderVersion | None = None) -> dict[EncoderVersion, int]:
    """The encoder versions of which an address holds records of a kind, with their number; the largest first.

    Args:
        address: as for `open_library`; where nothing is, the answer is empty.
        kind: as for `open_library`.
        than: a version to leave out, usually the one in use.

    Raises:
        StoreError: the library cannot be read.
    """
    found: dict[EncoderVersion, int] = _engine(address).table_sizes(address, kind)
    sizes = {version: rows for version, rows in found.items() if rows and version != than}
    return dict(sorted(sizes.items(), key=lambda item: (-item[1], str(item[0]))))


def remove_version(address: str | Path, kind: Kind, encoder: EncoderVersion) -> bool:
    """Delete all records of a kind and an encoder version, for good; True when there was such a library.

    For tidying up once a library was described anew by another version and nobody searches the old one any more; who
    still has it open gets a `StoreError`.

    Raises:
        StoreError: the library cannot be read or written.
    """
    return bool(_engine(address).drop_table(address, kind, encoder))


def _engine(address: str | Path) -> Any:
    """The module of the engine that an address belongs to; each has `open_table`, `table_sizes` and `drop_table`."""
    if zero_gpu():
        from core.store import apart

        return apart
    if is_milvus(resolve(address)):
        from core.store import milvus

        return milvus
    from core.store import lance

    return lance
