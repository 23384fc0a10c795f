"""The mouth-blurred picture and its gradient map, by colour alone (METHODS 4, preprocessing steps 1 and 2).

The hue angle of HSI is changed so that red counts more against blue. The document's own formula is lost; ours adds the
square of R - G, which holds no blue, to the radicand of the denominator, ``w`` times:

    θ = arccos( ½·[(R - G) + (R - B)] / √( (R - G)² + (R - B)·(G - B) + w·(R - G)² ) ),    H = θ if B ≤ G, else 360° - θ

With t = (R - G) / (R - B) the cosine is ½·(1 + t) / √((1 + w)·t² - t + 1). For w = 0 this is HSI: H falls from 60°
(yellow, t = 0) to 0° (red, t = 1) and then jumps to 360°, and lips lie on either side of that jump, where no threshold
holds them. From w = 3 on, t = 1 has a larger angle than t = 0, and H rises from skin (t about 0.5) through lips (t from
0.8 on) and on past the jump: "H above a threshold" holds for all of them, and for yellow it does not. The order of
pixels with t ≥ ½ is the same for every such w, so that w = 8 is a matter of scale: 60° for yellow, 70.5° for red.

What it brings, by ``python -m tests.benchmarks.lip_sync_mouth FILE ...`` on 199 faces in 181 photographs, which also
gave the threshold, and in brackets on 75 faces in 15 films, on which the formula and `ABOVE_SKIN_DEG` were tried out:

    of a lip's pixel and one of the skin around it, the lip's has the larger hue   88 % (96 %)   plain HSI 29 % (40 %)
    right by one threshold, chosen on the other files                              76 % (83 %)   plain HSI 59 % (68 %)
    of what the lips enclose, found by the mouth mask                              81 % (95 %)
    share of the mouth mask that is that, the rest being red skin around it        37 % (36 %)

Everywhere: pictures are uint8 (H, W, 3), RGB; masks are bool (H, W); points are (x, y) in pixels, y down.
"""

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from core.errors import ParameterError

Picture = NDArray[np.uint8]
Plane = NDArray[np.float32]
Mask = NDArray[np.bool_]
Points = NDArray[np.floating]

RED_WEIGHT = 8.0
"""The w of the formula."""
MOUTH_HUE_DEG = 68.4
"""Lips are above, skin below: the best single threshold for red weight 8 on photographs of 199 faces; t is 0.80."""
ABOVE_SKIN_DEG = 1.5
"""Lips are at least this far above the middle hue of their own face."""
LEAST_SATURATION = 0.05
"""Greyer pixels have no hue to speak of."""
FILTER_SHARE = 0.25
"""Side of the mean filters as a share of the face's width."""
LEAST_SKIN = 0.5
"""Where the ellipse finds less of a lower part to be skin, colour does not tell, and all of it counts."""
BLEND = 0.5
GRADIENT_SIDES = (5, 7)

_GREY = np.array([[0.299, 0.587, 0.114]], np.float32)
_YCBCR = np.array([[65.481, 128.553, 24.966], [-37.797, -74.203, 112.0], [112.0, -93.786, -18.214]]) / 255
_YCBCR_ZERO = np.array([16.0, 128.0, 128.0])
_ELLIPSE_CENTRE, _ELLIPSE_TURN, _ELLIPSE_SHIFT = np.array([109.38, 152.02]), 2.53, np.array([1.60, 2.41])
_ELLIPSE_AXES = np.array([25.39, 14.03])
_UPSIDE_DOWN_MARGIN = 0.05
_EDGES = np.array([[-1, -1, -1], [-1, 8, -1], [-1, -1, -1]], np.float32)
_SMOOTH = np.outer([1, 2, 1], [1, 2, 1]).astype(np.float32) / 16


class Hsi(NamedTuple):
    """Hue in degrees [0, 360), 0 where there is no colour; saturation and intensity, 0 to 1; each float32 (H, W)."""

    hue_deg: Plane
    saturation: Plane
    intensity: Plane


class Outline(NamedTuple):
    """A face in a picture.

    Attributes:
        points: (P, 2), a polygon around it.
        down: (2,), of unit length, from the forehead to the chin; None: found by where the skin is (`down_by_skin`).
    """

    points: Points
    down: Points | None = None


