"""Subject recognition: a picture in, its subject cut out (METHODS 2, the database's first step).

Three ways, the first that applies: the picture's own alpha; people, by the segmenter of `core.encoders.faces`; anything
else by its colours, which the picture's border does not have, sharpened by GrabCut where the border is not plain.

Sources: Rother, Kolmogorov and Blake, "GrabCut", 2004; Wei et al., "Geodesic Saliency Using Background Priors", 2012,
for the two beliefs behind the start, that the border is background and that background hangs together.
"""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Literal, Self, cast

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core.encoders.faces import FaceLandmarker, PersonSegmenter
from core.errors import MediaDamagedError, MediaLimitError, NoSubjectError, ParameterError
from core.media import VideoReader
from core.personal_video.config import ConceptConfig

Pixels = NDArray[np.uint8]
Mask = NDArray[np.float32]
Way = Literal["alpha", "person", "saliency"]

SMALLEST_SIDE_PX = 8
"""A smaller picture shows nothing that could be recognised."""
LARGEST_SIDE_PX = 2048
LEAST_SHARE, MOST_SHARE = 0.005, 0.97
"""Of the picture that a subject covers; what covers less or more is no subject before a background."""
WHITE = (255, 255, 255)
_WORK_SIDE_PX = 256
_BORDER_SHARE = 0.04
_BORDER_COLOURS = 4
_LEAST_CONTRAST = 8.0
"""In CIELAB units (about 2.3 are just noticeable): a picture whose colours all lie nearer to its border's is plain."""
_PLAIN_NOISE = 3.0
"""A border that keeps so near to its main colours (95 of 100 pixels) is a plain backdrop; no GrabCut is needed."""
_ROUNDS = 5
_SURE, _UNSURE_SHARE = 0.95, 0.12
"""A person's mask: mean confidence inside at least, and share of the picture neither in nor out at most. Faces were
found in 12 of 12 photographs of people and in a cartoon lion; a cat got 0.95 and 0.17, a coffee cup 0.87 and 0.15."""


