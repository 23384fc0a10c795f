"""What a file promises against what is there."""

from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import MediaLimitError
from core.media import missing_bytes, probe, write_video
from core.media.wholeness import movie_header_s
from tests.factories import animated_picture, moving_clip, numbered_picture, still_picture

NAMES = ["index first.mp4", "index last.mov", "film.mkv", "film.webm", "film.avi", "loop.webp"]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The bytes of one short film of each kind that says how long it is."""
    folder = tmp_path_factory.mktemp("whole")
    for name in NAMES:
        if name == "index first.mp4":
            write_video(folder / name, [numbered_picture(n) for n in range(8)], Fraction(8))
        elif name == "loop.webp":
            animated_picture(folder / name, count=4)
        else:
            moving_clip(folder / name, duration_s=1, frame_rate=8)
    return {name: (folder / name).read_bytes() for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
def test_a_whole_file_lacks_nothing_and_a_cut_one_exactly_what_was_cut(
    files: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory, name: str, data: st.DataObject
) -> None:
    whole = files[name]
    path = tmp_path_factory.mktemp("cut") / name
    path.write_bytes(whole)
    assert missing_bytes(path) == 0
    kept = data.draw(st.integers(len(whole) // 10, len(whole) - 1))
    path.write_bytes(whole[:kept])
    missing = missing_bytes(path)
    if name.endswith((".mp4", ".mov")):  # a cut between two boxes, or in the length of one, cannot be seen from outside
        assert missing <= len(whole) - kept
    else:
        assert missing == len(whole) - kept


@pytest.mark.parametrize("name", ["index first.mp4", "index last.mov"])
def test_the_claim_of_the_movie_header_is_read_and_one_beyond_the_limit_is_refused(
    files: dict[str, bytes], tmp_path: Path, name: str
) -> None:
    path = tmp_path / name
    path.write_bytes(files[name])
    assert movie_header_s(path) == pytest.approx(1, abs=0.02)
    changed = bytearray(files[name])
    header = changed.index(b"mvhd") + 4
    scale = int.from_bytes(changed[header + 12 : header + 16], "big")
    changed[header + 16 : header + 20] = (scale * 20 * 3600).to_bytes(4, "big")
    path.write_bytes(changed)
    assert movie_header_s(path) == 20 * 3600
    with pytest.raises(MediaLimitError, match="20:00:00"):
        probe(path)


def test_a_cut_in_the_pictures_of_a_film_with_its_index_first_is_seen(files: dict[str, bytes], tmp_path: Path) -> None:
    whole = files["index first.mp4"]
    path = tmp_path / "cut.mp4"
    for kept in range(whole.index(b"mdat") + 4, len(whole), 97):
        path.write_bytes(whole[:kept])
        assert missing_bytes(path) == len(whole) - kept


def test_kinds_that_promise_nothing_are_taken_as_whole(tmp_path: Path) -> None:
    stream = moving_clip(tmp_path / "film.ts", duration_s=1)
    stream.write_bytes(stream.read_bytes()[:-5000])
    picture = still_picture(tmp_path / "still.png")
    assert missing_bytes(stream) == missing_bytes(picture) == 0


@given(data=st.binary(max_size=64))
def test_any_bytes_at_all_are_measured_without_an_error(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.mktemp("any") / "file"
    path.write_bytes(data)
    assert missing_bytes(path) >= 0 and movie_header_s(path) >= 0
