"""Little drawn films of eight places, unlike one another, for tests of searching and for the README's picture."""

import math
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from core.media import EncodeOptions, write_video

Point = tuple[float, float]
Colour = tuple[int, int, int]


class Canvas:
    """A picture drawn in a unit square: x to the right, y downwards, both 0 to 1."""

    def __init__(self, width: int, height: int, sky: Colour, ground: Colour) -> None:
        rows = np.linspace(0, 1, height)[:, None, None]
        gradient = np.array(sky) * (1 - rows) + np.array(ground) * rows
        self.image = Image.fromarray(np.broadcast_to(gradient, (height, width, 3)).astype(np.uint8))
        self._draw, self._size = ImageDraw.Draw(self.image), (width, height)

    def _place(self, points: list[Point]) -> list[Point]:
        return [(x * self._size[0], y * self._size[1]) for x, y in points]

    def polygon(self, points: list[Point], colour: Colour) -> None:
        self._draw.polygon(self._place(points), fill=colour)

    def box(self, x: float, y: float, width: float, height: float, colour: Colour) -> None:
        self.polygon([(x, y), (x + width, y), (x + width, y + height), (x, y + height)], colour)

    def disc(self, x: float, y: float, radius: float, colour: Colour) -> None:
        (cx, cy), r = self._place([(x, y)])[0], radius * self._size[1]
        self._draw.ellipse([cx - r, cy - r, cx + r, cy + r], fill=colour)


def harbour(canvas: Canvas, t: float, random: np.random.Generator) -> None:
    canvas.disc(0.7, 0.3, 0.12, (255, 214, 120))
    for row in range(8):
        points = [(x / 30, 0.5 + row * 0.07 + 0.015 * math.sin(x + 3 * t + row)) for x in range(31)]
        canvas.polygon([*points, (1, 1), (0, 1)], (20 + 6 * row, 60 + 8 * row, 120 - 6 * row))
    x = 0.2 + 0.06 * t
    canvas.polygon([(x, 0.52), (x + 0.22, 0.52), (x + 0.18, 0.6), (x + 0.04, 0.6)], (120, 50, 40))
    canvas.polygon([(x + 0.1, 0.2), (x + 0.1, 0.5), (x + 0.22, 0.5)], (250, 245, 235))


