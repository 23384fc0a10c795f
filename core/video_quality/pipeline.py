"""From files to quality scores: windows, films, many films, two versions compared (METHODS 5, "Inference")."""

import itertools
import math
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from core.errors import ClipTooShortError, MediaError
from core.media import VideoReader, jpeg, limits_of_local, local_file
from core.runtime import Progress, part_of, silent
from core.video_quality.config import QualityConfig
from core.video_quality.findings import faults_of, worst_seconds
from core.video_quality.levels import level_of, mean_of
from core.video_quality.results import Comparison, Moment, QualityScore, SecondScore
from core.video_quality.sampling import Window
from core.video_quality.student import QualityScorer, Verdict
from core.video_quality.watching import looks, middle_s

Floats = NDArray[np.float32]
THUMBNAIL_SIDE_PX = 320


class Scorer(Protocol):
    """What judges windows; `core.video_quality.student.QualityScorer` does."""

    version: str

    def describe(self, windows: Sequence[Window]) -> Floats:
        """Features of each window: (N, D)."""
        ...

    def judge(self, features: Floats) -> Verdict:
        """The verdict on a film by the mean (D,) of its windows' features; or on one second by its own."""
        ...


@dataclass(frozen=True)
class ScoreReport:
    """What became of one file that was to be scored: a score, or the sentence that says why there is none."""

    path: str
    score: QualityScore | None = None
    error: str = ""


class VideoQuality:
    """Scores videos.

    Args:
        scorer: judges windows; the trained student when None.
        config: how films are looked at.

    Raises:
        WeightsError: the student's weights are missing or wrong.
    """

    def __init__(self, scorer: Scorer | None = None, config: QualityConfig | None = None) -> None:
        self.config = config or QualityConfig()
        self.scorer: Scorer = scorer or QualityScorer()

    def score_windows(self, windows: Iterable[Window]) -> tuple[Verdict, list[SecondScore]]:
        """The verdict on a film, and on each of its seconds, from its windows; holds one batch of them at a time.

        Raises:
            ClipTooShortError: there is no window.
        """
        starts: list[float] = []
        described: list[Floats] = []
        remaining = iter(windows)
        while batch := list(itertools.islice(remaining, self.config.batch_windows)):
            starts += [float(window.start_s) for window in batch]
            described.append(self.scorer.describe(batch))
        if not described:
            raise ClipTooShortError("There is no second to judge; give at least one window.")
        features = np.concatenate(described)
        seconds = [_second(start, self.scorer.judge(row)) for start, row in zip(starts, features, strict=True)]
        return self.scorer.judge(features.mean(0)), seconds

    def score(self, path: Path, progress: Progress = silent) -> QualityScore:
        """Score a film, an animation or a still picture.

        Raises:
            MediaError: the file cannot be read.
            CancelledError: ``progress`` says so.
        """
        started = time.perf_counter()
        pictures: list[bytes] = []

        def windows(reader: VideoReader) -> Iterator[Window]:
            for look in looks(reader, self.config, progress):
                pictures.append(jpeg(look.picture, THUMBNAIL_SIDE_PX))
                yield look.window

        with VideoReader(path, limits=self.config.limits) as reader:
            verdict, seconds = self.score_windows(windows(reader))
            duration_s = float(reader.info.duration_s)
        score = mean_of(verdict.distribution)
        low, high = verdict.band
        worst = [
            Moment(middle_s(seconds[index].start_s, duration_s), seconds[index].score, pictures[index])
            for index in worst_seconds(seconds)
        ]
        return QualityScore(
            path=str(path),
            score=score,
            score_100=25 * (score - 1),
            level=level_of(score),
            distribution=tuple(map(float, verdict.distribution)),
            uncertainty=(max(1.0, float(low)), min(5.0, float(high))),
            per_second=tuple(seconds),
            faults=faults_of(seconds, duration_s),
            worst=tuple(worst),
            duration_s=duration_s,
            seconds_taken=time.perf_counter() - started,
        )

    def score_each(self, paths: Sequence[str | Path], progress: Progress = silent) -> Iterator[ScoreReport]:
        """Score files, or objects of a bucket, one by one; a bad one does not stop the rest.

        Raises:
            CancelledError: ``progress`` says so.
        """
        for index, path in enumerate(paths):
            try:
                yield ScoreReport(str(path), self._score_at(str(path), part_of(progress, index, len(paths))))
            except MediaError as error:
                yield ScoreReport(str(path), error=str(error))
        progress(len(paths), len(paths), "scored")

    def _score_at(self, address: str, progress: Progress) -> QualityScore:
        with local_file(address, self.config.limits) as path:
            limits = limits_of_local(address, self.config.limits)
            here = VideoQuality(self.scorer, replace(self.config, limits=limits))
            return replace(here.score(path, progress), path=address)

    def compare(self, first: Path, second: Path, progress: Progress = silent) -> Comparison:
        """Score two versions of a video.

        Raises:
            MediaError: a file cannot be read.
            CancelledError: ``progress`` says so.
        """
        scores = [self.score(path, part_of(progress, index, 2)) for index, path in enumerate((first, second))]
        return comparison(*scores)


def comparison(first: QualityScore, second: QualityScore) -> Comparison:
    """The difference of two scores; certain when it exceeds both bands' half widths, added as independent errors."""
    reach = math.hypot(*((high - low) / 2 for low, high in (first.uncertainty, second.uncertainty)))
    difference = second.score - first.score
    return Comparison(first, second, difference, abs(difference) > reach)


def _second(start_s: float, verdict: Verdict) -> SecondScore:
    return SecondScore(start_s, mean_of(verdict.distribution), tuple(map(float, verdict.faults)))
