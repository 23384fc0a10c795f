"""What is seen between open lips: a dark cavity, two rows of teeth, the tongue; drawn, never taken from a photograph.

The rows of teeth and the tongue are flat pictures drawn once per look; each is laid into the frame by an affine map,
the upper row fixed to the skull, the lower one to the jaw. Lengths are in mouths: the width of the shut mouth. The
teeth are as wide as average ones (the middle upper one 8.5 mm, for a mouth of 52 mm), side by side on an arch.
"""

from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from core.errors import check_ranges

Picture = NDArray[np.uint8]
Plane = NDArray[np.float32]
Points = NDArray[np.floating]
Colour = NDArray[np.floating]

_PX_PER_MOUTH = 112
_CANVAS = (160, 96)
"""Width and height of the pictures of teeth and tongue, whose origin, the biting edge or the tip, is the middle."""
_UPPER_TEETH = (0.163, 0.125, 0.144, 0.135, 0.13, 0.19)
_LOWER_TEETH = (0.096, 0.106, 0.131, 0.135, 0.137, 0.21)
_ARCH = 0.55
_UPPER_HEIGHT, _LOWER_HEIGHT = 0.2, 0.17
_GREY = np.array([0.299, 0.587, 0.114], np.float32)
_GUM, _TONGUE, _CAVITY = (
    np.array(rgb, np.float32) for rgb in ((0.74, 0.42, 0.42), (0.80, 0.42, 0.42), (0.23, 0.07, 0.07))
)
_WHITE, _IVORY = np.array([0.98, 0.97, 0.94], np.float32), np.array([0.95, 0.88, 0.74], np.float32)


@dataclass(frozen=True)
class MouthLook:
    """How the inside of a mouth looks.

    Attributes:
        whiteness: of the teeth, 0 (ivory) to 1 (white).
        tooth_size: their width and height, as a multiple of the average.
        gaps: how dark the lines between the teeth are, 0 (one white band, as in cartoons) to 1.
        tongue: its redness, 0 (pale) to 1.
        darkness: of the cavity, 0 to 1 (black).
    """

    whiteness: float = 0.6
    tooth_size: float = 1.0
    gaps: float = 0.5
    tongue: float = 0.5
    darkness: float = 0.5

    def __post_init__(self) -> None:
        shares = ("whiteness", "gaps", "tongue", "darkness")
        check_ranges(self, *((name, 0, 1) for name in shares), ("tooth_size", 0.7, 1.4))


def random_look(seed: int) -> MouthLook:
    """Some look, always the same for the same seed."""
    dice = np.random.default_rng(seed)
    whiteness, gaps, tongue, darkness = (float(share) for share in dice.uniform(0.05, 1, 4))
    return MouthLook(whiteness, float(dice.uniform(0.85, 1.15)), gaps, tongue, darkness)


@dataclass(frozen=True)
class Light:
    """How the skin around the mouth is lit.

    Attributes:
        left, right: (3,), the colour of the cheek that the picture shows on the left and on the right, RGB, 0 to 255.
    """

    left: NDArray[np.float32]
    right: NDArray[np.float32]

    def on_white(self) -> NDArray[np.float32]:
        """The colour of something white at the left and at the right end of the mouth, (2, 3), 0 to 1.

        Dark skin and dim light look the same; white is taken to be brighter than skin, by less for brighter skin.
        """
        cheeks = np.stack([self.left, self.right]).astype(np.float32)
        luma = cheeks @ _GREY
        middle = max(float(luma.mean()), 1.0)
        white = min(0.68 + 0.32 * middle / 255, (2.6 * middle + 12) / 255)
        side = np.clip(luma / middle, 0.7, 1.3)[:, None]
        tint = cheeks / np.maximum(luma, 1)[:, None]
        return np.asarray(white * side * (1 + 0.15 * (tint - 1)), np.float32)

    def colour(self) -> float:
        """How much colour the picture has: 0 for grey, 1 for what skin has at least in a picture in colour."""
        cheeks = np.stack([self.left, self.right])
        spread = cheeks.max(axis=1) - cheeks.min(axis=1)
        return float(np.clip((spread / np.maximum(cheeks.max(axis=1), 1)).mean() / 0.15, 0, 1))


