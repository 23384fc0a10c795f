"""Training clips from still faces and speech whose phones are known, and from films of people who talk.

A still face is animated twice with the same movement of the head: once it says what is shown, once what is asked for.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from core.errors import ParameterError, check_ranges
from core.lip_sync.animator import FaceAnimator, HeadPose
from core.lip_sync.articulation import Phone, articulation
from core.lip_sync.crops import crop, crop_matrix, points_in_crop, rest_landmarks
from core.lip_sync.data import Clip
from core.lip_sync.faces import face_of
from core.lip_sync.mouths import blurred_crop
from core.lip_sync.sound import FRAME_RATE, SAMPLE_RATE, frame_windows, mfcc
from core.lip_sync.tracks import smoothed

Wave = NDArray[np.float32]
Picture = NDArray[np.uint8]

_POSE_SIGMA_FRAMES = 12


@dataclass(frozen=True)
class Speech:
    """A recording or a synthetic voice.

    Attributes:
        voice: whose it is.
        wave: (N,), mono at 16 kHz, in [-1, 1].
        phones: of the whole of it, without gaps.
    """

    voice: str
    wave: Wave
    phones: tuple[Phone, ...]


@dataclass(frozen=True)
class MakeConfig:
    """What made clips are like.

    Raises:
        ParameterError: a value is out of its range.
    """

    frames: int = field(default=60, metadata={"help": "pictures of a clip, 25 a second, 30 to 1000"})
    turn_deg: float = field(default=6.0, metadata={"help": "how far heads turn, 0 to 15 degrees"})
    shift: float = field(default=0.03, metadata={"help": "how far heads move, in face widths, 0 to 0.2"})
    noise_db: float = field(default=15.0, metadata={"help": "loudest noise, in dB below the speech, 0 to 60"})

    def __post_init__(self) -> None:
        check_ranges(self, ("frames", 30, 1000), ("turn_deg", 0, 15), ("shift", 0, 0.2), ("noise_db", 0, 60))


def passage(speeches: Sequence[Speech], seconds: float, random: np.random.Generator) -> Speech:
    """Utterances of one voice, one after the other with pauses between them, from a random point on.

    Raises:
        ParameterError: there is nothing to say.
    """
    if not speeches:
        raise ParameterError("There is no speech to make clips of; give at least one recording.")
    waves: list[Wave] = []
    phones: list[Phone] = []
    reached = 0
    while reached < (seconds + 1) * SAMPLE_RATE:
        said = speeches[int(random.integers(len(speeches)))]
        pause = np.zeros(int(random.uniform(0.1, 0.7) * SAMPLE_RATE), np.float32)
        for wave, named in ((pause, (Phone("_", 0.0, len(pause) / SAMPLE_RATE),)), (said.wave, said.phones)):
            begin = reached / SAMPLE_RATE
            phones += [Phone(phone.symbol, begin + phone.start_s, begin + phone.stop_s) for phone in named]
            waves.append(wave)
            reached += len(wave)
    cut = int(random.uniform(0, 1) * SAMPLE_RATE)
    return Speech(speeches[0].voice, np.concatenate(waves)[cut:], _later(phones, cut / SAMPLE_RATE))


def head_poses(config: MakeConfig, random: np.random.Generator) -> list[HeadPose]:
    """Slow movements of a head, smooth noise of half a second's deviation, by picture."""
    reach = np.array([config.turn_deg] * 3 + [config.shift] * 2) * random.uniform(0.2, 1, 5)
    course = smoothed(random.normal(size=(config.frames, 5)).astype(np.float32), _POSE_SIGMA_FRAMES)
    course *= reach / np.maximum(np.abs(course).max(axis=0), 1e-6)
    return [HeadPose(*(float(value) for value in row)) for row in course]


def made_clip(animator: FaceAnimator, said: tuple[Speech, Speech], config: MakeConfig, seed: int) -> Clip:
    """Animate a face that says the first passage, and the second one; both last at least as long as the clip."""
    random = np.random.default_rng(seed)
    poses = head_poses(config, random)
    mouths = [articulation(speech.phones, config.frames, FRAME_RATE) for speech in said]
    for mouth in mouths:
        mouth[:, 0] = (mouth[:, 0] * random.uniform(0.7, 1.1)).clip(0, 1)
    windows = [_windows(_noisy(speech.wave, config, random), config.frames) for speech in said]
    pictures: list[tuple[Picture, Picture, Picture]] = []
    points: list[tuple[NDArray[np.float32], NDArray[np.float32]]] = []
    opening = []
    for shown, target, pose in zip(*mouths, poses, strict=True):
        first, second = animator.frame(shown, pose), animator.frame(target, pose)
        face = face_of(first.mesh)
        matrix = crop_matrix(face)
        picture, blurred = crop(first.picture, matrix), blurred_crop(first.picture, face, matrix)
        pictures.append((picture, blurred, crop(second.picture, matrix)))
        points.append((points_in_crop(rest_landmarks(face), matrix), points_in_crop(face.mouth, matrix)))
        opening.append(face_of(second.mesh).openness)
    shown, blurred, target = (np.stack(part) for part in zip(*pictures, strict=True))
    rest, landmarks = (np.stack(part).astype(np.float32) for part in zip(*points, strict=True))
    return Clip(shown, blurred, target, rest, landmarks, windows[0], windows[1], np.array(opening, np.float32))


def _later(phones: Sequence[Phone], begin_s: float) -> tuple[Phone, ...]:
    """The phones from a time on, counted from there."""
    return tuple(
        Phone(phone.symbol, max(0.0, phone.start_s - begin_s), phone.stop_s - begin_s)
        for phone in phones
        if phone.stop_s > begin_s
    )


def _noisy(wave: Wave, config: MakeConfig, random: np.random.Generator) -> Wave:
    level = float(np.sqrt((wave**2).mean())) * 10 ** (-(config.noise_db + random.uniform(0, 40)) / 20)
    noise = random.normal(size=len(wave)).astype(np.float32)
    if random.random() < 0.5:  # a low hum rather than a hiss
        noise = np.convolve(noise, np.full(8, 0.35, np.float32), "same")
    return np.asarray(wave + level * noise, np.float32)


def _windows(wave: Wave, frames: int) -> NDArray[np.float16]:
    return frame_windows(mfcc(wave), frames, Fraction(FRAME_RATE)).astype(np.float16)
