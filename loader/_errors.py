"""The errors of the loader.

    LoaderError
    ├── NotFoundError      no such repository, dataset, config or split
    ├── ManifestError      the manifest is missing, unreadable, or belongs to another artifact
    ├── FetchError         an artifact that is not here could not be pulled
    ├── IntegrityError     bytes differ from what was recorded: tampered, truncated, rotten
    ├── DecodeError        recorded bytes that do not decode to the features they are declared to hold
    └── UnsupportedError   a feature that this loader cannot decode

Each message names the dataset, the file and, where there is one, the command that mends it.
"""


class LoaderError(Exception):
    """Base class of every error that the loader raises on purpose."""


class NotFoundError(LoaderError):
    """There is no such repository, dataset, config or split."""


class ManifestError(LoaderError):
    """The manifest is missing, cannot be read, or belongs to another artifact."""


class FetchError(LoaderError):
    """An artifact that is not in the work tree could not be pulled."""


class IntegrityError(LoaderError):
    """Bytes are not those that were recorded."""


class DecodeError(LoaderError):
    """Recorded bytes do not decode to the features they are declared to hold."""


class UnsupportedError(LoaderError):
    """A feature that this loader cannot decode."""
