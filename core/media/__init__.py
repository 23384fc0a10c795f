"""The only door to files: reading, writing and muxing of pictures and sound. Knows no model.

Reading: `probe`, `VideoReader`, `read_audio`, `stream_audio`. Writing: `write_video`, `rewrite_video`,
`write_audio`, `replace_soundtrack`, `write_preview`. Loudness: `measure_loudness`, `limited`. Collections:
`all_files`, `video_files`, `sound_files`, `local_file`. Looking: `thumbnail`, `contact_sheet`, `jpeg`,
`shot_boundaries`. What may be opened is set by `MediaLimits`; whatever is wrong with a file is said by a
`core.errors.MediaError`.
"""

from core.media.audio import AudioClip, AudioRequest, read_audio, stream_audio, write_audio
from core.media.collection import (
    SOUND_SUFFIXES,
    VIDEO_SUFFIXES,
    all_files,
    limits_of_local,
    local_file,
    sound_files,
    video_files,
)
from core.media.info import AudioInfo, MediaInfo
from core.media.limits import MediaLimits, checked_path, limits_from_environment
from core.media.loudness import Loudness, limited, measure_loudness
from core.media.mux import replace_soundtrack
from core.media.preview import browser_playable, write_preview
from core.media.probe import probe
from core.media.rewrite import Rewriting, Shown, Timeline, pictures_of, rewrite_video
from core.media.shots import shot_boundaries
from core.media.sound_tags import SoundTags, sound_tags
from core.media.thumbnails import contact_sheet, jpeg, thumbnail
from core.media.timebase import plausible_frame_rate, sample_times
from core.media.video import Frame, LazyFrame, VideoReader
from core.media.wholeness import missing_bytes
from core.media.write import EncodeOptions, write_video

__all__ = [
    "SOUND_SUFFIXES",
    "VIDEO_SUFFIXES",
    "AudioClip",
    "AudioInfo",
    "AudioRequest",
    "EncodeOptions",
    "Frame",
    "LazyFrame",
    "Loudness",
    "MediaInfo",
    "MediaLimits",
    "Rewriting",
    "Shown",
    "SoundTags",
    "Timeline",
    "VideoReader",
    "all_files",
    "browser_playable",
    "checked_path",
    "contact_sheet",
    "jpeg",
    "limited",
    "limits_from_environment",
    "limits_of_local",
    "local_file",
    "measure_loudness",
    "missing_bytes",
    "pictures_of",
    "plausible_frame_rate",
    "probe",
    "read_audio",
    "replace_soundtrack",
    "rewrite_video",
    "sample_times",
    "shot_boundaries",
    "sound_files",
    "sound_tags",
    "stream_audio",
    "thumbnail",
    "video_files",
    "write_audio",
    "write_preview",
    "write_video",
]
