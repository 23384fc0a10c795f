"""Thumbnails, contact sheets, shot boundaries and previews."""

import io
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.errors import CancelledError, ParameterError
from core.media import (
    VideoReader,
    browser_playable,
    contact_sheet,
    jpeg,
    probe,
    read_audio,
    shot_boundaries,
    thumbnail,
    write_preview,
    write_video,
)
from core.runtime import CancelToken, cancellable, silent
from tests.factories import animated_picture, moving_clip, number_of, numbered_picture, numbered_pictures
from tests.media.conftest import FRAMES, KINDS, Clips

PLAYABLE = {
    "h264.mp4", "h264-no-b-frames.mp4", "vp9.webm", "av1.webm", "uneven.mp4", "ntsc.mp4", "turned-right.mp4",
    "turned-left.mov", "upside-down.mp4", "portrait.mp4", "transparent.webm", "with-sound.mp4",
}  # fmt: skip


class TestThumbnails:
    def test_it_shows_the_picture_of_the_time_asked_for(self, clips: Clips) -> None:
        for time_s, number in ((0, 0), (Fraction(1, 25), 1), (1, 25), (99, FRAMES - 1)):
            picture = np.asarray(Image.open(io.BytesIO(thumbnail(clips("h264.mp4"), at_s=time_s))))
            assert number_of(picture) == number

    def test_black_pictures_are_passed_over(self, tmp_path: Path) -> None:
        black = [np.zeros((120, 160, 3), np.uint8)] * 40
        write_video(tmp_path / "film.mp4", [*black, *numbered_pictures(40), *black], Fraction(25))
        picture = np.asarray(Image.open(io.BytesIO(thumbnail(tmp_path / "film.mp4"))))
        assert picture.std() > 40

    @pytest.mark.parametrize(
        ("name", "size"), [("portrait.mp4", (45, 80)), ("h264.mp4", (80, 60)), ("still.jpg", (80, 60))]
    )
    def test_the_longer_side_is_bounded_and_the_shape_kept(
        self, clips: Clips, name: str, size: tuple[int, int]
    ) -> None:
        assert Image.open(io.BytesIO(thumbnail(clips(name), max_side_px=80))).size == size

    def test_small_films_are_not_enlarged(self, clips: Clips) -> None:
        assert Image.open(io.BytesIO(thumbnail(clips("h264.mp4"), max_side_px=999))).size == (160, 120)

    @pytest.mark.parametrize(("side", "size"), [(None, (160, 120)), (999, (160, 120)), (80, (80, 60)), (1, (1, 1))])
    def test_a_picture_in_memory_becomes_a_jpeg_of_it_no_larger_than_asked(
        self, side: int | None, size: tuple[int, int]
    ) -> None:
        picture = Image.open(io.BytesIO(jpeg(numbered_picture(77), side)))
        assert (picture.format, picture.size) == ("JPEG", size)
        assert side == 1 or number_of(np.asarray(picture)) == 77


class TestContactSheets:
    def test_tiles_are_the_middles_of_equal_parts_row_by_row(self, clips: Clips) -> None:
        sheet = contact_sheet(clips("h264.mp4"), columns=3, rows=2, tile_side_px=160)
        tiles = [sheet[y : y + 120, x : x + 160] for y in (0, 120) for x in (0, 160, 320)]
        assert [number_of(tile) for tile in tiles] == [5, 15, 25, 35, 45, 55]

    def test_numbers_must_be_positive(self, clips: Clips) -> None:
        with pytest.raises(ParameterError):
            contact_sheet(clips("h264.mp4"), columns=0)


