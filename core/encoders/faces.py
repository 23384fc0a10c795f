"""Points of faces and masks of people, by mediapipe; the same files serve both profiles.

Both classes hold a native graph that must be closed, so they are context managers. One object serves one thread.
"""

from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from core.errors import ParameterError
from core.weights import weights_path

Picture = NDArray[np.uint8]
Landmarks = NDArray[np.float32]
Mask = NDArray[np.float32]

WEIGHTS = "mediapipe_faces"
LANDMARKS = 478


class _Graph:
    """A graph of mediapipe, released at the end of a ``with`` statement."""

    _graph: Any

    def close(self) -> None:
        """Release the graph; the object cannot be used afterwards."""
        self._graph.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class FaceLandmarker(_Graph):
    """Finds faces that take up at least an eighth of the picture's longer side, and 478 points on each.

    Source: Kartynnik et al., "Real-time Facial Surface Geometry from Monocular Video on Mobile GPUs", 2019, for the
    mesh; Grishchenko et al., "Attention Mesh", 2020, for lips, eyes and irises.

    Args:
        faces: how many to look for at most.

    Raises:
        WeightsError: the weights are missing or wrong.
        ParameterError: ``faces`` is below 1.

    Use::

        with FaceLandmarker() as faces:
            for points in faces.landmarks(picture):
                ...
    """

    def __init__(self, faces: int = 1) -> None:
        if faces < 1:
            raise ParameterError(f"faces is {faces}; look for at least one.")
        from mediapipe.tasks.python import BaseOptions, vision

        options = vision.FaceLandmarkerOptions(
            base_options=BaseOptions(model_asset_path=str(weights_path(WEIGHTS, "face_landmarker.task"))),
            num_faces=faces,
        )
        self._graph = vision.FaceLandmarker.create_from_options(options)

    def landmarks(self, picture: Picture) -> list[Landmarks]:
        """The points of every face, in no particular order of faces; an empty list when there is none.

        Args:
            picture: (H, W, 3), RGB.

        Returns:
            (478, 3) per face: x to the right and y down in pixels, z away from the viewer in the scale of x, its zero
            near the middle of the head. 0 to 467 are the mesh, 468 to 472 and 473 to 477 the irises.

        Raises:
            ParameterError: ``picture`` has another shape or dtype.
        """
        height, width = _checked(picture).shape[:2]
        found = self._graph.detect(_mediapipe_image(picture)).face_landmarks
        scale = np.array([width, height, width], np.float32)
        return [np.array([(point.x, point.y, point.z) for point in face], np.float32) * scale for face in found]


class PersonSegmenter(_Graph):
    """Tells people from background.

    Raises:
        WeightsError: the weights are missing or wrong.
    """

    def __init__(self) -> None:
        from mediapipe.tasks.python import BaseOptions, vision

        options = vision.ImageSegmenterOptions(
            base_options=BaseOptions(model_asset_path=str(weights_path(WEIGHTS, "selfie_segmenter.tflite"))),
            output_confidence_masks=True,
        )
        self._graph = vision.ImageSegmenter.create_from_options(options)

    def mask(self, picture: Picture) -> Mask:
        """How surely each pixel of ``picture`` (H, W, 3), RGB, belongs to a person: (H, W), 0 to 1.

        Raises:
            ParameterError: ``picture`` has another shape or dtype.
        """
        height, width = _checked(picture).shape[:2]
        masks = self._graph.segment(_mediapipe_image(picture)).confidence_masks
        return np.array(masks[0].numpy_view(), np.float32).reshape(height, width)


def _checked(picture: Picture) -> Picture:
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3 or 0 in picture.shape:
        raise ParameterError(f"The picture is {picture.dtype} {picture.shape}; give uint8 of shape (H, W, 3), RGB.")
    return picture


def _mediapipe_image(picture: Picture) -> Any:
    import mediapipe

    return mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=np.ascontiguousarray(picture))
