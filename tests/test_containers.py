"""Dockerfile and compose file: linted, free of secrets, and their steps are the README's, run here as written there."""

import os
import re
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from apps.runtime import AppSettings
from core.deploy import going_up
from core.deploy.private import keys_in
from tests.apps.conftest import free_port
from tests.containers import Stage, lay_out, read_stages

ROOT = Path(__file__).resolve().parents[1]
TARGETS = ("cpu", "cuda")
SHIPPED = ("Dockerfile", "compose.yaml", ".dockerignore")
STARTED_WITHIN_S = 240


@pytest.fixture(scope="module")
def stages() -> dict[str, Stage]:
    return read_stages(ROOT / "Dockerfile")


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    told: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))
    return dict(told["services"])


def test_the_linter_of_dockerfiles_has_nothing_to_say() -> None:
    linter = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([linter, ROOT / "Dockerfile"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("target", TARGETS)
class TestEachTarget:
    def test_it_installs_as_the_readme_says(self, target: str, stages: dict[str, Stage]) -> None:
        packages = stages[f"{target}-packages"]
        (install,) = [run for run in packages.all("RUN") if "make" in run and "apt-get" not in run]
        assert re.fullmatch(r'(PIP_EXTRA_INDEX_URL="\$\{TORCH_INDEX\}" )?make install', install)
        makefile = (ROOT / "Makefile").read_text("utf-8")
        assert re.search(r"^app: install\n", makefile, re.MULTILINE), "make app begins with make install"
        needed = set(re.findall(r"[a-z]+\.txt", makefile.split("installed:")[1].split("\n")[0]))
        copied = {source for sources, _ in packages.copies() for source in sources}
        assert needed | {"Makefile", "packages.txt"} == copied
        assert f"--from={target}-packages /app/.venv .venv" in stages[target].all("COPY")

    def test_it_installs_the_packages_of_the_list_and_no_others_but_make(
        self, target: str, stages: dict[str, Stage]
    ) -> None:
        (apt,) = [run for run in stages[target].all("RUN") if "apt-get" in run]
        words = "xargs --arg-file packages.txt apt-get install --yes --no-install-recommends make"
        assert words in [" ".join(step.split()) for step in apt.split("&&")]
        assert "rm -rf /var/lib/apt/lists/*" in apt
        names = (ROOT / "packages.txt").read_text("utf-8").split()
        assert names and all(re.fullmatch(r"[a-z0-9.+-]+", name) for name in names), "xargs knows no comments"

    def test_it_starts_the_app_as_the_makefile_does_and_not_as_root(
        self, target: str, stages: dict[str, Stage]
    ) -> None:
        program, script, *flags = stages[target].command("ENTRYPOINT")
        assert (program, script, flags) == (".venv/bin/python", "app.py", ["--host", "0.0.0.0"])
        assert "$(BIN)/python app.py $(ARGS)" in (ROOT / "Makefile").read_text("utf-8")
        assert int(stages[target].all("USER")[-1]) > 0

    def test_what_it_keeps_lies_on_the_volume(self, target: str, stages: dict[str, Stage]) -> None:
        assert stages[target].all("VOLUME") == [stages[target].environment()["SHOWREEL_HOME"]]
        assert int(stages[target].all("EXPOSE")[0]) == AppSettings().port

    def test_it_copies_what_is_there_and_is_let_through(self, target: str, stages: dict[str, Stage]) -> None:
        let_through = {line[1:] for line in (ROOT / ".dockerignore").read_text("utf-8").split() if line[0] == "!"}
        copied = {
            source for name in (target, f"{target}-packages") for row, _ in stages[name].copies() for source in row
        }
        assert copied == let_through and all((ROOT / source).exists() for source in copied)


def test_both_targets_differ_in_their_packages_alone(stages: dict[str, Stage]) -> None:
    def without(target: str) -> list[tuple[str, str]]:
        own = ("COPY", f"--from={target}-packages /app/.venv .venv")
        return [line for line in stages[target].lines if line != own and "NVIDIA" not in line[1]]

    assert without("cpu") == without("cuda")
    assert stages["cuda"].environment()["NVIDIA_DRIVER_CAPABILITIES"] == "compute,utility"


@pytest.mark.parametrize("name", SHIPPED)
def test_no_key_and_no_password_is_written_there(name: str) -> None:
    assert list(keys_in(ROOT / name)) == []
    assert not re.search(r"(?i)\b(password|secret_key|token)\s*[:=]", (ROOT / name).read_text("utf-8"))


def test_compose_builds_the_targets_and_keeps_what_they_keep(
    stages: dict[str, Stage], services: dict[str, Any]
) -> None:
    assert [service["build"]["target"] for service in services.values()] == list(TARGETS)
    for service in services.values():
        stage = stages[service["build"]["target"]]
        (volume,) = service["volumes"]
        assert volume.partition(":")[2] == stage.environment()["SHOWREEL_HOME"]
        known = {
            rest.partition("=")[0] for n in (stage.name, f"{stage.name}-packages") for rest in stages[n].all("ARG")
        }
        assert set(service["build"]["args"]) <= known
        assert service["cap_drop"] == ["ALL"]


def test_compose_opens_the_app_to_this_machine_alone(services: dict[str, Any]) -> None:
    port = AppSettings().port
    assert {address for service in services.values() for address in service["ports"]} == {f"127.0.0.1:{port}:{port}"}


def answers(folder: Path, stage: Stage, home: Path) -> str:
    """Start the image's command in a folder, ask as its health check asks until that is content, and stop it.

    Returns:
        What the app wrote, if it ended by itself or was never well; empty when it was well.
    """
    port = str(free_port())
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("SHOWREEL", "PYTHON"))}
    environment |= {name: value for name, value in stage.environment().items() if name != "SHOWREEL_REVISION"}
    environment |= {"SHOWREEL_HOME": str(home), "HF_HUB_OFFLINE": "1", "HOME": str(home.parent)}
    program = [sys.executable, *stage.command("ENTRYPOINT")[1:], "--port", port]
    check = [sys.executable, *(word.replace("7860", port) for word in stage.command("HEALTHCHECK")[1:])]
    log = home.parent / "log"
    with log.open("wb") as stream:
        app = subprocess.Popen(program, cwd=folder, env=environment, stdout=stream, stderr=stream)
    try:
        end = time.monotonic() + STARTED_WITHIN_S
        while app.poll() is None and time.monotonic() < end:
            if subprocess.run(check, capture_output=True, check=False).returncode == 0:
                return ""
            time.sleep(0.5)
    finally:
        app.terminate()
        app.wait(30)
    return log.read_text("utf-8") or "It said nothing and was not well."


