"""The components of the lip-sync tab, in the order in which they are seen."""

from dataclasses import dataclass

import gradio as gr

from apps.cards import SIDE_BY_SIDE, status
from apps.lip_sync_cards import MADE_FROM
from apps.video_search_layout import FILE_TYPES
from core.errors import CoreError
from core.lip_sync import SyncConfig
from core.lip_sync.neural_voice import SPEAKERS
from core.lip_sync.speaking import Voices
from core.lip_sync.voices import ESPEAK, MOST_CHARACTERS, VoiceConfig

SOUND_TYPES = ["audio", ".ogg", ".opus", ".flac", ".m4a", ".mka"]
SOURCES = [("A recording", "recording"), ("A text", "text")]
SPOKEN_BY = {
    "embedded": "Texts are spoken by espeak-ng, on this machine; it sounds like a machine.",
    "hub": f"English is spoken by a neural voice of {len(SPEAKERS)} people, any other language, and any other variant, "
    "by espeak-ng.",
}
LENGTHS = [("The film begins again", "loop"), ("It runs back and forth", "ping_pong"),
           ("Its last picture stays", "hold"), ("The speech is cut", "trim")]  # fmt: skip
CHOOSE = """element.addEventListener("change", () => {
  const said = {};
  for (const choice of element.querySelectorAll("select[data-face]")) {
    choice.closest(".face").classList.toggle("chosen", choice.value !== "");
    if (choice.value !== "") said[choice.dataset.face] = Number(choice.value);
  }
  trigger("choose", {said});
});"""
"""What the faces are to say becomes an event ``choose``."""
DRAW = """let from = null;
const area = () => element.querySelector(".drawing");
const place = ({clientX, clientY}) => {
  const {left, top, width, height} = area().querySelector("img").getBoundingClientRect();
  const share = (at, whole) => Math.min(1, Math.max(0, at / whole));
  return [share(clientX - left, width), share(clientY - top, height)];
};
const box = ([x, y], [u, v]) => [Math.min(x, u), Math.min(y, v), Math.max(x, u), Math.max(y, v)];
const show = ([left, top, right, bottom]) => {
  const percent = {left, top, width: right - left, height: bottom - top};
  const mouth = area().querySelector(".new");
  mouth.style.display = "block";
  for (const [name, share] of Object.entries(percent)) mouth.style[name] = `${100 * share}%`;
};
element.addEventListener("pointerdown", (event) => {
  if (!area() || !event.target.closest(".drawing")) return;
  event.preventDefault();
  from = place(event);
});
element.addEventListener("pointermove", (event) => { if (from) show(box(from, place(event))); });
document.addEventListener("pointerup", (event) => {
  if (!from || !area()) return;
  const drawn = box(from, place(event)), {width, height} = area().dataset;
  from = null;
  const [left, top, right, bottom] = drawn.map((share, n) => Math.round(share * (n % 2 ? height : width)));
  if (right - left > 1 && bottom - top > 1) trigger("draw", {box: [left, top, right, bottom]});
});"""
"""A box that is drawn over the picture becomes an event ``draw``, in pixels of the film."""


@dataclass(frozen=True)
class FaceWidgets:
    """Whose mouth it is."""

    file: gr.File
    preview: gr.HTML
    inspect: gr.Button
    found: gr.HTML


@dataclass(frozen=True)
class SpeechWidgets:
    """What is said."""

    source: gr.Radio
    recorded: gr.Column
    speech: gr.Audio
    typed: gr.Column
    text: gr.Textbox
    voice: tuple[gr.Dropdown, gr.Dropdown, gr.Slider, gr.Slider]
    """Language, variant, rate and pitch."""
    speak: gr.Button
    spoken: gr.Audio
    others: gr.File


@dataclass(frozen=True)
class DrawingWidgets:
    """Drawing a mouth."""

    at_s: gr.Number
    look: gr.Button
    picture: gr.HTML
    box: tuple[gr.Number, gr.Number, gr.Number, gr.Number]
    """Left, top, right, bottom."""
    use: gr.Button
    forget: gr.Button
    drawn: gr.HTML


@dataclass(frozen=True)
class RenderWidgets:
    """Rendering, and what became of it.

    Attributes:
        options: length policy, openness, gate, padding, mask and feather.
        consent: that of the user.
        recorded: two buttons that let the face say a recording: all of it, and three seconds.
        typed: the same for a text.
        stop: stops either.
        told: what became of it.
        players: the new film beside the old one.
        file: the new film, to be taken away.
    """

    options: tuple[gr.Dropdown, gr.Slider, gr.Checkbox, gr.Slider, gr.Slider, gr.Slider]
    consent: gr.Checkbox
    recorded: tuple[gr.Button, gr.Button]
    typed: tuple[gr.Button, gr.Button]
    stop: gr.Button
    told: gr.HTML
    players: gr.HTML
    file: gr.DownloadButton


def columns() -> tuple[FaceWidgets, SpeechWidgets, DrawingWidgets, RenderWidgets]:
    """What is given on the left; who speaks, and what comes of it, on the right."""
    with gr.Row(elem_classes="tool"):
        with gr.Column(scale=2, min_width=280):
            gr.Markdown("### 1 Face")
            file = gr.File(label="Film or picture with a face", file_types=FILE_TYPES, height=150)
            preview = gr.HTML(elem_id="lip-sync-preview")
            inspect = gr.Button("Inspect", min_width=120)
            gr.Markdown("### 2 Speech")
            speech = _speech()
            gr.Markdown(MADE_FROM)
        with gr.Column(scale=3, min_width=280):
            gr.Markdown("### 3 Who speaks")
            found = gr.HTML(
                status("Choose a film or picture on the left and inspect it; its faces appear here."),
                elem_id="lip-sync-faces",
                js_on_load=CHOOSE,
            )
            drawing = _drawing()
            gr.Markdown("### 4 Render")
            render = _render()
    return FaceWidgets(file, preview, inspect, found), speech, drawing, render


