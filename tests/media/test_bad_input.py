"""Bad files: each gets its one clear error, or gives what is still there; and nothing is left behind."""

import struct
import zlib
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from core.errors import (
    MediaDamagedError,
    MediaError,
    MediaLimitError,
    MediaOpenError,
    NoAudioTrackError,
    NoVideoTrackError,
    ParameterError,
    PathNotAllowedError,
)
from core.media import (
    MediaLimits,
    VideoReader,
    contact_sheet,
    limits_from_environment,
    probe,
    read_audio,
    replace_soundtrack,
    shot_boundaries,
    thumbnail,
    write_preview,
    write_video,
)
from tests.factories import (
    cut_short,
    moving_clip,
    number_of,
    numbered_pictures,
    sound_file,
    still_picture,
    with_garbage,
)
from tests.media.conftest import Clips

TENTHS = [n / 10 for n in range(10)]
PLAYLISTS = {
    "list.m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\nother.ts\n#EXT-X-ENDLIST\n",
    "list.mp4": "\n#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\nother.ts\n#EXT-X-ENDLIST\n",
    "list.ffconcat": "ffconcat version 1.0\nfile other.ts\n",
    "list.mpd": '<?xml version="1.0"?><MPD><Period><BaseURL>other.ts</BaseURL></Period></MPD>',
    "list.sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\nc=IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 96\n",
}


def numbers(path: Path) -> tuple[list[int], int]:
    """The frame numbers that are read from a film, and how many packets were damaged."""
    with VideoReader(path) as reader:
        return [number_of(frame.pixels) for frame in reader.frames()], reader.damaged_packets


