"""Faces followed through a film: who is the same from picture to picture, and where while nobody was found.

Faces are joined by place: the overlap of their boxes, less the mean distance of their points. A track ends at a cut and
never goes on behind it, so that neither bridging nor smoothing crosses one. Pure logic: it knows frame numbers, boxes
and points, and neither files nor models.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import pairwise
from math import ceil

import cv2
import numpy as np
from numpy.typing import NDArray

from core.errors import ParameterError, check_ranges
from core.lip_sync.faces import Box, Face, Picture, Points, drawn_face

_LARGER = 1.1
"""A face must be this much larger than the one on the thumbnail to take its place."""


@dataclass(frozen=True)
class FollowConfig:
    """How faces are followed.

    Raises:
        ParameterError: a value is out of its range.
    """

    most_gap_frames: int = field(default=12, metadata={"help": "longest gap that is bridged, 0 to 250 frames"})
    least_overlap: float = field(default=0.3, metadata={"help": "overlap from which two boxes are one face, 0 to 1"})
    most_distance: float = field(default=0.35, metadata={"help": "or else mean distance of points, in face widths"})
    least_seen: int = field(default=3, metadata={"help": "tracks seen in fewer frames are dropped, 1 to 250"})
    box_sigma_frames: float = field(default=4.0, metadata={"help": "smoothing of boxes, 0 to 50 frames"})
    point_sigma_frames: float = field(default=0.5, metadata={"help": "smoothing of points, 0 to 10 frames"})
    thumbnail_px: int = field(default=96, metadata={"help": "side of the thumbnails, 16 to 1024 pixels"})

    def __post_init__(self) -> None:
        check_ranges(
            self,
            ("most_gap_frames", 0, 250),
            ("least_overlap", 0, 1),
            ("most_distance", 0, 5),
            ("least_seen", 1, 250),
            ("box_sigma_frames", 0, 50),
            ("point_sigma_frames", 0, 10),
            ("thumbnail_px", 16, 1024),
        )


@dataclass(frozen=True)
class FaceTrack:
    """One face in N frames of one shot that follow each other without a gap.

    Attributes:
        number: of the track, from 0, in the order in which they begin.
        start: the first frame.
        boxes: (N, 4), left, top, right, bottom, in pixels, smoothed.
        landmarks: (N, P, 2), smoothed.
        seen: (N,), False where the face was not found and is interpolated.
        thumbnail: uint8 (S, S, 3), of the frame in which the face is largest; None where no picture was given.
        drawn: it stands on a mouth that somebody drew.
    """

    number: int
    start: int
    boxes: NDArray[np.float32]
    landmarks: NDArray[np.float32]
    seen: NDArray[np.bool_]
    thumbnail: Picture | None = None
    drawn: bool = False

    @property
    def stop(self) -> int:
        """The frame behind the last one."""
        return self.start + len(self.boxes)

    def face_at(self, frame: int) -> Face | None:
        """The face in a frame, or None outside the track."""
        index = frame - self.start
        return Face(self.boxes[index], self.landmarks[index]) if 0 <= index < len(self.boxes) else None


@dataclass(frozen=True)
class FaceTracks:
    """All faces of a film.

    Attributes:
        tracks: in the order in which they begin.
        frame_count: of the film.
        cuts: the frames with which a new shot begins, ascending, 0 not among them.
        times_s: when each frame appears, where that is known.
    """

    tracks: tuple[FaceTrack, ...]
    frame_count: int
    cuts: tuple[int, ...] = ()
    times_s: tuple[Fraction, ...] = ()

    @property
    def frames_without_face(self) -> tuple[int, ...]:
        """The frames in which no track is, ascending."""
        covered = np.zeros(self.frame_count, np.bool_)
        for track in self.tracks:
            covered[track.start : track.stop] = True
        return tuple(int(frame) for frame in np.flatnonzero(~covered))

    def faces_at(self, frame: int) -> dict[int, Face]:
        """The faces in a frame, by the number of their track."""
        found = {track.number: track.face_at(frame) for track in self.tracks}
        return {number: face for number, face in found.items() if face is not None}

    def shot_of(self, frame: int) -> range:
        """The frames of the shot that a frame belongs to.

        Raises:
            ParameterError: the film has no such frame.
        """
        if not 0 <= frame < self.frame_count:
            raise ParameterError(f"Frame {frame} is not in the film; it has {self.frame_count}.")
        edges = (0, *self.cuts, self.frame_count)
        return next(range(start, stop) for start, stop in pairwise(edges) if start <= frame < stop)


class FaceFollower:
    """Follows faces frame by frame; `add` each, then `finish`. It keeps points and one thumbnail a track, no pictures.

    Memory: about 1.2 kB for a face in a frame, some 110 MB for an hour of one face at 25 frames a second.
    """

    def __init__(self, config: FollowConfig | None = None) -> None:
        self._config = config or FollowConfig()
        self._open: list[_Path] = []
        self._closed: list[_Path] = []
        self._cuts: list[int] = []
        self._count = 0

    def add(self, faces: Sequence[Face], picture: Picture | None = None, scale: float = 1.0, cut: bool = False) -> None:
        """Take the faces of the next frame.

        Args:
            faces: in any order.
            picture: the frame (H, W, 3), RGB, for thumbnails.
            scale: pixels of the faces' coordinates for one of ``picture``.
            cut: a new shot begins with this frame.
        """
        frame, config = self._count, self._config
        self._count += 1
        if cut and frame:
            self._cuts.append(frame)
            self._close(self._open)
        self._close([path for path in self._open if frame - path.frames[-1] > config.most_gap_frames + 1])
        pairs = matched([path.faces[-1] for path in self._open], faces, config)
        taken = {new: self._open[old] for old, new in pairs}
        for index, face in enumerate(faces):
            path = taken.get(index)
            if path is None:
                path = _Path()
                self._open.append(path)
            path.take(frame, face, None if picture is None else (picture, scale, config.thumbnail_px))

    def finish(self) -> FaceTracks:
        """The tracks: gaps bridged, smoothed, and without those that were seen too seldom.

        In a shot of fewer than ``least_seen`` frames, as in a still picture, a face must be seen in all of them.
        """
        self._close(self._open)
        film = FaceTracks((), self._count, tuple(self._cuts))
        kept = [
            path
            for path in sorted(self._closed, key=lambda path: path.frames[0])
            if len(path.frames) >= min(self._config.least_seen, len(film.shot_of(path.frames[0])))
        ]
        return replace(film, tracks=tuple(path.track(number, self._config) for number, path in enumerate(kept)))

    def _close(self, paths: Iterable["_Path"]) -> None:
        ending = list(paths)
        self._closed += ending
        self._open = [path for path in self._open if path not in ending]


class _Path:
    """A track in the making: the frames in which its face was found, and the faces."""

    def __init__(self) -> None:
        self.frames: list[int] = []
        self.faces: list[Face] = []
        self._thumbnail: Picture | None = None
        self._area = 0.0

    def take(self, frame: int, face: Face, look: tuple[Picture, float, int] | None) -> None:
        self.frames.append(frame)
        self.faces.append(face)
        area = float(np.prod(face.box[2:] - face.box[:2]))
        if look is not None and area > _LARGER * self._area:
            picture, scale, side = look
            self._thumbnail, self._area = face_thumbnail(picture, face.box / scale, side), area

    def track(self, number: int, config: FollowConfig) -> FaceTrack:
        boxes = bridged(self.frames, np.stack([face.box for face in self.faces]))
        landmarks = bridged(self.frames, np.stack([face.landmarks for face in self.faces]))
        seen = np.zeros(len(boxes), np.bool_)
        seen[np.array(self.frames) - self.frames[0]] = True
        return FaceTrack(
            number,
            self.frames[0],
            smoothed(boxes, config.box_sigma_frames),
            smoothed(landmarks, config.point_sigma_frames),
            seen,
            self._thumbnail,
        )


def overlap(first: Box, second: Box) -> float:
    """Intersection over union of two boxes, 0 to 1.

    >>> overlap(np.array([0, 0, 2, 2]), np.array([1, 0, 3, 2]))
    0.3333333333333333
    """
    sides = np.maximum(0, np.minimum(first[2:], second[2:]) - np.maximum(first[:2], second[:2]))
    shared = float(sides.prod())
    whole = float((first[2:] - first[:2]).prod() + (second[2:] - second[:2]).prod()) - shared
    return shared / whole if whole > 0 else 0.0


def point_distance(first: Face, second: Face) -> float:
    """Mean distance of the points of two faces, in widths of the narrower one."""
    pixels = float(np.linalg.norm(first.landmarks - second.landmarks, axis=1).mean())
    return pixels / max(min(first.width_px, second.width_px), 1e-6)


def matched(before: Sequence[Face], now: Sequence[Face], config: FollowConfig) -> list[tuple[int, int]]:
    """Which of the faces of now are which of those before, as pairs of indices; each is in one pair at most.

    A pair must overlap by ``least_overlap`` or have its points within ``most_distance``. The pair with the largest
    overlap less distance comes first, and so on with what is left.
    """
    scored = []
    for old, face in enumerate(before):
        for new, candidate in enumerate(now):
            shared, distance = overlap(face.box, candidate.box), point_distance(face, candidate)
            if shared >= config.least_overlap or distance <= config.most_distance:
                scored.append((shared - distance, old, new))
    pairs: list[tuple[int, int]] = []
    for _, old, new in sorted(scored, key=lambda entry: -entry[0]):
        if all(old != pair[0] and new != pair[1] for pair in pairs):
            pairs.append((old, new))
    return pairs


def bridged(frames: Sequence[int], values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Values (K, ...) at K ascending frames to values for every frame between first and last, (last - first + 1, ...).

    In between they lie on straight lines.

    >>> bridged([3, 5], np.array([[0.0], [4.0]], np.float32)).ravel().tolist()
    [0.0, 2.0, 4.0]
    """
    wanted = np.arange(frames[0], frames[-1] + 1)
    after = np.searchsorted(frames, wanted)
    known = np.asarray(frames)
    before = np.maximum(after - (known[after] != wanted), 0)
    span = np.maximum(known[after] - known[before], 1)
    share = ((wanted - known[before]) / span).reshape(-1, *(1,) * (values.ndim - 1))
    return (values[before] * (1 - share) + values[after] * share).astype(np.float32)