def _speech() -> SpeechWidgets:
    usual, voices = VoiceConfig(), Voices()
    spoken_in, others_of = voice_choices(voices)
    source = gr.Radio(SOURCES, value="recording", label="What is said")
    with gr.Column() as recorded:
        speech = gr.Audio(label="Speech", sources=["upload", "microphone"], type="filepath")
    with gr.Column(visible=False) as typed:
        text = gr.Textbox(label="Text", lines=4, max_length=MOST_CHARACTERS, placeholder="What the face is to say")
        with gr.Row():
            language = gr.Dropdown(spoken_in, value=usual.language, label="Language", allow_custom_value=True,
                                   min_width=140)  # fmt: skip
            variant = gr.Dropdown([("Plain", ""), *others_of], value="", label="Voice", allow_custom_value=True,
                                  min_width=120)  # fmt: skip
        with gr.Row():
            rate = gr.Slider(80, 450, value=usual.rate_wpm, step=5, label="Pace", info="Words a minute", min_width=140)
            pitch = gr.Slider(
                0, 99, value=usual.pitch, step=1, label="Pitch", info="50: the voice's own", min_width=140
            )
        speak = gr.Button("Preview the voice", min_width=150)
        spoken = gr.Audio(label="The voice", interactive=False, visible=False)
        gr.Markdown(SPOKEN_BY[voices.profile], elem_classes="origin")
    with gr.Accordion("Something else for single faces", open=False):
        others = gr.File(label="Other recordings", file_count="multiple", file_types=SOUND_TYPES, height=120)
        gr.Markdown("After this, choose beside each face what it says.", elem_classes="origin")
    return SpeechWidgets(source, recorded, speech, typed, text, (language, variant, rate, pitch), speak, spoken, others)


def voice_choices(voices: Voices) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Languages and variants as (name, code); the usual language alone where espeak-ng cannot be opened."""
    named = {ESPEAK: "espeak-ng, plain"} | {speaker: speaker.replace("-", " ").capitalize() for speaker in SPEAKERS}
    try:
        spoken_in = [(name, code) for code, name, _ in voices.languages()]
        return spoken_in, [(named.get(variant, variant), variant) for variant in voices.variants()]
    except CoreError:
        usual = VoiceConfig().language
        return [(usual, usual)], []


def _drawing() -> DrawingWidgets:
    with gr.Accordion("Draw a mouth, where no face is found", open=False):
        gr.Markdown("For cartoons and animals: show a picture, draw a box around the mouth, and use it. One is enough "
                    "for a mouth that stands still; draw more of them for one that moves.")  # fmt: skip
        with gr.Row(equal_height=True):
            at_s = gr.Number(0, minimum=0, step=0.1, label="At second", min_width=100)
            look = gr.Button("Show the picture", min_width=150)
        picture = gr.HTML(elem_id="lip-sync-drawing", js_on_load=DRAW)
        with gr.Row():
            box = [
                gr.Number(0, minimum=0, precision=0, label=side, min_width=80)
                for side in ("Left", "Top", "Right", "Bottom")
            ]
        with gr.Row():
            use = gr.Button("Use this mouth", min_width=130)
            forget = gr.Button("Forget all mouths", min_width=130)
        drawn = gr.HTML(status("No mouth is drawn."), elem_id="lip-sync-drawn")
    return DrawingWidgets(at_s, look, picture, (box[0], box[1], box[2], box[3]), use, forget, drawn)


def _render() -> RenderWidgets:
    usual = SyncConfig()
    length = gr.Dropdown(LENGTHS, value=usual.length, label="Where the speech is longer than the film")
    with gr.Accordion("Options", open=False):
        with gr.Row():
            openness = gr.Slider(0.2, 1.5, value=usual.openness, step=0.05, label="Mouth openness", min_width=160,
                                 info="1: as it was learnt")  # fmt: skip
            gate = gr.Checkbox(usual.silence_gate, label="Shut the mouth in silence", min_width=160)
        with gr.Row():
            padding = gr.Slider(-0.25, 1, value=usual.finish.padding, step=0.05, label="Padding", min_width=140,
                                info="More than mouth and chin")  # fmt: skip
            mask = gr.Slider(0.5, 1.5, value=usual.finish.mask_size, step=0.05, label="Mask", min_width=140,
                             info="Size of the region that changes")  # fmt: skip
            feather = gr.Slider(0.01, 0.3, value=usual.finish.feather, step=0.01, label="Feather", min_width=140,
                                info="Width of its soft edge")  # fmt: skip
    consent = gr.Checkbox(False, label="I may use this face and this voice",
                          info="The new film says in its metadata how it was made.")  # fmt: skip
    with gr.Row():
        recorded, typed = _buttons(visible=True), _buttons(visible=False)
        stop = gr.Button("Stop lip-sync", min_width=150, scale=0)
    told = gr.HTML(status("The new film appears here, beside the one it was made of."), elem_id="lip-sync-told")
    players = gr.HTML(elem_id="lip-sync-players", js_on_load=SIDE_BY_SIDE.read_text(encoding="utf-8"))
    file = gr.DownloadButton("Download the new film", interactive=False, size="sm")
    return RenderWidgets(
        (length, openness, gate, padding, mask, feather), consent, recorded, typed, stop, told, players, file
    )


def _buttons(visible: bool) -> tuple[gr.Button, gr.Button]:
    render = gr.Button("Render", variant="primary", min_width=120, visible=visible)
    return render, gr.Button("Test three seconds", min_width=170, visible=visible)
