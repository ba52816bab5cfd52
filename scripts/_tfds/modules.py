"""Importing a builder's module, which may be several files, from their source.

The folder of a dataset is a package, `dataset_folders.<name>`, whatever other package is named `datasets`. So two
datasets that each have a file `helper.py` do not get each other's, and nothing is added to `sys.path`.

Beam's workers receive this module by value, since they may have no copy of this repository. Its top-level imports are
therefore from the standard library only, and all state is in `sys.modules` and `sys.meta_path`.
"""

from __future__ import annotations

import ast
import importlib
import sys
import types
from contextlib import nullcontext
from dataclasses import dataclass
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from typing import Any

PACKAGES = "dataset_folders"  # has a package for each dataset


@dataclass(frozen=True)
class Code:
    """The Python files of a builder.

    Attributes
    ----------
    name
        The name of the builder's module, for TFDS and in `features.json`.
    package
        The package of the dataset's folder.
    folder
        The dataset's folder.
    path
        The folder's path in its repository as a name, like `datasets.standard.digit`, by which a file may import
        another one.
    main
        The file with the builder, like `digit.py`.
    files
        The content of each Python file, by its path in the folder.
    """

    name: str
    package: str
    folder: Path
    path: str
    main: str
    files: dict[str, bytes]

    def has(self, module: str) -> bool:
        """Return whether a name is that of one of the builder's modules."""
        return module == self.name or f"{module}.".startswith(f"{self.package}.")

    def find(self, module: str) -> tuple[str, bool] | None:
        """Return the file of a module of the package, and whether it is a folder; None if there is no such module."""
        parts = "/".join(module.split(".")[self.package.count(".") + 1 :])
        inside = f"{parts}/" if parts else ""
        if parts and f"{parts}.py" in self.files and f"{inside}__init__.py" not in self.files:
            return f"{parts}.py", False
        if not parts or any(file.startswith(inside) for file in self.files):
            return f"{inside}__init__.py", True
        return None

    def absolute(self, name: str, importer: str) -> str | None:
        """Return the full name of a module that a file imports without dots, None if it is not one of the folder.

        It may name a file beside the builder, one in the folder as a package (`digit.helper`, as TFDS's command line
        imports it), or the folder's path in its repository. A file beside the builder wins over an installed package,
        but not over the standard library.
        """
        if name == self.path or name.startswith(f"{self.path}."):
            full = self.package + name.removeprefix(self.path)
            return full if self.find(full) else None
        inside = self.package + name.removeprefix(self.folder.name)
        if name.startswith(f"{self.folder.name}.") and not self.find(f"{self.package}.{name}") and self.find(inside):
            return inside
        first = f"{self.package}.{name.partition('.')[0]}"
        if first == importer or name.partition(".")[0] in sys.stdlib_module_names or not self.find(first):
            return None
        return f"{self.package}.{name}"


def read_code(folder: Path, *, name: str, root: Path) -> Code | None:
    """Return the code of a dataset's builder; None if its folder has no file for it.

    Parameters
    ----------
    folder
        The dataset's folder. The builder is in `<name>.py`, or in `<name>_dataset_builder.py` as `tfds new` makes it.
    name
        The dataset.
    root
        The repository.
    """
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*.py"))}
    module = module_name(name)
    for main in (f"{name}.py", f"{module}.py"):
        if main in files:
            path = folder.relative_to(root).as_posix().replace("/", ".")
            return Code(module, package_name(name), folder, path, main, files)
    return None


def module_name(dataset: str) -> str:
    """Return the name of a builder's module; TFDS derives the dataset's name from it if the class is named `Builder`.

    It has no dot, because unpickling a class of `datasets.x` would import `datasets`, which may be another package.
    """
    return f"{dataset}_dataset_builder"


def package_name(dataset: str) -> str:
    """Return the name of the package of a dataset's folder."""
    return f"{PACKAGES}.{dataset}"


def load_module(code: Code) -> types.ModuleType:
    """Import a builder's module anew, with all other files of its folder.

    TFDS does not register the builders in it, and looks for their files (checksums, README) next to it.
    """
    import tensorflow_datasets as tfds

    for each in [each for each in sys.modules if code.has(each)]:
        del sys.modules[each]
    sys.meta_path[:] = [each for each in sys.meta_path if getattr(each, "package", None) != code.package]
    sys.meta_path.insert(0, _Finder(code))
    module = importlib.import_module(f"{code.package}.{Path(code.main).stem}")
    vars(module)["__builder_code__"] = code
    for builder_class in builder_classes(module):
        builder_class.pkg_dir_path = tfds.core.Path(code.folder)
        builder_class.code_path = tfds.core.Path(code.folder / code.main)
    return module


