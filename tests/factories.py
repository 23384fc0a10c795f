"""Clips made in code: every picture carries its number as a bar code, every seed looks different.

The bar code is eight blocks, black or white, across the top quarter of the picture: the number modulo 256, most
significant bit first. It survives lossy codecs, scaling and turning back upright, so a test can read from the pixels
which frame it was given.
"""

import os
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
from av import AudioFrame, VideoFrame
from av.video.reformatter import Colorspace
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]
BITS = 8
_CODECS = {
    ".avi": ("mpeg4", "libmp3lame"),
    ".flv": ("libx264", "aac"),
    ".gif": ("gif", ""),
    ".h264": ("libx264", ""),
    ".mjpeg": ("mjpeg", ""),
    ".mpg": ("mpeg2video", "mp2"),
    ".ts": ("mpeg2video", "mp2"),
    ".webm": ("libvpx-vp9", "libopus"),
    ".wmv": ("wmv2", "wmav2"),
}
_FORMATS = {"prores_ks": "yuv422p10le", "mjpeg": "yuvj420p", "gif": "rgb8", "apng": "rgba", "ffv1": "yuv420p"}
_OPTIONS = {
    "libx264": {"preset": "ultrafast", "crf": "18", "bf": "2"},
    "libx265": {"preset": "ultrafast", "x265-params": "log-level=none:pools=1"},
    "libvpx-vp9": {"deadline": "realtime", "cpu-used": "8", "crf": "20", "b": "0", "auto-alt-ref": "0"},
    "libsvtav1": {"preset": "12", "crf": "25"},
    "mpeg4": {"q": "3", "qmin": "2", "qmax": "5"},
    "mpeg2video": {"qmin": "2", "qmax": "5"},
    "wmv2": {"qmin": "2", "qmax": "5"},
}
_LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1"}


