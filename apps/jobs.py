"""Jobs as programs and pages see them: asked for again by id, listed, run again, stopped; the list of recent ones."""

import secrets
from collections.abc import Sequence
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from apps.cards import duration, file_url, status
from apps.desk import REFUSED, Desk
from apps.door import refuse
from apps.feedback import readable_errors
from apps.passing import called_again
from apps.runtime import HEAVY
from core.errors import ParameterError
from core.jobs import UNFINISHED, Job

Answer = dict[str, Any]
BAR = gr.Progress()
LIGHT: dict[str, Any] = {"show_progress": "hidden", "queue": False}
PRIVATE: dict[str, Any] = {"api_visibility": "private"}
SHOWN = 12
LISTED = 50
LINKS = 6
REFRESH_S = 3
BUTTONS = """element.addEventListener("click", ({target}) => {
  const button = target.closest("[data-do]");
  if (button) trigger(button.dataset.do === "stop" ? "stop" : "again", {id: button.dataset.id});
});"""
"""The buttons of the list become events ``again`` and ``stop``."""


class Handlers:
    """What programs call; the names of the public methods are the names of the endpoints and of the MCP tools."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    def job(self, job_id: str) -> Answer:
        """Tell how a job goes, and its result again once it has one; whoever knows the id may ask.

        Args:
            job_id: the id of the job: that of its event in the queue, which jobs lists too.
        """
        with readable_errors():
            self.desk.waiting()
            return told(self.desk.seen(self.desk.register.job(job_id or "")))

    def jobs(self, request: gr.Request) -> Answer:
        """List your jobs of the last hours, newest first, without their results; unfinished ones say what to do.

        Args:
            request: who asks; filled in by gradio.
        """
        rows = [told(job) for job in self.recent(request)]
        return {"results": [{name: row[name] for name in row if name != "result"} for row in rows]}

    def job_again(self, job_id: str, request: gr.Request, bar: gr.Progress = BAR) -> Any:
        """Run a job once more with the same input, as a new job; what it had finished is used where its tool can.

        Args:
            job_id: the id of a job that has ended.
            request: who asks; filled in by gradio.
            bar: shows progress; filled in by gradio.
        """
        with readable_errors():
            old = self.desk.register.job(job_id or "")
            if old.state in UNFINISHED:
                raise ParameterError("This job is not done yet; wait for it, or stop it first.")
            if old.arguments is None or old.endpoint not in self.desk.handlers:
                raise ParameterError("What this job was asked with is not known any more; ask for it anew.")
        self.desk.repeat(old)
        return called_again(self.desk.handlers[old.endpoint], old.arguments, request, bar)

    def job_stop(self, job_id: str) -> Answer:
        """Stop a job that waits or runs; what it finished before is kept.

        Args:
            job_id: the id of the job; whoever knows it may stop it.
        """
        return {"stopped": int(self.desk.stop(job_id or ""))}

    def recent(self, request: gr.Request) -> list[Job]:
        """The jobs of whoever asks, newest first."""
        self.desk.waiting()
        jobs = self.desk.register.jobs_of(self.desk.owners(request.session_hash or ""), LISTED)
        return [self.desk.seen(job) for job in jobs]


def told(job: Job) -> Answer:
    """A job as plain data, its times in UTC."""
    return {
        "id": job.id,
        "tool": job.tool,
        "endpoint": job.endpoint,
        "state": job.state,
        "inputs": list(job.inputs),
        "asked_at": datetime.fromtimestamp(job.queued_s, UTC).isoformat(timespec="seconds"),
        "waited_s": round(job.waited_s, 3),
        "seconds": round(job.seconds, 3),
        "progress": {"done": job.done, "total": job.total, "what": job.what},
        "error": job.error,
        "result": job.result,
    }


def recent_jobs(desk: Desk) -> None:
    """The endpoints, and the folded list at the foot of the page; inside the current Blocks."""
    handlers = Handlers(desk)
    with gr.Accordion("Recent jobs", open=False, elem_id="recent-jobs") as fold:
        table = gr.HTML(status("Nothing has been asked for yet."), js_on_load=BUTTONS)
    _wire_list(handlers, fold, table)
    job_id, answer = gr.Textbox(visible=False, label="Id of the job"), gr.JSON(visible=False, label="Answer")
    heavy = {"concurrency_id": HEAVY, "concurrency_limit": desk.settings.jobs}
    picked = table.again(_chosen, None, job_id, **PRIVATE, **LIGHT)
    picked.then(handlers.job_again, job_id, answer, show_progress="hidden", **heavy)
    for light in (handlers.job, handlers.jobs, handlers.job_stop):
        gr.api(light, queue=False)
    gr.api(refuse, api_name=REFUSED, api_visibility="undocumented", queue=False)


def _wire_list(handlers: Handlers, fold: gr.Accordion, table: gr.HTML) -> None:
    """Show the list when the page opens, and every few seconds while it is unfolded; its jobs are the browser's."""
    desk, shown = handlers.desk, [table, fold]
    browser = gr.BrowserState("", storage_key="showreel-browser", secret="showreel")
    clock = gr.Timer(REFRESH_S, active=False)

    def refresh(request: gr.Request) -> tuple[str, Any]:
        jobs = handlers.recent(request)
        return rows(jobs, desk.folder), gr.Accordion(label=title(jobs))

    def welcome(known: str, request: gr.Request) -> tuple[str, str, Any]:
        known = known or secrets.token_urlsafe(16)
        desk.welcome(request.session_hash or "", known)
        return known, *refresh(request)

    def stop(event: gr.EventData, request: gr.Request) -> tuple[str, Any]:
        handlers.job_stop(event.id)
        return refresh(request)

    gr.on(None, welcome, browser, [browser, *shown], **PRIVATE, **LIGHT)
    fold.expand(lambda: gr.Timer(active=True), None, clock, **PRIVATE, **LIGHT)
    fold.collapse(lambda: gr.Timer(active=False), None, clock, **PRIVATE, **LIGHT)
    for listen in (fold.expand, clock.tick):
        listen(refresh, None, shown, **PRIVATE, **LIGHT)
    table.stop(stop, None, shown, **PRIVATE, **LIGHT)


