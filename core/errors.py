"""Everything that core raises on purpose.

    CoreError
    ├── ParameterError (also ValueError)    an argument or a setting is out of its range
    ├── CancelledError                      the caller asked the job to stop
    ├── MediaError                          something about a file of pictures or sound
    │   ├── MediaOpenError                  it is missing, empty, or not media at all
    │   ├── MediaDamagedError               it opens, but cannot be decoded
    │   ├── MediaLimitError                 it is larger or longer than the limits allow
    │   ├── PathNotAllowedError             it lies outside the allowed folders
    │   ├── NoVideoTrackError               it has no picture
    │   ├── NoAudioTrackError               it has no sound
    │   ├── NoFaceError                     nobody is to be seen in it
    │   ├── NoSubjectError                  nothing in it stands out from its background
    │   └── ClipTooShortError               it is too short for what was asked
    ├── WeightsError                        something about a file of weights
    │   ├── WeightsNotFoundError            neither in weights/ nor to be had from the hub
    │   ├── WeightsAccessError              the hub asks for a licence to be accepted, or a login
    │   └── ChecksumMismatchError           the bytes are not those of the manifest
    ├── StoreError                          something about a library
    │   ├── LibraryNotFoundError            there is no library at that address
    │   └── RecordNotFoundError             the library has no such row
    ├── OutOfMemoryError                    a network has no room even for one thing at a time
    └── PublishError                        the project cannot be put on a Space

Every message names the thing and the remedy, in one sentence or two; it is shown to the user as it stands.
"""


class CoreError(Exception):
    """The root: catch this to catch all that core raises on purpose."""


class ParameterError(CoreError, ValueError):
    """An argument or a setting is out of its range."""


class CancelledError(CoreError):
    """The caller asked the job to stop; what was finished before is kept."""


class MediaError(CoreError):
    """Something about a file of pictures or sound."""


class MediaOpenError(MediaError):
    """The file is missing, empty, or not media at all."""


class MediaDamagedError(MediaError):
    """The file opens, but cannot be decoded."""


class MediaLimitError(MediaError):
    """The file is larger, longer or richer in streams than the limits allow."""


class PathNotAllowedError(MediaError):
    """The path lies outside the folders that may be read."""


class NoVideoTrackError(MediaError):
    """The file has no picture."""


class NoAudioTrackError(MediaError):
    """The file has no sound."""


class NoFaceError(MediaError):
    """Nobody is to be seen in the picture or film."""


class NoSubjectError(MediaError):
    """Nothing in the picture stands out from its background."""


class ClipTooShortError(MediaError):
    """The clip is too short for what was asked."""


class WeightsError(CoreError):
    """Something about a file of weights."""


class WeightsNotFoundError(WeightsError):
    """The weights are neither in ``weights/`` nor to be had from the hub."""


class WeightsAccessError(WeightsError):
    """The hub asks for a licence to be accepted, or a login."""


class ChecksumMismatchError(WeightsError):
    """The bytes of a file are not those that its manifest promises."""


class StoreError(CoreError):
    """Something about a library."""


class LibraryNotFoundError(StoreError):
    """There is no library at that address."""


class RecordNotFoundError(StoreError):
    """The library has no such row."""


class OutOfMemoryError(CoreError):
    """A network has no room even for one thing at a time."""


class PublishError(CoreError):
    """The project cannot be put on a Space: something may not go up, or the Hub does not take it."""


def check_ranges(config: object, *ranges: tuple[str, float, float]) -> None:
    """Refuse a config whose fields lie outside their ranges, given as (name, lowest, highest).

    Raises:
        ParameterError: one does; it is named, with its range.
    """
    for name, low, high in ranges:
        value = getattr(config, name)
        if not low <= value <= high:
            raise ParameterError(f"{name} is {value}; choose a number from {low} to {high}.")
