"""A real server for the tests of the app, in this process, and a record of every address that it connects to."""

import os
import shutil
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, sync_playwright

from core.media import EncodeOptions, write_video
from tests.apps.visitor import FLAGS, Visitor
from tests.factories import moving_clip
from tests.scenes import PLACES, Canvas, scene
from tests.video_quality.scorer import Brightness, Teachers

LOOPBACK = ("127.", "::1", "localhost", "0.0.0.0")


class Server:
    """The app under test."""

    def __init__(self, url: str, folder: Path, foreign: list[str]) -> None:
        self.url, self.folder, self.foreign = url, folder, foreign
        """``foreign``: addresses outside this machine that the process tried to reach."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def connections() -> list[str]:
    """Every address outside this machine that any code of this process looks up or connects to."""
    foreign: list[str] = []

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "socket.connect" and isinstance(arguments[1], tuple):
            host = str(arguments[1][0])
        elif event == "socket.getaddrinfo" and arguments[0]:
            host = str(arguments[0])
        else:
            return
        if not host.startswith(LOOPBACK):
            foreign.append(host)

    sys.addaudithook(watch)
    return foreign


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, connections: list[str]) -> Iterator[Server]:
    """The app, serving on a free port of loopback with an empty library."""
    folder = tmp_path_factory.mktemp("showreel")
    os.environ["GRADIO_TEMP_DIR"] = str(folder / "uploads")
    with serving(folder, connections) as server:
        yield server


@contextmanager
def serving(folder: Path, foreign: list[str]) -> Iterator[Server]:
    """The app with all that it keeps in a folder."""
    from app import launch
    from apps import video_quality_handlers
    from apps.runtime import AppSettings

    vars(video_quality_handlers)["Ensemble"] = Teachers
    vars(video_quality_handlers)["QualityScorer"] = Brightness  # the app is tested here, not what the network says
    settings = AppSettings(
        library=str(folder / "videos"),
        music=str(folder / "music"),
        concepts=str(folder / "concepts"),
        files=str(folder / "files"),
        models=str(folder / "models"),
        output=str(folder / "output"),
        port=free_port(),
        max_upload_mb=20,
    )
    app = launch(settings, block=False)
    yield Server(f"http://127.0.0.1:{settings.port}", folder, foreign)
    app.close()


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Six films that look different from one another, one of them in a form that no browser plays."""
    folder = tmp_path_factory.mktemp("clips")
    names = ["harbour.mp4", "meadow.mp4", "traffic.mkv", "kitchen.mp4", "forest.mp4", "stage.mp4"]
    return {Path(name).stem: scene(folder / name, Path(name).stem) for name in names}


@pytest.fixture(scope="session")
def reels(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Six films long enough that a job with all of them can be stopped in its midst."""
    folder = tmp_path_factory.mktemp("reels")
    return [moving_clip(folder / f"reel{n}.mp4", duration_s=20, frame_rate=12, seed=70 + n) for n in range(6)]


def journey(path: Path, *places: str) -> Path:
    """A film that stays five seconds in each of some places."""

    def picture(number: int) -> np.ndarray:
        draw, sky, ground = PLACES[places[number // 25]]
        canvas = Canvas(160, 120, sky, ground)
        draw(canvas, number % 25 / 5, np.random.default_rng(7))
        return np.asarray(canvas.image)

    frames = (picture(number) for number in range(25 * len(places)))
    write_video(path, frames, Fraction(5), options=EncodeOptions(crf=23))
    return path


@pytest.fixture
def not_media(tmp_path: Path) -> Path:
    path = tmp_path / "letter.mp4"
    path.write_text("Dear all,\nthis is not a film.\n" * 50)
    return path


@pytest.fixture(scope="session")
def chromium() -> str:
    path = os.environ.get("SHOWREEL_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if not path:
        pytest.fail("The browser tests need Chromium: install the packages of tests/packages.txt.")
    return path


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def visitor(browser: Browser, server: Server) -> Iterator[Visitor]:
    visitor = Visitor(browser, server.url)
    yield visitor
    visitor.context.close()
    assert all(host == "" or host.startswith(LOOPBACK) for host in visitor.hosts), visitor.hosts
