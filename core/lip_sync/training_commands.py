"""The commands ``make``, ``train`` and ``evaluate`` of ``python -m core.lip_sync``."""

import argparse
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from core.bulk import Workers
from core.command_line import Answer, add_flags, command, from_flags, progress_line
from core.errors import ParameterError
from core.lip_sync.data import HELD_OUT_EVERY, SUFFIX, held_out
from core.lip_sync.evaluation import EvaluateConfig, as_table, evaluate
from core.lip_sync.filming import film_clips
from core.lip_sync.making import MakeConfig
from core.lip_sync.material import Material, cartoons, held_out_faces, make_clips, portraits, speeches
from core.lip_sync.network import FILE, load_network
from core.lip_sync.train import TrainConfig, train


def making(arguments: argparse.Namespace) -> Answer:
    """Make training clips of portraits and speech."""
    material, progress = from_flags(arguments, Material), progress_line()
    said, left_out = speeches(arguments.speech, progress)
    faces = [*portraits(arguments.portraits), *cartoons(material.cartoons)]
    files = make_clips(faces, said, (material, from_flags(arguments, MakeConfig)), arguments.out, progress)
    return {"results": [{"path": file} for file in files], "left_out": left_out}


def training(arguments: argparse.Namespace) -> Answer:
    """Train both stages on clips, or on films of people who talk."""
    left_out: list[str] = []
    clips = arguments.folder
    if not any(clips.glob(f"*{SUFFIX}")):
        clips = arguments.out / "clips"
        left_out = film_clips(arguments.folder, from_flags(arguments, MakeConfig), clips, progress_line())
    figures = train(clips, from_flags(arguments, TrainConfig), arguments.out, progress_line())
    return {"results": [{"path": arguments.out / FILE}], "left_out": left_out, **figures}


def evaluating(arguments: argparse.Namespace) -> Answer:
    """Measure on the portraits and voices that `make` holds out of all training."""
    said, left_out = speeches(arguments.speech, progress_line())
    faces = list(portraits(arguments.portraits))
    unseen = held_out_faces(faces), held_out({speech.voice for speech in said})
    faces = [face for face in faces if face.source in unseen[0]]
    said = [speech for speech in said if speech.voice in unseen[1]]
    if not faces or not said:
        raise ParameterError(f"Nothing is held out; give at least {HELD_OUT_EVERY} people and {HELD_OUT_EVERY} voices.")
    config, how = from_flags(arguments, EvaluateConfig), from_flags(arguments, Workers)
    load = partial(load_network, arguments.model)
    sayings, copies = evaluate(load, (faces, said), config, progress_line(), how)
    rows = [{"id": name, **asdict(row)} for name, row in sayings.items()]
    again = [{"id": name, **asdict(row)} for name, row in copies.items()]
    table = f"{as_table(sayings)}\n\n{as_table(copies)}"
    return {"results": rows, "reconstruction": again, "left_out": left_out, "table": table}


def add_training_commands(commands: Any) -> None:
    """Add the three commands."""
    one = command(commands, "make", making, _show_files, "make training clips of still faces and speech")
    one.add_argument("portraits", type=Path, metavar="PORTRAITS", help="folder of photographs of faces")
    one.add_argument("speech", type=Path, metavar="SPEECH.csv", help="table of recordings and texts")
    one.add_argument("--out", type=Path, required=True, help="folder for the clips")
    add_flags(one, Material)
    add_flags(one, MakeConfig)
    two = command(commands, "train", training, _show_training, "train on clips, or on films of people who talk")
    two.add_argument("folder", type=Path, metavar="FOLDER")
    two.add_argument("--out", type=Path, required=True, help="folder for checkpoints and weights")
    add_flags(two, TrainConfig)
    add_flags(two, MakeConfig)
    three = command(
        commands, "evaluate", evaluating, lambda answer: answer["table"], "measure on unseen faces and voices"
    )
    three.add_argument("portraits", type=Path, metavar="PORTRAITS")
    three.add_argument("speech", type=Path, metavar="SPEECH.csv")
    three.add_argument("--model", type=Path, help="weights (default: the profile's own)")
    add_flags(three, EvaluateConfig)
    add_flags(three, Workers)


def _show_files(answer: Answer) -> str:
    return f"{len(answer['results'])} clips" + "".join(f"\nleft out: {line}" for line in answer["left_out"])


def _show_training(answer: Answer) -> str:
    figures = "\n".join(f"{name}: {value}" for name, value in answer.items() if isinstance(value, float))
    return f"{answer['results'][0]['path']}\n{figures}"
