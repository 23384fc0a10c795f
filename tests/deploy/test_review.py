"""What is looked at before anything goes up: keys, names, sizes, licences, the front matter; and the project itself."""

from pathlib import Path

import pytest

from core.deploy import Problem, going_up, review
from core.deploy.card import front_matter, models, preloads, with_models
from core.deploy.licences import licences_of, objections
from core.deploy.private import KEYS, keys_in, private_by_name
from core.deploy.review import FOREIGN_BYTES, TOTAL_BYTES, TRAINED_BYTES
from core.errors import PublishError
from core.weights import all_manifests
from core.weights.catalogue import read_manifest
from tests.deploy.conftest import commit, git
from tests.weights.toys import lay, promise, toy_files

ROOT = Path(__file__).resolve().parents[2]
LETTERS = "aB3dE5fG7hI9jK1lM3nO5pQ7rS9tU1vW3xY5zA7b"
SAMPLES = {
    "a token of the Hub": f"token = 'hf_{LETTERS[:34]}'",
    "a key of Amazon's services": "AWS_ACCESS_KEY_ID=" + "AKIA" + "QWERTYUIOP123456",
    "a secret key of Amazon's services": f"aws_secret_access_key = {LETTERS[:40]}",
    "a private key": "-----BEGIN " + "OPENSSH PRIVATE KEY-----",
    "a token of GitHub": f"ghp_{LETTERS[:36]}",
    "a token of GitLab": f"glpat-{LETTERS[:20]}",
    "a key of Google's services": f"AIza{LETTERS[:35]}",
    "a token of Slack": f"xoxb-{LETTERS[:24]}",
    "an API key": f"sk-proj-{LETTERS[:36]}",
    "a token of a package index": f"pypi-{LETTERS}{LETTERS}",
    "a password in an address": "https://me:" + "verysecret@example.org/index",
}


def objected(project: Path) -> dict[str, str]:
    return {problem.path: problem.error for problem in review(project, going_up(project))}


