"""Putting the project on a Space: what goes up, what may not, and the upload itself."""

from core.deploy.files import Item, going_up
from core.deploy.review import Problem, review
from core.deploy.space import SpaceConfig, publish

__all__ = ["Item", "Problem", "SpaceConfig", "going_up", "publish", "review"]
