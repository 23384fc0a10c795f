"""Colours, transparency and fields: what comes out of the reader against what went in."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av import VideoFrame
from av.video.reformatter import ColorRange, Colorspace
from numpy.typing import NDArray
from PIL import Image

from core.media import VideoReader, probe, write_video
from tests.factories import moving_clip
from tests.media.conftest import Clips

PATCHES = np.array(
    [[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255], [0, 0, 0], [200, 120, 60], [40, 160, 220], [128, 128, 128]]
)
MATRICES = {"bt709": (1, Colorspace.ITU709), "bt601": (6, Colorspace.ITU601)}


def patches(width: int = 256, height: int = 64) -> NDArray[np.uint8]:
    """Eight upright bars of plain colour."""
    return np.repeat(np.repeat(PATCHES[None], height, axis=0), width // 8, axis=1).astype(np.uint8)


def bars(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """The mean colour of the middle of each bar: (8, 3)."""
    step = pixels.shape[1] // 8
    middles = [pixels[4:-4, n * step + step // 4 : n * step + 3 * step // 4] for n in range(8)]
    return np.array([middle.mean(axis=(0, 1)) for middle in middles])


def tagged_film(path: Path, matrix: str | None, full_range: bool, size: tuple[int, int] = (256, 64)) -> Path:
    """Patches as lossless H.264 in one colour matrix and range; ``None`` writes BT.601 and does not say so."""
    tag, colorspace = MATRICES[matrix or "bt601"]
    levels = ColorRange.JPEG if full_range else ColorRange.MPEG
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"qp": "0"})
        context = stream.codec_context
        context.width, context.height, context.pix_fmt = *size, "yuv444p"
        context.color_range = levels
        context.colorspace = tag if matrix else 2
        frame = VideoFrame.from_ndarray(patches(*size), "rgb24").reformat(
            format="yuv444p", dst_colorspace=colorspace, dst_color_range=levels
        )
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def first_of(path: Path, background: tuple[int, int, int] | None = (255, 255, 255)) -> NDArray[np.uint8]:
    with VideoReader(path, background=background) as reader:
        return next(reader.frames()).pixels


@pytest.mark.parametrize("full_range", [False, True])
@pytest.mark.parametrize("matrix", ["bt709", "bt601"])
def test_the_matrix_and_the_range_that_a_film_names_are_used(tmp_path: Path, matrix: str, full_range: bool) -> None:
    film = tagged_film(tmp_path / "film.mp4", matrix, full_range)
    assert np.abs(bars(first_of(film)) - PATCHES).max() <= 3


def test_an_untold_matrix_is_bt601_for_small_and_bt709_for_large_pictures(tmp_path: Path) -> None:
    small = tagged_film(tmp_path / "small.mp4", None, False)
    large = tagged_film(tmp_path / "large.mp4", None, False, (1280, 720))
    assert np.abs(bars(first_of(small)) - PATCHES).max() <= 3
    assert np.abs(bars(first_of(large)) - PATCHES).max() > 15  # written as BT.601, so it must come out wrong


def test_what_is_written_is_read_back_in_the_same_colours(tmp_path: Path) -> None:
    write_video(tmp_path / "film.mp4", [patches()] * 3, Fraction(25))
    assert np.abs(bars(first_of(tmp_path / "film.mp4")) - PATCHES).max() <= 4


def test_ten_bits_come_out_as_the_same_colours(tmp_path: Path, clips: Clips) -> None:
    ten, eight = first_of(clips("ten-bit.mp4")), first_of(clips("h264.mp4"))
    assert np.abs(ten.astype(int) - eight).mean() < 2


@pytest.mark.parametrize("background", [(255, 255, 255), (255, 0, 0)])
def test_the_background_shows_where_a_film_is_transparent(clips: Clips, background: tuple[int, int, int]) -> None:
    pixels = first_of(clips("transparent.webm"), background)
    assert np.abs(pixels[40:, 90:].astype(int) - background).max() <= 4
    assert np.abs(pixels[40:, :70].astype(int) - background).mean() > 30


def test_transparency_is_kept_when_no_background_is_given(clips: Clips) -> None:
    alpha = first_of(clips("transparent.webm"), None)[..., 3]
    assert alpha[40:, 90:].max() == 0 and alpha[:20].min() == 255


@pytest.mark.parametrize("name", ["half.png", "half.webp", "half.gif"])
def test_half_transparent_pictures_are_mixed_with_the_background(tmp_path: Path, name: str) -> None:
    opacity = 255 if name == "half.gif" else 51
    pixels = np.full((16, 16, 4), (200, 100, 0, opacity), np.uint8)
    pixels[:, 8:, 3] = 0
    Image.fromarray(pixels).save(tmp_path / name, lossless=True)
    expected = np.array([200, 100, 0]) * opacity / 255 + np.array([0, 0, 250]) * (255 - opacity) / 255
    shown = first_of(tmp_path / name, (0, 0, 250))
    assert np.abs(shown[:, :8] - expected).max() <= 1
    assert (shown[:, 8:] == (0, 0, 250)).all()


def test_an_edge_against_transparency_keeps_its_colour_when_scaled(tmp_path: Path) -> None:
    pixels = np.zeros((64, 64, 4), np.uint8)
    pixels[:, :31] = (255, 255, 255, 255)  # what is transparent hides black
    Image.fromarray(pixels).save(tmp_path / "edge.png")
    with VideoReader(tmp_path / "edge.png", size=(16, 16)) as reader:
        assert next(reader.frames()).pixels.min() == 255


def test_sixteen_bit_grey_is_scaled_and_not_clipped(tmp_path: Path) -> None:
    Image.fromarray(np.full((8, 8), 40_000, np.uint16)).save(tmp_path / "grey.png")
    assert (first_of(tmp_path / "grey.png") == 40_000 >> 8).all()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_obeyed(tmp_path: Path, orientation: int) -> None:
    picture = Image.fromarray(patches(64, 16))
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # Pillow's transpositions that undo each orientation
    stored = picture if orientation == 1 else picture.transpose(Image.Transpose(undo[orientation]))
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored.save(tmp_path / "turned.png", exif=exif)
    assert (probe(tmp_path / "turned.png").width, probe(tmp_path / "turned.png").height) == (64, 16)
    assert (first_of(tmp_path / "turned.png") == patches(64, 16)).all()


@pytest.mark.parametrize("rotation", [0, 90, 180, -90])
def test_a_turned_film_looks_like_the_upright_one(tmp_path: Path, rotation: int) -> None:
    turned = moving_clip(tmp_path / "turned.mp4", duration_s=0.2, rotation=rotation)
    upright = moving_clip(tmp_path / "upright.mp4", duration_s=0.2)
    assert np.abs(first_of(turned).astype(int) - first_of(upright)).mean() < 6


def test_wide_pixels_widen_the_picture(tmp_path: Path) -> None:
    film = moving_clip(tmp_path / "wide.mp4", duration_s=0.2, sample_aspect_ratio=Fraction(4, 3))
    info = probe(film)
    assert (info.width, info.height) == (round(160 * 4 / 3), 120)
    assert first_of(film).shape == (120, 213, 3)


def test_interlaced_films_lose_their_combs(clips: Clips, tmp_path: Path) -> None:
    def combing(pixels: NDArray[np.uint8]) -> float:
        """How much rows differ from both neighbours in the same direction, below the bar code."""
        grey = pixels[32:].mean(axis=2)
        above, below = grey[1:-1] - grey[:-2], grey[1:-1] - grey[2:]
        return float(np.minimum(np.abs(above), np.abs(below))[above * below > 0].sum())

    with VideoReader(clips("interlaced.mp4")) as reader:
        assert reader.info.interlaced
        cleaned = [combing(frame.pixels) for frame in reader.frames()]
    with av.open(str(clips("interlaced.mp4"))) as container:
        raw = [combing(frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]  # type: ignore[arg-type]
    assert sum(cleaned) < 0.35 * sum(raw)
