"""Who is to say what, and what a film says of itself afterwards."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path

from core.errors import NoFaceError, ParameterError
from core.lip_sync.tracks import FaceTrack, FaceTracks

DrawnMouth = tuple[int, tuple[float, float, float, float]]


@dataclass(frozen=True)
class SyncRequest:
    """Who is to say what.

    Where several recordings are given, each begins with the film, and the new soundtrack is the sum of all.

    Attributes:
        face: a film, an animation or a picture.
        speech: a file with sound; None where everybody who speaks is among ``speakers``.
        faces: numbers of the faces that say ``speech``, as `inspect` gives them; None: the largest one of every shot,
            and where that is away the next one.
        drawn: mouths that somebody drew, a frame and (left, top, right, bottom) in pixels, where no face is found. They
            say ``speech``, and their numbers follow those of the faces, shot by shot.
        seconds: of the beginning alone, for a test; None: all.
        speakers: faces that say something of their own, by number, each with a file with sound.

    Raises:
        ParameterError: there is nothing to be said, or ``seconds`` is not above zero.
    """

    face: Path
    speech: Path | None
    faces: tuple[int, ...] | None = None
    drawn: tuple[DrawnMouth, ...] = ()
    seconds: float | None = None
    speakers: Mapping[int, Path] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.speech is None and not self.speakers:
            raise ParameterError("There is nothing to be said; give a recording of speech.")
        if self.seconds is not None and not (isfinite(self.seconds) and self.seconds > 0):
            raise ParameterError(f"The test lasts {self.seconds} s; give a number above zero.")

    @property
    def recordings(self) -> tuple[Path, ...]:
        """The files to be heard, each once."""
        given = () if self.speech is None else (self.speech,)
        return tuple(dict.fromkeys((*given, *self.speakers.values())))

    def said_by(self, face: int) -> Path:
        """The file that a face says.

        Raises:
            ParameterError: it has none.
        """
        said = self.speakers.get(face, self.speech)
        if said is None:
            raise ParameterError(f"Face {face} has nothing to say; give it a recording, or give one for all.")
        return said


def chosen_tracks(faces: FaceTracks, request: SyncRequest, name: str) -> tuple[FaceTrack, ...]:
    """The faces that speak, in the order in which they begin.

    Those with a recording of their own and those around drawn mouths do, and those asked for. Where none are asked for
    nor drawn, the largest of every shot says the recording that is for all, and where that is away the next one.

    Args:
        faces: of the film, drawn ones included.
        request: see `SyncRequest`.
        name: of the film, for messages.

    Raises:
        NoFaceError: there is none.
        ParameterError: one that is asked for does not exist, or has nothing to say.
    """
    if not faces.tracks:
        raise NoFaceError(
            f"No face was found in {name}; give one whose face takes up an eighth of the picture, "
            "or draw a box around its mouth."
        )
    drawn = {track.number for track in faces.tracks if track.drawn}
    asked = {*(request.faces or ()), *request.speakers}
    unknown = sorted(asked - {track.number for track in faces.tracks})
    if unknown:
        there = ", ".join(str(track.number) for track in faces.tracks)
        raise ParameterError(f"There is no face {unknown[0]} in {name}; choose from {there}.")
    wanted = asked | drawn
    if request.faces is None and request.speech is not None and not drawn:
        wanted |= _largest(faces, set(request.speakers))
    if not wanted:
        raise ParameterError("No face is chosen; choose at least one.")
    for number in sorted(wanted):
        request.said_by(number)
    return tuple(track for track in faces.tracks if track.number in wanted)


def _largest(faces: FaceTracks, without: set[int]) -> set[int]:
    """The faces that take up most, summed over their pictures, of which no two are in one picture."""
    chosen: list[FaceTrack] = []
    for track in sorted(faces.tracks, key=lambda track: (-_extent(track), track.number)):
        beside = [other for other in chosen if track.start < other.stop and other.start < track.stop]
        if track.number not in without and not beside:
            chosen.append(track)
    return {track.number for track in chosen}


def _extent(track: FaceTrack) -> float:
    """The area of a face, summed over its pictures."""
    sides = track.boxes[:, 2:] - track.boxes[:, :2]
    return float((sides[:, 0] * sides[:, 1]).sum())


def provenance(request: SyncRequest) -> dict[str, str]:
    """What the file's metadata say of how it was made."""
    said = {
        "tool": "Showreel lip-sync",
        "changed": "mouth region",
        "speech": ", ".join(recording.name for recording in request.recordings),
    }
    return {
        "comment": "Made with Showreel lip-sync: the mouth was changed to say other words.",
        "showreel": json.dumps(said, ensure_ascii=False),
    }
