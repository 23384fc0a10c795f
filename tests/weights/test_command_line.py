"""``python -m core.weights``: list, fetch, verify."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from core.weights import Manifest, find_manifest, weights_path
from core.weights.__main__ import main
from tests.weights.hub_double import HubDouble
from tests.weights.toys import REPOSITORY, lay, promise, publish, toy_files

MODEL = "model.safetensors"
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def shelf(folder: Path, hub: HubDouble) -> Manifest:
    """An embedded manifest ``small`` with its files, and a pinned one, ``toy``, whose files are on the double."""
    promise(folder, toy_files(), name="small")
    lay(folder / "small", toy_files())
    return publish(hub, folder, toy_files())


def answer(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, dict[str, Any]]:
    status = main([*argv, "--json"])
    return status, json.loads(capsys.readouterr().out)


def test_list_says_what_there_is_where_and_asks_nobody(
    shelf: Manifest, hub: HubDouble, capsys: pytest.CaptureFixture[str]
) -> None:
    status, listed = answer(capsys, "list")
    small, toy = listed["weights"]
    assert status == 0
    assert (small["name"], small["where"], small["profile"]) == ("small", "weights/", "embedded")
    assert (toy["name"], toy["where"], toy["pinned"]) == ("toy", "missing", True)
    assert (toy["revision"], toy["licence"], toy["sha256"], toy["bytes"]) == (
        hub.commit(REPOSITORY),
        "MIT",
        shelf.sha256,
        shelf.bytes,
    )
    assert hub.requests == []


def test_fetch_brings_the_hub_profile_into_the_cache_and_says_which_file_is_coming(
    shelf: Manifest, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fetch", "--profile", "hub"]) == 0
    assert capsys.readouterr().err.splitlines() == ["text/config.json", MODEL]
    assert [entry["where"] for entry in answer(capsys, "list")[1]["weights"]] == ["weights/", "cache"]


def test_the_embedded_profile_fetches_nothing(shelf: Manifest, hub: HubDouble) -> None:
    assert main(["fetch"]) == 0
    assert hub.requests == []


def test_one_repository_that_fails_does_not_keep_the_next_from_coming(
    shelf: Manifest, folder: Path, hub: HubDouble, capsys: pytest.CaptureFixture[str]
) -> None:
    publish(hub, folder, toy_files(), name="absent", revision="0" * 40)
    status, fetched = answer(capsys, "fetch", "absent", "toy")
    assert status == 3
    assert len(fetched["errors"]) == 1 and "no such revision" in fetched["errors"][0]["error"]
    assert [entry["where"] for entry in fetched["weights"]] == ["missing", "cache"]


def test_pin_writes_commit_digests_and_sizes_and_says_so(
    folder: Path, hub: HubDouble, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = publish(hub, folder, toy_files())
    loose = f"""
        name = "toy"
        profile = "hub"
        licence = "MIT"
        source = "made in a test"
        repository = "{REPOSITORY}"
        revision = "main"
        files = [{{path = "text/config.json"}}, {{path = "{MODEL}"}}]
    """
    path = folder / "toy" / "manifest.toml"
    path.write_text(loose)
    assert answer(capsys, "list")[1]["weights"][0]["pinned"] is False
    assert main(["list"]) == 0 and "NOT PINNED" in capsys.readouterr().out

    status, refused = answer(capsys, "fetch", "toy")
    assert status == 3 and "fetch toy --pin" in refused["errors"][0]["error"]
    assert path.read_text() == loose

    status, pinned = answer(capsys, "fetch", "toy", "--pin")
    assert (status, pinned["wrote"]) == (0, [str(path)])
    assert find_manifest("toy") == wanted
    assert (weights_path("toy") / MODEL).read_bytes() == toy_files()[MODEL]


def test_pin_leaves_a_manifest_alone_whose_file_the_repository_lacks(
    folder: Path, hub: HubDouble, capsys: pytest.CaptureFixture[str]
) -> None:
    publish(hub, folder, toy_files())
    promise(folder, {"other.safetensors": b""}, profile="hub", repository=REPOSITORY, revision="main")
    before = (folder / "toy" / "manifest.toml").read_text()
    status, refused = answer(capsys, "fetch", "toy", "--pin")
    assert status == 3 and "has no other.safetensors" in refused["errors"][0]["error"]
    assert (folder / "toy" / "manifest.toml").read_text() == before


def test_pin_without_a_name_is_a_bad_argument(shelf: Manifest, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fetch", "--pin"]) == 2
    assert "name those" in capsys.readouterr().err


def test_verify_passes_over_a_right_shelf(shelf: Manifest) -> None:
    assert main(["verify"]) == 0


def test_verify_names_every_wrong_and_every_missing_file_and_moves_none(
    shelf: Manifest, folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copied = shutil.copytree(folder, tmp_path / "copied")
    monkeypatch.setenv("SHOWREEL_WEIGHTS", str(copied))
    weights_path("small")
    model = copied / "small" / MODEL
    data = bytearray(model.read_bytes())
    data[-1] ^= 1
    stat = model.stat()
    model.write_bytes(data)
    os.utime(model, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    (copied / "small" / "text/config.json").unlink()
    status, verified = answer(capsys, "verify")
    assert status == 3
    missing, wrong = (error["error"] for error in verified["errors"])
    assert str(model) in wrong and "sha256" in wrong
    assert "text/config.json is missing" in missing
    assert model.read_bytes() == bytes(data)


def test_verify_of_the_hub_profile_asks_for_what_was_not_fetched(
    shelf: Manifest, hub: HubDouble, capsys: pytest.CaptureFixture[str]
) -> None:
    status, verified = answer(capsys, "verify", "--profile", "hub")
    assert status == 3
    assert all("fetch toy" in error["error"] for error in verified["errors"]) and len(verified["errors"]) == 2
    assert main(["fetch", "toy"]) == 0
    weights_path("toy", MODEL).resolve().write_bytes(b"rotten")
    capsys.readouterr()
    status, verified = answer(capsys, "verify", "toy")
    assert status == 3 and len(verified["errors"]) == 1 and "6 bytes" in verified["errors"][0]["error"]


def test_an_unknown_name_is_bad_input(shelf: Manifest, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fetch", "tyo"]) == 3
    assert "there are: small, toy" in capsys.readouterr().err


def test_a_process_of_its_own_obeys_the_hubs_own_variables_and_prints_one_json_object(
    shelf: Manifest, hub: HubDouble, tmp_path: Path
) -> None:
    """``HF_ENDPOINT`` and ``HF_HOME`` are the client's; nothing but them leads this process to the double."""
    environment = {key: value for key, value in os.environ.items() if key != "HF_HUB_CACHE"}
    environment |= {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "home")}
    command = [sys.executable, "-m", "core.weights", "fetch", "toy", "--json"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["weights"][0]["where"] == "cache"
    assert (tmp_path / "home" / "hub").is_dir()
    assert hub.bodies(MODEL)
