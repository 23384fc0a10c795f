"""What is drawn of lip-sync: nothing from outside becomes markup, and what is drawn is what was told."""

import re
from itertools import pairwise
from typing import Any

import gradio as gr
import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps import lip_sync, lip_sync_cards
from apps.lip_sync_handlers import spans_s
from core.lip_sync.network import WEIGHTS
from core.weights import all_manifests
from tests.apps.test_cards import Reader


@given(frames=st.sets(st.integers(0, 99)))
def test_spans_cover_the_frames_they_are_made_of_and_no_others(frames: set[int]) -> None:
    spans = spans_s(sorted(frames), 100, 10.0)
    covered = {n for begin, end in spans for n in range(round(10 * begin), round(10 * end))}
    assert covered == frames
    assert all(end < begin for (_, end), (begin, _) in pairwise(spans))


def found(title: str, faces: int = 2) -> dict[str, Any]:
    rows = [
        {"id": n, "start_s": n, "end_s": n + 1.0, "width_px": 90.4, "picture": f"/files/{title}-{n}.jpg"}
        for n in range(faces)
    ]
    return {
        "title": title,
        "results": rows,
        "still": False,
        "size_px": [640, 360],
        "duration_s": 75.0,
        "frame_rate": 29.97,
        "frame_count": 2248,
        "frames_without_face": [5, 6],
        "without_face_s": [[0.17, 0.23]],
        "cuts_s": [1.0],
        "seconds_a_second": 2.5,
        "estimate_s": 187.5,
        "av_offset_frames": None,
        "sync_confidence": 0.0,
        "sync_unmeasured": "The film has no sound.",
    }


def made(title: str, **other: Any) -> dict[str, Any]:
    row = {
        "title": title,
        "still": False,
        "frames_changed": 20,
        "frame_count": 30,
        "duration_s": 3.0,
        "av_offset_frames": 1,
        "sync_confidence": 0.2,
        "passed_through_s": [[2.0, 3.0]],
        "frames_without_face": list(range(20, 30)),
        "covered_s": [],
        "stages_s": {"faces": 0.1, "mouths": 4.0, "film": 1.0},
        "seconds_taken": 6.0,
        "after": {"title": title, "playable": f"/files/{title}.mp4", "duration_s": 3.0},
        "before": {"title": "Before", "playable": f"/files/{title}.mp4", "duration_s": 3.0},
    }
    return row | other


@given(name=st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1, max_size=30))
def test_no_name_adds_a_tag(name: str) -> None:
    def drawn(title: str) -> list[str]:
        looked = {"picture": f"/files/{title}.jpg", "frame": 3, "at_s": 0.1, "size_px": [640, 360]}
        return [
            lip_sync_cards.faces(found(title), [title], {"0": 0, "1": 1}),
            lip_sync_cards.preview(title, f"/files/{title}.mp4"),
            lip_sync_cards.drawing(looked, [[3, 1, 2, 3, 4]]),
            lip_sync_cards.result(made(title)),
            lip_sync_cards.players(made(title)),
            lip_sync_cards.players(made(title, still=True)),
        ]

    for html, plain in zip(drawn(name), drawn("plain"), strict=True):
        read = Reader(html)
        assert read.tags == Reader(plain).tags
        assert all(s.startswith("gradio_api/file=") and "#" not in s and "?" not in s for s in read.sources)
    assert Reader(drawn(name)[0]).text.count(name) >= 2


def test_the_facts_of_a_film_are_told_in_words() -> None:
    text = Reader(lip_sync_cards.faces(found("film"))).text
    assert "2 faces found" in text and "1:15, 29.97 pictures a second, 640 × 360" in text and "1 cut" in text
    assert "2 pictures without a face of 2248: 0.2 s to 0.2 s" in text
    assert "about 2.5 s for each second, 3:08 for all of it" in text
    assert "No face was found. Draw a mouth below" in lip_sync_cards.faces(found("film", faces=0))


def test_the_choice_of_each_face_is_shown_and_becomes_the_words_of_the_endpoints() -> None:
    html = lip_sync_cards.faces(found("film", faces=3), ["anna.wav", "ben.wav"], {"0": 0, "2": 2})
    chosen = re.findall(r'<option value="(\d*)" selected>([^<]+)', html)
    assert chosen == [("0", "the speech"), ("", "(not chosen)"), ("2", "ben.wav")]
    assert lip_sync.chosen_by({"0": 0, "2": 2}) == ([0], {"2": 1})


def test_the_result_says_what_was_measured_and_what_was_left_as_it_is() -> None:
    text = Reader(lip_sync_cards.result(made("film"))).text
    assert "20 of 30 pictures have a new mouth" in text
    assert "the sound is 40 ms late; this is sure (confidence 0.20)" in text
    assert "10 pictures left as they are: 2.0 s to 3.0 s" in text and "covered" not in text
    assert "6.0 s, 2.0 times the film's length (faces 0.1 s, mouths 4.0 s, film 1.0 s)" in text
    assert "cannot be told (confidence 0.01)" in lip_sync_cards.result(made("film", sync_confidence=0.01))
    assert "not measured" in lip_sync_cards.result(made("film", av_offset_frames=None))
    assert "Mouth covered" in lip_sync_cards.result(made("film", covered_s=[[1, 2]], frames_covered=[10, 11]))


def test_a_mouth_drawn_in_the_same_picture_takes_the_place_of_the_one_before() -> None:
    looked = {"picture": "/files/p.jpg", "frame": 3, "at_s": 0.1, "size_px": [640, 360]}
    mouths = lip_sync.with_mouth(looked, [[0, 1, 2, 3, 4], [3, 10, 10, 20, 20]], (30, 40, 50, 60))
    assert mouths == [[0, 1, 2, 3, 4], [3, 30, 40, 50, 60]]
    html = lip_sync_cards.drawing(looked, mouths)
    assert html.count('class="mouth"') == 1 and "left:4.69%;top:11.11%;width:3.12%;height:5.56%" in html
    for box in ((50, 40, 50, 60), (0, 0, 0, 0), (None, 1, None, 3)):
        with pytest.raises(gr.Error, match="Draw a box around the mouth first"):
            lip_sync.with_mouth(looked, [], box)
    with pytest.raises(gr.Error, match="Show the picture first"):
        lip_sync.with_mouth(None, [], (30, 40, 50, 60))


def test_the_tab_says_what_the_network_learned_from_and_what_it_cannot_do() -> None:
    assert any(manifest.name == WEIGHTS for manifest in all_manifests())
    assert "made films only" in lip_sync_cards.MADE_FROM and "p, b and m" in lip_sync_cards.MADE_FROM


def test_how_a_film_s_own_sound_goes_with_it_is_told_or_why_it_is_not_known() -> None:
    measured = found("talk") | {"av_offset_frames": -2, "sync_confidence": 0.15, "sync_unmeasured": ""}
    assert "Sight and sound: the sound is 80 ms early; this is fairly sure" in lip_sync_cards.faces(measured)
    assert "Sight and sound are not measured: The film has no sound." in lip_sync_cards.faces(found("talk"))
    assert "vits speaker-3" in lip_sync_cards.result(made("talk", voice="vits speaker-3"))
    assert "Spoken by" not in lip_sync_cards.result(made("talk"))
