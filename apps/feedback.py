"""From core's words to gradio's: errors become toasts, progress becomes a bar."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import gradio as gr

from apps.runtime import Jobs, Work
from core.errors import CancelledError, CoreError
from core.runtime import PART, Progress, cancellable


@contextmanager
def readable_errors() -> Iterator[None]:
    """Show every `CoreError` as a toast with its own sentence; anything else is a bug and passes through."""
    try:
        yield
    except CancelledError as error:
        raise gr.Error(_as_text(error), title="Stopped", duration=8, print_exception=False) from error
    except CoreError as error:
        raise gr.Error(_as_text(error), title="That did not work", duration=None, print_exception=False) from error


def _as_text(error: CoreError) -> str:
    """An error's sentence; a toast would take ``<biscuit>`` for markup and drop it, but for what joins unseen."""
    return re.sub(r"<(?=[a-zA-Z/!?])", "<\u2060", str(error))


def progress_bar(bar: gr.Progress, counted: str = "file") -> Progress:
    """A core progress callback that fills a gradio progress bar; ``counted``: what the parts of a job are, if told."""

    def report(done: int, total: int, what: str) -> None:
        parts = total // PART if counted else 0
        of_parts = f" – {counted} {min(done // PART + 1, parts)} of {parts}" if parts >= 2 else ""
        bar(done / max(total, 1), desc=f"{what}{of_parts}")

    return report


@contextmanager
def job(jobs: Jobs, request: gr.Request, bar: gr.Progress, counted: str = "file") -> Iterator[Progress]:
    """A job that its user can stop and see the progress of; see `progress_bar`."""
    work, shown = Work.of(request), progress_bar(bar, counted)

    def report(done: int, total: int, what: str) -> None:
        shown(done, total, what)
        work.report(done, total, what)

    with readable_errors(), jobs.running(request.session_hash, work.token) as token:
        yield cancellable(report, token)
