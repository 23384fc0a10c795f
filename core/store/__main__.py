"""The command line: ``python -m core.store migrate FROM TO [--json]``."""

import argparse
import sys

from core.command_line import Answer, command, progress_line, run
from core.store.migration import migrate


def main(argv: list[str] | None = None) -> int:
    """Run one command and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m core.store", description="Libraries as they are stored.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    moving = command(
        commands,
        "migrate",
        migrate_library,
        show_migration,
        "Copy an address's libraries to another, and compare.",
    )
    moving.add_argument("source", metavar="FROM", help="a folder, s3://bucket/prefix or milvus://host:port/prefix")
    moving.add_argument("target", metavar="TO", help="likewise; made when nothing is there; FROM is never changed")
    return run(parser, argv)


def migrate_library(arguments: argparse.Namespace) -> Answer:
    """Copy, compare and tell."""
    done = migrate(arguments.source, arguments.target, progress_line())
    results = [
        {
            "id": f"{library.kind} {library.encoder}",
            "kind": library.kind,
            "encoder": library.encoder,
            "records": library.records,
            "added": library.added,
            "replaced": library.replaced,
            "kept": library.kept,
            "others": library.others,
            "sha256": library.digest,
        }
        for library in done.libraries
    ]
    return {"from": done.source, "to": done.target, "results": results, "settings": done.settings}


def show_migration(answer: Answer) -> str:
    """One line per library, then what it means."""
    lines = [
        f"{entry['id']}: {entry['records']} records compared and the same ({entry['added']} added,"
        f" {entry['replaced']} replaced, {entry['kept']} there already, {entry['others']} others left as they are),"
        f" sha256 {entry['sha256'][:16]}"
        for entry in answer["results"]
    ]
    return "\n".join([*lines, f"{answer['settings']} settings; {answer['from']} was only read."])


if __name__ == "__main__":
    sys.exit(main())
