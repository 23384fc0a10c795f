"""A small project under git that may go up as it is, and a Hub that takes it."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import constants

from core.deploy.card import with_models
from core.weights.catalogue import read_manifest
from tests.deploy.space_double import SpaceDouble
from tests.weights.hub_double import TOKEN, point_client_at
from tests.weights.toys import lay, promise, toy_files

FRONT = "---\ntitle: Toy\ncolorFrom: indigo\ncolorTo: gray\nsdk: gradio\napp_file: app.py\nlicense: apache-2.0\n---\n"
PAGE = "# Toy\n\n![A picture](docs/shown.png)\n"


def git(folder: Path, *words: str) -> str:
    names = ("-c", "user.name=somebody", "-c", "user.email=somebody@example.org", "-c", "commit.gpgsign=false")
    return subprocess.run(["git", "-C", folder, *names, *words], capture_output=True, text=True, check=True).stdout


def commit(folder: Path, files: dict[str, bytes] | None = None) -> None:
    """Write files, and commit all that is there."""
    lay(folder, files or {})
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "--allow-empty", "-m", "more")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """All that a Space needs, weights of its own and of the Hub's, and things that stay at home."""
    folder = tmp_path / "project"
    shelf = folder / "weights"
    shelf.mkdir(parents=True)
    monkeypatch.setenv("SHOWREEL_WEIGHTS", str(shelf))
    promise(shelf, toy_files(), name="own", licence="Apache-2.0", training_command="python -m toy train")
    lay(shelf / "own", toy_files())
    promise(shelf, toy_files(), name="far", profile="hub", repository="somebody/far", revision="a" * 40)
    manifests = [read_manifest(path) for path in sorted(shelf.glob("*/manifest.toml"))]
    git(folder, "init", "-q", "-b", "main")
    words = {
        "README.md": with_models(FRONT + PAGE, manifests).encode(),
        "app.py": b"print('toy')\n",
        "core/deploy/space.py": b"",
        "requirements.txt": b"gradio\n",
        "packages.txt": b"libgl1\n",
        "pyproject.toml": b"[project]\n",
        "LICENSE": b"Apache License\n",
        "docs/shown.png": b"\x89PNG",
        "docs/not_shown.png": b"\x89PNG",
        "tests/test_toy.py": b"",
        "tests/assets/clip.mp4": b"film",
        ".ci/run": b"make test\n",
        ".gitignore": b"/library/\n",
        ".gitattributes": b"weights/** -text\n",
        "Dockerfile": b"FROM scratch\n",
        "library/videos/kept.bin": b"a library",
    }
    commit(folder, words)
    return folder


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SpaceDouble]:
    """A Hub on loopback for somebody who may write; large files go by its older protocol, which a double can speak."""
    with SpaceDouble(tmp_path / "hub") as double:
        point_client_at(monkeypatch, double.url, tmp_path / "cache")
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        yield double
