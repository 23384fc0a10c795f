"""The tab as people use it, in a real Chromium; screenshots go to tests/screenshots."""

import csv
import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.apps.conftest import Server, journey, serving
from tests.apps.visitor import Visitor
from tests.factories import moving_clip
from tests.scenes import scene

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def films(clips: dict[str, Path], browser: Browser, server: Server) -> dict[str, Path]:
    """The clips, put into the library by a person."""
    person = Visitor(browser, server.url)
    person.add(*clips.values())
    expect(person.page.get_by_role("status").filter(has_text="Done:")).to_be_visible()
    person.context.close()
    return clips


def in_library(page: Page, title: str) -> Locator:
    """The library's picture of a film."""
    pictures = page.locator("#video-search-library").get_by_role("button")
    return pictures.filter(has=page.get_by_role("img", name=title, exact=True))


def cards(page: Page) -> Locator:
    return page.locator(".card.found")


def first_title(page: Page) -> str:
    return page.locator(".card.found h3").first.inner_text()


def test_films_are_added_and_shown_in_the_library(visitor: Visitor, films: dict[str, Path], tmp_path: Path) -> None:
    visitor.add(scene(tmp_path / "regatta.mp4", "city", seed=3))
    expect(visitor.page.get_by_role("status").filter(has_text="1 added")).to_be_visible()
    expect(visitor.page.locator("#video-search-library").get_by_text("regatta")).to_be_visible()
    visitor.photograph("library")


def test_a_copy_finds_its_original_and_every_result_plays(
    visitor: Visitor, films: dict[str, Path], tmp_path: Path
) -> None:
    visitor.find(scene(tmp_path / "copy.mp4", "traffic", size=(160, 120), crf=36))
    expect(visitor.page.locator(".card.found")).to_have_count(5)
    assert first_title(visitor.page) == "traffic"
    players = visitor.page.locator(".matches video")
    assert players.count() == 6
    for index in range(6):
        ready = "v => new Promise(done => { if (v.readyState > 1) done(true); v.onloadeddata = () => done(true);"
        ready += " v.onerror = () => done(false); v.preload = 'auto'; })"
        assert players.nth(index).evaluate(ready), f"player {index} cannot play its file"
    visitor.photograph("results")


def test_a_click_in_the_library_searches_with_that_film(visitor: Visitor, films: dict[str, Path]) -> None:
    in_library(visitor.page, "meadow").first.click()
    expect(visitor.page.locator(".card.query h3")).to_have_text("meadow")
    expect(cards(visitor.page).first).to_contain_text("unrelated films")
    assert "meadow" not in visitor.page.locator(".card.found h3").all_inner_texts()


def test_a_bad_file_gets_its_sentence_and_the_page_goes_on(
    visitor: Visitor, films: dict[str, Path], not_media: Path
) -> None:
    visitor.find(not_media)
    expect(visitor.page.get_by_test_id("toast-body")).to_contain_text("letter.mp4 is not a film")
    visitor.photograph("bad_file")
    visitor.page.reload()
    visitor.find(films["stage"])
    expect(visitor.page.locator(".card.found h3").first).to_have_text("stage")


def test_stop_ends_an_addition_and_keeps_what_was_finished(
    visitor: Visitor, films: dict[str, Path], reels: list[Path]
) -> None:
    visitor.add(*reels)
    expect(visitor.page.get_by_role("status").filter(has_text="Adding:")).to_be_visible()
    visitor.page.get_by_role("button", name="Stop adding").click()
    expect(visitor.page.get_by_role("status").filter(has_text="Stopped:")).to_be_visible()
    visitor.page.get_by_label("Filter the library").fill("reel")
    expect(visitor.page.get_by_role("status").filter(has_text=re.compile(r"^[1-5] videos?:"))).to_be_visible()


def test_two_people_at_once_see_their_own_results(
    browser: Browser, server: Server, visitor: Visitor, films: dict[str, Path]
) -> None:
    other = Visitor(browser, server.url)
    visitor.find(films["harbour"])
    other.find(films["kitchen"])
    for person, title in ((visitor, "harbour"), (other, "kitchen")):
        expect(person.page.locator(".card.query h3")).to_have_text(title)
        assert first_title(person.page) == title
    other.context.close()


def test_a_near_copy_has_its_badge_and_hash_mode_tells_its_time(
    visitor: Visitor, films: dict[str, Path], tmp_path: Path
) -> None:
    visitor.page.get_by_label("Hash").check()
    visitor.find(scene(tmp_path / "copy.mp4", "forest", size=(160, 120), crf=36))
    expect(cards(visitor.page).first).to_contain_text("forest")
    expect(cards(visitor.page).first).to_contain_text("Near copy")
    told = re.compile(r"^Hash [\d.]+ ms, cosine [\d.]+ ms; hash missed: ")
    expect(visitor.page.get_by_role("status").filter(has_text=told)).to_be_visible()


