"""What a file of sound says about itself: title, artist, licence."""

from dataclasses import dataclass
from pathlib import Path

from core.media.container import open_container
from core.media.limits import DEFAULT_LIMITS, MediaLimits

_NAMES = {
    "title": ("title",),
    "artist": ("artist", "performer", "composer", "author"),
    "licence": ("license", "licence", "license_url", "copyright"),
}


@dataclass(frozen=True)
class SoundTags:
    """The words that a file carries about itself; empty where it carries none."""

    title: str = ""
    artist: str = ""
    licence: str = ""


def sound_tags(path: str | Path, limits: MediaLimits = DEFAULT_LIMITS) -> SoundTags:
    """Read title, artist and licence from a file's own tags.

    Raises:
        MediaError: the file cannot be opened.
    """
    with open_container(path, limits) as container:
        found = dict(container.metadata)
        for stream in container.streams:
            found = {**stream.metadata, **found}
    told = {name.lower(): value.strip() for name, value in found.items()}
    return SoundTags(**{field: next((told[n] for n in names if told.get(n)), "") for field, names in _NAMES.items()})