def is_loaded(code: Code) -> bool:
    """Return whether the module was imported from these files. The workers of a cluster outlive a build."""
    loaded = loaded_code(code.name)
    return loaded is not None and loaded.files == code.files


def loaded_code(name: str) -> Code | None:
    """Return the files from which a builder's module was imported; None if it is not loaded."""
    return getattr(sys.modules.get(name), "__builder_code__", None)


def builder_classes(module: types.ModuleType) -> list[Any]:
    """Return the builder classes that a module defines, or imports from another file of its folder."""
    import tensorflow_datasets as tfds

    return [
        value
        for value in vars(module).values()
        if isinstance(value, type)
        and (value.__module__ == module.__name__ or value.__module__.startswith(f"{module.__package__}."))
        and issubclass(value, tfds.core.DatasetBuilder)
    ]


class _Finder(MetaPathFinder):
    """Finds the modules of a dataset's package."""

    def __init__(self, code: Code) -> None:
        self.package = code.package
        self.is_skipping = False
        self._code = code

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        if name == PACKAGES:
            return ModuleSpec(name, None, is_package=True)
        if not f"{name}.".startswith(f"{self.package}.") or (found := self._code.find(name)) is None:
            return None
        file, is_folder = found
        place = self._code.folder / file
        if file not in self._code.files:  # a folder without __init__.py
            spec = ModuleSpec(name, None, is_package=True)
            spec.submodule_search_locations = [str(place.parent)]
            return spec
        return spec_from_file_location(
            name,
            place,
            loader=_Loader(name, str(place), self._code, self),
            submodule_search_locations=[str(place.parent)] if is_folder else None,
        )


class _Loader(SourceFileLoader):
    """Loads a module from the source that was read when the build began, never from a compiled file."""

    def __init__(self, name: str, path: str, code: Code, finder: _Finder) -> None:
        super().__init__(name, path)
        self._code = code
        self._finder = finder

    def get_data(self, path: str) -> bytes:
        if Path(path).is_relative_to(self._code.folder):
            file = Path(path).relative_to(self._code.folder).as_posix()
            if file in self._code.files:
                return self._code.files[file]
        return super().get_data(path)

    def path_stats(self, path: str) -> dict[str, Any]:
        raise OSError

    def source_to_code(self, data: Any, path: Any, **_: Any) -> types.CodeType:  # type: ignore[override]
        tree = _Imports(self._code, self.name).visit(ast.parse(data, path))
        return compile(ast.fix_missing_locations(tree), path, "exec", dont_inherit=True)

    def create_module(self, spec: ModuleSpec) -> types.ModuleType | None:
        if spec.name == f"{self._code.package}.{Path(self._code.main).stem}":
            return types.ModuleType(self._code.name)  # the builder's module has both names
        return None

    def exec_module(self, module: types.ModuleType) -> None:
        import tensorflow_datasets as tfds

        sys.modules[module.__name__] = module
        # TFDS's context ends for good at the end of one inside it, which a file that this one imports would enter
        is_outer, self._finder.is_skipping = not self._finder.is_skipping, True
        try:
            with tfds.core.registered.skip_registration() if is_outer else nullcontext():
                exec(self.get_code(self.name) or "", vars(module))
        except BaseException:
            sys.modules.pop(module.__name__, None)
            raise
        finally:
            self._finder.is_skipping = not is_outer


class _Imports(ast.NodeTransformer):
    """Has a file import the other files of its folder from the package, if it names them without dots."""

    def __init__(self, code: Code, importer: str) -> None:
        self._code = code
        self._importer = importer

    def visit_Import(self, node: ast.Import) -> list[ast.stmt]:
        imports: list[ast.stmt] = []
        for alias in node.names:
            full = self._code.absolute(alias.name, self._importer)
            first, _, rest = alias.name.partition(".")
            package, _, last = (full or "").rpartition(".")
            if full is None or (rest and not alias.asname and not full.endswith(f".{alias.name}")):
                imports.append(ast.Import([alias]))  # of the latter kind only the repository's folder could be bound
                continue
            imports.append(ast.ImportFrom(package, [ast.alias(last, alias.asname or first)], 0))
            if rest and not alias.asname:  # imported, but what `import a.b` binds is `a`
                imports.append(ast.ImportFrom(full.removesuffix(f".{alias.name}"), [ast.alias(first)], 0))
        return [ast.copy_location(each, node) for each in imports]

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.ImportFrom:
        code = self._code
        # where it does not name files, it is the builder's file, not the folder
        names_files = all(code.find(f"{code.package}.{alias.name}") for alias in node.names)
        is_folder = node.module == code.folder.name and names_files
        if node.level == 0 and is_folder:
            node.module = code.package
        elif node.level == 0 and node.module:
            node.module = self._code.absolute(node.module, self._importer) or node.module
        return node
