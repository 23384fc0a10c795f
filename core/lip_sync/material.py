"""What made clips are made of: recordings with their texts, synthetic voices, portraits and cartoons; and the making.

A table of speech is a CSV file with the columns ``file``, ``language`` and ``transcript``, and where there are several
people ``voice``. Files lie beside the table. A row without a file is said by espeak-ng, ``voice`` being its variant.
"""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from core.encoders.faces import FaceLandmarker, Landmarks
from core.errors import CoreError, ParameterError, check_ranges
from core.lip_sync.alignment import align
from core.lip_sync.animator import FaceAnimator
from core.lip_sync.articulation import SILENCE
from core.lip_sync.cartoons import cartoon
from core.lip_sync.data import HELD_OUT_EVERY, SUFFIX, People, held_out
from core.lip_sync.faces import Picture, face_of
from core.lip_sync.inner_mouth import random_look
from core.lip_sync.making import MakeConfig, Speech, made_clip, passage
from core.lip_sync.sound import SAMPLE_RATE
from core.lip_sync.voices import VoiceConfig, speak
from core.media import read_audio
from core.runtime import Progress, silent

PICTURES = (".jpg", ".jpeg", ".png", ".webp")
FACE_PX = 165
"""Faces are brought to this width: a crop then shows a face about as it is."""
_LEAST_FACE_PX, _MOST_SIDE_PX, _AROUND, _MOST_TURN = 100, 1600, 1.05, 0.5
_NOSE, _CHEEKS = 1, (234, 454)
_FRAME_MARGIN_S = 1.0


@dataclass(frozen=True)
class Material:
    """How much is made.

    Raises:
        ParameterError: a value is out of its range.
    """

    each: int = field(default=4, metadata={"help": "clips of each face, 1 to 1000"})
    cartoons: int = field(default=0, metadata={"help": "drawn faces beside the photographs, 0 to 100000"})
    seed: int = field(default=0, metadata={"help": "seed of what is drawn at random"})

    def __post_init__(self) -> None:
        check_ranges(self, ("each", 1, 1000), ("cartoons", 0, 100_000))


@dataclass(frozen=True)
class Portrait:
    """A face to animate: a picture, its mesh (478, 3) in pixels, a name, whose face it is, and whether it is drawn."""

    name: str
    source: str
    picture: Picture
    mesh: Landmarks
    drawn: bool = False


def portraits(folder: Path) -> Iterator[Portrait]:
    """The faces of a folder of pictures that are large enough and look nearly ahead.

    A face is the person's whose name the file has before its first ``~``, or else the file's own.
    """
    with FaceLandmarker(4) as finder:
        for file in sorted(path for path in folder.rglob("*") if path.suffix.lower() in PICTURES):
            picture = np.asarray(Image.open(file).convert("RGB"))
            scale = min(1.0, _MOST_SIDE_PX / max(picture.shape))
            picture = _scaled(picture, scale)
            for number, mesh in enumerate(finder.landmarks(picture)):
                if face_of(mesh[:, :2]).width_px >= _LEAST_FACE_PX and abs(_turn(mesh)) <= _MOST_TURN:
                    yield _cut_out(f"{file.stem}~{number}", file.stem.split("~")[0], picture, mesh)


def _turn(mesh: Landmarks) -> float:
    """How far the nose lies from the middle of the cheeks, in widths of the face; 0 for a face that looks ahead."""
    left, right = mesh[list(_CHEEKS), 0]
    return float((2 * mesh[_NOSE, 0] - left - right) / max(abs(right - left), 1))


def _cut_out(name: str, source: str, picture: Picture, mesh: Landmarks) -> Portrait:
    box = face_of(mesh[:, :2]).box
    reach = _AROUND * float((box[2:] - box[:2]).max())
    low = np.maximum(np.floor((box[:2] + box[2:]) / 2 - reach), 0).astype(int)
    high = np.minimum(np.ceil((box[:2] + box[2:]) / 2 + reach), picture.shape[1::-1]).astype(int)
    scale = min(1.0, FACE_PX / float(box[2] - box[0]))
    window = _scaled(picture[low[1] : high[1], low[0] : high[0]], scale)
    return Portrait(name, source, window, ((mesh - [*low, 0]) * scale).astype(np.float32))


def _scaled(picture: Picture, scale: float) -> Picture:
    if scale == 1:
        return np.ascontiguousarray(picture)
    return np.asarray(cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)


