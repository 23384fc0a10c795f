"""A still face that speaks: a three-dimensional mouth model that moves a face's mesh, and a warp that follows it.

It makes films with known mouths to learn from, and is what the network is compared with. The mesh is the one of
`core.encoders.faces.FaceLandmarker`; everything moves in the head's own frame, in mouths (the width of the shut mouth):

1. The lips are shut, by the lips for a small gap and by the jaw for the rest.
2. The jaw turns about the axis through its joints near the ears, and takes the skin along with weights that are
   harmonic on the mesh (Botsch and Sorkine, "On Linear Variational Surface Deformation Methods", 2008, section 3,
   with the graph's Laplacian): 1 at the lower lip and the chin, 0 at the nose and above.
3. The lips open, spread, round and tuck; the skin around them follows, again harmonically.
4. The head turns, and the points are projected back in parallel.

The picture follows by an affine map per triangle; rings around the face carry its movement to the still background.

``mean_mesh.npz`` holds ``points`` (478, 3), the average mesh in face widths from the middle between the eyes, of 23
photographed faces that look ahead (yaw below 8 degrees) with shut lips, made symmetrical; and ``triangles`` (880, 3),
the 852 of mediapipe's tessellation and 28 over the eyes.
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from core.errors import ParameterError, check_ranges
from core.lip_sync.inner_mouth import InnerMouth, MouthLook, MouthPlace, cheek_light, mouth_to_picture

Picture = NDArray[np.uint8]
Points = NDArray[np.float64]
Mesh = NDArray[np.float32]

LIPS = np.array([
    (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 415, 310, 311, 312, 13, 82, 81, 80, 191),
    (62, 96, 89, 179, 86, 15, 316, 403, 319, 325, 292, 407, 272, 271, 268, 12, 38, 41, 42, 183),
    (76, 77, 90, 180, 85, 16, 315, 404, 320, 307, 306, 408, 304, 303, 302, 11, 72, 73, 74, 184),
    (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185),
])  # fmt: skip
"""Four rings of the lips from the inner edge to the outer one, each from the left corner along the lower lip."""
OVAL = np.array([
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377,
    152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
])  # fmt: skip
"""The edge of the face, clockwise from the forehead."""
WIDEST_GAP = 0.55
"""Between the inner lips for opening 1, in mouths."""
_LEFT_JOINT, _RIGHT_JOINT = 234, 454
_LEFT_CORNER, _LOWER, _RIGHT_CORNER, _UPPER = 0, 5, 10, 15
_CHEEKS = ((50, 101, 205, 36), (280, 330, 425, 266))
_EYE_CORNERS = (33, 133, 362, 263)
_CORNER_JAW = 0.35
_BY_LIPS = 0.15
"""A gap up to this many mouths is shut by the lips alone."""
_RINGS = ((1.15, 0.95, 0.75), (1.4, 0.7, 0.3), (1.8, 0.25, 0.05), (2.3, 0.0, 0.0))
"""Around the face: size, and how far each goes along with the head and with the jaw."""
_UPPER_EDGE, _TEETH_BEHIND = 0.045, 0.13
_FINE = 3
"""Triangles are drawn this much larger: what is drawn also holds pixels that an edge only touches."""
_BEYOND = 0.35
"""How far a triangle's map holds beyond its edge, as a share of the triangle."""
_THINNEST_PX = 0.15
"""Flatter triangles are left out; their neighbours cover them."""
_ACROSS = np.concatenate([np.linspace(-1, 1, 11), np.linspace(1, -1, 11)[1:-1]])
"""From corner to corner, for each of the twenty points of a ring."""
_OPPOSITE = np.array([0, *range(19, 0, -1)])
"""The point of the other lip that each one meets."""
_SIGN = np.array([0] + [1] * 9 + [0] + [-1] * 9)
"""1 for the lower lip, -1 for the upper one."""


_MIDDLE, _REACH = np.array([0.5, 0, 0.5, 0.5]), np.array([0.5, 1, 0.5, 0.5]) + 1e-6


@dataclass(frozen=True)
class HeadPose:
    """How a head is moved from where the photograph has it.

    Attributes:
        yaw_deg: to the right of the picture.
        pitch_deg: up.
        roll_deg: clockwise.
        right, down: shifts, in widths of the face.
    """

    yaw_deg: float = 0.0
    pitch_deg: float = 0.0
    roll_deg: float = 0.0
    right: float = 0.0
    down: float = 0.0

    def __post_init__(self) -> None:
        check_ranges(self, *((f"{turn}_deg", -15, 15) for turn in ("yaw", "pitch", "roll")))
        check_ranges(self, ("right", -0.3, 0.3), ("down", -0.3, 0.3))

    def rotation(self) -> NDArray[np.float64]:
        """The (3, 3) matrix that turns points with x to the right, y down and z away; roll comes last."""
        vectors = np.radians([[-self.pitch_deg, 0, 0], [0, -self.yaw_deg, 0], [0, 0, self.roll_deg]])
        pitch, yaw, roll = (cv2.Rodrigues(vector)[0] for vector in vectors)
        return np.asarray(roll @ yaw @ pitch, np.float64)


