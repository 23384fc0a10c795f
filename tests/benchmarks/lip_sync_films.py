"""Lip-sync on films of people who talk: what the sync network reads, and how well their speech brings the mouth back.

``python -m tests.benchmarks.lip_sync_films FILM... [--model FILE] [--out FOLDER]``

Prints a Markdown table, a film a row: its length; the offset that is read of the film itself, in frames at 25 a second,
and how sure that is; the same of the film that the tool makes with the film's own sound; how the mouth's opening in
what was made goes with that of the film, by mediapipe (Pearson); and SSIM, PSNR and perceptual distance of the crops
against the film, beside a copy of the crop that serves as reference. With ``--out`` the made films are kept.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np

from core.lip_sync import LipSync, SyncRequest
from core.lip_sync.assessment import made_clip, reading_of
from core.lip_sync.data import Clip
from core.lip_sync.evaluation import Perceptual, opening_correlation
from core.lip_sync.faces import FaceFinder
from core.lip_sync.filming import filmed
from core.lip_sync.generator import MouthNetwork
from core.lip_sync.making import MakeConfig
from core.lip_sync.metrics import SyncReading, psnr_db, ssim
from core.lip_sync.network import load_network
from core.media import VideoReader
from tests.benchmarks.video_search import table

HEAD = ["film", "s", "offset", "confidence", "made: offset", "confidence", "opening", "SSIM", "PSNR", "perceptual"]
EVERY = 5


def openings(film: Path) -> np.ndarray:
    """The opening of the largest face in every picture; where there is none, NaN."""
    found = []
    with FaceFinder() as finder, VideoReader(film) as reader:
        for frame in reader.frames():
            faces = finder.faces(frame.pixels)
            found.append(max(faces, key=lambda face: face.width_px).openness if faces else np.nan)
    return np.array(found)


def followed(film: Path, made: Path) -> float:
    """How the opening in a made film goes with that in the film."""
    before, after = openings(film), openings(made)
    count = min(len(before), len(after))
    seen = np.isfinite(before[:count]) & np.isfinite(after[:count])
    return opening_correlation(after[:count][seen], before[:count][seen])


def likeness(made: np.ndarray, truth: np.ndarray, perceptual: Perceptual) -> tuple[float, float, float]:
    """Means over pictures of SSIM, PSNR and perceptual distance."""
    pairs = list(zip(made[::EVERY], truth[::EVERY], strict=True))
    return (
        float(np.mean([ssim(*pair) for pair in pairs])),
        float(np.mean([min(60.0, psnr_db(*pair)) for pair in pairs])),
        perceptual.distance(made[::EVERY], truth[::EVERY]),
    )


def copied(clip: Clip) -> np.ndarray:
    """The first picture of a clip, again and again."""
    return np.repeat(clip.shown[:1], len(clip), axis=0)


def row(film: Path, network: MouthNetwork, perceptual: Perceptual, out: Path) -> list[str]:
    """Measure one film."""
    clips = list(filmed(film, MakeConfig(frames=60)))
    read: list[SyncReading] = [reading_of(network.features, clip.shown, clip.shown_windows) for clip in clips]
    made = LipSync(network=network).sync(SyncRequest(film, film), out)
    ours = np.mean([likeness(made_clip(network, clip), clip.target, perceptual) for clip in clips], axis=0)
    copy = np.mean([likeness(copied(clip), clip.target, perceptual) for clip in clips], axis=0)
    offset = "not told" if made.av_offset_frames is None else f"{made.av_offset_frames:+d}"
    return [
        film.stem, f"{made.duration_s:.1f}",
        " ".join(f"{reading.av_offset_frames:+d}" for reading in read),
        f"{np.mean([reading.confidence for reading in read]):.2f}",
        offset, f"{made.sync_confidence:.2f}", f"{followed(film, out):.2f}",
        *(f"{one:.3f} ({two:.3f})" for one, two in zip(ours, copy, strict=True)),
    ]  # fmt: skip


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("films", nargs="+", type=Path, metavar="FILM")
    parser.add_argument("--model", type=Path, help="weights (default: the profile's own)")
    parser.add_argument("--out", type=Path, help="folder for the made films")
    arguments = parser.parse_args()
    network, perceptual, lines = load_network(arguments.model), Perceptual(), []
    with tempfile.TemporaryDirectory() as name:
        folder = arguments.out or Path(name)
        folder.mkdir(parents=True, exist_ok=True)
        for film in arguments.films:
            lines.append(row(film, network, perceptual, folder / f"{film.stem}_spoken.mp4"))
    print(table(HEAD, lines))
    print("\nIn brackets: a copy of the first crop. Offsets of the film: one for each 2.4 seconds of a face.")


if __name__ == "__main__":
    main()