def _chosen(event: gr.EventData) -> str:
    return str(event.id)


def title(jobs: Sequence[Job]) -> str:
    """What the folded list is called: it says how many jobs are not done."""
    left = sum(job.state in (*UNFINISHED, "interrupted") for job in jobs)
    return f"Recent jobs: {left} not done" if left else "Recent jobs"


def rows(jobs: Sequence[Job], folder: Path) -> str:
    """The list, newest first, with the files that are kept in the jobs' folders below ``folder``."""
    if not jobs:
        return status("Nothing has been asked for yet.")
    return f'<ul class="jobs">{"".join(_row(job, folder / job.id) for job in jobs[:SHOWN])}</ul>'


def _row(job: Job, folder: Path) -> str:
    name = escape(job.endpoint.replace("_", " ").capitalize())
    inputs = escape(", ".join(job.inputs[:3]) + (f" and {len(job.inputs) - 3} more" if len(job.inputs) > 3 else ""))
    how = f"{job.state} in {duration(job.seconds)}" if job.state == "done" else str(job.state)
    if job.state == "running" and job.total:
        how += f", {100 * job.done // job.total} % {job.what}"
    at = datetime.fromtimestamp(job.queued_s, UTC).isoformat(timespec="seconds")
    error = f"<p>{escape(job.error)}</p>" if job.error else ""
    return (
        f'<li class="{job.state}"><b>{name}</b> {inputs} <span>{escape(how)}</span> '
        f'<time datetime="{at}">{at[11:16]} UTC</time>{_links(folder)}{_buttons(job, name)}{error}</li>'
    )


def _links(folder: Path) -> str:
    """The first files of a result, to be saved."""
    files = sorted(path for path in folder.glob("files/*/*"))[:LINKS]
    return "".join(
        f' <a href="{file_url(str(path))}" download="{escape(path.name)}">{escape(path.name)}</a>' for path in files
    )


def _buttons(job: Job, name: str) -> str:
    do, text = ("stop", "Stop") if job.state in UNFINISHED else ("again", "Run again")
    if job.state == "done" or (do == "again" and job.arguments is None):
        return ""
    return (
        f' <button type="button" data-do="{do}" data-id="{escape(job.id)}" aria-label="{text}: {name}">{text}</button>'
    )
