"""The app as a process on the hub profile: it says beforehand what it takes, and two tools answer over the double."""

import json
from pathlib import Path

import pytest
from gradio_client import handle_file

from core.weights import find_manifest
from tests.apps.served import PATIENCE_S, Served
from tests.hub.tools import TOOLS
from tests.scenes import scene
from tests.weights.hub_double import HubDouble, point_client_at


def test_the_app_on_the_hub_profile_says_what_fits_before_it_loads_and_two_tools_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tools = [tool for tool in TOOLS if tool.name in ("video_search", "lip_sync")]
    films = [scene(tmp_path / f"{place}.mp4", place) for place in ("harbour", "meadow")]
    with HubDouble(tmp_path / "hub") as hub:
        for tool in tools:
            tool.publish(hub, tmp_path / "weights")
        point_client_at(monkeypatch, hub.url, tmp_path / "cache")
        monkeypatch.setenv("SHOWREEL_WEIGHTS", str(tmp_path / "weights"))
        monkeypatch.delenv("SHOWREEL_PROFILE", raising=False)
        with Served(tmp_path / "kept", "--profile", "hub") as server:
            assert hub.requests == [], "nothing is fetched before it is needed"
            plan = [line["message"] for line in server.log()]
            client = server.client()
            added = client.submit([handle_file(str(film)) for film in films], "", api_name="/video_search_add")
            assert [row["status"] for row in added.result(PATIENCE_S)["results"]] == ["added", "added"]
            found = client.predict(handle_file(str(films[1])), 1, "", "cosine", api_name="/video_search_find")
            said = client.predict("Hello.", "en-us", "speaker-4", 300, 50, api_name="/lip_sync_speak")
            told = [json.loads(line) for line in (tmp_path / "kept" / "log").read_text().splitlines()]
        manifests = [find_manifest(name) for tool in tools for name in tool.makers]
        pinned = {f"{m.repository}/{file.path}": [file.bytes] for m in manifests for file in m.files}
        assert hub.bytes_sent == pinned
    assert found["results"][0]["title"] == "meadow" and said["voice"] == "vits_vctk speaker-4"
    assert plan[0].startswith("Memory plan, profile hub: ")
    assert {"siglip", "vits_vctk"} <= {line.split()[0] for line in plan}
    assert {"job done"} <= {line["message"] for line in told}, "every line of the log is one JSON object"
