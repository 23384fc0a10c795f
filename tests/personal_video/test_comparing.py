"""The comparison shared out to workers: the same table as one process makes, method by method."""

from pathlib import Path

import pytest

from core.bulk import ALONE, Workers
from core.errors import MediaOpenError, ParameterError
from core.personal_video.assessment import as_table
from core.personal_video.comparing import Sources, compare
from core.personal_video.composing import Material
from core.personal_video.evaluation import METHODS, EvaluateConfig, Evaluation
from core.personal_video.flow import SampleConfig
from core.personal_video.subjects import write_pack
from tests.personal_video.made import PlainEncoder, WordEncoder, figure, material, small_network

CONFIG = EvaluateConfig(subjects=2, videos=1, side_px=32, frames=4)


def loaded() -> tuple[Evaluation, Material]:
    network = small_network().requires_grad_(False)
    encoders = WordEncoder(), PlainEncoder(), PlainEncoder()
    return Evaluation(network, encoders, CONFIG, SampleConfig(steps=2)), material()


def test_the_table_is_the_same_however_many_processes_measure() -> None:
    alone, shared = (compare(loaded, CONFIG, how=how) for how in (ALONE, Workers(2)))
    assert list(alone) == list(shared) == list(CONFIG.methods)
    assert repr(shared) == repr(alone), "the same to the last digit; nan is nan"
    evaluation, subjects = loaded()
    measured = evaluation.measuring(subjects)
    assert as_table({name: measured(name) for name in CONFIG.methods}) == as_table(alone)


def test_the_second_network_is_left_out_where_nobody_asks_for_it() -> None:
    assert EvaluateConfig(enlarge=False).methods == METHODS and "second network, 2×" in EvaluateConfig().methods


def test_too_few_subjects_are_told_by_whoever_finds_them_so() -> None:
    with pytest.raises(ParameterError, match="held out and whole"):
        compare(few, CONFIG, how=Workers(2))


def few() -> tuple[Evaluation, Material]:
    return loaded()[0], material(6)


def test_every_worker_reads_the_subjects_itself(tmp_path: Path) -> None:
    write_pack([figure(1), figure(2)], tmp_path / "pack")
    assert [subject.key for subject in Sources(tmp_path / "pack").read().subjects] == [figure(1).key, figure(2).key]
    with pytest.raises(MediaOpenError, match="holds no pack"):
        Sources(tmp_path / "none").read()
