"""Weights that come from the Hub: the real client against a double on loopback."""

import socket
import time
from pathlib import Path

import pytest
import torch

from core.errors import CancelledError, ChecksumMismatchError, WeightsAccessError, WeightsError, WeightsNotFoundError
from core.runtime import CancelToken, cancellable, silent
from core.weights import load_tensors, weights_path
from core.weights.formats import demand_safe_header
from tests.weights.hub_double import LOOPBACK, TOKEN, Fault, HubDouble, point_client_at
from tests.weights.toys import REPOSITORY, lay, promise, publish, toy_files

MODEL, CONFIG = "model.safetensors", "text/config.json"
SERVED = f"{REPOSITORY}/{MODEL}"
MEGABYTE = 1 << 20


@pytest.fixture
def dead_address() -> str:
    """A loopback address at which nobody listens."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return f"http://{LOOPBACK}:{probe.getsockname()[1]}"


def test_a_good_repository_comes_as_one_folder_with_the_promised_bytes(folder: Path, hub: HubDouble) -> None:
    files = toy_files()
    publish(hub, folder, files)
    found = weights_path("toy")
    assert all(f"/resolve/{hub.commit(REPOSITORY)}/" in line.path for line in hub.requests if line.server == "hub")
    assert {path: (found / path).read_bytes() for path in files} == files
    assert not (folder / "toy" / MODEL).exists(), "downloads belong into the Hub's cache"


def test_a_large_file_is_followed_to_the_storage_server_and_the_token_is_not(
    folder: Path, hub: HubDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(hub, folder, toy_files())
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    tensors = load_tensors("toy", MODEL)
    assert torch.equal(tensors["layer.weight"], torch.arange(16, dtype=torch.float16))
    assert [(request.server, request.authorised) for request in hub.bodies(MODEL)] == [("storage", False)]
    assert all(request.authorised for request in hub.requests if request.server == "hub")


def test_progress_counts_the_bytes_of_all_files_up_to_the_last(folder: Path, hub: HubDouble) -> None:
    manifest = publish(hub, folder, toy_files())
    seen: list[tuple[int, int, str]] = []
    weights_path("toy", progress=lambda *report: seen.append(report))
    assert {total for _, total, _ in seen} == {manifest.bytes}
    assert [(done, what) for done, _, what in dict.fromkeys(seen)] == [
        (manifest.file(CONFIG).bytes, CONFIG),
        (manifest.bytes, MODEL),
    ]


def test_what_is_in_the_cache_is_not_asked_for_again(folder: Path, hub: HubDouble) -> None:
    publish(hub, folder, toy_files())
    weights_path("toy")
    hub.requests.clear()
    weights_path("toy")
    weights_path("toy", CONFIG)
    assert hub.requests == []


def test_a_cut_connection_goes_on_where_it_was_cut(folder: Path, hub: HubDouble) -> None:
    """The client writes pieces of 10 MiB, so what arrived of the piece at the cut is asked for again."""
    files = {MODEL: toy_files(numbers=11 * MEGABYTE)[MODEL]}
    publish(hub, folder, files)
    hub.faults[SERVED] = Fault(cut_after=15 * MEGABYTE)
    seen: list[tuple[int, int, str]] = []
    found = weights_path("toy", MODEL, lambda *report: seen.append(report))
    first, second = hub.bodies(MODEL)
    assert (first.range, second.range) == (None, f"bytes={10 * MEGABYTE}-")
    assert hub.bytes_sent[SERVED] == [15 * MEGABYTE, len(files[MODEL]) - 10 * MEGABYTE]
    assert found.read_bytes() == files[MODEL]
    done = [report[0] for report in seen]
    assert done == sorted(done) and seen[-1] == (len(files[MODEL]), len(files[MODEL]), MODEL)


def test_a_reset_connection_is_begun_again(folder: Path, hub: HubDouble) -> None:
    files = toy_files(numbers=MEGABYTE)
    publish(hub, folder, files)
    hub.faults[SERVED] = Fault(cut_after=MEGABYTE, reset=True)
    assert weights_path("toy", MODEL).read_bytes() == files[MODEL]
    assert len(hub.bodies(MODEL)) == 2


def test_a_download_stops_when_it_is_cancelled_and_leaves_no_half_file(
    folder: Path, hub: HubDouble, cache: Path
) -> None:
    publish(hub, folder, toy_files(numbers=6 * MEGABYTE))
    token = CancelToken()
    token.cancel()
    with pytest.raises(CancelledError):
        weights_path("toy", MODEL, cancellable(silent, token))
    assert [path for path in cache.rglob("*") if "blobs" in path.parts and path.is_file()] == []


def test_wrong_bytes_once_are_moved_aside_and_fetched_afresh(
    folder: Path, hub: HubDouble, caplog: pytest.LogCaptureFixture
) -> None:
    files = toy_files()
    publish(hub, folder, files)
    hub.faults[SERVED] = Fault(wrong_bytes=True, times=1)
    found = weights_path("toy", MODEL)
    assert found.read_bytes() == files[MODEL]
    (aside,) = found.resolve().parent.glob("*.wrong-*")
    assert str(aside) in caplog.text
    assert aside.read_bytes()[1:] == files[MODEL][1:]


def test_wrong_bytes_twice_are_an_error_that_names_file_place_and_remedy(
    folder: Path, hub: HubDouble, cache: Path
) -> None:
    publish(hub, folder, toy_files())
    hub.faults[SERVED] = Fault(wrong_bytes=True, times=None)
    with pytest.raises(ChecksumMismatchError, match="moved aside") as caught:
        weights_path("toy", MODEL)
    (aside,) = cache.rglob("*.wrong-*")
    assert MODEL in str(caught.value) and str(aside) in str(caught.value) and "fresh download" in str(caught.value)
    assert len(hub.bodies(MODEL)) == 2
    del hub.faults[SERVED]
    assert weights_path("toy", MODEL).is_file(), "the wrong file must not stay in the way"


def test_a_cached_file_that_rots_is_noticed_in_the_same_process(folder: Path, hub: HubDouble) -> None:
    files = toy_files()
    publish(hub, folder, files)
    blob = weights_path("toy", MODEL).resolve()
    blob.write_bytes(b"rotten")
    assert weights_path("toy", MODEL).read_bytes() == files[MODEL]


def test_a_missing_revision_is_named(folder: Path, hub: HubDouble) -> None:
    publish(hub, folder, toy_files(), revision="0" * 40)
    with pytest.raises(WeightsNotFoundError, match=f"no such revision.*{REPOSITORY}.*{'0' * 40}"):
        weights_path("toy")


def test_a_missing_file_is_named(folder: Path, hub: HubDouble) -> None:
    files = toy_files()
    publish(hub, folder, files)
    promise(
        folder,
        {**files, "vocab.txt": b""},
        profile="hub",
        repository=REPOSITORY,
        revision=hub.commit(REPOSITORY),
    )
    with pytest.raises(WeightsNotFoundError, match=r"no such file for vocab\.txt"):
        weights_path("toy")


def test_a_missing_repository_is_named(folder: Path, hub: HubDouble) -> None:
    publish(hub, folder, toy_files(), repository="nobody/nothing")
    with pytest.raises(WeightsNotFoundError, match=r"no repository for .*nobody/nothing"):
        weights_path("toy")


@pytest.mark.parametrize("token", [None, "hf_of_somebody_else"])
def test_a_gated_repository_asks_to_accept_its_licence_and_to_log_in(
    folder: Path, hub: HubDouble, monkeypatch: pytest.MonkeyPatch, token: str | None
) -> None:
    publish(hub, folder, toy_files())
    hub.gated.add(REPOSITORY)
    if token:
        monkeypatch.setenv("HF_TOKEN", token)
    with pytest.raises(WeightsAccessError, match=f"accept the licence of {REPOSITORY}.*hf auth login"):
        weights_path("toy")
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert weights_path("toy").is_dir()


def test_a_dead_server_is_an_error_within_seconds(
    folder: Path, hub: HubDouble, cache: Path, monkeypatch: pytest.MonkeyPatch, dead_address: str
) -> None:
    publish(hub, folder, toy_files())
    point_client_at(monkeypatch, dead_address, cache)
    start = time.monotonic()
    with pytest.raises(WeightsNotFoundError, match=f"{dead_address}.*{REPOSITORY}"):
        weights_path("toy")
    assert time.monotonic() - start < 5


def test_a_server_that_never_answers_is_given_up(
    folder: Path, hub: HubDouble, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(hub, folder, toy_files())
    with socket.create_server((LOOPBACK, 0)) as mute:
        point_client_at(monkeypatch, f"http://{LOOPBACK}:{mute.getsockname()[1]}", cache)
        monkeypatch.setenv("HF_HUB_ETAG_TIMEOUT", "1")
        start = time.monotonic()
        with pytest.raises(WeightsNotFoundError, match="did not deliver"):
            weights_path("toy")
    assert time.monotonic() - start < 5, "two tries of one second"


def test_a_server_out_of_order_is_an_error_within_seconds(folder: Path, hub: HubDouble) -> None:
    publish(hub, folder, toy_files())
    hub.out_of_order = True
    start = time.monotonic()
    with pytest.raises(WeightsNotFoundError, match="503"):
        weights_path("toy")
    assert time.monotonic() - start < 5


def test_a_warm_cache_serves_without_a_server(
    folder: Path, hub: HubDouble, cache: Path, monkeypatch: pytest.MonkeyPatch, dead_address: str
) -> None:
    publish(hub, folder, toy_files())
    online = weights_path("toy")
    point_client_at(monkeypatch, dead_address, cache)
    assert weights_path("toy") == online
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert weights_path("toy") == online


def test_offline_with_a_cold_cache_says_so_at_once_and_asks_nobody(
    folder: Path, hub: HubDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(hub, folder, toy_files())
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    start = time.monotonic()
    with pytest.raises(WeightsNotFoundError, match=r"HF_HUB_OFFLINE is set.*core\.weights fetch toy"):
        weights_path("toy")
    assert time.monotonic() - start < 3
    assert hub.requests == []


def test_offline_a_rotten_cache_is_an_error_and_is_moved_aside(
    folder: Path, hub: HubDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(hub, folder, toy_files())
    blob = weights_path("toy", MODEL).resolve()
    blob.write_bytes(b"rotten")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ChecksumMismatchError, match=r"6 bytes, not the .*moved aside"):
        weights_path("toy", MODEL)
    assert not blob.exists()


def test_what_lies_in_the_weights_folder_is_taken_first_and_nobody_is_asked(folder: Path, hub: HubDouble) -> None:
    files = toy_files()
    publish(hub, folder, files)
    lay(folder / "toy", files)
    assert weights_path("toy") == folder / "toy"
    assert weights_path("toy", CONFIG) == folder / "toy" / CONFIG
    assert hub.requests == []


def test_a_wrong_file_in_the_weights_folder_is_moved_aside_and_the_hub_steps_in(
    folder: Path, hub: HubDouble, caplog: pytest.LogCaptureFixture
) -> None:
    files = toy_files()
    publish(hub, folder, files)
    lay(folder / "toy", {**files, MODEL: b"half a file"})
    assert (weights_path("toy") / MODEL).read_bytes() == files[MODEL]
    (aside,) = (folder / "toy").glob(f"{MODEL}.wrong-*")
    assert aside.read_bytes() == b"half a file"
    assert aside.name in caplog.text


def test_a_manifest_that_is_not_pinned_is_refused_before_anybody_is_asked(
    folder: Path, hub: HubDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(hub, folder, toy_files(), revision="main")
    with pytest.raises(WeightsNotFoundError, match=r"not pinned.*core\.weights fetch toy --pin"):
        weights_path("toy")
    assert hub.requests == []
    monkeypatch.setenv("SHOWREEL_ALLOW_UNPINNED", "1")
    assert weights_path("toy", MODEL).is_file()


def test_a_pickle_under_an_allowed_name_is_not_opened(tmp_path: Path) -> None:
    """CTranslate2's ``model.bin`` begins like the first; torch's two pickled forms like the others."""
    path = tmp_path / "model.bin"
    path.write_bytes(b"\x06\0\0\0\x0c\0WhisperSpec\0\x03\0\0\0")
    demand_safe_header(path, "model.bin")
    legacy, zipped = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.", b"PK\x03\x04" + bytes(26) + b"archive/data.pkl"
    disguised = b"\x80\x02\0\0\x0c\0WhisperSpec\0"
    for other in (legacy, zipped, disguised, b""):
        path.write_bytes(other)
        with pytest.raises(WeightsError, match="may be a pickle"):
            demand_safe_header(path, "model.bin")
