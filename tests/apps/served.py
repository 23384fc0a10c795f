"""The app in a process of its own, as people start it, which a test may kill or ask to stop."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
from gradio_client import Client

from tests.apps.conftest import free_port

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 240


class Served:
    """One run of ``python app.py`` with all that it keeps in a folder."""

    def __init__(self, folder: Path, *flags: str) -> None:
        self.folder, self.url = folder, f"http://127.0.0.1:{(port := free_port())}"
        kept = ("library", "music", "concepts", "files", "models", "output")
        places = [word for name in kept for word in (f"--{name}", str(folder / name))]
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "app.py", "--port", str(port), "--log-json", *places, *flags],
                cwd=ROOT,
                stdout=subprocess.DEVNULL,
                stderr=log,
                env=os.environ | {"GRADIO_TEMP_DIR": str(folder / "uploads"), "OMP_NUM_THREADS": "1"},
            )
        wait_for(lambda: self.answers() or self.process.poll() is not None)
        assert self.process.poll() is None, (folder / "log").read_text()

    def __enter__(self) -> "Served":
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/metrics", timeout=PATIENCE_S).status_code == 200
        except httpx.TransportError:
            return False

    def client(self, session: str = "") -> Client:
        """A client; with ``session`` one that goes on as an earlier client."""
        client = Client(self.url, verbose=False, httpx_kwargs={"timeout": PATIENCE_S})
        client.session_hash = session or client.session_hash
        return client

    def kill(self) -> None:
        """End it at once, as a power cut would."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait(PATIENCE_S)

    def ask_to_stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def figure(self, name: str, **labels: str) -> float:
        """A figure of the metrics; 0 where it is not told."""
        wanted = ",".join(f'{label}="{value}"' for label, value in sorted(labels.items()))
        lines = httpx.get(f"{self.url}/metrics", timeout=PATIENCE_S).text
        found = re.search(rf"^{name}{re.escape('{' + wanted + '}') if wanted else ''} (\S+)$", lines, re.MULTILINE)
        return float(found[1]) if found else 0.0

    def log(self) -> list[dict[str, Any]]:
        """What it has written to standard error, every line of which is one JSON object."""
        return [json.loads(line) for line in (self.folder / "log").read_text().splitlines()]


def wait_for(what: Any) -> Any:
    """Ask until the answer counts as true, and return it."""
    deadline = time.monotonic() + PATIENCE_S
    while not (answer := what()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)
    return answer
