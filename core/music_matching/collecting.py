"""All that a training looks at: pairs of films and of games, candidates without a pair, films with captions."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from pathlib import Path

import numpy as np

from core.digest import key_of, sha256_of
from core.errors import MediaError
from core.media import VideoReader, sound_files, sound_tags
from core.music_matching.data import (
    PLACE_PICTURES,
    Cache,
    Sample,
    TrainingPair,
    film_pairs,
    place_video,
    samples_of,
)
from core.music_matching.features import TrackFeatures, Vectors, VideoFeatures
from core.music_matching.games import game_places
from core.music_matching.keywords import merged, title_keywords
from core.music_matching.listening import Listener, Words
from core.music_matching.looking import Watcher
from core.runtime import Progress, silent


@dataclass(frozen=True)
class Material:
    """What was collected.

    Attributes:
        pairs: of films and games.
        candidates: tracks without a pair, by name: what else could have been chosen.
        captioned: films that have a caption but no music.
        captions: (M, D) text vectors of their captions.
        left_out: samples that are not kept, each with its reason.
        heard: (100, D) what the tags of tracks mean in words, see `Words.heard`; without it they say nothing in words.
    """

    pairs: tuple[TrainingPair, ...]
    candidates: dict[str, TrackFeatures]
    captioned: tuple[VideoFeatures, ...]
    captions: Vectors | None
    left_out: tuple[Sample, ...]
    heard: Vectors | None = None


@dataclass(frozen=True)
class Collector:
    """Looks and listens, and keeps what it found in a cache.

    Attributes:
        watcher: looks at pictures.
        listener: listens to tracks.
        cache: of features.
    """

    watcher: Watcher
    listener: Listener
    cache: Cache

    def games(self, folder: Path, progress: Progress = silent) -> list[TrainingPair]:
        """The places of the games below a folder, with their music; tracks that cannot be read are passed over.

        Raises:
            MediaOpenError: none of the games is there.
        """
        pairs, places = [], game_places(folder)
        for index, place in enumerate(places):
            progress(index, len(places), f"{place.game}: {place.name}")
            try:
                music = self.track(place.track)
            except MediaError:
                continue
            key = key_of("place", [layer.name for layer in place.layers], place.name, place.game, PLACE_PICTURES)
            video = self.cache.video(f"scene-{key}", partial(place_video, place, self.watcher))
            video = named(video, place.name, self.watcher.words)
            track = f"{place.game}/{place.track.stem}"
            pairs.append(TrainingPair("game", place.game, place.name, track, place.name, video, music))
        return pairs

    def films(self, folder: Path, progress: Progress = silent) -> tuple[list[TrainingPair], list[Sample]]:
        """The parts of the sample videos of a folder that are kept, and the samples that are not."""
        pairs, left_out = [], []
        samples = samples_of(folder)
        for index, sample in enumerate(samples):
            progress(index, len(samples), sample.path.name)
            reason = sample.reason
            if not reason:
                try:
                    found, reason = film_pairs(sample, self.watcher, self.listener)
                    pairs += found
                except MediaError as error:
                    reason = str(error)
            if reason:
                left_out.append(Sample(sample.path, sample.description, reason))
        return pairs, left_out

    def candidates(self, folder: Path, known: Sequence[TrainingPair]) -> dict[str, TrackFeatures]:
        """The tracks of a folder that no pair has, by content; those that cannot be read are passed over."""
        taken = {pair.track.partition("/")[2] for pair in known}
        found: dict[str, TrackFeatures] = {}
        for file in sound_files(str(folder)):
            path = Path(file)
            if path.stem.rpartition("__")[2] in taken:
                continue
            try:
                found[sha256_of(path)[:32]] = self.track(path)
            except MediaError:
                continue
        return found

    def captioned(self, captions: dict[Path, str]) -> tuple[list[VideoFeatures], Vectors]:
        """Films with captions, looked at, and the text vectors of the captions."""
        size = self.watcher.image.size
        films = []
        for path in captions:

            def look(path: Path = path) -> VideoFeatures:
                with VideoReader(path, size=(size, size)) as reader:
                    rate = PLACE_PICTURES / max(reader.info.duration_s, Fraction(1))
                    return self.watcher.describe(np.stack([f.pixels for f in reader.frames_at_rate(rate)]))

            films.append(self.cache.video(f"shown-{sha256_of(path)[:32]}", look))
        return films, self.watcher.words.encoder.encode(list(captions.values()))

    def track(self, path: Path) -> TrackFeatures:
        """A track, listened to once; its title is that of its tags and of its file, as in a library.

        Raises:
            MediaError: it cannot be read.
        """
        key = f"music-{sha256_of(path)[:32]}-{self.listener.config.listen_s:g}"
        title = f"{sound_tags(path).title} {path.stem.rpartition('__')[2]}"
        return self.cache.track(key, lambda: self.listener.listen(path, title))


def named(video: VideoFeatures, title: str, words: Words) -> VideoFeatures:
    """A film that nobody speaks in, under a title."""
    keywords = title_keywords(title)
    return replace(video, words=words.direction(keywords), keywords=merged(video.keywords, keywords))
