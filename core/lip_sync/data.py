"""Training clips: a face that moves and says one thing, and the same face in the same places saying another.

A clip is one file of safetensors, read in pieces as they are needed. Made clips show one speech and ask for another; a
filmed one can only show and ask for the same, and its blurred pictures tell a little of the mouth that is asked for.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import save_file
from torch import Tensor

from core.errors import ParameterError, check_ranges
from core.lip_sync.generator import Given
from core.lip_sync.model import AROUND, GROUP, as_tensor
from core.media.whole_file import written_whole

SUFFIX = ".clip.safetensors"
SHIFTS = 12
"""By so many moments sound is shifted against sight in training, at most."""
HELD_OUT_EVERY = 6
"""One in so many faces, and one in so many voices, is held out."""
WHOLE = slice(None)
_LEFT, _LOWER_LIP, _RIGHT, _UPPER_LIP = 12, 15, 18, 21  # of the inner edge, among the 25


@dataclass(frozen=True)
class Clip:
    """Crops of N pictures, 25 a second, and the windows of both speeches.

    Attributes:
        shown: uint8 (N, S, S, 3).
        blurred: uint8 (N, S, S, 3), ``shown`` with the mouth blurred.
        target: uint8 (N, S, S, 3), the same face in the same place saying the other speech.
        rest: float32 (N, 25, 2), the landmarks of the mouth at rest, in pixels of the crop.
        landmarks: float32 (N, 25, 2), as they are in ``shown``.
        shown_windows: float16 (N, 20, 20), of the cepstrum of what is said in ``shown``.
        target_windows: float16 (N, 20, 20), of what is said in ``target``.
        opening: float32 (N,), how far the mouth of ``target`` is open, in widths of the mouth; NaN where not known.
    """

    shown: NDArray[np.uint8]
    blurred: NDArray[np.uint8]
    target: NDArray[np.uint8]
    rest: NDArray[np.float32]
    landmarks: NDArray[np.float32]
    shown_windows: NDArray[np.float16]
    target_windows: NDArray[np.float16]
    opening: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.shown)

    def write(self, file: Path, people: "People") -> None:
        """Write the clip, and who is in it."""
        arrays = {part.name: np.ascontiguousarray(getattr(self, part.name)) for part in fields(self)}
        with written_whole(file) as part:
            save_file(arrays, part, people.as_metadata())


@dataclass(frozen=True)
class People:
    """Who is in a clip.

    Attributes:
        source: whose face it is.
        voices: who speaks in what is shown and in what is asked for.
        held_out: no training may see the clip; then none sees any other of that face or those voices either.
    """

    source: str
    voices: tuple[str, ...]
    held_out: bool

    def as_metadata(self) -> dict[str, str]:
        """As a clip's file says it."""
        return {"source": self.source, "voices": "|".join(self.voices), "held_out": str(int(self.held_out))}