def test_what_the_image_copies_runs_the_app_and_the_health_check_finds_it_well(
    stages: dict[str, Stage], tmp_path: Path
) -> None:
    lay_out(ROOT, stages["app"].copies(), tmp_path / "image")
    assert answers(tmp_path / "image", stages["cpu"], tmp_path / "home") == ""


def test_what_goes_up_to_a_space_runs_the_app(stages: dict[str, Stage], tmp_path: Path) -> None:
    copies = [([item.path], str(Path(item.path).parent)) for item in going_up(ROOT)]
    lay_out(ROOT, copies, tmp_path / "space")
    assert answers(tmp_path / "space", stages["cpu"], tmp_path / "home") == ""


@pytest.mark.parametrize(("status", "well"), [(200, True), (503, False), (404, False)])
def test_the_health_check_goes_by_the_status_of_the_page(status: int, well: bool, stages: dict[str, Stage]) -> None:
    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/health" else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing is printed."""

    with HTTPServer(("127.0.0.1", 0), Page) as page:
        threading.Thread(target=page.serve_forever, daemon=True).start()
        check = [word.replace("7860", str(page.server_port)) for word in stages["cpu"].command("HEALTHCHECK")[1:]]
        done = subprocess.run([sys.executable, *check], capture_output=True, check=False)
        page.shutdown()
    assert (done.returncode == 0) == well