AHEAD = HeadPose()


@dataclass(frozen=True)
class Animated:
    """One frame.

    Attributes:
        picture: (H, W, 3), RGB.
        mesh: (478, 2), where all points are in it, in pixels.
    """

    picture: Picture
    mesh: Mesh


@lru_cache(maxsize=1)
def mean_mesh() -> tuple[Points, NDArray[np.int64]]:
    """The average face: points (478, 3) in face widths from between the eyes, and triangles (880, 3); do not write."""
    with np.load(Path(__file__).with_name("mean_mesh.npz")) as stored:
        return stored["points"].astype(np.float64), stored["triangles"].astype(np.int64)


def opening_of(mesh: NDArray[np.floating]) -> float:
    """Distance of the inner edges of the lips over that of their corners, of a mesh (468 or more, 2 or 3)."""
    inner = mesh[LIPS[0]]
    width = float(np.linalg.norm(inner[_RIGHT_CORNER] - inner[_LEFT_CORNER]))
    return float(np.linalg.norm(inner[_UPPER] - inner[_LOWER])) / width if width > 0 else 0.0


class FaceAnimator:
    """Makes a still face speak.

    Args:
        picture: uint8 (H, W, 3), RGB; turned by up to about 25 degrees, the lips shut, open or smiling.
        mesh: (478, 3), of the face in it, in pixels, z away from the viewer.
        look: of the inside of the mouth, of which nothing is taken from the picture.

    Raises:
        ParameterError: the picture or the mesh has another shape, or the mesh has no extent.
    """

    def __init__(self, picture: Picture, mesh: Mesh, look: MouthLook) -> None:
        if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3 or 0 in picture.shape:
            raise ParameterError(f"The picture is {picture.dtype} {picture.shape}; give uint8 of shape (H, W, 3), RGB.")
        if mesh.shape != (478, 3) or not np.isfinite(mesh).all():
            raise ParameterError(f"The mesh is {mesh.shape}; give 478 finite points (x, y, z) of one face.")
        self._picture = picture
        self._head = _Head(np.asarray(mesh, np.float64))
        self._own = self._head.inward(mesh)
        self._neutral = _shut(self._own)
        self._inner = InnerMouth(look, cheek_light(picture, *(mesh[list(cheek), :2] for cheek in _CHEEKS)))
        self._warp = _Warp(np.asarray(mesh[:, :2], np.float64))
        self._tooth_scale = float(np.clip(np.sqrt(2 * self._own[_RIGHT_JOINT, 0] / 2.75), 0.75, 1.3))

    def frame(self, articulation: NDArray[np.floating], pose: HeadPose = AHEAD) -> Animated:
        """The face with its mouth and head as asked.

        Args:
            articulation: (4,), opening 0 to 1, spread -1 (round) to 1 (wide), tuck 0 to 1 (the lower lip under the
                upper teeth), tongue 0 to 1 (its tip at the upper teeth).
            pose: of the head.

        Raises:
            ParameterError: the articulation has another shape or is out of its ranges.
        """
        if np.shape(articulation) != (4,) or not (np.abs(np.subtract(articulation, _MIDDLE)) <= _REACH).all():
            raise ParameterError(
                f"The articulation is {articulation}; give 0 to 1, and -1 to 1 for the second, spread."
            )
        opening, spread, tuck, tongue = (float(value) for value in articulation)
        moved, turn = _articulated(self._neutral, opening, spread, tuck)
        points = self._head.outward(moved, pose)
        picture = self._warp.picture(self._picture, points, self._head.outward(self._own, pose))
        self._inner.paint(picture, self._place(points, turn, (spread, tongue), pose))
        return Animated(picture, points[:, :2].astype(np.float32))

    def _place(self, points: Points, turn: Points, shape: tuple[float, float], pose: HeadPose) -> MouthPlace:
        """Where teeth and tongue are, for spread and tongue: the upper row with the skull, the rest with the jaw."""
        spread, tongue = shape
        sides = self._tooth_scale * np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0]])
        behind = self._neutral[LIPS[0][[_LOWER, _UPPER]]].mean(axis=0) + np.array([0, 0, _TEETH_BEHIND])
        upper = behind + _UPPER_EDGE * sides[2]
        lower = turn @ (behind + np.array([0, 0.06 * max(-spread, 0), 0]))  # rounded lips hide them
        low = turn @ (behind + np.array([0, 0.05, 0.15])) - np.array([0, 0.5 * turn[2, 1], 0])
        tip = low + tongue * (upper + np.array([0, -0.02, -0.06]) - low)
        maps = [
            mouth_to_picture(self._head.outward(origin + axes, pose))
            for origin, axes in ((upper, sides), (lower, sides @ turn.T), (tip, sides @ turn.T))
        ]
        return MouthPlace(points[LIPS[0], :2] - 0.5, maps[0], maps[1], maps[2], float(np.clip(tongue / 0.3 - 1, 0, 1)))


