"""The errors of the loader.

    LoaderError
    ├── ArgumentError      an argument that makes no sense; also a ValueError
    ├── AccessError        a dataset's build reads what its stage does not depend on
    ├── NotFoundError      no such repository, revision, dataset, version, config or split
    ├── ManifestError      the manifest is missing, unreadable, or belongs to another artifact
    ├── FetchError         a repository or an artifact that is not here could not be fetched
    ├── IntegrityError     bytes differ from what was recorded: tampered, truncated, rotten
    ├── DecodeError        recorded bytes that do not decode to the features they are declared to hold
    └── UnsupportedError   a feature that this loader cannot decode, or a package that is not installed

Each message names the dataset, the file and, where there is one, the command that fixes it.
"""

_MOST = 2000


class LoaderError(Exception):
    """Base class of every error that the loader raises on purpose.

    Its message is one line that can be printed anywhere, whatever a dataset calls its things: what is no printable
    character is escaped, and of a long message the middle is left out.
    """

    def __str__(self) -> str:
        text = super().__str__()
        if len(text) > _MOST:
            text = f"{text[: _MOST // 2]} [...] {text[-_MOST // 2 :]}"
        if text.isprintable():
            return text
        return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


class ArgumentError(LoaderError, ValueError):
    """An argument makes no sense."""


class AccessError(LoaderError):
    """The build of a dataset reads what its stage does not depend on."""


class NotFoundError(LoaderError):
    """There is no such repository, revision, dataset, version, config or split."""


class ManifestError(LoaderError):
    """The manifest is missing, cannot be read, or belongs to another artifact."""


class FetchError(LoaderError):
    """A repository or an artifact that is not on this machine could not be fetched."""


class IntegrityError(LoaderError):
    """Bytes are not those that were recorded."""


class DecodeError(LoaderError):
    """Recorded bytes do not decode to the features they are declared to hold."""


class UnsupportedError(LoaderError):
    """A feature that this loader cannot decode, or a package that is not installed."""
