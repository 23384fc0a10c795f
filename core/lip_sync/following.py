"""From a film to the faces in it: read once for cuts and once for faces."""

from dataclasses import replace
from pathlib import Path

from core.lip_sync.faces import FaceFinder
from core.lip_sync.tracks import FaceFollower, FaceTracks, FollowConfig
from core.media import MediaLimits, VideoReader, shot_boundaries
from core.media.limits import DEFAULT_LIMITS
from core.runtime import Progress, silent

LOOK_SIDE_PX = 1280
"""Larger pictures are looked at in this size; points are given in pixels of the film all the same."""


def follow_faces(
    path: str | Path,
    finder: FaceFinder,
    config: FollowConfig | None = None,
    progress: Progress = silent,
    limits: MediaLimits = DEFAULT_LIMITS,
) -> FaceTracks:
    """Follow the faces of a film, an animation or a still picture; one without any face has no tracks.

    Frame numbers are those of `core.media.VideoReader.frames`, and points are in pixels of the picture as displayed.

    Args:
        path: the film.
        finder: looks at each frame.
        config: how faces are followed.
        progress: told of frames done and, as far as it can be known before, of frames in all.
        limits: bounds on the file.

    Raises:
        MediaError: the file cannot be read.
        CancelledError: ``progress`` says so.
    """
    cuts = set(shot_boundaries(path, limits=limits))
    follower, times_s = FaceFollower(config), []
    with VideoReader(path, LOOK_SIDE_PX, limits=limits) as reader:
        expected = max(1, round(reader.info.duration_s * reader.info.frame_rate))
        for number, frame in enumerate(reader.frames()):
            progress(number, max(number, expected), reader.info.path.name)
            scale = reader.info.width / frame.pixels.shape[1]
            follower.add(finder.faces(frame.pixels, scale), frame.pixels, scale, cut=frame.time_s in cuts)
            times_s.append(frame.time_s)
    return replace(follower.finish(), times_s=tuple(times_s))