class _Head:
    """The frame of a head: x to the right, y down, z away, in mouths, zero between the joints of the jaw."""

    def __init__(self, mesh: Points) -> None:
        left, right = mesh[_LEFT_JOINT], mesh[_RIGHT_JOINT]
        corners = mesh[LIPS[0][[_LEFT_CORNER, _RIGHT_CORNER]]]
        self._scale = float(np.linalg.norm(corners[1] - corners[0]))
        self._width = float(np.linalg.norm(right - left))
        across = (right - left) / max(self._width, 1e-9)
        down = corners.mean(axis=0) - mesh[list(_EYE_CORNERS)].mean(axis=0)
        down -= (down @ across) * across
        length = float(np.linalg.norm(down))
        if min(self._scale, self._width, length) < 1:
            raise ParameterError("The mesh's mouth or face is less than a pixel wide; give a larger face.")
        down /= length
        self._axes = np.stack([across, down, np.cross(across, down)])
        self._origin = (left + right) / 2
        self._neck = self._origin + self._scale * np.array([0, 0.6, 0.1]) @ self._axes

    def inward(self, points: NDArray[np.floating]) -> Points:
        """From the picture (P, 3) to the head."""
        return np.asarray((points - self._origin) @ self._axes.T / self._scale, np.float64)

    def outward(self, points: Points, pose: HeadPose) -> Points:
        """From the head (P, 3) to the picture, the head in a pose."""
        there = self._origin - self._neck + self._scale * points @ self._axes
        shift = self._width * np.array([pose.right, pose.down, 0])
        return np.asarray(there @ pose.rotation().T + self._neck + shift, np.float64)


def _jaw_turn(points: Points, drop: float) -> Points:
    """The rotation (3, 3) about the joints of the jaw that lowers the lower lip by ``drop`` mouths."""
    y, z = points[LIPS[0][_LOWER], 1:]
    forward = max(-z, 0.8)
    end = np.arcsin(np.clip((y + drop) / np.hypot(y, forward), -0.95, 0.95))
    return np.asarray(cv2.Rodrigues(np.array([end - np.arctan2(y, forward), 0, 0]))[0], np.float64)


def _with_jaw(points: Points, turn: Points) -> Points:
    """The mesh (478, 3), as far turned as each point goes along with the jaw."""
    return np.asarray(points + _fields()[0][:, None] * (points @ turn.T - points), np.float64)


@lru_cache(maxsize=1)
def _fields() -> tuple[Points, Points]:
    """How far each point goes along with the jaw, (478,), and with each point of `LIPS`, (478, 80).

    Both are harmonic on the graph of the mesh, between what is fixed, the lips and the edge of the face.
    """
    points, triangles = mean_mesh()
    links = np.zeros((len(points), len(points)))
    for first, second in ((0, 1), (1, 2), (2, 0)):
        links[triangles[:, first], triangles[:, second]] = links[triangles[:, second], triangles[:, first]] = 1
    laplacian = np.diag(links.sum(axis=1)) - links
    x, y, _ = points.T
    bound = (y < 0.25) | ((np.abs(x) < 0.13) & (y < 0.39))  # still: the nose, the eyes and above
    lips = LIPS.reshape(-1)
    bound[OVAL], bound[lips] = True, True
    values = np.zeros((len(points), 1 + lips.size))
    values[OVAL, 0] = np.clip((y[OVAL] - 0.15) / 0.3, 0, 1) ** 1.5
    ends = np.abs(_ACROSS)
    along = np.where(_SIGN > 0, 1 - (1 - _CORNER_JAW) * ends**3, _CORNER_JAW * ends**3)
    values[lips, 0] = np.tile(np.where(_SIGN == 0, _CORNER_JAW, along), len(LIPS))
    values[lips, 1 + np.arange(lips.size)] = 1
    free = ~bound
    values[free] = np.linalg.solve(laplacian[np.ix_(free, free)], links[np.ix_(free, bound)] @ values[bound])
    return values[:, 0], values[:, 1:]


