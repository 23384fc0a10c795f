"""What is here and what is not: for people and for `python -m core.weights`."""

from typing import Literal

from core.weights import hub
from core.weights.catalogue import weights_folder
from core.weights.checksum import is_right, mismatch
from core.weights.manifest import Manifest
from core.weights.resolve import remedy

Place = Literal["weights/", "cache", "missing"]
State = Literal["verified", "wrong", "missing"]


def whereabouts(manifest: Manifest) -> Place:
    """Where all files of a manifest lie, unchecked: ``weights/``, the Hub's ``cache``, or not all in one place."""
    if all((weights_folder() / manifest.name / file.path).is_file() for file in manifest.files):
        return "weights/"
    return "cache" if all(hub.cached(manifest, file.path) for file in manifest.files) else "missing"


def state(manifest: Manifest) -> State:
    """Are all files here, and the promised ones? A digest is computed once a process, as for `weights_path`."""
    local = [weights_folder() / manifest.name / file.path for file in manifest.files]
    found = [
        path if path.is_file() else hub.cached(manifest, file.path)
        for path, file in zip(local, manifest.files, strict=True)
    ]
    if None in found:
        return "missing"
    right = all(is_right(path, file) for path, file in zip(found, manifest.files, strict=True) if path)
    return "verified" if right else "wrong"


def problems(manifest: Manifest) -> list[str]:
    """One line for each file that is missing or wrong; digests are computed afresh, and nothing is moved."""
    found = []
    for file in manifest.files:
        local = weights_folder() / manifest.name / file.path
        path = local if local.is_file() else hub.cached(manifest, file.path)
        trouble = f"{local} is missing" if path is None else mismatch(path, file)
        if trouble:
            found.append(f"{manifest.name}: {trouble}. {remedy(manifest)}")
    return found