def smoothed(values: NDArray[np.float32], sigma_frames: float) -> NDArray[np.float32]:
    """Values (N, ...) under a Gaussian over the first axis; steady movement stays as it is, at the ends too.

    Both ends are continued by what lies before them turned about the end point, as far as there are values. A sigma of
    0 changes nothing.
    """
    reach = min(ceil(3 * sigma_frames), len(values) - 1)
    if reach < 1:
        return values
    window = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma_frames) ** 2)
    window /= window.sum()
    exact = values.astype(np.float64)
    head = 2 * exact[:1] - exact[reach:0:-1]
    tail = 2 * exact[-1:] - exact[-2 : -reach - 2 : -1]
    wide = np.concatenate([head, exact, tail])
    total = np.zeros_like(exact)
    for index, weight in enumerate(window):
        total += weight * wide[index : index + len(values)]
    return total.astype(np.float32)


def face_thumbnail(picture: Picture, box: Box, side_px: int) -> Picture:
    """A square around a box, half as large again, uint8 (side_px, side_px, 3); edges are repeated outwards."""
    middle = (box[:2] + box[2:]) / 2
    half = max(1.0, 0.75 * float((box[2:] - box[:2]).max()))
    left, top = np.floor(middle - half).astype(int)
    side = max(2, round(2 * half))
    height, width = picture.shape[:2]
    rows = np.clip(np.arange(top, top + side), 0, height - 1)
    columns = np.clip(np.arange(left, left + side), 0, width - 1)
    square = np.ascontiguousarray(picture[rows][:, columns])
    kind = cv2.INTER_AREA if side > side_px else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(square, (side_px, side_px), interpolation=kind), np.uint8)


