"""Drawn faces, with the mesh that was drawn: people and animals of many shapes and colours, for `FaceAnimator`.

The average mesh is bent first: its eyes, lips, nose and edge are put where the figure has them, and all other points
follow by thin-plate splines (Bookstein, "Principal Warps", 1989). The figure is then drawn along the points, so that
mesh and picture agree. All drawing is done three times enlarged.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import RBFInterpolator

from core.errors import ParameterError
from core.lip_sync.animator import LIPS, OVAL, Mesh, Picture, Points, mean_mesh

Colour = tuple[int, int, int]

_EYES = (
    (33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246),
    (263, 249, 390, 373, 374, 380, 381, 382, 362, 398, 384, 385, 386, 387, 388, 466),
)
_IRISES = (slice(468, 473), slice(473, 478))
_BROWS = ((70, 63, 105, 66, 107), (300, 293, 334, 296, 336))
_LOWER_BROWS = ((46, 53, 52, 65, 55), (276, 283, 282, 295, 285))
_NOSE = (1, 2, 4, 5, 6, 48, 64, 98, 168, 195, 197, 278, 294, 327)
_NOSTRILS = (98, 327)
_FINE = 3
_SKINS: tuple[Colour, ...] = (
    (255, 224, 196), (244, 200, 165), (224, 172, 130), (190, 133, 92), (141, 91, 60), (92, 58, 40),
    (255, 214, 70), (110, 170, 235), (120, 200, 110), (200, 160, 220), (240, 150, 160), (190, 190, 195),
)  # fmt: skip
_FURS: tuple[Colour, ...] = (
    (200, 140, 80), (235, 225, 210), (130, 100, 80), (150, 150, 155), (240, 165, 90), (90, 80, 80), (225, 170, 190),
)  # fmt: skip
_LOWEST_PX = 64


@dataclass(frozen=True)
class _Plan:
    """What a figure looks like; lengths in widths of the face."""

    dice: np.random.Generator
    animal: bool
    shaded: bool
    line_mouth: bool
    skin: Colour
    hair: Colour
    ink: Colour


def cartoon(seed: int, side_px: int = 256) -> tuple[Picture, Mesh]:
    """A drawn face that looks ahead, with shut lips: uint8 (side_px, side_px, 3), RGB, and its mesh (478, 3).

    Args:
        seed: the same seed gives the same figure.
        side_px: of the picture, 64 or more.

    Raises:
        ParameterError: ``side_px`` is smaller.
    """
    if side_px < _LOWEST_PX:
        raise ParameterError(f"The cartoon's side is {side_px} pixels; give at least {_LOWEST_PX}.")
    dice = np.random.default_rng(seed)
    plan = _planned(dice)
    mesh = _fitted(plan)
    width = float(dice.uniform(0.46, 0.58))
    mesh[:, :2] += (0.5 / width, 0.5 / width - 0.17)
    mesh *= width * side_px
    pen = _Pen(_background(dice, side_px), mesh, width * side_px)
    _draw(pen, plan)
    small = cv2.resize(pen.canvas, (side_px, side_px), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8), mesh.astype(np.float32)


def _planned(dice: np.random.Generator) -> _Plan:
    animal = bool(dice.random() < 0.25)
    colours = _FURS if animal else _SKINS
    skin = _varied(dice, colours[int(dice.integers(len(colours)))], 14)
    hair = _varied(
        dice, ((40, 28, 22), (105, 66, 36), (225, 190, 110), (170, 60, 30), (200, 200, 205))[int(dice.integers(5))], 20
    )
    if dice.random() < 0.15:
        hair = tuple(int(value) for value in dice.integers(30, 240, 3))  # type: ignore[assignment]
    ink = _scaled(skin, 0.25)
    return _Plan(dice, animal, bool(dice.random() < 0.6), bool(dice.random() < 0.35), skin, hair, ink)


def _fitted(plan: _Plan) -> Points:
    """The mesh of the figure, in widths of the face from between the eyes."""
    dice, mean = plan.dice, mean_mesh()[0]
    bent = mean.copy()
    oval = mean[OVAL]
    low = np.clip(oval[:, 1] / 0.82, 0, 1)
    jaw, longer = dice.uniform(0.85, 1.3), dice.uniform(0.92, 1.12)
    bent[OVAL, 0] *= 1 + (jaw - 1) * np.sin(low * np.pi) ** 2 + (jaw - 1) * 0.5 * low
    bent[OVAL, 1] *= longer
    apart, height, eye = dice.uniform(0.92, 1.1), dice.uniform(-0.03, 0.05), dice.uniform(0.9, 1.35)
    taller = dice.uniform(1.2, 2.6)
    for ring, iris in zip(_EYES, _IRISES, strict=True):
        points = np.concatenate([ring, np.arange(iris.start, iris.stop)])
        middle = mean[list(ring)].mean(axis=0)
        bent[points] = middle * (apart, 1, 1) + (0, height, 0) + (mean[points] - middle) * (eye, eye * taller, 1)
    bent[list(_NOSE)] = mean[list(_NOSE)] * (dice.uniform(0.7, 1.3), 1, 1) + (0, dice.uniform(-0.04, 0.01), 0)
    lips = mean[LIPS]
    seam = (lips[0] + lips[0][[0, *range(19, 0, -1)]]) / 2
    wide, thick = dice.uniform(0.75, 1.25), dice.uniform(0.45, 0.8) if plan.line_mouth else dice.uniform(0.7, 1.5)
    smile, lower = dice.uniform(-0.02, 0.07), dice.uniform(-0.02, 0.05)
    across = seam[:, 0] / np.abs(seam[:, 0]).max()
    moved = seam + (lips - seam) * (1, thick, 1)
    moved[..., 0] *= wide
    moved[..., 1] += lower - smile * across**2 + smile / 3
    bent[LIPS] = moved
    for upper, under in zip(_BROWS, _LOWER_BROWS, strict=True):
        bent[list(upper + under)] = mean[list(upper + under)] + (0, height - 0.045 * (eye * taller - 1), 0)
    if plan.animal:
        bent[..., 2] -= 0.25 * np.exp(-((mean[:, 0] / 0.25) ** 2) - ((mean[:, 1] - 0.42) / 0.2) ** 2)
    held = np.unique(
        np.concatenate([OVAL, *_EYES, _NOSE, LIPS.reshape(-1), *_BROWS, *_LOWER_BROWS, np.arange(468, 478)])
    )
    follow = RBFInterpolator(mean[held, :2], (bent - mean)[held, :2], kernel="thin_plate_spline", smoothing=1e-4)
    free = np.setdiff1d(np.arange(478), held)
    bent[free, :2] = mean[free, :2] + follow(mean[free, :2])
    return bent


class _Pen:
    """Draws on an enlarged canvas, along points of a mesh in pixels of the small one."""

    def __init__(self, canvas: Picture, mesh: Points, width_px: float) -> None:
        self.canvas, self.mesh, self.unit = canvas, mesh[:, :2], width_px

    def fill(self, points: NDArray[np.floating], colour: Colour) -> None:
        cv2.fillPoly(self.canvas, [self._fine(points)], colour, cv2.LINE_AA, 4)

    def line(self, points: NDArray[np.floating], colour: Colour, width: float, closed: bool = False) -> None:
        """A line ``width`` face widths wide."""
        thickness = max(1, round(width * self.unit * _FINE))
        cv2.polylines(self.canvas, [self._fine(points)], closed, colour, thickness, cv2.LINE_AA, 4)

    def disc(self, middle: NDArray[np.floating], half: tuple[float, float], colour: Colour) -> None:
        """A filled ellipse; ``half`` its half axes in face widths."""
        turn = np.linspace(0, 2 * np.pi, 65)[:-1]
        self.fill(middle + self.unit * np.stack([half[0] * np.cos(turn), half[1] * np.sin(turn)], axis=1), colour)

    @staticmethod
    def _fine(points: NDArray[np.floating]) -> NDArray[np.int32]:
        return np.round((np.asarray(points) * _FINE - 0.5) * 16).astype(np.int32)


def _draw(pen: _Pen, plan: _Plan) -> None:
    """The figure, from the back to the front."""
    dice = plan.dice
    outlined = bool(dice.random() < 0.5)
    _draw_body(pen, plan)
    if plan.animal:
        _draw_animal_ears(pen, plan)
    else:
        _draw_hair_behind(pen, plan)
    head = _head_outline(pen)
    before = pen.canvas.copy()
    pen.fill(head, plan.skin)
    if plan.shaded:
        _shade(pen, head, before)
    if outlined:
        pen.line(head, plan.ink, 0.014, closed=True)
    _draw_cheeks(pen, plan)
    if plan.animal:
        middle = (pen.mesh[2] + pen.mesh[17]) / 2
        pen.disc(middle, (0.27, 0.2), _scaled(plan.skin, 1.25))
    _draw_eyes(pen, plan)
    _draw_nose(pen, plan)
    _draw_mouth(pen, plan)
    if not plan.animal:
        _draw_fringe(pen, plan, head)


def _head_outline(pen: _Pen) -> Points:
    """The edge of the face, with a skull above it, closed."""
    oval = pen.mesh[OVAL]
    left, right, top = oval[28], oval[8], oval[0]
    turn = np.linspace(np.pi, 2 * np.pi, 25)[1:-1]
    middle, half = (left + right) / 2, (right - left)[0] / 2
    tall = 1.3 * (middle - top)[1]
    skull = middle + np.stack([half * np.cos(turn), tall * np.sin(turn)], axis=1)
    return _curve(np.concatenate([oval[8:29], skull]))


def _draw_body(pen: _Pen, plan: _Plan) -> None:
    dice, chin, unit = plan.dice, pen.mesh[152], pen.unit
    shirt: Colour = tuple(int(value) for value in dice.integers(20, 235, 3))  # type: ignore[assignment]
    neck = dice.uniform(0.14, 0.24)
    corners = np.array([[-neck, -0.4], [neck, -0.4], [neck, 1.0], [-neck, 1.0]])
    pen.fill(chin + unit * corners, _scaled(plan.skin, 0.8))
    pen.disc(chin + np.array([0, 0.62 * unit]), (dice.uniform(0.6, 0.95), 0.46), shirt)


def _draw_animal_ears(pen: _Pen, plan: _Plan) -> None:
    top, unit = pen.mesh[10], pen.unit
    pointed = plan.dice.random() < 0.5
    for side in (-1, 1):
        if pointed:
            ear = np.array([[0.45, 0.15], [0.42, -0.45], [0.08, -0.1]]) * (side, 1)
            pen.fill(top + unit * ear, plan.skin)
            pen.fill(top + unit * (ear * 0.6 + np.array([side * 0.13, -0.03])), _scaled(plan.skin, 0.7))
        else:
            middle = top + unit * np.array([side * 0.38, -0.02])
            pen.disc(middle, (0.17, 0.19), plan.skin)
            pen.disc(middle, (0.1, 0.12), _scaled(plan.skin, 0.7))


def _draw_hair_behind(pen: _Pen, plan: _Plan) -> None:
    left, right = pen.mesh[234], pen.mesh[454]
    ears = plan.dice.random() < 0.8
    kind = plan.dice.random()
    if kind < 0.35:
        pen.disc((left + right) / 2 - (0, 0.05 * pen.unit), (0.66, plan.dice.uniform(0.6, 1.0)), plan.hair)
    elif kind < 0.85:
        pen.disc((left + right) / 2 - (0, 0.2 * pen.unit), (0.56, 0.55), plan.hair)
    if ears:
        for side, point in ((-1, left), (1, right)):
            middle = point + pen.unit * np.array([side * 0.03, 0.05])
            pen.disc(middle, (0.09, 0.13), plan.skin)
            pen.disc(middle, (0.05, 0.08), _scaled(plan.skin, 0.85))


def _shade(pen: _Pen, head: Points, before: Picture) -> None:
    """Makes the head round: brighter towards the light, darker towards the edge."""
    mask = np.zeros(pen.canvas.shape[:2], np.uint8)
    cv2.fillPoly(mask, [pen._fine(head)], 255, cv2.LINE_AA, 4)
    small = cv2.resize(mask, None, fx=1 / 8, fy=1 / 8, interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    reach = pen.unit * _FINE / 8
    shift = np.array([[1, 0, 0.1 * reach], [0, 1, 0.12 * reach]], np.float32)
    inner = cv2.GaussianBlur(cv2.warpAffine(small, shift, small.shape[::-1]), (0, 0), 0.16 * reach)
    glow = cv2.resize(inner, mask.shape[::-1], interpolation=cv2.INTER_LINEAR)
    alpha = (mask.astype(np.float32) / 255)[..., None]
    lit = pen.canvas * (0.5 + 0.6 * np.clip(glow, 0, 1))[..., None]
    pen.canvas[:] = np.clip(alpha * lit + (1 - alpha) * before, 0, 255).astype(np.uint8)


def _draw_cheeks(pen: _Pen, plan: _Plan) -> None:
    if plan.dice.random() < 0.4:
        for point in (205, 425):
            before = pen.canvas.copy()
            pen.disc(pen.mesh[point], (0.085, 0.06), (235, 110, 110))
            cv2.addWeighted(before, 0.65, pen.canvas, 0.35, 0, pen.canvas)


def _draw_eyes(pen: _Pen, plan: _Plan) -> None:
    dice = plan.dice
    dots, lids = dice.random() < 0.2, dice.random() < 0.7
    iris_colour: Colour = tuple(int(value) for value in dice.integers(30, 190, 3))  # type: ignore[assignment]
    iris_share, brow = dice.uniform(0.55, 0.95), dice.uniform(0.012, 0.04)
    brow_colour = plan.ink if plan.animal else _scaled(plan.hair, 0.7)
    for ring, iris, brows in zip(_EYES, _IRISES, _BROWS, strict=True):
        contour = _curve(pen.mesh[list(ring)])
        middle = pen.mesh[iris].mean(axis=0)
        half = np.ptp(contour, axis=0) / 2 / pen.unit
        size = float(min(half)) * iris_share
        if dots:
            pen.disc(middle, (0.6 * float(half[1]), 0.95 * float(half[1])), (25, 20, 25))
        else:
            pen.fill(contour, (250, 250, 250))
            pen.disc(middle, (size, size), iris_colour)
            pen.disc(middle, (0.55 * size, 0.55 * size), (15, 12, 15))
            if lids:
                pen.line(_curve(pen.mesh[list(ring)], closed=False)[len(contour) // 2 :], plan.ink, 0.016)
                pen.line(contour, plan.ink, 0.006, closed=True)
        glint = middle - pen.unit * 0.35 * size
        pen.disc(glint, (0.25 * size, 0.25 * size), (255, 255, 255))
        pen.line(_curve(pen.mesh[list(brows)], closed=False), brow_colour, brow)


def _draw_nose(pen: _Pen, plan: _Plan) -> None:
    tip, dark, kind = pen.mesh[4], _scaled(plan.skin, 0.75), plan.dice.integers(4)
    half = float(pen.mesh[278, 0] - pen.mesh[48, 0]) / 2 / pen.unit
    if plan.animal:
        pen.disc(tip + np.array([0, 0.02 * pen.unit]), (0.09, 0.06), (45, 35, 40))
        pen.line(np.stack([tip, pen.mesh[0]]), (45, 35, 40), 0.014)
    elif kind == 0:
        pen.disc(tip, (half, 0.8 * half), _scaled(plan.skin, 0.88))
        pen.disc(tip - pen.unit * 0.03, (0.3 * half, 0.25 * half), _scaled(plan.skin, 1.15))
    elif kind == 1:
        pen.line(_curve(pen.mesh[[6, 197, 5, 48 if plan.dice.random() < 0.5 else 278, 2]], closed=False), dark, 0.016)
    elif kind == 2:
        for nostril in _NOSTRILS:
            pen.disc(pen.mesh[nostril], (0.022, 0.014), _scaled(plan.skin, 0.5))
    else:
        pen.line(_curve(pen.mesh[[64, 98, 2, 327, 294]], closed=False), dark, 0.018)


def _draw_mouth(pen: _Pen, plan: _Plan) -> None:
    """Lips and the line between them, or a line alone, which is wide enough to part in two."""
    inner, outer = pen.mesh[LIPS[0]], pen.mesh[LIPS[3]]
    seam = _curve(inner[:11], closed=False)
    if plan.line_mouth:
        pen.line(seam, plan.ink, 0.02)
        return
    reds: tuple[Colour, ...] = ((200, 60, 70), (225, 110, 115), (150, 40, 60), _scaled(plan.skin, 0.75))
    red = _varied(plan.dice, reds[int(plan.dice.integers(len(reds)))], 15)
    corners = np.concatenate([_curve(outer[:11], closed=False), _curve(outer[[*range(10, 20), 0]], closed=False)])
    pen.fill(corners, red)
    pen.fill(np.concatenate([seam, _curve(outer[[*range(10, 20), 0]], closed=False)]), _scaled(red, 0.86))
    if plan.dice.random() < 0.4:
        pen.line(corners, plan.ink, 0.01, closed=True)
    pen.line(seam, _scaled(red, 0.45), 0.012)


def _draw_fringe(pen: _Pen, plan: _Plan, head: Points) -> None:
    """Hair over the forehead: the upper part of the head down to a wavy line, or none."""
    dice = plan.dice
    if dice.random() < 0.12:
        return
    left, right, top = pen.mesh[127], pen.mesh[356], pen.mesh[10]
    x = np.linspace(left[0], right[0], 41)
    share = (x - x[0]) / (x[-1] - x[0])
    depth = dice.uniform(0.0, 0.08) + dice.uniform(0, 0.04) * np.sin(
        share * dice.integers(2, 9) * np.pi + dice.uniform(0, 6)
    )
    arch = (2 * share - 1) ** 2 * (min(left[1], right[1]) - top[1])
    line = np.stack([x, top[1] + pen.unit * depth + arch], axis=1)
    turn = np.linspace(0, np.pi, 41)
    middle, half = (left + right) / 2, (right - left)[0] / 2 + 0.02 * pen.unit
    over = dice.uniform(1.02, 1.25) * (middle[1] - head[:, 1].min())
    cap = np.stack([middle[0] + half * np.cos(turn), middle[1] - over * np.sin(turn)], axis=1)
    pen.fill(np.concatenate([line, cap]), plan.hair)


def _background(dice: np.random.Generator, side_px: int) -> Picture:
    """A wash from one colour to another, with or without discs, enlarged."""
    side = side_px * _FINE
    first, second = dice.integers(40, 245, (2, 3))
    share = np.linspace(0, 1, side)[:, None, None]
    canvas = np.array(np.broadcast_to((1 - share) * first + share * second, (side, side, 3)), np.uint8, order="C")
    for _ in range(int(dice.integers(0, 8))):
        x, y, radius = (dice.random(3) * (side, side, side / 6)).astype(int)
        cv2.circle(canvas, (int(x), int(y)), int(radius), [int(v) for v in dice.integers(40, 245, 3)], -1, cv2.LINE_AA)
    return canvas


def _curve(points: NDArray[np.floating], closed: bool = True) -> Points:
    """Points along a spline of Catmull and Rom through the points, four to a side."""
    around = (
        np.concatenate([points[-1:], points, points[:2]])
        if closed
        else np.concatenate([points[:1], points, points[-1:]])
    )
    before, start, stop, after = (around[n : len(around) - 3 + n, None] for n in range(4))
    t = (np.arange(4) / 4)[None, :, None]
    curve = 0.5 * (
        2 * start + (stop - before) * t + (2 * before - 5 * start + 4 * stop - after) * t**2
        + (3 * start - before - 3 * stop + after) * t**3
    )  # fmt: skip
    flat = curve.reshape(-1, 2)
    return flat if closed else np.concatenate([flat, points[-1:]])


def _scaled(colour: Colour, factor: float) -> Colour:
    red, green, blue = (int(np.clip(value * factor, 0, 255)) for value in colour)
    return red, green, blue


def _varied(dice: np.random.Generator, colour: Colour, by: int) -> Colour:
    red, green, blue = (int(np.clip(value + dice.integers(-by, by + 1), 0, 255)) for value in colour)
    return red, green, blue
