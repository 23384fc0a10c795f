"""From decoded pictures to RGB: the colour matrix, the alpha channel, turning upright."""

import re
from typing import Any, cast

import cv2
import numpy as np
from av import VideoFrame
from av.buffer import Buffer
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter
from numpy.typing import NDArray

from core.media.source import Colour, Luma, Size

_UNSPECIFIED = 2
_LUMA_FIRST = re.compile(r"(yuvj?4\d\dp|nv12)(?:(9|1\d)le)?")
_HD_HEIGHT, _HD_WIDTH = 720, 1280


def has_alpha(frame: VideoFrame) -> bool:
    """Whether the pixel format has an alpha channel."""
    return any(component.is_alpha for component in frame.format.components)


def to_rgb(frame: VideoFrame, size: Size, scaler: VideoReformatter) -> NDArray[np.uint8]:
    """Scale and convert in one step of swscale (bilinear, widened when shrinking).

    A stream that names no colour matrix is taken for BT.709 from 1280 × 720 on and for BT.601 below, as players do;
    the range is the one the frame names. PQ and HLG pictures are converted without tone mapping and look flat.

    Args:
        frame: any pixel format.
        size: (width, height) of the result.
        scaler: reused from frame to frame, so that its tables are built once.

    Returns:
        uint8 (height, width, 3).
    """
    return _converted(frame, size, "rgb24", scaler)


def to_rgba(frame: VideoFrame, size: Size, scaler: VideoReformatter) -> NDArray[np.uint8]:
    """As `to_rgb`, with the alpha channel (not premultiplied): uint8 (height, width, 4)."""
    return _converted(frame, size, "rgba", scaler)


def _converted(frame: VideoFrame, size: Size, pixel_format: str, scaler: VideoReformatter) -> NDArray[np.uint8]:
    matrix = None
    if frame.colorspace == _UNSPECIFIED:
        large = frame.height >= _HD_HEIGHT or frame.width >= _HD_WIDTH
        matrix = Colorspace.ITU709 if large else Colorspace.ITU601
    picture = scaler.reformat(
        frame, size[0], size[1], pixel_format, src_colorspace=matrix, dst_color_range=ColorRange.JPEG, threads=1
    )
    return cast(NDArray[np.uint8], picture.to_ndarray())


def luma_plane(frame: VideoFrame) -> Luma | None:
    """The frame's own luma, not copied: uint8 of 8 bits, uint16 of 9 to 16; None where it has no plane of its own."""
    kind, plane = _LUMA_FIRST.fullmatch(frame.format.name), frame.planes[0]
    if kind is None or plane.line_size <= 0:
        return None
    bits = int(kind[2] or 8)
    stored: NDArray[Any] = np.frombuffer(memoryview(cast(Buffer, plane)), np.uint8 if bits == 8 else np.dtype("<u2"))
    rows = stored.reshape(-1, plane.line_size // stored.itemsize)[: frame.height, : frame.width]
    rows.flags.writeable = False
    if frame.color_range == ColorRange.JPEG or kind[1].startswith("yuvj"):
        return Luma(rows, 0, (1 << bits) - 1)
    return Luma(rows, 16 << bits - 8, 235 << bits - 8)


def luma_of(rgb: NDArray[np.uint8]) -> Luma:
    """The luma of RGB pixels (H, W, 3), with the weights of BT.601: uint8 (H, W), 0 to 255."""
    return Luma(cast(NDArray[np.uint8], cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)), 0, 255)


def over_background(pixels: NDArray[np.uint8], background: Colour) -> NDArray[np.uint8]:
    """Lay straight-alpha pixels (H, W, 4) over one colour: uint8 (H, W, 3), rounded to nearest."""
    alpha = pixels[..., 3:].astype(np.uint16)
    mixed = pixels[..., :3] * alpha + np.asarray(background, np.uint16) * (255 - alpha)
    return ((mixed + 127) // 255).astype(np.uint8)


def scaled(pixels: NDArray[np.uint8], size: Size, scaler: VideoReformatter) -> NDArray[np.uint8]:
    """Scale RGB pixels (H, W, 3) to ``size`` (width, height)."""
    if (pixels.shape[1], pixels.shape[0]) == size:
        return pixels
    frame = VideoFrame.from_ndarray(pixels, "rgb24")
    return cast(NDArray[np.uint8], scaler.reformat(frame, size[0], size[1], threads=1).to_ndarray())


class Orientation:
    """A right-angle turn with an optional mirroring, from the display matrix of ISO 14496-12 (6.2.2).

    A pixel at (x, y) is shown at (a x + c y, b x + d y); the matrix rows are (a, b, u), (c, d, v), (tx, ty, w) in
    16.16 fixed point. Other angles are rounded to the nearest right angle.
    """

    def __init__(self, matrix: tuple[int, int, int, int] = (1, 0, 0, 1)) -> None:
        a, b, c, d = matrix
        self.swaps_sides = abs(b) + abs(c) > abs(a) + abs(d)
        self._mirror_x = (c if self.swaps_sides else a) < 0
        self._mirror_y = (b if self.swaps_sides else d) < 0

    @classmethod
    def of(cls, frame: VideoFrame) -> "Orientation":
        """The orientation that a decoded frame carries."""
        data = frame.side_data.get("DISPLAYMATRIX")
        if data is None:
            return cls()
        matrix = np.frombuffer(memoryview(cast(Buffer, data)), "<i4", 5)
        return cls((int(matrix[0]), int(matrix[1]), int(matrix[3]), int(matrix[4])))

    @property
    def rotation(self) -> int:
        """The clockwise turn in degrees, mirroring left aside."""
        if self.swaps_sides:
            return 90 if self._mirror_x else 270
        return 180 if self._mirror_y else 0

    def upright(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Turn pixels (H, W, C) as they are to be shown."""
        return np.ascontiguousarray(self.turned(pixels))

    def turned(self, plane: NDArray[Any]) -> NDArray[Any]:
        """A view on (H, W, …) values as they are to be shown."""
        turned = plane.swapaxes(0, 1) if self.swaps_sides else plane
        turned = turned[:, ::-1] if self._mirror_x else turned
        return turned[::-1] if self._mirror_y else turned

    def before_turning(self, size: Size) -> Size:
        """The size that turns into ``size``."""
        return (size[1], size[0]) if self.swaps_sides else size
