"""A plan as programs and notebooks see it: by target, with a text and an HTML display."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from marin_build.plan.reason_text import describe_decision

if TYPE_CHECKING:
    from collections.abc import Mapping

    from marin_build.apply.events import Warned
    from marin_build.emit.plan_rows import Shown
    from marin_build.operations.planning.planned import Planned
    from marin_build.operations.saved_plans.plan_directory import SavedPlan
    from marin_build.plan.blast_radius import BlastRadius
    from marin_build.plan.decisions import Decision
    from marin_build.plan.drift import Drift
    from marin_build.plan.estimate import PlanEstimate
    from marin_build.plan.regions import CrossRegionRead


MOST_DRAWN = 150
"""With more boxes than this, the picture in a notebook draws the steps of a group as one."""


class ProjectPlan:
    """What would be built, and why; the store as it was when the plan was made.

    `str(plan)` is the text that `marin-build plan` prints. Notebooks display a table and the graph.

    Args:
        planned: the plan; other facts are read when they are first used.
        warnings: what the author should know about the pipeline and the request.

    """

    def __init__(self, planned: Planned, warnings: tuple[Warned, ...] = ()) -> None:
        self.planned = planned
        self.warnings = warnings

    @property
    def id(self) -> str:
        """The short name, `p-81c2d3e4`: equal for equal decisions on equal targets."""
        return self.planned.id

    @property
    def decisions(self) -> Mapping[str, Decision]:
        """What becomes of each target, by its id, dependencies first; `kind` and `reason`."""
        targets = self.planned.plan.targets
        return {targets.all[each.index].id: each for each in self.planned.plan.decisions}

    @property
    def reasons(self) -> Mapping[str, str]:
        """Why, in words, by target id."""
        return {target: describe_decision(each) for target, each in self.decisions.items()}

    @property
    def to_build(self) -> tuple[str, ...]:
        """The ids of what is built, dependencies first; also those that another run builds."""
        plan = self.planned.plan
        return tuple(plan.targets.all[index].id for index in plan.to_build)

    @property
    def drift(self) -> Mapping[str, Drift]:
        """How reused targets differ from what is declared now, by target id; `text` says it."""
        targets = self.planned.plan.targets
        return {targets.all[index].id: it for index, it in self.planned.drift.items()}

    @property
    def estimate(self) -> PlanEstimate:
        """How long it may take, in seconds, and what it may cost, in US dollars."""
        return self.planned.estimate

    @property
    def reads(self) -> tuple[CrossRegionRead, ...]:
        """What steps to build read from other regions."""
        return tuple(self.planned.reads)

    @property
    def blast_radius(self) -> BlastRadius:
        """Which changes cause which rebuilds."""
        return self.planned.radius

    @property
    def summary(self) -> str:
        """The plan in one line: `plan p-81c2d3e4: 2 to build, 140 reused`."""
        return self._shown().summary

    def json_values(self) -> dict[str, Any]:
        """Return the document that `marin-build plan --json` prints."""
        import json

        from marin_build.emit.plan_json import plan_json

        planned = self.planned
        document = planned.document()
        text = plan_json(document, planned.plan, planned.estimate, None, planned.reads)
        values: dict[str, Any] = json.loads(text)
        return values

    def save(self, folder: str, sign: str | None = None) -> SavedPlan:
        """Write the plan to a directory, for review and for `marin-build apply FOLDER`.

        Args:
            folder: the directory.
            sign: the file of an ssh key to sign the plan with.

        Raises:
            UsageError: the folder holds something else, the plan has assumptions, its steps are
                declared in no file, or it cannot be signed.
            StoreError: it cannot be written.

        """
        from marin_build.operations.saved_plans.plan_directory import save_plan

        return save_plan(self.planned, folder, sign)

    def markdown(self) -> str:
        """Return the plan for a comment on a change."""
        from marin_build.emit.plan_text import plan_markdown

        return plan_markdown(self._shown())

    def _shown(self) -> Shown:
        request = self.planned.request
        words = [repr(word) for word in request.targets]
        if request.forced:
            words.append(f"force={list(request.forced)!r}")
        if request.overwrite:
            words.append(f"overwrite={list(request.overwrite)!r}")
        return self.planned.shown(("to build it", f"project.apply({', '.join(words)})"))

    def __str__(self) -> str:
        from marin_build.emit.plan_text import plan_text

        return plan_text(self._shown()).rstrip("\n")

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.summary.removeprefix('plan ')}>"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:  # noqa: ARG002 - IPython's
        printer.text(str(self))

    def _repr_html_(self) -> str:
        from marin_build.emit.plan_html import plan_html

        return plan_html(self._shown(), self._picture())

    def _picture(self) -> str | None:
        """Return the graph as SVG; None if it has too many boxes however it is drawn."""
        from dataclasses import replace

        from marin_build.emit.graph.drawing import View
        from marin_build.operations.pages.graph import draw_planned

        view = View("svg")
        count = len(self.planned.plan.decisions) + self.planned.plan.pruned
        if count > MOST_DRAWN:
            view = replace(view, depth=1)
        drawing = draw_planned(self.planned, view)
        return drawing.text if len(drawing.picture.nodes) <= MOST_DRAWN else None
