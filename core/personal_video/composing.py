"""Training clips composed from parts: a subject, what it does, where, and how the camera moves, with a caption that
says all of it and pictures of the same subject for reference.

Whether a clip may be trained on follows from its parts alone: some subjects, some pairs of action and subject, and
some backgrounds are kept out, by a hash of their names that is the same on every machine and in every run.
"""

import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from core.errors import ParameterError, check_ranges
from core.personal_video import backgrounds, motions
from core.personal_video.backgrounds import Background, Camera, Photograph
from core.personal_video.motions import Motion
from core.personal_video.scripts import Role, worded
from core.personal_video.subjects import Pixels, Subject, shrink

Floats = NDArray[np.float64]
Side = Literal["train", "held_out", "left out"]
Part = Literal["subject", "pair", "background"]
KEPT_OUT_SHARE = 0.1
"""Of subjects, of pairs of action and subject, and of backgrounds. To change it is to change the division."""
_FINE = 2
_VIGOUR = 0.12
_SHADOW_WAY, _SHADOW_BLUR = (0.03, 0.045), 0.028
"""Of a shadow: how far right and down, and how soft, in pictures."""
_MOST_TRIES = 10_000


@dataclass(frozen=True)
class Scene:
    """The parts of a clip."""

    subject: Subject
    motion: Motion
    background: Background
    camera: Camera = "still"


@dataclass(frozen=True)
class Material:
    """What clips are composed of: subjects, and photographs for backgrounds (patterns alone when there are none)."""

    subjects: Sequence[Subject]
    photographs: Sequence[Photograph] = ()

    @cached_property
    def sources(self) -> tuple[tuple[Subject, ...], ...]:
        """The subjects, those with the same source together."""
        together: dict[str, list[Subject]] = {}
        for subject in self.subjects:
            together.setdefault(subject.source, []).append(subject)
        return tuple(tuple(variants) for variants in together.values())


@dataclass(frozen=True)
class ComposeConfig:
    """How clips are composed.

    Raises:
        ParameterError: a value is out of its range.
    """

    side_px: int = field(default=64, metadata={"help": "side of a clip's frames, 16 to 512"})
    frames: int = field(default=16, metadata={"help": "frames in which a motion is done once, 4 to 64"})
    references: int = field(default=2, metadata={"help": "pictures of the subject beside each clip, 0 to 16"})
    smallest: float = field(default=0.28, metadata={"help": "least longest side of a subject, in pictures, 0.05 to 1"})
    largest: float = field(default=0.55, metadata={"help": "greatest, 0.05 to 1"})
    shadow_share: float = field(default=0.4, metadata={"help": "how many clips have a soft shadow, 0 to 1"})
    plain_share: float = field(default=0.3, metadata={"help": "how many have one plain colour behind, 0 to 1"})
    still_share: float = field(default=0.6, metadata={"help": "how many have a camera at rest, 0 to 1"})
    side: Side = field(default="train", metadata={"help": "which side of the division clips come from"})

    def __post_init__(self) -> None:
        shares = [(name, 0, 1) for name in ("shadow_share", "plain_share", "still_share")]
        sizes = [("side_px", 16, 512), ("frames", 4, 64), ("references", 0, 16)]
        check_ranges(self, *sizes, ("smallest", 0.05, 1), ("largest", self.smallest, 1), *shares)


@dataclass(frozen=True, eq=False)
class Composed:
    """A clip and all that is known of it.

    Attributes:
        frames: (T, H, W, 3).
        masks: (T, H, W), the subject's opacity.
        plates: (T, H, W, 3), the same without subject and shadow.
        shadows: (T, H, W), how much the shadow takes away, of 255.
        caption: one sentence.
        span: where in it the subject stands: ``caption[slice(*span)]``.
        references: (R, H, W, 3), the subject at other sizes and angles, mirrored, lighter or darker, before others.
        reference_masks: (R, H, W), its opacity there.
        path: (T, 5), see `core.personal_video.motions`; place and size in pictures.
        scene: the parts.
    """

    frames: Pixels
    masks: Pixels
    plates: Pixels
    shadows: Pixels
    caption: str
    span: tuple[int, int]
    references: Pixels
    reference_masks: Pixels
    path: Floats
    scene: Scene


