"""Showreel: five AI video tools in one Gradio app. ``python app.py --help`` lists the settings."""

import argparse
import os
import sys

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch: idle threads leave the cores to other jobs

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"

import gradio as gr
import spaces  # noqa: F401  # before CUDA starts, so that ZeroGPU can hand out its GPUs

from apps import TABS, UNFINISHED
from apps.runtime import AppSettings
from apps.theme import CSS_FILE, HEAD, theme
from core.command_line import BAD_ARGUMENTS, add_flags, from_flags
from core.errors import ParameterError


def build_app(settings: AppSettings) -> gr.Blocks:
    """The whole app: a header, and one tab per finished tool."""
    with gr.Blocks(title="Showreel", analytics_enabled=False, delete_cache=(3600, 24 * 3600)) as app:
        gr.HTML('<header class="masthead"><h1>Showreel</h1><p>AI video tools that run on your own machine</p></header>')
        with gr.Tabs():
            for tab in (*TABS, *UNFINISHED) if settings.unfinished else TABS:
                with gr.Tab(tab.title):
                    tab.build(settings)
    return app.queue(max_size=settings.max_waiting, default_concurrency_limit=settings.jobs)


def launch(settings: AppSettings, block: bool = True) -> gr.Blocks:
    """Serve the app; with ``block`` until it is stopped."""
    app = build_app(settings)
    app.launch(
        server_name=settings.host or None,
        server_port=settings.port,
        root_path=settings.root_path or None,
        auth=tuple(settings.auth.split(":", 1)) if settings.auth else None,  # type: ignore[arg-type]
        max_file_size=settings.max_upload_mb * 2**20,
        mcp_server=True,
        theme=theme(),
        css_paths=CSS_FILE,
        head=HEAD,
        footer_links=["api"],
        prevent_thread_lock=not block,
    )
    return app


def main(argv: list[str] | None = None) -> int:
    """Read the flags and serve."""
    parser = argparse.ArgumentParser(prog="python app.py", description="Open the Showreel app.")
    add_flags(parser, AppSettings)
    try:
        launch(from_flags(parser.parse_args(argv), AppSettings))
    except ParameterError as error:
        print(f"error: {error}", file=sys.stderr)
        return BAD_ARGUMENTS
    return 0


if __name__ == "__main__":
    sys.exit(main())
