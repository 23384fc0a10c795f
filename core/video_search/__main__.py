"""``python -m core.video_search add|find|recommend|list|remove|mark|train|fine-tune|evaluate``."""

import argparse
import sys
from dataclasses import asdict
from functools import partial
from pathlib import Path

from core.bulk import Workers
from core.command_line import Answer, add_flags, command, from_flags, progress_line, run
from core.encoders.image import image_encoder
from core.encoders.sequence import NetworkConfig
from core.media import all_files, video_files
from core.runtime import current_profile
from core.video_search import SearchConfig, SearchRequest, SimilarVideo, VideoSearch
from core.video_search.assessment import as_table, assess
from core.video_search.bulk import add_all
from core.video_search.data import SequenceConfig
from core.video_search.fine_tuning import fine_tune
from core.video_search.pipeline import ENCODERS, load_model
from core.video_search.train import TrainConfig
from core.video_search.tuning import Recipe, tune
from core.weights.plan import plan_before_loading


def add(arguments: argparse.Namespace) -> Answer:
    """Add files, folders and buckets; every bad file is named, and the rest are added all the same."""
    search = _open(arguments, create=True)
    addresses, errors = all_files(arguments.videos, search.config.limits)
    reports = list(add_all(search, addresses, from_flags(arguments, Workers), arguments.tag, progress_line()))
    return {
        "results": [{"path": r.path, "id": r.id, "status": r.status} for r in reports if r.status != "failed"],
        "errors": errors + [{"path": r.path, "error": r.error} for r in reports if r.status == "failed"],
    }


def find(arguments: argparse.Namespace) -> Answer:
    """Find the videos most similar to a file."""
    answer = _open(arguments).find(arguments.video, _request(arguments), progress_line())
    return {"query": arguments.video, "seconds": answer.seconds, "results": [asdict(v) for v in answer.results]}


def recommend(arguments: argparse.Namespace) -> Answer:
    """Recommend videos to show beside one of the library."""
    answer = _open(arguments).recommend(arguments.video_id, _request(arguments))
    found = [asdict(video) for video in answer.results]
    return {"query": arguments.video_id, "results": found, "fallback": answer.fallback}


def list_videos(arguments: argparse.Namespace) -> Answer:
    """List the library, newest first."""
    records = _open(arguments).library.records()
    names = ("id", "path", "title", "duration_s", "tags", "added_at")
    return {"results": [{name: getattr(record, name) for name in names} for record in records]}


def remove(arguments: argparse.Namespace) -> Answer:
    """Remove videos; ids that are not there are named, and nothing is removed."""
    _open(arguments).remove(arguments.ids)
    return {"results": [{"id": video_id} for video_id in arguments.ids]}


def mark(arguments: argparse.Namespace) -> Answer:
    """Mark two videos as not similar, or take the mark back."""
    _open(arguments).mark_not_similar(arguments.video_id, arguments.other_id, not arguments.undo)
    return {"results": [{"id": arguments.other_id}]}


def train(arguments: argparse.Namespace) -> Answer:
    """Train a model from the beginning on folders of films."""
    films = [Path(file) for folder in arguments.folders for file in video_files(folder)]
    encoder = image_encoder(ENCODERS[current_profile()])
    network = NetworkConfig(
        encoder.dimensions, arguments.width, arguments.terms, arguments.dimensions, arguments.dropout
    )
    recipe = Recipe(from_flags(arguments, SequenceConfig), from_flags(arguments, TrainConfig), network)
    tuned = tune(films, encoder, recipe, arguments.out, progress_line())
    return {"results": [{"path": tuned.path, "id": tuned.version}], "before": tuned.before, "after": tuned.after}


def fine_tune_library(arguments: argparse.Namespace) -> Answer:
    """Train the library's model further on its own videos, and switch to it if it is better."""
    search = _open(arguments)
    how = from_flags(arguments, TrainConfig)
    tuned = fine_tune(search, how, arguments.out, from_flags(arguments, SequenceConfig), progress_line())
    return {"results": [{"id": tuned.model}], **asdict(tuned)}


def evaluate(arguments: argparse.Namespace) -> Answer:
    """Make copies of the films of a folder and measure how well they find their originals."""
    films = [Path(file) for file in video_files(arguments.folder)]
    load = partial(load_model, from_flags(arguments, SearchConfig), arguments.model)
    scores = assess(films, load, arguments.cache, progress_line(), from_flags(arguments, Workers))
    return {"results": [{"id": row.transform, **asdict(row)} for row in scores], "table": as_table(scores)}


