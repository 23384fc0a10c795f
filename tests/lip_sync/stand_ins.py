"""A painted head that speaks by numbers: films of it, a finder that knows where it is, and a network that is plain.

Everything about them is known: each picture carries its number as a bar code, the finder reads the number and says
where the mouths are, and the network makes a spot on the mouth that is as bright as the speech is loud.
"""

from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

import av
import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from core.lip_sync import LipSync, SyncConfig, model, new_film
from core.lip_sync.crops import crop_matrix, points_in_crop, rest_landmarks
from core.lip_sync.faces import Face, FaceFinder, drawn_face
from core.lip_sync.generator import Generator, Given, Made, MouthNetwork
from core.lip_sync.model import FeatureExtraction
from core.lip_sync.opening import Opening
from core.media import AudioClip, Shown, Timeline, VideoReader, read_audio, write_audio, write_video
from core.media.rewrite import Rewriting, rewrite_video
from tests.factories import number_of, numbered_picture

Picture = NDArray[np.uint8]
Box = tuple[float, float, float, float]
Seen = list[tuple[Picture, Picture]]

OPEN = SyncConfig(silence_gate=False)
COUNT = 30
"""Pictures of the films, of which most run at 25 a second."""
WIDTH, HEIGHT = 192, 160
MOUTH: Box = (76, 96, 116, 112)
_SPOT_PX, _RING_PX = 10, 16
_WEIGHTS = torch.tensor([0.1, 0.15, 0.2, 0.25, 0.3])
_LOUDEST_DB, _SILENT_DB = -25, -100