def hsi(picture: Picture, red_weight: float = RED_WEIGHT) -> Hsi:
    """Hue, saturation and intensity; ``red_weight`` is w of the formula above, 0 for plain HSI.

    Raises:
        ParameterError: ``picture`` has another shape or dtype, or the weight is negative.
    """
    if not red_weight >= 0:
        raise ParameterError(f"The red weight is {red_weight}; give zero or more.")
    red, green, blue = np.moveaxis(_checked(picture).astype(np.float32) / 255, 2, 0)
    above_green, above_blue = red - green, red - blue
    radicand = (1 + red_weight) * above_green**2 + above_blue * (green - blue)
    coloured = (above_green != 0) | (above_blue != 0)
    cosine = (above_green + above_blue) / 2 / np.sqrt(np.where(coloured, radicand, 1))
    angle = np.degrees(np.arccos(np.clip(cosine, -1, 1)))
    hue = np.where(coloured, np.where(blue <= green, angle, 360 - angle), 0) % 360
    intensity = (red + green + blue) / 3
    least = np.minimum(np.minimum(red, green), blue)
    saturation = 1 - least / np.where(intensity > 0, intensity, 1)
    return Hsi(hue.astype(np.float32), np.where(intensity > 0, saturation, 0).astype(np.float32), intensity)


def mouth_mask(picture: Picture, region: Mask, threshold_deg: float | None = None) -> Mask:
    """The pixels of ``region`` whose hue is above a threshold, and what they enclose.

    Pixels with more green than red, whose hues are above it too, and grey ones are left out; teeth and tongue come in
    because lips surround them.

    Args:
        picture: the picture.
        region: where to look: the lower part of a face.
        threshold_deg: None: `MOUTH_HUE_DEG`, or `ABOVE_SKIN_DEG` above the median of the region where that is less, as
            it is for brown skin and in yellow light.
    """
    if not region.any():
        return np.zeros_like(region)
    colours = hsi(picture)
    if threshold_deg is None:
        threshold_deg = min(MOUTH_HUE_DEG, float(np.median(colours.hue_deg[region])) + ABOVE_SKIN_DEG)
    red = (picture[..., 0] > picture[..., 1]) & (colours.saturation >= LEAST_SATURATION)
    return filled(region & red & (colours.hue_deg > threshold_deg))


def ycbcr(picture: Picture) -> Plane:
    """Y (16 to 235), Cb and Cr (16 to 240, grey is 128) of ITU-R BT.601: float32 (H, W, 3).

    Raises:
        ParameterError: ``picture`` has another shape or dtype.
    """
    return (_checked(picture) @ _YCBCR.T + _YCBCR_ZERO).astype(np.float32)


def skin_mask(picture: Picture) -> Mask:
    """The pixels whose Cb and Cr lie in the ellipse of skin, its edge included.

    Source: the elliptical model of Hsu, Abdel-Mottaleb and Jain, "Face Detection in Color Images", 2002.
    Deviation: Cb and Cr are taken as they are; the paper first bends them in very dark and very bright pixels.
    """
    cb_cr = ycbcr(picture)[..., 1:] - _ELLIPSE_CENTRE
    cosine, sine = np.cos(_ELLIPSE_TURN), np.sin(_ELLIPSE_TURN)
    along = (cb_cr @ np.array([[cosine, -sine], [sine, cosine]]) - _ELLIPSE_SHIFT) / _ELLIPSE_AXES
    return np.asarray((along**2).sum(axis=2) <= 1)


def filled(mask: Mask) -> Mask:
    """The mask and its holes: what it keeps from the picture's edge, by steps up, down, left and right."""
    outside = np.pad(~mask, 1, constant_values=True).astype(np.uint8)
    _, labels = cv2.connectedComponents(outside, connectivity=4)
    return np.asarray(labels != labels[0, 0])[1:-1, 1:-1]


def hull(mask: Mask) -> Mask:
    """The mask and all that lies between its pixels: its convex hull."""
    rows, columns = np.nonzero(mask)
    if not len(rows):
        return mask
    corners = cv2.convexHull(np.stack([columns, rows], axis=1).astype(np.float32)).reshape(-1, 2)
    return face_mask((mask.shape[0], mask.shape[1]), np.asarray(corners, np.float32))


def face_mask(shape: tuple[int, int], outline: Points) -> Mask:
    """The inside of a polygon (P, 2), its edge included, in a picture of ``shape`` (H, W)."""
    canvas = np.zeros(shape, np.uint8)
    cv2.fillPoly(canvas, [np.round(outline).astype(np.int32)], 1)
    return canvas.astype(np.bool_)


