"""Adding a folder or a bucket of videos with many workers: processes of this machine, or a Ray cluster."""

from collections.abc import Callable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass, replace
from functools import partial

from core.bulk import Workers, run_all
from core.media import local_file
from core.runtime import Progress, silent
from core.store import Record
from core.video_search.config import SearchConfig
from core.video_search.pipeline import AddReport, VideoSearch
from core.video_search.rows import VideoDescription

Prepared = tuple[Record, VideoDescription] | str


@dataclass(frozen=True)
class DescribeJob:
    """Opens the library in a worker and describes files for it; what the library knows already is not looked at."""

    library: str
    config: SearchConfig

    def __call__(self) -> Callable[[str], Prepared]:
        """Load the networks; the job that comes back takes an address and gives what `VideoSearch.prepare` gives."""
        return preparing(VideoSearch(self.library, config=self.config))


def preparing(search: VideoSearch) -> Callable[[str], Prepared]:
    """The job of one worker: takes the address of a film, gives what `VideoSearch.prepare` gives."""
    downloaded = copy(search)  # what `local_file` fetched lies outside the allowed folders
    downloaded.config = replace(search.config, limits=replace(search.config.limits, allowed_roots=()))

    def prepare(address: str) -> Prepared:
        with local_file(address, search.config.limits) as path:
            if "://" not in address:
                return search.prepare(path)
            prepared = downloaded.prepare(path)
            return prepared if isinstance(prepared, str) else (replace(prepared[0], path=address), prepared[1])

    return prepare


def add_all(
    search: VideoSearch,
    addresses: Sequence[str],
    workers: Workers,
    tags: Sequence[str] = (),
    progress: Progress = silent,
) -> Iterator[AddReport]:
    """Add videos in the order in which they are finished, each reported when it is safely stored.

    Workers describe, this process stores. A killed worker and an unreadable file cost nothing but themselves. A run
    that was stopped or killed is gone on with by starting it again: what is in the library is passed over.

    Args:
        search: the library.
        addresses: files, or objects of a bucket, as `core.media.collection.video_files` lists them.
        workers: how many, and where.
        tags: words to file the videos under.
        progress: told how many are finished.

    Raises:
        CancelledError: ``progress`` says so; what was reported before is in the library.
        ParameterError: there is no such cluster, or Ray is not installed.
    """
    search.follow_the_library()
    job = partial(preparing, search) if workers.alone else DescribeJob(search.library.address, search.config)
    for outcome in run_all(job, addresses, progress, workers.workers, workers.cluster):
        if outcome.result is None:
            yield AddReport(outcome.item, "failed", error=outcome.error)
        elif isinstance(outcome.result, str):
            search.tag(outcome.result, tags)
            yield AddReport(outcome.item, "known", outcome.result)
        else:
            record, description = outcome.result
            search.keep(replace(record, tags=tuple(tags)), description)
            yield AddReport(outcome.item, "added", record.id)
