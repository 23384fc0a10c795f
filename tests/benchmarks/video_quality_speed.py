"""What a quality score costs beside decoding alone, and beside VMAF.

    python -m tests.benchmarks.video_quality_speed [FILM ...] [--rounds 3] [--weights FILE]

Prints two Markdown tables. In the first, three jobs take turns on each film: the reader decodes every picture and
nothing else; the film is scored, every second of it, with thumbnails; ffmpeg's libvmaf compares the film with itself,
on all cores, every picture, as a score with a reference would. Each row tells the median of the rounds: the clock's
seconds and the processors' seconds for a second of film, and both over those of decoding alone. On a machine that
others use too, the ratio of the processors' seconds is the one to look at.

The second table tells what the networks alone cost, decoding apart: the student, which looks at one pair of pictures a
second, and the teacher, whose image models look at every picture.

Without a film one is made: 12 s of 1080p30, clouds of texture that drift at several speeds under grain, H.264, CRF 21.
"""

import argparse
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import cv2
import imageio_ffmpeg
import numpy as np
from numpy.typing import NDArray

from core.media import EncodeOptions, VideoReader, probe, write_video
from core.video_quality import QualityConfig, VideoQuality
from core.video_quality.ensemble import SECONDS, Ensemble
from core.video_quality.student import QualityScorer
from core.video_quality.watching import every_picture, watch
from tests.benchmarks.video_search import table

RATE, LENGTH_S, SIZE = 30, 12, (1920, 1080)


def texture(seed: int, width: int, height: int) -> NDArray[np.float32]:
    """Noise on every scale, strongest on the coarse ones, as in pictures of nature: (height, width, 3)."""
    random = np.random.default_rng(seed)
    total = np.zeros((height, width, 3), np.float32)
    for step in (2, 4, 8, 16, 32, 64, 128):
        coarse = random.normal(size=(height // step + 2, width // step + 2, 3)).astype(np.float32)
        total += step**0.6 * cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return total / total.std()


def pictures() -> Iterator[NDArray[np.uint8]]:
    """The made film: a far layer, three near ones in bands, and grain."""
    width, height = SIZE
    far, near = texture(1, 2 * width, height), texture(2, 2 * width, height)
    grain = np.random.default_rng(3).normal(0, 3, (2 * height, width, 3)).astype(np.float32)
    for n in range(RATE * LENGTH_S):
        picture = 118 + 42 * far[:, 2 * n : 2 * n + width]
        for band, speed in ((0, 1), (1, 3), (2, 5)):
            rows, start = slice(360 * band + 120, 360 * band + 240), speed * n % width
            picture[rows] += 28 * near[rows, start : start + width]
        shift = 37 * n % height
        yield np.clip(picture + grain[shift : shift + height], 0, 255).astype(np.uint8)


def decode(path: Path) -> None:
    """Decode every picture with the reader that scoring uses."""
    with VideoReader(path) as reader:
        for span in reader.spans([0], reader.info.duration_s + 1):
            for _ in span:
                pass


def vmaf(path: Path) -> None:
    """Compare a film with itself."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(path), "-i", str(path)]
    measure = f"[0:v][1:v]libvmaf=n_threads={os.cpu_count()}"
    subprocess.run([*command, "-lavfi", measure, "-f", "null", "-"], check=True)


def cost(job: Callable[[], object]) -> tuple[float, float]:
    """The clock's seconds of a job, and the processors' seconds, those of its subprocesses included."""
    before, start = os.times(), time.perf_counter()
    job()
    after, end = os.times(), time.perf_counter()
    return end - start, sum(after[:4]) - sum(before[:4])


def measured(path: Path, quality: VideoQuality, rounds: int) -> list[list[str]]:
    """The rows of one film."""
    jobs: dict[str, Callable[[], object]] = {
        "decoding alone": lambda: decode(path),
        "scoring": lambda: quality.score(path),
        "VMAF": lambda: vmaf(path),
    }
    for job in jobs.values():  # what is read from disk only once should count for none
        job()
    costs: dict[str, list[tuple[float, float]]] = {name: [] for name in jobs}
    for _ in range(rounds):
        for name, job in jobs.items():
            costs[name].append(cost(job))
    info = probe(path)
    megabits = 8e-6 * path.stat().st_size / float(info.duration_s)
    film = f"{path.name}, {info.width} × {info.height}, {float(info.frame_rate):.4g} Hz, {megabits:.1f} Mb/s"
    least = costs["decoding alone"]
    rows = []
    for name, told in costs.items():
        cells = []
        for kind in (0, 1):
            ratios = [one[kind] / other[kind] for one, other in zip(told, least, strict=True)]
            seconds = statistics.median(one[kind] for one in told) / float(info.duration_s)
            cells += [f"{seconds:.3f}", f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"]
        faster = float(info.duration_s) / statistics.median(one[0] for one in told)
        rows.append([film, name, *cells, f"{faster:.1f}"])
    return rows


def networks(path: Path, scorer: QualityScorer, ensemble: Ensemble, rounds: int) -> list[list[str]]:
    """What student and teacher cost on the same seconds, in processors' seconds."""
    config = QualityConfig(max_seconds=SECONDS)
    windows, every = list(watch(path, config)), list(every_picture(path, config))
    jobs: dict[str, Callable[[], object]] = {
        "student": lambda: scorer.judge(scorer.describe(windows).mean(0)),
        "teacher": lambda: ensemble.explain(windows, every),
    }
    for job in jobs.values():
        job()
    costs: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(rounds):
        for name, job in jobs.items():
            costs[name].append(cost(job)[1])
    shares = [one / other for one, other in zip(costs["student"], costs["teacher"], strict=True)]
    seconds = (f"{statistics.median(told) / len(windows):.4f}" for told in costs.values())
    return [[path.name, *seconds, f"{statistics.median(shares):.3f} ({min(shares):.3f} to {max(shares):.3f})"]]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("films", nargs="*", type=Path, metavar="FILM")
    parser.add_argument("--rounds", type=int, default=3, help="how often each job is timed (default: 3)")
    parser.add_argument("--weights", type=Path, help="a student's weights (default: the ones that come with the app)")
    arguments = parser.parse_args()
    quality = VideoQuality(QualityScorer(arguments.weights), QualityConfig(max_seconds=3600))
    with tempfile.TemporaryDirectory() as folder:
        films = arguments.films
        if not films:
            films = [Path(folder) / "made.mp4"]
            write_video(films[0], pictures(), Fraction(RATE), options=EncodeOptions(crf=21))
        rows = [row for film in films for row in measured(film, quality, arguments.rounds)]
        scorer, ensemble = QualityScorer(arguments.weights), Ensemble()
        alone = [row for film in films for row in networks(film, scorer, ensemble, arguments.rounds)]
    head = ["film", "job", "clock s per s of film", "over decoding", "processor s per s of film", "over decoding",
            "times real time"]  # fmt: skip
    print(table(head, rows))
    print()
    print(table(["film", "student, processor s per s of film", "teacher", "student over teacher"], alone))


if __name__ == "__main__":
    main()
