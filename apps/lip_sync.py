"""The tab of lip-sync: a face and speech on the left; who speaks, and the film that comes of it, on the right.

As in the other tabs, named events answer with data, which hidden JSON components hold; private events draw that data.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from apps import cards, lip_sync_cards
from apps.lip_sync_handlers import BAR, Answer, Handlers
from apps.lip_sync_layout import DrawingWidgets, FaceWidgets, RenderWidgets, SpeechWidgets, columns
from apps.runtime import HEAVY, AppSettings

TEST_S = 3
LIGHT: dict[str, Any] = {"show_progress": "hidden", "queue": False}
PRIVATE: dict[str, Any] = {"api_visibility": "private"}
Mouths = list[list[float]]


@dataclass(frozen=True)
class Chosen:
    """What the events hand on to one another, out of sight.

    Attributes:
        found: the answer of inspect.
        said: what each face says, as the cards tell it.
        faces: ids of the faces that say the speech.
        speakers: ids of those that say something else, and what.
        looked: the picture that mouths are drawn in.
        mouths: that were drawn.
    """

    found: gr.JSON
    said: gr.JSON
    faces: gr.JSON
    speakers: gr.JSON
    looked: gr.JSON
    mouths: gr.JSON


def build_tab(settings: AppSettings) -> None:
    """Lay the tab out inside the current Blocks, and wire it."""
    gr.set_static_paths([settings.output])
    handlers = Handlers(settings)
    heavy = {"concurrency_id": HEAVY, "concurrency_limit": settings.jobs}
    face, speech, drawing, render = columns()
    chosen = Chosen(
        gr.JSON(visible=False, label="Answer"),
        gr.JSON({}, visible=False, label="Said"),
        gr.JSON([], visible=False, label="Faces"),
        gr.JSON({}, visible=False, label="Speakers"),
        gr.JSON(visible=False, label="Picture"),
        gr.JSON([], visible=False, label="Mouths"),
    )
    _wire_face(handlers, face, (speech, drawing), chosen, heavy)
    _wire_speech(handlers, speech, render, heavy)
    _wire_drawing(handlers, (face, drawing), chosen, heavy)
    _wire_render(handlers, (face, speech, render), chosen, heavy)


def chosen_by(said: dict[str, int]) -> tuple[list[int], dict[str, int]]:
    """From what the cards tell, 0 for the speech and 1 and up for the other recordings, to the endpoints' words.

    >>> chosen_by({"0": 0, "3": 2})
    ([0], {'3': 1})
    """
    faces = [int(face) for face, number in said.items() if number == 0]
    return faces, {face: number - 1 for face, number in said.items() if number > 0}


def _wire_face(
    handlers: Handlers,
    ui: FaceWidgets,
    beside: tuple[SpeechWidgets, DrawingWidgets],
    chosen: Chosen,
    heavy: dict[str, Any],
) -> None:
    speech, drawing = beside

    def show(face: str, request: gr.Request, bar: gr.Progress = BAR) -> str:
        return lip_sync_cards.preview(Path(face).name if face else "", handlers.player(face, request, bar))

    def draw(answer: Answer, others: list[str]) -> tuple[Any, ...]:
        return lip_sync_cards.faces(answer, _names(others)), {}, [], {}

    def choose(event: gr.EventData) -> tuple[Any, ...]:
        return event.said, *chosen_by(event.said)

    def offer(answer: Answer | None, others: list[str], said: dict[str, int]) -> tuple[Any, ...]:
        left = {face: number for face, number in (said or {}).items() if number <= len(others or ())}
        drawn = lip_sync_cards.faces(answer, _names(others), left) if answer else gr.skip()
        return drawn, left, *chosen_by(left)

    def forget() -> tuple[Any, ...]:
        told = cards.status("Inspect the film or picture; its faces appear here.")
        return told, None, {}, [], {}, "", None, [], lip_sync_cards.drawn_mouths([])

    choice = [chosen.said, chosen.faces, chosen.speakers]
    forgotten = [ui.found, chosen.found, *choice, drawing.picture, chosen.looked, chosen.mouths, drawing.drawn]
    ui.file.change(forget, None, forgotten, **PRIVATE, **LIGHT)
    ui.file.change(show, ui.file, ui.preview, **PRIVATE, **heavy)
    answered = ui.inspect.click(handlers.lip_sync_inspect, ui.file, chosen.found, show_progress_on=ui.found, **heavy)
    answered.success(draw, [chosen.found, speech.others], [ui.found, *choice], **PRIVATE, **LIGHT)
    ui.found.choose(choose, None, choice, **PRIVATE, **LIGHT)
    speech.others.change(offer, [chosen.found, speech.others, chosen.said], [ui.found, *choice], **PRIVATE, **LIGHT)


def _wire_speech(handlers: Handlers, ui: SpeechWidgets, render: RenderWidgets, heavy: dict[str, Any]) -> None:
    def switch(source: str) -> tuple[Any, ...]:
        recorded, typed = (gr.update(visible=source == name) for name in ("recording", "text"))
        return recorded, typed, recorded, recorded, typed, typed

    def hear(answer: Answer) -> Any:
        return gr.Audio(answer["file"], label=f"The voice: {answer['voice']}", visible=True)

    ui.source.change(switch, ui.source, [ui.recorded, ui.typed, *render.recorded, *render.typed], **PRIVATE, **LIGHT)
    heard = gr.JSON(visible=False, label="Answer")
    gr.api(handlers.lip_sync_voices, queue=False)
    spoken = ui.speak.click(handlers.lip_sync_speak, [ui.text, *ui.voice], heard, show_progress_on=ui.spoken, **heavy)
    spoken.success(hear, heard, ui.spoken, **PRIVATE, **LIGHT)


def _wire_drawing(
    handlers: Handlers, ui: tuple[FaceWidgets, DrawingWidgets], chosen: Chosen, heavy: dict[str, Any]
) -> None:
    face, drawing = ui

    def look(file: str, at_s: float, mouths: Mouths) -> tuple[Answer, str, str]:
        looked = handlers.picture(file, at_s)
        return looked, lip_sync_cards.drawing(looked, mouths), lip_sync_cards.drawn_mouths(mouths)

    def show(looked: Answer | None, mouths: Mouths, *box: float) -> str:
        return lip_sync_cards.drawing(looked, mouths, box)

    def fill(event: gr.EventData) -> tuple[float, ...]:
        return tuple(event.box)

    def use(looked: Answer | None, mouths: Mouths, *box: float) -> tuple[Any, ...]:
        mouths = with_mouth(looked, mouths, box)
        return mouths, lip_sync_cards.drawing(looked, mouths), lip_sync_cards.drawn_mouths(mouths)

    def forget(looked: Answer | None) -> tuple[Any, ...]:
        return [], lip_sync_cards.drawing(looked, []), lip_sync_cards.drawn_mouths([])

    sides, light = list(drawing.box), PRIVATE | LIGHT
    shown = [chosen.mouths, drawing.picture, drawing.drawn]
    drawing.look.click(
        look,
        [face.file, drawing.at_s, chosen.mouths],
        [chosen.looked, drawing.picture, drawing.drawn],
        **PRIVATE,
        **heavy,
    )
    drawing.picture.draw(fill, None, sides, **light)
    for side in sides:
        side.submit(show, [chosen.looked, chosen.mouths, *sides], drawing.picture, **light)
    drawing.use.click(use, [chosen.looked, chosen.mouths, *sides], shown, **light)
    drawing.forget.click(forget, chosen.looked, shown, **light)


def with_mouth(looked: Answer | None, mouths: Mouths, box: Sequence[float | None]) -> Mouths:
    """The mouths with one more, in place of one that was drawn in the same picture."""
    if not looked:
        raise gr.Error("Show the picture first.", print_exception=False)
    left, top, right, bottom = (float(side or 0) for side in box)
    if not (left < right and top < bottom):
        raise gr.Error("Draw a box around the mouth first, or give its four sides.", print_exception=False)
    frame = int(looked["frame"])
    return sorted([*(mouth for mouth in mouths if int(mouth[0]) != frame), [frame, left, top, right, bottom]])


def _wire_render(
    handlers: Handlers, ui: tuple[FaceWidgets, SpeechWidgets, RenderWidgets], chosen: Chosen, heavy: dict[str, Any]
) -> None:
    face, speech, render = ui
    made = gr.JSON(visible=False, label="Answer")
    everything, test = (gr.Number(seconds, visible=False, label="Seconds") for seconds in (0, TEST_S))

    def draw(answer: Answer) -> tuple[Any, ...]:
        file = gr.DownloadButton(value=answer["file"], interactive=True)
        return lip_sync_cards.result(answer), lip_sync_cards.players(answer), file

    def wire(buttons: tuple[gr.Button, gr.Button], endpoint: Any, said: list[Any]) -> None:
        for button, seconds, how in zip(buttons, (everything, test), ({}, PRIVATE), strict=True):
            rest = [chosen.faces, chosen.speakers, chosen.mouths, seconds, *render.options, speech.others]
            answered = button.click(
                endpoint, [face.file, *said, *rest], made, show_progress_on=render.told, **how, **heavy
            )
            answered.success(draw, made, [render.told, render.players, render.file], **PRIVATE, **LIGHT)

    wire(render.recorded, handlers.lip_sync_sync, [speech.speech, render.consent])
    wire(render.typed, handlers.lip_sync_say, [speech.text, render.consent, *speech.voice])
    render.stop.click(handlers.lip_sync_cancel, None, gr.JSON(visible=False, label="Answer"), **LIGHT)  # the public one


def _names(others: list[str] | None) -> list[str]:
    return [Path(other).name for other in others or ()]
