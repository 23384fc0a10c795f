"""Ladders of faults: each takes a clean clip down from hardly visible to ruined in five steps.

Where a fault's strengths follow a published set of pictures with human scores, that set is named and its mean scores
are the labels (`Ladder.scores`); where VMAF is valid, VMAF labels the clip (`Ladder.by_vmaf`); where there is neither,
the labels are a rule of our own, which says no more than that each step is worse than the one before.
Sources: KADID-10k (Lin, Hosu and Saupe, QoMEX 2019), strengths and mean scores by level; frame rates after Ou, Ma, Liu
and Wang, "Perceptual quality assessment of video considering both frame rate and quantization artifacts", 2011.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

import cv2
import numpy as np
from numpy.typing import NDArray

from core.media.coding import Codec, coded

Pixels = NDArray[np.uint8]
Clip = list[Pixels]
STEPS = 5
PRISTINE = 4.7
"""The label of a clean clip: nobody's mean opinion reaches 5."""
_KADID_HEIGHT = 384
"""Rows of the pictures in KADID-10k: strengths given in pixels are scaled from there."""
_FALL = 5.0
_GRAIN = 5.0
"""Deviation of the grain of low light, of 255, for a strength of 1."""


@dataclass(frozen=True)
class Scene:
    """A clean clip on its way down: its pictures, (H, W, 3) of one size, their rate, and the seed of what is drawn."""

    pictures: Sequence[Pixels]
    frame_rate: Fraction
    seed: int


@dataclass(frozen=True)
class Ladder:
    """One fault in five strengths.

    Attributes:
        name: of the ladder.
        fault: the fault it shows, one of `core.video_quality.results.FAULTS`.
        strengths: five, from weak to strong.
        apply: the scene and a strength to the distorted clip, of as many pictures.
        scores: label of each step, 1 to 5; empty where VMAF labels the clips or a rule does.
        by_vmaf: VMAF is valid for it.
        origin: where the labels come from.
        moving: only for clips in which something moves.
    """

    name: str
    fault: str
    strengths: tuple[float, ...]
    apply: Callable[[Scene, float], Clip]
    scores: tuple[float, ...] = ()
    by_vmaf: bool = False
    origin: str = "VMAF"
    moving: bool = False


def gaussian_blur(scene: Scene, strength: float) -> Clip:
    """Gaussian blur, sigma in thousandths of the height."""
    sigma = strength * scene.pictures[0].shape[0] / 1000
    return [np.asarray(cv2.GaussianBlur(p, (0, 0), sigma), np.uint8) for p in scene.pictures]


def motion_blur(scene: Scene, strength: float) -> Clip:
    """A straight smear in one direction, its length in pixels of KADID's 384 rows."""
    length = max(1.0, strength * scene.pictures[0].shape[0] / _KADID_HEIGHT)
    angle = np.random.default_rng(scene.seed).uniform(0, math.pi)
    half = math.ceil(length)
    line = np.zeros((2 * half + 1, 2 * half + 1), np.float32)
    for place in np.linspace(-length, length, 8 * half + 1):
        line[round(half + place * math.sin(angle)), round(half + place * math.cos(angle))] += 1
    return [np.asarray(cv2.filter2D(p, -1, line / line.sum()), np.uint8) for p in scene.pictures]


