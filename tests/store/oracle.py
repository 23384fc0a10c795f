"""The slow twin of a search."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from core.store import Match, Record


def nearest(records: list[Record], query: NDArray[np.float32], top: int) -> list[tuple[str, float]]:
    """Every cosine in float64, sorted; equals by id."""
    ranked = []
    for one in records:
        assert one.vector is not None
        a, b = one.vector.astype(np.float64), query.astype(np.float64)
        ranked.append((-round(float(a @ b / np.sqrt((a @ a) * (b @ b))), 6), one.id))
    return [(id, -negative) for negative, id in sorted(ranked)[:top]]


def told(matches: list[Match]) -> list[tuple[str, Any]]:
    return [(match.record.id, pytest.approx(match.similarity, abs=2e-6)) for match in matches]
