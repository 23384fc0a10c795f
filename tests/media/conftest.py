"""One clip of every kind, each made when a test first asks for it and then kept for the session."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest

from tests.factories import animated_picture, moving_clip, still_picture

FRAMES = 60
UNEVEN = [Fraction(n * 40 + 13 * (n % 3), 1000) for n in range(FRAMES)]
FILMS: dict[str, dict[str, object]] = {
    "h264.mp4": {},
    "h264-no-b-frames.mp4": {"options": {"bf": "0"}},
    "hevc.mp4": {"codec": "libx265"},
    "h264.mkv": {},
    "prores.mov": {"codec": "prores_ks"},
    "vp9.webm": {},
    "av1.webm": {"codec": "libsvtav1"},
    "mpeg4.avi": {},
    "mpeg4-b-frames.avi": {"options": {"bf": "2"}},
    "mjpeg.avi": {"codec": "mjpeg"},
    "mpeg2.ts": {},
    "h264.ts": {"codec": "libx264"},
    "mpeg2.mpg": {},
    "raw.h264": {},
    "raw.mjpeg": {},
    "vp8.ogg": {"codec": "libvpx"},
    "wmv2.wmv": {},
    "h264.flv": {},
    "animation.gif": {},
    "uneven.mkv": {"times_s": UNEVEN},
    "uneven.mp4": {"times_s": UNEVEN},
    "ntsc.mp4": {"frame_rate": Fraction(30000, 1001), "duration_s": FRAMES * 1001 / 30000},
    "turned-right.mp4": {"rotation": -90},
    "turned-left.mov": {"rotation": 90},
    "upside-down.mp4": {"rotation": 180},
    "portrait.mp4": {"width": 90, "height": 160},
    "ten-bit.mp4": {"pixel_format": "yuv420p10le"},
    "transparent.webm": {"alpha": True},
    "odd-size.mkv": {"width": 161, "height": 121, "codec": "ffv1"},
    "interlaced.mp4": {"interlaced": True},
    "with-sound.mp4": {"audio_channels": 2},
    "surround.mkv": {"audio_channels": 6},
}
ANIMATIONS = ("animation.webp", "animation.png", "pillow.gif")
STILLS = ("still.png", "still.jpg", "still.webp", "still.bmp", "still.tiff")
KINDS = (*FILMS, *ANIMATIONS, *STILLS)
Clips = Callable[[str], Path]


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Clips:
    """Makes a clip by its name in `KINDS`: `FRAMES` numbered pictures, or one for a still picture."""
    folder = tmp_path_factory.mktemp("clips")

    def clip(name: str) -> Path:
        path = folder / name
        if path.exists():
            return path
        if name in ANIMATIONS:
            return animated_picture(path, FRAMES)
        if name in STILLS:
            return still_picture(path)
        return moving_clip(path, **{"duration_s": FRAMES / 25, **FILMS[name]})  # type: ignore[arg-type]

    return clip
