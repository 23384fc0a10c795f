"""The tabs of the app; `TABS` is the only list of tools."""

from apps import music_matching, video_search
from apps.runtime import Tab

TABS = (Tab("Similar videos", video_search.build_tab), Tab("Music", music_matching.build_tab))
