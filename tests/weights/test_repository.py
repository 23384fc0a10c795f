"""The weights that this repository itself carries."""

import pytest

from core.weights import all_manifests, weights_folder
from core.weights.inventory import problems

LARGEST_FILE = 100_000_000
"""What a git host takes without large-file storage."""


@pytest.fixture(autouse=True)
def own_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SHOWREEL_WEIGHTS", raising=False)


def test_every_embedded_file_is_the_one_that_its_manifest_promises() -> None:
    embedded = [manifest for manifest in all_manifests() if manifest.profile == "embedded"]
    assert embedded, f"{weights_folder()} has no embedded weights"
    assert [problem for manifest in embedded for problem in problems(manifest)] == []
    assert all(file.bytes and file.bytes < LARGEST_FILE for manifest in embedded for file in manifest.files)


def test_every_folder_of_weights_has_a_manifest_that_names_all_its_data() -> None:
    """What is not named is never verified: only words (cards, licences, notices) may lie beside the named files."""
    for manifest in all_manifests():
        folder = weights_folder() / manifest.name
        named = {file.path for file in manifest.files} | {"manifest.toml"}
        others = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} - named
        words = {path for path in others if path.startswith(("LICENSE", "NOTICE")) or path.endswith(".md")}
        assert others == words, f"{manifest.name} does not name {others - words}"
    folders = {path.name for path in weights_folder().iterdir() if any(path.glob("*"))}
    assert folders == {manifest.name for manifest in all_manifests()}
