"""What the whole tool can do on faces and voices that no training saw, beside what needs no network.

Each portrait is animated saying one speech, which is the film, and is to say another whose phones are known. The mouth
of what comes out is measured by the landmarks of mediapipe on whole pictures. The methods:

    network     the film with the mouths that the network makes
    warp        the mouth model of `core.lip_sync.animator` saying the same: what the training data were made with
    shuffled    the network's film against another speech than the one it was made with
    untouched   the film as it was
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from fractions import Fraction
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from core.bulk import ALONE, Workers, results_of_all
from core.encoders.efficientnet_lite import EfficientNetLite
from core.encoders.image import load_efficientnet_lite
from core.errors import check_ranges
from core.lip_sync.animator import FaceAnimator, HeadPose
from core.lip_sync.articulation import Phone, articulation
from core.lip_sync.assessment import reading_of
from core.lip_sync.crops import crop, crop_matrix
from core.lip_sync.faces import Face, FaceFinder, Picture, face_of
from core.lip_sync.finish import paste
from core.lip_sync.generator import MouthNetwork
from core.lip_sync.inner_mouth import random_look
from core.lip_sync.making import MakeConfig, Speech, head_poses, passage
from core.lip_sync.material import Portrait
from core.lip_sync.metrics import psnr_db, ssim
from core.lip_sync.mouths import MouthMaker, Place, Reference, calmest, place
from core.lip_sync.sound import FRAME_RATE, frame_windows, mfcc, silent_column
from core.runtime import Progress, silent

CLOSING = ("p", "b", "m", "P", "B", "M")
CLOSED_SHARE, HIGH_PERCENTILE = 0.25, 90
_STAGES = (1, 2, 3, 4)
_EVERY = 5

Openings = NDArray[np.float64]


@dataclass(frozen=True)
class EvaluateConfig:
    """How much is measured.

    Raises:
        ParameterError: a value is out of its range.
    """

    frames: int = field(default=100, metadata={"help": "pictures of a film, 25 a second, 40 to 1000"})
    most: int = field(default=24, metadata={"help": "films, each of another face, 1 to 1000"})
    seed: int = field(default=0, metadata={"help": "seed of what is drawn at random"})

    def __post_init__(self) -> None:
        check_ranges(self, ("frames", 40, 1000), ("most", 1, 1000))


@dataclass(frozen=True)
class Saying:
    """How well a mouth says a speech; means over the films in which the measuring finds the face.

    Attributes:
        correlation: of the measured opening with that of the phones; higher is better, 1 at most.
        closed: share of /p b m/ during which the opening is below a quarter of the film's 90th percentile.
        quiet: variance of the opening when silence is to be said, as a share of that in speech; lower is better.
        within_one_frame: share of films whose offset is read within a frame, by the network's own features.
        confidence: of that reading.
    """

    correlation: float = np.nan
    closed: float = np.nan
    quiet: float = np.nan
    within_one_frame: float = np.nan
    confidence: float = np.nan


@dataclass(frozen=True)
class Reconstruction:
    """How near a film is to the one that says its own speech, in the crop; means over pictures and films.

    Attributes:
        ssim: of grey, higher is better.
        psnr_db: higher is better.
        perceptual: distance of feature maps, see `perceptual_distance`; lower is better.
    """

    ssim: float
    psnr_db: float
    perceptual: float


Measured = tuple[dict[str, Saying], dict[str, Reconstruction]]
"""The figures by method."""


def opening_correlation(measured: Openings, asked: Openings) -> float:
    """Pearson's correlation of two courses of the mouth's opening, (N,) each; 0 where one of them does not move."""
    if measured.std() < 1e-9 or asked.std() < 1e-9:
        return 0.0
    return float(np.corrcoef(measured, asked)[0, 1])


def closed_share(measured: Openings, phones: Sequence[Phone], frame_rate: Fraction = FRAME_RATE) -> float:
    """The share of /p b m/ in which some picture that is shown during the phone, or the nearest one, has shut lips.

    Shut: the opening is below a quarter of its 90th percentile in the film. NaN where none of these phones is spoken,
    or where nothing was measured.
    """
    if np.isnan(measured).any():
        return float("nan")
    limit = CLOSED_SHARE * float(np.percentile(measured, HIGH_PERCENTILE))
    shut = []
    for phone in phones:
        if phone.symbol.strip("ˈˌːʲʰ") not in CLOSING:
            continue
        middles = (np.arange(len(measured)) + 0.5) / float(frame_rate)
        during = np.flatnonzero((middles >= phone.start_s) & (middles <= phone.stop_s))
        if not len(during):
            during = np.array([np.abs(middles - (phone.start_s + phone.stop_s) / 2).argmin()])
        if phone.stop_s <= len(measured) / float(frame_rate):
            shut.append(bool((measured[during] < limit).any()))
    return float(np.mean(shut)) if shut else float("nan")


class Perceptual:
    """The distance of pictures as EfficientNet-Lite0 sees them: 0 for the same, about 1 for unlike ones.

    Source: Zhang et al., "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric", 2018: feature maps
    brought to unit length at every place, squared differences, means over places, summed over layers. Deviation: all
    channels count alike, since the paper's weights belong to other networks; so figures are not those of LPIPS.
    """

    def __init__(self) -> None:
        self._network: EfficientNetLite = load_efficientnet_lite("lite0")

    @torch.inference_mode()
    def distance(self, first: Picture, second: Picture) -> float:
        """The mean distance of pictures (N, H, W, 3) from those of another film."""
        tensors = [(torch.from_numpy(p).permute(0, 3, 1, 2).float() - 127) / 128 for p in (first, second)]
        total = 0.0
        for stage in _STAGES:
            one, two = (torch.nn.functional.normalize(self._network.until(t, stage).float(), dim=1) for t in tensors)
            total += float(((one - two) ** 2).sum(dim=1).mean())
        return total / len(_STAGES)


@dataclass(frozen=True)
class _Film:
    """A film in the making: whole pictures, and the truth about the face in each."""

    pictures: list[Picture]
    faces: list[Face]

    def crops(self, like: "_Film") -> Picture:
        """The crops (N, 128, 128, 3), at the places of another film's faces."""
        places = (crop_matrix(face) for face in like.faces)
        return np.stack([crop(picture, matrix) for picture, matrix in zip(self.pictures, places, strict=True)])