def kept_out(subject: Subject, motion: Motion, background: Background) -> frozenset[Part]:
    """Which parts are kept out of training. A pair is asked for only with a subject that is trained on.

    Subjects go by their source, so with all their variants; motions by their action; backgrounds by kind and colours.
    """
    parts: set[Part] = set()
    if _chosen("subject", subject.source):
        parts.add("subject")
    elif _chosen("pair", f"{motion.action} {subject.source}"):
        parts.add("pair")
    if _chosen("background", background.key):
        parts.add("background")
    return frozenset(parts)


def side_of(subject: Subject, motion: Motion, background: Background) -> Side:
    """Where a clip of these parts belongs: "train" when none is kept out, "held_out" when one is, so that a figure
    tells of one thing, and "left out" when several are.
    """
    sides: tuple[Side, ...] = ("train", "held_out", "left out")
    return sides[min(2, len(kept_out(subject, motion, background)))]


def _chosen(what: str, name: str) -> bool:
    digest = hashlib.blake2b(f"{what}: {name}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") < KEPT_OUT_SHARE * 2**64


def clips(material: Material, config: ComposeConfig, seed: int, start: int = 0, step: int = 1) -> Iterator[Composed]:
    """Clips without end; the n-th is the same whoever makes it.

    A worker sends on the arrays it is asked for, not the whole clip: the scene holds all frames of its subject.

    Args:
        material: subjects and photographs.
        config: sizes, shares, and the side of the division.
        seed: of the whole row.
        start: the first clip's number; worker k of n starts at k,
        step: and goes on by n.

    Raises:
        ParameterError: the material gives no clip for that side.
    """
    number = start
    while True:
        yield clip_at(material, config, seed, number)
        number += step


def clip_at(material: Material, config: ComposeConfig, seed: int, number: int) -> Composed:
    """The clip of that number.

    Raises:
        ParameterError: the material gives no clip for the config's side.
    """
    random = np.random.default_rng([seed, number])
    return compose_clip(draw_scene(material, config, random), config, int(random.integers(2**62)))


def draw_scene(material: Material, config: ComposeConfig, random: np.random.Generator) -> Scene:
    """Parts by lot, of which `side_of` says the config's side; every source is as likely, however many variants it has.

    Raises:
        ParameterError: there are no subjects, or none for that side was found.
    """
    if not material.subjects:
        raise ParameterError("There are no subjects to compose clips of; read some first.")
    for _ in range(_MOST_TRIES):
        variants = material.sources[int(random.integers(len(material.sources)))]
        subject = variants[int(random.integers(len(variants)))]
        motion = motions.drawn(random)
        background = backgrounds.drawn(random, material.photographs, config.plain_share)
        moving = background.cameras[1:]
        camera: Camera = "still"
        if moving and random.random() >= config.still_share:
            camera = moving[int(random.integers(len(moving)))]
        if side_of(subject, motion, background) == config.side:
            return Scene(subject, motion, background, camera)
    raise ParameterError(f"No clip for the side {config.side!r} was found; give more subjects than these few.")


