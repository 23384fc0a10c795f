"""The components of the personal video tab, in the order in which they are seen."""

from dataclasses import dataclass

import gradio as gr

from apps.cards import HAND_ON, SIDE_BY_SIDE, status
from apps.personal_video_cards import MADE_FROM, concepts, gallery, mode
from core.personal_video.pipeline import SOMETHING_ELSE
from core.personal_video.results import LARGEST_SEED
from core.runtime import Profile, current_profile

PICTURES = ["image", ".webp", ".gif", ".apng"]
SHOWS: dict[Profile, list[tuple[str, str]]] = {
    "embedded": [("Find out", ""), ("Something else than a concept", SOMETHING_ELSE)],
    "hub": [("Something else than a concept", SOMETHING_ELSE)],
}
"""What an image may show beside the concepts; the first one holds until something else is chosen."""
CHOOSE = """element.addEventListener("click", ({target}) => {
  const button = target.closest("button[data-word]");
  if (button) trigger("choose", {word: button.dataset.word});
});
const light = () => {
  const told = document.querySelector("#personal-video-mode [data-lit]");
  const lit = told ? JSON.parse(told.dataset.lit) : [];
  for (const button of element.querySelectorAll("button[data-word]")) {
    const state = String(lit.includes(button.dataset.word));
    if (button.getAttribute("aria-pressed") !== state) button.setAttribute("aria-pressed", state);
  }
};
new MutationObserver(light).observe(element.closest(".tool") || document.body, {childList: true, subtree: true});"""
"""The buttons of concepts become events ``choose``; those whose words the prompt names are lit."""
SHOW = """element.addEventListener("click", ({target}) => {
  const button = target.closest("[data-do=show]");
  if (button) trigger("choose", {index: Number(button.dataset.index)});
});"""
"""The buttons of the gallery become events ``choose``."""


@dataclass(frozen=True)
class AskWidgets:
    """What is to be seen."""

    concepts: gr.HTML
    prompt: gr.Textbox
    image: gr.File
    shows: gr.Dropdown
    mode: gr.HTML
    seed: gr.Number
    keep: gr.Checkbox
    options: tuple[gr.Slider, gr.Slider, gr.Slider]
    """Steps, and guidance on text and on subject."""
    generate: gr.Button
    stop: gr.Button


@dataclass(frozen=True)
class ManageWidgets:
    """The database of concepts."""

    word: gr.Textbox
    pictures: gr.File
    more: gr.Checkbox
    preview: gr.Button
    add: gr.Button
    told: gr.HTML
    known: gr.Dropdown
    new_word: gr.Textbox
    rename: gr.Button
    remove: gr.Button
    export: gr.Button
    exported: gr.DownloadButton
    file: gr.File
    replacing: gr.Checkbox
    bring: gr.Button


@dataclass(frozen=True)
class MadeWidgets:
    """What was made.

    Attributes:
        preview: what it looks like so far.
        told: what became of it.
        players: the first video, and the larger one beside it.
        enlarge: makes that.
        steps: of it.
        first: the file that it is made from; a video from before may be put there.
        files: both videos, to be taken away.
        hand_on: gives the video to other tools.
        gallery: all that was made on this page.
    """

    preview: gr.HTML
    told: gr.HTML
    players: gr.HTML
    enlarge: gr.Button
    steps: gr.Slider
    first: gr.File
    files: tuple[gr.DownloadButton, gr.DownloadButton]
    hand_on: gr.HTML
    gallery: gr.HTML


def columns() -> tuple[AskWidgets, ManageWidgets, MadeWidgets]:
    """What is asked for on the left, what is made on the right."""
    with gr.Row(elem_classes="tool"):
        with gr.Column(scale=2, min_width=280):
            ask = _ask()
            manage = _manage()
            gr.Markdown(MADE_FROM[current_profile()], elem_classes="origin")
        with gr.Column(scale=3, min_width=280):
            made = _made()
    return ask, manage, made


