"""The tab of personal video: concepts, text and image on the left; the video, and a larger one beside it, on the right.

As in the other tabs, named events answer with data, which hidden JSON components hold; private events draw that data.
"""

from dataclasses import dataclass
from pathlib import Path
from secrets import randbelow
from typing import Any

import gradio as gr

from apps import cards, personal_video_cards
from apps.personal_video_cards import MOST_SHOWN
from apps.personal_video_handlers import Answer, Handlers
from apps.personal_video_layout import SHOWS, AskWidgets, MadeWidgets, ManageWidgets, columns
from apps.runtime import HEAVY, AppSettings
from core.personal_video.results import LARGEST_SEED
from core.runtime import current_profile

LIGHT: dict[str, Any] = {"show_progress": "hidden", "queue": False}
PRIVATE: dict[str, Any] = {"api_visibility": "private"}
QUIET: dict[str, Any] = {**PRIVATE, **LIGHT}
Pair = dict[str, Any]
"""A first video, and the larger one made from it or None."""


@dataclass(frozen=True)
class Held:
    """What the events hand on to one another, out of sight.

    Attributes:
        listed: the concepts.
        making: the answers of generate, as they come.
        first: its last answer, or that of settings.
        larger: that of enlarge.
        made: all pairs of this page, the oldest first.
        shown: which of them is shown; -1: none.
    """

    listed: gr.JSON
    making: gr.JSON
    first: gr.JSON
    larger: gr.JSON
    made: gr.JSON
    shown: gr.Number


def build_tab(settings: AppSettings) -> None:
    """Lay the tab out inside the current Blocks, and wire it."""
    gr.set_static_paths([settings.output])
    handlers = Handlers(settings)
    ask, manage, made = columns()
    held = Held(
        gr.JSON(visible=False, label="Answer"),
        gr.JSON(visible=False, label="Answer"),
        gr.JSON(visible=False, label="Answer"),
        gr.JSON(visible=False, label="Answer"),
        gr.JSON([], visible=False, label="Made"),
        gr.Number(-1, visible=False, label="Shown"),
    )
    _wire_reading(handlers, ask, held)
    _wire_concepts(handlers, (ask, manage), held)
    _wire_making(handlers, (ask, made), held)
    _wire_going_on(handlers, (ask, made), held)


def _heavy(handlers: Handlers) -> dict[str, Any]:
    return {"concurrency_id": HEAVY, "concurrency_limit": handlers.settings.jobs}


def _wire_reading(handlers: Handlers, ui: AskWidgets, held: Held) -> None:
    """Say which mode it will be, whenever something changes; an image is looked at once."""

    def say(prompt: str, image: str, shows: str) -> str:
        return personal_video_cards.mode(handlers.reading(prompt, image, shows))

    def choose(prompt: str, listed: Answer | None, event: gr.EventData) -> str:
        words = [row["word"] for row in (listed or {}).get("results", ())]
        return personal_video_cards.toggled(prompt, str(event.word), words)

    inputs, looked = [ui.prompt, ui.image, ui.shows], gr.JSON(visible=False, label="Answer")
    for listen in (ui.prompt.change, ui.shows.change):
        listen(say, inputs, ui.mode, trigger_mode="always_last", **QUIET)
    ui.concepts.choose(choose, [ui.prompt, held.listed], ui.prompt, **QUIET)
    ui.image.clear(say, inputs, ui.mode, **QUIET)
    answered = ui.image.upload(
        handlers.personal_video_mode, inputs, looked, show_progress_on=ui.mode, **_heavy(handlers)
    )
    answered.success(personal_video_cards.mode, looked, ui.mode, **QUIET)


def _wire_concepts(handlers: Handlers, ui: tuple[AskWidgets, ManageWidgets], held: Held) -> None:
    """List the concepts at the opening, and again after each change."""
    ask, manage = ui

    def show(answer: Answer) -> tuple[Any, ...]:
        words = [row["word"] for row in answer["results"]]
        return (
            personal_video_cards.concepts(answer["results"]),
            gr.Dropdown(choices=[*SHOWS[current_profile()], *((word, word) for word in words)]),
            gr.Dropdown(choices=words),
        )

    def listing(listen: Any, visibility: dict[str, Any]) -> None:
        listed = listen(handlers.personal_video_concepts, None, held.listed, **visibility)
        listed.success(show, held.listed, [ask.concepts, ask.shows, manage.known], **QUIET)

    listing(lambda *event, **how: gr.on(None, *event, **how), LIGHT)  # the public one: at the opening
    for changed in (_wire_adding(handlers, manage), *_wire_exchange(handlers, manage)):
        listing(changed.success, QUIET)


def _wire_adding(handlers: Handlers, ui: ManageWidgets) -> Any:
    """Wire previewing and adding; return what adds."""

    def added(answer: Answer) -> tuple[Any, ...]:
        count = answer["pictures"]
        told = f"<{answer['word']}> has {count} picture{'' if count == 1 else 's'}."
        return cards.status(told, "good"), "", None

    seen, changed = (gr.JSON(visible=False, label="Answer") for _ in range(2))
    looked = ui.preview.click(
        handlers.personal_video_preview, ui.pictures, seen, show_progress_on=ui.told, **_heavy(handlers)
    )
    looked.success(personal_video_cards.cutouts, seen, ui.told, **QUIET)
    inputs = [ui.word, ui.pictures, ui.more]
    adding = ui.add.click(handlers.personal_video_add, inputs, changed, show_progress_on=ui.told, **_heavy(handlers))
    adding.success(added, changed, [ui.told, ui.word, ui.pictures], **QUIET)
    return adding


