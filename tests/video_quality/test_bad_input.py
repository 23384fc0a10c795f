"""Bad files: each gets its one clear error, or a score of what is still there; and nothing is left behind."""

from pathlib import Path

import numpy as np
import pytest

from core.errors import MediaError, MediaLimitError, MediaOpenError, NoVideoTrackError, PathNotAllowedError
from core.media import MediaLimits
from core.video_quality import QualityConfig, VideoQuality
from tests.factories import cut_short, moving_clip, sound_file, with_garbage
from tests.media.conftest import Clips, clips
from tests.media.test_bad_input import PLAYLISTS, claiming_hours, png_of
from tests.video_quality.scorer import Brightness
from tests.video_quality.test_pipeline import check

__all__ = ["clips"]


@pytest.fixture(scope="module")
def quality() -> VideoQuality:
    return VideoQuality(Brightness())


@pytest.mark.parametrize(
    ("name", "content"), [("empty.mp4", b""), ("text.mp4", b"This is a letter. " * 99), ("noise.mp4", None)]
)
def test_what_is_no_film_is_said_to_be_none_by_name(
    quality: VideoQuality, tmp_path: Path, name: str, content: bytes | None
) -> None:
    (tmp_path / name).write_bytes(np.random.default_rng(0).bytes(5000) if content is None else content)
    with pytest.raises(MediaOpenError, match=name):
        quality.score(tmp_path / name)


def test_a_missing_file_a_folder_and_an_address_are_no_films(quality: VideoQuality, tmp_path: Path) -> None:
    for path in (tmp_path / "none.mp4", tmp_path, Path("http://127.0.0.1/film.mp4"), Path(f"concat:{tmp_path}/a|b")):
        with pytest.raises(MediaOpenError):
            quality.score(path)


@pytest.mark.parametrize("name", PLAYLISTS)
def test_a_list_of_other_files_is_refused(quality: VideoQuality, tmp_path: Path, name: str) -> None:
    moving_clip(tmp_path / "other.ts", duration_s=0.4)
    (tmp_path / name).write_text(PLAYLISTS[name])
    with pytest.raises(MediaOpenError):
        quality.score(tmp_path / name)


def test_sound_alone_has_no_looks(quality: VideoQuality, tmp_path: Path) -> None:
    with pytest.raises(NoVideoTrackError, match="only sound"):
        quality.score(sound_file(tmp_path / "sound.wav"))


def test_claims_and_sizes_beyond_the_limits_are_refused(quality: VideoQuality, tmp_path: Path) -> None:
    film = moving_clip(tmp_path / "film.mkv", duration_s=3)
    (tmp_path / "bomb.png").write_bytes(png_of(50_000, 50_000))
    for path in (claiming_hours(film, 20), tmp_path / "bomb.png"):
        with pytest.raises(MediaLimitError):
            quality.score(path)


def test_a_file_outside_the_allowed_folders_is_refused_also_through_a_link(tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "link.mp4").symlink_to(moving_clip(tmp_path / "film.mp4", duration_s=0.4))
    quality = VideoQuality(Brightness(), QualityConfig(limits=MediaLimits(allowed_roots=(inside,))))
    for path in (tmp_path / "film.mp4", inside / "link.mp4", inside / ".." / "none.mp4"):
        with pytest.raises(PathNotAllowedError):
            quality.score(path)


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.7, 0.9])
@pytest.mark.parametrize("name", ["h264.mp4", "h264.mkv", "mpeg2.ts", "vp9.webm", "mpeg4.avi", "animation.gif"])
def test_a_film_cut_short_is_scored_by_what_is_left_or_refused(
    quality: VideoQuality, clips: Clips, tmp_path: Path, name: str, share: float
) -> None:
    film = tmp_path / name
    film.write_bytes(clips(name).read_bytes())
    try:
        told = quality.score(cut_short(film, share))
    except MediaError as error:
        assert "cut" in str(error) and (name == "h264.mp4" or share <= 0.3)
        return
    check(told)
    assert told.duration_s <= 2.5 and len(told.per_second) <= max(1, told.duration_s)


@pytest.mark.parametrize("name", ["h264.mp4", "h264.mkv", "h264.ts", "mpeg2.ts", "mpeg4.avi", "mjpeg.avi", "vp9.webm"])
def test_garbage_in_the_middle_is_passed_over(quality: VideoQuality, clips: Clips, name: str) -> None:
    check(quality.score(with_garbage(clips(name), count=1500)))


@pytest.mark.parametrize("name", ["still.png", "still.jpg", "still.webp", "animation.webp"])
def test_a_picture_cut_in_half_is_refused(quality: VideoQuality, clips: Clips, name: str) -> None:
    with pytest.raises(MediaError, match=r"still|animation"):
        quality.score(cut_short(clips(name), 0.5))


@pytest.mark.parametrize("seed", range(24))
def test_no_other_error_ever_comes_out_and_nothing_is_left_behind(
    quality: VideoQuality, clips: Clips, tmp_path: Path, seed: int
) -> None:
    random = np.random.default_rng(seed)
    names = ("h264.mp4", "vp9.webm", "mpeg2.mpg", "wmv2.wmv", "animation.gif", "animation.png", "still.png")
    source = clips(names[seed % len(names)])
    data = bytearray(source.read_bytes())
    for position in random.integers(0, min(len(data), 10 ** int(random.integers(2, 6))), 20):
        data[position] = random.integers(0, 256)
    path = tmp_path / source.name
    path.write_bytes(data)
    try:
        check(quality.score(path))
    except MediaError as error:
        assert path.name in str(error)
    assert list(tmp_path.iterdir()) == [path]
