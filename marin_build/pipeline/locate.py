"""Where the pipeline lies that `-f` or the configuration names: in a file, or in a module.

    path/to/file.py     path/to/file.py:function     package.module     package.module:function

A file inside a package is that package's module: both names of one file load the same pipeline.
"""

from __future__ import annotations

import os
import shlex
import sys
from typing import TYPE_CHECKING

from marin_build.errors import NotFoundError, UsageError
from marin_build.identity.module_files import find_in, found_by_hooks
from marin_build.quick_dataclass import dataclass
from marin_build.text.readable import near_misses
from marin_build.workspace.workspace import find_project, installed_in, is_project

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


SOURCES = "src"
_INIT = "__init__.py"
_USUAL = "pipeline.py"
"""The name of a pipeline for which no file here is a misspelling: without it, `init` is the way."""


@dataclass(frozen=True, slots=True)
class PipelineModule:
    """The module that declares a pipeline, and what of it is wanted.

    Args:
        file: its absolute path, where there may be no file; empty if no module has its name.
        name: what it is imported as: `pipeline`, `package.module`.
        package: what its relative imports start from; empty: it is in no package.
        root: the folder that its package is imported from; None: it is in none, or is found
            without a folder, as editable installations are.
        wanted: the function or list that offers the steps; None: the first of `pipeline()`,
            `targets` and the steps of the module that is there.
        is_named: whether it was named as a module, and not by its path.

    """

    file: str
    name: str
    package: str = ""
    root: str | None = None
    wanted: str | None = None
    is_named: bool = False

    @property
    def is_there(self) -> bool:
        """Whether there is such a file."""
        return os.path.isfile(self.file)

    def named_from(self, folder: str) -> str:
        """Return the value of `-f` for it in a folder: a path; of an installed one its name."""
        is_installed = installed_in(self.file) == (self.root or os.path.dirname(self.file))
        if self.is_named or is_installed:
            return self._with_wanted(self.name)
        return self._with_wanted(os.path.relpath(self.file, folder).replace(os.sep, "/"))

    @property
    def named_by_path(self) -> str:
        """The value of `-f` that names it from any folder: its absolute path."""
        return self._with_wanted(self.file)

    def _with_wanted(self, place: str) -> str:
        return place if self.wanted is None else f"{place}:{self.wanted}"


def locate(named: str, folders: Sequence[str], project: str) -> PipelineModule:
    """Return the module that `-f` or the configuration names; whether it is there or not.

    Args:
        named: as it is written.
        folders: where a relative path is taken from, the first one that has such a file.
        project: its `src` and itself are searched for a module, before what is installed.

    Raises:
        UsageError: the project has two modules of that name.

    """
    for place, wanted in _readings(named):
        for folder in folders:
            file = os.path.abspath(os.path.join(folder, place))
            if os.path.isfile(file):
                return module_of_file(file, wanted)
    if not _is_module(place):
        return module_of_file(os.path.abspath(os.path.join(folders[-1], place)), wanted)
    file = _in_project(place, project) or _installed(place) or ""
    is_package = os.path.basename(file) == _INIT
    package = place if is_package else place.rpartition(".")[0]
    return PipelineModule(
        file, place, package, _root_of(file, place) if package else None, wanted, is_named=True
    )


def module_of_file(file: str, wanted: str | None = None) -> PipelineModule:
    """Return the module that a file is: of a package if one lies around it.

    Packages are folders with an `__init__.py`, and those below the `src` of a project or among
    installed packages; the project's own folder is none.
    """
    folder, name = os.path.split(file)
    stem = os.path.splitext(name)[0]
    packages = installed_in(file)
    root = packages or sources_of(find_project(folder))
    parts: list[str] = []
    while not is_project(folder) and _has_init(folder) and os.path.basename(folder).isidentifier():
        folder, inner = os.path.split(folder)
        parts.insert(0, inner)
    if root is not None and folder.startswith(root + os.sep):
        outer = os.path.relpath(folder, root).split(os.sep)
        if all(part.isidentifier() for part in outer):
            folder, parts = root, [*outer, *parts]
    if not parts:
        return PipelineModule(file, stem, wanted=wanted)
    package = ".".join(parts)
    full = package if name == _INIT else f"{package}.{stem}"
    return PipelineModule(file, full, package, folder, wanted)


def project_of_module(module: PipelineModule, here: str) -> str:
    """Return the project of a pipeline: its file's; of an installed one, or of none, `here`."""
    if not module.file or installed_in(module.file) is not None:
        return here
    return find_project(os.path.dirname(module.file))