def cheek_light(picture: Picture, left: Points, right: Points) -> Light:
    """The light on the skin around points (P, 2) of either cheek; points outside the picture count at its edge."""
    height, width = picture.shape[:2]
    reach = max(1, round(0.05 * float(np.linalg.norm(right.mean(axis=0) - left.mean(axis=0)))))
    sides = []
    for cheek in (left, right):
        patches = []
        for x, y in np.clip(cheek, 0, (width - 1, height - 1)).astype(int):
            patches.append(picture[max(y - reach, 0) : y + reach + 1, max(x - reach, 0) : x + reach + 1].reshape(-1, 3))
        sides.append(np.median(np.concatenate(patches), axis=0).astype(np.float32))
    return Light(*sides)


def mouth_to_picture(corners: Points) -> NDArray[np.float64]:
    """The (2, 3) map of `MouthPlace` that takes (0, 0), (1, 0) and (0, 1) to ``corners`` (3, 2 or 3), in pixels."""
    start, across, below = np.asarray(corners[:, :2], np.float64) - 0.5
    return np.column_stack([across - start, below - start, start])


@dataclass(frozen=True)
class MouthPlace:
    """Where the inside of a mouth is in one frame; positions are those of pixels' middles.

    Attributes:
        outline: (20, 2), the inner edge of the lips, from the left corner along the lower lip; ten at the right corner.
        upper, lower, tongue: (2, 3), from mouths (x to the right, y down; the origin is the middle of the biting edge,
            or the tip of the tongue) to pixels.
        raised: how far the tongue lies before the lower teeth, 0 to 1.
    """

    outline: Points
    upper: Points
    lower: Points
    tongue: Points
    raised: float


class InnerMouth:
    """Draws the inside of a mouth.

    Args:
        look: its teeth, tongue and cavity.
        light: what falls on it.
    """

    def __init__(self, look: MouthLook, light: Light) -> None:
        tooth = _IVORY + look.whiteness * (_WHITE - _IVORY)
        tongue = _TONGUE * (1 + (look.tongue - 0.5) * np.array([0.1, -0.35, -0.3], np.float32))
        self._upper = _faded(_teeth(_UPPER_TEETH, _UPPER_HEIGHT, look, tooth), light)
        self._lower = _faded(_teeth(_LOWER_TEETH, _LOWER_HEIGHT, look, 0.88 * tooth)[::-1], light)
        self._tongue = _faded(_tongue(tongue), light)
        cavity = np.concatenate([_CAVITY * (1.2 - look.darkness), [1]]).astype(np.float32)
        self._cavity = _faded(cavity[None, None], light)[0, 0, :3]
        self._white = light.on_white()

    def paint(self, picture: Picture, place: MouthPlace) -> None:
        """Draw the inside of the mouth into ``picture`` (H, W, 3), RGB, and shade the edge of the lips."""
        width_px = max(float(np.linalg.norm(place.outline[10] - place.outline[0])), 1.0)
        margin = 2 + 0.12 * width_px
        low = np.floor(place.outline.min(axis=0) - margin).astype(int)
        high = np.ceil(place.outline.max(axis=0) + margin).astype(int) + 1
        (left, top), (right, bottom) = np.maximum(low, 0), np.minimum(high, picture.shape[1::-1])
        if right - left < 2 or bottom - top < 2:
            return
        fine = int(np.clip(round(150 / width_px), 1, 4))
        shift = np.array([left, top], np.float64)
        size = (int(right - left) * fine, int(bottom - top) * fine)
        outline = _smoothed((place.outline - shift + 0.5) * fine)
        hole, edge = _masks(outline, size, fine * width_px)
        region = picture[top:bottom, left:right]
        shaded = region * (1 - 0.45 * _shrunk(edge, region))[..., None]
        alpha = _shrunk(hole, region)
        if alpha.max() > 0:
            inside = self._inside(place, hole, fine, shift)
            colour = _shrunk(inside * hole[..., None], region) / np.maximum(alpha, 1e-3)[..., None]
            shaded += alpha[..., None] * (255 * colour - shaded)
        region[:] = np.clip(shaded + 0.5, 0, 255).astype(np.uint8)

    def _inside(self, place: MouthPlace, hole: Plane, fine: int, shift: NDArray[np.float64]) -> Plane:
        """Everything behind the lips, RGB 0 to 1, at ``fine`` times the pixels of the picture from ``shift`` on."""
        height, width = hole.shape
        left, right = ((place.outline[end, 0] - shift[0]) * fine for end in (0, 10))
        across = np.clip((np.arange(width) - left) / max(right - left, 1), 0, 1)[:, None]
        white = ((1 - across) * self._white[0] + across * self._white[1]).astype(np.float32)
        inside = np.broadcast_to(self._cavity, (height, width, 3)).copy()
        layers = (
            (self._tongue, place.tongue, 1.0),
            (self._lower, place.lower, 1.0),
            (self._tongue, place.tongue, place.raised),
            (self._upper, place.upper, 1.0),
        )
        for layer, to_picture, opacity in layers:
            if opacity > 0.01:
                _lay(inside, layer, _canvas_to_fine(to_picture, fine, shift), opacity)
        length = max(float(right - left), 4.0)
        lower = np.array(
            [[1, 0, 0], [0, 1, 0.07 * length]], np.float32
        )  # light comes from above: the upper lip's shadow
        shadow = cv2.GaussianBlur(cv2.warpAffine(hole, lower, (width, height)), (0, 0), 0.05 * length)
        sides = 1 - np.abs(2 * across[:, 0] - 1) ** 4 * 0.5
        return np.asarray(inside * white * ((0.78 + 0.22 * shadow) * sides)[..., None], np.float32)


