"""Files that are downloaded by hand: what lies in `sources/<name>/manual/`, and how it is registered.

A file has a line in `checksums.tsv` with a URL of its own: `manual:` and its path in the folder, percent-encoded. A
folder with very many files is registered as a tree, in one line: `manual:<path>/`, with the size of all its files and
the digest that `digest_tree` computes; `manual:./` is the whole folder. Links count as what they lead to. Names that
begin with a dot do not count, because file managers and shells leave such files.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from urllib.parse import quote, unquote

from scripts._process.errors import ScriptError
from scripts._process.files import hash_once

FOLDER = "manual"
SCHEME = "manual:"
WHOLE = "./"  # the path of the whole folder as a tree
LISTED_FILES = 100
"""Of more files, a folder is registered as a tree: the lines are reviewed in git, and a mirror is asked for each."""


def manual_url(path: str) -> str:
    """Return the URL of a file in the folder, or of a tree, whose path ends with a slash."""
    return SCHEME + quote(path, safe="/")


def is_manual(url: str) -> bool:
    """Return whether a URL of `checksums.tsv` names a file that is downloaded by hand, or a tree of them."""
    return url.startswith(SCHEME)


def is_tree(url: str) -> bool:
    """Return whether a URL names a tree."""
    return is_manual(url) and url.endswith("/")


def manual_path(url: str) -> str:
    """Return the path in the folder that a URL names.

    Raises
    ------
    ScriptError
        It does not stay in the folder, or a name in it is not UTF-8 or begins with a dot.
    """
    try:
        path = unquote(url.removeprefix(SCHEME), errors="strict")
    except UnicodeDecodeError:
        path = ""
    names = path.removesuffix("/").split("/")
    if path != WHOLE and any(not name or name.startswith(".") or "\0" in name for name in names):
        raise ScriptError(f"{url!r} in checksums.tsv is not the path of a file in the folder {FOLDER}/")
    return path


def stored_name(url: str) -> str:
    """Return the path of a file or tree in the folder of a dataset's source files; errors as for `manual_path`."""
    path = manual_path(url)
    return f"{FOLDER}/{'' if path == WHOLE else path}"


def printable(path: str) -> str:
    """Return a path for messages, percent-encoded if it has tabs, line breaks or the like."""
    return path if path.isprintable() else quote(path)


def walk(folder: Path) -> list[str]:
    """Return the paths of all files in a folder, relative to it, and of its empty folders, which end with a slash.

    Raises
    ------
    ScriptError
        A folder cannot be read, a link leads nowhere or in a circle, a name is not UTF-8, or something is neither a
        file nor a folder.
    """
    return sorted(_walk(os.fspath(folder), "", ()), key=str.encode)


def digest_tree(folder: Path) -> tuple[int, str]:
    r"""Return the size of all files in a folder, in bytes, and the folder's digest (hex).

    The digest is the SHA-256 of a text with a line for each file: its SHA-256 (hex), its size, and its path relative to
    the folder with slashes, percent-encoded as UTF-8 in a URL, separated by spaces and ended by ``\n``. The lines are
    in the order of the encoded paths. An empty folder has the line ``- 0 <path>/``. Modes, times and owners do not
    count.

    Raises
    ------
    ScriptError
        As for `walk`.
    """
    total, lines = 0, []
    for path in walk(folder):
        encoded = quote(path, safe="/")
        if path.endswith("/"):
            lines.append((encoded, f"- 0 {encoded}\n"))
        else:
            size, sha256 = hash_once(folder / path)
            total += size
            lines.append((encoded, f"{sha256} {size} {encoded}\n"))
    text = "".join(line for _, line in sorted(lines))
    return total, hashlib.sha256(text.encode()).hexdigest()


def measure(path: Path, *, tree: bool) -> tuple[int, str]:
    """Return the size in bytes and the SHA-256 (hex) of a file, or the digest of a tree."""
    return digest_tree(path) if tree else hash_once(path)


def unregistered(folder: Path, registered: Collection[str]) -> list[str]:
    """Return the paths of the files and trees in the folder for which there are no lines yet.

    Parameters
    ----------
    folder
        `sources/<name>/manual/`, which need not exist.
    registered
        The paths of the registered ones.
    """
    if not folder.exists():
        return []
    trees = tuple(path for path in registered if path.endswith("/"))
    if WHOLE in trees:
        return []
    new = [path for path in walk(folder) if path not in registered and not path.startswith(trees)]
    counts = Counter(path.partition("/")[0] for path in new if "/" in path)
    large = {f"{name}/" for name, count in counts.items() if count > LISTED_FILES}
    large -= {f"{path.partition('/')[0]}/" for path in registered}  # of these, some files have lines
    paths = _in_trees(new, large)
    return paths if registered or len(paths) <= LISTED_FILES else [WHOLE]


def _in_trees(paths: Iterable[str], trees: Collection[str]) -> list[str]:
    tops = (top if (top := f"{path.partition('/')[0]}/") in trees else path for path in paths)
    return list(dict.fromkeys(tops))


def _walk(folder: str, relative: str, above: tuple[tuple[int, int], ...]) -> Iterator[str]:
    try:
        names = [name for name in os.listdir(folder) if not name.startswith(".")]  # noqa: PTH208 - many names
        here = os.stat(folder)  # noqa: PTH116
    except OSError as error:
        raise ScriptError(f"{folder} cannot be read: {error.strerror}") from error
    identity = (here.st_dev, here.st_ino)
    if identity in above:
        raise ScriptError(f"{folder} is a link to a folder that it is in; replace it by what the builder needs")
    if relative and not names:
        yield relative
    for name in names:
        path = f"{folder}/{name}"
        try:
            name.encode()
            mode = os.stat(path).st_mode  # noqa: PTH116
        except UnicodeEncodeError as error:
            raise ScriptError(f"{os.fsencode(path)!r} has a name that is not UTF-8; rename it") from error
        except OSError as error:
            raise ScriptError(f"{path} cannot be read: {error.strerror}") from error
        if stat.S_ISDIR(mode):
            yield from _walk(path, f"{relative}{name}/", (*above, identity))
        elif stat.S_ISREG(mode):
            yield f"{relative}{name}"
        else:
            raise ScriptError(f"{path} is neither a file nor a folder; remove it")
