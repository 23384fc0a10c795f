"""``python -m core.deploy space``: the real client against a double of the Hub."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from core.deploy.__main__ import main
from tests.deploy.conftest import commit, git
from tests.deploy.space_double import SpaceDouble
from tests.weights.toys import toy_files

SPACE = "somebody/showreel"
UP = {
    "LICENSE",
    "README.md",
    "app.py",
    "core/deploy/space.py",
    "docs/shown.png",
    "packages.txt",
    "pyproject.toml",
    "requirements.txt",
    "weights/far/manifest.toml",
    "weights/own/manifest.toml",
    "weights/own/model.safetensors",
    "weights/own/text/config.json",
}


def deploy(capsys: pytest.CaptureFixture[str], project: Path, *words: str) -> tuple[int, dict[str, Any]]:
    status = main(["space", SPACE, "--root", str(project), "--json", *words])
    return status, json.loads(capsys.readouterr().out or "{}")


def listed(answer: dict[str, Any]) -> set[str]:
    return {row["path"] for row in answer["results"]}


def test_a_dry_run_lists_exactly_what_would_go_up_and_asks_nobody(
    project: Path, hub: SpaceDouble, capsys: pytest.CaptureFixture[str]
) -> None:
    status, answer = deploy(capsys, project, "--dry-run")
    assert (status, answer["errors"], answer["published"]) == (0, [], None)
    assert listed(answer) == UP
    assert answer["bytes"] == sum((project / path).stat().st_size for path in UP)
    assert hub.requests == [] and not hub.created


def test_an_upload_puts_exactly_what_was_listed_on_a_private_space_of_gradio(
    project: Path, hub: SpaceDouble, capsys: pytest.CaptureFixture[str]
) -> None:
    status, answer = deploy(capsys, project)
    assert status == 0
    own = {".gitattributes": hub.files(SPACE)[".gitattributes"]}
    assert hub.files(SPACE) == {path: (project / path).read_bytes() for path in UP} | own
    assert b"filter=lfs" in own[".gitattributes"], "the Space's own rules for large files stay"
    made = hub.created[SPACE]
    assert (made["type"], made["sdk"], made["visibility"]) == ("space", "gradio", "private")
    revision = git(project, "rev-parse", "HEAD").strip()
    assert hub.variables[SPACE] == {"SHOWREEL_REVISION": revision}
    assert hub.summaries == [f"Showreel at {revision[:12]}"]
    assert answer["published"]["commit"] == hub.commit(f"spaces/{SPACE}")


def test_public_and_hardware_are_asked_for_by_name(
    project: Path, hub: SpaceDouble, capsys: pytest.CaptureFixture[str]
) -> None:
    assert deploy(capsys, project, "--public", "--hardware", "zero-a10g")[0] == 0
    assert (hub.created[SPACE]["visibility"], hub.created[SPACE]["hardware"]) == ("public", "zero-a10g")


def test_large_files_are_stored_first_and_only_named_in_the_commit(
    project: Path, hub: SpaceDouble, capsys: pytest.CaptureFixture[str]
) -> None:
    big = bytes(range(256)) * 40_000
    commit(project, {"apps/style.css": big})
    status, answer = deploy(capsys, project)
    assert status == 0
    assert [row["path"] for row in answer["results"] if row["large"]] == ["apps/style.css"]
    assert len(hub.stored) == 1 and hub.files(SPACE)["apps/style.css"] == big


def test_a_second_upload_sends_what_changed_and_removes_what_is_gone(
    project: Path, hub: SpaceDouble, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.large_bytes = len(toy_files()["model.safetensors"]) - 1
    assert deploy(capsys, project)[0] == 0
    git(project, "rm", "-q", "docs/shown.png")
    (project / "README.md").write_text((project / "README.md").read_text().replace("docs/shown.png", ""))
    commit(project, {"app.py": b"print('other')\n"})
    status, answer = deploy(capsys, project)
    assert (status, answer["published"]["removed"]) == (0, ["docs/shown.png"])
    assert hub.files(SPACE)["app.py"] == b"print('other')\n" and "docs/shown.png" not in hub.files(SPACE)
    model = hashlib.sha256(toy_files()["model.safetensors"]).hexdigest()
    assert hub.stored.count(model) == 1, "weights that did not change are not sent again"


def test_a_space_that_holds_something_else_is_left_alone(
    project: Path, hub: SpaceDouble, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.space(SPACE).mkdir(parents=True)
    (hub.space(SPACE) / "diary.md").write_text("years of work")
    assert main(["space", SPACE, "--root", str(project)]) == 3
    assert "holds something else" in capsys.readouterr().err
    assert hub.files(SPACE) == {"diary.md": b"years of work"}


def test_nothing_goes_up_while_one_file_may_not(
    project: Path, hub: SpaceDouble, capsys: pytest.CaptureFixture[str]
) -> None:
    commit(project, {"core/secret.py": b"KEY = 1\nTOKEN = 'hf_" + b"a" * 34 + b"'\n"})
    status, answer = deploy(capsys, project)
    assert (status, answer["published"]) == (3, None)
    assert [row["path"] for row in answer["errors"]] == ["core/secret.py"] and "Line 2" in answer["errors"][0]["error"]
    assert "a" * 34 not in json.dumps(answer), "the key itself is not told"
    assert hub.requests == []


def test_what_was_not_committed_does_not_go_up(
    project: Path, hub: SpaceDouble, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "app.py").write_text("print('half done')\n")
    (project / "notes.txt").write_text("git does not know of it\n")
    status, answer = deploy(capsys, project, "--dry-run")
    assert (status, answer["modified"]) == (0, ["app.py"]) and "notes.txt" not in listed(answer)
    assert main(["space", SPACE, "--root", str(project)]) == 3
    assert "app.py differ from the last commit" in capsys.readouterr().err
    assert hub.requests == []


@pytest.mark.parametrize("login", ["", "hf_of_somebody_else"])
def test_who_may_not_write_is_told_to_log_in(
    login: str, project: Path, hub: SpaceDouble, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HF_TOKEN", login)
    assert main(["space", SPACE, "--root", str(project)]) == 3
    assert "hf auth login" in capsys.readouterr().err


def test_a_space_of_somebody_else_is_not_written_to(
    project: Path, hub: SpaceDouble, capsys: pytest.CaptureFixture[str]
) -> None:
    assert deploy(capsys, project)[0] == 0
    hub.forbidden.add(SPACE)
    commit(project, {"app.py": b"print('other')\n"})
    assert main(["space", SPACE, "--root", str(project)]) == 3
    assert "does not let you write" in capsys.readouterr().err
    assert hub.files(SPACE)["app.py"] == b"print('toy')\n"


def test_a_transfer_that_breaks_leaves_the_space_as_it_was(
    project: Path, hub: SpaceDouble, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.large_bytes, hub.storage_fails = len(toy_files()["model.safetensors"]) - 1, True
    assert main(["space", SPACE, "--root", str(project)]) == 3
    assert "What is there is as it was" in capsys.readouterr().err
    assert set(hub.files(SPACE)) == {".gitattributes", "README.md"}
    hub.storage_fails = False
    assert deploy(capsys, project)[0] == 0 and set(hub.files(SPACE)) == UP | {".gitattributes"}


def test_a_front_matter_that_the_hub_refuses_is_told_in_its_words(
    project: Path, hub: SpaceDouble, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (project / "README.md").read_text().replace("title: Toy", f"short_description: {'long ' * 20}")
    commit(project, {"README.md": page.encode()})
    assert main(["space", SPACE, "--root", str(project)]) == 3
    assert "Invalid metadata in README.md" in capsys.readouterr().err


def test_a_hub_that_is_out_of_reach_is_told(
    project: Path, hub: SpaceDouble, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert main(["space", SPACE, "--root", str(project)]) == 3
    assert f"The upload to the Space {SPACE} failed" in capsys.readouterr().err


def test_a_name_without_an_owner_is_a_bad_argument(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["space", "showreel", "--root", str(project), "--dry-run"]) == 2
    assert "owner/name" in capsys.readouterr().err


def test_a_folder_without_git_is_bad_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["space", SPACE, "--root", str(tmp_path), "--dry-run"]) == 3
    assert "git cannot tell" in capsys.readouterr().err


def test_people_are_shown_every_file_and_the_sum(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["space", SPACE, "--root", str(project), "--dry-run"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert {line.split()[-1] for line in shown[:-1]} == UP
    assert f"{len(UP)} files, 0 of them large" in shown[-1]