def _teeth(widths: tuple[float, ...], height: float, look: MouthLook, colour: Colour) -> Plane:
    """One row of teeth that hang from their gum, the edge at the origin: (96, 160, 4), RGB times alpha, and alpha."""
    columns, rows = _canvas_grid()
    picture = np.zeros((*columns.shape, 4), np.float32)
    gum = _soft(-0.82 * height * look.tooth_size - rows + 0.02 * np.cos(columns * 38)) * _soft(0.52 - np.abs(columns))
    _over(picture, _GUM * (0.5 + 0.5 * np.cos(columns * 2.6))[..., None], gum)
    ends = look.tooth_size * np.concatenate([[0], np.cumsum(widths)])
    for number, (start, stop) in reversed(list(enumerate(pairwise(ends)))):
        near, far = (_ARCH * np.sin(min(end / _ARCH, 1.45)) for end in (start, stop))
        if far - near < 0.01:
            continue
        half, facing = (far - near) / 2, np.cos(min((start + stop) / 2 / _ARCH, 1.4))
        shorter = (0.0, 0.012, -0.004, 0.018, 0.03, 0.04)[number] + 0.05 * ((near + far) / 2) ** 2
        tall = height * look.tooth_size * (1 - 0.12 * number / 5) / 2
        for side in (-1, 1):
            across = (columns - side * (near + far) / 2) / half
            down = (rows + shorter + tall) / tall
            inside = 1 - (np.abs(across) ** 5 + np.abs(down) ** 6) ** (1 / 5.5)
            mask = _soft(inside * min(half, tall) + 0.004 * (1 - look.gaps))
            round_off = (
                1
                - look.gaps * 0.45 * np.abs(across) ** 4
                - 0.10 * np.clip(-down, 0, 1)
                - 0.06 * np.clip(down, 0, 1) ** 4
            )
            _over(picture, colour * (round_off * (0.45 + 0.55 * facing))[..., None], mask)
    return picture


def _tongue(colour: Colour) -> Plane:
    """The tongue seen from the front, its tip at the origin, (96, 160, 4), RGB times alpha, and alpha."""
    columns, rows = _canvas_grid()
    picture = np.zeros((*columns.shape, 4), np.float32)
    half, tall = 0.36, 0.3
    inside = 1 - (np.abs(columns / half) ** 2.4 + np.abs((rows - tall) / tall) ** 2.4) ** (1 / 2.4)
    groove = 1 - 0.22 * np.exp(-((columns / 0.03) ** 2)) * np.clip(rows / 0.12, 0, 1)
    bulge = 0.72 + 0.4 * np.clip(inside, 0, 1) - 0.25 * np.clip(rows / 0.4, 0, 1)
    shine = 0.12 * np.exp(-((rows - 0.07) ** 2) / 0.0012 - (np.abs(columns) - 0.1) ** 2 / 0.006)
    _over(picture, colour * (groove * bulge)[..., None] + shine[..., None], _soft(inside * tall, 0.02))
    return picture