def speeches(table: Path, progress: Progress = silent) -> tuple[list[Speech], list[str]]:
    """The speeches of a table, and for each row that was left out a sentence that says why.

    Raises:
        ParameterError: the table cannot be read or lacks a column.
    """
    found, left_out = [], []
    rows = _rows(table)
    for number, row in enumerate(rows):
        progress(number, len(rows), row["file"] or row["transcript"])
        try:
            found.append(_speech(table.parent, row))
        except CoreError as error:
            left_out.append(f"{table.name}, line {number + 2}: {error}")
    return found, left_out


def _rows(table: Path) -> list[dict[str, str]]:
    try:
        with table.open(encoding="utf-8-sig", newline="") as stream:
            rows = list(csv.DictReader(stream))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ParameterError(f"The table {table} cannot be read ({error}); give a CSV file in UTF-8.") from error
    missing = {"file", "language", "transcript"} - set(rows[0] if rows else ())
    if missing:
        raise ParameterError(
            f"The table {table} has no column {', '.join(sorted(missing))}; its first line names them."
        )
    return rows


def _speech(folder: Path, row: dict[str, str]) -> Speech:
    language, voice = row["language"], row.get("voice") or ""
    if not row["file"]:
        return synthetic(row["transcript"], VoiceConfig(language, voice))
    clip = read_audio(folder / row["file"], sample_rate=SAMPLE_RATE, mono=True)
    wave = np.ascontiguousarray(clip.samples[:, 0])
    phones = align(wave, row["transcript"], language)
    if all(phone.symbol == SILENCE for phone in phones):
        raise ParameterError(f"{row['file']} does not say {row['transcript'][:40]!r}; correct the transcript.")
    return Speech(voice or f"{language}-{Path(row['file']).parent}", wave, phones)


def synthetic(text: str, voice: VoiceConfig) -> Speech:
    """A text said by espeak-ng, at 16 kHz."""
    import librosa

    spoken = speak(text, voice)
    wave = librosa.resample(spoken.wave, orig_sr=spoken.sample_rate, target_sr=SAMPLE_RATE)
    return Speech(f"espeak-{voice.language}-{voice.variant}", wave, spoken.phones)


def cartoons(count: int) -> Iterator[Portrait]:
    """Drawn faces, each of a seed of its own."""
    for seed in range(count):
        picture, mesh = cartoon(seed)
        yield Portrait(f"cartoon{seed:05}", f"cartoon{seed:05}", picture, mesh, drawn=True)


def held_out_faces(faces: Sequence[Portrait]) -> set[str]:
    """Whose faces no training sees: one in six photographed and one in six drawn, each kind by itself."""
    kinds = ({face.source for face in faces if face.drawn == drawn} for drawn in (False, True))
    return set[str]().union(*map(held_out, kinds))


def make_clips(
    faces: Sequence[Portrait], said: Sequence[Speech], config: tuple[Material, MakeConfig], out: Path,
    progress: Progress = silent,
) -> list[Path]:  # fmt: skip
    """Make the clips that ``out`` lacks; faces that are held out say only speeches of voices that are.

    Raises:
        ParameterError: there are no faces, or too few voices to hold any out.
    """
    material, how = config
    by_voice: dict[str, list[Speech]] = {}
    for speech in said:
        by_voice.setdefault(speech.voice, []).append(speech)
    hidden = held_out_faces(faces), held_out(set(by_voice))
    if not hidden[0] or not hidden[1]:
        raise ParameterError(
            f"There are {len(faces)} faces and {len(by_voice)} voices; give at least {HELD_OUT_EVERY} of both."
        )
    out.mkdir(parents=True, exist_ok=True)
    files = []
    for number, (face, take) in enumerate((face, take) for face in faces for take in range(material.each)):
        file = out / f"{face.name}~{take}{SUFFIX}"
        progress(number, len(faces) * material.each, file.stem)
        files.append(file)
        if file.exists():
            continue
        random = np.random.default_rng([material.seed, number])
        unseen = face.source in hidden[0]
        side = sorted(voice for voice in by_voice if (voice in hidden[1]) == unseen)
        voices = tuple(str(random.choice(side)) for _ in range(2))
        seconds = how.frames / 25 + _FRAME_MARGIN_S
        shown, target = (passage(by_voice[voice], seconds, random) for voice in voices)
        animator = FaceAnimator(face.picture, face.mesh, random_look(number))
        made_clip(animator, (shown, target), how, number).write(file, People(face.source, voices, unseen))
    return files