def city(canvas: Canvas, t: float, random: np.random.Generator) -> None:
    for n in range(9):
        x, height = n * 0.12 - 0.02 * t, random.uniform(0.3, 0.75)
        canvas.box(x, 1 - height, 0.1, height, (28, 30, 44))
        for k in range(24):
            if random.random() < 0.5:
                canvas.box(x + 0.012 + k % 3 * 0.028, 1.02 - height + k // 3 * 0.07, 0.016, 0.03, (250, 220, 120))


def forest(canvas: Canvas, t: float, random: np.random.Generator) -> None:
    for _ in range(26):
        x, y, size = random.uniform(-0.1, 1.2) - 0.03 * t, random.uniform(0.45, 0.9), random.uniform(0.1, 0.22)
        green = int(random.uniform(60, 130))
        canvas.box(x - size / 12, y, size / 6, size / 2, (80, 55, 35))
        for step in range(3):
            top = y - size * (1 - step * 0.35)
            canvas.polygon(
                [(x, top), (x - size / 2.5, top + size / 2), (x + size / 2.5, top + size / 2)], (20, green, 45)
            )


def traffic(canvas: Canvas, t: float, random: np.random.Generator) -> None:
    canvas.box(0, 0.35, 1, 0.5, (70, 72, 78))
    for n in range(12):
        canvas.box(n * 0.1 - 0.1 * (t % 1), 0.59, 0.05, 0.02, (240, 240, 230))
    for lane in range(4):
        colour = tuple(int(v) for v in random.integers(40, 250, 3))
        x = (random.random() + t * (0.15 if lane % 2 else -0.2)) % 1.3 - 0.2
        y = 0.38 + 0.11 * lane
        canvas.box(x, y, 0.18, 0.07, colour)  # type: ignore[arg-type]
        canvas.box(x + 0.04, y - 0.035, 0.1, 0.04, (180, 210, 230))
        canvas.disc(x + 0.04, y + 0.07, 0.025, (15, 15, 15))
        canvas.disc(x + 0.14, y + 0.07, 0.025, (15, 15, 15))


def stage(canvas: Canvas, t: float, random: np.random.Generator) -> None:
    for n, colour in enumerate([(170, 40, 120), (60, 60, 190), (190, 120, 40)]):
        x = 0.5 + 0.35 * math.sin(t + 2 * n)
        canvas.polygon([(0.2 + 0.3 * n, 0), (x - 0.16, 0.85), (x + 0.16, 0.85)], colour)
    canvas.box(0, 0.82, 1, 0.18, (40, 22, 18))
    for n in range(3):
        x = 0.3 + 0.2 * n + 0.02 * math.sin(4 * t + n)
        canvas.disc(x, 0.52, 0.05, (15, 10, 20))
        canvas.box(x - 0.035, 0.56, 0.07, 0.26, (15, 10, 20))


def meadow(canvas: Canvas, t: float, random: np.random.Generator) -> None:
    canvas.disc(0.15, 0.18, 0.09, (255, 240, 150))
    hills = [(x / 20, 0.55 + 0.08 * math.sin(x / 3)) for x in range(21)]
    canvas.polygon([*hills, (1, 1), (0, 1)], (90, 170, 70))
    for _ in range(60):
        x, y = random.random() + 0.01 * math.sin(3 * t), random.uniform(0.65, 1)
        colour = [(240, 80, 90), (250, 210, 60), (235, 235, 250)][int(random.integers(3))]
        canvas.disc(x, y, 0.018, colour)


def kitchen(canvas: Canvas, t: float, random: np.random.Generator) -> None:
    for n in range(48):
        if (n // 8 + n) % 2:
            canvas.box(n % 8 / 8, n // 8 / 6, 1 / 8, 1 / 6, (200, 190, 180))
    for n in range(3):
        x = 0.2 + 0.3 * n
        canvas.disc(x, 0.5, 0.16, (250, 250, 250))
        canvas.disc(x, 0.5, 0.11, (225, 230, 235))
        canvas.disc(x + 0.04 * math.cos(2 * t + n), 0.5 + 0.05 * math.sin(2 * t + n), 0.05, (220, 90 + 40 * n, 40))


def snow(canvas: Canvas, t: float, random: np.random.Generator) -> None:
    canvas.polygon([(0, 1), (0.3, 0.3), (0.5, 0.7), (0.75, 0.2), (1, 0.8), (1, 1)], (120, 130, 150))
    canvas.polygon([(0.22, 0.48), (0.3, 0.3), (0.37, 0.45)], (245, 248, 252))
    canvas.polygon([(0.68, 0.34), (0.75, 0.2), (0.83, 0.38)], (245, 248, 252))
    for _ in range(120):
        canvas.disc(random.random(), (random.random() + 0.15 * t) % 1, 0.008, (255, 255, 255))


PLACES: dict[str, tuple[Callable[[Canvas, float, np.random.Generator], None], Colour, Colour]] = {
    "harbour": (harbour, (250, 150, 100), (90, 60, 110)),
    "meadow": (meadow, (120, 190, 245), (210, 235, 250)),
    "traffic": (traffic, (160, 170, 180), (110, 120, 100)),
    "kitchen": (kitchen, (235, 225, 210), (215, 205, 190)),
    "forest": (forest, (190, 215, 215), (60, 90, 50)),
    "stage": (stage, (20, 8, 30), (35, 12, 40)),
    "city": (city, (25, 20, 60), (90, 50, 90)),
    "snow": (snow, (150, 175, 205), (235, 240, 248)),
}


def scene(
    path: Path, place: str, duration_s: float = 3, size: tuple[int, int] = (320, 240), seed: int = 0, crf: int = 23
) -> Path:
    """Write a film of one of the `PLACES`, 10 pictures a second; the seed moves its details about."""
    draw, sky, ground = PLACES[place]

    def picture(number: int) -> np.ndarray:
        canvas = Canvas(*size, sky, ground)
        draw(canvas, number / 10, np.random.default_rng(seed))
        return np.asarray(canvas.image)

    frames = (picture(number) for number in range(round(10 * duration_s)))
    write_video(path, frames, Fraction(10), options=EncodeOptions(crf=crf))
    return path