class TestShotBoundaries:
    @pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts"])
    def test_cuts_are_found_at_their_exact_times(self, tmp_path: Path, suffix: str) -> None:
        film = moving_clip(tmp_path / f"film{suffix}", duration_s=2.4, seeds=[1, 2, 3])
        assert shot_boundaries(film) == [Fraction(20, 25), Fraction(40, 25)]
        assert shot_boundaries(film, end_s=1) == [Fraction(20, 25)]

    def test_a_film_in_one_shot_has_none(self, clips: Clips) -> None:
        assert shot_boundaries(clips("h264.mp4")) == []

    def test_cuts_of_an_uneven_film_have_its_own_times(self, tmp_path: Path) -> None:
        times = [Fraction(n * n, 1000) + Fraction(n * 30, 1000) for n in range(60)]
        film = moving_clip(tmp_path / "film.mkv", times_s=times, seeds=[1, 2])
        assert shot_boundaries(film) == [times[30]]

    def test_animations_have_shots_too(self, tmp_path: Path) -> None:
        first = [Image.fromarray(numbered_picture(n, seed=1)) for n in range(15)]
        second = [Image.fromarray(numbered_picture(n, seed=5)) for n in range(15)]
        path = tmp_path / "two.webp"
        first[0].save(path, save_all=True, append_images=[*first[1:], *second], duration=40, lossless=True)
        assert shot_boundaries(path) == [Fraction(15, 25)]


class TestPreviews:
    def test_what_browsers_play_is_known(self, clips: Clips) -> None:
        assert {name for name in KINDS if browser_playable(probe(clips(name)))} == PLAYABLE

    @pytest.mark.parametrize(
        "name", ["hevc.mp4", "mpeg4.avi", "interlaced.mp4", "animation.webp", "odd-size.mkv", "ten-bit.mp4"]
    )
    def test_a_copy_is_playable_and_shows_the_same_frames(self, clips: Clips, tmp_path: Path, name: str) -> None:
        write_preview(clips(name), tmp_path / "copy.mp4")
        assert browser_playable(probe(tmp_path / "copy.mp4"))
        with VideoReader(tmp_path / "copy.mp4") as reader:
            assert [number_of(frame.pixels) for frame in reader.frames()] == list(range(FRAMES))

    @pytest.mark.parametrize("name", ["with-sound.mp4", "surround.mkv"])
    def test_it_keeps_the_sound(self, clips: Clips, tmp_path: Path, name: str) -> None:
        write_preview(clips(name), tmp_path / "copy.mp4")
        before, after = read_audio(clips(name), mono=True), read_audio(tmp_path / "copy.mp4", mono=True)
        both = min(len(before.samples), len(after.samples))
        assert abs(len(before.samples) - len(after.samples)) < 2400
        assert np.corrcoef(before.samples[:both, 0], after.samples[:both, 0])[0, 1] > 0.95

    def test_it_is_made_smaller_when_asked(self, clips: Clips, tmp_path: Path) -> None:
        write_preview(clips("portrait.mp4"), tmp_path / "copy.mp4", max_side_px=80)
        info = probe(tmp_path / "copy.mp4")
        assert (info.width, info.height) == (46, 80)  # 45 columns, padded to an even number

    def test_progress_rises_to_the_total(self, clips: Clips, tmp_path: Path) -> None:
        said: list[tuple[int, int]] = []
        write_preview(clips("mpeg4.avi"), tmp_path / "copy.mp4", lambda done, total, what: said.append((done, total)))
        assert said == sorted(said) and said[0][0] == 0 and said[-1] == (FRAMES, FRAMES)

    def test_a_cancel_stops_it_and_leaves_nothing(self, clips: Clips, tmp_path: Path) -> None:
        token = CancelToken()

        def stop_at_ten(done: int, total: int, what: str) -> None:
            if done == 10:
                token.cancel()

        with pytest.raises(CancelledError):
            write_preview(clips("mpeg4.avi"), tmp_path / "copy.mp4", cancellable(stop_at_ten, token))
            write_preview(clips("mpeg4.avi"), tmp_path / "copy.mp4", cancellable(silent, token))
        assert list(tmp_path.iterdir()) == []

    def test_an_animation_with_its_own_delays_keeps_its_length(self, tmp_path: Path) -> None:
        path = animated_picture(tmp_path / "slow.webp", 10, [100, 300] * 5)
        write_preview(path, tmp_path / "copy.mp4")
        assert abs(probe(path).duration_s - probe(tmp_path / "copy.mp4").duration_s) <= Fraction(1, 5)
