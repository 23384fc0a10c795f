"""A made video as a file: H.264 MP4 with its settings in the metadata, and how both are read back.

The first network's video is small. In a file 4:2:0 would halve its colours once more, and players would blur it, so
each pixel is repeated a whole number of times along rows and columns until the shorter side has 256 pixels: nothing is
made up, and the mean of each block is the pixel again.
"""

import io
from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from itertools import islice
from pathlib import Path

import numpy as np
from PIL import Image

from core.errors import MediaDamagedError, MediaOpenError, ParameterError
from core.media import EncodeOptions, MediaLimits, VideoReader, checked_path
from core.media.container import open_container
from core.media.whole_file import written_whole
from core.media.write import PictureTrack, Timing, open_output
from core.personal_video.results import Pixels, VideoSettings

LEAST_SIDE_PX = 256
_TAG, _COMMENT = "showreel", "Made with Showreel personal video: no camera saw this."
_OPTIONS = EncodeOptions(crf=8, preset="medium")
_OTHER = "choose a video that was made here, unchanged"


def write_film(out: str | Path, frames: Pixels, frame_rate: Fraction, settings: VideoSettings) -> VideoSettings:
    """Write a video whole or not at all; the same frames and settings give the same bytes.

    Args:
        out: the file, ``.mp4``.
        frames: uint8 (T, H, W, 3).
        frame_rate: pictures a second.
        settings: of the video; how often pixels are repeated is filled in.

    Returns:
        The settings as they are in the file.

    Raises:
        ParameterError: the suffix is another, or there is no such folder.
        MediaError: the file cannot be written.
    """
    check_out(out)
    settings = replace(settings, repeated=repeats(frames))
    tags = {"comment": _COMMENT, _TAG: settings.as_json()}
    with written_whole(out) as part, open_output(part, 1 / frame_rate, tags) as container:
        large = frames.repeat(settings.repeated, axis=1).repeat(settings.repeated, axis=2)
        track = PictureTrack(container, large.shape[1:], Timing(frame_rate), _OPTIONS)
        for picture in large:
            track.add(picture)
        track.finish()
    return settings


def check_out(out: str | Path) -> None:
    """Refuse a file that no video can be written to, before one is made.

    Raises:
        ParameterError: the suffix is not ``.mp4``, or there is no such folder.
    """
    path = Path(out)
    if path.suffix.lower() != ".mp4":
        raise ParameterError(f"{path.name} does not end in .mp4; videos are written as MP4, with their settings in it.")
    if not path.parent.is_dir():
        raise ParameterError(f"The folder {path.parent} does not exist; create it, or write elsewhere.")


def repeats(frames: Pixels) -> int:
    """How often each pixel is repeated in the file of a video (T, H, W, 3).

    >>> repeats(np.zeros((1, 64, 64, 3), np.uint8)), repeats(np.zeros((1, 512, 512, 3), np.uint8))
    (4, 1)
    """
    return max(1, -(-LEAST_SIDE_PX // min(frames.shape[1:3])))


def read_settings(path: str | Path, limits: MediaLimits | None = None) -> VideoSettings:
    """The settings in a video's metadata.

    Raises:
        MediaOpenError: it is no file of pictures, or has no settings.
        MediaDamagedError: its settings cannot be read.
    """
    limits = limits or MediaLimits()
    real = checked_path(path, limits)
    with open_container(real, limits) as container:
        tags: Mapping[str, str] = dict(container.metadata)
    if _TAG not in tags:
        raise MediaOpenError(f"{real.name} holds no settings of personal video; {_OTHER}.")
    try:
        return VideoSettings.from_json(tags[_TAG])
    except ParameterError as error:
        raise MediaDamagedError(f"{real.name}: {error} Otherwise {_OTHER}.") from error


def read_frames(path: str | Path, settings: VideoSettings, limits: MediaLimits | None = None) -> Pixels:
    """The frames of a video as they were made, but for what the coding lost: uint8 (T, H, W, 3).

    Raises:
        MediaError: the file cannot be read, or is not what its settings say.
    """
    times, count = settings.repeated, settings.frames
    side = settings.side_px * settings.factor * times
    with VideoReader(path, limits=limits or MediaLimits()) as reader:
        unchanged = (reader.info.width, reader.info.height) == (side, side)
        pictures = [frame.pixels for frame in islice(reader.frames(), count + 1)] if unchanged else []
    if len(pictures) != count:
        raise MediaDamagedError(f"{Path(path).name} was cut or scaled since it was made; {_OTHER}.")
    large = np.stack(pictures)
    blocks = large.reshape(count, side // times, times, side // times, times, 3)
    return np.rint(blocks.mean(axis=(2, 4))).astype(np.uint8)


def moving_picture(frames: Pixels, frame_rate: Fraction) -> bytes:
    """Frames (T, H, W, 3) as an animated WebP, for a look at what is not finished."""
    first, *rest = (Image.fromarray(frame) for frame in frames)
    buffer, lasting_ms = io.BytesIO(), int(1000 / frame_rate)
    first.save(buffer, "WEBP", save_all=True, append_images=rest, duration=lasting_ms, loop=0, quality=80, method=0)
    return buffer.getvalue()
