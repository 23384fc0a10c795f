"""Everything that is looked at before a file leaves the house; each objection names its file and the remedy."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from core.deploy.card import CARD, front_matter, models, preloads
from core.deploy.files import Item
from core.deploy.licences import objections
from core.deploy.private import keys_in, private_by_name
from core.errors import PublishError, WeightsError
from core.weights import Manifest
from core.weights.catalogue import MANIFEST_FILE, read_manifest
from core.weights.checksum import mismatch

TOTAL_BYTES = 1_000_000_000
"""What a Space takes in all."""
TRAINED_BYTES = 40_000_000
"""The largest file of weights that were trained by this project."""
FOREIGN_BYTES = 100_000_000
"""The largest file of weights that others trained: what a git host takes."""
NEEDED = ("app.py", "requirements.txt", "packages.txt", "pyproject.toml", "LICENSE", CARD)
SHELF = "weights"


@dataclass(frozen=True)
class Problem:
    """Why something may not go up.

    Attributes:
        path: of the file or folder.
        error: the reason and the remedy, in a sentence.
    """

    path: str
    error: str


def review(root: Path, items: Sequence[Item]) -> list[Problem]:
    """All objections to a set of files, by path; an upload needs none."""
    manifests, unread = _manifests(root, items)
    found = [*unread, *_missing(items), *_private(root, items, _promised(manifests)), *_sizes(items, manifests)]
    for manifest in manifests:
        found += _weights(root, items, manifest)
    return sorted([*found, *_card(root, manifests)], key=lambda problem: problem.path)


def _manifests(root: Path, items: Sequence[Item]) -> tuple[list[Manifest], list[Problem]]:
    read, unread = [], []
    for item in items:
        path = PurePosixPath(item.path)
        if path.parts[0] == SHELF and path.name == MANIFEST_FILE:
            try:
                read.append(read_manifest(root / item.path))
            except WeightsError as error:
                unread.append(Problem(item.path, str(error)))
    held = {path.parts[1] for path in (PurePosixPath(item.path) for item in items) if path.parts[0] == SHELF}
    named = {manifest.name for manifest in read} | {PurePosixPath(problem.path).parts[1] for problem in unread}
    lost = [Problem(f"{SHELF}/{n}", f"It has no {MANIFEST_FILE}; nobody knows whose it is.") for n in held - named]
    return read, unread + lost


def _promised(manifests: Sequence[Manifest]) -> set[str]:
    return {f"{SHELF}/{manifest.name}/{file.path}" for manifest in manifests for file in manifest.files}


def _missing(items: Sequence[Item]) -> Iterator[Problem]:
    there = {item.path for item in items}
    for path in NEEDED:
        if path not in there:
            yield Problem(path, "A Space cannot do without it, and git does not track it; add it.")


def _private(root: Path, items: Sequence[Item], promised: set[str]) -> Iterator[Problem]:
    for item in items:
        if reason := private_by_name(item.path):
            yield Problem(item.path, f"It may not go up: {reason}; remove it from git.")
        if item.path not in promised:
            for line, what in keys_in(root / item.path):
                yield Problem(item.path, f"Line {line} holds {what}; remove it, and have a new one made.")


def _sizes(items: Sequence[Item], manifests: Sequence[Manifest]) -> Iterator[Problem]:
    trained = {manifest.name for manifest in manifests if manifest.training_command}
    if (total := sum(item.bytes for item in items)) > TOTAL_BYTES:
        yield Problem(".", f"All files together have {total} bytes, and a Space takes {TOTAL_BYTES}; take some out.")
    for item in items:
        parts = PurePosixPath(item.path).parts
        limit = TRAINED_BYTES if parts[0] == SHELF and parts[1] in trained else FOREIGN_BYTES
        if item.bytes > limit:
            yield Problem(item.path, f"It has {item.bytes} bytes, more than the {limit} allowed; make it smaller.")


def _weights(root: Path, items: Sequence[Item], manifest: Manifest) -> Iterator[Problem]:
    """Of weights that go up themselves: the promised bytes, and a licence to hand them on."""
    folder = f"{SHELF}/{manifest.name}/"
    beside = {item.path.removeprefix(folder) for item in items if item.path.startswith(folder)}
    going = [file for file in manifest.files if file.path in beside]
    for file in going:
        if wrong := mismatch(root / folder / file.path, file):
            yield Problem(folder + file.path, f"{wrong}; restore it with git.")
    if going:
        at_root = {item.path for item in items if "/" not in item.path}
        yield from (Problem(folder.rstrip("/"), told) for told in objections(manifest, beside, at_root))


def _card(root: Path, manifests: Sequence[Manifest]) -> Iterator[Problem]:
    try:
        told = front_matter(root)
    except PublishError as error:
        yield Problem(CARD, str(error))
        return
    wanted = {
        "sdk": "gradio",
        "app_file": "app.py",
        "models": models(manifests),
        "preload_from_hub": preloads(manifests),
    }
    for key, value in wanted.items():
        if told.get(key, []) != value:
            yield Problem(CARD, f"Its {key} is not what the project needs; run `python -m core.deploy card --write`.")
