"""What the model is trained on: sample videos with descriptions, and the places of games (METHODS 1, training).

A folder of sample videos holds films, and for each its description in a text file of the same name, or all of them in
``descriptions.tsv`` (file, tab, description). The description decides which are kept. Each kept film is separated into
its picture, which goes through the video channel, and its soundtrack, which goes through the audio channel.
"""

import csv
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import cast

import numpy as np

from core.encoders.voice import voice_spans
from core.errors import NoAudioTrackError
from core.media import VideoReader, probe, read_audio, shot_boundaries, video_files
from core.media.whole_file import written_whole
from core.music_matching.features import TrackFeatures, Vectors, VideoFeatures, packed, unpacked
from core.music_matching.games import GamePlace, pan_and_zoom, picture_of
from core.music_matching.listening import SAMPLE_RATE, SHORTEST_TRACK_S, Listener
from core.music_matching.looking import Watcher
from core.music_matching.model import Modalities

DESCRIPTIONS = "descriptions.tsv"
PART_S = 20.0
"""A film is cut at shots into parts of about this length."""
PLACE_PICTURES = 4
MOST_SPEECH = 0.4
"""Share of speech from which on a soundtrack is no music under a picture."""
QUIETEST_RMS = 1e-3
_UNFIT = {
    "a concert: the music is what is seen, not what goes with it": (
        r"\b(concert|live (performance|session|music)|gig|orchestra plays|band plays|recital|music video|karaoke)\b"
    ),
    "a talk: what is heard is speech": (
        r"\b(talk(ing|s)?|speak(ing|s|er)?|speech|lecture|interview|podcast|news|tutorial|vlog)\b"
    ),
    "a silent clip: there is no music in it": r"\b(silent|no (sound|audio|music)|without (sound|audio|music)|muted)\b",
}


@dataclass(frozen=True)
class Sample:
    """A candidate film with its description, and why it is not kept; ``reason`` is empty for a kept one."""

    path: Path
    description: str
    reason: str = ""


@dataclass(frozen=True)
class TrainingPair:
    """A film, or a picture, and the music that somebody put to it.

    Attributes:
        kind: ``film`` or ``game``.
        group: the film or the game; a split never divides one.
        name: of the part or the place.
        track: what tells the track from others.
        caption: words about it, for weak labels.
        video: features of the picture.
        music: features of the music.
    """

    kind: str
    group: str
    name: str
    track: str
    caption: str
    video: VideoFeatures
    music: TrackFeatures

    @property
    def source(self) -> str:
        """Of the pairs of one source a step of the training draws one: of a track, or of a film.

        All parts of a film have one description, which does not tell them apart.
        """
        return self.group if self.kind == "film" else self.track


@dataclass(frozen=True)
class TrainingSet:
    """Pairs, and films with captions for weak labels.

    Attributes:
        videos: (N) features of films and pictures.
        music: (N) features of the track that goes with each.
        sources: (N) names; of the pairs with one name a step draws one.
        captioned: (M) features of films that have a caption but no track.
        captions: (M, D) text vectors of those captions.
        heard: (tags, D) what the tags of tracks mean in words; None where that does not count.
    """

    videos: Sequence[Modalities]
    music: Sequence[Modalities]
    sources: Sequence[str]
    captioned: Sequence[Modalities] = ()
    captions: Vectors | None = None
    heard: Vectors | None = None


def unfit(description: str) -> str:
    """Why a film with such a description is no sample of a film with fitting music; empty when it may be one.

    >>> unfit("A silent clip of a square")
    'a silent clip: there is no music in it'
    >>> unfit("Waves roll onto a beach at sunset, with calm piano")
    ''
    """
    if not description.strip():
        return "it has no description, so nothing tells whether its music fits"
    return next((reason for reason, words in _UNFIT.items() if re.search(words, description.lower())), "")


def samples_of(folder: Path) -> list[Sample]:
    """All films of a folder with their descriptions, each kept or not.

    Raises:
        MediaOpenError: the folder holds no film.
    """
    table = folder / DESCRIPTIONS
    told: dict[str, str] = {}
    if table.is_file():
        with table.open(encoding="utf-8", newline="") as stream:
            told = {row[0]: row[1] for row in csv.reader(stream, delimiter="\t") if len(row) > 1}
    return [_sample(Path(path), told) for path in video_files(str(folder))]


