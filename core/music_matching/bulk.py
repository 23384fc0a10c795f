"""A catalogue of music, or of films that need some, with many workers: processes of this machine, or a Ray cluster."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from core.bulk import Workers, run_all
from core.media import limits_of_local, local_file
from core.music_matching.config import MatchConfig
from core.music_matching.pipeline import MatchRequest, Model, MusicMatching
from core.music_matching.results import AddReport, MatchAnswer
from core.music_matching.rows import Credits
from core.runtime import Progress, silent
from core.store import Record


@dataclass(frozen=True)
class MatchReport:
    """What was found for one film of a catalogue, or the sentence that says why nothing was."""

    path: str
    answer: MatchAnswer | None = None
    error: str = ""


@dataclass(frozen=True)
class _Opened:
    """Opens the library in a worker."""

    address: str
    config: MatchConfig
    model: Model

    def matching(self) -> MusicMatching:
        return MusicMatching(self.address, self.config, self.model, create=False)


@dataclass(frozen=True)
class ListenJob(_Opened):
    """The job takes a path and gives what `MusicMatching.prepare` gives."""

    credits: Credits

    def __call__(self) -> Callable[[Path], Record | str]:
        """Open the library; what it knows already is not listened to."""
        matching = self.matching()
        return lambda path: matching.prepare(path, self.credits)


@dataclass(frozen=True)
class MatchJob(_Opened):
    """The job takes the address of a film and gives what `MusicMatching.match` gives."""

    request: MatchRequest

    def __call__(self) -> Callable[[str], MatchAnswer]:
        """Open the library."""
        return matcher(self.matching(), self.request)


def matcher(matching: MusicMatching, request: MatchRequest) -> Callable[[str], MatchAnswer]:
    """The job of one worker: takes the address of a film, gives the music that fits it."""

    def match(address: str) -> MatchAnswer:
        with local_file(address, matching.config.limits) as path:
            config = replace(matching.config, limits=limits_of_local(address, matching.config.limits))
            features = replace(matching.watcher, config=config).watch(path)
            return matching.rank(features, request)

    return match


def add_all(
    matching: MusicMatching,
    paths: Sequence[Path],
    how: Workers,
    credits: Credits | None = None,
    progress: Progress = silent,
) -> Iterator[AddReport]:
    """Add tracks in the order in which they are finished, each reported when it is safely stored.

    Workers listen, this process stores. A killed worker and an unreadable file cost nothing but themselves. A run that
    was stopped is gone on with by starting it again: what is in the library is passed over.

    Args:
        matching: the library.
        paths: files of sound, or films with sound.
        how: how many workers, and where.
        credits: licence and credit; what is empty is taken from each file's own tags.
        progress: told how many are finished; of a lone worker also how far a track is.

    Raises:
        CancelledError: ``progress`` says so; what was reported before is in the library.
        ParameterError: there is no such cluster, or Ray is not installed.
    """
    if how.alone:
        yield from matching.add_each(paths, credits, progress)
        return
    job = ListenJob(matching.library.address, matching.config, matching.model, credits or Credits())
    for outcome in run_all(job, paths, progress, how.workers, how.cluster):
        path, prepared = str(outcome.item), outcome.result
        if prepared is None:
            yield AddReport(path, "failed", error=outcome.error)
        elif isinstance(prepared, str) or prepared.id in matching.library:
            yield AddReport(path, "known", prepared if isinstance(prepared, str) else prepared.id)
        else:
            matching.library.add([prepared])
            yield AddReport(path, "added", prepared.id)


def match_all(
    matching: MusicMatching, addresses: Sequence[str], request: MatchRequest, how: Workers, progress: Progress = silent
) -> Iterator[MatchReport]:
    """Find music for every film of a catalogue, in the order in which they are finished.

    Args:
        matching: the library.
        addresses: files, or objects of a bucket, as `core.media.all_files` lists them.
        request: what is asked for each film.
        how: how many workers, and where.
        progress: told how many are finished.

    Raises:
        CancelledError: ``progress`` says so.
        ParameterError: there is no such cluster, or Ray is not installed.
    """
    job = MatchJob(matching.library.address, matching.config, matching.model, request)
    here = partial(matcher, matching, request)
    for outcome in run_all(here if how.alone else job, addresses, progress, how.workers, how.cluster):
        yield MatchReport(outcome.item, outcome.result, outcome.error)