def _canvas_grid() -> tuple[Plane, Plane]:
    """Where the pixels of a canvas are, in mouths from its origin: x, y."""
    width, height = _CANVAS
    x = (np.arange(width, dtype=np.float32) + 0.5 - width / 2) / _PX_PER_MOUTH
    y = (np.arange(height, dtype=np.float32) + 0.5 - height / 2) / _PX_PER_MOUTH
    return np.tile(x, (height, 1)), np.tile(y[:, None], (1, width))


def _soft(inside: NDArray[np.floating], width: float = 1 / _PX_PER_MOUTH) -> Plane:
    """A mask with an edge ``width`` wide of a distance to that edge, positive inside."""
    return np.asarray(np.clip(inside / width + 0.5, 0, 1), np.float32)


def _over(picture: Plane, colour: Colour, mask: Plane) -> None:
    """Lay a colour over a picture with alpha, where the mask is."""
    picture *= (1 - mask)[..., None]
    picture[..., :3] += np.clip(colour, 0, 1) * mask[..., None]
    picture[..., 3] += mask


def _faded(picture: Plane, light: Light) -> Plane:
    """The picture with as much colour as the light has."""
    grey = (picture[..., :3] @ _GREY)[..., None]
    faded = picture.copy()
    faded[..., :3] = grey + light.colour() * (picture[..., :3] - grey)
    return faded


def _canvas_to_fine(to_picture: Points, fine: int, shift: NDArray[np.float64]) -> NDArray[np.float64]:
    """The map from pixels of a canvas to those of the enlarged region that begins at ``shift``."""
    linear = np.asarray(to_picture[:, :2], np.float64) * fine / _PX_PER_MOUTH
    origin = (np.asarray(to_picture[:, 2]) - shift + 0.5) * fine - 0.5
    return np.column_stack([linear, origin - linear @ (np.array(_CANVAS) / 2 - 0.5)])


def _lay(inside: Plane, layer: Plane, matrix: NDArray[np.float64], opacity: float) -> None:
    laid = cv2.warpAffine(np.ascontiguousarray(layer), matrix, inside.shape[1::-1], flags=cv2.INTER_LINEAR)
    inside *= 1 - opacity * laid[..., 3:]
    inside += opacity * laid[..., :3]


def _smoothed(outline: Points) -> Points:
    """The closed outline with three points more on every side, by a spline of Catmull and Rom through each lip."""
    lips = []
    for lip in (outline[:11], np.concatenate([outline[10:], outline[:1]])):
        before, after = np.roll(lip, 1, 0), np.roll(lip, -1, 0)
        before[0], after[-1] = lip[0], lip[-1]
        slope = (after - before) / 2
        t = (np.arange(4) / 4)[None, :, None]
        start, stop, rise, fall = lip[:-1, None], lip[1:, None], slope[:-1, None], slope[1:, None]
        curve = (
            (2 * t**3 - 3 * t**2 + 1) * start + (t**3 - 2 * t**2 + t) * rise
            + (3 * t**2 - 2 * t**3) * stop + (t**3 - t**2) * fall
        )  # fmt: skip
        lips.append(curve.reshape(-1, 2))
    return np.concatenate(lips)


def _masks(outline: Points, size: tuple[int, int], length: float) -> tuple[Plane, Plane]:
    """The hole between the lips, and the shade along its edge, 0 to 1, both enlarged."""
    corners = np.round((outline - 0.5) * 16).astype(np.int32)
    hole, edge = (np.zeros(size[::-1], np.uint8) for _ in range(2))
    if cv2.contourArea(outline.astype(np.float32)) > 0.004 * length**2:  # shut lips enclose nothing
        cv2.fillPoly(hole, [corners], 255, cv2.LINE_AA, 4)
    cv2.polylines(edge, [corners], True, 255, max(1, round(0.015 * length)), cv2.LINE_AA, 4)
    soft = cv2.GaussianBlur(edge, (0, 0), max(0.012 * length, 0.5))
    scale = np.float32(1 / 255)
    return np.asarray(hole * scale, np.float32), np.asarray(soft * scale, np.float32)


def _shrunk(fine: Plane, region: Picture) -> Plane:
    return np.asarray(cv2.resize(fine, region.shape[1::-1], interpolation=cv2.INTER_AREA), np.float32)
