"""Executor: gives steps their versions and output paths, and has them built."""

from __future__ import annotations

import logging
import os
import re
from datetime import datetime
from typing import TYPE_CHECKING, Any

from marin_build.compat.executor.errors import IllegalValueError, NoExecutorStepError
from marin_build.compat.executor.instantiate import instantiate_config
from marin_build.compat.executor.lowering import Lowering
from marin_build.compat.executor.records import (
    ExecutorInfo,
    ExecutorStepInfo,
    caller_path,
    experiment_url,
    git_commit,
    info_text,
    run_document,
    run_path,
    step_info,
    write_text,
)
from marin_build.compat.executor.values import ExecutorStep, InputName
from marin_build.compat.executor.version import Versions
from marin_build.pipeline.caught_run import offer_steps
from marin_build.pipeline.step_spec import StepSpec
from marin_build.protocol.holder import worker_id
from marin_build.protocol.launch_provenance import login

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from marin_build.compat.executor.version import DeepDependencies

_log = logging.getLogger("marin_build.executor")


class Executor:
    """The steps of one run, under one prefix.

    What it knows of each step after `run` or `compute_version`: `versions`, `version_strs`,
    `hashed_versions`, `output_paths`, `dependencies`, `configs` (as functions get them) and
    `is_pseudo_dep`. `steps` has one step of each version, dependencies first.

    Args:
        prefix: where outputs live.
        executor_info_base_path: the folder of documents about runs; None: `{prefix}/experiments`.
        description: for people.
        deep_dependencies: how a step enters the versions of others if a chain of more than 4
            dependencies lies below it: `names` since May 2026; `paths` for outputs of before.

    """

    def __init__(
        self,
        prefix: str,
        executor_info_base_path: str | None = None,
        description: str | None = None,
        *,
        deep_dependencies: DeepDependencies = "names",
    ) -> None:
        self.prefix = os.fspath(prefix)
        base = executor_info_base_path
        self.executor_info_base_path = (
            os.fspath(base) if base is not None else os.path.join(self.prefix, "experiments")
        )
        self.description = description
        known = Versions(self.prefix, deep_dependencies)
        self._known, self._lowering = known, Lowering(known)
        self.configs: dict[ExecutorStep[Any], Any] = {}
        self.steps = known.steps
        self.dependencies = known.dependencies
        self.versions = known.versions
        self.version_strs = known.version_strs
        self.version_str_to_step = known.version_str_to_step
        self.hashed_versions = known.hashed_versions
        self.output_paths = known.output_paths
        self.is_pseudo_dep = known.is_pseudo_dep
        self.step_infos: list[ExecutorStepInfo] = []
        self.executor_info: ExecutorInfo | None = None
        self.executor_info_path = ""

    def compute_version(
        self,
        step: ExecutorStep[Any],
        is_pseudo_dep: bool = False,
    ) -> None:
        """Compute version, output path and config of a step, and of all that it needs.

        Args:
            step: the step.
            is_pseudo_dep: whether it only counts in the identity of other steps.

        Raises:
            ValueError: a dict in a config has a key that is not a string.
            CycleError: a step needs itself.

        """
        for new in self._known.add(step, is_pseudo_dep=is_pseudo_dep):
            self.configs[new] = instantiate_config(
                new.config, self.output_paths[new], self.output_paths, self.prefix
            )

    def canonicalize(self, step: ExecutorStep[Any]) -> ExecutorStep[Any]:
        """Return the step that counts among those of the same version."""
        return self._known.same(step)

    def run(
        self,
        steps: Iterable[ExecutorStep[Any] | InputName],
        *,
        dry_run: bool = False,
        run_only: Sequence[str] | None = None,
        force_run_failed: bool = True,
        max_concurrent: int | None = None,
    ) -> dict[ExecutorStep[Any], str]:
        """Build steps, and what they need and is not built.

        Args:
            steps: steps, or places in their outputs.
            dry_run: log what would be built; nothing is run or written.
            run_only: build only the steps whose names contain a match of one of these regular
                expressions, and what these need.
            force_run_failed: whether steps that failed before are tried again.
            max_concurrent: steps that run at once; default 8.

        Returns:
            The output path of each step, of those they need, too.

        Raises:
            ValueError: `max_concurrent` is below 1.
            TypeError: what is to be built is no step.
            StepFailedError: a step failed.

        """
        if max_concurrent is not None and max_concurrent < 1:
            raise IllegalValueError(
                f"`max_concurrent` must be a positive integer, not {max_concurrent}",
                consequence="nothing was run",
            )
        wanted: list[ExecutorStep[Any]] = []
        if isinstance(steps, ExecutorStep | InputName):
            raise NoExecutorStepError("`steps` is one step, not several", hint="give it in a list")
        for given in steps:
            step = given.step if isinstance(given, InputName) else given
            if step is not None:
                _refuse_what_is_no_step(step)
                self.compute_version(step, is_pseudo_dep=False)
                wanted.append(self.canonicalize(step))
        if run_only is not None:
            wanted = self._matching(run_only)
        specs: list[StepSpec] = [self._lowering.lower(step) for step in dict.fromkeys(wanted)]
        offer_steps(specs)  # to the pipeline that is being loaded: before anything is written
        self.get_infos()
        if not dry_run:
            self.write_infos()
        from marin_build.runtime.step_runner import StepRunner  # a plan does not need it

        StepRunner().run(
            specs,
            dry_run=dry_run,
            force_run_failed=force_run_failed,
            max_concurrent=max_concurrent,
        )
        return self.output_paths

    def _matching(self, patterns: Sequence[str]) -> list[ExecutorStep[Any]]:
        """Return the steps whose names match; those that are not wanted else, too."""
        expressions = [re.compile(pattern) for pattern in patterns]
        found = [s for s in self.steps if any(e.search(s.name) for e in expressions)]
        for expression in expressions:
            if not any(expression.search(step.name) for step in found):
                _log.warning("`%s` in run_only matches the name of no step", expression.pattern)
        return found

    def get_infos(self) -> None:
        """Gather what is written of the run."""
        self.step_infos = [step_info(self._known, step, self.configs[step]) for step in self.steps]
        self.executor_info = ExecutorInfo(
            worker_id=worker_id(),
            git_commit=git_commit(),
            caller_path=caller_path(),
            created_date=datetime.now().isoformat(),  # noqa: DTZ005 - as Marin writes it
            user=login(),
            prefix=self.prefix,
            description=self.description,
            steps=self.step_infos,
        )

    def write_infos(self) -> None:
        """Write the document of the run; each step writes its own when it is built."""
        assert self.executor_info is not None
        document = run_document(self.executor_info)
        self.executor_info_path = run_path(self.executor_info_base_path, document)
        write_text(self.executor_info_path, info_text(document))
        _log.info("the experiment is described in %s", self.executor_info_path)
        _log.info("data browser: %s", self.get_experiment_url())

    def get_experiment_url(self) -> str:
        """Return where Marin's data browser shows the run."""
        return experiment_url(self.prefix, self.executor_info_path)


def _refuse_what_is_no_step(given: object) -> None:
    """Refuse to build what is no ExecutorStep.

    Raises:
        TypeError: it is none.

    """
    if isinstance(given, ExecutorStep):
        return
    hint = "StepRunner().run([...]) builds them" if isinstance(given, StepSpec) else None
    raise NoExecutorStepError(
        f"the executor builds ExecutorSteps, not what is of the type {type(given).__name__}",
        consequence="nothing was run",
        hint=hint,
    )
