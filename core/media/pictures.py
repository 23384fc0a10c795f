"""Still pictures and animated WebP, through Pillow."""

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import numpy as np
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray
from PIL import Image, ImageOps

from core.errors import MediaDamagedError, MediaLimitError, MediaOpenError
from core.media import pixels
from core.media.container import check_duration, check_pixels, head_of
from core.media.info import MediaInfo
from core.media.limits import MediaLimits
from core.media.source import WHITE, Colour, Luma, Picture, Size
from core.media.timebase import Clock, plausible_frame_rate

_MILLISECOND = Fraction(1, 1000)
_SHORTEST_MS, _DEFAULT_MS = 11, 100
_SCAN_BYTES = 1 << 20


def is_picture(path: Path) -> bool:
    """Whether Pillow is to read this file, by its first bytes: JPEG, PNG, WebP, BMP, TIFF or AVIF.

    GIF and animated PNG go to libav, and so does a bare stream of JPEGs, known by the name ``.mjpeg`` or ``.mjpg``.
    """
    head = head_of(path, 32)
    if head.startswith(b"\x89PNG"):
        start = head_of(path, _SCAN_BYTES)
        return b"acTL" not in start[: start.find(b"IDAT")]
    if head.startswith(b"\xff\xd8\xff"):
        return path.suffix.lower() not in (".mjpeg", ".mjpg")
    is_webp = head.startswith(b"RIFF") and head[8:12] == b"WEBP"
    return is_webp or head.startswith((b"BM", b"II*\0", b"MM\0*")) or head[4:12] == b"ftypavif"


class PictureSource:
    """A picture or an animated WebP (a `Source`); ticks are milliseconds.

    A picture of an animation that asks for 10 ms or less stays for 100 ms, as in browsers.

    Raises:
        MediaOpenError: the header cannot be read.
        MediaLimitError: it is too large or too long; said from the header, nothing is decoded.
        MediaDamagedError: it cannot be decoded.
    """

    def __init__(self, path: Path, limits: MediaLimits) -> None:
        self.decoded_frames = 0
        self.damaged_packets = 0
        self._pass = 0
        self._path = path
        self._scaler = VideoReformatter()
        self._picture = _opened(path)
        check_pixels(*self._picture.size, path, limits)
        self._delays_ms = _webp_delays_ms(path) if self._picture.format == "WEBP" else []
        check_duration(sum(self._delays_ms) / 1000, path, limits)
        self.clock = Clock(_MILLISECOND)
        with _pillow_errors(path):
            self.info = self._describe()
        self._fresh = True

    def close(self) -> None:
        """Release the file; may be called twice."""
        self._pass += 1
        self._picture.close()

    def pictures(self) -> Iterator[Picture]:
        """All pictures from the first; what cannot be decoded ends the film, and counts as damaged."""
        if not self._fresh:
            self._picture.close()
            self._picture = _opened(self._path)
        self._fresh = False
        self._pass += 1
        mine, pts = self._pass, 0
        for index, delay in enumerate(self._delays_ms or [0]):
            if self._pass != mine:
                return
            try:
                with _pillow_errors(self._path):
                    self._picture.seek(index)
                    self._picture.load()
            except MediaDamagedError:
                self.damaged_packets += len(self._delays_ms) - index
                if index == 0:
                    raise
                return
            self.decoded_frames += 1
            yield Picture(pts, self._picture.copy())
            pts += delay

    def seek_pays(self, here: int, target: int) -> bool:
        """Never: every picture of an animation builds on the one before."""
        return False

    def pictures_from(self, target: int) -> Iterator[Picture]:
        """All pictures from the first: there are no keyframes."""
        return self.pictures()

    def pixels(self, picture: Picture, size: Size | None, background: Colour | None) -> NDArray[np.uint8]:
        """The picture upright (EXIF orientation), laid over the background at its full size, then scaled."""
        size = size or (self.info.width, self.info.height)
        with _pillow_errors(self._path):
            upright = ImageOps.exif_transpose(_eight_bit(picture.image))
            if background is None:
                image = upright.convert("RGBA")
                return np.array(image if image.size == size else image.resize(size, Image.Resampling.BILINEAR))
            if upright.has_transparency_data:
                flat = pixels.over_background(np.asarray(upright.convert("RGBA")), background)
            else:
                flat = np.array(upright.convert("RGB"))
        return pixels.scaled(flat, size, self._scaler)

    def luma(self, picture: Picture) -> Luma:
        """That of the pixels on white."""
        return pixels.luma_of(self.pixels(picture, None, WHITE))

    def _describe(self) -> MediaInfo:
        picture, delays = self._picture, self._delays_ms
        orientation = picture.getexif().get(0x0112, 1)
        width, height = picture.size if orientation < 5 else picture.size[::-1]
        duration_s = sum(delays) * _MILLISECOND
        return MediaInfo(
            path=self._path,
            container=(picture.format or "").lower(),
            duration_s=duration_s,
            frame_rate=plausible_frame_rate(len(delays) / duration_s) if delays else Fraction(1),
            variable_frame_rate=bool(delays) and max(delays) - min(delays) > 1,
            width=width,
            height=height,
            rotation={3: 180, 4: 180, 5: 90, 6: 90, 7: 270, 8: 270}.get(orientation, 0),
            codec=(picture.format or "").lower(),
            pixel_format=picture.mode,
            has_alpha=picture.has_transparency_data,
            interlaced=False,
            audio=None,
            is_still=not delays,
        )


def _opened(path: Path) -> Image.Image:
    try:
        return Image.open(path)
    except Image.DecompressionBombError as error:
        raise MediaLimitError(f"{path.name} is far too large a picture ({error}); export it smaller.") from error
    except (OSError, SyntaxError, ValueError, struct.error) as error:
        raise MediaOpenError(f"{path.name} is not a picture that can be read ({error}); export it again.") from error


@contextmanager
def _pillow_errors(path: Path) -> Iterator[None]:
    """Turn what Pillow raises on damaged pictures into a `MediaDamagedError`."""
    try:
        yield
    except (OSError, SyntaxError, ValueError, EOFError, struct.error) as error:
        raise MediaDamagedError(f"{path.name} is damaged ({error}); export it again.") from error


def _eight_bit(picture: Image.Image) -> Image.Image:
    """16-bit grey, which Pillow would clip, scaled to 8 bits; anything else as it is."""
    if not picture.mode.startswith("I"):
        return picture
    values = np.asarray(picture).astype(np.int64)
    scaled = Image.fromarray((np.clip(values, 0, 65535) >> 8).astype(np.uint8))
    scaled.getexif().update(picture.getexif())
    return scaled


def _webp_delays_ms(path: Path) -> list[int]:
    """How long each picture of an animated WebP stays, from its ANMF chunks; empty for a still one."""
    delays = []
    with path.open("rb") as file:
        file.seek(12)
        while len(header := file.read(8)) == 8:
            name, size = struct.unpack("<4sI", header)
            body = file.tell()
            if name == b"ANMF":
                delay = int.from_bytes(file.read(16)[12:15], "little")
                delays.append(delay if delay >= _SHORTEST_MS else _DEFAULT_MS)
            file.seek(body + size + size % 2)
    return delays if len(delays) > 1 else []
