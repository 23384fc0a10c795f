"""What is drawn of personal video: nothing from outside becomes markup, and words come and go in the prompt."""

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps import personal_video_cards as cards
from apps.personal_video_handlers import _with_time_left
from core.personal_video.prompt import parse_prompt
from tests.apps.test_cards import Reader

EVIL = '"><script>alert(1)</script>'


def made(text: str, side: int = 64) -> dict[str, Any]:
    return {
        "file": f"/files/{text}.mp4",
        "title": text,
        "prompt": text,
        "mode": "a",
        "mode_means": text,
        "seed": 5,
        "words": [text],
        "image": text,
        "size_px": [side, side],
        "duration_s": 2.0,
        "seconds_taken": 1.5,
        "notes": [text],
        "finished": True,
    }


@pytest.mark.parametrize(
    "html",
    [
        cards.concepts([{"word": EVIL, "pictures": 1, "thumbnail": EVIL}]),
        cards.mode({"error": EVIL}),
        cards.mode({"mode": "a", "mode_means": EVIL, "words": [EVIL], "subject": [EVIL]}),
        cards.growing({"finished": False, "step": 1, "steps": 4, "seconds_left": 3.0, "preview": EVIL}),
        cards.result(made(EVIL)),
        cards.players(made(EVIL)),
        cards.players(made(EVIL), made(EVIL, 128)),
        cards.hand_on(made(EVIL)),
        cards.gallery([{"first": made(EVIL), "larger": made(EVIL, 128)}]),
        cards.cutouts({"results": [{"picture": EVIL, "source": EVIL}], "errors": [{"error": EVIL}]}),
    ],
)
def test_text_from_outside_never_becomes_markup(html: str) -> None:
    assert "script" not in Reader(html).tags


def names(prompt: str) -> bool:
    return bool(prompt.strip()) and "rex" in parse_prompt(prompt, ["rex"]).words


@given(prompt=st.lists(st.sampled_from(["rex", "<rex>", "Rex", "hops", ".", " ", "é"])).map("".join))
def test_a_button_names_a_concept_that_was_not_named_and_takes_one_back_that_was(prompt: str) -> None:
    assert names(cards.toggled(prompt, "rex", ["rex"])) != names(prompt)


def test_the_gallery_shows_the_newest_first_and_the_larger_of_a_pair() -> None:
    html = cards.gallery([{"first": made("one"), "larger": None}, {"first": made("two"), "larger": made("big", 128)}])
    assert html.index("big.mp4") < html.index("one.mp4") and "two.mp4" not in html
    assert html.index('data-index="1"') < html.index('data-index="0"')


def test_the_time_left_is_told_once_a_step_was_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    clock = iter([0.0, 1.0, 10.0, 14.0, 18.0])
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock))
    report = _with_time_left(lambda done, total, what: told.append(what))
    for done in range(5):
        report(done, 6, f"step {done}")
    assert told == ["step 0", "step 1", "step 2", "step 3, about 12 s left", "step 4, about 8 s left"]