def test_a_result_marked_as_not_similar_stays_away_until_that_is_undone(
    visitor: Visitor, films: dict[str, Path]
) -> None:
    page = visitor.page
    visitor.find(films["kitchen"])
    expect(cards(page)).to_have_count(5)
    unwanted = page.locator(".card.found h3").nth(1).inner_text()
    card, undo = page.get_by_role("heading", name=unwanted, exact=True), page.get_by_label(f"show again {unwanted}")
    page.get_by_label(f"Not similar: {unwanted}", exact=True).click()
    expect(undo).to_be_visible()
    expect(card).to_have_count(0)
    page.reload()
    visitor.find(films["kitchen"])
    expect(undo).to_be_visible()
    expect(cards(page)).to_have_count(5)
    expect(card).to_have_count(0)
    undo.click()
    expect(page.get_by_role("status").filter(has_text=f"{unwanted} is shown again")).to_be_visible()
    page.get_by_role("button", name="Find similar", exact=True).click()
    expect(card).to_be_visible()
    page.get_by_label(f"Not similar: {unwanted}", exact=True).click()
    expect(card).to_have_count(0)
    undo.click()
    expect(page.locator(".card.found h3").nth(1)).to_have_text(unwanted)


def test_the_threshold_hides_cards_and_what_is_shown_can_be_taken_away(
    visitor: Visitor, films: dict[str, Path]
) -> None:
    page = visitor.page
    visitor.unfold("Filter and export")
    sheet, data = (page.get_by_role("button", name=kind, exact=True) for kind in ("CSV", "JSON"))
    expect(sheet).to_be_disabled()
    visitor.find(films["stage"])
    expect(cards(page)).to_have_count(5)
    with page.expect_download() as everything:
        sheet.click()
    rows = list(csv.DictReader(everything.value.path().open(encoding="utf-8")))
    titles = page.locator(".card.found h3").all_inner_texts()
    assert [row["title"] for row in rows] == titles and [row["rank"] for row in rows] == list("12345")
    above = (float(rows[0]["score"]) + float(rows[1]["score"])) / 2
    page.get_by_label("number input for Only above score").fill(f"{above:.2f}")
    page.keyboard.press("Tab")
    expect(cards(page)).to_have_count(1)
    expect(page.get_by_role("status").filter(has_text="4 of 5 not shown")).to_be_visible()
    with page.expect_download() as shown:
        data.click()
    (row,) = json.loads(shown.value.path().read_text(encoding="utf-8"))["results"]
    assert (row["title"], row["rank"], f"{row['score']}") == ("stage", 1, rows[0]["score"])


def test_many_videos_give_one_table_with_a_row_for_the_bad_one(
    visitor: Visitor, films: dict[str, Path], not_media: Path
) -> None:
    page = visitor.page
    visitor.unfold("Search with many videos")
    visitor.choose("Videos to compare each", films["harbour"], not_media, films["meadow"])
    page.get_by_role("button", name="Find similar for each").click()
    table = page.locator("#video-search-batch")
    expect(table.get_by_role("status")).to_have_text("Done: 2 of 3 files answered.")
    expect(table.locator("tbody tr")).to_have_count(11)
    expect(table.locator("tbody tr").nth(0)).to_contain_text("harbour.mp41harbour1.000")
    expect(table.locator("tbody tr").nth(5)).to_contain_text("letter.mp4 is not a film")
    with page.expect_download() as taken:
        page.get_by_role("button", name="CSV of the table").click()
    rows = list(csv.DictReader(taken.value.path().open(encoding="utf-8")))
    assert [row["file"] for row in rows] == ["harbour.mp4"] * 5 + ["letter.mp4"] + ["meadow.mp4"] * 5
    assert "not a film" in rows[5]["error"] and {row["error"] for row in rows[:5] + rows[6:]} == {""}


