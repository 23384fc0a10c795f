"""The command line: ``python -m core.deploy space OWNER/NAME [--dry-run] | card [--write]``."""

import argparse
import sys
from pathlib import Path

from core.command_line import Answer, add_flags, command, from_flags, run
from core.deploy.card import CARD, models, preloads, with_models
from core.deploy.files import going_up, modified, revision_of
from core.deploy.review import TOTAL_BYTES, review
from core.deploy.space import SpaceConfig, publish
from core.errors import PublishError
from core.weights import all_manifests

ROOT = Path(__file__).resolve().parents[2]


def main(argv: list[str] | None = None) -> int:
    """Run one command and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m core.deploy", description="Put the project on a Space.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    space = command(commands, "space", to_space, show_space, "List what goes up to a Space, look it over, upload it.")
    space.add_argument("repository", metavar="OWNER/NAME", help="the Space; it is made where there is none")
    space.add_argument("--dry-run", action="store_true", help="list and look over, and ask nobody")
    space.add_argument("--root", type=Path, default=ROOT, help=argparse.SUPPRESS)
    add_flags(space, SpaceConfig)
    card = command(commands, "card", write_card, show_card, f"Compare the models in {CARD} with the manifests.")
    card.add_argument("--write", action="store_true", help="write them there")
    card.add_argument("--root", type=Path, default=ROOT, help=argparse.SUPPRESS)
    return run(parser, argv)


def to_space(arguments: argparse.Namespace) -> Answer:
    """Every file that goes up and every objection; uploaded only without ``--dry-run`` and without objections."""
    config, root = from_flags(arguments, SpaceConfig), arguments.root.resolve()
    items, revision, changed = going_up(root), revision_of(root), modified(root)
    found = review(root, items)
    answer: Answer = {
        "repository": config.repository,
        "revision": revision,
        "modified": changed,
        "results": [{"path": i.path, "bytes": i.bytes, "large": i.large} for i in items],
        "bytes": sum(item.bytes for item in items),
        "errors": [{"path": p.path, "error": f"{p.path}: {p.error}"} for p in found],
        "published": None,
    }
    if arguments.dry_run or found:
        return answer
    if changed:
        raise PublishError(f"{', '.join(changed[:5])} differ from the last commit; commit them, then deploy.")
    return answer | {"published": publish(root, items, config, revision)}


def show_space(answer: Answer) -> str:
    """One line per file, then the sum, then what was done."""
    lines = [f"{row['bytes']:>12,}  {'large' if row['large'] else '     '}  {row['path']}" for row in answer["results"]]
    large = sum(row["large"] for row in answer["results"])
    share = 100 * answer["bytes"] / TOTAL_BYTES
    lines.append(
        f"{answer['bytes']:>12,}  {len(answer['results'])} files, {large} of them large; "
        f"{share:.0f} % of what a Space takes; revision {answer['revision'][:12]}"
    )
    if changed := answer["modified"]:
        lines.append(f"not committed: {', '.join(changed[:5])}{f' and {len(changed) - 5} more' * (len(changed) > 5)}")
    if done := answer["published"]:
        lines.append(f"{done.url} is at {done.commit[:12]}; removed there: {', '.join(done.removed) or 'nothing'}")
    return "\n".join(lines)


def write_card(arguments: argparse.Namespace) -> Answer:
    """What the manifests want the README to say, and whether it does."""
    path, manifests = arguments.root.resolve() / CARD, all_manifests()
    before = path.read_text("utf-8")
    after = with_models(before, manifests)
    if arguments.write and after != before:
        path.write_text(after, "utf-8")
    differs = {"path": CARD, "error": f"{CARD} says something else; run `python -m core.deploy card --write`."}
    errors = [differs] if after != before and not arguments.write else []
    return {"models": models(manifests), "preload_from_hub": preloads(manifests), "errors": errors}


def show_card(answer: Answer) -> str:
    """The lines of ``preload_from_hub``."""
    return "\n".join(answer["preload_from_hub"])


if __name__ == "__main__":
    sys.exit(main())
