"""Pipeline file or module -> steps."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from marin_build.errors import (
    MarinBuildError,
    SpecificationError,
    collected_errors,
    combined,
)
from marin_build.pipeline import runtime_calls
from marin_build.pipeline.caught_run import catching_runs, notes_about
from marin_build.pipeline.locate import (
    PipelineModule,
    module_of_file,
    no_such_file,
    no_such_module,
)
from marin_build.pipeline.not_a_step import none_declared
from marin_build.pipeline.offered_steps import offered_steps
from marin_build.pipeline.program_surroundings import as_program
from marin_build.pipeline.run_module import run_module
from marin_build.pipeline.running_function import declaring
from marin_build.pipeline.source_digests import forget_digests
from marin_build.pipeline.started_threads import running_threads
from marin_build.pipeline.step_spec import StepSpec
from marin_build.pipeline.user_output import to_standard_error
from marin_build.quick_dataclass import dataclass
from marin_build.workspace.workspace import noting_asked, use_workspace

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from marin_build.pipeline.expansion import Expanded
    from marin_build.pipeline.program import Program
    from marin_build.workspace.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A loaded pipeline.

    Args:
        module: where it was declared.
        declared: the steps it offers, in its order.
        parameters: `--set` values as text.
        asked: the steps whose `output_path` was asked for while it was loaded.
        threads: the names of the threads that loading it started, and that still run.
        notes: what people should know of how its steps were found.
        program: the program that declared it, if no pipeline file did.
        expansions: what is known of its expansions; those that others returned come after them.
        unbuilt: ids of targets that count as not built, `*` for all: expansions that need them
            wait.

    """

    module: PipelineModule
    declared: tuple[StepSpec, ...]
    parameters: Mapping[str, str]
    asked: tuple[StepSpec, ...] = ()
    threads: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    program: Program | None = None
    expansions: tuple[Expanded, ...] = ()
    unbuilt: frozenset[str] = frozenset()

    @property
    def roots(self) -> tuple[StepSpec, ...]:
        """The steps it offers, those of its expansions included, as far as they are known."""
        if not self.expansions:
            return self.declared
        further = (step for each in self.expansions for step in each.roots)
        return tuple(dict.fromkeys((*self.declared, *further)))

    @property
    def file(self) -> str:
        """The absolute path of its file."""
        return self.module.file


def load_pipeline(
    module: PipelineModule | str, workspace: Workspace, parameters: Mapping[str, str]
) -> Pipeline:
    """Run the module of a pipeline and return the steps it declares.

    The steps are those of the function or list that `-f` names; otherwise those of
    `pipeline(**parameters)`, a list `targets`, the call that would run steps when the file is run
    as a program, or the module's variables: the first that is there.

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
        raise no_such_file(module.file)


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

    Its expansions are not called yet.

    The project's modules are imported anew: their values may hold places from the first loading.

    Raises:
        SpecificationError: all that is wrong with the declarations, together.

    """
    if pipeline.program is None:
        from marin_build.pipeline.project_modules import forget_modules

        forget_modules(workspace.project, pipeline.module)
    again = _load(pipeline.module, workspace, pipeline.parameters, pipeline.program)
    return replace(again, unbuilt=pipeline.unbuilt) if pipeline.unbuilt else again


def _load(
    module: PipelineModule,
    workspace: Workspace,
    parameters: Mapping[str, str],
    program: Program | None = None,
) -> Pipeline:
    use_workspace(workspace)
    _forget_code()
    before = running_threads()
    with (
        collected_errors() as errors,
        noting_asked() as asked,
        to_standard_error(),
        declaring(),
        catching_runs(module.file) as catcher,
        _surroundings(module, workspace, parameters, program),
    ):
        try:
            made = run_module(module, workspace) if program is None else program.made
            is_program = workspace.marin_era is not None and program is None
            offered = offered_steps(made, module, parameters, catcher, is_program=is_program)
        except MarinBuildError as error:
            errors.append(error)
            offered = ()
        except Exception:
            if not errors:  # else the mistakes already found explain it
                raise
    if errors:
        raise combined(errors)
    if not offered:
        raise SpecificationError(
            f"the pipeline `{module.named_from(workspace.project)}` has no steps",
            consequence="nothing was run",
            hint=none_declared(vars(made), module.wanted, has_run=catcher.has_run),
        )
    steps = tuple(step for step in dict.fromkeys(asked) if isinstance(step, StepSpec))
    started = tuple(name for ident, name in running_threads().items() if ident not in before)
    notes = tuple(notes_about(catcher, workspace.project))
    declared = tuple(each for each in offered if isinstance(each, StepSpec))
    later: tuple[Expanded, ...] = ()
    if len(declared) < len(offered):
        from marin_build.pipeline.expansion import expansions_in

        later = expansions_in(offered)
    return Pipeline(module, declared, dict(parameters), steps, started, notes, program, later)


@contextmanager
def _surroundings(
    module: PipelineModule,
    workspace: Workspace,
    parameters: Mapping[str, str],
    program: Program | None,
) -> Iterator[None]:
    """Give a pipeline's file what it finds when it is run; a program has that already."""
    if program is not None:
        yield
        return
    if workspace.marin_era is not None:
        runtime_calls.install_marin_names(workspace.marin_era)
    with as_program(module.file, parameters), runtime_calls.watching_for_marin(workspace.prefix):
        yield


def _forget_code() -> None:
    """Forget the source that was read.

    If none was read, the readers need not be imported either, which takes milliseconds.
    """
    digesting = sys.modules.get("marin_build.identity.code.digest")
    if digesting is not None:
        digesting.forget_code()