class ClipFile:
    """A clip on disk; any run of its pictures is read when it is asked for.

    Raises:
        ParameterError: the file is not one of `Clip.write`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with safe_open(path, "np") as file:
                said = file.metadata() or {}
                self.length = int(file.get_slice("shown").get_shape()[0])
            self.people = People(said["source"], tuple(said["voices"].split("|")), said.get("held_out") == "1")
        except Exception as error:
            raise ParameterError(f"{path} is not a training clip ({error}); make it again.") from error

    def __len__(self) -> int:
        return self.length

    def read(self, start: int = 0, stop: int | None = None) -> Clip:
        """The pictures from ``start`` to before ``stop``."""
        return Clip(**{part.name: self.part(part.name, start, stop) for part in fields(Clip)})

    def part(self, name: str, start: int = 0, stop: int | None = None) -> NDArray[Any]:
        """The same, of one of the arrays of `Clip`."""
        with safe_open(self.path, "np") as file:
            return np.asarray(file.get_slice(name)[start : stop or self.length])


@dataclass(frozen=True)
class Split:
    """Clips to train on, and clips of other faces and other voices.

    Raises:
        ParameterError: one of both is empty.
    """

    train: tuple[ClipFile, ...]
    held_out: tuple[ClipFile, ...]

    def __post_init__(self) -> None:
        if not self.train or not self.held_out:
            raise ParameterError(
                f"There are {len(self.train)} clips to train on and {len(self.held_out)} of other faces and voices; "
                "give films of at least six people."
            )

    @classmethod
    def of_folder(cls, folder: Path) -> Self:
        """The clips of a folder, as their files say which are held out."""
        clips = [ClipFile(file) for file in sorted(folder.glob(f"*{SUFFIX}"))]
        return cls(*(tuple(clip for clip in clips if clip.people.held_out == side) for side in (False, True)))


def held_out(names: set[str], every: int = HELD_OUT_EVERY) -> set[str]:
    """One in ``every`` of sorted names, the last of each run.

    >>> sorted(held_out(set("abcdef"), 3))
    ['c', 'f']
    """
    return set(sorted(names)[every - 1 :: every])


@dataclass(frozen=True)
class Look:
    """How pictures are changed at random, all of a clip alike, so that the network learns no one camera's light.

    Raises:
        ParameterError: a value is out of its range.
    """

    light: float = field(default=0.25, metadata={"help": "how far brightness and contrast go, 0 to 0.9"})
    tint: float = field(default=0.08, metadata={"help": "how far each colour goes, 0 to 0.5"})
    loudness_db: float = field(default=8.0, metadata={"help": "how far loudness goes, 0 to 40"})
    landmarks_px: float = field(default=1.0, metadata={"help": "how far landmarks are off, 0 to 10"})
    mirrored: float = field(default=0.5, metadata={"help": "share of clips that are mirrored, 0 to 1"})

    def __post_init__(self) -> None:
        pictures = ("light", 0, 0.9), ("tint", 0, 0.5), ("mirrored", 0, 1)
        check_ranges(self, *pictures, ("loudness_db", 0, 40), ("landmarks_px", 0, 10))


@dataclass(frozen=True)
class Moments:
    """Runs of T moments of K clips for the first stage, B = K · T.

    Attributes:
        groups: (B, 5, 3, S, S), in [0, 1].
        windows: (K, T + 24, 20, 20), from twelve moments before the run to twelve behind it.
        opening: (B,), how far the mouth is open, in widths of the mouth.
    """

    groups: Tensor
    windows: Tensor
    opening: Tensor

    def to(self, device: torch.device) -> "Moments":
        """The same on a device."""
        return Moments(*(getattr(self, part.name).to(device) for part in fields(self)))


@dataclass(frozen=True)
class Runs:
    """Runs of R pictures of K clips for the second stage, B = K · R, one clip after the other.

    Attributes:
        groups: (B, 5, 3, S, S), blurred.
        windows: (B, 20, 20), of the speech that is asked for.
        given: what the generator is given beside these.
        truth: (B, 3, S, S), what is asked for.
        opening: (B,), how far the mouth of ``truth`` is open, in its widths.
    """

    groups: Tensor
    windows: Tensor
    given: Given
    truth: Tensor
    opening: Tensor

    def to(self, device: torch.device) -> "Runs":
        """The same on a device."""
        given = Given(*(getattr(self.given, part.name).to(device) for part in fields(Given)))
        groups, windows, truth, opening = (x.to(device) for x in (self.groups, self.windows, self.truth, self.opening))
        return Runs(groups, windows, given, truth, opening)


Drawn = Sequence[tuple[ClipFile, np.random.Generator]]
"""The clips of a batch, each with random numbers of its own."""


def moments(clips: Drawn, each: int, look: Look | None = None) -> Moments:
    """A run of ``each`` moments of every clip: of what it shows, clear or blurred, or of its target."""
    groups, windows, opening = [], [], []
    for clip, random in clips:
        kind = str(random.choice(("shown", "blurred", "target")))
        opens = clip.part("opening") if kind == "target" else openings(clip.part("landmarks"))
        pictures, heard = clip.part(kind), clip.part("target_windows" if kind == "target" else "shown_windows")
        start = int(random.integers(SHIFTS, len(clip) - each - SHIFTS + 1))
        middles = np.arange(start, start + each)
        drawn = as_tensor(pictures[middles[:, None] + np.arange(-AROUND, AROUND + 1)])
        drawn = changed(drawn, random, look)
        groups.append(drawn.flip(-1) if _mirrored(random, look) else drawn)
        around = heard[start - SHIFTS : start + each + SHIFTS].astype(np.float32)
        windows.append(louder(torch.from_numpy(around), random, look))
        opening.append(torch.from_numpy(opens[middles]))
    return Moments(torch.cat(groups), torch.stack(windows), torch.cat(opening))


def openings(landmarks: NDArray[np.float32]) -> NDArray[np.float32]:
    """How far mouths (N, 25, 2) are open, in their widths: as `core.lip_sync.faces.Face.openness`."""
    upper, lower, left, right = (landmarks[:, n] for n in (_UPPER_LIP, _LOWER_LIP, _LEFT, _RIGHT))
    width = np.linalg.norm(right - left, axis=1)
    return np.asarray(np.linalg.norm(lower - upper, axis=1) / np.maximum(width, 1e-6), np.float32)


def spoken(clip: ClipFile) -> tuple[Tensor, Tensor]:
    """All that is heard in a clip, windows (B, 20, 20) of both speeches, and how far the mouth is open, (B,)."""
    windows = np.concatenate([clip.part("shown_windows"), clip.part("target_windows")]).astype(np.float32)
    opens = np.concatenate([openings(clip.part("landmarks")), clip.part("opening")])
    return torch.from_numpy(windows), torch.from_numpy(opens)


def runs(clips: Drawn, length: int, look: Look | None = None) -> Runs:
    """A run of ``length`` pictures of every clip, and a picture of the same clip for reference."""
    parts = [_run(clip, length, random, look) for clip, random in clips]
    joined: Any = [torch.cat([part[n] for part in parts]) for n in range(8)]
    groups, windows, truth, blurred, reference, opening, rest, landmarks = joined
    return Runs(groups, windows, Given(blurred, reference, rest, landmarks), truth, opening)


def _run(clip: ClipFile, length: int, random: np.random.Generator, look: Look | None) -> tuple[Tensor, ...]:
    start = int(random.integers(AROUND, len(clip) - AROUND - length + 1))
    read, here = clip.read(start - AROUND, start + length + AROUND), slice(AROUND, AROUND + length)
    chosen = int(random.integers(len(clip)))
    beside = clip.read(chosen, chosen + 1)
    stacked = np.concatenate([read.blurred, read.target[here], beside.shown])
    drawn = changed(as_tensor(stacked), random, look)
    blurred, truth, reference = drawn[: len(read)], drawn[len(read) : -1], drawn[-1:].expand(length, -1, -1, -1)
    groups = torch.stack([blurred[n : n + GROUP] for n in range(length)])
    windows = louder(torch.from_numpy(read.target_windows[here].astype(np.float32)), random, look)
    off = (look.landmarks_px if look else 0.0) * random.normal(size=(2, 1, 1, 2)).astype(np.float32)
    rest, landmarks = read.rest[here] + off[0], np.repeat(beside.landmarks + off[1], length, axis=0)
    points = [torch.from_numpy(places) for places in (rest, landmarks)]
    pictures = [groups, truth, blurred[here], reference]
    if _mirrored(random, look):
        pictures = [picture.flip(-1) for picture in pictures]
        points = [torch.stack([truth.shape[-1] - 1 - places[..., 0], places[..., 1]], dim=-1) for places in points]
    groups, truth, seen, reference = pictures
    return groups, windows, truth, seen, reference, torch.from_numpy(read.opening[here]), *points


def _mirrored(random: np.random.Generator, look: Look | None) -> bool:
    return look is not None and bool(random.random() < look.mirrored)


def changed(pictures: Tensor, random: np.random.Generator, look: Look | None) -> Tensor:
    """Pictures (N, 3, S, S) in another light, all alike."""
    if look is None:
        return pictures
    gain, lift = 1 + look.light * random.uniform(-1, 1), 0.5 * look.light * random.uniform(-1, 1)
    tint = torch.from_numpy(1 + look.tint * random.uniform(-1, 1, 3).astype(np.float32))[:, None, None]
    return ((pictures - 0.5) * gain * tint + 0.5 + lift).clamp(0, 1)


def louder(windows: Tensor, random: np.random.Generator, look: Look | None) -> Tensor:
    """Windows (N, 20, 20) of the same speech, louder or softer; the first coefficient is decibels times √40."""
    if look is None:
        return windows
    shift = look.loudness_db * float(random.uniform(-1, 1)) * 40**0.5
    return torch.cat([windows[:, :1] + shift, windows[:, 1:]], dim=1)


def drawn(clips: Sequence[ClipFile], random: np.random.Generator, mine: slice = WHOLE) -> Drawn:
    """A share of a batch's clips, each with the random numbers that it also has where nobody shares the batch."""
    return list(zip(clips, random.spawn(len(clips)), strict=True))[mine]


def batches(clips: Sequence[ClipFile], size: int, seed: int) -> Callable[[int], list[ClipFile]]:
    """The clips of each step's batch, by its number; every clip comes once before any comes again."""
    size = min(size, len(clips))
    in_a_pass = len(clips) // size

    def of_step(step: int) -> list[ClipFile]:
        order = np.random.default_rng([seed, step // in_a_pass]).permutation(len(clips))
        begin = step % in_a_pass * size
        return [clips[n] for n in order[begin : begin + size]]

    return of_step