def head(
    number: int,
    mouths: Sequence[Box] = (MOUTH,),
    size: tuple[int, int] = (WIDTH, HEIGHT),
    shade: int = 0,
    wall: tuple[int, int, int] = (70, 90, 110),
) -> Picture:
    """A picture with its number as a bar code, and a painted head around each mouth: uint8 (height, width, 3)."""
    width, height = size
    picture = np.full((height, width, 3), wall, np.uint8)
    for box in mouths:
        face = drawn_face(box)
        skin = (170 + shade, 130 + shade, 110 + shade)
        cv2.fillPoly(picture, [face.landmarks[5:41].round().astype(np.int32)], skin)
        cv2.fillPoly(picture, [face.landmarks[41:61].round().astype(np.int32)], (150, 50 + shade, 60))
        x, y = (int(v) for v in face.landmarks[4])
        cv2.ellipse(picture, (x, y + 4), (9, 4), 0, 0, 360, (110, 80, 70), -1)
    picture[: height // 4] = numbered_picture(number, width, height)[: height // 4]
    return picture


HAND = range(10, 18)


def covering(number: int) -> Picture:
    """The head in changing light; a hand is before its mouth in eight pictures, and flits past in one."""
    picture = head(number, shade=4 * (number % 12))
    if number in HAND or number == 24:
        cv2.ellipse(picture, (96, 106), (34, 24), 12, 0, 360, (182, 142, 120), -1)
        for finger in range(4):
            cv2.line(picture, (70 + 14 * finger, 88), (74 + 14 * finger, 124), (120, 80, 70), 2)
    return picture


def head_film(path: Path, pictures: Iterable[Picture], frame_rate: Fraction | int = 25, sound_s: float = 0) -> Path:
    """Write pictures as a film, with silent 44.1 kHz stereo where ``sound_s`` is above 0."""
    silence = AudioClip(np.zeros((round(sound_s * 44100), 2), np.float32), 44100) if sound_s else None
    write_video(path, pictures, Fraction(frame_rate), silence)
    return path


def uneven_film(path: Path, times_s: Sequence[Fraction], end_s: Fraction) -> Path:
    """Write a film of heads with pictures at some times."""
    even = head_film(path.with_name("even.mp4"), (head(n) for n in range(len(times_s))))
    plan = Timeline(tuple(Shown(n, time_s) for n, time_s in enumerate(times_s)), end_s)
    rewrite_video(even, path, lambda _, pixels: pixels, Rewriting(plan))
    return path


def turned_film(film: Path, out: Path, degrees: int) -> Path:
    """The packets of a film, and the wish that a player turn it counterclockwise."""
    with av.open(str(film)) as source, av.open(str(out), "w") as target:
        stream = source.streams.video[0]
        copy = target.add_stream_from_template(stream)
        copy.set_display_rotation(degrees)
        for packet in source.demux(stream):
            if packet.dts is not None:
                packet.stream = copy
                target.mux(packet)
    return out


def bursts(duration_s: float, seed: int = 0, sample_rate: int = 16000) -> NDArray[np.float32]:
    """Noise that comes and goes, each time for 120 to 280 ms: float32 (N,)."""
    random = np.random.default_rng(seed)
    wave = 0.15 * random.normal(size=round(duration_s * sample_rate))
    at, on = 0, False
    while at < len(wave):
        length = round(random.uniform(0.12, 0.28) * sample_rate)
        wave[at : at + length] *= on
        at, on = at + length, not on
    return np.clip(wave, -1, 1).astype(np.float32)


def burst_file(path: Path, duration_s: float, seed: int = 0) -> Path:
    """`bursts` as a WAV file."""
    write_audio(path, AudioClip(bursts(duration_s, seed)[:, None], 16000))
    return path


class PlainFinder:
    """Says by the number of each picture where the mouths are; counts how often it was opened, and what it looked at.

    Args:
        mouths: from a number to boxes.
    """

    def __init__(self, mouths: Callable[[int], Sequence[Box]] = lambda _: (MOUTH,)) -> None:
        self._mouths = mouths
        self.opened = self.looked = 0

    def __call__(self) -> FaceFinder:
        self.opened += 1
        return cast(FaceFinder, self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        pass

    def faces(self, picture: Picture, scale: float = 1.0) -> list[Face]:
        self.looked += 1
        return [drawn_face(tuple(scale * side for side in box)) for box in self._mouths(number_of(picture))]


def level_of(windows: Tensor) -> Tensor:
    """How loud the 40 ms in the middle of windows (B, 20, 20) are, 0 to 1: (B,)."""
    decibels = windows[:, 0, 8:12].mean(dim=1) / 40**0.5
    return ((decibels - _SILENT_DB) / (_LOUDEST_DB - _SILENT_DB)).clamp(0, 1)


def _direction(level: Tensor) -> Tensor:
    angle = level * torch.pi / 2
    return torch.stack([angle.cos(), angle.sin()], dim=1)


class _Hearing(nn.Module):
    def forward(self, windows: Tensor) -> Tensor:
        return _direction(level_of(windows))


class PlainFeatures(FeatureExtraction):
    """Sees how bright the spot is, hears how loud it is, and remembers the groups that it saw."""

    def __init__(self) -> None:
        nn.Module.__init__(self)
        self.scale = nn.Parameter(torch.tensor(1.0))
        self.hearing = _Hearing()  # type: ignore[assignment]
        self.groups: list[Tensor] = []

    def see(self, groups: Tensor) -> model.Seen:
        self.groups.append(groups)
        x, y = (round(float(v)) for v in spot_in_crop())
        level = groups[:, 2, :, y - 3 : y + 4, x - 3 : x + 4].mean(dim=(1, 2, 3))
        return model.Seen(_direction(level), ((groups * _WEIGHTS[:, None, None, None]).sum(dim=1),))


class PlainOpening(Opening):
    """Opens no mouth."""

    def __init__(self) -> None:
        nn.Module.__init__(self)

    def forward(self, heard: Tensor) -> Tensor:
        return heard.new_zeros(len(heard))


class PlainGenerator(Generator):
    """The blurred picture with a spot on the mouth, as bright as what is heard is loud, and a ring of all the group."""

    def __init__(self) -> None:
        nn.Module.__init__(self)

    def forward(self, given: Given, seen: model.Seen, heard: Tensor) -> Made:
        level = torch.atan2(heard[:, 1], heard[:, 0]) / (torch.pi / 2)
        middle = given.landmarks[:, :24].mean(dim=1)
        where = torch.arange(given.blurred.shape[-1], dtype=torch.float32)
        across, down = ((where - middle[:, axis, None]) ** 2 for axis in (0, 1))
        away = (across[:, None, :] + down[:, :, None]) ** 0.5
        spot, ring = ((radius + 1 - away).clamp(0, 1)[:, None] for radius in (_SPOT_PX, _RING_PX))
        around = given.blurred * (1 - ring) + ring * seen.maps[0]
        return Made(around * (1 - spot) + spot * level[:, None, None, None], spot)


class PlainNetwork(MouthNetwork):
    """Both of them."""

    def __init__(self) -> None:
        super().__init__(PlainFeatures(), PlainOpening(), PlainGenerator())
        self.eval()

    @property
    def groups(self) -> list[Tensor]:
        """All groups that were seen, one by one."""
        return [group for groups in cast(PlainFeatures, self.features).groups for group in groups]


def spot_in_crop(mouth: Box = MOUTH) -> NDArray[np.float32]:
    """Where the spot is in the crop of a mouth."""
    face = drawn_face(mouth)
    return np.asarray(points_in_crop(rest_landmarks(face), crop_matrix(face))[:24].mean(axis=0))


def pictures_of_film(path: Path) -> tuple[list[Fraction], list[Picture]]:
    """When the pictures of a film appear, and what they show."""
    with VideoReader(path) as reader:
        frames = list(reader.frames())
    return [frame.time_s for frame in frames], [frame.pixels for frame in frames]


def spots(pictures: Iterable[Picture], mouth: Box = MOUTH) -> NDArray[np.float64]:
    """How bright the spot on a mouth is in each picture, 0 to 1."""
    x, y = round((mouth[0] + mouth[2]) / 2), round((mouth[1] + mouth[3]) / 2)
    return np.array([picture[y - 1 : y + 2, x - 1 : x + 2].mean() / 255 for picture in pictures])


def loudness_at(path: Path, times_s: Sequence[Fraction], late_s: float = 0.0) -> NDArray[np.float64]:
    """How loud the sound of a file is in the 40 ms around some times, 0 to 1."""
    wave = read_audio(path, sample_rate=16000, mono=True).samples[:, 0]
    wave = np.pad(wave, (16000, 16000))
    begins = [16000 + round((float(time_s) + late_s - 0.02) * 16000) for time_s in times_s]
    power = np.array([(wave[begin : begin + 640] ** 2).mean() for begin in begins])
    return np.clip((10 * np.log10(power + 1e-10) + 70) / 50, 0, 1)


def plain(config: SyncConfig = OPEN, **others: Any) -> LipSync:
    """The tool with its plain network and a finder to which every picture shows the head."""
    return LipSync(config, **{"network": PlainNetwork(), "finder": PlainFinder(), **others})


def watched(monkeypatch: pytest.MonkeyPatch) -> Seen:
    """A list into which each picture goes as it was and as it became, before it is encoded."""
    pairs: Seen = []

    def spied(source: Path, out: Path, change: Callable[[int, Picture], Picture], *others: Any) -> int:
        def spy(frame: int, pixels: Picture) -> Picture:
            pairs.append((pixels, change(frame, pixels)))
            return pairs[-1][1]

        return rewrite_video(source, out, spy, *others)

    monkeypatch.setattr(new_film, "rewrite_video", spied)
    return pairs
