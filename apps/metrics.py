"""Figures of the running server in the text form that Prometheus reads, at ``/metrics``."""

import shutil
from collections.abc import Callable
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from core.jobs import Job

_SECONDS = (0.1, 0.3, 1, 3, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200)


class Metrics:
    """Counts of one server; how much waits and runs is asked for whenever somebody reads.

    Memory, open files and processor time are those of the process: ``process_resident_memory_bytes`` and the like.

    Args:
        output: the folder whose disk is watched.
        waiting: how many jobs wait.
        running: how many run.
    """

    def __init__(self, output: Path, waiting: Callable[[], float], running: Callable[[], float]) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._jobs = Counter("showreel_jobs", "Jobs that ended", ["tool", "state"], registry=self._registry)
        self._refused = Counter("showreel_refused", "Requests refused", ["reason"], registry=self._registry)
        self._seconds, self._waits = (
            Histogram(f"showreel_job_{name}_seconds", told, ["tool"], registry=self._registry, buckets=_SECONDS)
            for name, told in (("run", "How long jobs ran"), ("wait", "How long jobs waited before they ran"))
        )
        self._gauge("showreel_jobs_waiting", "Jobs that wait", waiting)
        self._gauge("showreel_jobs_running", "Jobs that run", running)
        self._gauge("showreel_disk_free_bytes", "Free on the output folder's disk", lambda: _free(output))
        self._gauge("showreel_output_bytes", "Size of the output folder", lambda: _size(output))

    def ended(self, job: Job) -> None:
        """Count a job that ended."""
        self._jobs.labels(job.tool, job.state).inc()
        if job.started_s is not None:
            self._seconds.labels(job.tool).observe(job.seconds)
            self._waits.labels(job.tool).observe(job.waited_s)

    def refused(self, reason: str) -> None:
        """Count a request that was refused: for ``rate``, ``share`` or ``shutdown``."""
        self._refused.labels(reason).inc()

    def text(self) -> str:
        """All figures, as Prometheus reads them."""
        return generate_latest(self._registry).decode()

    def route(self) -> Route:
        """Where they are read."""

        def metrics(request: Request) -> Response:
            return Response(self.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

        return Route("/metrics", metrics)

    def _gauge(self, name: str, told: str, value: Callable[[], float]) -> None:
        Gauge(name, told, registry=self._registry).set_function(value)


def _free(folder: Path) -> float:
    return float(shutil.disk_usage(next(place for place in (folder, *folder.parents) if place.exists())).free)


def _size(folder: Path) -> float:
    """Bytes of the files in a folder, those with several names counted once; others may delete them meanwhile."""
    sizes: dict[tuple[int, int], int] = {}
    for path in folder.rglob("*"):
        try:
            told = path.lstat()
        except FileNotFoundError:
            continue
        if path.is_file():
            sizes[told.st_dev, told.st_ino] = told.st_size
    return float(sum(sizes.values()))