def with_drawn_mouths(film: FaceTracks, mouths: Sequence[tuple[int, Sequence[float]]]) -> FaceTracks:
    """The tracks, and one more for every shot in which somebody drew a mouth; call it again for a second mouth.

    Between two frames that were drawn in, the face moves evenly; before the first and after the last of a shot it
    stands still. Frames that were drawn in count as seen.

    Args:
        film: what was found.
        mouths: a frame and a box (left, top, right, bottom) in pixels; a later one for the same frame replaces it.

    Raises:
        ParameterError: a frame is not in the film, or a box is empty.
    """
    shots: dict[int, dict[int, Face]] = {}
    for frame, box in mouths:
        shots.setdefault(film.shot_of(frame).start, {})[frame] = drawn_face(box)
    tracks = list(film.tracks)
    for start, drawn in sorted(shots.items()):
        tracks.append(_drawn_track(len(tracks), film.shot_of(start), drawn))
    return replace(film, tracks=tuple(tracks))


def _drawn_track(number: int, shot: range, drawn: dict[int, Face]) -> FaceTrack:
    frames = sorted(drawn)
    seen = np.isin(np.arange(shot.start, shot.stop), frames)
    around = ((frames[0] - shot.start, shot.stop - 1 - frames[-1]), (0, 0))
    boxes = bridged(frames, np.stack([drawn[frame].box for frame in frames]))
    landmarks = bridged(frames, np.stack([drawn[frame].landmarks for frame in frames]))
    whole: Points = np.pad(landmarks, (*around, (0, 0)), mode="edge")
    return FaceTrack(number, shot.start, np.pad(boxes, around, mode="edge"), whole, seen, drawn=True)
