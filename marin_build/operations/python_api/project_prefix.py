"""The methods of `Project` that look at what lies under its prefix, of any pipeline."""

from __future__ import annotations

from typing import TYPE_CHECKING

from marin_build.operations.loading.options import parameter_text
from marin_build.operations.python_api.project_base import ProjectBase, selectors_in

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from marin_build.operations.clean_up.carry_out_gc import Done
    from marin_build.operations.clean_up.gc import GcPlan
    from marin_build.operations.outputs.du import DiskUsage
    from marin_build.operations.outputs.ls import ListedOutputs, SortKey
    from marin_build.operations.python_api.project_base import Selectors
    from marin_build.operations.runs.runs import ListedRuns, ShownRun


class ProjectPrefix(ProjectBase):
    """The methods of `Project` that look at what lies under its prefix.

    Each does what its command does, and raises StoreError if the store cannot be read.
    """

    def ls(
        self,
        *patterns: str,
        all: bool = False,  # noqa: A002 - as the option is called
        sort: SortKey = "name",
    ) -> ListedOutputs:
        """Return the outputs under the prefix, of any pipeline, and what is not ours.

        Args:
            patterns: names, ids, groups of names, or globs over names and ids; none: all.
            all: older identities, too.
            sort: by `name`; the largest first, `size`; or what was not used for longest, `used`.

        Raises:
            NotFoundError: a pattern matches nothing.

        """
        from marin_build.operations.outputs.ls import list_outputs

        with self._loading():
            return list_outputs(self._options, patterns, show_all=all, sort=sort)

    def du(self, *groups: str, depth: int = 1) -> DiskUsage:
        """Return what fills the prefix, in bytes by groups of names, and what a bucket costs.

        Args:
            groups: leading segments of names; none: all, and what is not ours.
            depth: by how many segments of their names outputs are grouped, below those of a group.

        Raises:
            NotFoundError: no output is of a group.

        """
        from marin_build.operations.outputs.du import disk_usage

        with self._loading():
            return disk_usage(self._options, groups, depth=depth)

    def runs(
        self,
        *,
        limit: int = 20,
        outcomes: Selectors = (),
        target: str | None = None,
        records: bool = False,
    ) -> ListedRuns:
        """Return the runs that were kept under the prefix, by anyone on any machine, newest first.

        Args:
            limit: how many are listed.
            outcomes: only runs that ended so: `built`, `failed`, `died` ...; none: all.
            target: only runs that tried to build it: a name, an id or a glob.
            records: runs, too, of which only records of what they built are left; reads all
                records.

        Raises:
            UsageError: no run ends so.

        """
        from marin_build.operations.runs.runs import list_runs

        wanted = selectors_in(outcomes)
        return list_runs(
            self._options, limit=limit, outcomes=wanted, target=target, records=records
        )

    def kept_run(self, run: str) -> ShownRun:
        """Return one run that was kept: its plan, and what became of its targets.

        Args:
            run: its id, the first digits of that, or `latest`.

        Raises:
            UsageError: there is no such run, or there are several.

        """
        from marin_build.operations.runs.runs import show_run

        return show_run(self._options, run)

    def gc(
        self,
        *,
        apply: bool = False,
        reviewed: str | None = None,
        keep_revisions: Selectors = (),
        keep_files: Selectors = (),
        keep_params: Sequence[Mapping[str, object]] = (),
        keep_last: int = 2,
        grace: float = 7 * 86400.0,
        unknown: bool = False,
        on_done: Callable[[Done], None] | None = None,
    ) -> GcPlan:
        """Return which outputs nothing needs any more; nothing is changed without `apply`.

        Args:
            apply: mark them, and delete what was marked long enough ago.
            reviewed: with `apply`: only if the plan still has this `digest`, of the one that was
                looked at.
            keep_revisions: git revisions; what the pipeline declares there is kept.
            keep_files: further pipelines, whose outputs are kept.
            keep_params: further sets of parameters of the pipeline, whose outputs are kept.
            keep_last: how many builds of each name are kept, the newest ones.
            grace: seconds between the mark on an output and its deletion.
            unknown: take outputs of names, too, that no given pipeline declares.
            on_done: called after each step; its `said` is why the step was not done, or empty.

        Raises:
            UsageError: something that is to be kept cannot be found.
            SpecificationError: a pipeline cannot be loaded.
            StoppedError: the plan is not the reviewed one.

        """
        from marin_build.operations.clean_up.carry_out_gc import apply_gc
        from marin_build.operations.clean_up.gc import GcRequest, plan_gc
        from marin_build.operations.clean_up.gc_needs import Kept

        kept = Kept(
            selectors_in(keep_revisions),
            selectors_in(keep_files),
            tuple({k: parameter_text(k, v) for k, v in each.items()} for each in keep_params),
            keep_last,
        )
        request = GcRequest(kept, grace, unknown)
        with self._loaded() as loaded:
            if not apply:
                return plan_gc(loaded, self._options, request)
            done = on_done or (lambda _done: None)
            return apply_gc(loaded, self._options, request, done, reviewed=reviewed)
