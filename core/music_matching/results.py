"""What music matching answers."""

from dataclasses import dataclass
from typing import Literal

from core.music_matching.config import Mode
from core.music_matching.features import VideoFeatures


@dataclass(frozen=True)
class AddReport:
    """What became of one track that was to be added."""

    path: str
    status: Literal["added", "known", "failed"]
    """``known``: the library holds this content already."""
    id: str = ""
    error: str = ""


@dataclass(frozen=True)
class Moment:
    """The part of a track that fits a film best.

    Attributes:
        start_s: where in the track it begins, on a beat where there are any.
        end_s: where it ends; before ``start_s + duration`` of the film where the track has to be looped.
        fit: how well it goes with cuts, motion and the film as a whole, -1 to 1.
    """

    start_s: float
    end_s: float
    fit: float


@dataclass(frozen=True)
class MusicMatch:
    """One answer: a track of the library, and how well it goes with the film."""

    id: str
    path: str
    title: str
    duration_s: float
    score: float
    """Cosine of film and track in the space of the model, moved by what was asked for in words."""
    reasons: tuple[str, ...]
    """Why, in words: shared words, mood, tempo, energy, and why this moment."""
    window_s: tuple[float, float]
    """The moment of the track that is laid under the film."""
    licence: str
    credit: str = ""
    tempo_bpm: float = 0.0
    moment_fit: float = 0.0


@dataclass(frozen=True)
class LaidFilm:
    """A film with music under it.

    Attributes:
        out: where it was written.
        duration_s: as long as the film was.
        seconds_taken: from the call to the result.
        mode: what was done; ``replace`` where the film had no sound of its own.
        start_s: where in the track the music begins.
        pieces: begin and end of what is played of the track, one after the other.
        ducked_s: begin and end of the speech under which the music is down.
        loudness_lufs: integrated, of the result.
        true_peak_dbtp: of the result.
    """

    out: str
    duration_s: float
    seconds_taken: float
    mode: Mode
    start_s: float
    pieces: tuple[tuple[float, float], ...]
    ducked_s: tuple[tuple[float, float], ...]
    loudness_lufs: float
    true_peak_dbtp: float


@dataclass(frozen=True)
class MatchAnswer:
    """What was found for a film, best first.

    Attributes:
        results: the tracks.
        video: what was seen in the film.
        watching_s: how long the film was looked at.
        ranking_s: how long the library was ranked, moments included.
        not_understood: phrases of the text that nothing understands.
    """

    results: tuple[MusicMatch, ...]
    video: VideoFeatures
    watching_s: float
    ranking_s: float
    not_understood: tuple[str, ...] = ()
