"""Every failure VNOME reports, each one line that names the input and what to do.

VnomeError                      exit code 2
|- InputError                   the user's input cannot be used
|  |- MediaError                a film, clip, picture or camera cannot be read
|  |- BundleError               a model bundle is missing, damaged or of another kind
|  `- CatalogueError            a catalogue made by another version or with another encoder
|     `- MissingError           a video, a language or a key that is not there
`- ServiceError                 exit code 3: a service is away or cannot do its work
   `- StoreError                Redis cannot be reached, refuses, or has no room
"""

EXIT_DONE = 0
EXIT_UNKNOWN = 1  # nothing identified
EXIT_INPUT = 2
EXIT_SERVICE = 3


class VnomeError(Exception):
    """Root of all errors a user may see. `str(error)` is one line."""

    exit_code = EXIT_INPUT


class InputError(VnomeError):
    """The user's input cannot be used."""


class MediaError(InputError):
    """A film, clip, picture or camera cannot be read."""


class BundleError(InputError):
    """A model bundle is missing, damaged or of another kind."""


class CatalogueError(InputError):
    """A catalogue made by another version or with another encoder, or a `MissingError`."""


class MissingError(CatalogueError):
    """A video, a language or a key that is not there."""


class ServiceError(VnomeError):
    """A service is away or cannot do its work."""

    exit_code = EXIT_SERVICE


class StoreError(ServiceError):
    """Redis cannot be reached, refuses, or has no room."""


class KafkaServiceError(ServiceError):
    """Kafka cannot be reached, or refuses."""


class KafkaRefusalError(KafkaServiceError):
    """Kafka refuses, and will until a setting of ours is another: to try again is no use."""
