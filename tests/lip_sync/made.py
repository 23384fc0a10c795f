"""Faces made of a drawn mouth: as large as asked, wherever they are asked for."""

from core.lip_sync.faces import Face, drawn_face


def made_face(x: float, y: float = 200.0, mouth_px: float = 40.0, opening_px: float = 10.0) -> Face:
    """A face whose mouth has its middle at (x, y); its box is 2.6 mouths wide."""
    return drawn_face((x - mouth_px / 2, y - opening_px, x + mouth_px / 2, y + opening_px))
