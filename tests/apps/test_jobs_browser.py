"""The list of recent jobs as people see it, in a real Chromium."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.apps.bench import Bench, benches
from tests.apps.served import wait_for
from tests.apps.visitor import PATIENCE_MS

pytestmark = pytest.mark.browser


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    os.environ.setdefault("GRADIO_TEMP_DIR", str(tmp_path / "uploads"))
    with benches() as make:
        yield make(tmp_path, jobs_per_session=1)


@pytest.fixture
def page(browser: Browser, bench: Bench) -> Iterator[Page]:
    context = browser.new_context()
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    page.goto(bench.url)
    yield page
    context.close()


def unfold(page: Page, title: str) -> None:
    page.get_by_role("button", name=title).click()


def test_a_page_that_was_loaded_anew_finds_its_jobs_and_stops_and_repeats_them(
    bench: Bench, browser: Browser, page: Page
) -> None:
    word = page.get_by_label("Word")
    word.fill("harbour")
    page.get_by_role("button", name="Wait", exact=True).click()
    wait_for(lambda: "showreel_jobs_running 1.0" in bench.desk.metrics.text())
    page.get_by_role("button", name="Each", exact=True).click()
    expect(page.get_by_text("1 job is waiting or running for you, which is the limit here")).to_be_visible()
    page.reload()
    unfold(page, "Recent jobs: 1 not done")
    row = page.locator(".jobs li")
    expect(row).to_contain_text("Bench wait running")
    row.get_by_role("button", name="Stop: Bench wait").click()
    expect(row).to_contain_text("Stopped at your request")
    bench.tool.gate.set()
    row.get_by_role("button", name="Run again: Bench wait").click()
    expect(row).to_contain_text("done in")
    with page.expect_download() as download:
        row.get_by_role("link", name="harbour.txt").click()
    assert Path(download.value.path()).read_text() == "harbour"
    stranger = browser.new_page()
    stranger.goto(bench.url)
    unfold(stranger, "Recent jobs")
    expect(stranger.get_by_text("Nothing has been asked for yet.")).to_be_visible()
    stranger.close()
