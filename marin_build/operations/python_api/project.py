"""`Project`: what the command line can do, for notebooks and programs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from marin_build.operations.python_api.project_base import make_options, request_of
from marin_build.operations.python_api.project_builds import ProjectBuilds
from marin_build.operations.python_api.project_marks import ProjectMarks
from marin_build.operations.python_api.project_prefix import ProjectPrefix
from marin_build.operations.python_api.project_targets import ProjectTargets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from types import ModuleType

    from marin_build.apply.events import Warned
    from marin_build.operations.python_api.project_base import Selectors
    from marin_build.operations.python_api.project_plan import ProjectPlan
    from marin_build.pipeline.step_spec import StepSpec
    from marin_build.workspace.workspace import CodePolicy


class Project(ProjectBuilds, ProjectTargets, ProjectMarks, ProjectPrefix):
    """A pipeline with its configuration and its store.

    `Project.open` and `Project.of` make one. Each method does what the command of its name does:
    it loads the pipeline anew, reads the store as it is then, prints nothing, and raises the errors
    of `marin_build.errors`. The last load stays in force: `step.output_path` lies under the prefix
    of the project that was used last.

    """

    @classmethod
    def open(
        cls,
        file: str | os.PathLike[str] | None = None,
        *,
        prefix: str | os.PathLike[str] | None = None,
        profile: str | None = None,
        params: Mapping[str, object] | None = None,
        engine: str | None = None,
        code: CodePolicy | None = None,
    ) -> Project:
        """Return the project of a pipeline file; nothing of it is run yet.

        Args:
            file: a file or a module, and perhaps a function of it, as `-f` names them; None: as
                configured, else `pipeline.py`.
            prefix: where outputs live; None: MARIN_PREFIX, as configured, or the default.
            profile: a profile of the configuration.
            params: the parameters of `pipeline()`.
            engine: where steps with resources are built; None: as configured.
            code: the policy for steps that declare none; None: as configured.

        Raises:
            UsageError: no such file, profile or setting.

        """
        return cls(make_options(file, prefix, profile, params, engine, code))

    @classmethod
    def of(
        cls,
        steps: ModuleType | Callable[..., Any] | StepSpec | Iterable[Any],
        *,
        prefix: str | os.PathLike[str] | None = None,
        profile: str | None = None,
        params: Mapping[str, object] | None = None,
        engine: str | None = None,
        code: CodePolicy | None = None,
    ) -> Project:
        """Return the project of steps that this program declares.

        The project's folder is that of the file that declares the steps; in a notebook it is the
        current folder. Saving a plan and comparing with a revision need a file that another process
        can load: they are refused unless `steps` is a module with a file.

        Args:
            steps: a module, a function that returns steps and is called anew each time, or steps.
            prefix, profile, params, engine, code: as for `open`.

        """
        from marin_build.pipeline.program import Program, declaring_file, module_holding
        from marin_build.workspace.workspace import project_of

        if isinstance(steps, Iterator):  # it ends, and each load asks again
            steps = list(steps)
        folder = project_of(declaring_file(steps), os.environ, os.getcwd())
        program = Program(module_holding(steps), folder)
        options = make_options(None, prefix, profile, params, engine, code)
        return cls(replace(options, program=program))

    def plan(
        self,
        *targets: str,
        force: Selectors = (),
        assume_changed: Selectors = (),
        assume_built: Selectors = (),
        rerun_failed: bool = True,
        jobs: int | None = None,
        budgets: Mapping[str, object] | None = None,
        overwrite: Selectors = (),
    ) -> ProjectPlan:
        """Return what would be built and why; nothing is written.

        Args:
            targets: selectors, as `marin-build plan` takes them; none: what the pipeline requests.
            force: selectors of targets to build again although they are built.
            assume_changed, assume_built: what counts as changed, or as built; such a plan
                cannot be saved.
            rerun_failed: build again what failed before; else it is blocked.
            jobs: estimate for this many targets at once.
            budgets: how much there is of `cpu`, `ram`, `gpu`, `tpu`, or of what steps name.
            overwrite: selectors of targets to build even if that deletes data at their output
                paths that no build left.

        Raises:
            SpecificationError: the pipeline's declarations are wrong.
            UsageError: a selector selects nothing.
            StoreError: the store cannot be read.

        """
        from marin_build.operations.planning.plan import load_to_plan, make_planned
        from marin_build.operations.python_api.project_plan import ProjectPlan

        request = request_of(
            targets, force, rerun_failed, jobs, budgets,
            changed=assume_changed, built=assume_built, overwrite=overwrite,
        )  # fmt: skip
        warnings: list[Warned] = []
        with self._loading():
            loaded = load_to_plan(
                self._options, warnings.append, request.named, with_functions=True
            )
            planned = make_planned(loaded, request, on_event=warnings.append)
            return ProjectPlan(planned, tuple(warnings))
