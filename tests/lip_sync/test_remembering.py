"""What is kept between runs: faces by content, mouths by job; whole, in order, and never more than a little at once."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from core.digest import sha256_of
from core.lip_sync import remembering
from core.lip_sync.metrics import psnr_db
from core.lip_sync.remembering import (
    MouthStore,
    key_of,
    read_tracks,
    remembered_tracks,
    write_tracks,
)
from core.lip_sync.tracks import FaceFollower, FaceTracks, FollowConfig, with_drawn_mouths
from tests.lip_sync.made import made_face
from tests.lip_sync.stand_ins import head

Picture = NDArray[np.uint8]


def followed() -> FaceTracks:
    """Two faces, one cut, and a drawn mouth."""
    follower = FaceFollower(FollowConfig(least_seen=1))
    for frame in range(12):
        faces = [made_face(100 + frame), made_face(300 - frame)] if frame not in (3, 8) else [made_face(100 + frame)]
        follower.add(faces, head(frame, size=(480, 320)), cut=frame == 7)
    found = with_drawn_mouths(follower.finish(), [(2, (10, 20, 40, 30))])
    return FaceTracks(found.tracks, 12, found.cuts, tuple(Fraction(1001 * n, 30000) for n in range(12)))


def mouth(seed: int) -> Picture:
    """A smooth picture (128, 128, 3)."""
    coarse = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), np.uint8)
    return np.ascontiguousarray(np.kron(coarse, np.ones((16, 16, 1), np.uint8)))


@pytest.fixture
def small_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remembering, "_CHUNK", 4)


class TestFaces:
    def test_faces_come_back_as_they_were(self, tmp_path: Path) -> None:
        faces = followed()
        write_tracks(tmp_path / "faces.npz", faces)
        again = read_tracks(tmp_path / "faces.npz")
        assert (again.frame_count, again.cuts, again.times_s) == (faces.frame_count, faces.cuts, faces.times_s)
        assert len(again.tracks) == len(faces.tracks) == 5
        for one, other in zip(again.tracks, faces.tracks, strict=True):
            assert (one.number, one.start, one.drawn) == (other.number, other.start, other.drawn)
            for name in ("boxes", "landmarks", "seen", "thumbnail"):
                np.testing.assert_array_equal(getattr(one, name), getattr(other, name))

    def test_the_same_content_and_settings_are_followed_once(self, tmp_path: Path) -> None:
        calls = []

        def follow() -> FaceTracks:
            calls.append(1)
            return followed()

        film, copy, other = (tmp_path / name for name in ("film.mp4", "copy.mp4", "other.mp4"))
        for path, content in ((film, b"one"), (copy, b"one"), (other, b"two")):
            path.write_bytes(content)
        counts = []
        for path, config in ((film, FollowConfig()), (film, FollowConfig()), (copy, FollowConfig()),
                             (other, FollowConfig()), (film, FollowConfig(least_seen=5))):  # fmt: skip
            remembered_tracks(tmp_path / "cache", path, config, follow)
            counts.append(len(calls))
        assert counts == [1, 1, 1, 2, 3]

    @pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 nothing", None], ids=["emptied", "overwritten", "cut short"])
    def test_a_damaged_file_is_made_anew(self, tmp_path: Path, damage: bytes | None) -> None:
        film = tmp_path / "film.mp4"
        film.write_bytes(b"film")
        remembered_tracks(tmp_path, film, FollowConfig(), followed)
        (file,) = tmp_path.glob("faces-*.npz")
        file.write_bytes(file.read_bytes()[:3000] if damage is None else damage)
        assert len(remembered_tracks(tmp_path, film, FollowConfig(), followed).tracks) == 5
        assert len(read_tracks(file).tracks) == 5

    def test_hashes_and_keys_tell_contents_and_facts_apart(self, tmp_path: Path) -> None:
        for name, content in (("a", b"x"), ("b", b"x"), ("c", b"y")):
            (tmp_path / name).write_bytes(content)
        a, b, c = (sha256_of(tmp_path / name) for name in "abc")
        assert a == b != c
        assert len({key_of(1, "a"), key_of(2, "a"), key_of(1, "b"), key_of(1, ("a",))}) == 4
        assert key_of(1, FollowConfig()) == key_of(1, FollowConfig())


@pytest.mark.usefixtures("small_files")
class TestMouths:
    def test_mouths_come_back_by_picture_and_face(self, tmp_path: Path) -> None:
        store = MouthStore(tmp_path / "job")
        for frame in range(10):
            store.add(frame, 0, mouth(frame))
            if frame % 2:
                store.add(frame, 3, None if frame == 5 else mouth(100 + frame))
            if store.full:
                store.flush(frame + 1)
        store.flush(10)
        kept = store.in_order()
        for frame in range(10):
            found = kept.at(frame)
            assert sorted(found) == ([0, 3] if frame % 2 else [0])
            for face, picture in found.items():
                wanted = mouth(frame + (100 if face else 0))
                assert (picture is None) == (frame == 5 and face == 3)
                assert picture is None or psnr_db(picture, wanted) > 33
        assert kept.at(10) == {}
        assert store.frames_of(0).tolist() == list(range(10))
        assert store.frames_of(3).tolist() == [1, 3, 7, 9]

    def test_faces_that_come_late_are_found_in_later_files(self, tmp_path: Path) -> None:
        """As makers hold back some mouths: face 1 lags by five pictures."""
        store = MouthStore(tmp_path / "job")
        for frame in range(20):
            store.add(frame, 0, mouth(frame))
            if frame >= 5:
                store.add(frame - 5, 1, mouth(frame - 5))
            if store.full:
                store.flush(max(0, frame - 4))
        for frame in range(15, 20):
            store.add(frame, 1, mouth(frame))
        store.flush(20)
        kept = store.in_order()
        for frame in range(20):
            assert sorted(kept.at(frame)) == [0, 1]
            assert sum(map(len, kept._held.values())) <= 4 + 2 * 6
        assert [sorted(store.in_order().at(frame)) for frame in (0, 13, 19)] == [[0, 1]] * 3

    def test_a_job_goes_on_behind_what_is_complete(self, tmp_path: Path) -> None:
        store = MouthStore(tmp_path / "job")
        for frame in range(4):
            store.add(frame, 0, mouth(frame))
        store.flush(3)
        store.add(4, 0, mouth(4))  # is lost with the process
        again = MouthStore(tmp_path / "job")
        assert again.complete == 3
        for frame in range(3, 8):
            again.add(frame, 0, mouth(frame))
        again.flush(8)
        assert MouthStore(tmp_path / "job").complete == 8
        kept = again.in_order()
        assert [psnr_db(kept.at(frame)[0], mouth(frame)) > 33 for frame in range(8)] == [True] * 8  # type: ignore[arg-type]
        assert again.frames_of(0).tolist() == list(range(8))

    def test_what_follows_a_damaged_file_is_made_anew(self, tmp_path: Path) -> None:
        store = MouthStore(tmp_path / "job")
        for frame in range(12):
            store.add(frame, 0, mouth(frame))
            if store.full:
                store.flush(frame + 1)
        second = sorted((tmp_path / "job").iterdir())[1]
        second.write_bytes(second.read_bytes()[:100])
        again = MouthStore(tmp_path / "job")
        assert again.complete == 4
        again.add(4, 0, mouth(4))
        again.flush(5)
        assert list(again.frames_of(0)) == [0, 1, 2, 3, 4]
        assert MouthStore(tmp_path / "job").complete == 5

    def test_nothing_new_writes_no_file_and_covered_pictures_alone_do(self, tmp_path: Path) -> None:
        store = MouthStore(tmp_path / "job")
        store.flush(0)
        assert not list((tmp_path / "job").iterdir())
        store.flush(7)
        assert MouthStore(tmp_path / "job").complete == 7
        assert store.in_order().at(3) == {}