def numbered_picture(number: int, width: int = 160, height: int = 120, seed: int = 0) -> Pixels:
    """A picture with ``number`` as its bar code over a seeded, moving scene: uint8 (height, width, 3)."""
    random = np.random.default_rng(seed)
    coarse = random.integers(30, 226, (5, 6, 3), dtype=np.uint8)
    pixels = np.array(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))
    for _ in range(4):
        side = max(2, int(min(width, height) * random.uniform(0.1, 0.3)))
        x, y = random.integers(0, width), random.integers(0, height)
        dx, dy = random.integers(-4, 5, 2)
        left, top = int(x + dx * number) % width, int(y + dy * number) % height
        pixels[top : top + side, left : left + side] = random.integers(0, 256, 3)
    edges = [round(n * width / BITS) for n in range(BITS + 1)]
    for bit in range(BITS):
        white = number >> (BITS - 1 - bit) & 1
        pixels[: height // 4, edges[bit] : edges[bit + 1]] = 255 * white
    return pixels


def number_of(pixels: Pixels) -> int:
    """The number that a picture's bar code says, 0 to 255."""
    height, width = pixels.shape[:2]
    rows = pixels[height // 12 : max(height // 12 + 1, height // 6), :, :3].mean(axis=(0, 2))
    centres = [
        rows[int((bit + 0.3) * width / BITS) : int((bit + 0.7) * width / BITS) + 1].mean() for bit in range(BITS)
    ]
    return sum(int(value > 127) << (BITS - 1 - bit) for bit, value in enumerate(centres))


def numbered_pictures(count: int, width: int = 160, height: int = 120, seed: int = 0) -> Iterator[Pixels]:
    """Pictures 0, 1, … ``count - 1``."""
    return (numbered_picture(number, width, height, seed) for number in range(count))


def tone(duration_s: float, channels: int = 1, sample_rate: int = 48000) -> NDArray[np.float32]:
    """A sine of 220 · (c + 1) Hz in channel c, at a quarter of full scale: float32 (N, channels)."""
    times = np.arange(round(duration_s * sample_rate)) / sample_rate
    hertz = 220 * np.arange(1, channels + 1)
    return (0.25 * np.sin(2 * np.pi * times[:, None] * hertz)).astype(np.float32)


def moving_clip(
    path: Path,
    width: int = 160,
    height: int = 120,
    frame_rate: Fraction | int = Fraction(25),
    duration_s: float = 2,
    codec: str | None = None,
    seed: int = 0,
    audio_channels: int = 0,
    *,
    pixel_format: str | None = None,
    times_s: Sequence[Fraction] | None = None,
    keyframe_every: int = 12,
    rotation: int = 0,
    sample_aspect_ratio: Fraction | None = None,
    interlaced: bool = False,
    alpha: bool = False,
    seeds: Sequence[int] | None = None,
    options: dict[str, str] | None = None,
) -> Path:
    """Write a film of numbered pictures through PyAV and return its path; the container follows the suffix.

    Args:
        path: where to write.
        width: columns as shown, before the sample aspect ratio is applied.
        height: rows as shown.
        frame_rate: pictures a second.
        duration_s: seconds.
        codec: PyAV's name of an encoder; None: a usual one for the suffix.
        seed: chooses colours, texture and movement.
        audio_channels: 0 for no sound, otherwise `tone` in 1, 2 or 6 channels.
        pixel_format: None: a usual one for the codec.
        times_s: when each picture appears, in whole milliseconds; None: evenly at ``frame_rate``.
        keyframe_every: distance of keyframes, in pictures.
        rotation: the pictures are stored lying, and the display matrix asks the player to turn them by this many
            degrees (a multiple of 90) counterclockwise, after which they stand upright.
        sample_aspect_ratio: width of a pixel divided by its height.
        interlaced: stored as two fields, half a picture apart in time.
        alpha: the right half of the picture is transparent.
        seeds: one seed a shot, in equal parts; each shot looks different. None: one shot with ``seed``.
        options: further options of the encoder.
    """
    os.environ.setdefault("SVT_LOG", "0")
    usual, sound_codec = _CODECS.get(path.suffix, ("libx264", "aac"))
    codec = codec or usual
    count = len(times_s) if times_s is not None else round(duration_s * frame_rate)
    with av.open(str(path), "w") as container:
        settings = {**_OPTIONS.get(codec, {}), **({"x264-params": "tff=1"} if interlaced else {}), **(options or {})}
        stream = cast(av.VideoStream, container.add_stream(codec, rate=Fraction(frame_rate), options=settings))
        context = stream.codec_context
        quarter_turns = rotation // 90 % 4
        context.width, context.height = (height, width) if quarter_turns % 2 else (width, height)
        context.pix_fmt = pixel_format or ("yuva420p" if alpha else _FORMATS.get(codec, "yuv420p"))
        context.time_base = 1 / Fraction(frame_rate) if times_s is None else Fraction(1, 1000)
        context.gop_size = keyframe_every
        if sample_aspect_ratio:
            context.sample_aspect_ratio = sample_aspect_ratio
        if rotation:
            stream.set_display_rotation(rotation)
        sound = (
            container.add_stream(sound_codec, rate=48000, layout=_LAYOUTS[audio_channels]) if audio_channels else None
        )
        for number in range(count):
            look = seed if seeds is None else seeds[number * len(seeds) // count]
            pixels = _stored(number, (width, height), look, (interlaced, alpha))
            frame = _frame(np.rot90(pixels, -quarter_turns), context.pix_fmt or "yuv420p")
            frame.time_base = context.time_base
            frame.pts = number if times_s is None else round(times_s[number] * 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if sound is not None:
            for packet in _sound_packets(cast(av.AudioStream, sound), duration_s, audio_channels):
                container.mux(packet)
    return path


def _stored(number: int, size: tuple[int, int], seed: int, looks: tuple[bool, bool]) -> Pixels:
    """A picture upright; its lower rows half a step later in every second line, or half transparent, if asked."""
    interlaced, alpha = looks
    pixels = numbered_picture(number, *size, seed)
    code = size[1] // 4
    if interlaced:
        pixels[code + 1 :: 2] = numbered_picture(number + 1, *size, seed)[code + 1 :: 2]
    if not alpha:
        return pixels
    opaque = np.full((*pixels.shape[:2], 1), 255, np.uint8)
    opaque[code:, size[0] // 2 :] = 0
    return np.concatenate([pixels, opaque], axis=2)


def _frame(pixels: Pixels, pixel_format: str) -> VideoFrame:
    rgb = VideoFrame.from_ndarray(np.ascontiguousarray(pixels), "rgba" if pixels.shape[2] == 4 else "rgb24")
    return rgb.reformat(format=pixel_format, dst_colorspace=Colorspace.ITU601)


def _sound_packets(sound: av.AudioStream, duration_s: float, channels: int) -> Iterator[list[av.Packet]]:
    samples = tone(duration_s, channels)
    for begin in range(0, len(samples), 960):
        block = np.ascontiguousarray(samples[begin : begin + 960]).reshape(1, -1)
        frame = AudioFrame.from_ndarray(block, "flt", _LAYOUTS[channels])
        frame.sample_rate, frame.pts, frame.time_base = 48000, begin, Fraction(1, 48000)
        yield sound.encode(frame)
    yield sound.encode(None)


def animated_picture(
    path: Path, count: int = 20, delay_ms: int | list[int] = 40, size: tuple[int, int] = (160, 120), seed: int = 0
) -> Path:
    """Write numbered pictures as an animated ``.webp`` (lossless), ``.gif`` or ``.png`` through Pillow."""
    images = [Image.fromarray(pixels) for pixels in numbered_pictures(count, *size, seed)]
    kind: dict[str, Any] = {".webp": {"lossless": True}, ".png": {"default_image": False}}.get(path.suffix, {})
    images[0].save(path, save_all=True, append_images=images[1:], duration=delay_ms, loop=0, **kind)
    return path


def still_picture(path: Path, number: int = 0, size: tuple[int, int] = (160, 120), seed: int = 0) -> Path:
    """Write one numbered picture; the format follows the suffix."""
    Image.fromarray(numbered_picture(number, *size, seed)).save(path)
    return path


def sound_file(path: Path, duration_s: float = 2, channels: int = 1, sample_rate: int = 48000) -> Path:
    """Write `tone` as a 16-bit WAV file."""
    samples = (tone(duration_s, channels, sample_rate) * 32767).astype(np.int16)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=sample_rate, layout=_LAYOUTS[channels])
        frame = AudioFrame.from_ndarray(samples.reshape(1, -1), "s16", _LAYOUTS[channels])
        frame.sample_rate = sample_rate
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def remuxed(path: Path, out: Path) -> Path:
    """Put the packets of a film into another container, which follows the suffix of ``out``; return ``out``."""
    with av.open(str(path)) as source, av.open(str(out), "w") as target:
        streams = {stream.index: target.add_stream_from_template(stream) for stream in source.streams}
        for packet in source.demux():
            if packet.dts is not None:
                packet.stream = streams[packet.stream_index]
                target.mux(packet)
    return out


def cut_short(path: Path, share: float) -> Path:
    """Copy the first ``share`` (0 to 1) of a file's bytes beside it, and return the copy's path."""
    data = path.read_bytes()
    copy = path.with_name(f"{path.stem}-cut-{share:.2f}{path.suffix}")
    copy.write_bytes(data[: int(len(data) * share)])
    return copy


def with_garbage(path: Path, share: float = 0.5, count: int = 2000, seed: int = 0) -> Path:
    """Copy a file with ``count`` random bytes in place of its own, beginning at ``share`` of it."""
    data = bytearray(path.read_bytes())
    begin = int(len(data) * share)
    data[begin : begin + count] = np.random.default_rng(seed).bytes(min(count, len(data) - begin))
    copy = path.with_name(f"{path.stem}-garbage{path.suffix}")
    copy.write_bytes(data)
    return copy
