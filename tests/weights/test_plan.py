"""The memory plan: the right weights for each tool, their sizes, and what fits."""

import json

import pytest
import torch

from core.encoders import audio, image, speech, text
from core.errors import ParameterError
from core.lip_sync import neural_voice
from core.music_matching import listening
from core.personal_video import hub_networks
from core.runtime import PROFILE_VARIABLE, SHARE
from core.video_quality.hub_library import LevelWordsModel, hub_library
from core.video_search.pipeline import ENCODERS
from core.weights import all_manifests, find_manifest
from core.weights.__main__ import main
from core.weights.plan import NEEDED, TOOLS, ToolPlan, memory_plan, plan_before_loading, show_plan

GPU, CPU = torch.device("cuda", 0), torch.device("cpu")


@pytest.fixture(autouse=True)
def hub_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PROFILE_VARIABLE, "hub")


def planned(tool: str, free: int, device: torch.device = GPU) -> ToolPlan:
    return memory_plan([tool], device, free).results[0]


def test_each_tool_s_weights_of_the_hub_are_those_that_its_code_names() -> None:
    hub = NEEDED["hub"]
    library = {LevelWordsModel.weights if model.name == LevelWordsModel.name else model.name for model in hub_library()}
    assert ENCODERS["hub"] in hub["video_search"]
    assert library <= set(hub["video_quality"])
    assert {listening.TEXT_ENCODER, speech.DEFAULT_NAMES["hub"]} <= set(hub["music_matching"])
    assert neural_voice.WEIGHTS in hub["lip_sync"]
    assert {*hub_networks.WEIGHTS, hub_networks.FEW_STEPS} <= set(hub["personal_video"])


def test_every_manifest_belongs_to_a_tool_but_for_two_of_the_hub_s_encoders() -> None:
    used = {name for tools in NEEDED.values() for names in tools.values() for name in names}
    assert {manifest.name for manifest in all_manifests()} - used <= {
        audio.DEFAULT_NAMES["hub"],
        text.DEFAULT_NAMES["hub"],
    }
    assert image.DEFAULT_NAMES["hub"] in used


def test_the_embedded_profile_loads_nothing_of_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PROFILE_VARIABLE, "embedded")
    names = {model.name for tool in memory_plan(device=CPU, free=10**12).results for model in tool.models}
    assert {find_manifest(name).profile for name in names} == {"embedded"}
    assert plan_before_loading() == ""


def test_sizes_are_those_of_the_manifest_and_parameters_those_of_files_that_are_here() -> None:
    models = {model.name: model for model in planned("music_matching", 10**12).models}
    assert models["whisper_large"].bytes == find_manifest("whisper_large").bytes
    assert models["efficientnet_lite0"].parameters == sum(
        tensor.numel() for tensor in image.load_efficientnet_lite("lite0").state_dict().values()
    )


def test_on_a_large_gpu_all_fits_whole_and_what_is_no_tensor_stays_in_main_memory() -> None:
    assert {m.place for m in planned("music_matching", 10**12).models} == {"whole"}
    places = {m.name: m.place for m in planned("lip_sync", 10**12).models}
    assert places["mediapipe_faces"] == "main memory"


def test_on_a_small_gpu_networks_take_turns_and_what_never_fits_comes_in_layers() -> None:
    minilm, whisper = (find_manifest(name).file("model.safetensors").bytes or 0 for name in ("minilm", "whisper_large"))
    for free, expected in [
        (round((whisper - 1) / SHARE), ("whole", "layers")),
        (round((whisper + 1) / SHARE) + 1, ("whole", "in turn")),
        (round((whisper + 1) / SHARE) + minilm + 10**8, ("whole", "whole")),
        (round((minilm - 1) / SHARE), ("layers", "layers")),
    ]:
        places = {m.name: m.place for m in planned("music_matching", free).models}
        assert (places["minilm"], places["whisper_large"]) == expected


def test_weights_without_sizes_are_not_guessed() -> None:
    model = next(m for m in planned("video_quality", 10**12).models if m.name == "convnext")
    assert (model.bytes, model.parameters, model.place) == (None, None, "unknown")
    assert "more than" in plan_before_loading(["video_quality"])


def test_main_memory_that_is_too_small_is_said() -> None:
    places = {m.name: m.place for m in planned("video_search", 10**8, CPU).models}
    assert places == {"siglip": "no room", "video_search": "main memory"}


def test_an_unknown_tool_is_named_with_those_there_are() -> None:
    with pytest.raises(ParameterError, match="no tool video_serach; choose from video_search"):
        memory_plan(["video_serach"])


def test_the_command_prints_one_object_or_a_line_for_each_network(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "--profile", "hub", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert [tool["id"] for tool in answer["results"]] == list(TOOLS) and answer["free_bytes"] > 0
    assert answer["results"][0]["bytes"] == sum(model["bytes"] for model in answer["results"][0]["models"])
    assert main(["plan", "music_matching"]) == 0
    told = capsys.readouterr().out
    assert "whisper_large" in told and "siglip" not in told and "Memory plan, profile hub" in told
    assert show_plan(answer).count("\n") == len(TOOLS) + sum(len(tool["models"]) for tool in answer["results"])
    assert main(["plan", "painting"]) == 2