def _ask() -> AskWidgets:
    gr.Markdown("### What is to be seen")
    buttons = gr.HTML(concepts([]), elem_id="personal-video-concepts", js_on_load=CHOOSE)
    prompt = gr.Textbox(
        label="Describe the video", lines=3, placeholder="<biscuit> hops to the right on a light green background",
        info="Touch a concept, or type its word",
    )  # fmt: skip
    image = gr.File(label="Image, if you like", file_types=PICTURES, height=130)
    choices = SHOWS[current_profile()]
    shows = gr.Dropdown(choices, value=choices[0][1], label="The image shows", allow_custom_value=True)
    said = gr.HTML(mode(None), elem_id="personal-video-mode")
    with gr.Row(equal_height=True):
        seed = gr.Number(
            -1, label="Seed", precision=0, minimum=-1, maximum=LARGEST_SEED, min_width=120, info="-1: by lot"
        )
        keep = gr.Checkbox(False, label="Keep this seed", info="The same seed makes the same video", min_width=140)
    with gr.Accordion("Options", open=False):
        gr.Markdown("0 stands for what suits the networks.", elem_classes="origin")
        steps = gr.Slider(0, 200, value=0, step=1, label="Steps")
        text = gr.Slider(0, 20, value=0, step=0.1, label="Guidance on the text")
        subject = gr.Slider(0, 20, value=0, step=0.1, label="Guidance on the subject")
    with gr.Row():
        generate = gr.Button("Generate", variant="primary", min_width=120)
        stop = gr.Button("Stop video", min_width=130, scale=0)
    return AskWidgets(buttons, prompt, image, shows, said, seed, keep, (steps, text, subject), generate, stop)


def _manage() -> ManageWidgets:
    with gr.Accordion("Add a concept", open=False):
        word = gr.Textbox(label="Word", placeholder="biscuit", info="What you will call it in descriptions")
        pictures = gr.File(label="Pictures of it", file_count="multiple", file_types=PICTURES, height=130)
        more = gr.Checkbox(False, label="Further pictures of a concept that is there")
        with gr.Row():
            preview = gr.Button("Show what is cut out", min_width=150)
            add = gr.Button("Add concept", variant="primary", min_width=130)
        told = gr.HTML(elem_id="personal-video-added")
    with gr.Accordion("Rename, remove, export, import", open=False):
        known = gr.Dropdown([], label="Concept", allow_custom_value=True)
        new_word = gr.Textbox(label="New word")
        with gr.Row():
            rename = gr.Button("Rename concept", min_width=130)
            remove = gr.Button("Remove concept", variant="stop", min_width=130)
        with gr.Row():
            export = gr.Button("Export all concepts", min_width=150)
            exported = gr.DownloadButton("Download the concepts", interactive=False, min_width=150)
        file = gr.File(label="Exported concepts", file_types=[".zip"], height=110)
        replacing = gr.Checkbox(False, label="Replace the pictures of concepts that are there")
        bring = gr.Button("Import concepts", min_width=130)
    return ManageWidgets(
        word, pictures, more, preview, add, told, known, new_word, rename, remove, export, exported, file, replacing,
        bring,
    )  # fmt: skip


def _made() -> MadeWidgets:
    gr.Markdown("### The video")
    preview = gr.HTML(elem_id="personal-video-preview")
    told = gr.HTML(status("The video appears here."), elem_id="personal-video-told")
    players = gr.HTML(elem_id="personal-video-players", js_on_load=SIDE_BY_SIDE.read_text(encoding="utf-8"))
    with gr.Row():
        enlarge = gr.Button("Enlarge", variant="primary", min_width=120)
        files = (
            gr.DownloadButton("Download the first video", interactive=False, size="sm", min_width=150),
            gr.DownloadButton("Download the larger video", interactive=False, size="sm", min_width=150),
        )
    hand_on = gr.HTML(elem_id="personal-video-hand-on", js_on_load=HAND_ON.read_text(encoding="utf-8"))
    with gr.Accordion("Go on from a video of before", open=False):
        gr.Markdown("Its settings come back from the file; “Enlarge” works on it, too.", elem_classes="origin")
        first = gr.File(label="First video", file_types=[".mp4"], height=110)
        steps = gr.Slider(0, 200, value=0, step=1, label="Steps of enlarging", info="0: what suits the networks")
    gr.Markdown("### Made so far")
    made = gr.HTML(gallery([]), elem_id="personal-video-gallery", js_on_load=SHOW)
    return MadeWidgets(preview, told, players, enlarge, steps, first, files, hand_on, made)
