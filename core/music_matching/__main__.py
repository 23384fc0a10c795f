"""``python -m core.music_matching add|match|match-all|lay|list|remove|train|evaluate``."""

import argparse
import csv
import sys
from collections import Counter
from dataclasses import asdict
from pathlib import Path

from core.bulk import Workers
from core.command_line import Answer, add_flags, command, from_flags, origin, progress_line, run
from core.errors import MediaOpenError, ParameterError
from core.media import all_files, sound_files
from core.music_matching import LayConfig, MatchConfig, MatchRequest, MusicMatching
from core.music_matching.assessment import as_table, assess, training_set
from core.music_matching.bulk import add_all, match_all
from core.music_matching.collecting import Collector, Material
from core.music_matching.data import Cache
from core.music_matching.listening import Listener, Words
from core.music_matching.looking import Watcher
from core.music_matching.model import ModelConfig, save_model
from core.music_matching.pipeline import WEIGHTS, Model
from core.music_matching.rows import Credits
from core.music_matching.train import TrainConfig, Trainer, stanza, trained
from core.weights.plan import plan_before_loading


def add(arguments: argparse.Namespace) -> Answer:
    """Add files and folders; every bad file is named, and the rest are added all the same."""
    matching = _open(arguments, create=True)
    files, errors = all_files(arguments.tracks, matching.config.limits, sound_files)
    credits, how = Credits(arguments.licence, arguments.credit), from_flags(arguments, Workers)
    reports = list(add_all(matching, [Path(file) for file in files], how, credits, progress_line()))
    return {
        "results": [{"path": r.path, "id": r.id, "status": r.status} for r in reports if r.status != "failed"],
        "errors": errors + [{"path": r.path, "error": r.error} for r in reports if r.status == "failed"],
    }


def match(arguments: argparse.Namespace) -> Answer:
    """Find the tracks that fit a film."""
    request = MatchRequest(arguments.top, arguments.text)
    answer = _open(arguments).match(arguments.video, request, progress_line())
    return {
        "query": str(arguments.video),
        "seconds_watching": answer.watching_s,
        "seconds_ranking": answer.ranking_s,
        "not_understood": answer.not_understood,
        "results": [asdict(found) for found in answer.results],
    }


def match_catalogue(arguments: argparse.Namespace) -> Answer:
    """Find the tracks that fit each film of files, folders and buckets; every bad film is named."""
    matching, request = _open(arguments), MatchRequest(arguments.top, arguments.text)
    films, errors = all_files(arguments.videos, matching.config.limits)
    found = match_all(matching, films, request, from_flags(arguments, Workers), progress_line())
    places = {film: place for place, film in enumerate(films)}
    reports = sorted(found, key=lambda report: places[report.path])
    return {
        "results": [{"path": r.path, "matches": [asdict(m) for m in r.answer.results]} for r in reports if r.answer],
        "errors": errors + [{"path": r.path, "error": r.error} for r in reports if r.error],
    }


def lay(arguments: argparse.Namespace) -> Answer:
    """Lay a track under a film."""
    matching = _open(arguments, create=True)
    config = from_flags(arguments, LayConfig)
    laid = matching.lay(arguments.video, arguments.track, arguments.out, config, progress_line())
    return {"results": [{"path": laid.out}], **asdict(laid)}


def list_tracks(arguments: argparse.Namespace) -> Answer:
    """List the library, newest first."""
    rows = []
    for record in _open(arguments).library.records():
        row = {name: getattr(record, name) for name in ("id", "path", "title", "duration_s")}
        facts = {name: record.attributes.get(name, "") for name in ("licence", "credit", "tempo_bpm", "keywords")}
        rows.append(row | facts)
    return {"results": rows}


def remove(arguments: argparse.Namespace) -> Answer:
    """Remove tracks; ids that are not there are named, and nothing is removed."""
    _open(arguments).remove(arguments.ids)
    return {"results": [{"id": track_id} for track_id in arguments.ids]}


