"""The quality tab as people use it, in a real Chromium; screenshots go to tests/screenshots."""

import csv
import itertools
import json
import threading
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import Browser, Page, expect

from core.media import write_video
from core.video_quality.sampling import Window
from tests.apps.conftest import Server
from tests.apps.visitor import Visitor
from tests.factories import moving_clip
from tests.scenes import scene
from tests.video_quality.scorer import Brightness

pytestmark = pytest.mark.browser


@pytest.fixture
def person(visitor: Visitor) -> Iterator[Visitor]:
    visitor.page.get_by_role("tab", name="Quality score").click()
    expect(visitor.page.get_by_role("button", name="Score", exact=True)).to_be_visible()
    yield visitor


@pytest.fixture(scope="module")
def dip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six seconds of a moving scene; the fourth is dark."""
    path = tmp_path_factory.mktemp("dip") / "dip.mp4"

    def picture(n: int) -> np.ndarray:
        random = np.random.default_rng(5)
        texture = np.roll(random.integers(120, 255, (90, 160, 3), dtype=np.uint8), n, 1)
        return texture // 6 if 30 <= n < 40 else texture

    write_video(path, (picture(n) for n in range(60)), Fraction(10))
    return path


def score(person: Visitor, *paths: Path) -> None:
    person.choose("Videos to score", *paths)
    person.page.get_by_role("button", name="Score", exact=True).click()


def now(page: Page, at_s: float) -> None:
    """Wait until the first player of the card stands at a time."""
    page.wait_for_function(
        f"() => Math.abs(document.querySelector('#video-quality-card video').currentTime - {at_s}) < 0.05"
    )


def test_a_film_gets_its_card_and_its_worst_moment_moves_the_player(person: Visitor, dip: Path) -> None:
    page = person.page
    score(person, dip)
    card = page.locator(".card.score")
    expect(card).to_contain_text("of 100")
    expect(card).to_contain_text("with about 90 % certainty")
    expect(card).to_contain_text("Predicted by a network trained on VMAF and published opinion tables")
    assert card.locator("rect[data-at]").count() == 6
    page.wait_for_function("() => document.querySelector('#video-quality-card video').readyState > 1")
    page.get_by_role("button", name="Picture at 0:03").click()
    now(page, 3.5)
    page.wait_for_function(
        "() => Math.abs(parseFloat(document.querySelector('.playhead').style.left) - 100 * 3.5 / 6) < 1"
    )
    person.photograph("quality_card")
    card.locator("rect[data-at]").nth(1).click()
    now(page, 1)


def test_a_fault_takes_the_player_to_its_time_in_a_form_the_browser_plays(person: Visitor, tmp_path: Path) -> None:
    film = tmp_path / "frozen.mkv"
    still = [np.full((72, 96, 3), 90, np.uint8)] * 20
    moving = [np.random.default_rng(n).integers(0, 255, (72, 96, 3), dtype=np.uint8) for n in range(20)]
    write_video(film, [*moving, *still], Fraction(10))
    score(person, film)
    page = person.page
    expect(page.locator(".card.score .faults")).to_contain_text("Freeze")
    page.wait_for_function("() => document.querySelector('#video-quality-card video').readyState > 1")
    page.locator(".faults .jump").first.click()
    now(page, 2)


def test_many_files_give_a_table_to_choose_from_and_to_take_away(
    person: Visitor, dip: Path, not_media: Path, tmp_path: Path
) -> None:
    page = person.page
    sheet, data = (page.get_by_role("button", name=f"{kind} of the scores") for kind in ("CSV", "JSON"))
    expect(sheet).to_be_disabled()
    score(person, dip, not_media, scene(tmp_path / "meadow.mp4", "meadow"))
    table = page.locator("#video-quality-table")
    expect(table.get_by_role("status")).to_have_text("Done: 2 of 3 files scored.")
    expect(table.locator("tbody tr")).to_have_count(3)
    expect(table.locator("tbody tr").nth(2)).to_contain_text("letter.mp4 is not a film")
    expect(page.locator(".card.score h3")).to_have_text("dip.mp4")
    page.get_by_role("button", name="meadow.mp4").click()
    expect(page.locator(".card.score h3")).to_have_text("meadow.mp4")
    with page.expect_download() as taken:
        sheet.click()
    rows = list(csv.DictReader(taken.value.path().open(encoding="utf-8")))
    assert [row["file"] for row in rows] == ["dip.mp4", "meadow.mp4", "letter.mp4"]
    with page.expect_download() as taken:
        data.click()
    told = json.loads(taken.value.path().read_text(encoding="utf-8"))["results"]
    assert [str(row["score"]) for row in told] == [row["score"] for row in rows] and len(told[0]["per_second"]) == 6
    person.photograph("quality_table")


def test_two_versions_play_together_and_a_click_on_their_curves_moves_both(
    person: Visitor, dip: Path, tmp_path: Path
) -> None:
    page = person.page
    darker = tmp_path / "darker.mp4"
    write_video(darker, (np.full((90, 160, 3), 10 + n, np.uint8) for n in range(60)), Fraction(10))
    person.unfold("Compare two versions")
    person.choose("First version", dip)
    person.choose("Second version", darker)
    page.get_by_role("button", name="Compare", exact=True).click()
    pair = page.locator("#video-quality-pair")
    expect(pair.get_by_role("status").first).to_contain_text("dip.mp4 looks better, by ")
    ready = "() => [...document.querySelectorAll('#video-quality-pair video')].every(v => v.readyState > 1"
    page.wait_for_function(f"{ready})")
    pair.locator("rect[data-at]").nth(4).click()
    page.wait_for_function(f"{ready} && Math.abs(v.currentTime - 4) < 0.1)")
    pair.get_by_role("button", name="Play", exact=True).click()
    page.wait_for_function(f"{ready} && !v.paused && v.currentTime > 4.2)")
    person.photograph("quality_pair")


def test_stop_ends_the_scoring_and_keeps_what_was_finished(
    person: Visitor, reels: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    describe, films, released = Brightness.describe, itertools.count(1), threading.Event()

    def held(scorer: Brightness, windows: Sequence[Window]) -> NDArray[np.float32]:
        assert windows[0].start_s > 0 or next(films) < 3 or released.wait(60)
        return describe(scorer, windows)

    monkeypatch.setattr(Brightness, "describe", held)
    page, table = person.page, person.page.locator("#video-quality-table")
    person.choose("Videos to score", *reels)
    page.get_by_role("button", name="Score", exact=True).click()
    expect(table).to_contain_text("reel2.mp4")
    page.get_by_role("button", name="Stop scoring").click()
    page.wait_for_timeout(3000)
    released.set()
    expect(table.get_by_role("status")).to_contain_text("Stopped: 2 of 6")


def test_no_file_and_a_bad_file_get_their_sentence(person: Visitor, not_media: Path) -> None:
    page = person.page
    page.get_by_role("button", name="Score", exact=True).click()
    expect(page.get_by_test_id("toast-body")).to_contain_text("choose one or more videos")
    score(person, not_media)
    expect(page.locator("#video-quality-table")).to_contain_text("letter.mp4 is not a film")
    expect(page.locator(".card.score")).to_have_count(0)


@pytest.mark.parametrize(("name", "width"), [("phone", 390), ("laptop", 1280)])
def test_the_tab_fits_its_window_in_light_and_dark(
    browser: Browser, server: Server, dip: Path, tmp_path: Path, name: str, width: int
) -> None:
    person = Visitor(browser, f"{server.url}/?__theme=light", width, 900)
    page = person.page
    page.get_by_role("tab", name="Quality score").click()
    other = moving_clip(tmp_path / "a_film_whose_name_is_rather_long_and_has_no_space.mp4", duration_s=2)
    score(person, dip, other)
    expect(page.locator(".card.score")).to_be_visible()
    person.unfold("Compare two versions")
    person.choose("First version", dip)
    person.choose("Second version", other)
    page.get_by_role("button", name="Compare", exact=True).click()
    expect(page.locator("#video-quality-pair .pair")).to_be_visible()
    for scheme in ("light", "dark"):
        page.evaluate(f"document.body.classList.toggle('dark', {str(scheme == 'dark').lower()})")
        overflow = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        assert overflow <= 0, f"{overflow} pixels wider than the window"
        person.photograph(f"quality_{name}_{scheme}")
    person.context.close()


def test_the_teachers_say_what_each_counts_for(person: Visitor, dip: Path) -> None:
    person.choose("Videos to score", dip)
    asking = person.page.get_by_role("button", name="Ask the teachers")
    asking.click()
    expect(asking).to_have_count(2)
    asking.last.click()
    table = person.page.get_by_role("region", name="Teachers by file")
    expect(table.get_by_role("columnheader")).to_have_text(["File", "Score", "Teachers say", "bright", "dark"])
    expect(table.get_by_role("rowheader", name="dip.mp4")).to_be_visible()
    expect(person.page.locator("#video-quality-teachers")).to_contain_text("apart on average")
