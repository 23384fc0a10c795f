"""May the weights that go up be handed on? Their manifests name the licence, and its text must lie beside them."""

import re
from collections.abc import Collection

from core.weights import Manifest

ALLOWED = {"Apache-2.0", "MIT", "BSD-2-Clause", "BSD-3-Clause", "ISC", "CC0-1.0", "CC-BY-4.0", "Unlicense", "Zlib"}
"""Licences, by their SPDX names, that let anybody hand the files on."""
SHARED = "Apache-2.0"
"""The licence whose text lies at the root of the project, too."""
_LOOKS_LIKE_A_LICENCE = re.compile(r"[A-Z][A-Za-z0-9.+-]*")
_NO_LICENCES = {"BRISQUE", "NIQE"}
"""What the words in brackets are about, and no licence."""


def licences_of(manifest: Manifest) -> list[str]:
    """The SPDX names in a manifest's licence.

    Example: of ``Apache-2.0 (labels MIT)`` the names Apache-2.0 and MIT.
    """
    words = re.split(r"[\s(),;/]+", manifest.licence)
    return [word for word in words if _LOOKS_LIKE_A_LICENCE.fullmatch(word) and word not in _NO_LICENCES]


def objections(manifest: Manifest, beside: Collection[str], at_root: Collection[str]) -> list[str]:
    """Why weights may not be handed on, one sentence each; none when they may.

    Args:
        manifest: what is said of the weights.
        beside: names of the files in their folder that go up.
        at_root: names of the files at the root that go up.
    """
    named = licences_of(manifest)
    told = [
        f"{manifest.name} is under {name}, which does not let us hand it on." for name in named if name not in ALLOWED
    ]
    if not named:
        told.append(f"{manifest.name} names no licence in {manifest.licence!r}; write its SPDX name.")
    texts = [name for name in beside if name.startswith(("LICENSE", "LICENCE", "COPYING"))]
    if any(name != SHARED for name in named) and not texts:
        told.append(f"{manifest.name} has no LICENSE beside its weights; put the text of {' and '.join(named)} there.")
    elif SHARED in named and not texts and "LICENSE" not in at_root:
        told.append(f"{manifest.name} has no LICENSE, neither beside its weights nor at the root; add {SHARED}'s.")
    return told
