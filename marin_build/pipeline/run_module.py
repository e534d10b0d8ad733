"""Run the module of a pipeline as its import would, with what it imports on the module path."""

from __future__ import annotations

import os
import sys
from types import ModuleType
from typing import TYPE_CHECKING

from marin_build.errors import MarinBuildError, SpecificationError
from marin_build.pipeline.caught_run import has_caught
from marin_build.pipeline.declared_at import shown
from marin_build.pipeline.locate import sources_of
from marin_build.pipeline.shadowed_names import (
    keep_apart,
    loaded_files,
    refuse_imports,
    refuse_name,
)
from marin_build.workspace.regular_files import read_regular
from marin_build.workspace.workspace import installed_in

if TYPE_CHECKING:
    from marin_build.pipeline.locate import PipelineModule
    from marin_build.workspace.workspace import Workspace


def run_module(module: PipelineModule, workspace: Workspace) -> ModuleType:
    """Return the module of a pipeline, run anew.

    Raises:
        SpecificationError: it raised, or its package did.

    """
    refuse_name(module.name, module.file)
    project = workspace.project
    folders = _put_on_path(module, project)
    shadowed = keep_apart(folders)
    if shadowed and module.package:  # `import json` never means a module of one's own package
        inside = os.path.dirname(module.file) + os.sep
        shadowed = {name: own for name, own in shadowed.items() if not own.startswith(inside)}
    if shadowed:
        refuse_imports(shadowed, [module.file], project)
    try:
        if module.package:
            made = _run_in_package(module)
        else:
            made = ModuleType(module.name)
            made.__file__ = module.file
            _run(made, module)
    except MarinBuildError:
        raise
    except (Exception, SystemExit) as error:
        refuse_imports(shadowed, loaded_files(folders, error) if shadowed else (), project)
        raise raised(module.file, error, workspace) from error
    if shadowed:
        refuse_imports(shadowed, loaded_files(folders), project)
    return made


def raised(file: str, error: BaseException, workspace: Workspace) -> SpecificationError:
    """Return the error for a pipeline that raised, with the place in the author's files."""
    import traceback

    from marin_build.pipeline.python_hints import hint_about

    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if os.sep + "marin_build" + os.sep not in frame.filename
        and not frame.filename.startswith("<frozen")
    ]
    if isinstance(error, SyntaxError):
        place = f"{shown((error.filename or file, error.lineno or 0), workspace.project)}"
    else:
        place = ", ".join(
            shown((f.filename, f.lineno or 0), workspace.project) for f in frames[-3:]
        )
    return SpecificationError(
        f"the pipeline raised {type(error).__name__}: {error}",
        facts=[("at", place or file)],
        consequence="nothing was run",
        hint=hint_about(error),
    )


def forget_package(module: PipelineModule) -> None:
    """Have the package of a pipeline imported anew, with all its modules.

    A folder without `__init__.py` that it lies in may hold packages of others: these stay.
    """
    for package in _packages_of(module):
        if getattr(sys.modules.get(package), "__file__", None) is not None:
            _forget(package)


def _forget(package: str) -> None:
    for name in [name for name in sys.modules if f"{name}.".startswith(f"{package}.")]:
        del sys.modules[name]


def _packages_of(module: PipelineModule) -> list[str]:
    """Return the packages around a module, the outermost first."""
    parts = module.package.split(".")
    return [".".join(parts[: count + 1]) for count in range(len(parts))]


def _put_on_path(module: PipelineModule, project: str) -> list[str]:
    """Put on the module path what an editable installation would, and the pipeline's folder.

    Returns these folders, in their order.

    The folder that the pipeline's package lies in is the first one, so that an installed copy does
    not take its place. Python's own modules go before those beside a module of a package; the
    project's `src` is the last, so that it takes the place of nothing that is installed.
    """
    if installed_in(module.file) is None:
        _insert(0, project)
    if not module.package:
        _insert(0, os.path.dirname(module.file))
    elif module.root is not None and sys.path[:1] != [module.root]:
        sys.path[:] = [module.root, *(folder for folder in sys.path if folder != module.root)]
    if module.package and not module.is_named:
        packages = (i for i, folder in enumerate(sys.path) if _holds_packages(folder))
        _insert(next(packages, len(sys.path)), os.path.dirname(module.file))
    if (sources := sources_of(project)) is not None:
        _insert(len(sys.path), sources)
    ours = {project, os.path.dirname(module.file), module.root, sources}
    return [folder for folder in sys.path if folder in ours and installed_in(f"{folder}/x") is None]


def _holds_packages(folder: str) -> bool:
    return installed_in(os.path.join(folder, "")) == folder


def _insert(index: int, folder: str) -> None:
    if folder not in sys.path:
        sys.path.insert(index, folder)


def _run_in_package(module: PipelineModule) -> ModuleType:
    """Run a module of a package; its packages are imported first, as Python does."""
    from importlib.machinery import SourceFileLoader
    from importlib.util import module_from_spec, spec_from_file_location

    _forget_others(module)
    sys.modules.pop(module.name, None)
    parent, _, inner = module.name.rpartition(".")
    if parent:
        __import__(parent)  # not by importlib, whose frame would stand among the author's
    outer = sys.modules.get(parent)
    if module.name in sys.modules:  # its package imports it: once is enough
        return sys.modules[module.name]
    spec = spec_from_file_location(
        module.name,
        module.file,
        loader=SourceFileLoader(module.name, module.file),
        submodule_search_locations=[os.path.dirname(module.file)]
        if module.name == module.package
        else None,
    )
    assert spec is not None
    made = _run(module_from_spec(spec), module)
    if outer is not None:
        setattr(outer, inner, made)
    return made


def _run(made: ModuleType, module: PipelineModule) -> ModuleType:
    sys.modules[module.name] = made
    # Not through the import system: it trusts a compiled copy of the same second and size.
    try:
        code = compile(read_regular(module.file), module.file, "exec", dont_inherit=True)
        exec(code, made.__dict__)  # noqa: S102 - the pipeline is the user's program
    except BaseException as error:
        if has_caught() and not isinstance(error, KeyboardInterrupt):
            return made  # its call that would run steps is its end
        sys.modules.pop(module.name, None)
        raise
    return made


def _forget_others(module: PipelineModule) -> None:
    """Forget a package of the same name that was imported from another folder."""
    if module.root is None:
        return
    for package in _packages_of(module):
        folder = os.path.join(module.root, *package.split("."))
        known = sys.modules.get(package)
        if known is not None and folder not in list(getattr(known, "__path__", ())):
            _forget(package)
            return
