"""The files of jobs: what a result shows and what a job needs to be run again, kept in the job's own folder.

A kept file is a second name of the first one where both lie on one disk, and costs nothing; otherwise it is a copy.
"""

import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from gradio.utils import get_upload_folder

from apps.runtime import AppSettings

_LONGEST = 4096
Plain = Any
"""What JSON can hold."""


def plain_arguments(data: list[Any]) -> list[Plain] | None:
    """What gradio's queue was given, as an endpoint gets it: a file is its path; None if one is no upload."""
    uploads = Path(get_upload_folder()).resolve()

    def plain(value: Any) -> Plain:
        if isinstance(value, Mapping):
            if "path" not in value or "meta" not in value:
                return {str(key): plain(inner) for key, inner in value.items()}
            path = Path(str(value["path"])).resolve()
            if not path.is_relative_to(uploads):
                raise PermissionError(path)
            return str(path)
        return [plain(inner) for inner in value] if isinstance(value, list | tuple) else value

    try:
        return [plain(value) for value in data]
    except PermissionError:
        return None


def file_names(arguments: Plain, settings: AppSettings) -> tuple[str, ...]:
    """The names of the uploads among some arguments, in order."""
    names: list[str] = []

    def note(path: Path) -> Path:
        names.append(path.name)
        return path

    Keeper(settings, note).kept(arguments)
    return tuple(names)


def keep_inputs(arguments: list[Plain] | None, folder: Path, settings: AppSettings) -> list[Plain] | None:
    """Keep the uploads among a job's arguments; return the arguments with the kept ones in their place."""
    return None if arguments is None else Keeper(settings, Names(folder / "inputs")).kept(arguments)


def keep_result(result: Any, folder: Path, settings: AppSettings) -> Plain:
    """Keep the files of an answer that would go away: those made for one request, and uploads."""
    return Keeper(settings, Names(folder / "files")).kept(result)


def jobs_folder(settings: AppSettings) -> Path:
    """Where every job has its folder."""
    return Path(settings.output).resolve() / "jobs"


def register_folder(settings: AppSettings) -> Path:
    """Where the register lies, which nobody may be served."""
    return jobs_folder(settings) / "register"


def throw_away(folder: Path) -> None:
    """Delete a job's folder, if it has one."""
    shutil.rmtree(folder, ignore_errors=True)


class Names:
    """Gives files a second name in a folder, each in a numbered folder of its own, so that it is called as before.

    Args:
        folder: made when there is something to keep.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._count = folder, 0

    def __call__(self, path: Path) -> Path:
        """The second name of a file."""
        second = self._folder / str(self._count) / path.name
        self._count += 1
        second.parent.mkdir(parents=True, exist_ok=True)
        if not second.exists():
            try:
                os.link(path, second)
            except OSError:  # another disk, or one without second names
                shutil.copyfile(path, second)
        return second


class Keeper:
    """Walks through plain data and keeps the files in it that would go away: uploads, and those in the output folder.

    No other file is touched, whatever path somebody wrote into a text.

    Args:
        settings: tell the output folder.
        keep: called once for every such file; returns where it is kept.
    """

    def __init__(self, settings: AppSettings, keep: Callable[[Path], Path]) -> None:
        output = Path(settings.output).resolve()
        self._passing, self._never = (output, Path(get_upload_folder()).resolve()), register_folder(settings)
        self._keep, self._done = keep, dict[str, str]()

    def kept(self, value: Any) -> Plain:
        """A value as plain data, with the paths of kept files in place of those of the first ones."""
        if isinstance(value, Mapping):
            return {str(key): self.kept(inner) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return [self.kept(inner) for inner in value]
        if isinstance(value, np.generic | np.ndarray):
            return value.tolist()
        if isinstance(value, str | Path):
            return self._place(str(value))
        return value

    def _place(self, text: str) -> str:
        if text not in self._done:
            path = self._passing_file(text)
            self._done[text] = text if path is None else str(self._keep(path))
        return self._done[text]

    def _passing_file(self, text: str) -> Path | None:
        """The file that a text is the full path of, if it is one that would go away."""
        if len(text) > _LONGEST or not any(text.startswith(f"{place}{os.sep}") for place in self._passing):
            return None
        path = Path(text).resolve()
        inside = any(path.is_relative_to(place) for place in self._passing)
        return path if inside and not path.is_relative_to(self._never) and path.is_file() else None
