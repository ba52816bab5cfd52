"""What a user is told to do about a source file."""

from __future__ import annotations

from scripts._define.definition import Definition
from scripts._sources.checksums import checksums_file, has_line
from scripts._sources.source import FOLDER, Source


def how_to_get(name: str, filename: str, instructions: str, *, register: bool = False) -> str:
    """Say how to get a file that is downloaded by hand, in the words of the builder, and where to put it.

    Parameters
    ----------
    name
        The dataset.
    filename
        Where to put it, in the folder of the dataset's source files.
    instructions
        The builder's.
    register
        Whether it has to be registered then.
    """
    text = "it is downloaded by hand"
    if instructions:
        text += f"; the builder's instructions are:\n{instructions}"
    return f"{text}\nput it at {FOLDER}/{name}/{filename}, and run: make build DATASET={name}{' REGISTER=1' * register}"


def how_to_update(definition: Definition, source: Source) -> str:
    """Say what to do if a file has changed and the new one is right."""
    name = definition.name
    if not definition.is_ours and not has_line(definition, source.url):
        return (
            f"or, if the new file is the right one, register it over the one that comes with TFDS: "
            f"make build DATASET={name} REGISTER=1"
        )
    version = f"give {name} a new version, " if definition.is_ours else ""
    return (
        f"or, if the new file is the right one, remove the line of {source.shown} from "
        f"{checksums_file(definition).relative_to(definition.root)}, {version}and run: "
        f"make build DATASET={name} REGISTER=1"
    )
