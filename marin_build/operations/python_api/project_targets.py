"""The methods of `Project` that look at targets; nothing is written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from marin_build.operations.python_api.project_base import ProjectBase, selectors_in

if TYPE_CHECKING:
    from collections.abc import Sequence

    from marin_build.emit.graph.drawing import Format
    from marin_build.operations.checks.lint import Linted
    from marin_build.operations.outputs.verify import VerifiedOutputs
    from marin_build.operations.planning.explain import Explanation
    from marin_build.operations.python_api.project_base import Selectors
    from marin_build.operations.runs.logs import AttemptSeen
    from marin_build.operations.runs.status import ReadStatus
    from marin_build.operations.saved_plans.diff import Comparison


class ProjectTargets(ProjectBase):
    """The methods of `Project` that look at targets; each does what its command does.

    `targets` are selectors, as `marin-build plan` takes them; without any, what the pipeline
    requests. A single `target` is a selector that selects one target. All methods raise:

    - SpecificationError: the pipeline's declarations are wrong;
    - UsageError: a selector cannot be read, or does not select as many targets as it must;
    - CorruptStateError: what lies beside an output is not readable;
    - StoreError: the store cannot be read.
    """

    def lint(self, *targets: str, ignore: Sequence[str] = ()) -> Linted:
        """Return what is legal and probably a mistake; no store is read, nothing is run.

        Args:
            targets: selectors of the steps to check; none: all.
            ignore: kinds of findings to leave out, beside those of the configuration.

        """
        from marin_build.operations.checks.lint import lint

        with self._loading():
            return lint(self._options, targets, ignore)

    def explain(self, target: str, *, code: bool = False) -> Explanation:
        """Return all that is known about why a target is built, or is not; `str()` says it.

        Args:
            target: which one.
            code: compare its code of today with that of the earlier build.

        """
        from marin_build.operations.planning.explain import explain

        with self._loaded(only=target) as loaded:
            return explain(loaded, target, compare_code=code)

    def diff(self, old: str, new: str | None = None) -> Comparison:
        """Return how the targets of two plan directories, runs or git revisions differ.

        Args:
            old, new: the two sides; without `new`, the files as they are.

        Raises:
            StoppedError: a plan was edited.

        """
        from marin_build.operations.saved_plans.diff import compare

        return compare(old, new, self._options)

    def graph(
        self, form: Format = "text", *targets: str, depth: int = 0, few_edges: bool = False
    ) -> str:
        """Return the graph of the pipeline, coloured by status.

        Args:
            form: `text`, `html`, `svg`, `dot`, `mermaid` or `json`.
            targets: what these need is drawn, too.
            depth: draw names that begin with so many equal parts as one; 0: each by itself.
            few_edges: leave out edges that other edges imply.

        """
        from marin_build.emit.graph.drawing import View
        from marin_build.operations.pages.graph import draw_pipeline

        options = self._options if self._options.program is None else None
        view = View(form, depth=depth, few=few_edges)
        with self._loaded() as loaded:
            return draw_pipeline(loaded, targets, view, options=options).text

    def report(self, *targets: str) -> str:
        """Return the report on targets, and on all they need, as one HTML page.

        Args:
            targets: whose results are shown.

        """
        from marin_build.operations.pages.report import report_on

        options = self._options if self._options.program is None else None
        with self._loaded() as loaded:
            return report_on(loaded, targets, options).text

    def status(self, *targets: str) -> ReadStatus:
        """Return the states of targets, and of all they need; nothing is judged or written."""
        from marin_build.operations.runs.status import read_status

        with self._loaded() as loaded:
            return read_status(loaded, targets)

    def metrics(
        self,
        *targets: str,
        all: bool = False,  # noqa: A002 - as the option is called
        runs: Selectors = (),
        columns: Selectors = (),
        sort: Selectors = (),
    ) -> list[dict[str, Any]]:
        """Return the numbers that steps returned, a row for each target, as pandas takes them.

        The keys are equal in all rows: `target`, `name`, `run`, `built`, then the attributes that
        differ between the rows, the numbers, `seconds` and `cost` in US dollars. None stands for
        what a row does not have. A target that is not built, or returned no number, has no row.

        Args:
            targets: selectors, and words that name one identity, as `path` takes them.
            all: every build of the targets' names, not only what the pipeline declares.
            runs: the targets of these runs, not those that the pipeline declares.
            columns: names or globs of the columns to return, besides `target`; also those of
                attributes that do not differ.
            sort: columns to sort by; `-` before one: the largest value first.

        Raises:
            UsageError: there is no such run or column.

        """
        from marin_build.operations.metrics.metrics import MetricsRequest, read_metrics_table

        request = MetricsRequest(
            targets, all, selectors_in(runs), selectors_in(columns), selectors_in(sort)
        )
        with self._loading():
            found = read_metrics_table(self._options, request, may_recall=False)
        return found.table.flat_rows()

    def attempts(self, target: str) -> tuple[AttemptSeen, ...]:
        """Return all attempts at a target that are known, the oldest first."""
        from marin_build.operations.runs.logs import list_attempts

        with self._loaded(only=target) as loaded:
            return list_attempts(loaded, target)

    def logs(self, target: str, attempt: int | None = None, *, timestamps: bool = False) -> str:
        """Return what an attempt at a target printed, as far as it is written.

        Args:
            target: which one.
            attempt: its number; None: the newest.
            timestamps: begin each line with the moment when it was printed.

        """
        from marin_build.operations.runs.logs import copy_attempt_log
        from marin_build.protocol.log_format import without_stamps

        parts: list[bytes] = []
        with self._loaded(only=target) as loaded:
            copy_attempt_log(
                loaded, target, attempt, write=parts.append, on_attempt=lambda _seen: None
            )
        data = b"".join(parts)
        return (data if timestamps else without_stamps(data)).decode("utf-8", "backslashreplace")

    def verify(self, *targets: str, content: bool = False) -> VerifiedOutputs:
        """Compare the names and sizes of outputs' files with what was committed.

        Args:
            targets: which ones.
            content: compare the contents, too, of those files whose digests were recorded.

        """
        from marin_build.operations.outputs.verify import verify_targets

        with self._loaded() as loaded:
            return verify_targets(loaded, targets, content=content)