@dataclass(frozen=True)
class Wanted:
    """A portrait, and the speech of its film, the one that is asked for, and one that nobody asked for."""

    portrait: Portrait
    said: tuple[Speech, ...]
    number: int

    def __str__(self) -> str:
        return self.portrait.name


@dataclass(frozen=True)
class MeasureJob:
    """What a worker does: it takes a portrait with its speeches, makes the films, and gives the figures of each.

    Attributes:
        load: gives the network; it can be pickled where workers are to share the films.
        config: how much is measured.
    """

    load: Callable[[], MouthNetwork]
    config: EvaluateConfig

    def __call__(self) -> Callable[[Wanted], Measured]:
        """Load the network, and what looks at pictures."""
        network, perceptual = self.load(), Perceptual()

        def measured(wanted: Wanted) -> Measured:
            trial = _Trial(network, wanted.portrait, wanted.said, self.config, wanted.number)
            with FaceFinder(1) as finder:
                return _measured(trial, finder, perceptual)

        return measured


def evaluate(
    load: Callable[[], MouthNetwork],
    unseen: tuple[Sequence[Portrait], Sequence[Speech]],
    config: EvaluateConfig,
    progress: Progress = silent,
    how: Workers = ALONE,
) -> Measured:
    """Measure the methods on portraits and speeches that are all unseen.

    Args:
        load: gives the network; called once in this process, or once in every worker.
        unseen: the portraits and the speeches.
        config: how much is measured.
        progress: told of every portrait.
        how: how many workers; the figures are the same however many there are.

    Returns:
        By method, how well it says what was asked for, and how well the film's own speech brings its mouth back.

    Raises:
        ParameterError: a portrait cannot be measured.
    """
    wanted = [_wanted(portrait, unseen[1], config, n) for n, portrait in enumerate(unseen[0][: config.most])]
    rows = results_of_all(MeasureJob(load, config), wanted, progress, how)
    return (
        {name: _mean([row[0][name] for row in rows]) for name in rows[0][0]},
        {name: _mean([row[1][name] for row in rows]) for name in rows[0][1]},
    )


def _wanted(portrait: Portrait, speeches: Sequence[Speech], config: EvaluateConfig, number: int) -> Wanted:
    """Three passages by lot, of voices by lot."""
    by_voice: dict[str, list[Speech]] = {}
    for speech in speeches:
        by_voice.setdefault(speech.voice, []).append(speech)
    random = np.random.default_rng([config.seed, number])
    voices = [str(random.choice(sorted(by_voice))) for _ in range(3)]
    seconds = config.frames / float(FRAME_RATE) + 1
    return Wanted(portrait, tuple(passage(by_voice[voice], seconds, random) for voice in voices), number)