def train(arguments: argparse.Namespace) -> Answer:
    """Train a model on sample videos and on games."""
    material = _material(arguments)
    how = from_flags(arguments, TrainConfig)
    towers = trained(training_set(material), from_flags(arguments, ModelConfig), how, arguments.out, progress_line())
    path = arguments.out / f"{WEIGHTS}.safetensors"
    save_model(towers, path, origin("music_matching"))
    (arguments.out / "manifest_files.toml").write_text(stanza(path), encoding="utf-8")
    return {"results": [{"path": str(path)}], **_told(material)}


def evaluate(arguments: argparse.Namespace) -> Answer:
    """Train with each game and film held out, and measure how well their music is found."""
    material = _material(arguments)
    sizes, how = from_flags(arguments, ModelConfig), from_flags(arguments, TrainConfig)
    workers = from_flags(arguments, Workers)
    lines = assess(material, Trainer(sizes, how), progress=progress_line(), how=workers)
    return {"results": [{"id": f"{x.direction}, {x.features}", **asdict(x)} for x in lines],
            "table": as_table(lines), **_told(material)}  # fmt: skip


def _open(arguments: argparse.Namespace, create: bool = False) -> MusicMatching:
    model = Model.from_file(arguments.model) if arguments.model else None
    return MusicMatching(arguments.library, from_flags(arguments, MatchConfig), model, create)


def _material(arguments: argparse.Namespace) -> Material:
    """All that the arguments name, looked at and listened to; what was done before is in the folder ``out``."""
    config = from_flags(arguments, MatchConfig)
    words = Words(config)
    cache = Cache(arguments.out / "features")
    collector = Collector(Watcher.load(config, words), Listener.load(config, words), cache)
    pairs, left_out = collector.films(arguments.samples, progress_line()) if arguments.samples else ([], [])
    pairs += collector.games(arguments.games, progress_line()) if arguments.games else []
    if not pairs:
        raise MediaOpenError("There is no pair of film and music to learn from; give sample videos or games.")
    candidates = collector.candidates(arguments.tracks, pairs) if arguments.tracks else {}
    captioned = collector.captioned(_captions(arguments.captions)) if arguments.captions else ([], None)
    return Material(tuple(pairs), candidates, tuple(captioned[0]), captioned[1], tuple(left_out), words.heard)


def _captions(table: Path) -> dict[Path, str]:
    """Files with captions, from a table: file, tab, caption; files lie beside the table.

    Raises:
        ParameterError: the table cannot be read, or holds nothing.
    """
    try:
        with table.open(encoding="utf-8", newline="") as stream:
            rows = [row for row in csv.reader(stream, delimiter="\t") if len(row) > 1 and row[1].strip()]
    except OSError as error:
        raise ParameterError(f"{table} cannot be read ({error.strerror}); give files with captions.") from error
    if not rows:
        raise ParameterError(f"{table} holds no captions; write a file, a tab and its caption in each line.")
    return {table.parent / row[0]: row[1] for row in rows}


def _told(material: Material) -> Answer:
    """How many pairs of each kind there are, and which samples were left out, and why."""
    return {
        "pairs": dict(Counter(f"{pair.kind} {pair.group}" for pair in material.pairs)),
        "tracks": len({pair.track for pair in material.pairs}),
        "candidates": len(material.candidates),
        "captioned": len(material.captioned),
        "left_out": [{"path": str(s.path), "reason": s.reason} for s in material.left_out],
    }


def _show_matches(answer: Answer) -> str:
    lines = []
    for row in answer["results"]:
        begin, end = row["window_s"]
        lines.append(f"{row['score']:6.3f}  {row['title']}  {begin:.1f}–{end:.1f} s  [{row['licence']}]  {row['path']}")
        lines.append(f"        {'; '.join(row['reasons'])}")
    return "\n".join(lines) or "The library is empty; add music with `python -m core.music_matching add`."


def _show_catalogue(answer: Answer) -> str:
    return "\n".join(f"{row['path']}\n{_show_matches({'results': row['matches']})}" for row in answer["results"])