@dataclass(frozen=True)
class Cutout:
    """A subject without its background.

    Raises:
        ParameterError: the pixels are not RGBA, or show nothing.
    """

    pixels: Pixels = field(repr=False)
    """uint8 (h, w, 4), RGB with straight alpha, cropped to the subject; zero where alpha is zero."""
    box: tuple[int, int, int, int]
    """left, top, right, bottom in pixels of the picture as it was looked at."""
    picture_size: tuple[int, int]
    """(width, height) of the picture as it was looked at."""
    way: Way
    """How the subject was told from the background."""
    source: str = ""
    """Name of the file, with the number of the picture for animated ones."""

    def __post_init__(self) -> None:
        if self.pixels.dtype != np.uint8 or self.pixels.ndim != 3 or self.pixels.shape[2] != 4:
            raise ParameterError(f"A cut-out is {self.pixels.dtype} {self.pixels.shape}; give uint8 (H, W, 4), RGBA.")
        if not self.pixels[..., 3].any():
            raise ParameterError(f"The cut-out of {self.source or 'the picture'} is empty; cut out a subject first.")

    @property
    def mask(self) -> Mask:
        """How far each pixel belongs to the subject: (h, w), 0 to 1."""
        return _as_mask(self.pixels[..., 3])

    def square(self, side_px: int, background: tuple[int, int, int] = WHITE) -> Pixels:
        """The subject in the middle of a square of one colour, uint8 (side_px, side_px, 3); it fills nine tenths."""
        height, width = self.pixels.shape[:2]
        scale = 0.9 * side_px / max(height, width)
        size = max(1, round(width * scale)), max(1, round(height * scale))
        subject = Image.fromarray(self.pixels).resize(size, Image.Resampling.LANCZOS)
        canvas = Image.new("RGBA", (side_px, side_px), (*background, 255))
        canvas.alpha_composite(subject, ((side_px - size[0]) // 2, (side_px - size[1]) // 2))
        return np.array(canvas.convert("RGB"))

    def smaller(self, side_px: int) -> "Cutout":
        """The same subject with its longer side at most ``side_px``."""
        height, width = self.pixels.shape[:2]
        scale = side_px / max(height, width)
        if scale >= 1:
            return self
        size = max(1, round(width * scale)), max(1, round(height * scale))
        small = np.array(Image.fromarray(self.pixels).resize(size, Image.Resampling.LANCZOS))
        if not small[..., 3].any():
            small[..., 3] = 255
        return replace(self, pixels=small)

    def png(self) -> bytes:
        """The pixels as a PNG; the same pixels give the same bytes."""
        buffer = io.BytesIO()
        Image.fromarray(self.pixels).save(buffer, "PNG")
        return buffer.getvalue()


class SubjectCutter:
    """Cuts subjects out of pictures; a context manager that loads its networks when the first picture needs them.

    Args:
        config: how large pictures are looked at, and how many of an animated one.

    Use::

        with SubjectCutter() as cutter:
            for cutout in cutter.cut_file("biscuit.jpg"):
                ...
    """

    def __init__(self, config: ConceptConfig | None = None) -> None:
        self._config = config or ConceptConfig()
        self._people: tuple[FaceLandmarker, PersonSegmenter] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Release the networks; the next picture would load them again."""
        for network in self._people or ():
            network.close()
        self._people = None

    def cut_file(self, path: str | Path) -> list[Cutout]:
        """The subject of a picture, or of each of several pictures of an animated one.

        Pictures of an animation in which nothing is found are passed over as long as one has a subject.

        Raises:
            MediaError: the file cannot be read, is too large, or `NoSubjectError`.
        """
        cutouts: list[Cutout] = []
        nothing: NoSubjectError | None = None
        for name, pixels in pictures_in(path, self._config):
            try:
                cutouts.append(self.cut(pixels, name))
            except NoSubjectError as error:
                nothing = nothing or error
        if not cutouts and nothing:
            raise nothing
        return cutouts

    def cut(self, picture: Pixels, source: str = "the picture") -> Cutout:
        """The subject of one picture.

        Args:
            picture: uint8 (H, W, 3) RGB or (H, W, 4) RGBA with straight alpha.
            source: names the picture in messages.

        Raises:
            ParameterError: ``picture`` has another shape or type.
            NoSubjectError: nothing in it stands out.
        """
        if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] not in (3, 4) or 0 in picture.shape:
            raise ParameterError(f"The picture is {picture.dtype} {picture.shape}; give uint8 (H, W, 3) or (H, W, 4).")
        if min(picture.shape[:2]) < SMALLEST_SIDE_PX:
            height, width = picture.shape[:2]
            raise NoSubjectError(
                f"{source} has {width} × {height} pixels, too few to show a subject; give a larger picture."
            )
        if picture.shape[2] == 4 and is_cut_out(picture[..., 3]):
            return cropped(picture[..., :3], _as_mask(picture[..., 3]), "alpha", source)
        rgb = np.ascontiguousarray(picture[..., :3])
        person = self._person(rgb)
        if person is not None:
            return cropped(rgb, person, "person", source)
        return cropped(rgb, salient(rgb), "saliency", source)

    def _person(self, rgb: Pixels) -> Mask | None:
        """The mask of the people in a picture; None when there are none for sure."""
        if self._people is None:
            self._people = FaceLandmarker(), PersonSegmenter()
        faces, segmenter = self._people
        found = faces.landmarks(rgb)
        if not found:
            return None
        mask = segmenter.mask(rgb)
        inside = mask > 0.5
        unsure = float(((mask > 0.2) & (mask < 0.8)).mean())
        sure = bool(inside.any()) and float(mask[inside].mean()) >= _SURE and unsure <= _UNSURE_SHARE
        return mask if sure and LEAST_SHARE <= inside.mean() <= MOST_SHARE else None


def pictures_in(path: str | Path, config: ConceptConfig) -> Iterator[tuple[str, Pixels]]:
    """Name and RGBA pixels of a picture, or of some of an animated one, no larger than they are cut out at.

    Raises:
        MediaError: the file cannot be read, or is too large; that is told from its header.
    """
    with VideoReader(path, config.cutout_side_px, background=None, limits=config.limits) as reader:
        info = reader.info
        count = 1 if info.is_still else config.animation_frames
        times = [Fraction(2 * n + 1, 2 * count) * info.duration_s for n in range(count)]
        before: Pixels | None = None
        for number, frame in enumerate(reader.frames_at(times), start=1):
            if before is None or not np.array_equal(before, frame.pixels):
                yield (info.path.name if info.is_still else f"{info.path.name} ({number})"), frame.pixels
            before = frame.pixels


def is_cut_out(alpha: Pixels) -> bool:
    """Whether an alpha channel (H, W) tells a subject from a background: some of it opaque, and some not."""
    return float((alpha < 128).mean()) >= 1 - MOST_SHARE or not alpha.any()


def cropped(rgb: Pixels, mask: Mask, way: Way, source: str) -> Cutout:
    """The pixels (H, W, 3) under a mask (H, W), 0 to 1, cropped to it.

    Raises:
        NoSubjectError: the mask covers too little or nearly all of the picture.
    """
    inside = mask > 0.5
    share = float(inside.mean())
    if share < LEAST_SHARE or (share > MOST_SHARE and way != "alpha"):
        raise NoSubjectError(
            f"No subject was found in {source}: nothing stands out from its background; give a picture that shows the"
            " whole subject before a plain background, or a PNG with a transparent one."
        )
    visible = mask >= 1 / 255
    rows, columns = np.flatnonzero(visible.any(1)), np.flatnonzero(visible.any(0))
    left, top, right, bottom = int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
    alpha = np.rint(mask[top:bottom, left:right, None] * 255).astype(np.uint8)
    pixels = np.concatenate([np.where(alpha > 0, rgb[top:bottom, left:right], 0), alpha], axis=2)
    return Cutout(pixels, (left, top, right, bottom), (rgb.shape[1], rgb.shape[0]), way, source)


def salient(rgb: Pixels) -> Mask:
    """A mask (H, W), 0 to 1, of what differs from the picture's border; zero everywhere when nothing does.

    The picture is looked at with at most 256 pixels a side, and the mask's edge is as soft as that makes it.

    Args:
        rgb: uint8 (H, W, 3).
    """
    height, width = rgb.shape[:2]
    scale = min(1.0, _WORK_SIDE_PX / max(height, width))
    size = max(SMALLEST_SIDE_PX, round(width * scale)), max(SMALLEST_SIDE_PX, round(height * scale))
    small = cast(Pixels, cv2.resize(rgb, size, interpolation=cv2.INTER_AREA))
    contrast = border_contrast(small)
    if contrast.max() < _LEAST_CONTRAST:
        return np.zeros((height, width), np.float32)
    noise = float(np.percentile(contrast[_ring(contrast.shape)], 95))
    plain = noise < _PLAIN_NOISE
    mask = whole_pieces(contrast > max(_LEAST_CONTRAST, 3 * noise) if plain else _grab(small, contrast))
    soft = cv2.resize(
        cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 0.7), (width, height), interpolation=cv2.INTER_LINEAR
    )
    return cast(Mask, np.clip((soft - 0.25) * 2, 0, 1).astype(np.float32))


def border_contrast(rgb: Pixels) -> NDArray[np.float32]:
    """How far each pixel's colour lies from the nearest of the border's main colours: (H, W), CIELAB units."""
    lab = cv2.cvtColor((rgb / 255).astype(np.float32), cv2.COLOR_RGB2LAB).astype(np.float32)
    colours = lab[_ring(rgb.shape[:2])]
    centres = _main_colours(colours, min(_BORDER_COLOURS, len(np.unique(colours, axis=0))))
    distances = [np.linalg.norm(lab - centre, axis=2) for centre in centres]
    return cast(NDArray[np.float32], np.min(distances, axis=0).astype(np.float32))


def whole_pieces(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The largest connected piece of a mask and those at least a tenth as large, their holes filled."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    if count < 2:
        return mask
    areas = stats[1:, cv2.CC_STAT_AREA]
    kept = np.isin(labels, 1 + np.flatnonzero(areas * 10 >= areas.max()))
    outlines, _ = cv2.findContours(kept.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled = cv2.drawContours(np.zeros(mask.shape, np.uint8), outlines, -1, 1, cv2.FILLED)
    return cast(NDArray[np.bool_], filled.astype(bool))


def _as_mask(alpha: Pixels) -> Mask:
    """An alpha channel as numbers from 0 to 1."""
    return (alpha / 255).astype(np.float32)


def _ring(shape: Sequence[int]) -> NDArray[np.bool_]:
    """True on the border of a picture of (height, width)."""
    wide = max(1, round(_BORDER_SHARE * min(shape)))
    ring = np.ones(shape, bool)
    ring[wide:-wide, wide:-wide] = False
    return ring


def _main_colours(colours: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """The centres (count, 3) of the clusters of colours (N, 3), always the same ones for the same colours."""
    cv2.setRNGSeed(0)
    stop = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 20, 0.5)
    nothing = cast(Pixels, None)  # OpenCV's stubs know no call without first labels
    _, _, centres = cv2.kmeans(np.ascontiguousarray(colours), count, nothing, stop, 2, cv2.KMEANS_PP_CENTERS)
    return cast(NDArray[np.float32], centres)


def _grab(rgb: Pixels, contrast: NDArray[np.float32]) -> NDArray[np.bool_]:
    """GrabCut, started with what is in contrast to the border and near the middle."""
    height, width = contrast.shape
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    saliency = np.clip(contrast / contrast.max(), 0, 1) * np.exp(-(x**2 + y**2) / 1.5)
    level, _ = cv2.threshold(np.rint(saliency * 255).astype(np.uint8), 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    trimap = np.where(saliency * 255 > level, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    trimap[_ring((height, width)) & (contrast < _LEAST_CONTRAST)] = cv2.GC_BGD
    if not (trimap == cv2.GC_PR_FGD).any() or not np.isin(trimap, (cv2.GC_BGD, cv2.GC_PR_BGD)).any():
        return np.zeros((height, width), bool)
    cv2.setRNGSeed(0)
    back, front = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.grabCut(rgb, trimap, (0, 0, 0, 0), back, front, _ROUNDS, cv2.GC_INIT_WITH_MASK)
    return np.isin(trimap, (cv2.GC_FGD, cv2.GC_PR_FGD))


def cutout_from_png(png: bytes, source: str = "the cut-out") -> Cutout:
    """A cut-out from the bytes that `Cutout.png` gave; its box is all of it.

    Raises:
        MediaDamagedError: they are no such PNG.
        MediaLimitError: it is larger than cut-outs ever are.
    """
    try:
        with Image.open(io.BytesIO(png), formats=("PNG",)) as image:
            if max(image.size) > LARGEST_SIDE_PX:
                raise MediaLimitError(f"{source} is larger than {LARGEST_SIDE_PX} pixels a side; make it smaller.")
            pixels = np.array(image.convert("RGBA"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise MediaDamagedError(f"{source} is damaged ({error}); add its pictures again.") from error
    if not pixels[..., 3].any():
        raise MediaDamagedError(f"{source} is empty; add its pictures again.")
    height, width = pixels.shape[:2]
    return Cutout(pixels, (0, 0, width, height), (width, height), "alpha", source)
