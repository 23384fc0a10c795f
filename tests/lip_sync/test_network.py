"""The network's weights: written whole, read again, and told apart."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from core.errors import WeightsError, WeightsNotFoundError
from core.lip_sync.generator import Given, MouthNetwork
from core.lip_sync.network import load_network, new_network
from core.training import write_trained
from core.weights import fingerprint


def seeded(seed: int) -> MouthNetwork:
    torch.manual_seed(seed)
    return new_network().eval()


def picture_of(network: MouthNetwork) -> torch.Tensor:
    random = torch.Generator().manual_seed(1)
    pictures = torch.rand((2, 1, 3, 128, 128), generator=random)
    given = Given(pictures[0], pictures[1], torch.full((1, 25, 2), 60.0), torch.full((1, 25, 2), 70.0))
    groups = torch.rand((1, 5, 3, 128, 128), generator=random)
    with torch.inference_mode():
        return network(groups, 50 * torch.randn((1, 20, 20), generator=random), given).picture


def test_weights_that_are_written_and_read_make_the_same_picture(tmp_path: Path) -> None:
    network = seeded(0)
    write_trained(network, tmp_path / "lip_sync.safetensors", {"steps": "10"})
    again = load_network(tmp_path / "lip_sync.safetensors")
    assert not again.training and not any(parameter.requires_grad for parameter in again.parameters())
    assert (picture_of(network) - picture_of(again)).abs().max() < 0.02
    assert (picture_of(network) - picture_of(seeded(1))).abs().max() > 0.05


def test_half_precision_halves_the_file(tmp_path: Path) -> None:
    network = seeded(0)
    file = tmp_path / "lip_sync.safetensors"
    write_trained(network, file, {})
    count = sum(value.numel() for value in network.state_dict().values())
    assert file.stat().st_size == pytest.approx(2 * count, rel=0.05)


def test_where_there_are_no_weights_it_is_said_what_can_be_done(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str, path: str) -> Path:
        raise WeightsNotFoundError(f"There are no weights named {name}.")

    monkeypatch.setattr("core.lip_sync.network.weights_path", missing)
    with pytest.raises(WeightsNotFoundError, match=r"are missing.*core\.lip_sync train"):
        load_network()


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    save_file({"features.scale": torch.ones(())}, tmp_path / "other.safetensors", {"config": "{}"})
    with pytest.raises(WeightsError):
        load_network(tmp_path / "other.safetensors")
    with pytest.raises(WeightsError):
        load_network(tmp_path / "none.safetensors")


def test_a_fingerprint_stands_for_the_weights() -> None:
    one, same, other = seeded(0), seeded(0), seeded(1)
    assert fingerprint(one) == fingerprint(same) != fingerprint(other)
    with torch.no_grad():
        next(same.generator.parameters()).flatten()[0] += 1e-3
    assert fingerprint(one) != fingerprint(same)
