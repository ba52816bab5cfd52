"""Read the commits of a git repository, with the git command."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from loader._errors import FetchError, IntegrityError, NotFoundError
from loader._fetch.git_process import first_line, run_git

if TYPE_CHECKING:
    import subprocess

COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
"""The full hash of a commit or of another object."""


class Change(NamedTuple):
    """A commit that changed a file: its hash, the abbreviated hash, and its date in ISO 8601."""

    commit: str
    short: str
    date: str


class Git:
    """A git repository on this machine: a work tree or a bare clone.

    Parameters
    ----------
    folder
        Its root.
    label
        Its path, or the URL of which it is a clone, for messages.
    is_bare
        Whether it has no work tree.
    """

    def __init__(self, folder: Path, label: str, *, is_bare: bool = False) -> None:
        self.folder = folder
        self.label = label
        self.is_bare = is_bare

    def commit(self, rev: str) -> str:
        """Return the commit (hex) of `rev`, a commit, branch or tag.

        Raises
        ------
        NotFoundError
            There is no such revision, or this is not a git repository.
        """
        return self._object(f"{rev}^{{commit}}", f"revision {rev!r}")

    def tag_object(self, tag: str) -> bytes | None:
        """Return the bytes of an annotated tag, None if the tag is a lightweight one.

        Raises
        ------
        NotFoundError
            There is no such tag, or this is not a git repository.
        FetchError
            The repository lacks the object of the tag, or is damaged.
        """
        what = f"tag {tag}"
        found = self._object(f"refs/tags/{tag}", what)
        is_annotated = self._output(what, "cat-file", "-t", found).strip() == b"tag"
        return self._output(what, "cat-file", "tag", found) if is_annotated else None

    def verified(self, kind: str, object_id: str) -> bytes:
        """Return the bytes of a "commit" or "tree", after comparing their hash with the id: git reads without that.

        Raises
        ------
        FetchError
            The repository lacks the object, or is damaged.
        IntegrityError
            The bytes are those of another object.
        """
        data = self._output(f"the {kind} {object_id[:12]}", "cat-file", kind, object_id)
        if self.hash(kind, data) != object_id:
            raise IntegrityError(
                f"{self.label} has other bytes than those of the {kind} {object_id[:12]}: it is damaged or was "
                f"tampered with; see git -C {shlex.quote(os.fspath(self.folder))} fsck"
            )
        return data

    def hash(self, kind: str, data: bytes) -> str:
        """Return the id of a git object with these bytes; git refuses those made for a collision of SHA-1."""
        done = self._output(f"the hash of a {kind}", "hash-object", "-t", kind, "--literally", "--stdin", input=data)
        return done.decode().strip()

    def prefix(self) -> str:
        """Return the path of the folder in the tree of a commit, with a slash at its end; empty if it is the root."""
        return "" if self.is_bare else os.fsdecode(self._output("a work tree", "rev-parse", "--show-prefix"))[:-1]

    def read(self, commit: str, path: str) -> bytes:
        """Return the bytes of the file at `path`, relative to the folder, in a commit.

        Raises
        ------
        FileNotFoundError
            The commit has no such file.
        FetchError
            The repository lacks the file's content, or is damaged.
        """
        name = f"{commit}:{path}" if self.is_bare else f"{commit}:./{path}"
        done = self._run("cat-file", "blob", name)
        if done.returncode:
            if not self._listed(commit, path):
                raise FileNotFoundError(f"{self.label}: {commit[:12]} has no {path}")
            raise self._damaged(done, f"{path} of {commit[:12]}")
        return done.stdout

    def file_names(self, commit: str, folder: str) -> list[str]:
        """Return the names of the files in `folder` in a commit; an empty list if there is no such folder.

        Raises
        ------
        FetchError
            The repository lacks the folder's content, or is damaged.
        """
        return [path.rpartition("/")[2] for path in self._listed(commit, f"{folder}/")]

    def tree(self, commit: str, folder: str = "") -> dict[str, str]:
        """Return the git object of each regular file below `folder`, by its path relative to the root.

        Raises
        ------
        FetchError
            The repository lacks a folder's content, or is damaged.
        """
        below = [f"{folder}/"] if folder else []
        listed = self._output(f"the files of {commit[:12]}", "ls-tree", "-r", "-z", commit, *below)
        found = {}
        for line in listed.decode(errors="surrogateescape").split("\0"):
            mode_type_object, _, path = line.partition("\t")
            if mode_type_object.startswith("100"):  # no link and no submodule
                found[path] = mode_type_object.rpartition(" ")[2]
        return found

    def objects(self, names: Iterable[str]) -> dict[str, tuple[str, bytes]]:
        """Return the files of many names, such as object ids and `<commit>:<path>`, read by one process.

        Names with a line break in them, and those that name nothing or no file, are left out.

        Parameters
        ----------
        names
            Paths in them are relative to the folder and begin with `./`, in a bare clone too.

        Returns
        -------
        dict
            The id of the git object and its bytes, by name.

        Raises
        ------
        FetchError
            The repository is damaged.
        """
        wanted = [name for name in dict.fromkeys(names) if "\n" not in name]
        output, position, found = self._cat_file("--batch", wanted), 0, {}
        for name in wanted:
            end = output.index(b"\n", position)
            answer = output[position:end].split(b" ")
            position = end + 1
            if answer[-1].isdigit():  # otherwise it says "missing"
                size = int(answer[-1])
                if answer[-2] == b"blob":
                    found[name] = answer[0].decode(), output[position : position + size]
                position += size + 1
        return found

    def object_ids(self, names: Iterable[str]) -> dict[str, str]:
        """Return the id of each git object; the names, those left out, and the errors are those of `objects`."""
        wanted = [name for name in dict.fromkeys(names) if "\n" not in name]
        answers = self._cat_file("--batch-check=%(objectname)", wanted).decode(errors="replace").splitlines()
        return {name: answer for name, answer in zip(wanted, answers, strict=True) if COMMIT.fullmatch(answer)}

    def changes(self, commit: str, folder: str) -> dict[str, list[Change]]:
        """Return the commits up to `commit` that changed each file below `folder`, newest first, by its path.

        A merge counts if it differs from one of its parents, as for `history`, whose errors this raises.
        """
        lines = self._rev_list("--format=%H%x00%h%x00%cI", commit, "--", folder)
        listed = [Change(*line.split("\0")) for line in lines if "\0" in line]  # others repeat the commit
        commits = {change.commit: change for change in listed}
        options = ("--stdin", "--root", "-r", "-m", "-z", "--relative", "--name-only", "--no-renames")
        requests = "".join(f"{each}\n" for each in commits).encode()
        output = self._output(f"the history of {folder}", "diff-tree", *options, "--", folder, input=requests)
        found: dict[str, dict[Change, None]] = {}  # of a merge, a file may be listed for each parent
        for field in output.decode(errors="surrogateescape").split("\0"):
            if field.strip() in commits:
                change = commits[field.strip()]
            elif field:
                found.setdefault(field, {})[change] = None
        return {path: [*each] for path, each in found.items()}

    def renames(self, commit: str, folder: str) -> dict[str, str]:
        """Return the path that each file below `folder` which a commit renamed had before, by its new path."""
        names = ("--name-status", "--diff-filter=R", "--find-renames", "--no-commit-id")
        done = self._run("diff-tree", "-r", "-z", "--relative", *names, commit, "--", folder)
        fields = done.stdout.decode(errors="surrogateescape").split("\0")
        return dict(zip(fields[2::3], fields[1::3], strict=False))  # a status, the path before, the path after

    def merge_base(self, commit: str, other: str) -> str | None:
        """Return the newest commit that two commits have in common; None if there is none."""
        return self._run("merge-base", commit, other).stdout.decode().strip() or None

    def tags(self) -> dict[str, str]:
        """Return the commit of each tag; what an annotated tag points to if that is no commit."""
        form = "--format=%(refname:lstrip=2)%00%(objectname)%00%(*objectname)"
        listed = self._run("for-each-ref", form, "refs/tags").stdout.decode(errors="replace")
        rows = (line.split("\0") for line in listed.splitlines())
        return {name: peeled or target for name, target, peeled in rows}

    def history(self, commit: str, path: str) -> list[str]:
        """Return the commits up to `commit` that changed the file at `path`, newest first.

        Raises
        ------
        FetchError
            The repository lacks a part of its history, or is damaged.
        """
        return self._rev_list(commit, "--", path)

    def _object(self, name: str, what: str) -> str:
        """Return the id of the object with a name; if there is none, the repository has no `what`."""
        done = self._run("rev-parse", "--verify", "--quiet", "--end-of-options", name)
        if done.returncode:
            reason = first_line(done.stderr)
            raise NotFoundError(f"{self.label} has no {what}" + (f" ({reason})" if reason else ""))
        return done.stdout.decode().strip()

    def _rev_list(self, *arguments: str) -> list[str]:
        what = f"the history of {arguments[-1]}"
        return self._output(what, "rev-list", "--full-history", "--date-order", *arguments).decode().splitlines()

    def _cat_file(self, option: str, names: list[str]) -> bytes:
        """Return what `git cat-file` answers about the objects with some names."""
        if not names:
            return b""
        requests = "".join(f"{name}\n" for name in names)
        if self.is_bare:
            requests = requests.replace(":./", ":")
        return self._output("a file", "cat-file", option, input=requests.encode(errors="surrogateescape"))

    def _listed(self, commit: str, path: str) -> list[str]:
        listed = self._output(f"{path} of {commit[:12]}", "ls-tree", "-z", "--name-only", commit, path)
        return [found for found in listed.decode(errors="replace").split("\0") if found]

    def _output(self, what: str, *arguments: str, input: bytes | None = None) -> bytes:
        """Return what git prints; if it fails, the repository lacks `what`."""
        done = self._run(*arguments, input=input)
        if done.returncode:
            raise self._damaged(done, what)
        return done.stdout

    def _damaged(self, done: subprocess.CompletedProcess[bytes], what: str) -> FetchError:
        return FetchError(
            f"{self.label} lacks {what} ({first_line(done.stderr)}); if it is a partial clone, complete it with: "
            f"git -C {shlex.quote(os.fspath(self.folder))} fetch --refetch --no-filter"
        )

    def _run(self, *arguments: str, input: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
        return run_git(self.folder, *arguments, label=self.label, is_bare=self.is_bare, input=input)
