"""A film made of the portrait: moving, hidden for a moment, cut to a cup of coffee and back."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from core.errors import CancelledError, MediaOpenError
from core.lip_sync.faces import OUTER, FaceFinder
from core.lip_sync.following import follow_faces
from core.lip_sync.tracks import FaceTracks, FollowConfig
from core.media import write_video
from core.runtime import CancelToken, cancellable, silent
from tests.lip_sync.conftest import ASSETS

Picture = NDArray[np.uint8]
WIDTH, HEIGHT, COUNT, CUT, BACK = 480, 270, 50, 24, 36
HIDDEN = range(10, 14)


def left_of(frame: int) -> int:
    """Where the head begins in a frame."""
    return 40 + 2 * frame if frame < CUT else 230


def pictures(head: Picture) -> Iterator[Picture]:
    coffee = np.asarray(Image.open(ASSETS / "coffee.jpg").convert("RGB").resize((WIDTH, HEIGHT)))
    for frame in range(COUNT):
        if CUT <= frame < BACK:
            yield coffee
            continue
        picture = np.full((HEIGHT, WIDTH, 3), 90 if frame < CUT else 200, np.uint8)
        left = left_of(frame)
        picture[15:255, left : left + 240] = head
        if frame in HIDDEN:
            picture[60:220, left + 60 : left + 190] = 90
        yield picture


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory, head: Picture) -> Path:
    path = tmp_path_factory.mktemp("films") / "heads.mp4"
    write_video(path, pictures(head), Fraction(25))
    return path


@pytest.fixture(scope="module")
def found(film: Path, finder: FaceFinder) -> FaceTracks:
    return follow_faces(film, finder)


def test_there_is_a_track_on_either_side_and_none_in_the_coffee(found: FaceTracks) -> None:
    assert found.frame_count == COUNT and found.cuts == (CUT, BACK)
    assert [(track.start, track.stop) for track in found.tracks] == [(0, CUT), (BACK, COUNT)]
    assert found.frames_without_face == tuple(range(CUT, BACK))


def test_the_face_is_followed_where_it_is_hidden(found: FaceTracks, head: Picture, finder: FaceFinder) -> None:
    (still,) = finder.faces(head)
    track = found.tracks[0]
    assert set(np.flatnonzero(~track.seen)) == set(HIDDEN)
    mouths = track.landmarks[:, OUTER, 0].mean(axis=1)
    wanted = [still.landmarks[OUTER, 0].mean() + left_of(frame) for frame in range(CUT)]
    assert np.abs(mouths - wanted).max() < 4


def test_thumbnails_show_the_face(found: FaceTracks, finder: FaceFinder) -> None:
    for track in found.tracks:
        assert track.thumbnail is not None
        assert len(finder.faces(track.thumbnail)) == 1


def test_points_are_in_pixels_of_a_film_that_is_larger_than_what_is_looked_at(
    tmp_path: Path, head: Picture, finder: FaceFinder, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "head.png"
    Image.fromarray(head).save(path)
    whole = follow_faces(path, finder)
    monkeypatch.setattr("core.lip_sync.following.LOOK_SIDE_PX", 160)
    small = follow_faces(path, finder)
    assert whole.frame_count == small.frame_count == len(whole.tracks) == len(small.tracks) == 1
    assert np.abs(whole.tracks[0].landmarks - small.tracks[0].landmarks).mean() < 3


def test_a_gap_longer_than_stated_divides_the_track(film: Path, finder: FaceFinder) -> None:
    found = follow_faces(film, finder, FollowConfig(most_gap_frames=len(HIDDEN) - 1))
    assert [(track.start, track.stop) for track in found.tracks] == [(0, 10), (14, CUT), (BACK, COUNT)]


def test_it_stops_when_asked_and_refuses_what_is_no_film(film: Path, finder: FaceFinder, tmp_path: Path) -> None:
    token = CancelToken()
    token.cancel()
    with pytest.raises(CancelledError):
        follow_faces(film, finder, progress=cancellable(silent, token))
    with pytest.raises(MediaOpenError):
        follow_faces(tmp_path / "none.mp4", finder)