@dataclass(frozen=True)
class _Trial:
    """What is wanted of a network."""

    network: MouthNetwork
    portrait: Portrait
    said: Sequence[Speech]
    config: EvaluateConfig
    number: int

    def animated(self, speech: Speech, poses: Sequence[HeadPose]) -> _Film:
        """The portrait saying a speech by the mouth model."""
        animator = FaceAnimator(self.portrait.picture, self.portrait.mesh, random_look(self.number))
        course = articulation(speech.phones, len(poses), FRAME_RATE)
        frames = [animator.frame(mouth, pose) for mouth, pose in zip(course, poses, strict=True)]
        return _Film([frame.picture for frame in frames], [face_of(frame.mesh) for frame in frames])

    def spoken(self, film: _Film, windows: NDArray[np.float32]) -> _Film:
        """The film with the mouths that the network makes."""
        calm = calmest([face.openness for face in film.faces])
        maker = MouthMaker(self.network, Reference.of(film.pictures[calm], film.faces[calm]))
        made: dict[int, Picture] = {}
        for frame, (picture, face, window) in enumerate(zip(film.pictures, film.faces, windows, strict=True)):
            blurred, rest = place(picture, face, crop_matrix(face))
            made |= dict(maker.add(Place(frame, (frame + Fraction(1, 2)) / FRAME_RATE, blurred, rest, window)))
        made |= dict(maker.finish())
        pasted = [
            paste(picture, made[frame], crop_matrix(face), face)
            for frame, (picture, face) in enumerate(zip(film.pictures, film.faces, strict=True))
        ]
        return _Film(pasted, film.faces)


def _measured(trial: _Trial, finder: FaceFinder, perceptual: Perceptual) -> Measured:
    count = trial.config.frames
    poses = head_poses(MakeConfig(frames=count), np.random.default_rng([trial.config.seed, trial.number, 1]))
    heard = [frame_windows(mfcc(speech.wave), count) for speech in trial.said]
    nothing = np.tile(silent_column()[None, :, None], (count, 1, heard[0].shape[2])).astype(np.float32)
    film, warp = trial.animated(trial.said[0], poses), trial.animated(trial.said[1], poses)
    made, quiet = trial.spoken(film, heard[1]), trial.spoken(film, nothing)
    asked, other = (articulation(trial.said[n].phones, count, FRAME_RATE)[:, 0].astype(np.float64) for n in (1, 2))

    def saying(shown: _Film, wanted: Openings, speech: int, calm: _Film | None = None) -> Saying:
        openings = _openings(finder, shown)
        reading = reading_of(trial.network.features, shown.crops(film), heard[speech])
        rest = float(_openings(finder, calm).var() / max(openings.var(), 1e-9)) if calm else float("nan")
        closed = closed_share(openings, trial.said[speech].phones)
        right = float(abs(reading.av_offset_frames) <= 1)
        return Saying(opening_correlation(openings, wanted), closed, rest, right, reading.confidence)

    sayings = {
        "network": saying(made, asked, 1, quiet),
        "warp": saying(warp, asked, 1),
        "shuffled": saying(made, other, 2),
        "untouched": saying(film, asked, 1),
    }
    truth, again = film.crops(film)[::_EVERY], trial.spoken(film, heard[0]).crops(film)[::_EVERY]
    still = FaceAnimator(trial.portrait.picture, trial.portrait.mesh, random_look(trial.number))
    first = [still.frame(np.zeros(4, np.float32), pose) for pose in poses]
    shut = _Film([frame.picture for frame in first], [face_of(frame.mesh) for frame in first])
    copies = {
        "network": again,
        "shut mouth": shut.crops(film)[::_EVERY],
        "frozen copy": np.repeat(truth[:1], len(truth), axis=0),
    }
    return sayings, {name: _reconstruction(copy, truth, perceptual) for name, copy in copies.items()}


def _openings(finder: FaceFinder, film: _Film) -> Openings:
    """The measured openings; where no face is found, the one before; NaN if there is none in the whole film."""
    found: list[float] = []
    for picture in film.pictures:
        faces = finder.faces(picture)
        found.append(faces[0].openness if faces else found[-1] if found else float("nan"))
    openings = np.array(found)
    seen = np.flatnonzero(np.isfinite(openings))
    if len(seen):
        openings[: seen[0]] = openings[seen[0]]
    return openings


def _reconstruction(made: Picture, truth: Picture, perceptual: Perceptual) -> Reconstruction:
    pairs = list(zip(made, truth, strict=True))
    return Reconstruction(
        float(np.mean([ssim(*pair) for pair in pairs])),
        float(np.mean([min(60.0, psnr_db(*pair)) for pair in pairs])),
        perceptual.distance(made, truth),
    )


Row = TypeVar("Row", Saying, Reconstruction)


def _mean(rows: Sequence[Row]) -> Row:
    kind = type(rows[0])
    columns = (np.array([getattr(row, part.name) for row in rows]) for part in fields(kind))
    return kind(*(float(np.nanmean(values)) if np.isfinite(values).any() else float("nan") for values in columns))


def as_table(rows: Mapping[str, Saying | Reconstruction]) -> str:
    """Figures in Markdown, a method a line."""
    first = next(iter(rows.values()))
    names = list(asdict(first))
    lines = [f"| method | {' | '.join(name.replace('_', ' ') for name in names)} |", "| --- " * (len(names) + 1) + "|"]
    for method, row in rows.items():
        cells = ["" if np.isnan(value) else f"{value:.3f}" for value in asdict(row).values()]
        lines.append(f"| {method} | {' | '.join(cells)} |")
    return "\n".join(lines)