def _show_rows(answer: Answer) -> str:
    return "\n".join("  ".join(str(row[n]) for n in ("id", "status", "path") if n in row) for row in answer["results"])


def _show_laid(answer: Answer) -> str:
    return f"{answer['out']}: {answer['duration_s']:.2f} s, {answer['loudness_lufs']:.1f} LUFS, {answer['mode']}"


def _show_table(answer: Answer) -> str:
    counted = ", ".join(f"{count} {name}" for name, count in answer["pairs"].items())
    return "\n".join([answer.get("table", ""), f"Pairs: {counted}; {answer['tracks']} tracks."])


def parser() -> argparse.ArgumentParser:
    """The command line of this tool."""
    top = argparse.ArgumentParser(prog="python -m core.music_matching", description="Find and lay music under films.")
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    _library_commands(commands)
    _film_commands(commands)
    for name in ("add", "match", "match-all", "lay", "list", "remove"):
        commands.choices[name].add_argument("--model", type=Path, help="a model that train wrote (default: embedded)")
        add_flags(commands.choices[name], MatchConfig)
    for name in ("add", "match-all"):
        add_flags(commands.choices[name], Workers)
    for name, handler in (("train", train), ("evaluate", evaluate)):
        _training_flags(command(commands, name, handler, _show_table, (handler.__doc__ or "").rstrip(".").lower()))
    add_flags(commands.choices["evaluate"], Workers)
    return top


def _library_commands(commands: argparse._SubParsersAction) -> None:
    adding = command(commands, "add", add, _show_rows, "add music to a library")
    adding.add_argument("library", help="folder or object-storage address of the library")
    adding.add_argument("tracks", nargs="+", metavar="TRACK", help="files or folders")
    adding.add_argument("--licence", default="", help="terms of these tracks (default: what the files say)")
    adding.add_argument("--credit", default="", help="whom to credit (default: what the files say)")
    listing = command(commands, "list", list_tracks, _show_rows, "list the tracks of a library")
    listing.add_argument("library")
    removing = command(commands, "remove", remove, _show_rows, "remove tracks from a library")
    removing.add_argument("library")
    removing.add_argument("ids", nargs="+", metavar="ID")


def _film_commands(commands: argparse._SubParsersAction) -> None:
    matching = command(commands, "match", match, _show_matches, "the tracks that fit a film")
    matching.add_argument("video", type=Path, metavar="VIDEO")
    catalogue = command(commands, "match-all", match_catalogue, _show_catalogue, "the tracks that fit each of films")
    catalogue.add_argument("videos", nargs="+", metavar="VIDEO", help="files, folders, or s3://bucket/prefix")
    for one in (matching, catalogue):
        one.add_argument("--library", required=True)
        one.add_argument("--top", type=int, default=5, help="how many (default: 5)")
        one.add_argument("--text", default="", help='what it should be like: "calmer, no vocals"')
    laying = command(commands, "lay", lay, _show_laid, "lay a track under a film")
    laying.add_argument("video", type=Path, metavar="VIDEO")
    laying.add_argument("track", type=Path, metavar="TRACK")
    laying.add_argument("--out", type=Path, required=True)
    laying.add_argument("--library", default="library/music", help="where the track may be known from")
    add_flags(laying, LayConfig)


def _training_flags(one: argparse.ArgumentParser) -> None:
    one.add_argument("samples", nargs="?", type=Path, metavar="FOLDER", help="sample videos with descriptions")
    one.add_argument("--games", type=Path, help="folder of unpacked games")
    one.add_argument("--tracks", type=Path, help="folder of further music, to choose from in an evaluation")
    one.add_argument("--captions", type=Path, help="table of films without music and their captions")
    one.add_argument("--out", type=Path, required=True, help="folder for features, checkpoint and model")
    for config in (MatchConfig, ModelConfig, TrainConfig):
        add_flags(one, config)


if __name__ == "__main__":
    sys.exit(run(parser(), before=lambda: plan_before_loading(["music_matching"])))