def film_pairs(sample: Sample, watcher: Watcher, listener: Listener) -> tuple[list[TrainingPair], str]:
    """The parts of a kept film, picture and soundtrack apart; or none of them, and why.

    Raises:
        MediaError: the film cannot be read.
    """
    info = probe(sample.path)
    try:
        wave = read_audio(sample.path, SAMPLE_RATE, mono=True).samples[:, 0]
    except NoAudioTrackError:
        return [], "it has no sound track"
    if float(np.sqrt(np.square(wave).mean())) < QUIETEST_RMS:
        return [], "its sound track is silent"
    speech = sum(span.duration_s for span in voice_spans(wave)) / max(len(wave) / SAMPLE_RATE, 1e-3)
    if speech > MOST_SPEECH:
        return [], f"somebody speaks in {speech:.0%} of it"
    pairs = []
    for begin, end in parts_at_shots(shot_boundaries(sample.path), info.duration_s):
        sound = wave[int(begin * SAMPLE_RATE) : int(end * SAMPLE_RATE)]
        if len(sound) >= SHORTEST_TRACK_S * SAMPLE_RATE and float(np.sqrt(np.square(sound).mean())) >= QUIETEST_RMS:
            with VideoReader(sample.path, size=(watcher.image.size, watcher.image.size)) as reader:
                frames = np.stack([f.pixels for f in reader.frames_at_rate(Fraction(1), begin, end)])
            name = f"{sample.path.stem} {float(begin):.1f}"
            pair = watcher.describe(frames, title=sample.description), listener.describe(sound)
            pairs.append(TrainingPair("film", sample.path.stem, name, name, sample.description, *pair))
    return pairs, "" if pairs else f"it has no part of {SHORTEST_TRACK_S:.0f} s with sound"


def parts_at_shots(cuts_s: Sequence[Fraction], duration_s: Fraction) -> list[tuple[Fraction, Fraction]]:
    """A film cut into parts that begin with a shot, each of about `PART_S` seconds; the last joins a short rest.

    >>> [(int(a), int(b)) for a, b in parts_at_shots([Fraction(8), Fraction(21), Fraction(40)], Fraction(45))]
    [(0, 21), (21, 45)]
    """
    edges = [Fraction(0)]
    for cut in cuts_s:
        if cut - edges[-1] >= PART_S and duration_s - cut >= PART_S / 2:
            edges.append(cut)
    return list(zip(edges, [*edges[1:], duration_s], strict=True))


def place_video(place: GamePlace, watcher: Watcher, seed: int = 0) -> VideoFeatures:
    """A place of a game as a pan-and-zoom film, looked at."""
    frames = pan_and_zoom(picture_of(place), PLACE_PICTURES, watcher.image.size, seed)
    return watcher.describe(frames)


class Cache:
    """Features in a folder, each made once; a killed run goes on where it was."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def video(self, key: str, make: Callable[[], VideoFeatures]) -> VideoFeatures:
        """The features of a film; ``make()`` is called where they are not there yet."""
        return cast(VideoFeatures, unpacked(self._kept(key, make), VideoFeatures))

    def track(self, key: str, make: Callable[[], TrackFeatures]) -> TrackFeatures:
        """The features of a track; see `video`."""
        return cast(TrackFeatures, unpacked(self._kept(key, make), TrackFeatures))

    def _kept(self, key: str, make: Callable[[], VideoFeatures] | Callable[[], TrackFeatures]) -> bytes:
        path = self.folder / f"{key}.safetensors"
        if not path.is_file():
            with written_whole(path) as part:
                part.write_bytes(packed(make()))
        return path.read_bytes()


def _sample(path: Path, told: dict[str, str]) -> Sample:
    beside = path.with_suffix(".txt")
    description = beside.read_text("utf-8").strip() if beside.is_file() else told.get(path.name, "")
    return Sample(path, description, unfit(description))
