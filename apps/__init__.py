"""The tabs of the app; `TABS` is the only list of tools."""

from apps import lip_sync, music_matching, personal_video, video_quality, video_search
from apps.runtime import Tab

TABS = (
    Tab("Similar videos", video_search.build_tab),
    Tab("Quality score", video_quality.build_tab),
    Tab("Lip-sync", lip_sync.build_tab),
    Tab("Personal video", personal_video.build_tab),
    Tab("Music", music_matching.build_tab),
)