def test_query_and_result_play_side_by_side_shifted_by_the_offset(visitor: Visitor, tmp_path: Path) -> None:
    page = visitor.page
    page.get_by_placeholder("beach, dog").fill("journey")
    page.get_by_label("Only with tags").fill("journey")
    visitor.add(journey(tmp_path / "whole.mp4", "snow", "harbour", "kitchen", "city"))
    expect(page.get_by_role("status").filter(has_text="1 added")).to_be_visible()
    visitor.find(journey(tmp_path / "part.mp4", "kitchen", "city"))
    expect(cards(page).first).to_contain_text(re.compile("begins at 0:(0[89]|1[0-2])"))
    page.get_by_role("button", name="Compare with whole").click()
    expect(page.locator(".pair")).to_be_visible()
    offset = float(page.locator(".pair").get_attribute("data-offset") or 0)

    def settled(at_s: float, playing: bool) -> str:
        """True once both stand, or run, where they should."""
        return f"""() => {{
          const [query, result] = document.querySelectorAll(".pair video");
          return query.readyState > 1 && result.readyState > 1 && query.currentTime >= {at_s}
            && query.paused === {str(not playing).lower()} && result.paused === query.paused
            && Math.abs(result.currentTime - query.currentTime - {offset}) < 0.3;
        }}"""

    page.wait_for_function(settled(0, playing=False))
    page.get_by_label("Position").fill("2")
    page.wait_for_function(settled(1.99, playing=False))
    visitor.photograph("side_by_side")
    page.get_by_role("button", name="Play", exact=True).click()
    page.wait_for_function(settled(2.3, playing=True))
    page.get_by_role("button", name="Pause", exact=True).click()
    page.wait_for_function(settled(2.3, playing=False))
    page.get_by_role("button", name="Close", exact=True).click()
    expect(page.locator(".pair")).to_have_count(0)


def test_fine_tuning_an_empty_library_says_what_is_missing(browser: Browser, server: Server, tmp_path: Path) -> None:
    with serving(tmp_path, server.foreign) as empty:
        person = Visitor(browser, empty.url)
        person.unfold("Fine-tune on")
        person.page.get_by_role("button", name="Fine-tune", exact=True).click()
        expect(person.page.get_by_test_id("toast-body")).to_contain_text("too few to train on")
        person.context.close()


@pytest.mark.parametrize(("name", "width"), [("phone", 390), ("laptop", 1280), ("wide", 1920)])
def test_the_page_fits_its_window_in_light_and_dark(
    browser: Browser, server: Server, films: dict[str, Path], name: str, width: int
) -> None:
    person = Visitor(browser, f"{server.url}/?__theme=light", width, 900)
    page = person.page
    for title in ("Filter and export", "Search with many videos", "Fine-tune on"):
        person.unfold(title)
    page.get_by_label("Hash").check()
    person.choose("Videos to compare each", films["forest"], films["stage"])
    page.get_by_role("button", name="Find similar for each").click()
    expect(page.locator("#video-search-batch tbody tr")).to_have_count(10)
    person.find(films["meadow"])
    expect(cards(page)).to_have_count(5)
    page.get_by_role("button", name="Compare with").nth(1).click()
    expect(page.locator(".pair")).to_be_visible()
    undo = page.get_by_label(f"show again {cards(page).nth(4).locator('h3').inner_text()}")
    page.get_by_role("button", name="Not similar").nth(4).click()
    expect(undo).to_be_visible()
    for scheme in ("light", "dark"):
        page.evaluate(f"document.body.classList.toggle('dark', {str(scheme == 'dark').lower()})")
        overflow = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        assert overflow <= 0, f"{overflow} pixels wider than the window"
        person.photograph(f"{name}_{scheme}")
    undo.click()
    expect(cards(page)).to_have_count(5)
    person.context.close()


def test_a_removal_asks_for_a_selection_first(visitor: Visitor, films: dict[str, Path], tmp_path: Path) -> None:
    button = visitor.page.get_by_role("button", name="Remove the selected video")
    expect(button).to_be_disabled()
    visitor.add(moving_clip(tmp_path / "mistake.mp4", duration_s=1, seed=61))
    picture = in_library(visitor.page, "mistake")
    picture.first.click()
    expect(button).to_be_enabled()
    button.click()
    expect(picture).to_have_count(0)
    expect(visitor.page.locator("#video-search-results")).to_contain_text("Removed")
    expect(button).to_be_disabled()
    expect(visitor.page.get_by_test_id("toast-body")).to_have_count(0)


def test_everything_can_be_reached_and_used_with_the_keyboard(visitor: Visitor, films: dict[str, Path]) -> None:
    reached = set()
    for _ in range(40):
        visitor.page.keyboard.press("Tab")
        reached.add(visitor.page.evaluate("document.activeElement.innerText || document.activeElement.ariaLabel || ''"))
    text = "\n".join(reached)
    for name in ("Add to library", "Stop adding", "Find similar", "Stop searching"):
        assert name in text, f"{name} cannot be reached with Tab"
    unlabelled = visitor.page.evaluate(
        "[...document.querySelectorAll('input:not([type=file]):not([hidden]), textarea, video')]"
        ".filter(e => e.offsetParent && !e.ariaLabel && !(e.labels && e.labels.length)).map(e => e.outerHTML)"
    )
    assert unlabelled == []
