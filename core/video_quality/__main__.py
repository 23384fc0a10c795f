"""``python -m core.video_quality score|compare``."""

import argparse
import sys
from pathlib import Path

from core.command_line import Answer, add_flags, command, from_flags, progress_line, run
from core.video_quality import QualityConfig, VideoQuality
from core.video_quality.results import as_row


def score(arguments: argparse.Namespace) -> Answer:
    """Score files; every bad one is named, and the rest are scored all the same."""
    reports = list(_open(arguments).score_each(arguments.videos, progress_line()))
    return {
        "results": [as_row(report.score) for report in reports if report.score],
        "errors": [{"path": report.path, "error": report.error} for report in reports if report.error],
    }


def compare(arguments: argparse.Namespace) -> Answer:
    """Score two versions of a video, and tell their difference."""
    told = _open(arguments).compare(arguments.first, arguments.second, progress_line())
    both = [as_row(told.first), as_row(told.second)]
    return {"results": both, "difference": told.difference, "certain": told.certain}


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
    return top


def _scoring_commands(commands: argparse._SubParsersAction) -> None:
    scoring = command(commands, "score", score, _show_scores, "score videos from 1 to 5")
    scoring.add_argument("videos", type=Path, nargs="+", metavar="VIDEO")
    comparing = command(commands, "compare", compare, _show_comparison, "compare two versions of a video")
    comparing.add_argument("first", type=Path, metavar="A")
    comparing.add_argument("second", type=Path, metavar="B")
    for one in (scoring, comparing):
        add_flags(one, QualityConfig)


if __name__ == "__main__":
    sys.exit(run(parser()))