def compose_clip(scene: Scene, config: ComposeConfig, seed: int) -> Composed:
    """One clip; the same scene, config and seed give the same bytes.

    Args:
        scene: its parts.
        config: sizes and shares.
        seed: decides size, place, phrasing, shades, and the references.

    Raises:
        ParameterError: the camera cannot be seen over the background.
    """
    random = np.random.default_rng(seed)
    caption, span = captioned(scene, random)
    path = placed(scene, config, random)
    layers = sprites(scene.subject, path, config.side_px, int(random.integers(len(scene.subject.pictures))))
    plates = backgrounds.plates(scene.background, scene.camera, config.frames, config.side_px, random)
    strength = random.uniform(0.25, 0.5) if random.random() < config.shadow_share else 0.0
    shadows = shadows_of(layers[..., 3], strength)
    references, reference_masks = _references(scene.subject, config, random)
    return Composed(
        over(layers, shaded(plates, shadows)),
        np.ascontiguousarray(layers[..., 3]),
        plates,
        shadows,
        caption,
        span,
        references,
        reference_masks,
        path,
        scene,
    )


def captioned(scene: Scene, random: np.random.Generator) -> tuple[str, tuple[int, int]]:
    """The sentence about a scene, and from where to where in it the subject stands."""
    role = Role(scene.subject.phrase, scene.motion, scene.subject.plural)
    text, (span,) = worded((role,), scene.background, scene.camera, random)
    return text, span


def placed(scene: Scene, config: ComposeConfig, random: np.random.Generator) -> Floats:
    """The motion's path (T, 5) for a subject of a size by lot, laid so that the subject stays in the picture.

    Where motion and size do not fit together, the size gives way.
    """
    path = motions.path_of(scene.motion, config.frames, float(random.uniform(1 - _VIGOUR, 1 + _VIGOUR)))
    low, high = path[:, :2].min(axis=0), path[:, :2].max(axis=0)
    reach = _reach(scene.subject, path)
    room = float(((1 - (high - low)) / (2 * reach)).min())
    size = min(float(random.uniform(config.smallest, config.largest)), room)
    margin = size * reach
    path[:, :2] += random.uniform(margin - low, np.maximum(margin - low, 1 - margin - high))
    path[:, 2] *= size
    return path


def _reach(subject: Subject, path: Floats) -> Floats:
    """How far a subject of size 1 extends from its anchor, across and down, at the most along its path."""
    height, width = subject.pictures.shape[1:3]
    across, down = subject.anchor
    longest = max(height, width)
    half = max(across, width - 1 - across) + 0.5, max(down, height - 1 - down) + 0.5
    half = half[0] / longest, half[1] / longest
    angle, squash = np.radians(path[:, 3]), 1 + path[:, 4]
    wide, high = half[0] * squash, half[1] / squash
    cos, sin = np.abs(np.cos(angle)), np.abs(np.sin(angle))
    return np.array([(path[:, 2] * (wide * cos + high * sin)).max(), (path[:, 2] * (wide * sin + high * cos)).max()])