class TestTheProjectItself:
    @pytest.fixture(autouse=True)
    def own_weights(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("SHOWREEL_WEIGHTS", raising=False)

    def test_nothing_private_nothing_over_limits_and_every_licence_in_its_place(self) -> None:
        assert review(ROOT, going_up(ROOT)) == []

    def test_what_goes_up_runs_the_app_and_holds_no_test_and_no_material(self) -> None:
        tops = {item.path.partition("/")[0] for item in going_up(ROOT)}
        assert {"app.py", "apps", "core", "weights", "requirements.txt", "packages.txt", "README.md"} <= tops
        assert not tops & {"tests", ".ci", "library", "output", ".venv", ".gitattributes", "Dockerfile"}
        assert sum(item.bytes for item in going_up(ROOT)) < TOTAL_BYTES / 2

    def test_the_front_matter_names_the_models_of_the_hub_profile_and_loads_them_beforehand(self) -> None:
        """Where this fails, `python -m core.deploy card --write` mends it."""
        front, manifests = front_matter(ROOT), all_manifests()
        assert front["models"] == models(manifests)
        assert front["preload_from_hub"] == preloads(manifests)
        assert with_models((ROOT / "README.md").read_text("utf-8"), manifests) == (ROOT / "README.md").read_text(
            "utf-8"
        )

    def test_the_front_matter_fits_what_the_project_is(self) -> None:
        front = front_matter(ROOT)
        pinned = {line.split("==")[0]: line.split("==")[-1] for line in (ROOT / "constraints.txt").read_text().split()}
        assert front["sdk_version"] == pinned["gradio"], "the app is tested with this gradio"
        assert front["python_version"] in ("3.11", "3.12") and (ROOT / front["app_file"]).is_file()
        assert len(front["short_description"]) <= 60


@pytest.mark.parametrize("what", KEYS)
def test_everything_with_the_form_of_a_key_is_found_with_its_line(what: str, tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text(f"first\nsecond {SAMPLES[what]}\nthird\n")
    assert list(keys_in(file)) == [(2, what)]


@pytest.mark.parametrize(
    "line",
    [
        "token: hf_of_somebody_who_accepted_the_licence",
        "the address s3://bucket/my_library and http://127.0.0.1:7860/gradio_api/mcp/",
        'url = f"https://{user}:{password}@{host}"',
        "sha256 = " + "0123456789abcdef" * 4,
        "-----BEGIN CERTIFICATE-----",
        "the task-specific networks are risk-averse",
        "git@example.org:somebody/project.git",
    ],
)
def test_what_only_looks_a_little_like_a_key_is_let_through(line: str, tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text(line)
    assert list(keys_in(file)) == []


@pytest.mark.parametrize(
    ("path", "why"),
    [
        (".env", "passwords"),
        ("config/.env.production", "passwords"),
        ("core/server.pem", "passwords"),
        ("home/.netrc", "passwords"),
        ("library/videos/rows.lance/data", "library"),
        ("kept/videos.lance/data/1.bin", "library"),
        ("output/12/film.txt", "library"),
        ("core/sample.MP4", "films and sounds"),
        ("docs/voice.wav", "films and sounds"),
        ("core/somebody.jpg", "pictures"),
    ],
)
def test_private_things_are_known_by_their_names(path: str, why: str) -> None:
    assert why in (private_by_name(path) or "")


@pytest.mark.parametrize("path", ["docs/video_search.png", "core/store/library.py", "apps/style.css", "core/keys.py"])
def test_ordinary_files_are_not_taken_for_private_ones(path: str) -> None:
    assert private_by_name(path) is None


def test_tracked_private_files_are_named_each_with_the_reason(project: Path) -> None:
    commit(project, {".env": b"PASSWORD=x", "core/clip.mp4": b"film"})
    assert set(objected(project)) == {".env", "core/clip.mp4"}


def test_a_link_never_goes_up(project: Path) -> None:
    (project / "core" / "link.py").symlink_to("/etc/hostname")
    commit(project)
    with pytest.raises(PublishError, match=r"link\.py is tracked by git but is no file"):
        going_up(project)


def test_sizes_are_held_to_their_limits(project: Path) -> None:
    def lay_hole(path: str, size: int) -> None:
        with (project / path).open("wb") as stream:
            stream.truncate(size)

    promise(project / "weights", {"model.safetensors": b""}, name="mine", training_command="python -m toy train")
    lay_hole("weights/mine/model.safetensors", TRAINED_BYTES + 1)
    lay(project, {"core/big.bin": b""})
    git(project, "add", "-A")
    lay_hole("core/big.bin", FOREIGN_BYTES + 1)
    items = going_up(project)
    told = {(problem.path, problem.error) for problem in review(project, items)}
    for path, limit in (("weights/mine/model.safetensors", TRAINED_BYTES), ("core/big.bin", FOREIGN_BYTES)):
        assert (path, f"It has {limit + 1} bytes, more than the {limit} allowed; make it smaller.") in told
    many = [type(item)(f"core/{n}.py", 90_000_000) for n, item in enumerate(items * 2)]
    for item in many:
        (project / item.path).touch()
    assert "a Space takes" in {p.path: p.error for p in review(project, many)}["."]


def test_weights_that_are_not_the_promised_ones_stay_at_home(project: Path) -> None:
    commit(project, {"weights/own/model.safetensors": b"rotten"})
    assert "restore it with git" in objected(project)["weights/own/model.safetensors"]


def test_weights_without_a_manifest_stay_at_home(project: Path) -> None:
    commit(project, {"weights/stray/model.safetensors": b"whose?"})
    assert "nobody knows whose" in objected(project)["weights/stray"]


@pytest.mark.parametrize(
    ("licence", "beside", "part"),
    [
        ("CC-BY-NC-4.0", ["LICENSE"], "under CC-BY-NC-4.0, which does not let us hand it on"),
        ("MIT", [], "has no LICENSE beside its weights"),
        ("Apache-2.0 (labels MIT)", [], "Apache-2.0 and MIT"),
        ("for research only", ["LICENSE"], "names no licence"),
        ("Apache-2.0, GPL-3.0", ["LICENSE"], "GPL-3.0"),
    ],
)
def test_weights_that_may_not_be_handed_on_are_named(
    licence: str, beside: list[str], part: str, tmp_path: Path
) -> None:
    manifest = promise(tmp_path, toy_files(), licence=licence)
    (objection,) = objections(manifest, [*beside, "model.safetensors"], ["LICENSE"])
    assert part in objection and objection.startswith("toy")


def test_the_licence_at_the_root_serves_weights_under_the_same_one(tmp_path: Path) -> None:
    manifest = promise(tmp_path, toy_files(), licence="Apache-2.0")
    assert objections(manifest, [], ["LICENSE"]) == []
    assert "neither beside its weights nor at the root" in objections(manifest, [], [])[0]


def test_only_weights_that_go_up_themselves_need_a_licence_to(project: Path) -> None:
    """Of the hub profile only manifests and cards go up; whoever loads the weights takes them from their makers."""
    far = project / "weights" / "far" / "manifest.toml"
    commit(project, {"weights/far/manifest.toml": far.read_bytes().replace(b'"MIT"', b'"CC-BY-NC-4.0"')})
    assert objected(project) == {}
    assert licences_of(read_manifest(far)) == ["CC-BY-NC-4.0"]


def test_a_front_matter_that_lags_behind_the_manifests_is_told(project: Path) -> None:
    promise(project / "weights", toy_files(), name="new", profile="hub", repository="a/new", revision="b" * 40)
    commit(project)
    assert "card --write" in objected(project)["README.md"]


def test_without_what_a_space_needs_it_is_not_begun(project: Path) -> None:
    git(project, "rm", "-q", "packages.txt")
    assert review(project, going_up(project)) == [
        Problem("packages.txt", "A Space cannot do without it, and git does not track it; add it.")
    ]


def test_writing_the_models_keeps_all_else_of_the_readme(tmp_path: Path) -> None:
    manifests = [
        promise(tmp_path, toy_files(), name=name, profile="hub", repository="a/b", revision="c" * 40)
        for name in ("one", "two")
    ]
    text = "---\ntitle: T\nmodels:\n  - old/one\nlicense: mit\ntags:\n  - x\n---\n\n# T\n\nmodels:\n  - stays\n"
    once = with_models(text, manifests)
    assert with_models(once, manifests) == once
    assert once.endswith("license: mit\ntags:\n  - x\n---\n\n# T\n\nmodels:\n  - stays\n") and "old/one" not in once
    lay(tmp_path, {"README.md": once.encode()})
    front = front_matter(tmp_path)
    assert (front["title"], front["models"]) == ("T", ["a/b"])
    assert front["preload_from_hub"] == [f"a/b text/config.json,model.safetensors {'c' * 40}"] * 2
