"""Libraries copied from one address to another, whatever engines stand behind the two, and compared record by record.

The source is only read. What lies at the target already and is the same is not written again, so a migration that was
stopped goes on where it was when it is run again; what the target holds beside it stays. Afterwards every record was
read back from the target, and its digest is that of the source's record.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC
from hashlib import sha256
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from core.errors import LibraryNotFoundError, ParameterError, StoreError
from core.store.address import resolve
from core.store.library import Kind, Library, open_library, other_versions
from core.store.record import EncoderVersion, Record
from core.store.settings import read_setting, read_settings, write_setting

if TYPE_CHECKING:  # core.runtime would load torch
    from core.runtime import Progress

AT_ONCE = 200
"""Records read, compared and written together."""


@dataclass(frozen=True)
class MigratedLibrary:
    """What was done with the records of one kind and one encoder version; both sides' are the same now."""

    kind: Kind
    encoder: EncoderVersion
    records: int
    """In the source, and compared with the target's one by one."""
    added: int
    """Were not in the target."""
    replaced: int
    """Were there, and different."""
    kept: int
    """Were there and the same."""
    others: int
    """Are in the target only; they were left as they are."""
    digest: str
    """sha256 of the ids and digests of all records, in the order of their ids; the same on both sides."""


@dataclass(frozen=True)
class Migration:
    """What was done with a whole address."""

    source: str
    target: str
    libraries: tuple[MigratedLibrary, ...]
    settings: int
    """Settings of the source that the target holds now."""


def migrate(source: str | Path, target: str | Path, progress: "Progress | None" = None) -> Migration:
    """Copy all libraries and settings of one address to another, and compare; the source is never changed.

    Args:
        source: as for `core.store.open_library`.
        target: likewise; made when nothing is there.
        progress: told how many records of a library are done; raises `CancelledError` to stop between portions.

    Raises:
        ParameterError: both are the same address, or an engine cannot hold a record.
        LibraryNotFoundError: the source holds no records and no settings.
        StoreError: one of them cannot be read or written, records came or went in the source meanwhile, or a record
            does not come back from the target as it was; run it again.
    """
    here, there = resolve(source), resolve(target)
    if here == there:
        raise ParameterError(f"Both addresses are {here}; name another one to copy the library to.")
    held = [(kind, encoder) for kind in get_args(Kind) for encoder in other_versions(here, kind)]
    settings = read_settings(here)
    if not held and not settings:
        raise LibraryNotFoundError(f"There is nothing to migrate at {here}; check the address.")
    moved = []
    for kind, encoder in held:
        library = open_library(here, kind, encoder, create=False)
        moved.append(_copied(library, open_library(there, kind, encoder), progress))
    return Migration(here, there, tuple(moved), _settings_copied(settings, there))


def record_digest(record: Record) -> str:
    """The sha256 of all that a record holds, vector and code included, in hexadecimal; the same for equal records."""
    facts = [record.id, record.path, record.title, record.duration_s.hex(), record.tags]
    added = record.added_at.astimezone(UTC).isoformat()
    digest = sha256(dumps([*facts, added, sorted(record.attributes.items())]).encode())
    for part in (
        record.thumbnail,
        b"" if record.vector is None else record.vector.astype("<f4").tobytes(),
        b"" if record.code is None else record.code.tobytes(),
    ):
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()


def _copied(source: Library, target: Library, progress: "Progress | None") -> MigratedLibrary:
    ids, there = sorted(source.ids()), target.ids()
    told = {"added": 0, "replaced": 0, "kept": 0}
    here: dict[str, str] = {}
    for start in range(0, len(ids), AT_ONCE):
        portion = ids[start : start + AT_ONCE]
        here |= _copy_portion(portion, there, (source, target), told)
        if progress is not None:
            progress(start + len(portion), len(ids), f"{source.kind} of {source.encoder}")
    if source.ids() != here.keys():
        raise StoreError(f"Records came or went at {source.address} meanwhile; stop its writers, and run it again.")
    return MigratedLibrary(
        source.kind, source.encoder, len(ids), **told, others=len(there - here.keys()), digest=_digest_of_all(here)
    )


def _copy_portion(
    ids: list[str], there: set[str], libraries: tuple[Library, Library], told: dict[str, int]
) -> dict[str, str]:
    """Write what is missing or different, read back what was written, and count; returns the digests."""
    source, target = libraries
    records = {record.id: record for record in source.fetch(ids)}
    digests = _digests(records.values())
    old = _digests(target.fetch([id for id in ids if id in there]))
    changed = [id for id in ids if old.get(id) != digests[id]]
    target.add([records[id] for id in changed])
    new = _digests(target.fetch(changed))
    wrong = [id for id in changed if new[id] != digests[id]]
    if wrong:
        raise StoreError(
            f"{len(wrong)} records, {wrong[0]} first, came back from {target.address} changed; run it again."
        )
    told["added"] += sum(id not in old for id in changed)
    told["replaced"] += sum(id in old for id in changed)
    told["kept"] += len(ids) - len(changed)
    return digests


def _digests(records: Iterable[Record]) -> dict[str, str]:
    return {record.id: record_digest(record) for record in records}


def _digest_of_all(digests: Mapping[str, str]) -> str:
    return sha256(dumps(sorted(digests.items())).encode()).hexdigest()


def _settings_copied(settings: Mapping[str, str], target: str) -> int:
    for key, value in settings.items():
        if read_setting(target, key) != value:
            write_setting(target, key, value)
        if read_setting(target, key) != value:
            raise StoreError(f"The setting {key!r} did not come back from {target} as it was; run it again.")
    return len(settings)
