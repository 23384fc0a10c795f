"""An image encoder that is small enough to be worked out by hand."""

import numpy as np

from core.encoders.image import Pictures, Vectors


class ColourEncoder:
    """A small image encoder: the mean colours of sixteen fields; it counts the pictures it was given."""

    name, version, dimensions, size = "colours", "1", 48, 16

    def __init__(self, version: str = "1") -> None:
        self.version, self.pictures = version, 0

    def encode(self, pictures: Pictures) -> Vectors:
        self.pictures += len(pictures)
        fields = pictures.reshape(len(pictures), 4, 4, 4, 4, 3).mean((2, 4))
        return (fields.reshape(len(pictures), self.dimensions) / 255).astype(np.float32)
