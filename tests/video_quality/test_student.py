"""The student from a file: as it was trained, the same on every call, whatever else is judged beside it."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from core.encoders.image import load_efficientnet_lite
from core.video_quality.distortions import Scene
from core.video_quality.levels import deviation_of, mean_of
from core.video_quality.model import Stem, Student, trimmed
from core.video_quality.sampling import Window, window_of
from core.video_quality.student import QualityScorer, metadata, read_student, student_tensors


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(1)
    student, file = Student().eval(), tmp_path_factory.mktemp("weights") / "student.safetensors"
    stem = Stem(trimmed(load_efficientnet_lite()).eval().fold())
    save_file(student_tensors(stem, student), file, metadata(student, 1.25, {"seed": "1"}))
    return file


@pytest.fixture(scope="module")
def windows(scene: Scene) -> list[Window]:
    return [window_of(scene.pictures[n : n + 6 + n], Fraction(n)) for n in range(3)]


def test_a_file_holds_the_stem_and_the_student_in_few_bytes(path: Path) -> None:
    network = read_student(path)
    assert network.band == 1.25
    assert path.stat().st_size < 3e6
    pictures = torch.randint(0, 256, (1, 3, 224, 224), generator=torch.Generator().manual_seed(2)).float()
    whole = Stem(trimmed(load_efficientnet_lite()).eval().fold())
    torch.testing.assert_close(network.stem(pictures), whole(pictures))


def test_a_second_is_described_alike_whatever_lies_beside_it(path: Path, windows: list[Window]) -> None:
    scorer = QualityScorer(path)
    together = scorer.describe(windows)
    alone = np.concatenate([scorer.describe([window]) for window in windows])
    np.testing.assert_allclose(alone, together, atol=0.02, rtol=0.02)
    np.testing.assert_array_equal(scorer.describe(windows), together)


def test_a_verdict_is_a_distribution_with_a_band_about_its_mean(path: Path, windows: list[Window]) -> None:
    scorer = QualityScorer(path)
    told = scorer.judge(scorer.describe(windows).mean(0))
    score, reach = mean_of(told.distribution), 1.25 * deviation_of(told.distribution)
    assert told.distribution.sum() == pytest.approx(1, abs=1e-5)
    assert told.band == pytest.approx((max(1, score - reach), min(5, score + reach)))
    assert ((told.faults >= 0) & (told.faults <= 1)).all()
