"""The front matter of README.md, which tells a Space what to run and what to load while it is built.

``models`` and ``preload_from_hub`` follow from the manifests of the hub profile; `with_models` writes them.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from huggingface_hub.repocard import metadata_load

from core.errors import PublishError
from core.weights import Manifest

CARD = "README.md"
_FRONT = re.compile(r"\A---\n(.*?\n)---\n", re.DOTALL)
_LISTS = re.compile(r"^(?:models|preload_from_hub):\n(?:  - .*\n)*", re.MULTILINE)


def front_matter(root: Path) -> dict[str, Any]:
    """What the README says to the Space.

    Raises:
        PublishError: there is no README, or no front matter in it.
    """
    path = root / CARD
    told = metadata_load(path) if path.is_file() else None
    if told is None:
        raise PublishError(f"{path} has no front matter; a Space needs it to know what to run.")
    return told


def models(manifests: Sequence[Manifest]) -> list[str]:
    """The repositories of the hub profile, each once."""
    return list(dict.fromkeys(m.repository for m in manifests if m.profile == "hub" and m.repository))


def preloads(manifests: Sequence[Manifest]) -> list[str]:
    """The lines of ``preload_from_hub`` as Spaces read them: repository, files with commas between them, commit."""
    return [
        f"{m.repository} {','.join(file.path for file in m.files)} {m.revision}"
        for m in manifests
        if m.profile == "hub"
    ]


def with_models(text: str, manifests: Sequence[Manifest]) -> str:
    """A README whose front matter names the models of these manifests, and is otherwise as it was.

    Raises:
        PublishError: it has no front matter.
    """
    found = _FRONT.match(text)
    if not found:
        raise PublishError(f"{CARD} has no front matter; a Space needs it to know what to run.")
    lists = [("models", models(manifests)), ("preload_from_hub", preloads(manifests))]
    block = "".join(f"{key}:\n" + "".join(f"  - {row}\n" for row in rows) for key, rows in lists if rows)
    kept = _LISTS.sub("", found[1])
    before, licence, after = kept.partition("license:")
    return f"---\n{before}{block}{licence}{after}---\n{text[found.end() :]}"
