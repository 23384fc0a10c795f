"""From a name to a verified file: ``weights/<name>/`` first, then the Hub."""

import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from core.errors import ChecksumMismatchError, ParameterError, WeightsError, WeightsNotFoundError
from core.runtime import Progress, silent
from core.weights import hub
from core.weights.catalogue import find_manifest, weights_folder
from core.weights.checksum import demand_right_file
from core.weights.formats import SAFETENSORS
from core.weights.manifest import Manifest, WeightFile

UNPINNED_VARIABLE = "SHOWREEL_ALLOW_UNPINNED"
_log = logging.getLogger(__name__)


def weights_path(name: str, file: str | None = None, progress: Progress = silent) -> Path:
    """The verified file, or the folder that holds all files of a manifest.

    A folder suits ``from_pretrained(path, local_files_only=True, use_safetensors=True)``. Digests are computed on the
    first use in a process (0.3 s for all that is embedded) and remembered while size and time of change stay.

    Args:
        name: of the weights, as in ``weights/<name>/manifest.toml``.
        file: a path of the manifest, or None for the folder.
        progress: told of bytes written, bytes in all and the file's path while something is downloaded.

    Raises:
        WeightsNotFoundError: no such name or file, neither here nor on the Hub, or the manifest is not pinned.
        WeightsAccessError: the repository is gated or private.
        ChecksumMismatchError: the bytes are not the promised ones, here and after a fresh download.
    """
    manifest = find_manifest(name)
    if not manifest.pinned and os.environ.get(UNPINNED_VARIABLE) != "1":
        raise WeightsNotFoundError(
            f"{name} is not pinned: its manifest names no commit or no digests. Run `python -m core.weights fetch "
            f"{name} --pin` once, or set {UNPINNED_VARIABLE}=1 to load it unchecked."
        )
    if file is not None:
        return _located(manifest, [manifest.file(file)], progress)[0]
    first = manifest.files[0].path
    path = _located(manifest, manifest.files, progress)[0]
    return path.parents[len(PurePosixPath(first).parts) - 1]


def load_tensors(name: str, file: str, dtype: torch.dtype | None = None) -> dict[str, torch.Tensor]:
    """The tensors of a verified safetensors file, on the CPU.

    Args:
        name: of the weights.
        file: a ``.safetensors`` path of the manifest.
        dtype: floating-point tensors are cast to it, such as ``torch.float32`` for files kept in float16; None: as is.

    Raises:
        ParameterError: the file is of another format.
        WeightsError: as `weights_path`, or the file is not safetensors inside.
    """
    if not file.endswith(SAFETENSORS):
        raise ParameterError(f"{file} of {name} is not {SAFETENSORS}; torch networks load from nothing else.")
    path = weights_path(name, file)
    try:
        tensors: dict[str, torch.Tensor] = load_file(path)
    except SafetensorError as error:
        raise WeightsError(f"{path} of {name} is not safetensors inside ({error}); convert it again.") from error
    if dtype is None:
        return tensors
    return {key: tensor.to(dtype) if tensor.is_floating_point() else tensor for key, tensor in tensors.items()}


def _located(manifest: Manifest, files: Sequence[WeightFile], progress: Progress) -> list[Path]:
    """All files from ``weights/``; when one is missing or wrong there, all from the Hub."""
    try:
        return [_local(manifest, file) for file in files]
    except (WeightsNotFoundError, ChecksumMismatchError) as error:
        if manifest.repository is None:
            raise
        if isinstance(error, ChecksumMismatchError):
            _log.warning("%s", error)
    return from_hub(manifest, files, progress)


def _local(manifest: Manifest, file: WeightFile) -> Path:
    path = weights_folder() / manifest.name / file.path
    if not path.is_file():
        raise WeightsNotFoundError(f"{path} is missing. {remedy(manifest)}")
    return demand_right_file(path, file, remedy(manifest))


def from_hub(manifest: Manifest, files: Sequence[WeightFile], progress: Progress) -> list[Path]:
    """The verified files from the Hub's cache, or else downloaded; ``progress`` counts the bytes of all of them.

    Raises:
        WeightsError: as `weights_path`.
    """
    total = sum(file.bytes or 0 for file in files)
    done, paths = 0, []
    for file in files:

        def report(written: int, before: int = done, what: str = file.path) -> None:
            progress(before + written, max(total, before + written), what)

        paths.append(_one_from_hub(manifest, file, report))
        done += paths[-1].stat().st_size
        report(paths[-1].stat().st_size)
    return paths


def _one_from_hub(manifest: Manifest, file: WeightFile, report: Callable[[int], None]) -> Path:
    """A wrong file, out of the cache or just downloaded, is moved aside and downloaded afresh, once."""
    path = hub.cached(manifest, file.path) or hub.download(manifest, file.path, report)
    try:
        return demand_right_file(path, file, remedy(manifest))
    except ChecksumMismatchError as error:
        if hub.offline():
            raise
        _log.warning("%s", error)
    return demand_right_file(hub.download(manifest, file.path, report), file, _again_wrong(manifest))


def _again_wrong(manifest: Manifest) -> str:
    return f"So was a fresh download: look for a proxy that alters files, or correct the manifest of {manifest.name}."


def remedy(manifest: Manifest) -> str:
    """What to do about a missing or wrong file, as the closing sentence of a message."""
    if manifest.repository is None:
        return f"Restore it with `git checkout -- weights/{manifest.name}` (and `git lfs pull` where that is in use)."
    return f"Run `python -m core.weights fetch {manifest.name}`."
