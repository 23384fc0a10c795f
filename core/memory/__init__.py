"""Room in memory: networks that take turns on a GPU, and batches that fit.

    >>> network = house(AutoModel.from_pretrained(folder), placement(), "siglip")    # doctest: +SKIP
    >>> batches = Batches("siglip", device, first=16)                                # doctest: +SKIP
    >>> with network.in_use() as ready:                                              # doctest: +SKIP
    ...     vectors = batches.run(len(pictures), lambda part: ready(pictures[part]))

A GPU that is too small for all tools at once serves them one after the other: `core.memory.residence` says which
network leaves. One that is too small for a batch gets smaller ones: `core.memory.batches`.
"""

from core.memory.batches import Batches, Meter
from core.memory.residence import Residence, Resident, house, make_room

__all__ = ["Batches", "Meter", "Residence", "Resident", "house", "make_room"]
