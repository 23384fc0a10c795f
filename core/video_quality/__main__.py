"""``python -m core.video_quality score|compare|compose|train|select-teachers|evaluate``."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from core.bulk import Workers
from core.command_line import Answer, add_flags, command, from_flags, progress_line, run
from core.media import all_files, video_files
from core.video_quality import QualityConfig, VideoQuality, making
from core.video_quality.bulk import score_all
from core.video_quality.composing import ComposeConfig, compose
from core.video_quality.data import LadderConfig, build
from core.video_quality.evaluation import as_table, assess
from core.video_quality.results import as_row
from core.video_quality.selection import SelectionConfig, select_teachers
from core.video_quality.train import Run, TrainConfig
from core.weights.plan import plan_before_loading


def score(arguments: argparse.Namespace) -> Answer:
    """Score files, folders and buckets; every bad file is named, and the rest are scored all the same."""
    config = from_flags(arguments, QualityConfig)
    addresses, errors = all_files(arguments.videos, config.limits)
    found = score_all(config, addresses, from_flags(arguments, Workers), progress_line())
    places = {address: place for place, address in enumerate(addresses)}
    reports = sorted(found, key=lambda report: places[report.path])
    return {
        "results": [as_row(report.score) for report in reports if report.score],
        "errors": errors + [{"path": report.path, "error": report.error} for report in reports if report.error],
    }


def compare(arguments: argparse.Namespace) -> Answer:
    """Score two versions of a video, and tell their difference."""
    told = _open(arguments).compare(arguments.first, arguments.second, progress_line())
    both = [as_row(told.first), as_row(told.second)]
    return {"results": both, "difference": told.difference, "certain": told.certain}


def train(arguments: argparse.Namespace) -> Answer:
    """Train teacher and student on clips made of clean films, and write their weights."""
    ready = _ready(arguments)
    told = making.train(ready, arguments.teachers, from_flags(arguments, TrainConfig), arguments.out, progress_line())
    files = [arguments.out / name for name in (making.STUDENT_FILE, making.TEACHER_FILE)]
    return {"results": [{"path": file} for file in files], "left_out": ready.left_out, **told}


def select(arguments: argparse.Namespace) -> Answer:
    """Choose the target models by experiment."""
    ready, run = _ready(arguments), Run(arguments.out, progress=progress_line())
    configs = from_flags(arguments, TrainConfig), from_flags(arguments, SelectionConfig)
    selection = select_teachers(ready.models, ready.data, configs, run)
    trials = [{"id": trial.model, "candidate": trial.candidate, **asdict(trial)} for trial in selection.trials]
    told = {"second_effects": selection.second_effects, "chosen": selection.chosen, "table": selection.table()}
    return {"results": trials, "left_out": ready.left_out, **told}


def evaluate(arguments: argparse.Namespace) -> Answer:
    """Make ladders of the films of folders, and measure how well student, BRISQUE and NIQE agree with the labels."""
    clips, config = arguments.cache / "clips", from_flags(arguments, LadderConfig)
    how = from_flags(arguments, Workers)
    left_out = build(_films(arguments.folders), config, clips, progress_line(), how)
    rows = assess(clips, arguments.model, progress_line(), how)
    return {"results": [{"id": row.ladder, **asdict(row)} for row in rows], "left_out": left_out,
            "table": as_table(rows)}  # fmt: skip


def composed(arguments: argparse.Namespace) -> Answer:
    """Compose clean films of cut-out pictures over photographs, to train on."""
    photographs = _pictures(arguments.backgrounds) if arguments.backgrounds else []
    config = from_flags(arguments, ComposeConfig)
    files = compose(_pictures(arguments.cutouts), photographs, config, arguments.out, progress_line())
    return {"results": [{"path": file} for file in files]}


def _pictures(folder: Path) -> list[Path]:
    return sorted(file for file in folder.rglob("*") if file.suffix.lower() in (".png", ".jpg", ".webp"))


def _ready(arguments: argparse.Namespace) -> making.Ready:
    ladders, config = from_flags(arguments, LadderConfig), from_flags(arguments, TrainConfig)
    return making.make_ready(_films(arguments.folders), ladders, config, arguments.out, progress_line())


def _films(folders: Sequence[str]) -> list[Path]:
    return [Path(file) for folder in folders for file in video_files(folder)]


def _open(arguments: argparse.Namespace) -> VideoQuality:
    return VideoQuality(config=from_flags(arguments, QualityConfig))


def _show_scores(answer: Answer) -> str:
    return "\n".join(_line(row) for row in answer["results"])


def _show_comparison(answer: Answer) -> str:
    sure = "more" if answer["certain"] else "no more"
    return f"{_show_scores(answer)}\n{answer['difference']:+.2f}, {sure} than the uncertainty explains"


def _line(row: Answer) -> str:
    low, high = row["uncertainty"]
    faults = ", ".join(fault["kind"] for fault in row["faults"]) or "no fault seen"
    return f"{row['score']:.2f} ({low:.2f} to {high:.2f})  {row['level']:9}  {row['path']}  {faults}"


def parser() -> argparse.ArgumentParser:
    """The command line of this tool."""
    top = argparse.ArgumentParser(prog="python -m core.video_quality", description="Score how good videos look.")
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    _scoring_commands(commands)
    _training_commands(commands)
    return top


def _scoring_commands(commands: argparse._SubParsersAction) -> None:
    scoring = command(commands, "score", score, _show_scores, "score videos from 1 to 5")
    scoring.add_argument("videos", nargs="+", metavar="VIDEO", help="files, folders, or s3://bucket/prefix")
    add_flags(scoring, Workers)
    comparing = command(commands, "compare", compare, _show_comparison, "compare two versions of a video")
    comparing.add_argument("first", type=Path, metavar="A")
    comparing.add_argument("second", type=Path, metavar="B")
    for one in (scoring, comparing):
        add_flags(one, QualityConfig)


def _training_commands(commands: argparse._SubParsersAction) -> None:
    composing = command(commands, "compose", composed, _show_files, "make clean films to train on, of cut-out pictures")
    composing.add_argument("cutouts", type=Path, metavar="FOLDER", help="of pictures with transparency")
    composing.add_argument("--backgrounds", type=Path, metavar="FOLDER", help="of photographs")
    composing.add_argument("--out", type=Path, required=True, help="folder for the films")
    add_flags(composing, ComposeConfig)
    training = command(commands, "train", train, _show_training, "train on clips made of clean films")
    training.add_argument("--teachers", nargs="*", default=[], metavar="MODEL", help="target models (default: those "
                          "that select-teachers chose in the same folder)")  # fmt: skip
    selecting = command(commands, "select-teachers", select, lambda a: a["table"], "choose target models by experiment")
    add_flags(selecting, SelectionConfig)
    for one in (training, selecting):
        one.add_argument("folders", nargs="+", metavar="FOLDER")
        one.add_argument("--out", type=Path, required=True, help="folder for clips, checkpoints and weights")
        add_flags(one, TrainConfig)
    measuring = command(commands, "evaluate", evaluate, lambda answer: answer["table"], "measure on ladders of films")
    measuring.add_argument("folders", nargs="+", metavar="FOLDER")
    measuring.add_argument("--cache", type=Path, required=True, help="folder for the clips that are made")
    measuring.add_argument("--model", type=Path, help="weights of a student (default: the profile's own)")
    add_flags(measuring, Workers)
    for one in (training, selecting, measuring):
        add_flags(one, LadderConfig)


def _show_files(answer: Answer) -> str:
    return "\n".join(str(row["path"]) for row in answer["results"])


def _show_training(answer: Answer) -> str:
    figures = f"held-out rank correlation {answer['srcc']:.3f}, half width of the band {answer['band']:.2f}"
    return f"{_show_files(answer)}\n{figures}"


if __name__ == "__main__":
    sys.exit(run(parser(), before=lambda: plan_before_loading(["video_quality"])))
