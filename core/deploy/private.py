"""What may never go up: keys and tokens, files that usually hold them, libraries, results, and films or sounds.

The scan reads every file but the weights, whose bytes are those of their manifest. It finds what has the form of a key;
a password in plain words it cannot know.
"""

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

KEYS = {
    "a token of the Hub": rb"\bhf_[A-Za-z0-9]{30,}",
    "a key of Amazon's services": rb"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
    "a secret key of Amazon's services": rb"(?i)aws_secret_access_key\s*[=:]\s*[\"']?[A-Za-z0-9/+=]{40}\b",
    "a private key": rb"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY(?: BLOCK)?-----",
    "a token of GitHub": rb"\b(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{60,})",
    "a token of GitLab": rb"\bglpat-[A-Za-z0-9_-]{20,}",
    "a key of Google's services": rb"\bAIza[0-9A-Za-z_-]{35}",
    "a token of Slack": rb"\bxox[abprs]-[A-Za-z0-9-]{20,}",
    "an API key": rb"\bsk-(?:[a-z]+-)*[A-Za-z0-9]{32,}",
    "a token of a package index": rb"\bpypi-[A-Za-z0-9_-]{50,}",
    "a password in an address": rb"[a-z][a-z0-9+]{1,20}://[^\s/:@\"'{}<>$]+:[^\s/:@\"'{}<>$]{6,}@[A-Za-z0-9.-]+",
}
NAMES = (".env", ".netrc", ".pypirc", ".git-credentials", ".npmrc", "credentials", "credentials.json", "token",
         "id_rsa", "id_ecdsa", "id_ed25519")  # fmt: skip
SUFFIXES = (".pem", ".key", ".p12", ".pfx", ".jks", ".kdbx")
KEPT_HERE = ("library", "output", ".gradio", ".venv")
"""Folders at the root that a run of the app or an installation makes."""
MEDIA = (
    ".mp4",
    ".mov",
    ".mkv",
    ".webm",
    ".avi",
    ".m4v",
    ".ts",
    ".wav",
    ".mp3",
    ".flac",
    ".ogg",
    ".opus",
    ".m4a",
    ".aac",
)
PICTURES = (".jpg", ".jpeg", ".png", ".gif", ".webp", ".bmp", ".tif", ".tiff")
PICTURED = ("docs", "apps")
"""Where pictures may lie."""
_KEYS = {what: re.compile(pattern) for what, pattern in KEYS.items()}


def private_by_name(path: str) -> str | None:
    """Why a file of this path may not go up; None when its name gives no reason.

    >>> private_by_name("config/.env.local")
    'files of this name usually hold passwords'
    >>> private_by_name("core/store/lance.py")
    """
    name = PurePosixPath(path)
    if name.name in NAMES or name.name.startswith(".env.") or name.suffix in SUFFIXES:
        return "files of this name usually hold passwords"
    if name.parts[0] in KEPT_HERE or any(part.endswith(".lance") for part in name.parts[:-1]):
        return "it belongs to a library or is a result"
    if name.suffix.lower() in MEDIA:
        return "films and sounds do not go up"
    if name.suffix.lower() in PICTURES and name.parts[0] not in PICTURED:
        return f"pictures go up from {' and '.join(PICTURED)} alone"
    return None


def keys_in(path: Path) -> Iterator[tuple[int, str]]:
    """Line (from 1) and kind of everything in a file that has the form of a key; the key itself is not told."""
    content = path.read_bytes()
    found = [(match.start(), what) for what, pattern in _KEYS.items() for match in pattern.finditer(content)]
    for start, what in sorted(found):
        yield content.count(b"\n", 0, start) + 1, what
