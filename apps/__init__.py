"""The tabs of the app; `TABS` is the only list of tools."""

from apps import video_quality, video_search
from apps.runtime import Tab

TABS = (Tab("Similar videos", video_search.build_tab), Tab("Quality score", video_quality.build_tab))
