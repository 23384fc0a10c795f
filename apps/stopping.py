"""Serving until a signal says stop, and then stopping without losing what is under way."""

import signal
import threading
import time

import gradio as gr

from apps.desk import Desk
from apps.logs import LOGGER, start_logging

_LAST_WORD_S = 1.0
"""How long the last answers get to reach whoever asked."""


def serve_until_stopped(app: gr.Blocks, desk: Desk) -> None:
    """Wait for SIGTERM or SIGINT; then finish what runs, write down what does not, and close the server.

    A second signal ends the process at once.
    """
    stop = threading.Event()

    def asked(number: int, _: object) -> None:
        for each in (signal.SIGTERM, signal.SIGINT):
            signal.signal(each, signal.SIG_DFL)
        stop.set()

    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, asked)
    start_logging(desk.settings.log_json)  # once more, since the server has brought a form of its own
    LOGGER.info("serving on %s", app.local_url)
    stop.wait()
    desk.close()
    time.sleep(_LAST_WORD_S)
    app.close(verbose=False)
    desk.register.close()
    LOGGER.info("stopped")