def rescale(scene: Scene, strength: float) -> Clip:
    """Made smaller by a factor and brought back to its size, bicubic both ways."""
    height, width = scene.pictures[0].shape[:2]
    small = max(2, round(width / strength)), max(2, round(height / strength))
    down = [cv2.resize(p, small, interpolation=cv2.INTER_AREA) for p in scene.pictures]
    return [np.asarray(cv2.resize(p, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8) for p in down]


def noise(scene: Scene, strength: float) -> Clip:
    """White noise in each colour, new in each picture; ``strength`` is its variance for values from 0 to 1."""
    random = np.random.default_rng(scene.seed)
    sigma = np.float32(255 * math.sqrt(strength))
    return [_rounded(p + sigma * random.standard_normal(p.shape, np.float32)) for p in scene.pictures]


def banding(scene: Scene, strength: float) -> Clip:
    """Each colour rounded to ``strength`` levels."""
    steps = strength - 1
    table = (np.round(np.arange(256) / 255 * steps) / steps * 255).round().astype(np.uint8)
    return [table[p] for p in scene.pictures]


def darken(scene: Scene, strength: float) -> Clip:
    """Low light: a curve that brings middle grey down by half of ``strength``, and the grain that a sensor then shows.

    The curve is KADID-10k's and leaves black and white. The grain, of up to 4 values of 255, is too fine for the scale
    of that set's noise, which begins at twice that.
    """
    exponent = math.log(0.5 - strength / 2) / math.log(0.5)
    random = np.random.default_rng(scene.seed)
    grain = np.float32(_GRAIN * strength)
    dark = _through(scene, (np.arange(256) / 255) ** exponent)
    return [_rounded(p + grain * random.standard_normal(p.shape, np.float32)) for p in dark]


def brighten(scene: Scene, strength: float) -> Clip:
    """Over-exposed: all light raised by the share ``strength``, and cut off at white."""
    return _through(scene, np.arange(256) / 255 * (1 + strength))


def frame_drop(scene: Scene, strength: float) -> Clip:
    """Only every n-th picture is new, the others repeat it."""
    every = int(strength)
    return [scene.pictures[number - number % every] for number in range(len(scene.pictures))]


def freeze(scene: Scene, strength: float) -> Clip:
    """The picture stands still for a share of the clip, at a place that is drawn, and then jumps ahead."""
    count = len(scene.pictures)
    length = max(2, round(strength * count))
    start = int(np.random.default_rng(scene.seed).integers(0, max(1, count - length)))
    return [scene.pictures[start if start <= n < start + length else n] for n in range(count)]


def shake(scene: Scene, strength: float) -> Clip:
    """The camera trembles: each picture is moved by a random vector, its deviation in hundredths of the height.

    The clip is cut to nine tenths and enlarged, so that no edge shows.
    """
    random = np.random.default_rng(scene.seed)
    height, width = scene.pictures[0].shape[:2]
    margin = 0.05 * height
    out = []
    for picture in scene.pictures:
        move = np.clip(random.normal(0, strength / 100 * height, 2), -margin, margin)
        matrix = np.array([[1 / 0.9, 0, 0], [0, 1 / 0.9, 0]])
        matrix[:, 2] = [move[0] - width * 0.05 / 0.9, move[1] - height * 0.05 / 0.9]
        out.append(
            np.asarray(cv2.warpAffine(picture, matrix, (width, height), borderMode=cv2.BORDER_REFLECT), np.uint8)
        )
    return out


def h264(scene: Scene, strength: float) -> Clip:
    """H.264 at a constant rate factor."""
    return _coded(scene, Codec("libx264", {"crf": str(int(strength)), "preset": "superfast"}))


def h265(scene: Scene, strength: float) -> Clip:
    """H.265 at a constant rate factor."""
    options = {"crf": str(int(strength)), "preset": "ultrafast", "x265-params": "log-level=none:pools=none"}
    return _coded(scene, Codec("libx265", options))


def vp9(scene: Scene, strength: float) -> Clip:
    """VP9 at a constant quality."""
    options = {"crf": str(int(strength)), "b:v": "0", "deadline": "realtime", "cpu-used": "8"}
    return _coded(scene, Codec("libvpx-vp9", options))


def mpeg4(scene: Scene, strength: float) -> Clip:
    """MPEG-4 part 2, which has no filter over its blocks, at a fixed quantiser."""
    quantiser = str(int(strength))
    return _coded(scene, Codec("mpeg4", {"qmin": quantiser, "qmax": quantiser, "b": "100000000"}))


def transmission(scene: Scene, strength: float) -> Clip:
    """A share of the slices of an H.264 stream at CRF 23 is damaged on the way."""
    options = {"crf": "23", "preset": "superfast", "slices": "6", "g": "25", "bf": "0", "threads": "1"}
    return _coded(scene, Codec("libx264", options, lost=strength, seed=scene.seed))


LADDERS = (
    Ladder("h264", "blocks", (26, 32, 38, 44, 50), h264, by_vmaf=True),
    Ladder("h265", "blocks", (26, 32, 38, 44, 50), h265, by_vmaf=True),
    Ladder("vp9", "blocks", (24, 36, 46, 55, 63), vp9, by_vmaf=True),
    Ladder("mpeg4", "blocks", (3, 8, 14, 22, 31), mpeg4, by_vmaf=True),
    Ladder("transmission", "blocks", (0.01, 0.03, 0.08, 0.2, 0.5), transmission, by_vmaf=True),
    Ladder("rescale", "blur", (1.5, 2.2, 3.2, 4.5, 7), rescale, by_vmaf=True),
    Ladder("gaussian_blur", "blur", (1.5, 3, 5, 8, 13), gaussian_blur, by_vmaf=True),
    Ladder("motion_blur", "blur", (2, 3, 4, 6, 10), motion_blur, (4.10, 3.47, 2.85, 2.18, 1.67), origin="KADID-10k"),
    Ladder("noise", "noise", (0.001, 0.002, 0.003, 0.005, 0.01), noise, (3.89, 3.39, 3.05, 2.71, 2.30),
           origin="KADID-10k"),
    Ladder("banding", "banding", (20, 16, 13, 10, 7), banding, (4.17, 3.93, 3.69, 3.37, 2.80), origin="KADID-10k"),
    Ladder("dark", "exposure", (0.2, 0.35, 0.5, 0.65, 0.8), darken, (4.23, 3.71, 3.20, 2.71, 2.22),
           origin="KADID-10k"),
    Ladder("bright", "exposure", (0.25, 0.45, 0.65, 0.85, 1.1), brighten, (4.13, 3.48, 2.86, 2.37, 1.81),
           origin="KADID-10k"),
    Ladder("frame_drop", "freeze", (2, 3, 4, 6, 10), frame_drop, origin="Ou et al. 2011", moving=True),
    Ladder("freeze", "freeze", (0.15, 0.25, 0.4, 0.6, 0.9), freeze, (4.0, 3.5, 3.0, 2.4, 1.6), origin="rule",
           moving=True),
    Ladder("shake", "shake", (0.4, 0.8, 1.4, 2.4, 4), shake, (4.2, 3.7, 3.2, 2.6, 2.0), origin="rule"),
)  # fmt: skip
"""All ladders. Scores of strengths between two of KADID-10k's are interpolated."""
by_name = {ladder.name: ladder for ladder in LADDERS}
"""The ladders by name."""


def frame_rate_score(before: Fraction, after: Fraction) -> float:
    """The label of a clip whose rate of new pictures fell, 1 to 5.

    ``(1 − exp(−c·t/30)) / (1 − exp(−c))`` of the quality is left at t pictures a second (Ou et al., equation of the
    temporal correction factor); c depends on the film there, and is 5 here.
    """

    def left(rate: Fraction) -> float:
        return (1 - math.exp(-_FALL * min(1.0, float(rate) / 30))) / (1 - math.exp(-_FALL))

    return 1 + (PRISTINE - 1) * left(after) / left(before)


def both(first: float, second: float) -> float:
    """The label of two faults at once: the shares of quality that each leaves are multiplied.

    >>> round(both(4.7, 3.0), 2)
    3.0
    """
    return 1 + (first - 1) * (second - 1) / (PRISTINE - 1)


def _coded(scene: Scene, codec: Codec) -> Clip:
    return coded(scene.pictures, scene.frame_rate, codec)


def _through(scene: Scene, curve: NDArray[np.floating]) -> Clip:
    table = _rounded(255 * curve)
    return [table[p] for p in scene.pictures]


def _rounded(values: NDArray[np.floating]) -> Pixels:
    return np.clip(np.round(values), 0, 255).astype(np.uint8)