def png_of(width: int, height: int) -> bytes:
    """A PNG whose header claims a size; its data hold a few bytes only."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(999))) + chunk(b"IEND", b"")
    )


def claiming_hours(film: Path, hours: float) -> Path:
    """A copy of a Matroska film whose header claims another duration (element 0x4489, a double, in milliseconds)."""
    data = bytearray(film.read_bytes())
    at = data.index(b"\x44\x89\x88")
    data[at + 3 : at + 11] = struct.pack(">d", hours * 3_600_000.0)
    copy = film.with_name("claims.mkv")
    copy.write_bytes(data)
    return copy


@pytest.fixture
def silent_stderr(capfd: pytest.CaptureFixture[str]) -> Callable[[], bool]:
    return lambda: capfd.readouterr().err == ""


class TestWhatIsNoFilm:
    @pytest.mark.parametrize(
        ("name", "content"), [("empty.mp4", b""), ("text.mp4", b"This is a letter. " * 99), ("noise.mp4", None)]
    )
    def test_says_that_it_cannot_be_opened_and_by_name(self, tmp_path: Path, name: str, content: bytes | None) -> None:
        path = tmp_path / name
        path.write_bytes(np.random.default_rng(0).bytes(5000) if content is None else content)
        with pytest.raises(MediaOpenError, match=name):
            probe(path)

    def test_a_missing_file_a_folder_and_an_address_are_no_films(self, tmp_path: Path) -> None:
        for path in (tmp_path / "none.mp4", tmp_path, "http://127.0.0.1/film.mp4", f"concat:{tmp_path}/a|{tmp_path}/b"):
            with pytest.raises(MediaOpenError):
                probe(path)

    @pytest.mark.parametrize("name", PLAYLISTS)
    def test_a_list_of_other_files_is_refused_even_when_they_are_fine(self, tmp_path: Path, name: str) -> None:
        moving_clip(tmp_path / "other.ts", duration_s=0.4)
        (tmp_path / name).write_text(PLAYLISTS[name])
        with pytest.raises(MediaOpenError):
            probe(tmp_path / name)

    def test_a_name_that_looks_like_an_address_is_still_a_file(self, tmp_path: Path) -> None:
        path = moving_clip(tmp_path / "film.mp4", duration_s=0.4).rename(tmp_path / "http:--a?b=%03d|c.mp4")
        assert numbers(path) == (list(range(10)), 0)

    def test_sound_alone_has_no_picture_and_a_picture_no_sound(self, tmp_path: Path, clips: Clips) -> None:
        with pytest.raises(NoVideoTrackError, match="only sound"):
            probe(sound_file(tmp_path / "sound.wav"))
        for silent in (clips("h264.mp4"), clips("still.jpg"), clips("animation.webp")):
            with pytest.raises(NoAudioTrackError):
                read_audio(silent)


class TestDamage:
    @pytest.mark.parametrize("share", TENTHS)
    def test_an_mp4_cut_before_its_index_cannot_be_opened(self, clips: Clips, share: float) -> None:
        with pytest.raises(MediaOpenError):
            probe(cut_short(clips("h264.mp4"), share))

    @pytest.mark.parametrize("share", TENTHS)
    @pytest.mark.parametrize("name", ["whole.mp4", "h264.mkv", "mpeg2.ts", "vp9.webm", "mpeg4.avi"])
    def test_other_films_play_what_is_left(self, clips: Clips, tmp_path: Path, name: str, share: float) -> None:
        film = tmp_path / name
        if name == "whole.mp4":
            write_video(film, numbered_pictures(60), Fraction(25))
        else:
            film.write_bytes(clips(name).read_bytes())
        try:
            read, _ = numbers(cut_short(film, share))
        except MediaError as error:
            assert share <= 0.2 and isinstance(error, MediaOpenError | MediaDamagedError)
            return
        sure = max(0, len(read) - 4)  # the last ones may miss what was cut: a neighbour, or their own end
        assert read[:sure] == list(range(sure))
        assert (share - 0.25) * 60 <= len(read) <= 60

    @pytest.mark.parametrize("name", ["whole.mp4", "h264.mkv", "mpeg2.ts", "mpeg4.avi"])
    def test_a_film_cut_short_ends_with_its_last_picture(self, clips: Clips, tmp_path: Path, name: str) -> None:
        film = tmp_path / name
        if name == "whole.mp4":
            write_video(film, numbered_pictures(60), Fraction(25))
        else:
            film.write_bytes(clips(name).read_bytes())
        with VideoReader(cut_short(film, 0.6)) as reader:
            last = [frame.time_s for frame in reader.frames()][-1]
            assert last < reader.info.duration_s <= last + Fraction(8, 25)

    @pytest.mark.parametrize(
        "name", ["h264.mp4", "h264.mkv", "h264.ts", "mpeg2.ts", "mpeg4.avi", "mjpeg.avi", "vp9.webm"]
    )
    def test_garbage_in_the_middle_is_passed_over_and_told(self, clips: Clips, name: str) -> None:
        whole, _ = numbers(clips(name))
        read, damaged = numbers(with_garbage(clips(name), count=1500))
        assert damaged > 0 or name in ("h264.mkv", "vp9.webm")  # libav's Matroska reader skips damage unseen
        assert read[:10] == whole[:10] and read[-1] == whole[-1]

    @pytest.mark.parametrize("name", ["still.png", "still.jpg", "still.webp", "animation.webp"])
    def test_a_picture_cut_in_half_is_damaged(self, clips: Clips, name: str) -> None:
        with pytest.raises((MediaDamagedError, MediaOpenError)), VideoReader(cut_short(clips(name), 0.5)) as reader:
            list(reader.frames())

    @pytest.mark.parametrize("name", ["animation.gif", "animation.png"])
    def test_half_an_animation_plays_its_half(self, clips: Clips, name: str) -> None:
        read, _ = numbers(cut_short(clips(name), 0.5))
        assert 20 < len(read) < 40 and read[:-1] == list(range(len(read) - 1))

    @pytest.mark.parametrize("seed", range(40))
    def test_no_other_error_ever_comes_out(self, clips: Clips, tmp_path: Path, seed: int) -> None:
        random = np.random.default_rng(seed)
        names = (
            "h264.mp4",
            "vp9.webm",
            "mpeg2.mpg",
            "wmv2.wmv",
            "animation.gif",
            "animation.png",
            "still.png",
            "surround.mkv",
        )
        source = clips(names[seed % len(names)])
        data = bytearray(source.read_bytes())
        for position in random.integers(0, min(len(data), 10 ** int(random.integers(2, 6))), 20):
            data[position] = random.integers(0, 256)
        path = tmp_path / source.name
        path.write_bytes(data)
        for read in (lambda: list(VideoReader(path).frames()), lambda: read_audio(path)):
            try:
                read()
            except MediaError as error:
                assert path.name in str(error)

    def test_libav_is_silent(self, clips: Clips, silent_stderr: Callable[[], bool]) -> None:
        numbers(with_garbage(clips("h264.mkv")))
        with pytest.raises(MediaOpenError):
            probe(cut_short(clips("h264.mp4"), 0.5))
        assert silent_stderr()


class TestLimits:
    def test_a_claim_of_twenty_hours_is_refused_though_it_is_not_true(self, tmp_path: Path) -> None:
        film = moving_clip(tmp_path / "film.mkv", duration_s=3)
        assert probe(claiming_hours(film, 1)).duration_s == 3
        with pytest.raises(MediaLimitError, match="20:00:00"):
            probe(claiming_hours(film, 20))

    @pytest.mark.parametrize("name", ["long.mkv", "long.mp4"])
    def test_a_film_that_really_lasts_twenty_hours_is_refused(self, tmp_path: Path, name: str) -> None:
        film = moving_clip(tmp_path / name, frame_rate=Fraction(1, 7200), duration_s=72_000)
        with pytest.raises(MediaLimitError):
            probe(film)

    def test_a_film_without_a_stated_duration_is_measured(self, clips: Clips) -> None:
        for name in ("raw.h264", "mpeg2.ts"):
            assert probe(clips(name)).duration_s == Fraction(60, 25)
            with pytest.raises(MediaLimitError):
                probe(clips(name), MediaLimits(max_duration_s=2))

    @pytest.mark.parametrize("side", [9000, 50_000])
    def test_a_bomb_of_a_picture_is_refused_by_its_header(self, tmp_path: Path, side: int) -> None:
        (tmp_path / "bomb.png").write_bytes(png_of(side, side))
        with pytest.raises(MediaLimitError, match=r"bomb\.png"):
            probe(tmp_path / "bomb.png")

    def test_each_limit_refuses_what_is_beyond_it_and_nothing_else(self, clips: Clips) -> None:
        film = clips("with-sound.mp4")
        size = film.stat().st_size
        for name, least in (
            ("max_pixels", 160 * 120),
            ("max_streams", 2),
            ("max_bytes", size),
            ("max_duration_s", 2.5),
        ):
            assert probe(film, MediaLimits(**{name: least})).width == 160  # type: ignore[arg-type]
            with pytest.raises(MediaLimitError):
                probe(film, MediaLimits(**{name: least * 0.9}))  # type: ignore[arg-type]

    def test_limits_must_be_positive(self) -> None:
        with pytest.raises(ParameterError, match="max_pixels"):
            MediaLimits(max_pixels=0)

    def test_the_environment_sets_duration_and_roots(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SHOWREEL_MAX_DURATION_S", "90")
        monkeypatch.setenv("SHOWREEL_ROOTS", f"{tmp_path}:{tmp_path.parent}")
        assert limits_from_environment() == MediaLimits(90, allowed_roots=(tmp_path, tmp_path.parent))
        monkeypatch.setenv("SHOWREEL_MAX_DURATION_S", "long")
        with pytest.raises(ParameterError, match="SHOWREEL_MAX_DURATION_S"):
            limits_from_environment()
        monkeypatch.setenv("SHOWREEL_MAX_DURATION_S", "90")
        monkeypatch.setenv("SHOWREEL_ROOTS", str(tmp_path / "nowhere"))
        with pytest.raises(ParameterError, match="nowhere"):
            limits_from_environment()


class TestAllowedRoots:
    def test_a_file_outside_is_refused_however_it_is_reached(self, tmp_path: Path) -> None:
        inside, outside = tmp_path / "inside", tmp_path / "outside"
        inside.mkdir()
        outside.mkdir()
        film = moving_clip(outside / "film.mp4", duration_s=0.4)
        (inside / "link.mp4").symlink_to(film)
        limits = MediaLimits(allowed_roots=(inside,))
        for path in (
            film,
            inside / ".." / "outside" / "film.mp4",
            inside / "link.mp4",
            outside / "none.mp4",
            "/etc/passwd",
        ):
            with pytest.raises(PathNotAllowedError):
                probe(path, limits)

    def test_a_file_inside_is_read_through_a_linked_root_too(self, tmp_path: Path) -> None:
        film = moving_clip(tmp_path / "film.mp4", duration_s=0.4)
        (tmp_path / "door").symlink_to(tmp_path)
        assert probe(film, MediaLimits(allowed_roots=(tmp_path / "door",))).frame_rate == 25

    def test_every_reading_function_obeys(self, clips: Clips, tmp_path: Path) -> None:
        film, limits = clips("with-sound.mp4"), MediaLimits(allowed_roots=(tmp_path,))
        readers: list[Callable[[], object]] = [
            lambda: VideoReader(film, limits=limits),
            lambda: read_audio(film, limits=limits),
            lambda: thumbnail(film, limits=limits),
            lambda: contact_sheet(film, limits=limits),
            lambda: shot_boundaries(film, limits=limits),
            lambda: write_preview(film, tmp_path / "out.mp4", limits=limits),
            lambda: replace_soundtrack(film, film, tmp_path / "out.mp4", limits=limits),
        ]
        for read in readers:
            with pytest.raises(PathNotAllowedError):
                read()
        assert list(tmp_path.iterdir()) == []


class TestTinyPictures:
    def test_one_pixel_is_a_picture_and_a_film(self, tmp_path: Path) -> None:
        still = still_picture(tmp_path / "one.png", size=(1, 1))
        film = moving_clip(tmp_path / "one.mkv", 1, 1, codec="ffv1", duration_s=0.2)
        for path, count in ((still, 1), (film, 5)):
            with VideoReader(path) as reader:
                assert [frame.pixels.shape for frame in reader.frames()] == [(1, 1, 3)] * count

    def test_a_picture_is_a_film_of_one_frame_for_everything_that_looks(self, clips: Clips, tmp_path: Path) -> None:
        still = clips("still.png")
        assert shot_boundaries(still) == []
        write_preview(still, tmp_path / "still.mp4")
        assert numbers(tmp_path / "still.mp4") == ([0], 0)
