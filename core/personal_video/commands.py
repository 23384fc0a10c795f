"""The commands ``concept``, ``generate``, ``generate-all`` and ``enlarge`` of ``python -m core.personal_video``."""

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

from core.bulk import Workers
from core.command_line import Answer, add_flags, command, from_flags, progress_line
from core.errors import ParameterError
from core.personal_video.bulk import GenerateJob, generate_all, rows_of
from core.personal_video.concepts import Concept, ConceptDatabase
from core.personal_video.config import ConceptConfig, VideoConfig
from core.personal_video.exchange import export_concepts, import_concepts
from core.personal_video.pipeline import GenerateRequest, PersonalVideoPipeline, engine_of
from core.personal_video.redilation import EnlargeConfig
from core.personal_video.results import GeneratedVideo
from core.runtime import below_home, current_profile

LIBRARY = "library/concepts"
LARGER = " larger"
"""What the name of a larger video ends in, unless another file is named."""


def adding(arguments: argparse.Namespace) -> Answer:
    """Add a concept, or give one further pictures."""
    database = _database(arguments)
    add = database.add_pictures if arguments.more else database.add
    return _listed([add(arguments.word, arguments.images)])


def listing(arguments: argparse.Namespace) -> Answer:
    """List all concepts, the newest first."""
    return _listed(_database(arguments).concepts())


def removing(arguments: argparse.Namespace) -> Answer:
    """Remove concepts, with their pictures."""
    database = _database(arguments)
    for word in arguments.words:
        database.concept(word)
    return _listed([database.remove(word) for word in arguments.words])


def renaming(arguments: argparse.Namespace) -> Answer:
    """Give a concept another word."""
    return _listed([_database(arguments).rename(arguments.word, arguments.new_word)])


def previewing(arguments: argparse.Namespace) -> Answer:
    """Cut the subjects out of pictures into a folder, and keep nothing in the database."""
    if not arguments.out.is_dir():
        raise ParameterError(f"The folder {arguments.out} does not exist; create it, or write elsewhere.")
    seen = _database(arguments).preview(arguments.images)
    rows = []
    for number, cutout in enumerate(seen.cutouts):
        file = arguments.out / f"cutout-{number}.png"
        file.write_bytes(cutout.png())
        rows.append({"path": file, "source": cutout.source, "way": cutout.way})
    return {"results": rows, "errors": [{"error": sentence} for sentence in seen.refused]}


def exporting(arguments: argparse.Namespace) -> Answer:
    """Write concepts into one file."""
    out = export_concepts(_database(arguments), arguments.out, arguments.words or None)
    return {"results": [{"path": out}]}


def importing(arguments: argparse.Namespace) -> Answer:
    """Add the concepts of an exported file."""
    return _listed(import_concepts(_database(arguments), arguments.file, arguments.replacing))


def generating(arguments: argparse.Namespace) -> Answer:
    """Make a video from a prompt, an image or both."""
    request = GenerateRequest(arguments.prompt, arguments.image, arguments.shows, arguments.seed)
    pipeline = _pipeline(arguments)
    return _made(pipeline.generate(request, arguments.out, from_flags(arguments, VideoConfig), progress_line()))


def generating_all(arguments: argparse.Namespace) -> Answer:
    """Make the video of every row of a table; every bad row is named, and the rest are made all the same."""
    rows = rows_of(arguments.table, arguments.out)
    arguments.out.mkdir(parents=True, exist_ok=True)
    job = GenerateJob(below_home(arguments.library), from_flags(arguments, VideoConfig), arguments.few_steps)
    found = {one.row: one for one in generate_all(rows, job, from_flags(arguments, Workers), progress_line())}
    made = [(row.out, found[row].made) for row in rows if not found[row].error]
    return {
        "results": [{"path": out, "status": "made" if one else "known", **(asdict(one) if one else {})}
                    for out, one in made],
        "errors": [{"path": row.out, "error": found[row].error} for row in rows if found[row].error],
    }  # fmt: skip


def enlarging(arguments: argparse.Namespace) -> Answer:
    """Make the larger video from one that `generate` wrote."""
    first: Path = arguments.video
    out = arguments.out or first.with_name(f"{first.stem}{LARGER}.mp4")
    usual = from_flags(arguments, EnlargeConfig)
    how = None if usual == EnlargeConfig() else usual
    return _made(_pipeline(arguments).enlarge(first, out, arguments.image, how, progress_line()))


def _made(video: GeneratedVideo) -> Answer:
    return {
        "results": [{"path": video.out}],
        "out": video.out,
        "duration_s": video.duration_s,
        "seconds_taken": video.seconds_taken,
        "mode": video.mode,
        "mode_means": video.sentence,
        "seed": video.seed,
        "size_px": [video.frames.shape[2], video.frames.shape[1]],
        "words": list(video.settings.words),
        "notes": list(video.notes),
    }


