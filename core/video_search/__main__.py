"""``python -m core.video_search add|find|recommend|list|remove``."""

import argparse
import sys
from dataclasses import asdict
from pathlib import Path

from core.command_line import Answer, add_flags, command, from_flags, progress_line, run
from core.video_search import SearchConfig, SimilarVideo, VideoSearch


def add(arguments: argparse.Namespace) -> Answer:
    """Add files; every bad one is named, and the rest are added all the same."""
    search = _open(arguments, create=True)
    reports = list(search.add_each(arguments.videos, arguments.tag, progress_line()))
    return {
        "results": [{"path": r.path, "id": r.id, "status": r.status} for r in reports if r.status != "failed"],
        "errors": [{"path": r.path, "error": r.error} for r in reports if r.status == "failed"],
    }


def find(arguments: argparse.Namespace) -> Answer:
    """Find the videos most similar to a file."""
    found = _open(arguments).find(arguments.video, arguments.top, arguments.tag, progress_line())
    return {"query": arguments.video, "results": [asdict(video) for video in found]}


def recommend(arguments: argparse.Namespace) -> Answer:
    """Find the videos most similar to one of the library."""
    found = _open(arguments).recommend(arguments.video_id, arguments.top, arguments.tag)
    return {"query": arguments.video_id, "results": [asdict(video) for video in found]}


def list_videos(arguments: argparse.Namespace) -> Answer:
    """List the library, newest first."""
    records = _open(arguments).library.records()
    names = ("id", "path", "title", "duration_s", "tags", "added_at")
    return {"results": [{name: getattr(record, name) for name in names} for record in records]}


def remove(arguments: argparse.Namespace) -> Answer:
    """Remove videos; ids that are not there are named, and nothing is removed."""
    _open(arguments).remove(arguments.ids)
    return {"results": [{"id": video_id} for video_id in arguments.ids]}


def _open(arguments: argparse.Namespace, create: bool = False) -> VideoSearch:
    return VideoSearch(arguments.library, config=from_flags(arguments, SearchConfig), create=create)


def _show_found(answer: Answer) -> str:
    found = [SimilarVideo(**row) for row in answer["results"]]
    return "\n".join(f"{v.similarity:6.3f}  {v.duration_s:8.1f} s  {v.path}" for v in found) or "The library is empty."


def _show_rows(answer: Answer) -> str:
    return "\n".join("  ".join(str(row[n]) for n in ("id", "status", "path") if n in row) for row in answer["results"])


def parser() -> argparse.ArgumentParser:
    """The command line of this tool."""
    top = argparse.ArgumentParser(prog="python -m core.video_search", description="Search for similar videos.")
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    described = command(commands, "add", add, _show_rows, "add videos to a library")
    described.add_argument("library", help="folder or object-storage address of the library")
    described.add_argument("videos", nargs="+", type=Path, metavar="VIDEO")
    for name, handler, argument, kind in (
        ("find", find, "video", Path),
        ("recommend", recommend, "video_id", str),
    ):
        searched = command(commands, name, handler, _show_found, f"the most similar videos to a {argument}")
        searched.add_argument("library")
        searched.add_argument(argument, type=kind, metavar=argument.upper())
        searched.add_argument("--top", type=int, default=5, help="how many (default: 5)")
    listed = command(commands, "list", list_videos, _show_rows, "list the videos of a library")
    listed.add_argument("library")
    removed = command(commands, "remove", remove, _show_rows, "remove videos from a library")
    removed.add_argument("library")
    removed.add_argument("ids", nargs="+", metavar="ID")
    for name in ("add", "find", "recommend"):
        commands.choices[name].add_argument("--tag", action="append", default=[], help="a tag; may be repeated")
    for name in ("add", "find"):
        add_flags(commands.choices[name], SearchConfig)
    return top


if __name__ == "__main__":
    sys.exit(run(parser()))
