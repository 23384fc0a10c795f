"""The command line: ``python -m core.weights list | fetch [NAME…] | verify [NAME…] | plan [TOOL…]``."""

import argparse
import sys
from typing import Any

from core.command_line import Answer, command, progress_line, run
from core.errors import ParameterError, WeightsError
from core.runtime import current_profile
from core.weights.catalogue import MANIFEST_FILE, all_manifests, find_manifest, weights_folder
from core.weights.inventory import problems, whereabouts
from core.weights.manifest import Manifest
from core.weights.pin import pin
from core.weights.plan import TOOLS, as_answer, memory_plan, show_plan
from core.weights.resolve import weights_path


def main(argv: list[str] | None = None) -> int:
    """Run one command and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m core.weights", description="The files of trained networks.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    command(commands, "list", list_weights, show_table, "List all weights and where they are.")
    fetch = command(commands, "fetch", fetch_weights, show_table, "Bring weights here from the Hub, and verify them.")
    fetch.add_argument("--pin", action="store_true", help="ask the Hub for commit and digests; rewrites the manifest")
    verify = command(commands, "verify", verify_weights, show_table, "Compute every digest afresh; moves nothing.")
    for parser_of_names in (fetch, verify):
        parser_of_names.add_argument("names", nargs="*", metavar="NAME", help="default: all that the profile needs")
    planning = command(commands, "plan", plan, show_plan, "Say what the networks of each tool take in memory.")
    planning.add_argument("tools", nargs="*", metavar="TOOL", help=f"default: all, that is {', '.join(TOOLS)}")
    return run(parser, argv)


def list_weights(arguments: argparse.Namespace) -> Answer:
    """Every manifest."""
    return {"weights": [_entry(manifest) for manifest in all_manifests()]}


def fetch_weights(arguments: argparse.Namespace) -> Answer:
    """Bring each one here; one that fails does not keep the next from being fetched."""
    if arguments.pin and not arguments.names:
        raise ParameterError("--pin rewrites manifests; name those that it may rewrite.")
    names = [manifest.name for manifest in _chosen(arguments)]
    errors, wrote = [], []
    for name in names:
        try:
            if arguments.pin and not find_manifest(name).pinned:
                pin(name, progress_line())
                wrote.append(weights_folder() / name / MANIFEST_FILE)
            weights_path(name, progress=progress_line())
        except WeightsError as error:
            errors.append({"name": name, "error": str(error)})
    return {"weights": [_entry(find_manifest(name)) for name in names], "wrote": wrote, "errors": errors}


def verify_weights(arguments: argparse.Namespace) -> Answer:
    """Every file that is missing or wrong is an error."""
    chosen = _chosen(arguments)
    errors = [{"name": m.name, "error": problem} for m in chosen for problem in problems(m)]
    return {"weights": [_entry(manifest) for manifest in chosen], "errors": errors}


def plan(arguments: argparse.Namespace) -> Answer:
    """What fits into the memory that is free now; nothing is loaded or fetched."""
    return as_answer(memory_plan(arguments.tools or TOOLS))


def _chosen(arguments: argparse.Namespace) -> list[Manifest]:
    """Those named; or those of the profile, where ``hub`` builds upon ``embedded``."""
    if arguments.names:
        return [find_manifest(name) for name in arguments.names]
    hub = current_profile() == "hub"
    return [manifest for manifest in all_manifests() if hub or manifest.profile == "embedded"]


def _entry(manifest: Manifest) -> dict[str, Any]:
    return {
        "name": manifest.name,
        "revision": manifest.revision,
        "licence": manifest.licence,
        "sha256": manifest.sha256,
        "profile": manifest.profile,
        "pinned": manifest.pinned,
        "bytes": manifest.bytes,
        "where": whereabouts(manifest),
        "repository": manifest.repository,
        "source": manifest.source,
    }


def show_table(answer: Answer) -> str:
    """One line per manifest, then what was written."""
    lines = [
        f"{entry['name']:28} {entry['profile']:9} {_megabytes(entry['bytes']):>11} {entry['where']:9} "
        f"{entry['revision'][:12]:13} {'' if entry['pinned'] else 'NOT PINNED, '}{entry['licence']}"
        for entry in answer["weights"]
    ]
    lines += [f"wrote {path}" for path in answer.get("wrote", [])]
    return "\n".join(lines)


def _megabytes(size: int | None) -> str:
    return "?" if size is None else f"{size / 1e6:.1f} MB"


if __name__ == "__main__":
    sys.exit(main())
