"""Training clips from films of people who talk, such as those of GRID and LRS2.

The film shows what it says: ``shown`` and ``target`` are the same pictures. People are told apart by the folder that
their films lie in, or by the film's name where all lie in one.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np

from core.errors import CoreError
from core.lip_sync.crops import crop, crop_matrix, points_in_crop, rest_landmarks
from core.lip_sync.data import SUFFIX, Clip, People, held_out
from core.lip_sync.faces import Face, FaceFinder
from core.lip_sync.following import follow_faces
from core.lip_sync.making import MakeConfig
from core.lip_sync.mouths import blurred_crop
from core.lip_sync.sound import FRAME_RATE, SAMPLE_RATE, Columns, mfcc, windows_at
from core.lip_sync.tracks import FaceTrack, FaceTracks
from core.media import VideoReader, read_audio, video_files
from core.runtime import Progress, part_of, silent


def film_clips(folder: Path, config: MakeConfig, out: Path, progress: Progress = silent) -> list[str]:
    """Make the clips of all films of a folder that ``out`` lacks; for each film left out a sentence that says why."""
    films = [Path(file) for file in video_files(str(folder))]
    out.mkdir(parents=True, exist_ok=True)
    who = {film: film.parent.name if film.parent != folder else film.stem for film in films}
    hidden, left_out = held_out(set(who.values())), []
    for number, film in enumerate(films):
        stem = "_".join(film.relative_to(folder).with_suffix("").parts)
        if any(out.glob(f"{glob_safe(stem)}~*{SUFFIX}")):
            continue
        people = People(who[film], (who[film],), who[film] in hidden)
        try:
            made = 0
            for made, clip in enumerate(filmed(film, config, part_of(progress, number, len(films))), 1):
                clip.write(out / f"{stem}~{made:03}{SUFFIX}", people)
            if not made:
                left_out.append(f"{film.name}: no face is seen for {config.frames} pictures without a cut.")
        except CoreError as error:
            left_out.append(f"{film.name}: {error}")
    return left_out


def glob_safe(name: str) -> str:
    """A name with the letters escaped that mean something in a pattern.

    >>> glob_safe("a[1]")
    'a[[]1]'
    """
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in name)


def filmed(path: Path, config: MakeConfig, progress: Progress = silent) -> Iterator[Clip]:
    """The clips of one film, of every face that is seen long enough.

    Raises:
        MediaError: the film cannot be read, or has no sound.
    """
    sound = read_audio(path, sample_rate=SAMPLE_RATE, mono=True)
    columns = mfcc(np.ascontiguousarray(sound.samples[:, 0]))
    with FaceFinder() as finder:
        faces = follow_faces(path, finder, progress=progress)
    for track in faces.tracks:
        times_s = _times(faces, track)
        for start in range(0, len(times_s) - config.frames + 1, config.frames):
            yield _clip(path, (faces, track), times_s[start : start + config.frames], columns)


def _times(faces: FaceTracks, track: FaceTrack) -> list[Fraction]:
    """Times 25 a second from the first to the last picture of a face."""
    first, last = faces.times_s[track.start], faces.times_s[track.stop - 1]
    return [first + n / FRAME_RATE for n in range(int((last - first) * FRAME_RATE) + 1)]


def _clip(path: Path, who: tuple[FaceTracks, FaceTrack], times_s: Sequence[Fraction], columns: Columns) -> Clip:
    faces, track = who
    shown, blurred, rest, landmarks, opening = [], [], [], [], []
    with VideoReader(path) as reader:
        for frame in reader.frames_at(times_s):
            face = _face_at(faces, track, frame.time_s)
            matrix = crop_matrix(face)
            shown.append(crop(frame.pixels, matrix))
            blurred.append(blurred_crop(frame.pixels, face, matrix))
            rest.append(points_in_crop(rest_landmarks(face), matrix))
            landmarks.append(points_in_crop(face.mouth, matrix))
            opening.append(face.openness)
    windows = windows_at(columns, [time_s + 1 / FRAME_RATE / 2 for time_s in times_s]).astype(np.float16)
    pictures = np.stack(shown)
    return Clip(
        pictures, np.stack(blurred), pictures, np.stack(rest), np.stack(landmarks), windows, windows,
        np.array(opening, np.float32),
    )  # fmt: skip


def _face_at(faces: FaceTracks, track: FaceTrack, time_s: Fraction) -> Face:
    """The face in the picture that is shown at a time."""
    frame = bisect_right(faces.times_s, time_s) - 1
    found = track.face_at(min(max(frame, track.start), track.stop - 1))
    assert found is not None
    return found
