"""The start of the app."""

from pathlib import Path

import httpx
import pytest
from gradio import networking

from app import launch
from apps.runtime import AppSettings
from tests.apps.conftest import free_port


def test_a_server_whose_page_is_slow_at_first_starts_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Gradio asks for its own page and gives up after three seconds, which twenty clients at the start can take."""
    monkeypatch.setattr(networking, "url_ok", lambda url: False)
    app = launch(AppSettings(output=str(tmp_path / "output"), port=free_port()), block=False)
    try:
        assert httpx.get(f"{app.local_url}metrics", timeout=60).status_code == 200
    finally:
        app.close(verbose=False)
