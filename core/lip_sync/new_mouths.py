"""The second stage: the film is read once, and the mouths of all who speak are made and kept.

A run of pictures ends where the film is cut, begins again or jumps, where the face is lost, and where its mouth is
covered. What a mouth looks like follows from its run alone, so that a job that goes on makes the same as one that was
never stopped.
"""

from collections.abc import Iterable, Iterator

from core.lip_sync.config import SyncConfig
from core.lip_sync.covering import Look
from core.lip_sync.crops import crop_matrix
from core.lip_sync.faces import Face, Picture
from core.lip_sync.generator import MouthNetwork
from core.lip_sync.job import Job
from core.lip_sync.known import known_faces
from core.lip_sync.mouths import REACH_S, MouthMaker, Place, place
from core.lip_sync.remembering import MouthStore
from core.media import pictures_of
from core.runtime import Progress

_BESIDE = 2
"""Pictures before and behind one that have a say in whether its mouth is covered, so that nothing flickers."""


def make_mouths(job: Job, network: MouthNetwork, config: SyncConfig, store: MouthStore, progress: Progress) -> None:
    """Make the mouths that the store lacks; what is made is kept, whatever happens.

    Raises:
        MediaError: the film cannot be read.
        CancelledError: ``progress`` says so.
    """
    count = len(job.plan.shown)
    if store.complete >= count:
        return
    studio = _Studio(job, network, config, store)
    try:
        for frame, pixels in enumerate(pictures_of(job.request.face, job.plan, config.limits)):
            progress(frame, count, "mouths")
            studio.take(frame, pixels)
        studio.finish()
    finally:
        store.flush(studio.complete)


class _Run:
    """One face in pictures that follow each other.

    Attributes:
        maker: of its mouths.
        waiting: places about which is not decided yet, because pictures behind them have a say.
    """

    def __init__(self, maker: MouthMaker) -> None:
        self.maker = maker
        self.waiting: list[Place] = []
        self._covered: list[bool] = []

    def add(self, here: Place, covered: bool) -> None:
        """Take the next place, and whether its mouth seems covered by itself."""
        self.waiting.append(here)
        self._covered.append(covered)

    def decided(self, ended: bool) -> Iterator[tuple[Place, bool]]:
        """The places about which can be decided, and whether the mouth is covered in most pictures around each."""
        while len(self.waiting) > (0 if ended else _BESIDE):
            here = len(self._covered) - len(self.waiting)
            around = self._covered[max(0, here - _BESIDE) : here + _BESIDE + 1]
            yield self.waiting.pop(0), 2 * sum(around) > len(around)
        del self._covered[: max(0, len(self._covered) - len(self.waiting) - _BESIDE)]


class _Studio:
    """Takes pictures in order and puts mouths into the store."""

    def __init__(self, job: Job, network: MouthNetwork, config: SyncConfig, store: MouthStore) -> None:
        self._job, self._network, self._config, self._store = job, network, config, store
        self._known = known_faces(job.request.face, job.faces, job.tracks, config)
        self._runs: dict[int, _Run] = {}
        self._written, self._next = store.complete, 0
        self._begin = _first_needed(job, store.complete)

    @property
    def complete(self) -> int:
        """Of the pictures before this one all mouths are in the store."""
        runs = self._runs.values()
        waiting = [run.maker.first_waiting for run in runs] + [run.waiting[0].frame for run in runs if run.waiting]
        return max(self._written, min([self._next, *(frame for frame in waiting if frame is not None)]))

    def take(self, frame: int, pixels: Picture) -> None:
        """Take the next picture."""
        faces = self._job.faces_at(frame) if frame >= self._begin else {}
        follows = self._job.follows(frame)
        for number in [number for number in self._runs if number not in faces or not follows]:
            self._end(number)
        for number, face in faces.items():
            self._see(number, frame, pixels, face)
        self._next = frame + 1
        if self._store.full:
            self._store.flush(self.complete)

    def finish(self) -> None:
        """Make what is left."""
        for number in list(self._runs):
            self._end(number)

    def _see(self, number: int, frame: int, pixels: Picture, face: Face) -> None:
        if number not in self._runs:
            self._runs[number] = _Run(self._maker(number))
        run, uncovered = self._runs[number], self._known[number].uncovered
        covered = uncovered is not None and uncovered.covered(Look.of(pixels, face))
        run.add(self._place(number, frame, pixels, face), covered)
        self._make(number, run)

    def _end(self, number: int) -> None:
        run = self._runs.pop(number)
        self._make(number, run, ended=True)
        self._keep(number, run.maker.finish())

    def _make(self, number: int, run: _Run, ended: bool = False) -> None:
        """Have mouths made where it is decided that they are not covered; where they are, what was made ends."""
        for here, covered in run.decided(ended):
            if covered:
                self._keep(number, run.maker.finish())
                self._keep(number, [(here.frame, None)])
            else:
                self._keep(number, run.maker.add(here))

    def _keep(self, number: int, made: Iterable[tuple[int, Picture | None]]) -> None:
        for frame, mouth in made:
            if frame >= self._written:
                self._store.add(frame, number, mouth)

    def _maker(self, number: int) -> MouthMaker:
        config = self._config
        return MouthMaker(self._network, self._known[number].reference, config.batch_frames, config.openness)

    def _place(self, number: int, frame: int, pixels: Picture, face: Face) -> Place:
        blurred, rest = place(pixels, face, crop_matrix(face, self._config.finish.padding))
        middle_s = self._job.middle_s(frame)
        return Place(frame, middle_s, blurred, rest, self._job.speeches[number].windows([middle_s])[0])


def _first_needed(job: Job, complete: int) -> int:
    """The picture from which on a job that goes on must look, so that it makes what it would have made anyway."""
    if not complete:
        return 0
    earliest_s = job.middle_s(complete) - 2 * REACH_S
    first = next((frame for frame in range(complete, 0, -1) if job.middle_s(frame - 1) < earliest_s), 0)
    return max(0, first - 2 * _BESIDE)
