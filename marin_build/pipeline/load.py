"""Pipeline file -> steps."""

from __future__ import annotations

import os
import shlex
import sys
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from types import ModuleType
from typing import TYPE_CHECKING, Any

from marin_build.errors import (
    MarinBuildError,
    SpecificationError,
    UsageError,
    collected_errors,
    combined,
)
from marin_build.pipeline.command import Command
from marin_build.pipeline.declared_at import shown
from marin_build.pipeline.parameters import call_with, parse_settings
from marin_build.pipeline.source_digests import forget_digests
from marin_build.pipeline.step_spec import StepSpec
from marin_build.text import printable
from marin_build.workspace import noting_asked, use_workspace

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from marin_build.workspace import Workspace


_SHOWN = 3
"""How many threads a warning names."""
_FUNCTION, _LIST = "pipeline", "targets"


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A loaded pipeline file.

    Args:
        file: its absolute path.
        roots: the steps it offers, in its order.
        parameters: `--set` values as text.
        asked: the steps whose `output_path` was asked for while it was loaded.
        threads: the names of threads that it started, and that go on.
        program: what declared it, if that was no file of its own.

    """

    file: str
    roots: tuple[StepSpec, ...]
    parameters: Mapping[str, str]
    asked: tuple[StepSpec, ...] = ()
    threads: tuple[str, ...] = ()
    program: Program | None = None


_NO_FILE = "<program>"
"""Stands for the file where there is none, in plans and runs of what a program declared."""


@dataclass(frozen=True, slots=True)
class Program:
    """Steps that a running program or notebook declares, in place of a pipeline file.

    Args:
        offered: a module, a function that returns steps, or steps in any nesting.
        project: the absolute folder of the project.
        module: gives `offered` to the loader as a pipeline file would.

    """

    offered: Any
    project: str
    module: ModuleType = field(init=False)

    def __post_init__(self) -> None:
        made: Any = self.offered
        if not isinstance(made, ModuleType):
            made = ModuleType(_NO_FILE)
            is_function = callable(self.offered) and not isinstance(self.offered, StepSpec)
            setattr(made, _FUNCTION if is_function else _LIST, self.offered)
        object.__setattr__(self, "module", made)

    @property
    def has_file(self) -> bool:
        """Whether another process can load the same steps from a file."""
        is_program = self.module.__name__ in (_NO_FILE, "__main__")
        return not is_program and getattr(self.module, "__file__", None) is not None

    @property
    def file(self) -> str:
        """The absolute path of the file; a name that no file has if there is none."""
        if self.has_file:
            return os.path.abspath(str(self.module.__file__))
        return os.path.join(self.project, _NO_FILE)


def load_pipeline(file: str, workspace: Workspace, parameters: Mapping[str, str]) -> Pipeline:
    """Import a pipeline file and return the steps it declares.

    It offers `pipeline(**parameters)`, a list `targets`, or module-level steps, the first of
    these that is there.

    Args:
        file: an absolute path.
        workspace: put in force before the import, so that nothing is computed from another one.
        parameters: `--set` values as text.

    Raises:
        SpecificationError: all that is wrong with the declarations, together.
        UsageError: no such file, or parameters it does not take.

    """
    if not os.path.isfile(file):
        raise UsageError(
            f"no pipeline file `{file}`",
            consequence="nothing was run",
            hint="name one with -f, or make one with `marin-build init`",
        )
    forget_digests()
    return _load(file, workspace, parameters)


def load_program(program: Program, workspace: Workspace, parameters: Mapping[str, str]) -> Pipeline:
    """Return the steps that a program declares; a function is called anew.

    Raises:
        SpecificationError: all that is wrong with the declarations, together.
        UsageError: parameters that it does not take.

    """
    forget_digests()
    return _load(program.file, workspace, parameters, program)


def load_again(pipeline: Pipeline, workspace: Workspace) -> Pipeline:
    """Load a pipeline once more, in another workspace; what its sources hold is not read again.

    The project's modules are imported anew: what they declare may have kept places of then.

    Raises:
        SpecificationError: all that is wrong with the declarations, together.

    """
    if pipeline.program is None:
        forget_modules(workspace.project, pipeline.file)
    return _load(pipeline.file, workspace, pipeline.parameters, pipeline.program)


def forget_modules(project: str, file: str) -> None:
    """Have the modules of a project, and those beside its pipeline file, imported anew."""
    folders = (project + os.sep, os.path.dirname(file) + os.sep)
    installed = (sys.prefix + os.sep, sys.base_prefix + os.sep)  # perhaps inside the project
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None) or ""
        is_theirs = file.startswith(folders) and not (
            file.startswith(installed) or f"{os.sep}site-packages{os.sep}" in file
        )
        if is_theirs and name.partition(".")[0] not in ("__main__", "marin_build"):
            del sys.modules[name]


def _load(
    file: str,
    workspace: Workspace,
    parameters: Mapping[str, str],
    program: Program | None = None,
) -> Pipeline:
    use_workspace(workspace)
    _forget_code()
    before = _threads()
    # Standard output is for data: scripts and other programs read it.
    with collected_errors() as errors, noting_asked() as asked, redirect_stdout(sys.stderr):
        try:
            module = _execute(file, workspace) if program is None else program.module
            roots = _offered(module, file, parameters)
        except MarinBuildError as error:
            errors.append(error)
            roots = ()
        except Exception:
            if not errors:  # else the mistakes already found explain it
                raise
    if errors:
        raise combined(errors)
    if not roots:
        raise SpecificationError(
            f"the pipeline `{shown((file, 0), workspace.project)[:-2]}` has no steps",
            consequence="nothing was run",
            hint="return steps from `pipeline()`, or list them in `targets`",
        )
    steps = tuple(step for step in dict.fromkeys(asked) if isinstance(step, StepSpec))
    started = tuple(name for ident, name in _threads().items() if ident not in before)
    return Pipeline(file, roots, dict(parameters), steps, started, program)


def _threads() -> dict[int | None, str]:
    """Return the names of the threads that run, by number; an import of their module takes time."""
    threading = sys.modules.get("threading")
    return {t.ident: t.name for t in threading.enumerate()} if threading is not None else {}


def lost_threads(pipeline: Pipeline) -> list[str]:
    """Return a warning of threads that are not there in the steps, if there are any."""
    if not pipeline.threads:
        return []
    names = ", ".join(f"`{printable(name)}`" for name in pipeline.threads[:_SHOWN])
    more = len(pipeline.threads) - _SHOWN
    all_of_them = f"{names} and {more} more" if more > 0 else names
    warning = (
        f"the pipeline's imports started threads: {all_of_them}; steps are forks of it without "
        "them, and wait for ever for a lock that one of them held: start threads in the step"
    )
    return [warning]


def _forget_code() -> None:
    """Have source read anew; who read none yet needs no readers either: they take milliseconds."""
    digesting = sys.modules.get("marin_build.identity.code.digest")
    if digesting is not None:
        digesting.forget_code()


def _execute(file: str, workspace: Workspace) -> ModuleType:
    """Run the file as a module, with its folder and the project's on the module path."""
    for folder in (workspace.project, os.path.dirname(file)):
        if folder not in sys.path:
            sys.path.insert(0, folder)
    name = os.path.splitext(os.path.basename(file))[0]
    module = ModuleType(name)
    module.__file__ = file
    sys.modules[name] = module
    try:
        # Not through the import system: it trusts a compiled copy of the same second and size.
        with open(file, "rb") as stream:
            code = compile(stream.read(), file, "exec")
        exec(code, module.__dict__)  # noqa: S102 - the pipeline is the user's program
    except MarinBuildError:
        raise
    except (Exception, SystemExit) as error:
        raise _raised(file, error, workspace) from error
    return module