def files_that_may_hold(pipeline: str) -> tuple[str, ...]:
    """Return the paths inside its project at which a pipeline may lie, without looking at files.

    Args:
        pipeline: as a saved plan has it: a path inside the project, or the name of a module.

    """
    *_, (place, _) = _readings(pipeline)
    return (place, *_files_of(place)) if _is_module(place) else (place,)


def sources_of(project: str) -> str | None:
    """Return the project's `src`, if that is a folder to import from, and no package itself."""
    folder = os.path.join(project, SOURCES)
    return folder if os.path.isdir(folder) and not _has_init(folder) else None


def no_such_module(module: PipelineModule, project: str) -> UsageError:
    """Return the error for a module that is nowhere."""
    folders = [folder for folder in (sources_of(project), project) if folder is not None]
    return NotFoundError(
        f"no pipeline file or module `{module.name}`",
        facts=[("looked in", "\n".join([*folders, "the installed packages"]))],
        consequence="nothing was run",
        hint="name a file or a module with -f, or make one with `marin-build init`",
    )


def _readings(named: str) -> Iterator[tuple[str, str | None]]:
    """Yield how a name can be read: all of it as a place, or as a place and a function in it."""
    yield named, None
    place, _, wanted = named.rpartition(":")
    if place and wanted.isidentifier():
        yield place, wanted


def _is_module(place: str) -> bool:
    return not place.endswith(".py") and all(part.isidentifier() for part in place.split("."))


def _files_of(module: str) -> Iterator[str]:
    path = module.replace(".", "/")
    for start in (f"{SOURCES}/", ""):
        yield f"{start}{path}/{_INIT}"
        yield f"{start}{path}.py"


def _in_project(module: str, project: str) -> str | None:
    """Return the file of a module of the project, or None."""
    found: dict[str, str] = {}
    for path in _files_of(module):
        is_below_src = path.startswith(f"{SOURCES}/") and not module.startswith(f"{SOURCES}.")
        root = sources_of(project) if is_below_src else project
        file = os.path.join(project, path)
        if root is not None and os.path.isfile(file):
            found.setdefault(root, file)
    if len(found) > 1:
        raise UsageError(
            f"two modules of the project are called `{module}`",
            facts=[("files", "\n".join(os.path.relpath(f, project) for f in found.values()))],
            consequence="nothing was run",
            hint="name the file that is meant: -f path/to/file.py",
        )
    return next(iter(found.values()), None)


def _installed(module: str) -> str | None:
    """Return the source of a module on the module path, or None; nothing is imported."""
    top, *rest = module.split(".")
    found = find_in([os.path.abspath(folder) for folder in sys.path], top)
    if found is None or not found[1]:
        found = found or found_by_hooks(top)
    for part in rest:
        found = find_in(found[1], part) if found is not None else None
    return found[0] if found is not None and found[0].endswith(".py") else None


def _root_of(file: str, module: str) -> str | None:
    """Return the folder that a module is imported from, if its file lies as its name says."""
    bare = file.removesuffix(f"{os.sep}{_INIT}").removesuffix(".py")
    tail = os.sep + module.replace(".", os.sep)
    return bare.removesuffix(tail) if bare.endswith(tail) else None


def _has_init(folder: str) -> bool:
    return os.path.isfile(os.path.join(folder, _INIT))


def no_such_file(file: str) -> UsageError:
    """Return the error for a pipeline file that is not there; it names those that are near."""
    return UsageError(
        f"no pipeline file `{file}`",
        consequence="nothing was run",
        hint=_near(file) or "name one with --file, or make one with `marin-build init`",
    )


def _near(missing: str) -> str:
    """Return a hint that names files like the missing one, here or one folder below; else empty."""
    folder, name = os.path.split(missing)
    try:
        here = sorted(os.listdir(folder))
    except OSError:
        return ""
    if below := [each for each in here if os.path.isfile(os.path.join(folder, each, name))]:
        place = os.path.relpath(os.path.join(folder, below[0], name))
        return f"there is one in a folder: --file {shlex.quote(place)}"
    stems = [each.removesuffix(".py") for each in here if each.endswith(".py")]
    near = [] if name == _USUAL else near_misses(name.removesuffix(".py"), stems)
    return f"did you mean {' or '.join(f'`{stem}.py`' for stem in near)}?" if near else ""
