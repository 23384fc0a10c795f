"""From the network's mouth to the finished picture: masked, feathered, matched in colour, laid in.

Only the feathered region around mouth and chin changes; every pixel outside the mask stays bit for bit as it was. What
is done with the crop, in this order:

    matched   the frame's own crop less the generated one, seen in the ring where the mask rises, is carried smoothly
              into the inside and added, so that no seam shows. A difference far from the ring's median is a chin that
              moved and no colour, and is cut down.
    sharper   a crop that has to be enlarged is sharpened a little
    laid in   interpolated bicubically, or smoothed before it is shrunk
    detail    what the frame has and its own crop is too small to show, pores and stubble, comes back except on the
              lips; little of any one pixel, lest the outline of a chin that moved come back with it

Pictures are uint8 (H, W, 3), RGB; matrices are those of `core.lip_sync.crops.crop_matrix`.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from core.errors import ParameterError, check_ranges
from core.lip_sync.crops import (
    CROP_PX,
    MOST_PADDING,
    Matrix,
    Points,
    crop_scale,
    inverse,
    points_in_crop,
    rest_landmarks,
    warped,
    window_of,
)
from core.lip_sync.faces import CHIN, NOSE, OUTER, OVAL, Face, Picture

Plane = NDArray[np.float32]

LARGEST_OPENING = 0.7
"""How far lips part at the most while one speaks, in widths of the mouth."""
_USUAL_OPENING = 0.4
_CHIN_FOLLOWS = 0.5
_JAW = slice(OVAL.start + 12, OVAL.start + 25)
_LOWER_FACE = slice(OVAL.start + 9, OVAL.start + 28)
_BELOW_NOSE = 0.15
_LIP_MARGIN = 1.25
_LIP_EDGE_PX = 8.0
_COARSE, _REACH = 4, 4.0
_EVERYWHERE = 1e-3
_LARGEST_STEP = 24.0
_LARGEST_DETAIL = 10.0
_LEAST_MASK = 1 / 256


@dataclass(frozen=True)
class FinishConfig:
    """How the mouth is laid into the picture.

    Raises:
        ParameterError: a value is out of its range.
    """

    padding: float = field(default=0.0, metadata={"help": "how much more than mouth and chin a crop shows, -0.25 to 1"})
    mask_size: float = field(default=1.0, metadata={"help": "size of the changed region, 0.5 to 1.5; 1: mouth to chin"})
    feather: float = field(default=0.1, metadata={"help": "width of its soft edge, in crops, 0.01 to 0.3"})
    colour_match: float = field(default=1.0, metadata={"help": "how far colours follow the frame, 0 to 1"})
    sharpness: float = field(default=0.3, metadata={"help": "sharpening of enlarged mouths, 0 to 1"})
    detail: float = field(default=1.0, metadata={"help": "how much of the skin's own detail comes back, 0 to 1"})

    def __post_init__(self) -> None:
        check_ranges(
            self,
            ("padding", -0.25, MOST_PADDING),
            ("mask_size", 0.5, 1.5),
            ("feather", 0.01, 0.3),
            ("colour_match", 0, 1),
            ("sharpness", 0, 1),
            ("detail", 0, 1),
        )


def paste(
    picture: Picture, generated: Picture, matrix: Matrix, face: Face, options: FinishConfig | None = None
) -> Picture:
    """The picture with a generated mouth; a new array, equal to ``picture`` wherever `mask_of` is 0.

    Args:
        picture: the frame, (H, W, 3).
        generated: (128, 128, 3), the crop that the network made.
        matrix: of the crop.
        face: the face in the frame, which may reach beyond it.
        options: see `FinishConfig`.

    Raises:
        ParameterError: the crop has another shape or dtype.
    """
    if generated.shape != (CROP_PX, CROP_PX, 3) or generated.dtype != np.uint8:
        raise ParameterError(f"The crop is {generated.dtype} {generated.shape}; give uint8 (128, 128, 3).")
    options = options or FinishConfig()
    (left, top, right, bottom), to_crop = window_of(matrix, picture.shape)
    before = picture[top:bottom, left:right].astype(np.float32)
    mask, lips = _crop_mask(face, matrix, options), _around_lips(face, matrix)
    own = warped(before, to_crop, (CROP_PX, CROP_PX)).astype(np.float32)
    new = generated.astype(np.float32)
    new += options.colour_match * _colour_step(own - new, 4 * mask * (1 - mask) * _inside(before, to_crop))
    enlarged = crop_scale(matrix) < 1
    if enlarged:
        new += options.sharpness * (new - cv2.GaussianBlur(new, (0, 0), 1.0))
    after, weight = _in_window(new, mask, to_crop, before.shape)
    if enlarged and options.detail:
        smooth, skin = _in_window(own, 1 - lips, to_crop, before.shape)
        lost = np.clip(before - smooth, -_LARGEST_DETAIL, _LARGEST_DETAIL)
        after += options.detail * np.clip(skin, 0, 1) * lost
    before += _clean(weight) * (after - before)
    out = picture.copy()
    out[top:bottom, left:right] = np.clip(np.rint(before), 0, 255)
    return out


def mask_of(face: Face, matrix: Matrix, shape: tuple[int, ...], config: FinishConfig | None = None) -> Plane:
    """How much of each pixel of a picture comes from the crop: float32 (H, W), 0 to 1.

    The region reaches from under the nose to below the chin, that of the frame and that of a widely opened mouth alike,
    and from jaw to jaw. Its soft edge lies inside it, and all of it inside the crop.

    Args:
        face: the face.
        matrix: of its crop.
        shape: (H, W, …) of the picture.
        config: see `FinishConfig`.
    """
    (left, top, right, bottom), to_crop = window_of(matrix, shape)
    small = _crop_mask(face, matrix, config or FinishConfig())
    laid = _in_window(np.repeat(small[..., None], 3, axis=2), small, to_crop, (bottom - top, right - left))
    out = np.zeros(shape[:2], np.float32)
    out[top:bottom, left:right] = _clean(laid.mask)[..., 0]
    return out


class _Laid(NamedTuple):
    """Colours (H, W, 3) and a mask (H, W, 1), brought from the crop into the window; 0 beyond the crop."""

    colours: Plane
    mask: Plane


def _in_window(colours: Plane, mask: Plane, to_crop: Matrix, shape: tuple[int, ...]) -> _Laid:
    both = np.concatenate([colours, mask[..., None]], axis=2)
    laid = warped(both, inverse(to_crop), (shape[1], shape[0]), cv2.BORDER_CONSTANT).astype(np.float32)
    return _Laid(laid[..., :3], laid[..., 3:])


def _clean(mask: Plane) -> Plane:
    """Without the faint rest that interpolation leaves beyond the edge."""
    return np.where(mask < _LEAST_MASK, 0, np.minimum(mask, 1)).astype(np.float32)


def _crop_mask(face: Face, matrix: Matrix, options: FinishConfig) -> Plane:
    """The mask in the crop, (128, 128): how deep in the region each pixel lies, in feathers, smooth at both ends."""
    region, roof = _region(face, matrix, options.mask_size)
    rows, columns = np.mgrid[:CROP_PX, :CROP_PX].astype(np.float32)
    last = CROP_PX - 1
    depth = np.minimum.reduce([_depth(region), rows - roof, rows - 1, last - 1 - rows, columns - 1, last - 1 - columns])
    return _smooth_step(depth / (options.feather * CROP_PX))


def _region(face: Face, matrix: Matrix, size: float) -> tuple[Points, float]:
    """The points whose hull is the region, in pixels of the crop, and the row above which it must not reach."""
    points, rest = points_in_crop(face.landmarks, matrix), points_in_crop(rest_landmarks(face), matrix)
    lips = points[OUTER]
    middle = rest[:12].mean(axis=0)
    opening = LARGEST_OPENING * float(np.linalg.norm(rest[6] - rest[0]))
    falling = np.array([0, rest[24, 1] + _CHIN_FOLLOWS * opening - points[CHIN, 1]], np.float32)
    fallen = points[_JAW] + np.maximum(falling, 0)
    around = middle + _LIP_MARGIN * (np.concatenate([lips, rest[:12]]) - middle)
    whole = np.concatenate([points[_LOWER_FACE], fallen, around])
    nose = points[NOSE, 1]
    roof = nose + _BELOW_NOSE * (min(lips[:, 1].min(), rest[:12, 1].min()) - nose)
    return middle + size * (whole - middle), float(middle[1] + size * (roof - middle[1]))


def _around_lips(face: Face, matrix: Matrix) -> Plane:
    """1 on the lips as they are and as they usually may be, 0 from eight pixels of the crop on."""
    lips, rest = points_in_crop(face.landmarks[OUTER], matrix), points_in_crop(rest_landmarks(face), matrix)
    opening = _USUAL_OPENING * float(np.linalg.norm(rest[6] - rest[0]))
    open_lip = rest[1:6] + np.array([0, opening], np.float32)
    return _smooth_step(1 + _depth(np.concatenate([lips, rest[:12], open_lip])) / _LIP_EDGE_PX)


def _depth(points: Points) -> Plane:
    """How far each pixel of the crop lies inside the hull of some points; below zero outside."""
    hull = np.asarray(cv2.convexHull(points.astype(np.float32)).reshape(-1, 2), np.float32)
    edges = np.roll(hull, -1, axis=0) - hull
    length = np.linalg.norm(edges, axis=1)
    inward = np.stack([-edges[:, 1], edges[:, 0]], axis=1) / np.maximum(length, 1e-6)[:, None]
    inward *= np.where(((hull.mean(axis=0) - hull) * inward).sum(axis=1, keepdims=True) < 0, -1, 1)
    rows, columns = np.mgrid[:CROP_PX, :CROP_PX].astype(np.float32)
    depth = np.full((CROP_PX, CROP_PX), np.inf, np.float32)
    for (x, y), (across, down) in zip(hull[length > 0], inward[length > 0], strict=True):
        np.minimum(depth, across * (columns - x) + down * (rows - y), out=depth)
    return depth


def _smooth_step(values: Plane) -> Plane:
    share = np.clip(values, 0, 1)
    return (share * share * (3 - 2 * share)).astype(np.float32)


def _inside(window: Plane, to_crop: Matrix) -> Plane:
    """1 where the crop shows pixels of the picture, 0 where it shows repeated edges."""
    ones = np.ones(window.shape[:2], np.float32)
    return np.asarray(cv2.warpAffine(ones, to_crop, (CROP_PX, CROP_PX), flags=cv2.INTER_NEAREST), np.float32)


def _colour_step(difference: Plane, ring: Plane) -> Plane:
    """The smooth part of a difference (128, 128, 3), as far as the ring (128, 128) sees it, for all of the crop."""
    seen = ring > _LEAST_MASK
    if not seen.any():
        return np.zeros_like(difference)
    middle = np.median(difference[seen], axis=0)
    limited = middle + np.clip(difference - middle, -_LARGEST_STEP, _LARGEST_STEP)
    weighted = np.concatenate([limited * ring[..., None], ring[..., None]], axis=2).astype(np.float32)
    side = CROP_PX // _COARSE
    coarse = cv2.resize(weighted, (side, side), interpolation=cv2.INTER_AREA)
    everywhere = _EVERYWHERE * coarse.mean(axis=(0, 1))
    near = cv2.GaussianBlur(coarse, (0, 0), _REACH, borderType=cv2.BORDER_REFLECT) + everywhere
    step = near[..., :3] / near[..., 3:]
    return np.asarray(cv2.resize(step, (CROP_PX, CROP_PX), interpolation=cv2.INTER_LINEAR), np.float32)