def _raised(file: str, error: BaseException, workspace: Workspace) -> SpecificationError:
    """Return the error for a pipeline that raised, with the place in the author's files."""
    import traceback

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
    )


def _offered(module: ModuleType, file: str, parameters: Mapping[str, str]) -> tuple[StepSpec, ...]:
    function = getattr(module, _FUNCTION, None)
    if callable(function) and not isinstance(function, StepSpec):
        values = parse_settings(function, parameters, file)
        try:
            return _steps(call_with(function, values), f"{_FUNCTION}()")
        except MarinBuildError:
            raise
        except (Exception, SystemExit) as error:
            from marin_build.workspace import current_workspace

            raise _raised(file, error, current_workspace()) from error
    if parameters:
        raise UsageError(
            f"`{os.path.basename(file)}` takes no parameters",
            facts=[("given", ", ".join(sorted(parameters)))],
            hint="declare them: def pipeline(vocab: int = 8000)",
        )
    if hasattr(module, _LIST):
        return _steps(getattr(module, _LIST), f"`{_LIST}`")
    found = [value for value in vars(module).values() if isinstance(value, StepSpec)]
    return tuple(dict.fromkeys(found))


def _steps(value: Any, where: str) -> tuple[StepSpec, ...]:
    """Return the steps in what a pipeline returned: one, or any nesting of lists and dicts."""
    match value:
        case StepSpec():
            return (value,)
        case None:
            return ()
        case dict():
            return tuple(step for item in value.values() for step in _steps(item, where))
        case list() | tuple() | set() | frozenset():
            return tuple(step for item in value for step in _steps(item, where))
    if hasattr(value, "__next__"):
        return _steps(list(value), where)
    raise SpecificationError(
        f"{where} gave a {type(value).__name__}, not a step", consequence="nothing was run"
    )


def undeclared_files(steps: Iterable[StepSpec], workspace: Workspace) -> list[str]:
    """Return warnings for files of the project that commands name but do not declare."""
    found: dict[str, None] = {}
    for step in steps:
        if isinstance(step.fn, Command):
            declared = {source.location for source in step.inputs.values()}
            for word in _words(step.fn):
                path = os.path.normpath(os.path.join(workspace.project, word))
                if (
                    path not in declared
                    and os.path.isfile(path)
                    and path.startswith(workspace.project + os.sep)
                ):
                    place = shown(step.declared, workspace.project)
                    found[
                        f"`{step.name}` ({place}) runs `{word}`, which is not a declared input: "
                        "changes to it will not rebuild the step"
                    ] = None
    return list(found)


def _words(command: Command) -> list[str]:
    if isinstance(command.text, tuple):
        return [word for word in command.text if word]
    try:
        return shlex.split(command.text, comments=True)
    except ValueError:
        return command.text.split()
