"""The door to the Hub: its cache, its downloads, and its errors in our words.

Redirects, resuming a cut download and the cache's layout are the work of huggingface_hub. Settings are its own too
(``HF_ENDPOINT``, ``HF_HUB_CACHE``, ``HF_HUB_OFFLINE``, ``HF_HUB_ETAG_TIMEOUT``), read at each call, so that a change
after the import counts. What the client keeps when the *process* dies are the finished files; the one it was at
starts again.

With a home (`core.runtime.home`) the cache lies there, unless ``HF_HUB_CACHE`` says otherwise; what a Space loaded into
the client's own cache while it was built is then used from there.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from huggingface_hub import HfApi, constants, hf_hub_download, hf_hub_url, try_to_load_from_cache
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HTTPError,
    OfflineModeIsEnabled,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.hf_api import ModelInfo

from core.errors import WeightsAccessError, WeightsError, WeightsNotFoundError
from core.runtime import home
from core.weights.manifest import Manifest

ANSWER_TIMEOUT_S = 4.0
_PAUSE_S = 0.5
_LOG_IN = "accept the licence of {repository} on its page, then log in with `hf auth login`"
_Result = TypeVar("_Result")


def offline() -> bool:
    """True when ``HF_HUB_OFFLINE`` forbids requests."""
    chosen = os.environ.get("HF_HUB_OFFLINE", str(constants.is_offline_mode()))
    return chosen.upper() in constants.ENV_VARS_TRUE_VALUES


def cached(manifest: Manifest, path: str) -> Path | None:
    """That file in the Hub's cache, unchecked, or None; asks nobody."""
    if manifest.repository is None:
        return None
    loaded_before = Path(constants.HF_HUB_CACHE)
    if _cache() != loaded_before and all(_found(manifest, file.path, loaded_before) for file in manifest.files):
        return _found(manifest, path, loaded_before)
    return _found(manifest, path, _cache())


def download(manifest: Manifest, path: str, report: Callable[[int], None]) -> Path:
    """Bring one file of the manifest's repository into the Hub's cache.

    Args:
        manifest: one with a repository.
        path: the file in it.
        report: is told the bytes written so far; what it raises stops the download.

    Raises:
        WeightsNotFoundError: no such repository, revision or file; no answer; or offline.
        WeightsAccessError: the repository is gated or private.
    """
    with _explained(manifest, path):
        address = hf_hub_url(_repository(manifest), path, revision=manifest.revision, endpoint=_endpoint())
        _answered(lambda: client().get_hf_file_metadata(url=address, timeout=_timeout_s()))
        found = _answered(
            lambda: hf_hub_download(
                _repository(manifest),
                path,
                revision=manifest.revision,
                cache_dir=_cache(),
                endpoint=_endpoint(),
                etag_timeout=_timeout_s(),
                tqdm_class=_progress_bar(report),
            )
        )
    return Path(found)


def repository_state(manifest: Manifest) -> ModelInfo:
    """What the Hub says of the manifest's revision: its commit (``sha``) and files (``siblings``, with sizes).

    Raises:
        WeightsNotFoundError: no such repository or revision; no answer; or offline.
        WeightsAccessError: the repository is gated or private.
    """
    with _explained(manifest, "the list of files"):
        return _answered(
            lambda: client().model_info(
                _repository(manifest), revision=manifest.revision, files_metadata=True, timeout=_timeout_s()
            )
        )


def _answered(ask: Callable[[], _Result]) -> _Result:
    """Ask twice at most, unless the answer is a plain no.

    Asked first for a file's head alone, a dead server shows in seconds; the client's own retries take 23. Around a
    download it covers what the client does not resume: a connection that is reset, for which the file starts again.
    """
    if offline():
        raise OfflineModeIsEnabled
    try:
        return ask()
    except HTTPError as error:
        if isinstance(error, HfHubHTTPError) and error.response.status_code < 500:
            raise
    time.sleep(_PAUSE_S)
    return ask()


@contextmanager
def _explained(manifest: Manifest, what: str) -> Iterator[None]:
    """Turn the client's errors into ours."""
    try:
        yield
    except (HTTPError, OSError) as error:
        raise _in_our_words(error, manifest, what) from error


def _in_our_words(error: Exception, manifest: Manifest, what: str) -> WeightsError:
    repository, revision = _repository(manifest), manifest.revision
    wanted = f"{what} of {manifest.name} (repository {repository}, revision {revision})"
    log_in = _LOG_IN.format(repository=repository)
    if isinstance(error, GatedRepoError):
        return WeightsAccessError(f"The Hub does not hand out {wanted}: {log_in}.")
    if isinstance(error, RepositoryNotFoundError):
        return WeightsNotFoundError(
            f"The Hub has no repository for {wanted}; correct it, or if it is private {log_in}."
        )
    if isinstance(error, RevisionNotFoundError):
        return WeightsNotFoundError(f"The Hub has no such revision for {wanted}; correct it in the manifest.")
    if isinstance(error, RemoteEntryNotFoundError):
        return WeightsNotFoundError(f"The Hub has no such file for {wanted}; correct its path in the manifest.")
    if isinstance(error, HfHubHTTPError) and error.response.status_code in (401, 403):
        return WeightsAccessError(f"The Hub does not hand out {wanted}: {log_in}.")
    if isinstance(error, OfflineModeIsEnabled):
        return WeightsNotFoundError(
            f"The Hub's cache lacks {wanted}, and HF_HUB_OFFLINE is set; unset it and run "
            f"`python -m core.weights fetch {manifest.name}` once."
        )
    reason = (str(error).strip() or type(error).__name__).splitlines()[0]
    return WeightsNotFoundError(
        f"The Hub at {_endpoint()} did not deliver {wanted}: {reason}. Check the connection and HF_ENDPOINT, then run "
        f"`python -m core.weights fetch {manifest.name}`."
    )


def _progress_bar(report: Callable[[int], None]) -> Any:
    """A class in the shape that the client wants of a progress bar, which calls ``report`` and draws nothing."""

    class Reporting:
        def __init__(self, initial: int = 0, **_: Any) -> None:
            self._done = initial

        def __enter__(self) -> "Reporting":
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def update(self, n: int) -> None:
            self._done += n
            report(self._done)

        def update_transfer(self, n: int) -> None:
            """Bytes on the wire; only written ones are reported."""

        def set_postfix_str(self, *_: Any, **__: Any) -> None:
            """The speed; not shown."""

        set_transfer_postfix_str = set_postfix_str

        def close(self) -> None:
            pass

    return Reporting


def _repository(manifest: Manifest) -> str:
    assert manifest.repository is not None, "callers look at manifest.repository first"
    return manifest.repository


def client() -> HfApi:
    """The client, asking the Hub that ``HF_ENDPOINT`` names now."""
    return HfApi(endpoint=_endpoint())


def _endpoint() -> str:
    return (os.environ.get("HF_ENDPOINT") or constants.ENDPOINT).rstrip("/")


def _cache() -> Path:
    if chosen := os.environ.get("HF_HUB_CACHE"):
        return Path(chosen).expanduser()
    root = home()
    return root / "hub" if root else Path(constants.HF_HUB_CACHE)


def _found(manifest: Manifest, path: str, cache: Path) -> Path | None:
    found = try_to_load_from_cache(_repository(manifest), path, cache, manifest.revision)
    return Path(found) if isinstance(found, str) else None


def _timeout_s() -> float:
    return float(os.environ.get("HF_HUB_ETAG_TIMEOUT", ANSWER_TIMEOUT_S))
