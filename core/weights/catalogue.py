"""The manifests that there are: find, read and write them."""

import json
import os
import tomllib
from dataclasses import fields
from pathlib import Path
from typing import Any
from uuid import uuid4

from core.errors import WeightsError, WeightsNotFoundError
from core.weights.manifest import Manifest, WeightFile

FOLDER_VARIABLE = "SHOWREEL_WEIGHTS"
MANIFEST_FILE = "manifest.toml"


def weights_folder() -> Path:
    """The folder of weights: ``SHOWREEL_WEIGHTS``, or ``weights/`` at the root of the repository."""
    chosen = os.environ.get(FOLDER_VARIABLE)
    return Path(chosen) if chosen else Path(__file__).resolve().parents[2] / "weights"


def find_manifest(name: str) -> Manifest:
    """The manifest of that name.

    Raises:
        WeightsNotFoundError: there is none; the message lists those there are.
        WeightsError: it cannot be read.
    """
    known = [path.parent.name for path in _manifest_files()]
    if name not in known:
        listed = ", ".join(known) or "none"
        raise WeightsNotFoundError(f"{weights_folder()} has no weights named {name!r}; there are: {listed}.")
    return read_manifest(weights_folder() / name / MANIFEST_FILE)


def all_manifests() -> list[Manifest]:
    """Every manifest of the weights folder, by name.

    Raises:
        WeightsError: one of them cannot be read.
    """
    return [read_manifest(path) for path in _manifest_files()]


def _manifest_files() -> list[Path]:
    return sorted(weights_folder().glob(f"*/{MANIFEST_FILE}"))


def read_manifest(path: Path) -> Manifest:
    """Read and check one manifest.

    Raises:
        WeightsError: it is not TOML, a key is missing, unknown or has a wrong form, or its name is not its folder's.
    """
    try:
        table = tomllib.loads(path.read_text("utf-8"))
        files = table.get("files", [])
        if not (isinstance(files, list) and all(isinstance(file, dict) for file in files)):
            raise WeightsError("files is not a list; write one [[files]] table per file.")
        entries = tuple(WeightFile(**_checked_keys(file, WeightFile, {"path"})) for file in files)
        required = {"name", "profile", "licence", "source", "revision", "files"}
        manifest = Manifest(**{**_checked_keys(table, Manifest, required), "files": entries})
        if manifest.name != path.parent.name:
            raise WeightsError(f"name is {manifest.name!r} but the folder is {path.parent.name!r}; make them equal.")
    except (WeightsError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise WeightsError(f"{path}: {error}") from error
    return manifest


def _checked_keys(table: dict[str, Any], kind: type, required: set[str]) -> dict[str, Any]:
    known = {field.name for field in fields(kind)}
    if missing := sorted(required - table.keys()):
        raise WeightsError(f"{', '.join(missing)} is missing; add it.")
    if unknown := sorted(table.keys() - known):
        raise WeightsError(f"{', '.join(unknown)} is not a key of a manifest; remove it or correct its spelling.")
    return table


def write_manifest(manifest: Manifest, path: Path) -> None:
    """Write a manifest beside its place and rename it; comments of an earlier one are not kept."""
    blocks = [_toml(manifest)] + ["[[files]]\n" + _toml(file) for file in manifest.files]
    beside = path.with_name(f".{path.name}.{uuid4().hex[:8]}")
    try:
        beside.write_text("\n".join(blocks), "utf-8")
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def _toml(entry: Manifest | WeightFile) -> str:
    """``key = value`` lines; a JSON string is a TOML basic string, but for the character 0x7f."""
    values = {field.name: getattr(entry, field.name) for field in fields(entry) if field.name != "files"}
    lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}\n" for key, value in values.items() if value is not None]
    return "".join(lines).replace("\x7f", "\\u007f")
