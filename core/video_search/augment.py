"""One random change of looks for all frames of a sequence (METHODS 3, training).

The document's own six: crop, resize, horizontal flip, colour jitter, greyscale and Gaussian blur, with the
probabilities of Zbontar et al., "Barlow Twins", 2021, appendix A. `Augmenter` adds, unless told not to, what copies on
the web go through besides: a frame or letterbox around the picture, another film behind it, text and logos over it,
and coarse compression.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Pictures = NDArray[np.uint8]
Box = tuple[float, float, float, float]
"""Left, top, right, bottom as shares of width and height."""
WHOLE: Box = (0.0, 0.0, 1.0, 1.0)
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


@dataclass(frozen=True)
class Sticker:
    """A bar of text or a filled logo: where, in which colour, and the letters (none: a disc)."""

    box: Box
    colour: tuple[int, int, int]
    text: str


@dataclass(frozen=True)
class Augmentation:
    """One draw; `apply` gives every frame of a sequence the same treatment."""

    crop: Box = WHOLE
    flip: bool = False
    colour: NDArray[np.float32] | None = None
    """(3, 4): a linear map of RGB and what is added to it."""
    blur_share: float = 0.0
    """Standard deviation of the blur as a share of the side; 0: none."""
    place: Box = WHOLE
    """Where the picture lies on its canvas."""
    canvas: tuple[int, int, int] | None = None
    """Colour around the picture; None: the frames of another film."""
    stickers: tuple[Sticker, ...] = ()
    quality: int = 100
    """JPEG quality, 100: untouched."""

    def apply(self, frames: Pictures, behind: Pictures, size: int) -> Pictures:
        """Change a sequence.

        Args:
            frames: (T, H, W, 3), RGB.
            behind: (T', H', W', 3), frames of another film for where ``canvas`` is None; repeated when too few.
            size: side of the result in pixels.

        Returns:
            (T, size, size, 3).
        """
        return np.stack([self._one(frame, behind[i % len(behind)], size) for i, frame in enumerate(frames)])

    def _one(self, frame: Pictures, behind: Pictures, size: int) -> Pictures:
        left, top, right, bottom = _pixels(self.crop, frame.shape[1], frame.shape[0])
        x0, y0, x1, y1 = _pixels(self.place, size, size)
        picture = cv2.resize(frame[top:bottom, left:right], (x1 - x0, y1 - y0), interpolation=cv2.INTER_AREA)
        if self.flip:
            picture = picture[:, ::-1]
        if self.colour is not None:
            picture = cv2.transform(np.ascontiguousarray(picture), self.colour)
        if self.blur_share:
            picture = cv2.GaussianBlur(picture, (0, 0), self.blur_share * size)
        whole = picture if self.place == WHOLE else self._around(behind, size)
        whole[y0:y1, x0:x1] = picture
        whole = np.ascontiguousarray(whole, np.uint8)
        for sticker in self.stickers:
            _stick(whole, sticker)
        return whole if self.quality == 100 else _compressed(whole, self.quality)

    def _around(self, behind: Pictures, size: int) -> Pictures:
        if self.canvas is None:
            return np.array(cv2.resize(behind, (size, size), interpolation=cv2.INTER_AREA), np.uint8)
        return np.full((size, size, 3), self.canvas, np.uint8)


@dataclass(frozen=True)
class Augmenter:
    """Draws `Augmentation`s.

    Args:
        web_copies: add what copies on the web go through to the document's six.
    """

    web_copies: bool = True

    def draw(self, random: np.random.Generator) -> Augmentation:
        """One draw."""
        crop = _crop(random)
        flip = bool(random.random() < 0.5)
        colour = _colour(random) if random.random() < 0.8 else None
        if random.random() < 0.2:
            colour = _then_grey(colour)
        blur = float(random.uniform(0.004, 0.02)) if random.random() < 0.35 else 0.0
        if not self.web_copies:
            return Augmentation(crop, flip, colour, blur)
        place, canvas = _placing(random)
        stickers = tuple(_sticker(random) for _ in range(random.integers(1, 4))) if random.random() < 0.3 else ()
        quality = int(random.integers(8, 50)) if random.random() < 0.35 else 100
        return Augmentation(crop, flip, colour, blur, place, canvas, stickers, quality)


def _crop(random: np.random.Generator) -> Box:
    """A box of 25 to 100 % of the area, its sides stretched against one another by at most a third."""
    area, stretch = random.uniform(0.25, 1), np.exp(random.uniform(-1, 1) * np.log(4 / 3) / 2)
    width, height = min(1.0, np.sqrt(area) * stretch), min(1.0, np.sqrt(area) / stretch)
    left, top = random.uniform(0, 1 - width), random.uniform(0, 1 - height)
    return left, top, left + width, top + height


def _colour(random: np.random.Generator) -> NDArray[np.float32]:
    """Brightness, contrast (0.6 to 1.4), saturation (0.8 to 1.2) and hue (36° either way) as one map of RGB."""
    brightness, contrast = random.uniform(0.6, 1.4, 2)
    saturation, angle = random.uniform(0.8, 1.2), random.uniform(-0.1, 0.1) * 2 * np.pi
    around_grey = np.full((3, 3), (1 - np.cos(angle)) / 3) + np.eye(3) * np.cos(angle)
    axis = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]) * np.sin(angle) / np.sqrt(3)
    saturate = saturation * np.eye(3) + (1 - saturation) * np.tile(_LUMA, (3, 1))
    linear = brightness * contrast * (saturate @ (around_grey + axis))
    return np.hstack([linear, np.full((3, 1), 127.5 * (1 - contrast) * brightness)]).astype(np.float32)


def _then_grey(colour: NDArray[np.float32] | None) -> NDArray[np.float32]:
    before = np.eye(3, 4, dtype=np.float32) if colour is None else colour
    return np.tile(_LUMA @ before, (3, 1)).astype(np.float32)


def _placing(random: np.random.Generator) -> tuple[Box, tuple[int, int, int] | None]:
    """Half of the time the whole canvas; else a border, a letterbox, or a small picture over another film."""
    kind = random.choice(["whole", "border", "letterbox", "over"], p=[0.5, 0.2, 0.15, 0.15])
    red, green, blue = (int(v) for v in random.integers(0, 256, 3))
    if kind == "border":
        left, top, right, bottom = random.uniform(0.02, 0.25, 4)
        return (left, top, 1 - right, 1 - bottom), (red, green, blue)
    if kind == "letterbox":
        bar = random.uniform(0.08, 0.25)
        colour = (0, 0, 0) if random.random() < 0.8 else (red, green, blue)
        return ((0.0, bar, 1.0, 1 - bar) if random.random() < 0.7 else (bar, 0.0, 1 - bar, 1.0)), colour
    if kind == "over":
        side = random.uniform(0.4, 0.75)
        left, top = random.uniform(0, 1 - side, 2)
        return (left, top, left + side, top + side), None
    return WHOLE, (0, 0, 0)


def _sticker(random: np.random.Generator) -> Sticker:
    width, height = random.uniform(0.1, 0.6), random.uniform(0.05, 0.2)
    left, top = random.uniform(0, 1 - width), random.uniform(0, 1 - height)
    red, green, blue = (int(v) for v in random.integers(0, 256, 3))
    letters = "".join(random.choice(list("ABCDEFGHIKLMNOPRSTUVWabcdefghiklmnoprstuvw 0123456789"), 12))
    return Sticker(
        (left, top, left + width, top + height), (red, green, blue), letters if random.random() < 0.7 else ""
    )


def _stick(picture: Pictures, sticker: Sticker) -> None:
    left, top, right, bottom = _pixels(sticker.box, picture.shape[1], picture.shape[0])
    if not sticker.text:
        cv2.circle(picture, ((left + right) // 2, (top + bottom) // 2), (bottom - top) // 2, sticker.colour, -1)
        return
    scale = (bottom - top) / 30
    cv2.putText(picture, sticker.text, (left, bottom), cv2.FONT_HERSHEY_DUPLEX, scale, sticker.colour, 2, cv2.LINE_AA)


def _compressed(picture: Pictures, quality: int) -> Pictures:
    _, coded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return cv2.imdecode(coded, cv2.IMREAD_COLOR)  # type: ignore[return-value]


def _pixels(box: Box, width: int, height: int) -> tuple[int, int, int, int]:
    """The box in pixels, at least one in each direction."""
    left, top = min(int(box[0] * width), width - 1), min(int(box[1] * height), height - 1)
    return left, top, max(left + 1, round(box[2] * width)), max(top + 1, round(box[3] * height))
