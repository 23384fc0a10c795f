"""Complete a manifest that was written without asking the Hub."""

from dataclasses import replace

from core.digest import sha256_of
from core.errors import WeightsNotFoundError
from core.runtime import Progress, silent
from core.weights import hub
from core.weights.catalogue import MANIFEST_FILE, find_manifest, weights_folder, write_manifest
from core.weights.manifest import Manifest, WeightFile
from core.weights.resolve import from_hub


def pin(name: str, progress: Progress = silent) -> Manifest:
    """Complete a manifest by what the Hub says now: commit, digests and sizes; rewrite it, and fetch its files.

    The Hub states the sha256 of large files; that of small ones is computed from the download.

    Returns:
        The manifest as written; one that is pinned already is returned untouched.

    Raises:
        WeightsError: as `weights_path`.
    """
    manifest = find_manifest(name)
    if manifest.pinned:
        return manifest
    state = hub.repository_state(manifest)
    stated = {sibling.rfilename: sibling for sibling in state.siblings or []}
    if missing := [file.path for file in manifest.files if file.path not in stated]:
        raise WeightsNotFoundError(
            f"Repository {manifest.repository} at {state.sha} has no {', '.join(missing)}; "
            f"correct the manifest of {name}."
        )
    entries = []
    for file in manifest.files:
        lfs = stated[file.path].lfs
        entries.append(WeightFile(file.path, lfs.sha256 if lfs else None, stated[file.path].size))
    fixed = replace(manifest, revision=str(state.sha), files=tuple(entries))
    paths = from_hub(fixed, fixed.files, progress)
    digests = [file.sha256 or sha256_of(path) for file, path in zip(entries, paths, strict=True)]
    sizes = [path.stat().st_size for path in paths]
    files = tuple(map(WeightFile, (file.path for file in entries), digests, sizes))
    fixed = replace(fixed, files=files)
    write_manifest(fixed, weights_folder() / name / MANIFEST_FILE)
    return fixed