def _with_lips(points: Points, moves: Points) -> Points:
    """The mesh with its lips moved, ``moves`` (4, 20, 3) as `LIPS`, and the skin around them."""
    return np.asarray(points + _fields()[1] @ moves.reshape(-1, 3), np.float64)


def _shut(points: Points) -> Points:
    """The mesh in the head's frame with shut lips; a wide gap is shut by the jaw, and what is left by the lips."""
    lower, upper = points[LIPS[0][[_LOWER, _UPPER]]]
    gap = float(np.linalg.norm(lower - upper))
    points = _with_jaw(points, _jaw_turn(points, -max(gap - _BY_LIPS, 0)))
    inner = points[LIPS[0]]
    return _with_lips(points, np.broadcast_to((inner[_OPPOSITE] - inner) / 2, (4, 20, 3)))


def _articulated(neutral: Points, opening: float, spread: float, tuck: float) -> tuple[Points, Points]:
    """The mesh in the head's frame with its mouth as asked, and the turn of the jaw."""
    rounded, wide = max(-spread, 0.0), max(spread, 0.0)
    gap = WIDEST_GAP * opening * (1 - 0.2 * rounded)
    turn = _jaw_turn(neutral, 0.75 * gap)
    moved = _with_jaw(neutral, turn)
    inner, ends = moved[LIPS[0]], np.abs(_ACROSS)
    arch = np.clip(1 - (ends / (1 - 0.22 * rounded)) ** 2, 0, 1) ** (0.85 - 0.2 * rounded)
    parted = gap * (1 - 0.75 * tuck) + 0.07 * tuck
    upper = moved[LIPS[0]][np.where(_SIGN > 0, _OPPOSITE, np.arange(20))]
    moves = np.zeros((4, 20, 3))
    moves[:, :, 1] = upper[:, 1] - inner[:, 1] - arch * (0.17 * gap + 0.045 * tuck - (0.08 * gap + 0.035) * rounded)
    moves[:, :, 1] += np.where(_SIGN > 0, arch * parted, 0)
    outward = np.arange(4)[:, None] / 3
    moves[:, :, 1] += outward * _SIGN * (1 - ends**2) * (0.035 * rounded - 0.02 * wide)
    thickness = np.abs(neutral[LIPS][:, :, 1] - neutral[LIPS[0]][:, 1])
    moves[:, :, 1] -= np.where(_SIGN > 0, tuck * 0.4 * thickness, 0)
    moves[:, :, 0] = _ACROSS / 2 * (0.16 * wide - 0.34 * rounded)
    level = float(neutral[LIPS[0][[_LEFT_CORNER, _RIGHT_CORNER]], 1].mean() - neutral[LIPS[0][_UPPER], 1])
    moves[:, :, 1] -= (0.04 * wide + 0.7 * level * rounded) * ends**2
    moves[:, :, 2] = 0.06 * wide * ends**2 - 0.16 * rounded * (1 - 0.5 * ends**2) + 0.07 * tuck * (_SIGN > 0)
    return _with_lips(moved, moves), turn


class _Warp:
    """Warps a picture by its mesh; the hole between the lips gets the colour of their edges, to be painted over."""

    def __init__(self, source: Points) -> None:
        self._source = self._surrounded(source, source, source)
        first, second = LIPS[0], LIPS[1]
        self._source[first] += 0.3 * (source[second] - source[first])  # the edge itself may show teeth or the far lip
        self._source[len(self._source) - 20 :] = self._source[first]
        self._around = _around()
        self._unseen = _turned_away(source, mean_mesh()[1])

    def picture(self, picture: Picture, points: Points, still: Points) -> Picture:
        """The picture with the mesh at ``points`` (478, 3); ``still`` is where the photograph's would be, turned."""
        target = self._surrounded(self._source, points[:, :2], still[:, :2])
        face = mean_mesh()[1]
        unseen = self._unseen | _turned_away(points, face)
        order = np.lexsort([-points[face, 2].sum(axis=1), ~unseen])
        return _warped(picture, self._source - 0.5, target - 0.5, np.concatenate([self._around, face[order]]))

    def _surrounded(self, source: Points, points: Points, still: Points) -> Points:
        """The mesh, the rings around it, and twenty points in the middle of the mouth."""
        oval = source[OVAL]
        middle = oval.mean(axis=0)
        head, jaw = still[OVAL] - oval, points[OVAL] - still[OVAL]
        rings = [middle + size * (oval - middle) + by_head * head + by_jaw * jaw for size, by_head, by_jaw in _RINGS]
        inner = points[LIPS[0]]
        return np.concatenate([points, *rings, (inner + inner[_OPPOSITE]) / 2])


