"""A Dockerfile as a test reads it: stages, and what each inherits; and a folder laid out as an image would be."""

import json
import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Stage:
    """One stage: where it begins, and its instructions with those of the stages that it builds upon."""

    name: str
    base: str
    lines: list[tuple[str, str]] = field(default_factory=list)

    def all(self, word: str) -> list[str]:
        """What stands behind every instruction of that kind, in order."""
        return [rest for kind, rest in self.lines if kind == word]

    def copies(self) -> list[tuple[list[str], str]]:
        """What is copied from the build's own folder, and where to."""
        words = [rest.split() for rest in self.all("COPY") if not rest.startswith("--from")]
        return [(row[:-1], row[-1]) for row in words]

    def environment(self) -> dict[str, str]:
        pairs = (pair.partition("=") for rest in self.all("ENV") for pair in shlex.split(rest))
        return {name: value for name, _, value in pairs}

    def command(self, word: str) -> list[str]:
        """The words of the last ENTRYPOINT or HEALTHCHECK, which are written as JSON."""
        rest = self.all(word)[-1]
        words: list[str] = json.loads(rest[rest.index("[") :])
        return words


def read_stages(dockerfile: Path) -> dict[str, Stage]:
    """The stages by name; each begins with what it inherits from an earlier one."""
    text = re.sub(r"^\s*#.*\n", "", dockerfile.read_text("utf-8"), flags=re.MULTILINE).replace("\\\n", " ")
    stages: dict[str, Stage] = {}
    current = Stage("", "")
    for line in filter(None, (line.strip() for line in text.splitlines())):
        word, _, rest = line.partition(" ")
        if word == "FROM":
            base, _, name = rest.partition(" AS ")
            current = stages[name] = Stage(name, base, list(stages[base].lines) if base in stages else [])
        else:
            current.lines.append((word, rest.strip()))
    return stages


def lay_out(root: Path, copies: list[tuple[list[str], str]], folder: Path) -> None:
    """Put into an empty folder what would be copied there; files are linked, and caches left out."""
    folder.mkdir()
    for sources, target in copies:
        for source in sources:
            for file in _files(root / source):
                inside = file.relative_to(root / source) if (root / source).is_dir() else Path(file.name)
                place = folder / target / inside
                place.parent.mkdir(parents=True, exist_ok=True)
                if file.suffix == ".py":  # a module finds its neighbours by where it really lies
                    place.write_bytes(file.read_bytes())
                else:
                    place.symlink_to(file)


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    return [file for file in path.rglob("*") if file.is_file() and "__pycache__" not in file.parts]
