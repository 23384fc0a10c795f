"""Copies of a library's videos that a browser can play; the files behind the rows."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from core.media import browser_playable, probe, write_preview
from core.media.whole_file import written_whole
from core.runtime import Progress, silent


@dataclass(frozen=True)
class Shelf:
    """A folder with one original per video, ``<id><suffix>``, and ``<id>.preview.mp4`` where a browser needs one."""

    folder: Path

    def keep(self, source: Path, video_id: str) -> Path:
        """Copy ``source`` onto the shelf, written beside and renamed; return the copy."""
        kept = self.folder / f"{video_id}{source.suffix.lower()}"
        if not kept.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            with written_whole(kept) as part:
                shutil.copyfile(source, part)
        return kept

    def playable(self, source: Path, video_id: str, progress: Progress = silent) -> Path:
        """The file of this video that any browser plays: the kept original, or a preview made once.

        Raises:
            MediaError: the source cannot be read any more.
        """
        preview = self.folder / f"{video_id}.preview.mp4"
        if preview.exists():
            return preview
        if source.parent == self.folder and browser_playable(probe(source)):
            return source
        self.folder.mkdir(parents=True, exist_ok=True)
        write_preview(source, preview, progress)
        return preview

    def thumbnail(self, video_id: str, jpeg: bytes) -> Path:
        """The picture of this video as a file, written once."""
        picture = self.folder / f"{video_id}.jpg"
        if not picture.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            with written_whole(picture) as part:
                part.write_bytes(jpeg)
        return picture

    def discard(self, video_id: str) -> None:
        """Delete what the shelf holds of a video."""
        for path in self.folder.glob(f"{video_id}.*"):
            path.unlink(missing_ok=True)
