"""Small weights for tests: their files, and the manifests that promise them."""

import hashlib
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save

from core.weights import Manifest, WeightFile
from core.weights.catalogue import write_manifest
from tests.weights.hub_double import HubDouble

REPOSITORY = "somebody/toy"


def toy_files(numbers: int = 16) -> dict[str, bytes]:
    """A network of float16 and int64 tensors beside its settings."""
    tensors = {"layer.weight": torch.arange(numbers, dtype=torch.float16), "steps": torch.tensor([7])}
    return {"text/config.json": b'{"layers": 1}', "model.safetensors": save(tensors)}


def promise(folder: Path, files: dict[str, bytes], **keys: Any) -> Manifest:
    """Write the manifest of ``toy`` (embedded unless the keys say otherwise), but none of its files."""
    entries = tuple(WeightFile(path, hashlib.sha256(data).hexdigest(), len(data)) for path, data in files.items())
    given = {"name": "toy", "profile": "embedded", "licence": "MIT", "source": "made in a test", "revision": "1"}
    manifest = Manifest(**{**given, "files": entries, **keys})
    (folder / manifest.name).mkdir(parents=True, exist_ok=True)
    write_manifest(manifest, folder / manifest.name / "manifest.toml")
    return manifest


def lay(folder: Path, files: dict[str, bytes]) -> None:
    """Write files into a folder."""
    for path, data in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)


def publish(hub: HubDouble, folder: Path, files: dict[str, bytes], **keys: Any) -> Manifest:
    """Put files on the double, and their pinned manifest of the hub profile into the weights folder."""
    lay(hub.root / REPOSITORY, files)
    given = {"profile": "hub", "repository": REPOSITORY, "revision": hub.commit(REPOSITORY)}
    return promise(folder, files, **{**given, **keys})
