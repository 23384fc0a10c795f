"""What a manifest may say, and what is refused."""

import hashlib
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from core.errors import WeightsError, WeightsNotFoundError
from core.weights import Manifest, WeightFile, all_manifests, find_manifest, weights_path
from core.weights.catalogue import read_manifest, write_manifest
from tests.weights.toys import promise, toy_files

DIGEST = "0123456789abcdef" * 4
COMMIT = "0123456789" * 4
GOOD = f"""
name = "toy"
profile = "hub"
licence = "MIT"
source = "made in a test"
repository = "somebody/toy"
revision = "{COMMIT}"

[[files]]
path = "model.safetensors"
sha256 = "{DIGEST}"
bytes = 10
"""

BROKEN = [
    ('licence = "MIT"', "", "licence is missing"),
    ('licence = "MIT"', 'licence = ""', "licence is ''"),
    ('licence = "MIT"', 'licence = "MIT"\nlicense = "MIT"', "license is not a key"),
    ('name = "toy"', 'name = "Toy"', "name is 'Toy'"),
    ('name = "toy"', 'name = "other"', "the folder is 'toy'"),
    ('profile = "hub"', 'profile = "cloud"', "profile is 'cloud'"),
    ('repository = "somebody/toy"', "", "repository is missing"),
    ('repository = "somebody/toy"', 'repository = "somebody/toy/model"', "write 'owner/name'"),
    ('profile = "hub"', 'profile = "embedded"\nconversion = 3', "conversion is 3"),
    (COMMIT, "", "revision is ''"),
    (DIGEST, DIGEST.upper(), r"sha256 of model\.safetensors"),
    (DIGEST, DIGEST[:-1], r"sha256 of model\.safetensors"),
    ("bytes = 10", "bytes = 10.5", r"bytes of model\.safetensors"),
    ("bytes = 10", "bytes = true", r"bytes of model\.safetensors"),
    ("bytes = 10", "size = 10", "size is not a key"),
    ("[[files]]", "[files]", r"one \[\[files\]\] table per file"),
    ('path = "model.safetensors"', "", "path is missing"),
    ("model.safetensors", "../model.safetensors", r"path is '\.\./model\.safetensors'"),
    ("model.safetensors", "/model.safetensors", "path is '/"),
    ("model.safetensors", "a//model.safetensors", "path is 'a//"),
    ("model.safetensors", "C:/model.safetensors", "path is 'C:"),
    ("model.safetensors", "a\\\\model.safetensors", "write it relative"),
    ("bytes = 10", f'bytes = 10\n[[files]]\npath = "model.safetensors"\nsha256 = "{DIGEST}"\nbytes = 1', "2 times"),
    ("[[files]]", "[[files", "Expected"),
]
PICKLES = ["pytorch_model.bin", "net.pt", "net.pth", "net.ckpt", "net.pkl", "net.npz", "net.npy", "deep/net.joblib"]


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "toy" / "manifest.toml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path


@pytest.mark.parametrize(("before", "after", "message"), BROKEN)
def test_a_broken_manifest_is_refused_with_its_file_and_its_key(
    tmp_path: Path, before: str, after: str, message: str
) -> None:
    assert read_manifest(written(tmp_path, GOOD)).pinned, "the text must be good before it is broken"
    path = written(tmp_path, GOOD.replace(before, after))
    with pytest.raises(WeightsError, match=message) as caught:
        read_manifest(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("name", PICKLES)
def test_a_pickle_is_refused_by_its_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(WeightsError, match=f"{name} is refused: it may be a pickle.*convert it to safetensors"):
        read_manifest(written(tmp_path, GOOD.replace("model.safetensors", name)))


@pytest.mark.parametrize("name", ["modeling_toy.py", "install.sh", "model", "model.safetensors.zip"])
def test_only_formats_that_are_listed_pass(tmp_path: Path, name: str) -> None:
    with pytest.raises(WeightsError, match=f"{name} is refused: only"):
        read_manifest(written(tmp_path, GOOD.replace("model.safetensors", name)))


def test_embedded_weights_must_promise_their_bytes(tmp_path: Path) -> None:
    text = GOOD.replace('profile = "hub"', 'profile = "embedded"').replace('repository = "somebody/toy"', "")
    assert read_manifest(written(tmp_path, text)).pinned
    with pytest.raises(WeightsError, match="embedded files need sha256 and bytes"):
        read_manifest(written(tmp_path, text.replace(f'sha256 = "{DIGEST}"', "")))


@pytest.mark.parametrize("change", [(COMMIT, "main"), (f'sha256 = "{DIGEST}"', ""), ("bytes = 10", "")])
def test_without_commit_digest_or_size_a_hub_manifest_is_not_pinned(tmp_path: Path, change: tuple[str, str]) -> None:
    assert not read_manifest(written(tmp_path, GOOD.replace(*change))).pinned


texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(str.strip)
names = st.from_regex(r"[a-z0-9][a-z0-9._-]{0,20}", fullmatch=True)


@given(texts=st.tuples(texts, texts, texts, texts), paths=st.sets(names, min_size=1, max_size=4), pinned=st.booleans())
@example(texts=('"\\', "\x7f\0\r\n\t", "\u2028é😀", "'''"), paths={"a"}, pinned=True)
@settings(max_examples=60, deadline=None)
def test_what_is_written_is_read_again(
    tmp_path_factory: pytest.TempPathFactory, texts: tuple[str, str, str, str], paths: set[str], pinned: bool
) -> None:
    files = tuple(WeightFile(f"{path}/a.json", DIGEST if pinned else None, 3 if pinned else None) for path in paths)
    licence, source, command, conversion = texts
    manifest = Manifest("toy", "hub", licence, source, "main", files, "somebody/toy", command, conversion)
    path = written(tmp_path_factory.mktemp("weights"), "")
    write_manifest(manifest, path)
    assert read_manifest(path) == manifest
    assert [entry.name for entry in path.parent.iterdir()] == ["manifest.toml"]


def test_the_digest_of_one_file_is_its_own_and_of_several_that_of_the_lines_of_sha256sum(
    folder: Path, tmp_path: Path
) -> None:
    files = toy_files()
    manifest = promise(folder, files)
    for path, data in files.items():
        (tmp_path / Path(path).name).write_bytes(data)
        alone = replace(manifest, files=(manifest.file(path),))
        assert alone.sha256 == hashlib.sha256(data).hexdigest()
    (tmp_path / "text").mkdir()
    (tmp_path / "config.json").rename(tmp_path / "text/config.json")
    lines = subprocess.run(["sha256sum", *sorted(files)], cwd=tmp_path, capture_output=True, check=True).stdout
    assert manifest.sha256 == hashlib.sha256(lines).hexdigest()
    assert manifest.bytes == sum(map(len, files.values()))


def test_an_unknown_name_or_file_lists_the_known_ones(folder: Path) -> None:
    promise(folder, toy_files())
    with pytest.raises(WeightsNotFoundError, match="no weights named 'tyo'; there are: toy"):
        weights_path("tyo")
    with pytest.raises(
        WeightsNotFoundError, match=r"no file config\.json; it has text/config\.json, model\.safetensors"
    ):
        weights_path("toy", "config.json")
    with pytest.raises(WeightsNotFoundError):
        find_manifest("../weights/toy")


def test_manifests_come_by_name(folder: Path) -> None:
    for name in ("b", "a", "c"):
        promise(folder, toy_files(), name=name)
    assert [manifest.name for manifest in all_manifests()] == ["a", "b", "c"]
