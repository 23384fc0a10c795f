"""The commands ``pack``, ``train`` and ``evaluate`` of ``python -m core.personal_video``."""

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

from core.bulk import Workers
from core.command_line import Answer, add_flags, command, from_flags, progress_line
from core.errors import ParameterError
from core.personal_video.assessment import as_table
from core.personal_video.comparing import Load, Sources, compare
from core.personal_video.data import CourseConfig
from core.personal_video.evaluation import EvaluateConfig
from core.personal_video.flow import SampleConfig
from core.personal_video.subjects import SubjectConfig, read_subjects, write_pack
from core.personal_video.train import TrainConfig, train
from core.personal_video.trained import FILE

FREE_LICENCES = ("MIT", "CC0", "CC0-1.0", "CC-BY", "CC-BY-3.0", "CC-BY-4.0", "BSD", "public domain")
"""Licences under which pictures may be trained on without a further decision."""


def packing(arguments: argparse.Namespace) -> Answer:
    """Read cut-out subjects of a table into one file."""
    licences = tuple(arguments.licences)
    subjects = read_subjects(arguments.manifest, from_flags(arguments, SubjectConfig), progress_line(), licences)
    if not subjects:
        raise ParameterError(f"{arguments.manifest} has no readable subject under {', '.join(licences)}; name others.")
    write_pack(subjects, arguments.out)
    moving = sum(subject.animated for subject in subjects)
    return {"results": [{"path": arguments.out.with_suffix(".npy")}], "subjects": len(subjects), "animated": moving}


def training(arguments: argparse.Namespace) -> Answer:
    """Train both stages on composed clips."""
    config = from_flags(arguments, TrainConfig), from_flags(arguments, CourseConfig)
    figures = train(_sources(arguments).read(), config, arguments.out, progress=progress_line())
    return {"results": [{"path": arguments.out / FILE}], **figures}


def evaluating(arguments: argparse.Namespace) -> Answer:
    """Measure on the subjects that `train` holds out, beside what the networks must be better than."""
    config, sample = from_flags(arguments, EvaluateConfig), from_flags(arguments, SampleConfig)
    load = Load(arguments.model, _sources(arguments), config, sample)
    rows = compare(load, config, progress_line(), from_flags(arguments, Workers))
    return {"results": [{"id": name, **asdict(row)} for name, row in rows.items()], "table": as_table(rows)}


def _sources(arguments: argparse.Namespace) -> Sources:
    return Sources(arguments.pack, arguments.photographs)


def add_training_commands(commands: Any) -> None:
    """Add the commands."""
    one = command(commands, "pack", packing, _show_pack, "read cut-out subjects into one file")
    one.add_argument("manifest", type=Path, metavar="SUBJECTS.csv", help="table with file, name, caption and licence")
    one.add_argument("--out", type=Path, required=True, help="file for the pack")
    one.add_argument("--licences", nargs="*", default=FREE_LICENCES, help="those to take (default: plainly free ones)")
    add_flags(one, SubjectConfig)
    two = command(commands, "train", training, _show_training, "train the networks on composed clips")
    _add_material(two)
    two.add_argument("--out", type=Path, required=True, help="folder for checkpoints and weights")
    add_flags(two, TrainConfig)
    add_flags(two, CourseConfig)
    three = command(commands, "evaluate", evaluating, lambda answer: answer["table"], "measure on unseen subjects")
    _add_material(three)
    three.add_argument("--model", type=Path, help="weights (default: the profile's own)")
    add_flags(three, EvaluateConfig)
    add_flags(three, Workers)
    add_flags(three, SampleConfig)


def _add_material(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("pack", type=Path, metavar="PACK", help="subjects, as `pack` wrote them")
    parser.add_argument("--photographs", type=Path, help="folder of photographs for backgrounds")


def _show_pack(answer: Answer) -> str:
    return f"{answer['results'][0]['path']}\n{answer['subjects']} subjects, {answer['animated']} of them animated"


def _show_training(answer: Answer) -> str:
    figures = "\n".join(f"{name}: {value}" for name, value in answer.items() if isinstance(value, float))
    return f"{answer['results'][0]['path']}\n{figures}"
