"""How the app looks: gradio's theme with system fonts, and our style sheet."""

from pathlib import Path

import gradio as gr

CSS_FILE = Path(__file__).with_name("style.css")
HEAD = """<meta name="description" content="Showreel: AI video tools that run on your own machine">
<style>@media (max-width: 640px) { .gradio-container .main.app { padding: .5rem !important; } }</style>"""
"""What the style sheet cannot say: gradio confines its rules to what lies inside the page's frame."""
FONTS = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "Noto Sans", "sans-serif"]
MONO_FONTS = ["ui-monospace", "SFMono-Regular", "Menlo", "monospace"]


def theme() -> gr.themes.Base:
    """Indigo on slate, light and dark, with the fonts of the system: no font is fetched."""
    return gr.themes.Soft(
        primary_hue="indigo",
        secondary_hue="indigo",
        neutral_hue="slate",
        font=FONTS,
        font_mono=MONO_FONTS,
    ).set(
        body_background_fill="*neutral_50",
        block_shadow="none",
        block_border_width="1px",
        button_primary_background_fill="*primary_600",
        button_primary_background_fill_hover="*primary_700",
        button_primary_text_color="white",
    )
