"""Pipeline file or module -> steps."""

from __future__ import annotations

import os
import shlex
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from marin_build.errors import (
    MarinBuildError,
    SpecificationError,
    UsageError,
    collected_errors,
    combined,
)
from marin_build.identity.callables import StandsForFunction
from marin_build.pipeline.command import Command
from marin_build.pipeline.declared_at import shown
from marin_build.pipeline.locate import PipelineModule, module_of_file, no_such_module
from marin_build.pipeline.not_a_step import described, how_to_declare, none_declared
from marin_build.pipeline.parameters import parse_settings
from marin_build.pipeline.run_module import raised, run_module
from marin_build.pipeline.source_digests import forget_digests
from marin_build.pipeline.step_spec import StepSpec
from marin_build.pipeline.user_output import to_standard_error
from marin_build.text.readable import did_you_mean, printable
from marin_build.workspace.workspace import current_workspace, noting_asked, use_workspace

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from types import ModuleType

    from marin_build.pipeline.program import Program
    from marin_build.workspace.workspace import Workspace


_SHOWN = 3
"""How many threads a warning names."""
_FUNCTION, _LIST = "pipeline", "targets"


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A loaded pipeline.

    Args:
        module: where it was declared.
        roots: the steps it offers, in its order.
        parameters: `--set` values as text.
        asked: the steps whose `output_path` was asked for while it was loaded.
        threads: the names of the threads that loading it started, and that still run.
        program: the program that declared it, if no pipeline file did.

    """

    module: PipelineModule
    roots: tuple[StepSpec, ...]
    parameters: Mapping[str, str]
    asked: tuple[StepSpec, ...] = ()
    threads: tuple[str, ...] = ()
    program: Program | None = None

    @property
    def file(self) -> str:
        """The absolute path of its file."""
        return self.module.file


def load_pipeline(
    module: PipelineModule | str, workspace: Workspace, parameters: Mapping[str, str]
) -> Pipeline:
    """Run the module of a pipeline and return the steps it declares.

    The steps are those of the function or list that `-f` names; otherwise those of
    `pipeline(**parameters)`, a list `targets`, or the module's variables: the first that is there.

    Args:
        module: where it is declared; of a file, the absolute path.
        workspace: put in force before the import, so that nothing is computed from another one.
        parameters: `--set` values as text.

    Raises:
        SpecificationError: all that is wrong with the declarations, together.
        UsageError: no such file, module or function, or parameters it does not take.

    """
    if isinstance(module, str):
        module = module_of_file(module)
    check_is_there(module, workspace.project)
    forget_digests()
    return _load(module, workspace, parameters)


def check_is_there(module: PipelineModule, project: str) -> None:
    """Refuse a pipeline that is not there.

    Raises:
        UsageError: no such file or module.

    """
    if module.is_named and not module.is_there:
        raise no_such_module(module, project)
    if not module.is_there:
        raise UsageError(
            f"no pipeline file `{module.file}`",
            consequence="nothing was run",
            hint="name one with -f, or make one with `marin-build init`",
        )


def load_program(program: Program, workspace: Workspace, parameters: Mapping[str, str]) -> Pipeline:
    """Return the steps that a program declares; a function is called anew.

    Raises:
        SpecificationError: all that is wrong with the declarations, together.
        UsageError: parameters that it does not take.

    """
    forget_digests()
    return _load(program.module, workspace, parameters, program)


def load_again(pipeline: Pipeline, workspace: Workspace) -> Pipeline:
    """Load a pipeline once more, in another workspace; what its sources hold is not read again.

    The project's modules are imported anew: their values may hold places from the first loading.

    Raises:
        SpecificationError: all that is wrong with the declarations, together.

    """
    if pipeline.program is None:
        from marin_build.pipeline.project_modules import forget_modules

        forget_modules(workspace.project, pipeline.module)
    return _load(pipeline.module, workspace, pipeline.parameters, pipeline.program)


def _load(
    module: PipelineModule,
    workspace: Workspace,
    parameters: Mapping[str, str],
    program: Program | None = None,
) -> Pipeline:
    use_workspace(workspace)
    _forget_code()
    before = _threads()
    with collected_errors() as errors, noting_asked() as asked, to_standard_error():
        try:
            made = run_module(module, workspace) if program is None else program.made
            roots = _offered(made, module, parameters)
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
            f"the pipeline `{module.named_from(workspace.project)}` has no steps",
            consequence="nothing was run",
            hint=none_declared(vars(made), module.wanted),
        )
    steps = tuple(step for step in dict.fromkeys(asked) if isinstance(step, StepSpec))
    started = tuple(name for ident, name in _threads().items() if ident not in before)
    return Pipeline(module, roots, dict(parameters), steps, started, program)


def _threads() -> dict[int | None, str]:
    """Return the names of the threads that run, by number; an import of their module takes time."""
    threading = sys.modules.get("threading")
    return {t.ident: t.name for t in threading.enumerate()} if threading is not None else {}


def lost_threads(pipeline: Pipeline) -> list[str]:
    """Return a warning about threads that steps, as forks of this process, do not have."""
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
    """Forget the source that was read.

    If none was read, the readers need not be imported either, which takes milliseconds.
    """
    digesting = sys.modules.get("marin_build.identity.code.digest")
    if digesting is not None:
        digesting.forget_code()


def _offered(
    made: ModuleType, module: PipelineModule, parameters: Mapping[str, str]
) -> tuple[StepSpec, ...]:
    wanted = module.wanted
    if wanted is not None and not hasattr(made, wanted):
        raise _nothing_called(wanted, made, module)
    function = getattr(made, wanted or _FUNCTION, None)
    if callable(function) and not isinstance(function, StepSpec):
        values = parse_settings(function, parameters, module.file)
        try:
            return _steps(function(**values), f"{wanted or _FUNCTION}()")
        except MarinBuildError:
            raise
        except (Exception, SystemExit) as error:
            raise raised(module.file, error, current_workspace()) from error
    if parameters:
        raise UsageError(
            f"`{wanted or os.path.basename(module.file)}` takes no parameters",
            facts=[("given", ", ".join(sorted(parameters)))],
            hint=f"declare them: def {wanted or _FUNCTION}(vocab: int = 8000)",
        )
    if wanted is not None or hasattr(made, _LIST):
        return _steps(getattr(made, wanted or _LIST), f"`{wanted or _LIST}`")
    found = [value for value in vars(made).values() if isinstance(value, StepSpec)]
    return tuple(dict.fromkeys(found))


def _nothing_called(wanted: str, made: ModuleType, module: PipelineModule) -> UsageError:
    own = [
        name
        for name, value in vars(made).items()
        if not name.startswith("_")
        and (
            isinstance(value, StepSpec | StandsForFunction | list | tuple | dict)
            or getattr(value, "__module__", None) == made.__name__
        )
    ]
    return UsageError(
        f"the pipeline has no `{wanted}`",
        facts=[("file", module.file), ("it has", ", ".join(own) or "nothing")],
        consequence="nothing was run",
        hint=did_you_mean(wanted, own),
    )


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
        f"{where} gave {described(value)}, not a step",
        consequence="nothing was run",
        hint=how_to_declare(value),
    )


def undeclared_files(steps: Iterable[StepSpec], workspace: Workspace) -> list[str]:
    """Return warnings for files of the project that commands name but do not declare."""
    found: dict[str, None] = {}
    files: dict[str, str | None] = {}  # the commands of a pipeline mostly share their words
    for step in steps:
        if isinstance(step.fn, Command):
            declared = {source.location for source in step.inputs.values()}
            for word in _words(step.fn):
                if word not in files:
                    files[word] = _project_file(word, workspace.project)
                if (path := files[word]) is not None and path not in declared:
                    place = shown(step.declared, workspace.project)
                    found[
                        f"`{step.name}` ({place}) runs `{word}`, which is not a declared input: "
                        "changes to it will not rebuild the step"
                    ] = None
    return list(found)


def _project_file(word: str, project: str) -> str | None:
    """Return the file of the project that a word names; None if it names none."""
    path = os.path.normpath(os.path.join(project, word))
    return path if path.startswith(project + os.sep) and os.path.isfile(path) else None


def _words(command: Command) -> list[str]:
    if isinstance(command.text, tuple):
        return [word for word in command.text if word]
    try:
        return shlex.split(command.text, comments=True)
    except ValueError:
        return command.text.split()
