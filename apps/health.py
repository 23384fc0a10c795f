"""The page that says whether the app is well: ``GET /health``, for container engines, proxies and people.

It asks for no login and names no folder, address or key. Looking takes a moment at first, when digests are computed; it
is done in a thread of its own, at most once in `FRESH_S`, so that asking often costs nothing, and a store that does not
answer keeps nobody waiting for longer than `PATIENCE_S`.
"""

import logging
import os
import shutil
import subprocess
import threading
import time
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from apps.runtime import AppSettings, Tab
from core.errors import CoreError
from core.runtime import current_profile, home, placement
from core.store import read_setting
from core.store.address import holds_something, is_remote, resolve
from core.weights import all_manifests
from core.weights.inventory import state

REVISION_VARIABLE = "SHOWREEL_REVISION"
"""The git revision, where the app runs without its history: in a container, on a Space."""
FRESH_S = 10.0
PATIENCE_S = 5.0
ROOT = Path(__file__).resolve().parents[1]
Answer = dict[str, Any]
_log = logging.getLogger(__name__)


def health_route(settings: AppSettings, tabs: Sequence[Tab]) -> Route:
    """The route of ``/health``: 200 when all is well, 503 when something is amiss or the first look still runs."""
    health = Health(settings, tabs)

    def answer(request: Request) -> Response:
        told = health()
        return JSONResponse(told, 200 if told["status"] == "ok" else 503)

    return Route("/health", answer)


class Health:
    """Looks after the app in a thread of its own, and says what it last saw."""

    def __init__(self, settings: AppSettings, tabs: Sequence[Tab]) -> None:
        self.settings, self.tabs, self._revision = settings, tabs, revision()
        self._lock = threading.Lock()
        self._looking: threading.Thread | None = None
        self._seen: Answer = {"status": "starting", "troubles": []}
        self._seen_at = float("-inf")

    def __call__(self) -> Answer:
        """What was last seen: ``status`` is ok, amiss or starting, and ``troubles`` says in words what is amiss."""
        with self._lock:
            stale = time.monotonic() - self._seen_at >= FRESH_S
            if stale and not (self._looking and self._looking.is_alive()):
                self._looking = threading.Thread(target=self._look, daemon=True)
                self._looking.start()
            looking = self._looking
        if looking:
            looking.join(PATIENCE_S)
        return self._seen

    def _look(self) -> None:
        try:
            seen = self._all()
        except CoreError as error:  # a setting of the environment or a manifest that cannot be read
            seen = {"status": "amiss", "troubles": [f"{type(error).__name__}: the log of the app says more."]}
            _log.warning("%s", error)
        self._seen, self._seen_at = seen, time.monotonic()

    def _all(self) -> Answer:
        states, troubles = self._weights()
        library = reachable(self.settings.library)
        if not library:
            troubles.append("The library cannot be reached.")
        return {
            "status": "amiss" if troubles else "ok",
            "troubles": troubles,
            "version": version(),
            "revision": self._revision,
            "profile": current_profile(),
            "device": str(placement().device),
            "tools": [{"tool": tab.title, "weights": states.get(word(tab), "missing")} for tab in self.tabs],
            "weights": states,
            "library": "reachable" if library else "unreachable",
            "free_disk_bytes": shutil.disk_usage(standing(Path(self.settings.output))).free,
            "kept_over_restarts": home() is not None,
        }

    def _weights(self) -> tuple[dict[str, str], list[str]]:
        """The state of all weights, and what is amiss; those of the Hub come when they are asked for."""
        manifests = all_manifests()
        states: dict[str, str] = {manifest.name: state(manifest) for manifest in manifests}
        embedded = {manifest.name for manifest in manifests if manifest.profile == "embedded"}
        bad = [n for n, s in states.items() if s == "wrong" or (s == "missing" and n in embedded)]
        return states, [f"The weights {name} are {states[name]}." for name in bad]


def word(tab: Tab) -> str:
    """The word of a tab's tool, which its weights are filed under: ``apps.video_search`` -> ``video_search``."""
    return tab.build.__module__.rpartition(".")[2]


def reachable(address: str) -> bool:
    """Can the library be read, or made where there is none yet?"""
    try:
        place = resolve(address)
        holds_something(place)
        read_setting(place, "model")
    except CoreError:
        return False
    return is_remote(place) or os.access(standing(Path(place)), os.W_OK)


def standing(folder: Path) -> Path:
    """The folder, or the nearest one above it that exists."""
    folder = folder.absolute()
    return next(path for path in (folder, *folder.parents) if path.exists())


def version() -> str:
    """The project's version."""
    return str(tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"])


def revision() -> str:
    """The git revision that runs; ``unknown`` without its history and without ``SHOWREEL_REVISION``."""
    if given := os.environ.get(REVISION_VARIABLE):
        return given
    if not (ROOT / ".git").exists() or not shutil.which("git"):
        return "unknown"
    told = subprocess.run(["git", "-C", ROOT, "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    return told.stdout.strip() or "unknown"