def sprites(subject: Subject, path: Floats, side_px: int, phase: int = 0) -> Pixels:
    """The subject along its path over nothing: (T, side_px, side_px, 4), RGB times opacity, and opacity.

    It is drawn at twice the size and averaged down. An animated one plays once, from the frame `phase`.
    """
    canvas = _FINE * side_px
    count, frames = len(subject.pictures), len(path)
    shown = [(phase + index * count // frames) % count for index in range(frames)]
    largest = float(path[:, 2].max())
    smaller: dict[tuple[int, int], Pixels] = {}
    layers = np.empty((frames, side_px, side_px, 4), np.uint8)
    for index, (row, number) in enumerate(zip(path, shown, strict=True)):
        level = min(3, int(math.log2(largest / row[2]) + 0.25))
        if (number, level) not in smaller:
            longest = max(1, math.ceil(largest * canvas / 2**level))
            smaller[number, level] = shrink(subject.pictures[number : number + 1], longest)[0]
        fine = _drawn(smaller[number, level], subject, row, canvas)
        layers[index] = cv2.resize(fine, (side_px, side_px), interpolation=cv2.INTER_AREA)
    return layers


def _drawn(picture: Pixels, subject: Subject, row: Floats, canvas: int) -> Pixels:
    """One picture of the subject where, as large, turned and pressed as a row of the path says: (canvas, canvas, 4)."""
    x, y, scale, angle, squash = (float(value) for value in row)
    height, width = picture.shape[:2]
    whole_height, whole_width = subject.pictures.shape[1:3]
    factor = scale * canvas / max(height, width)
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    wide, high = factor * (1 + squash), factor / (1 + squash)
    anchor = (
        (subject.anchor[0] + 0.5) * width / whole_width - 0.5,
        (subject.anchor[1] + 0.5) * height / whole_height - 0.5,
    )
    matrix: NDArray[Any] = np.array(
        [[wide * cos, -high * sin, x * canvas - 0.5], [wide * sin, high * cos, y * canvas - 0.5]]
    )
    matrix[:, 2] -= matrix[:, :2] @ anchor
    return np.asarray(cv2.warpAffine(picture, matrix, (canvas, canvas), flags=cv2.INTER_LINEAR), np.uint8)


def over(layers: Pixels, plates: Pixels) -> Pixels:
    """Lay pictures whose RGB is multiplied by their opacity over opaque ones: colour + plate * (1 - opacity)."""
    through = 255 - layers[..., 3:].astype(np.uint16)
    behind = (plates * through + np.uint16(127)) // np.uint16(255)
    return np.minimum(layers[..., :3] + behind, 255).astype(np.uint8)


def shadows_of(opacities: Pixels, strength: float) -> Pixels:
    """Soft shadows to the lower right, (T, H, W), of 255; nothing when the strength, of 1, is 0."""
    shadows = np.zeros_like(opacities)
    if strength > 0:
        height, width = opacities.shape[1:]
        matrix = np.array([[1, 0, _SHADOW_WAY[0] * width], [0, 1, _SHADOW_WAY[1] * height]])
        for index, opacity in enumerate(opacities):
            moved = cv2.warpAffine(opacity, matrix, (width, height), flags=cv2.INTER_LINEAR)
            shadows[index] = cv2.GaussianBlur(moved, (0, 0), _SHADOW_BLUR * width) * strength
    return shadows


def shaded(plates: Pixels, shadows: Pixels) -> Pixels:
    """The plates with the shadows on them."""
    if not shadows.any():
        return plates
    left = 255 - shadows[..., None].astype(np.uint16)
    return ((plates * left + np.uint16(127)) // np.uint16(255)).astype(np.uint8)


def _references(subject: Subject, config: ComposeConfig, random: np.random.Generator) -> tuple[Pixels, Pixels]:
    """Pictures of the subject, and its opacity in them, made so that to copy one is not to answer: another frame, size,
    angle and place, half of them mirrored, lighter or darker, over another background.
    """
    side = config.side_px
    pictures = np.empty((config.references, side, side, 3), np.uint8)
    masks = np.empty((config.references, side, side), np.uint8)
    for index in range(config.references):
        row = np.array([[0.5, 0.5, 1.0, random.uniform(-25, 25), random.uniform(-0.06, 0.06)]])
        reach = _reach(subject, row)
        row[0, 2] = size = random.uniform(0.6, 0.98) * 0.5 / reach.max()
        row[0, :2] = random.uniform(size * reach, 1 - size * reach)
        layer = sprites(subject, row, side, int(random.integers(len(subject.pictures))))
        colours, opacity = layer[..., :3].astype(np.float32), layer[..., 3:].astype(np.float32)
        contrast, light = random.uniform(0.85, 1.15), random.uniform(-18, 18)
        colours = (colours - opacity / 2) * contrast + opacity * (0.5 + light / 255)
        layer[..., :3] = np.clip(np.round(colours), 0, opacity)
        plate = backgrounds.plates(backgrounds.drawn(random), "still", 1, side, random)
        mirrored = slice(None, None, -1 if random.random() < 0.5 else 1)
        pictures[index] = over(layer, plate)[0][:, mirrored]
        masks[index] = layer[0, :, mirrored, 3]
    return pictures, masks
