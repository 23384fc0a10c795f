"""Showreel: five AI video tools in one Gradio app. ``python app.py --help`` lists the settings."""

import argparse
import gc
import os
import sys

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch: idle threads leave the cores to other jobs

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"  # they would stand between the lines of the log
for package in ("TRANSFORMERS", "DIFFUSERS"):  # their warnings would too; they write theirs past the log
    os.environ.setdefault(f"{package}_VERBOSITY", "error")

import gradio as gr
import spaces  # noqa: F401  # before CUDA starts, so that ZeroGPU can hand out its GPUs
from starlette.middleware import Middleware

from apps import TABS
from apps.desk import Desk
from apps.door import Door
from apps.health import health_route
from apps.jobs import recent_jobs
from apps.keeping import register_folder
from apps.logs import LOGGER, start_logging
from apps.passing import past
from apps.runtime import AppSettings
from apps.stopping import serve_until_stopped
from apps.theme import CSS_FILE, HEAD, theme
from core.command_line import BAD_ARGUMENTS, add_flags, add_profile, from_flags
from core.errors import ParameterError
from core.runtime import using_profile
from core.weights.plan import plan_before_loading


def build_app(settings: AppSettings, desk: Desk | None = None) -> gr.Blocks:
    """The whole app: a header, one tab per finished tool, and what was asked for of late; its jobs go past the desk."""
    desk = desk or Desk(settings)
    with gr.Blocks(title="Showreel", analytics_enabled=False, delete_cache=(3600, 24 * 3600)) as app:
        gr.HTML('<header class="masthead"><h1>Showreel</h1><p>AI video tools that run on your own machine</p></header>')
        with gr.Tabs():
            for tab in TABS:
                with gr.Tab(tab.title):
                    tab.build(settings)
        recent_jobs(desk)
    desk.attach(app, past)
    return app.queue(max_size=settings.max_waiting, default_concurrency_limit=settings.jobs)


def launch(settings: AppSettings, block: bool = True) -> gr.Blocks:
    """Serve the app; with ``block`` until it is stopped."""
    desk = Desk(settings)
    app = build_app(settings, desk)
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
        app_kwargs={
            "routes": [health_route(settings, TABS), desk.metrics.route()],
            "middleware": [Middleware(Door, desk=desk)],
        },
        blocked_paths=[str(register_folder(settings))],
        prevent_thread_lock=True,
        _frontend=False,  # or gradio gives up where its page takes 3 s, as when many ask from the first moment
    )
    if block:
        gc.freeze()  # all that is there stays; without it, cycles of jobs are looked for more often
        serve_until_stopped(app, desk)
    return app


def main(argv: list[str] | None = None) -> int:
    """Read the flags and serve."""
    parser = argparse.ArgumentParser(prog="python app.py", description="Open the Showreel app.")
    add_flags(parser, AppSettings)
    add_profile(parser)
    arguments = parser.parse_args(argv)
    try:
        settings = from_flags(arguments, AppSettings)
        start_logging(settings.log_json)
        with using_profile(arguments.profile):
            for line in plan_before_loading().splitlines():
                LOGGER.info("%s", line)
            launch(settings)
    except ParameterError as error:
        print(f"error: {error}", file=sys.stderr)
        return BAD_ARGUMENTS
    return 0


if __name__ == "__main__":
    sys.exit(main())