def _open(arguments: argparse.Namespace, create: bool = False) -> VideoSearch:
    return VideoSearch(arguments.library, config=from_flags(arguments, SearchConfig), create=create)


def _request(arguments: argparse.Namespace) -> SearchRequest:
    return SearchRequest(arguments.top, tuple(arguments.tag), arguments.mode)


def _show_found(answer: Answer) -> str:
    found = [SimilarVideo(**row) for row in answer["results"]]
    lines = [f"{v.similarity:6.3f}  {v.relation or '-':5}  {v.duration_s:8.1f} s  {v.path}" for v in found]
    return "\n".join([*filter(None, [answer.get("fallback")]), *lines]) or "The library is empty."


def _show_rows(answer: Answer) -> str:
    return "\n".join("  ".join(str(row[n]) for n in ("id", "status", "path") if n in row) for row in answer["results"])


def _show_training(answer: Answer) -> str:
    (model,) = answer["results"]
    return f"{model['id']}: recall@1 and µAP before {answer['before']}, after {answer['after']}"


def parser() -> argparse.ArgumentParser:
    """The command line of this tool."""
    top = argparse.ArgumentParser(prog="python -m core.video_search", description="Search for similar videos.")
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    _library_commands(commands)
    _search_commands(commands)
    _training_commands(commands)
    return top


def _library_commands(commands: argparse._SubParsersAction) -> None:
    adding = command(commands, "add", add, _show_rows, "add videos to a library")
    adding.add_argument("library", help="folder or object-storage address of the library")
    adding.add_argument("videos", nargs="+", metavar="VIDEO", help="files, folders, or s3://bucket/prefix")
    listing = command(commands, "list", list_videos, _show_rows, "list the videos of a library")
    listing.add_argument("library")
    removing = command(commands, "remove", remove, _show_rows, "remove videos from a library")
    removing.add_argument("library")
    removing.add_argument("ids", nargs="+", metavar="ID")
    marking = command(commands, "mark", mark, _show_rows, "mark two videos as not similar")
    marking.add_argument("library")
    marking.add_argument("video_id", metavar="VIDEO_ID")
    marking.add_argument("other_id", metavar="OTHER_ID")
    marking.add_argument("--undo", action="store_true", help="take the mark back")
    for config in (SearchConfig, Workers):
        add_flags(adding, config)


def _search_commands(commands: argparse._SubParsersAction) -> None:
    finding = command(commands, "find", find, _show_found, "the most similar videos to a file")
    finding.add_argument("library")
    finding.add_argument("video", type=Path, metavar="VIDEO")
    beside = command(commands, "recommend", recommend, _show_found, "what to show beside a video of the library")
    beside.add_argument("library")
    beside.add_argument("video_id", metavar="VIDEO_ID")
    for searching in (finding, beside):
        searching.add_argument("--top", type=int, default=5, help="how many (default: 5)")
        searching.add_argument("--mode", choices=("cosine", "hash"), default="cosine", help="(default: cosine)")
    for name in ("add", "find", "recommend"):
        commands.choices[name].add_argument("--tag", action="append", default=[], help="a tag; may be repeated")
    add_flags(finding, SearchConfig)


def _training_commands(commands: argparse._SubParsersAction) -> None:
    training = command(commands, "train", train, _show_training, "train a model on folders of films")
    training.add_argument("folders", nargs="+", metavar="FOLDER")
    add_flags(training, NetworkConfig)
    tuning = command(commands, "fine-tune", fine_tune_library, _show_training, "train a library's model on its videos")
    tuning.add_argument("library")
    for one in (training, tuning):
        one.add_argument("--out", type=Path, required=True, help="folder for features, checkpoint and model")
        add_flags(one, SequenceConfig)
        add_flags(one, TrainConfig)
    measuring = command(commands, "evaluate", evaluate, lambda answer: answer["table"], "measure copy detection")
    measuring.add_argument("folder", help="folder or bucket of films")
    measuring.add_argument("--model", default="", help="name of a fine-tuned model (default: the profile's own)")
    measuring.add_argument("--cache", type=Path, required=True, help="folder for the copies that are made")
    for config in (SearchConfig, Workers):
        add_flags(measuring, config)


if __name__ == "__main__":
    sys.exit(run(parser(), before=lambda: plan_before_loading(["video_search"])))