def _around() -> NDArray[np.int64]:
    """The triangles of the rings, the outermost first, and of the hole between the lips."""
    rows = [OVAL, *(478 + 36 * number + np.arange(36) for number in range(len(_RINGS)))]
    strips = list(zip(rows[1:], rows[:-1], strict=True))[::-1]
    strips.append((478 + 36 * len(_RINGS) + np.arange(20), LIPS[0]))
    halves = []
    for outer, inner in strips:
        next_outer, next_inner = np.roll(outer, -1), np.roll(inner, -1)
        halves += [np.stack([outer, next_outer, inner], axis=1), np.stack([inner, next_inner, next_outer], axis=1)]
    return np.concatenate(halves)


def _turned_away(points: Points, triangles: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which triangles of a face show their back."""
    both = [shape[triangles, :2] for shape in (points, mean_mesh()[0])]
    here, mean = (np.linalg.det(corners[:, 1:] - corners[:, :1]) for corners in both)
    return np.asarray(here * mean <= 0)


def _warped(picture: Picture, source: Points, target: Points, triangles: NDArray[np.int64]) -> Picture:
    """The picture with every triangle moved from ``source`` to ``target`` (P, 2); later triangles hide earlier ones."""
    height, width = picture.shape[:2]
    left, top = np.maximum(np.floor(target.min(axis=0)).astype(int), 0)
    right, bottom = np.minimum(np.ceil(target.max(axis=0)).astype(int) + 1, (width, height))
    if right <= left or bottom <= top:
        return picture.copy()
    corners = target[triangles]
    edges = corners[:, 1:] - corners[:, :1]
    longest = np.linalg.norm(np.concatenate([edges, edges[:, 1:] - edges[:, :1]], axis=1), axis=2).max(axis=1)
    seen = np.abs(np.linalg.det(edges)) > _THINNEST_PX * longest
    corners, edges, origins = corners[seen], edges[seen], source[triangles[seen]]
    to_shares = np.linalg.inv(edges).transpose(0, 2, 1)  # of the second and third corner, of a pixel from the first
    shares = np.concatenate([to_shares, -to_shares @ (corners[:, 0] - (left, top))[:, :, None]], axis=2)
    fine = np.full((_FINE * (bottom - top), _FINE * (right - left)), -1, np.int32)
    drawn = np.round(((corners - (left, top) + 0.5) * _FINE - 0.5) * 16).astype(np.int32)
    for number, triangle in enumerate(drawn):
        cv2.fillConvexPoly(fine, triangle, number, cv2.LINE_8, 4)
    numbers = fine[_FINE // 2 :: _FINE, _FINE // 2 :: _FINE]
    sides = np.concatenate([origins[:, :1], origins[:, 1:] - origins[:, :1]], axis=1)
    x, y = _followed(numbers, shares.reshape(-1, 6), sides.reshape(-1, 6))
    outside = numbers < 0
    x[outside], y[outside] = (grid[outside] for grid in np.meshgrid(range(left, right), range(top, bottom)))
    moved = picture.copy()
    moved[top:bottom, left:right] = cv2.remap(picture, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    return moved


def _followed(numbers: NDArray[np.int32], shares: Points, sides: Points) -> tuple[Mesh, Mesh]:
    """Where each pixel comes from, x and y.

    Pixels that touch a triangle only by their edge are drawn too; their shares of its corners are clipped, so that they
    come from its edge and not from beyond it.

    Args:
        numbers: (H, W), the triangle of each pixel.
        shares: (T, 6), from a pixel to its shares of the second and the third corner, an affine map each.
        sides: (T, 6), the first corner in the source, and from there to the second and to the third.
    """
    height, width = numbers.shape
    columns, rows = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)[:, None]
    a, b, c, d, e, f = (plane[numbers] for plane in np.ascontiguousarray(shares.T, np.float32))
    second, third = np.maximum(a * columns + b * rows + c, -_BEYOND), np.maximum(d * columns + e * rows + f, -_BEYOND)
    whole = np.maximum((second + third) / (1 + _BEYOND), 1)
    second, third = second / whole, third / whole
    a, b, c, d, e, f = (plane[numbers] for plane in np.ascontiguousarray(sides.T, np.float32))
    return a + second * c + third * e, b + second * d + third * f