def lower_part(mask: Mask, down: Points, share: float = 0.5, outline: Points | None = None) -> Mask:
    """The pixels in the last ``share`` of a mask's extent along ``down``.

    The document turns the face upright and cuts an interval of rows; this is the same cut in the picture's own pixels.

    Args:
        mask: of a face.
        down: (2,), of unit length, towards the chin.
        share: 0 to 1.
        outline: (P, 2), of the whole face, which gives the extent where the picture's edge cuts the mask.
    """
    rows, columns = np.nonzero(mask)
    out = np.zeros_like(mask)
    if len(rows):
        along = columns * down[0] + rows * down[1]
        whole = along if outline is None else outline @ down
        first, last = whole.min() - 0.5, whole.max() + 0.5
        out[rows, columns] = along >= last - share * (last - first)
    return out


def down_by_landmarks(eyes: Points, mouth: Points) -> Points:
    """The direction (2,), of unit length, from the middle of the eyes (P, 2) to the middle of the mouth (P, 2).

    Raises:
        ParameterError: the two fall together.
    """
    step = mouth.mean(axis=0) - eyes.mean(axis=0)
    length = float(np.linalg.norm(step))
    if not length > 0:
        raise ParameterError("The eyes lie on the mouth; give landmarks of a face.")
    return np.asarray(step / length)


def down_by_skin(skin: Mask, face: Mask) -> Points:
    """Where the chin is, by the share of skin: hair is above, and around the mouth there is nothing but skin.

    Of the four halves of the face (below, above, left, right) the one with the largest share of skin. The lower one is
    taken unless another exceeds it by more than 0.05.

    Args:
        skin: pixels that are skin.
        face: pixels that are face.

    Returns:
        (0, 1), (0, -1), (-1, 0) or (1, 0).
    """
    ways = [np.array(way, np.float64) for way in ((0, 1), (0, -1), (-1, 0), (1, 0))]
    halves = [lower_part(face, way) for way in ways]
    shares = [float(skin[half].mean()) if half.any() else 0.0 for half in halves]
    shares[0] += _UPSIDE_DOWN_MARGIN
    return ways[int(np.argmax(shares))]


def mean_filtered(picture: Picture, side_px: int) -> Plane:
    """Each pixel's mean over the square of ``side_px`` around it, edges repeated outwards: float32 (H, W, 3).

    Raises:
        ParameterError: the side is not odd.
    """
    if side_px < 1 or side_px % 2 == 0:
        raise ParameterError(f"The filter's side is {side_px}; give an odd number above zero.")
    floats = _checked(picture).astype(np.float32)
    return np.asarray(cv2.blur(floats, (side_px, side_px), borderType=cv2.BORDER_REPLICATE), np.float32)


def blended(picture: Picture, mean: Plane, mouth: Mask, lower: Mask) -> Picture:
    """The sum of both intermediate pictures, half of each.

    The first is the picture with the mean in the mouth, the second that with the mean in the lower part. So the mean
    stands where both are, half of it where one is, and the picture everywhere else: no hole is cut.
    """
    weight = BLEND * mouth.astype(np.float32) + BLEND * lower.astype(np.float32)
    floats = picture.astype(np.float32)
    return np.floor(floats + weight[..., None] * (mean - floats) + 0.5).astype(np.uint8)


def mouth_blurred(picture: Picture, faces: Sequence[Outline], filter_share: float = FILTER_SHARE) -> Picture:
    """The mouth-blurred picture: every face treated, all else as it was.

    Args:
        picture: the picture.
        faces: their outlines, which may reach beyond the picture.
        filter_share: side of the mean filters as a share of each face's width, 0 to 1.

    Raises:
        ParameterError: ``picture`` has another shape or dtype, or the share is out of range.
    """
    if not 0 < filter_share <= 1:
        raise ParameterError(f"The filter's share is {filter_share}; choose a number above 0, at most 1.")
    out = _checked(picture).copy()
    for face in faces:
        side = 2 * round(filter_share * float(np.ptp(face.points[:, 0])) / 2) + 1
        rows, columns = _window(picture.shape[:2], face.points, side)
        part = out[rows, columns]
        if part.size:
            corner = np.array([columns.start, rows.start])
            mouth, lower = mouth_and_lower(part, Outline(face.points - corner, face.down))
            out[rows, columns] = blended(part, mean_filtered(part, side), mouth, lower)
    return out


