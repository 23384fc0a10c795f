"""The components of the music tab, in the order in which they are seen."""

from dataclasses import dataclass
from pathlib import Path

import gradio as gr

from apps.cards import HAND_ON, status
from apps.music_matching_cards import RANKS_BY
from core.music_matching import LayConfig

FILM_TYPES = ["video", ".mkv", ".ts", ".webp", ".gif", ".apng"]
MUSIC_TYPES = ["audio", ".ogg", ".opus", ".flac", ".m4a", ".mka"]
MODES = [("Duck under speech", "duck"), ("Mix", "mix"), ("Replace", "replace")]
ACTIONS = """element.addEventListener("click", ({target}) => {
  const button = target.closest("[data-do]");
  if (!button) return;
  const told = {id: button.dataset.id};
  if (button.dataset.do === "preview") trigger("preview", told);
  else if (button.dataset.do === "choose") trigger("choose", told);
  else trigger("remove", told);
});"""
"""The buttons of cards and table become events ``preview``, ``choose`` and ``remove``."""
SIDE_BY_SIDE = Path(__file__).with_name("side_by_side.js")


@dataclass(frozen=True)
class MusicWidgets:
    """The library of music."""

    files: gr.File
    licence: gr.Textbox
    credit: gr.Textbox
    add: gr.Button
    stop: gr.Button
    status: gr.HTML
    filter: gr.Textbox
    table: gr.HTML


@dataclass(frozen=True)
class MatchWidgets:
    """Finding music for a film."""

    video: gr.File
    text: gr.Textbox
    top: gr.Slider
    find: gr.Button
    stop: gr.Button
    preview: gr.HTML
    results: gr.HTML


@dataclass(frozen=True)
class MixWidgets:
    """Laying a track under the film."""

    chosen: gr.HTML
    mode: gr.Radio
    music_db: gr.Slider
    duck_db: gr.Slider
    fade_out_s: gr.Slider
    render: gr.Button
    stop: gr.Button
    told: gr.HTML
    film: gr.Video
    file: gr.DownloadButton
    hand_on: gr.HTML


def music_column() -> MusicWidgets:
    """Adding music, and the library as a table."""
    gr.Markdown("### Music")
    files = gr.File(label="Music to add", file_count="multiple", file_types=MUSIC_TYPES, height=150)
    with gr.Row():
        licence = gr.Textbox(label="Licence", placeholder="As the files say", min_width=120)
        credit = gr.Textbox(label="Credit", placeholder="As the files say", min_width=120)
    with gr.Row():
        add = gr.Button("Add music", variant="primary", min_width=120)
        stop = gr.Button("Stop listening", min_width=170, scale=0)
    told = gr.HTML(status(""))
    text = gr.Textbox(label="Filter the music", placeholder="Title, licence, credit or word")
    table = gr.HTML(status(""), elem_id="music-matching-library", js_on_load=ACTIONS)
    return MusicWidgets(files, licence, credit, add, stop, told, text, table)


def match_column() -> tuple[MatchWidgets, MixWidgets]:
    """The film, what is asked, the tracks found, and the mix."""
    gr.Markdown("### Find music for a film")
    video = gr.File(label="Film that needs music", file_types=FILM_TYPES, height=150)
    with gr.Row():
        text = gr.Textbox(label="In words", placeholder="calmer, no vocals", min_width=180)
        top = gr.Slider(1, 20, value=5, step=1, label="How many tracks", min_width=140)
    with gr.Row():
        find = gr.Button("Find music", variant="primary", min_width=120)
        stop = gr.Button("Stop finding", min_width=170, scale=0)
    player = gr.HTML(js_on_load=SIDE_BY_SIDE.read_text(encoding="utf-8"), elem_id="music-matching-preview")
    results = gr.HTML(
        status("Choose a film above; the tracks that fit it best appear here."),
        elem_id="music-matching-results",
        min_height=80,
        js_on_load=ACTIONS,
    )
    gr.Markdown(RANKS_BY, elem_classes="origin")
    return MatchWidgets(video, text, top, find, stop, player, results), _mix()


def _mix() -> MixWidgets:
    usual = LayConfig()
    gr.Markdown("### Lay it under the film")
    chosen = gr.HTML(status("Find music, then choose a track."), elem_id="music-matching-chosen")
    mode = gr.Radio(MODES, value=usual.mode, label="The film's own sound")
    with gr.Row():
        music_db = gr.Slider(-30, 10, value=usual.music_db, step=1, label="Music, dB", info="Against the film's sound")
        duck_db = gr.Slider(-30, 0, value=usual.duck_db, step=1, label="Under speech, dB", info="When ducked")
        fade_out_s = gr.Slider(0, 10, value=usual.fade_out_s, step=0.5, label="Fade-out, s", info="At the end")
    with gr.Row():
        render = gr.Button("Render the film", variant="primary", min_width=120)
        stop = gr.Button("Stop rendering", min_width=170, scale=0)
    told = gr.HTML(status(""), elem_id="music-matching-told")
    film = gr.Video(label="The film with music", interactive=False, visible=False)
    file = gr.DownloadButton("Download the film", interactive=False, size="sm")
    hand_on = gr.HTML(elem_id="music-matching-hand-on", js_on_load=HAND_ON.read_text(encoding="utf-8"))
    return MixWidgets(chosen, mode, music_db, duck_db, fade_out_s, render, stop, told, film, file, hand_on)
