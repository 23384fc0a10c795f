"""Weights that lie in ``weights/<name>/``."""

import os
from pathlib import Path

import pytest
import torch

from core.errors import ChecksumMismatchError, ParameterError, WeightsError, WeightsNotFoundError
from core.weights import checksum, load_tensors, weights_folder, weights_path
from tests.weights.toys import lay, promise, toy_files

MODEL, CONFIG = "model.safetensors", "text/config.json"


@pytest.fixture
def toy(folder: Path) -> Path:
    """The folder of embedded weights whose files are all right."""
    promise(folder, toy_files())
    lay(folder / "toy", toy_files())
    return folder / "toy"


def flip_a_bit(path: Path, position: int = 0) -> None:
    data = bytearray(path.read_bytes())
    data[position] ^= 1
    path.write_bytes(data)


def test_the_folder_and_each_of_its_files_are_found(toy: Path) -> None:
    assert weights_path("toy") == toy
    assert weights_path("toy", CONFIG) == toy / CONFIG


def test_without_a_setting_the_weights_are_those_of_the_repository(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SHOWREEL_WEIGHTS", raising=False)
    assert weights_folder() == Path(__file__).resolve().parents[2] / "weights"


def test_tensors_come_as_they_are_or_cast_and_whole_numbers_stay(toy: Path) -> None:
    kept, cast = load_tensors("toy", MODEL), load_tensors("toy", MODEL, torch.float32)
    assert (kept["layer.weight"].dtype, cast["layer.weight"].dtype) == (torch.float16, torch.float32)
    assert torch.equal(kept["layer.weight"].float(), cast["layer.weight"])
    assert cast["steps"].dtype == torch.int64 and cast["steps"].item() == 7


def test_torch_networks_load_from_safetensors_only(folder: Path, toy: Path) -> None:
    with pytest.raises(ParameterError, match=r"config\.json of toy is not \.safetensors"):
        load_tensors("toy", CONFIG)
    pickled = {MODEL: b"\x80\x02}q\x00."}
    promise(folder, pickled)
    lay(toy, pickled)
    with pytest.raises(WeightsError, match="not safetensors inside"):
        load_tensors("toy", MODEL)


@pytest.mark.parametrize("position", [0, -1])
def test_one_flipped_bit_is_noticed_moved_aside_and_named(toy: Path, position: int) -> None:
    flip_a_bit(toy / MODEL, position)
    altered = (toy / MODEL).read_bytes()
    with pytest.raises(ChecksumMismatchError, match=r"sha256 .*`git checkout -- weights/toy") as caught:
        weights_path("toy")
    (aside,) = toy.glob(f"{MODEL}.wrong-*")
    assert str(toy / MODEL) in str(caught.value) and str(aside) in str(caught.value)
    assert aside.read_bytes() == altered and not (toy / MODEL).exists()
    lay(toy, toy_files())
    assert weights_path("toy") == toy


def test_a_file_that_changes_after_its_first_use_is_noticed(toy: Path) -> None:
    weights_path("toy")
    flip_a_bit(toy / MODEL)
    os.utime(toy / MODEL, ns=(1, 1))
    with pytest.raises(ChecksumMismatchError):
        weights_path("toy", MODEL)


def test_a_file_is_read_once_in_a_process(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Path] = []
    whole = checksum.sha256_of

    def counted(path: Path) -> str:
        read.append(path)
        return whole(path)

    monkeypatch.setattr(checksum, "sha256_of", counted)
    for _ in range(3):
        weights_path("toy", MODEL)
    assert read == [toy / MODEL]


def test_a_truncated_file_is_called_by_its_size(toy: Path) -> None:
    (toy / MODEL).write_bytes((toy / MODEL).read_bytes()[:-5])
    size = len(toy_files()[MODEL])
    with pytest.raises(ChecksumMismatchError, match=f"has {size - 5} bytes, not the {size} of its manifest"):
        weights_path("toy", MODEL)


def test_a_missing_file_is_named_with_its_remedy(toy: Path) -> None:
    (toy / CONFIG).unlink()
    with pytest.raises(WeightsNotFoundError, match=r"text/config\.json is missing.*git checkout -- weights/toy"):
        weights_path("toy")
    assert weights_path("toy", MODEL) == toy / MODEL, "the other file is none the worse"


def test_a_wrong_file_that_cannot_be_moved_is_still_refused(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    flip_a_bit(toy / MODEL)
    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(ChecksumMismatchError, match=r"could not be moved aside \(Permission denied\)"):
        weights_path("toy")