def mouth_and_lower(picture: Picture, face: Outline) -> tuple[Mask, Mask]:
    """The mouth by its hue, and the lower part of the face's skin; see `mouth_mask` and `skin_mask`.

    The part is the hull of what is skin in the lower half of the face, so that the mouth, which may be none, is in it.

    Where less than half of the lower part has the colour of skin, as in drawings, in animals, behind a beard and in
    coloured light, all of it counts as skin.
    """
    inside = face_mask((picture.shape[0], picture.shape[1]), face.points)
    skin = skin_mask(picture) & inside
    down = down_by_skin(skin, inside) if face.down is None else face.down
    half = lower_part(inside, down, outline=face.points)
    enough = (skin & half).sum() >= LEAST_SKIN * half.sum()
    lower = half & hull(skin & half) if enough else half
    return mouth_mask(picture, lower), lower


def gradient_kernels(side: int = 5) -> tuple[Plane, Plane]:
    """The kernels A1 (3, 3) and A2 (side, side); both sum to zero, and their magnitudes to 16 and to at most 2.

    A1 is the Laplacian of eight neighbours. A2 is a 3 × 3 binomial less the mean of the whole square: it looks further
    than A1 and, unlike a second Laplacian, lowers noise.

    Raises:
        ParameterError: the side is neither 5 nor 7.
    """
    if side not in GRADIENT_SIDES:
        raise ParameterError(f"The second kernel's side is {side}; choose 5 or 7.")
    wide = np.full((side, side), -1 / side**2, np.float32)
    middle = slice(side // 2 - 1, side // 2 + 2)
    wide[middle, middle] += _SMOOTH
    return _EDGES, wide


def gradient_map(picture: Picture, side: int = 5) -> Plane:
    """Where a picture has fine detail and where it is blurred: grey ⊗ A1 ⊗ A2, float32 (H, W), in [-1, 1].

    Grey is the luma of BT.601, 0 to 1, and edges are repeated outwards. In photographs of faces one value in a hundred
    is beyond ±0.15; what would be beyond ±1, which the hardest edges are, is clipped.

    Raises:
        ParameterError: ``picture`` has another shape or dtype, or the side is neither 5 nor 7.
    """
    first, second = gradient_kernels(side)
    grey = np.asarray(cv2.transform(_checked(picture).astype(np.float32) / 255, _GREY), np.float32)
    margin = 1 + side // 2
    wide = cv2.copyMakeBorder(grey, *(margin,) * 4, cv2.BORDER_REPLICATE)
    edges = cv2.filter2D(cv2.filter2D(wide, -1, first), -1, second)
    return np.clip(edges[margin:-margin, margin:-margin], -1, 1).astype(np.float32)


def four_channels(blurred: Picture, side: int = 5) -> Plane:
    """What the network sees of a mouth-blurred picture: RGB, 0 to 1, and the gradient map, float32 (H, W, 4)."""
    colours = _checked(blurred).astype(np.float32) / 255
    return np.concatenate([colours, gradient_map(blurred, side)[..., None]], axis=2)


def upright_matrix(centre: Points, down: Points, width_px: float, side_px: int) -> Points:
    """The similarity (2, 3) that takes a picture's points to those of a square crop in which ``down`` points down.

    Args:
        centre: (2,), what comes to the middle of the crop, (side_px - 1) / 2.
        down: (2,), of unit length.
        width_px: how much of the picture the crop shows along its sides.
        side_px: of the crop.

    Raises:
        ParameterError: a length is not positive.
    """
    if not width_px > 0 or side_px < 1:
        raise ParameterError(f"The crop shows {width_px} pixels on {side_px}; give numbers above zero.")
    scale = side_px / width_px
    turn = scale * np.array([[down[1], -down[0]], [down[0], down[1]]], np.float64)
    return np.concatenate([turn, ((side_px - 1) / 2 - turn @ np.asarray(centre, np.float64))[:, None]], axis=1)


def upright(picture: Picture, matrix: Points, side_px: int) -> Picture:
    """The square crop of `upright_matrix`, bilinear, edges repeated outwards: uint8 (side_px, side_px, 3)."""
    size = (side_px, side_px)
    crop = cv2.warpAffine(_checked(picture), matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(crop, np.uint8)


def _window(shape: tuple[int, ...], points: Points, margin: int) -> tuple[slice, slice]:
    """The rows and columns around some points, as far as there are any."""
    low, high = np.floor(points.min(axis=0)) - margin, np.ceil(points.max(axis=0)) + margin + 1
    (left, top), (right, bottom) = low.astype(int), high.astype(int)
    height, width = shape[:2]
    return slice(max(0, top), max(0, min(height, bottom))), slice(max(0, left), max(0, min(width, right)))


def _checked(picture: Picture) -> Picture:
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3 or 0 in picture.shape:
        raise ParameterError(f"The picture is {picture.dtype} {picture.shape}; give uint8 of shape (H, W, 3), RGB.")
    return picture
