"""Many films that each say something, with many workers: processes of this machine, or a Ray cluster."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from core.bulk import Workers, run_all
from core.errors import ParameterError
from core.lip_sync.config import SyncConfig
from core.lip_sync.pipeline import LipSync
from core.lip_sync.request import SyncRequest
from core.lip_sync.results import LipSyncResult
from core.runtime import Progress, silent
from core.tables import cells_of, check_names

_FILMS = (".mp4", ".mov", ".m4v", ".mkv")


@dataclass(frozen=True)
class Row:
    """A face, what it says, and the film that comes of it."""

    face: Path
    speech: Path
    out: Path

    def __str__(self) -> str:
        return str(self.out)


@dataclass(frozen=True)
class SyncReport:
    """What became of a row: a film, or the sentence that says why there is none; neither where it was there already."""

    row: Row
    made: LipSyncResult | None = None
    error: str = ""


@dataclass(frozen=True)
class SyncJob:
    """What a worker does: it takes a row and writes its film.

    Attributes:
        config: how.
        cache: folder for what may be used again, which all workers reach; None: nothing is.
    """

    config: SyncConfig
    cache: Path | None

    def __call__(self) -> Callable[[Row], LipSyncResult]:
        """Have the network at hand; it is loaded for the first row."""
        lip_sync = LipSync(self.config, self.cache)
        return lambda row: lip_sync.sync(SyncRequest(row.face, row.speech), row.out)


def rows_of(table: Path, folder: Path) -> list[Row]:
    """The rows of a table with the columns ``face`` and ``speech``, and where wanted ``out``.

    Files lie beside the table. A film is called as ``out`` says, or after its face and its speech.

    Args:
        table: CSV in UTF-8; the first line names the columns.
        folder: where the films go.

    Raises:
        ParameterError: the table cannot be read, lacks a column or a file's name, or names a film twice.
    """
    rows = []
    for number, cells in cells_of(table):
        face, speech = cells.get("face"), cells.get("speech")
        if not face or not speech:
            raise ParameterError(f"{table.name}, line {number}, has no face or no speech; name a file for both.")
        suffix = Path(face).suffix.lower()
        name = cells.get("out") or f"{Path(face).stem} says {Path(speech).stem}"
        name = name if Path(name).suffix.lower() in _FILMS else name + (suffix if suffix in _FILMS else ".mp4")
        rows.append(Row(table.parent / face, table.parent / speech, folder / Path(name).name))
    check_names(table, [row.out for row in rows])
    return rows


def sync_all(
    rows: Sequence[Row], config: SyncConfig, how: Workers, cache: Path | None = None, progress: Progress = silent
) -> Iterator[SyncReport]:
    """Let every face say its speech, in the order in which they are finished; a bad row costs only itself.

    A run that was stopped or killed is gone on with by starting it again: films that are there are left as they are,
    and where there is a ``cache``, half a film is used again.

    Args:
        rows: as `rows_of` reads them; their folder exists.
        config: how.
        how: how many workers, and where.
        cache: folder for what may be used again.
        progress: told how many are finished.

    Raises:
        CancelledError: ``progress`` says so.
        ParameterError: there is no such cluster, or Ray is not installed.
    """
    left = [row for row in rows if not row.out.exists()]
    yield from (SyncReport(row) for row in rows if row.out.exists())
    for outcome in run_all(SyncJob(config, cache), left, progress, how.workers, how.cluster):
        yield SyncReport(outcome.item, outcome.result, outcome.error)
