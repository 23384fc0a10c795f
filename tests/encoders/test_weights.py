"""The folders under ``weights/``: complete, described, and byte for byte what their manifests promise."""

import re
from pathlib import Path

import pytest

from core.weights import Manifest, all_manifests, weights_path
from core.weights.catalogue import read_manifest

FOLDER = Path(__file__).resolve().parents[2] / "weights"
MANIFESTS = [read_manifest(path) for path in sorted(FOLDER.glob("*/manifest.toml"))]
EMBEDDED = [manifest for manifest in MANIFESTS if manifest.profile == "embedded"]
HUB = [manifest for manifest in MANIFESTS if manifest.profile == "hub"]
WITHOUT_DIGESTS = {"animatediff", "clap", "convnext", "vits_vctk"}


def by_name(manifest: Manifest) -> str:
    return manifest.name


def test_every_folder_has_a_manifest_and_every_manifest_can_be_read() -> None:
    assert {path.name for path in FOLDER.iterdir() if path.is_dir()} == {manifest.name for manifest in all_manifests()}


@pytest.mark.parametrize("manifest", EMBEDDED, ids=by_name)
def test_embedded_files_are_the_promised_ones_and_nothing_else_lies_beside_them(manifest: Manifest) -> None:
    folder = weights_path(manifest.name)
    described = {"manifest.toml", "MODEL_CARD.md", "LICENSE", "NOTICE", "LICENSE-labels", "LICENSE-package"}
    assert {path.name for path in folder.iterdir()} - described == {file.path for file in manifest.files}
    assert any((folder / name).exists() for name in ("LICENSE", "NOTICE", "LICENSE-package"))
    assert manifest.conversion


def test_the_embedded_profile_takes_210_megabytes() -> None:
    """156.6 MB of pretrained weights, 0.2 MB of scene statistics, and of our own 30.0, 9.7, 8.6, 3.7 and 0.9 MB."""
    sizes = {manifest.name: manifest.bytes or 0 for manifest in EMBEDDED}
    assert round(sizes.pop("natural_scenes") / 1e6, 1) == 0.2
    assert round(sizes.pop("video_search") / 1e6, 1) == 30.0
    assert round(sizes.pop("video_quality") / 1e6, 1) == 3.7
    assert round(sizes.pop("music_matching") / 1e6, 1) == 0.9
    assert round(sizes.pop("lip_sync") / 1e6, 1) == 9.7
    assert round(sizes.pop("personal_video") / 1e6, 1) == 8.6
    assert round(sum(sizes.values()) / 1e6, 1) == 156.6


@pytest.mark.parametrize("manifest", HUB, ids=by_name)
def test_hub_weights_name_one_commit_and_are_pinned_but_for_the_known_ones(manifest: Manifest) -> None:
    assert re.fullmatch("[0-9a-f]{40}", manifest.revision)
    assert manifest.pinned == (manifest.name not in WITHOUT_DIGESTS)


@pytest.mark.parametrize("manifest", MANIFESTS, ids=by_name)
def test_every_card_states_the_licence_the_limits_and_code_and_tests_that_exist(manifest: Manifest) -> None:
    card = (FOLDER / manifest.name / "MODEL_CARD.md").read_text("utf-8")
    assert "## Licence" in card and "## Limits" in card and manifest.licence.split()[0] in card
    named = set(re.findall(r"`((?:core|tests)/[\w/]+\.py)`", card))
    assert len(named) >= 2
    assert all((FOLDER.parent / path).exists() for path in named)
    if manifest.profile == "hub":
        assert manifest.revision in card and f"{manifest.repository}" in card