def _listed(concepts: list[Concept]) -> Answer:
    return {
        "results": [
            {"id": concept.id, "word": concept.word, "pictures": len(concept.cutout_ids), "added_at": concept.added_at}
            for concept in concepts
        ]
    }


def _database(arguments: argparse.Namespace) -> ConceptDatabase:
    return ConceptDatabase(below_home(arguments.library), None, from_flags(arguments, ConceptConfig))


def _pipeline(arguments: argparse.Namespace) -> PersonalVideoPipeline:
    engine = engine_of(current_profile(), arguments.few_steps)
    return PersonalVideoPipeline(below_home(arguments.library), engine)


def add_commands(commands: Any) -> None:
    """Add the commands."""
    concept = commands.add_parser("concept", help="keep a user's own subjects", description="Keep subjects by a word.")
    _add_concept_commands(concept.add_subparsers(required=True, metavar="COMMAND"))
    one = command(commands, "generate", generating, _show_made, "make a video from a prompt, an image or both")
    one.add_argument("prompt", nargs="?", default="", metavar="PROMPT", help="may be left out where there is an image")
    one.add_argument("--out", type=Path, required=True, help="the file, .mp4")
    one.add_argument(
        "--shows", default="", metavar="WORD", help='the concept that the image shows; "-": something else'
    )
    one.add_argument("--seed", type=int, help="0 to 2**32 - 1 (default: by lot, and told)")
    add_flags(one, VideoConfig)
    many = command(commands, "generate-all", generating_all, _show_rows, "make a video of every row of a table")
    many.add_argument(
        "table", type=Path, metavar="ROWS.csv", help="columns prompt, image, shows, seed and out, each where wanted"
    )
    many.add_argument("--out", type=Path, required=True, help="folder for the videos; those that are there are kept")
    add_flags(many, Workers)
    add_flags(many, VideoConfig)
    two = command(commands, "enlarge", enlarging, _show_made, "make the larger video from one that generate wrote")
    two.add_argument("video", type=Path, metavar="VIDEO")
    two.add_argument("--out", type=Path, help=f'the file, .mp4 (default: beside it, its name with "{LARGER}")')
    add_flags(two, EnlargeConfig)
    for each in (one, two):
        each.add_argument("--image", type=Path, help="a picture; for enlarge the one that the video was made with")
    for each in (one, many, two):
        each.add_argument("--few-steps", action="store_true", help="hub profile: sample by LCM-LoRA in a few steps")
        _add_library(each)


def _add_concept_commands(commands: Any) -> None:
    """Add those of the concept database."""
    add = command(commands, "add", adding, _show_concepts, "add a concept with pictures of it")
    add.add_argument("word", metavar="WORD")
    add.add_argument("--more", action="store_true", help="further pictures of a concept that is there")
    preview = command(commands, "preview", previewing, _show_files, "show what would be cut out of pictures")
    preview.add_argument("--out", type=Path, required=True, help="folder for the cut-outs")
    for one in (add, preview):
        one.add_argument("images", nargs="+", type=Path, metavar="IMAGE")
    remove = command(commands, "remove", removing, _show_concepts, "remove concepts")
    remove.add_argument("words", nargs="+", metavar="WORD")
    rename = command(commands, "rename", renaming, _show_concepts, "give a concept another word")
    rename.add_argument("word", metavar="WORD")
    rename.add_argument("new_word", metavar="NEW_WORD")
    export = command(commands, "export", exporting, _show_files, "write concepts into one file")
    export.add_argument("out", type=Path, metavar="FILE.zip")
    export.add_argument("words", nargs="*", metavar="WORD", help="which (default: all)")
    bring = command(commands, "import", importing, _show_concepts, "add the concepts of an exported file")
    bring.add_argument("file", type=Path, metavar="FILE.zip")
    bring.add_argument("--replacing", action="store_true", help="give concepts that are there the file's pictures")
    every = command(commands, "list", listing, _show_concepts, "list all concepts")
    for one in (add, preview, remove, rename, export, bring, every):
        _add_library(one)
        add_flags(one, ConceptConfig)


def _add_library(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--library", default=LIBRARY, help=f"folder or object-storage address of the concepts (default: {LIBRARY})"
    )


def _show_concepts(answer: Answer) -> str:
    return "\n".join(
        f"{row['word']}  {row['pictures']} picture{'' if row['pictures'] == 1 else 's'}" for row in answer["results"]
    )


def _show_files(answer: Answer) -> str:
    return "\n".join(str(row["path"]) for row in answer["results"])


def _show_rows(answer: Answer) -> str:
    return "\n".join(f"{row['status']}  {row['path']}" for row in answer["results"])


def _show_made(answer: Answer) -> str:
    width, height = answer["size_px"]
    lines = [
        f"{answer['out']}\n{width} × {height}, {answer['duration_s']:.1f} s, in {answer['seconds_taken']:.1f} s; seed "
        f"{answer['seed']}",
        f"mode {answer['mode']}: {answer['mode_means']}",
    ]
    return "\n".join([*lines, *answer["notes"]])