def _wire_exchange(handlers: Handlers, ui: ManageWidgets) -> tuple[Any, Any, Any]:
    """Wire all other changes, and exporting; return what changes."""
    every = gr.JSON([], visible=False, label="Words")
    changed, exported = (gr.JSON(visible=False, label="Answer") for _ in range(2))
    renaming = ui.rename.click(handlers.personal_video_rename, [ui.known, ui.new_word], changed, **LIGHT)
    removing = ui.remove.click(handlers.personal_video_remove, ui.known, changed, **LIGHT)
    giving = ui.export.click(
        handlers.personal_video_export, every, exported, show_progress_on=ui.exported, **_heavy(handlers)
    )
    giving.success(_download, exported, ui.exported, **QUIET)
    inputs = [ui.file, ui.replacing]
    bringing = ui.bring.click(
        handlers.personal_video_import, inputs, changed, show_progress_on=ui.file, **_heavy(handlers)
    )
    return renaming, removing, bringing


def _wire_making(handlers: Handlers, ui: tuple[AskWidgets, MadeWidgets], held: Held) -> None:
    ask, made = ui

    def draw_seed(seed: float | None, keep: bool) -> int:
        return int(seed) if keep and seed is not None and seed >= 0 else randbelow(LARGEST_SEED + 1)

    def first(answer: Answer, pairs: list[Pair]) -> tuple[Any, ...]:
        pairs = [*pairs, {"first": answer, "larger": None}][-MOST_SHOWN:]
        return answer, pairs, len(pairs) - 1, *_drawn(answer, None), personal_video_cards.gallery(pairs)

    def larger(answer: Answer, before: Answer, pairs: list[Pair], shown: float) -> tuple[Any, ...]:
        number = int(shown)
        pairs = [pair | {"larger": answer} if n == number else pair for n, pair in enumerate(pairs)]
        if number < 0:
            pairs, number = [*pairs, {"first": before, "larger": answer}][-MOST_SHOWN:], len(pairs)
        number = min(number, len(pairs) - 1)
        return pairs, number, *_drawn(before, answer), personal_video_cards.gallery(pairs)

    shown = [held.made, held.shown, *_drawing(made), made.gallery]
    inputs = [ask.prompt, ask.image, ask.shows, ask.seed, *ask.options]
    seeded = ask.generate.click(draw_seed, [ask.seed, ask.keep], ask.seed, **QUIET)
    answered = seeded.success(
        handlers.personal_video_generate, inputs, held.making, show_progress_on=made.told, **_heavy(handlers)
    )
    answered.success(first, [held.making, held.made], [held.first, *shown], **QUIET)
    inputs = [made.first, ask.image, made.steps]
    enlarged = made.enlarge.click(
        handlers.personal_video_enlarge, inputs, held.larger, show_progress_on=made.told, **_heavy(handlers)
    )
    enlarged.success(larger, [held.larger, held.first, held.made, held.shown], shown, **QUIET)
    for growing, ended in ((held.making, answered), (held.larger, enlarged)):
        growing.change(personal_video_cards.growing, growing, made.preview, **QUIET)
        ended.failure(lambda: "", None, made.preview, **QUIET)
    ask.stop.click(handlers.personal_video_cancel, None, gr.JSON(visible=False, label="Answer"), **LIGHT)


def _wire_going_on(handlers: Handlers, ui: tuple[AskWidgets, MadeWidgets], held: Held) -> None:
    """From a file of before, or a video of the gallery."""
    ask, made = ui

    def fill(answer: Answer) -> tuple[Any, ...]:
        keys = ("prompt", "shows", "seed", "steps", "text_guidance", "subject_guidance")
        return *(answer[key] for key in keys), True

    def show(answer: Answer) -> tuple[Any, ...]:
        note = f"It was made with the image {answer['image']}; choose that again." if answer["image"] else ""
        drawn = _drawn(answer | {"notes": [note] if note else []}, None)
        return -1, *drawn[:3], gr.skip(), *drawn[4:]

    def choose(pairs: list[Pair], event: gr.EventData) -> tuple[Any, ...]:
        pair = pairs[int(event.index)]
        return pair["first"], int(event.index), *_drawn(pair["first"], pair["larger"])

    fields = [ask.prompt, ask.shows, ask.seed, *ask.options, ask.keep]
    read = made.first.upload(handlers.personal_video_settings, made.first, held.first, **LIGHT)
    read.success(fill, held.first, fields, **QUIET)
    read.success(show, held.first, [held.shown, *_drawing(made)], **QUIET)
    chosen = made.gallery.choose(choose, held.made, [held.first, held.shown, *_drawing(made)], **QUIET)
    chosen.success(fill, held.first, fields, **QUIET)


def _drawing(ui: MadeWidgets) -> list[Any]:
    """What `_drawn` fills."""
    return [ui.told, ui.players, ui.preview, ui.first, *ui.files, ui.hand_on]


def _drawn(first: Answer, larger: Answer | None) -> tuple[Any, ...]:
    """A video, alone or with the larger one beside it."""
    return (
        personal_video_cards.result(first, larger),
        personal_video_cards.players(first, larger),
        "",
        first["file"],
        _download(first),
        _download(larger) if larger else gr.DownloadButton(value=None, interactive=False),
        personal_video_cards.hand_on(larger or first),
    )


def _download(answer: Answer) -> Any:
    return gr.DownloadButton(value=str(Path(answer["file"])), interactive=True)
