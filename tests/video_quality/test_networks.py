"""The networks of student and teacher: sizes, gates, and what their answers may depend on."""

import pytest
import torch

from core.encoders.image import load_efficientnet_lite
from core.video_quality.model import STEM_CHANNELS, STEM_STAGES, Judgement, Stem, Student, StudentConfig, trimmed
from core.video_quality.sampling import COURSE
from core.video_quality.student import TrainedStudent
from core.video_quality.teacher import Teacher, TeacherConfig

MAPS = (3, STEM_CHANNELS, 14, 14)


@pytest.fixture
def student() -> Student:
    torch.manual_seed(0)
    return Student().eval()


def seconds(count: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(seed)
    maps, course = torch.randn(count, *MAPS, generator=random), torch.randn(count, 12, len(COURSE), generator=random)
    return maps, course, torch.ones(count, 12, dtype=torch.bool)


def test_the_student_is_light() -> None:
    assert sum(parameter.numel() for parameter in TrainedStudent(StudentConfig(), 1.0).parameters()) <= 3_000_000


def test_the_stem_is_the_beginning_of_efficientnet() -> None:
    network = load_efficientnet_lite().eval()
    views = torch.randint(0, 256, (2, 3, 224, 224), generator=torch.Generator().manual_seed(1)).float()
    maps = Stem(trimmed(load_efficientnet_lite()).eval())(views)
    assert maps.shape == (2, *MAPS[1:])
    torch.testing.assert_close(network.onward(maps, STEM_STAGES), network.embed((views - 127) / 128))


def test_a_film_is_judged_by_the_mean_of_its_seconds(student: Student) -> None:
    given = seconds(6)
    films = [part.unflatten(0, (2, 3)) for part in given]
    with torch.no_grad():
        whole, said = student(*films), student.seconds(*given).unflatten(0, (2, 3))
        torch.testing.assert_close(whole.score, student.judge(said.mean(1)).score)
        back = student(*(part.flip(1) for part in films))
    torch.testing.assert_close(whole.score, back.score)


def test_a_second_does_not_depend_on_its_neighbours_nor_on_what_lies_beyond_its_end(student: Student) -> None:
    maps, course, mask = seconds(4)
    mask[:, 9:] = False
    longer = torch.cat([course, 1e3 * torch.ones(4, 5, len(COURSE))], 1)
    shown = torch.cat([mask, torch.zeros(4, 5, dtype=torch.bool)], 1)
    with torch.no_grad():
        said = student.seconds(maps, course, mask)
        torch.testing.assert_close(student.seconds(maps[2:3], course[2:3], mask[2:3]), said[2:3], atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(student.seconds(maps, longer, shown), said, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("view", [0, 1, 2])
def test_every_view_and_the_course_of_the_second_matter(student: Student, view: int) -> None:
    given, (other, course, _) = seconds(1), seconds(1, seed=1)
    changed = given[0].clone()
    changed[:, view] = other[:, view]
    with torch.no_grad():
        score = student.judge(student.seconds(*given)).score
        assert student.judge(student.seconds(changed, *given[1:])).score != score
        assert student.judge(student.seconds(given[0], course, given[2])).score != score


def test_the_score_is_the_mean_level() -> None:
    levels = torch.log(torch.tensor([[0.1, 0.2, 0.3, 0.4, 1e-9], [1, 1e-9, 1e-9, 1e-9, 1e-9]]))
    told = Judgement(torch.zeros(2, 1), levels, torch.zeros(2, 7))
    torch.testing.assert_close(told.score, torch.tensor([3.0, 1.0]))


def teacher(gated: bool = True) -> Teacher:
    torch.manual_seed(0)
    return Teacher(TeacherConfig(("a", "b", "c"), (5, 9, 3), gated=gated)).eval()


def features(films: int = 6) -> list[torch.Tensor]:
    random = torch.Generator().manual_seed(2)
    return [torch.randn(films, size, generator=random) for size in (5, 9, 3)]


def test_importances_are_shares_that_differ_from_film_to_film() -> None:
    shares = teacher().importances(features())
    torch.testing.assert_close(shares.sum(1), torch.ones(6))
    assert (shares > 0).all() and shares.std(0).min() > 0


def test_without_the_gate_all_models_weigh_alike() -> None:
    torch.testing.assert_close(teacher(gated=False).importances(features()), torch.full((6, 3), 1 / 3))


def test_the_quality_feature_is_the_weighted_sum_at_mean_0_and_deviation_1() -> None:
    network, given = teacher(), features()
    shares = network.importances(given)
    parts = [change(x) for change, x in zip(network.dimension_changes, given, strict=True)]
    fused = sum(shares[:, [n]] * part for n, part in enumerate(parts))
    expected = (fused - fused.mean(1, keepdim=True)) / fused.std(1, correction=0, keepdim=True)
    torch.testing.assert_close(network(given).quality, expected, atol=1e-3, rtol=1e-3)


def test_features_are_brought_to_the_scale_of_the_training_films() -> None:
    network, given = teacher(), features()
    scaled = [7 * x + 100 for x in given]
    for module, parts in ((network, given), (rescaled := teacher(), scaled)):
        module.normalise_with(dict(zip("abc", parts, strict=True)))
    torch.testing.assert_close(network(given).score, rescaled(scaled).score, atol=1e-3, rtol=1e-3)


def test_configs_come_back_from_their_metadata() -> None:
    assert StudentConfig.from_json(StudentConfig(hidden=99).to_json()) == StudentConfig(hidden=99)
    config = teacher().config
    assert TeacherConfig.from_json(config.to_json()) == config
