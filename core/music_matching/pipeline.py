"""From a film to the music that fits it: add, match, lay (METHODS 1, inference)."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from core.digest import sha256_of
from core.encoders.audio import musicnn_tags
from core.errors import MediaError, ParameterError
from core.media import checked_path, sound_tags
from core.music_matching import reasons
from core.music_matching.config import LayConfig, MatchConfig
from core.music_matching.features import Vectors, VideoFeatures
from core.music_matching.laying import Music, lay
from core.music_matching.listening import Listener, Words
from core.music_matching.looking import Watcher
from core.music_matching.model import TwoTowers, load_model
from core.music_matching.moments import best_moment, reasons_of
from core.music_matching.results import AddReport, LaidFilm, MatchAnswer, Moment, MusicMatch
from core.music_matching.rows import NO_LICENCE, Credits, StoredTrack, stored_track, track_record
from core.music_matching.steering import Steer, steer
from core.runtime import Progress, part_of, silent
from core.store import EncoderVersion, Library, Record, open_library
from core.weights import find_manifest, weights_path

WEIGHTS = "music_matching"
STEER_WEIGHT = 0.25
MOMENT_WEIGHT = 0.1


@dataclass(frozen=True)
class MatchRequest:
    """What is asked of a library of music.

    Raises:
        ParameterError: ``top`` is below 1.
    """

    top: int = 5
    text: str = ""
    """What the music should be like, in words: "calmer, no vocals"."""

    def __post_init__(self) -> None:
        if self.top < 1:
            raise ParameterError(f"top is {self.top}; ask for at least one.")


@dataclass(frozen=True)
class Model:
    """The two towers, and the version under which their vectors are kept."""

    towers: TwoTowers
    version: str

    @classmethod
    def embedded(cls) -> "Model":
        """The one in ``weights/``.

        Raises:
            WeightsError: it is missing or wrong.
        """
        return cls(load_model(weights_path(WEIGHTS, f"{WEIGHTS}.safetensors")), find_manifest(WEIGHTS).revision)

    @classmethod
    def from_file(cls, path: Path) -> "Model":
        """One that `train` wrote; its version is the beginning of its digest."""
        digest = sha256_of(checked_path(path, MatchConfig().limits))
        return cls(load_model(path), digest[:12])


class MusicMatching:
    """One library of music and the model that ranks it.

    Networks are loaded when they are first needed: listing loads none, matching none of those that listen.

    Args:
        address: folder or object-storage address of the library.
        config: how films are looked at and tracks listened to.
        model: the embedded one when None.
        create: make the library when there is none.

    Raises:
        LibraryNotFoundError: there is none, and ``create`` is False.
        WeightsError: the model is missing or wrong.
    """

    def __init__(
        self,
        address: str | Path,
        config: MatchConfig | None = None,
        model: Model | None = None,
        create: bool = True,
    ) -> None:
        self.config, self.model = config or MatchConfig(), model or Model.embedded()
        dimensions = self.model.towers.dimensions
        version = EncoderVersion("music_matching", self.model.version, dimensions)
        self.library: Library = open_library(address, "tracks", version, create=create)
        self._tracks: dict[str, StoredTrack] = {}
        self._word_vectors: dict[str, Vectors] = {}

    @cached_property
    def words(self) -> Words:
        """Keywords and their vectors."""
        return Words(self.config)

    @cached_property
    def listener(self) -> Listener:
        """What listens to tracks."""
        return Listener.load(self.config, self.words)

    @cached_property
    def watcher(self) -> Watcher:
        """What looks at films."""
        return Watcher.load(self.config, self.words)

    def add_each(
        self,
        paths: Sequence[Path],
        credits: Credits | None = None,
        progress: Progress = silent,
        keep: Callable[[Path, str], Path] = lambda path, id: path,
    ) -> Iterator[AddReport]:
        """Add tracks one by one, reporting each when it is safely stored; a bad file does not stop the rest.

        Args:
            paths: files of sound, or films with sound.
            credits: licence and credit; what is empty is taken from each file's own tags.
            progress: told how far it is.
            keep: given a file and its id, puts a copy where it stays, and returns its path.

        Raises:
            CancelledError: ``progress`` says so; what was reported before is in the library.
            StoreError: the library cannot be written.
        """
        for index, path in enumerate(paths):
            part = part_of(progress, index, len(paths))
            part(0, 1, path.name)
            try:
                yield self._add_one(path, credits or Credits(), part, keep)
            except MediaError as error:
                yield AddReport(str(path), "failed", error=str(error))
        progress(len(paths), len(paths), "added")

    def prepare(
        self,
        path: Path,
        credits: Credits,
        progress: Progress = silent,
        keep: Callable[[Path, str], Path] = lambda path, id: path,
    ) -> Record | str:
        """What is to be stored of a file, see `add_each`; or its id, when the library holds this content already.

        Raises:
            MediaError: the file cannot be listened to.
            CancelledError: ``progress`` says so.
        """
        track_id = sha256_of(checked_path(path, self.config.limits))
        if track_id in self.library:
            return track_id
        tags = sound_tags(path, self.config.limits)
        title = tags.title or path.stem
        features = self.listener.listen(path, f"{title} {path.stem}", progress)
        facts = {
            "title": title,
            "licence": credits.licence or tags.licence or NO_LICENCE,
            "credit": credits.credit or tags.artist,
        }
        kept = keep(path, track_id).resolve()
        return track_record(track_id, kept, facts, features, self.model.towers)

    def match(self, video: Path, request: MatchRequest | None = None, progress: Progress = silent) -> MatchAnswer:
        """The tracks of the library that fit a film best, best first, each with its moment and why.

        Raises:
            MediaError: the film cannot be read.
            CancelledError: ``progress`` says so.
        """
        started = time.perf_counter()
        features = self.watcher.watch(video, progress)
        watched = time.perf_counter()
        return replace(self.rank(features, request or MatchRequest()), watching_s=watched - started)

    def rank(self, video: VideoFeatures, request: MatchRequest) -> MatchAnswer:
        """As `match`, for a film that was looked at already."""
        started = time.perf_counter()
        tracks = self.tracks()
        (vector,) = self.model.towers.embed_video([video.modalities()])
        if not tracks:
            return MatchAnswer((), video, 0.0, time.perf_counter() - started)
        asked = self._asked(request.text, tracks)
        moments = [best_moment(video, vector, track.curves) for track in tracks]
        scores = np.stack([track.vector for track in tracks]) @ vector + STEER_WEIGHT * asked.scores
        total = scores + MOMENT_WEIGHT * np.array([moment.fit for moment in moments])
        best = [int(index) for index in np.argsort(-total, kind="stable")[: request.top]]
        why = self._reasons(video, tracks, best, asked)
        found = tuple(
            _matched(tracks[i], float(scores[i]), moments[i], (*told, *reasons_of(video, tracks[i].curves, moments[i])))
            for i, told in zip(best, why, strict=True)
        )
        return MatchAnswer(found, video, 0.0, time.perf_counter() - started, asked.unknown)

    def lay(
        self, video: Path, track: Path, out: Path, config: LayConfig | None = None, progress: Progress = silent
    ) -> LaidFilm:
        """Lay a file of music under a film, from its best moment or from where the config says.

        A track of the library is known already, any other is listened to first.

        Raises:
            MediaError: a file cannot be read.
            ParameterError: the track is too short, or the start lies outside it.
            CancelledError: ``progress`` says so; nothing is left behind.
        """
        config = config or LayConfig()
        known = self._known(track)
        if known is None:
            features = self.listener.listen(track, track.stem, progress)
            known = stored_track(track_record("laid", track, {"title": track.stem}, features, self.model.towers))
        start_s = config.start_s
        if start_s < 0:
            watched = self.watcher.watch(video, progress)
            (vector,) = self.model.towers.embed_video([watched.modalities()])
            start_s = best_moment(watched, vector, known.curves).start_s
        return lay(video, Music(track, known.features.rhythm, start_s), out, (config, self.config.limits), progress)

    def remove(self, ids: Sequence[str]) -> int:
        """Take tracks out of the library; return how many there were.

        Raises:
            RecordNotFoundError: an id is not there; it is named, and nothing is removed.
        """
        self.library.fetch(ids)
        return self.library.remove(ids)

    def tracks(self) -> list[StoredTrack]:
        """All tracks of the library; what others have added or removed meanwhile is noticed."""
        ids = self.library.ids()
        known = {id: track for id, track in self._tracks.items() if id in ids}
        missing = sorted(ids - set(known))
        known |= {record.id: stored_track(record) for record in self.library.fetch(missing)} if missing else {}
        self._tracks = known  # whole at once: another job may be asking, too
        return [known[id] for id in sorted(known)]

    def _add_one(
        self, path: Path, credits: Credits, progress: Progress, keep: Callable[[Path, str], Path]
    ) -> AddReport:
        prepared = self.prepare(path, credits, progress, keep)
        if isinstance(prepared, str):
            return AddReport(str(path), "known", prepared)
        self.library.add([prepared])
        return AddReport(str(path), "added", prepared.id)

    def _known(self, path: Path) -> StoredTrack | None:
        track_id = sha256_of(checked_path(path, self.config.limits))
        return stored_track(self.library.fetch([track_id])[0]) if track_id in self.library else None

    def _asked(self, text: str, tracks: Sequence[StoredTrack]) -> Steer:
        if not text.strip():
            return Steer(np.zeros(len(tracks), np.float32), ((),) * len(tracks), ())
        names = musicnn_tags("msd"), musicnn_tags("mtt")
        return steer(text, [track.features for track in tracks], names, self.words.encoder)

    def _reasons(
        self, video: VideoFeatures, tracks: Sequence[StoredTrack], best: Sequence[int], asked: Steer
    ) -> list[tuple[str, ...]]:
        library = [track.features for track in tracks]
        feelings = dict(zip(best, reasons.moods(library, best, musicnn_tags("msd")), strict=True))
        loud = reasons.energies(library)
        reasons.learn_words(
            [video.keywords, *(library[i].keywords for i in best)], self.words.encoder, self._word_vectors
        )
        told = []
        for i in best:
            parts = [
                reasons.shared_words(video, library[i], self._word_vectors),
                feelings[i],
                reasons.tempo(library[i]),
                loud[i],
                f"as asked: {', '.join(asked.phrases[i])}" if asked.phrases[i] else "",
            ]
            told.append(tuple(part for part in parts if part))
        return told


def _matched(track: StoredTrack, score: float, moment: Moment, why: tuple[str, ...]) -> MusicMatch:
    record = track.record
    return MusicMatch(
        id=record.id,
        path=record.path,
        title=record.title,
        duration_s=record.duration_s,
        score=score,
        reasons=why,
        window_s=(moment.start_s, moment.end_s),
        licence=record.attributes.get("licence", NO_LICENCE),
        credit=record.attributes.get("credit", ""),
        tempo_bpm=track.features.rhythm.tempo_bpm,
        moment_fit=moment.fit,
    )
