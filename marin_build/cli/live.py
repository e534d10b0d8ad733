"""What the live view of `apply` knows beside the events: the plan, its history, local logs."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from marin_build.cli.log_tails import last_line
from marin_build.cli.views.apply_live import LiveView
from marin_build.cli.views.live_progress import Foreseen
from marin_build.protocol.lease import Lease
from marin_build.run_step.session import log_path

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from marin_build.apply.events import StepFailed
    from marin_build.plan import Plan


def live_view(
    plan: Plan,
    expected: Mapping[int, float],
    again: str,
    alone: Callable[[StepFailed], str],
    *,
    stops_after: int | None,
) -> LiveView:
    """Return the live view of a run.

    Args:
        plan: what is to be built.
        expected: seconds that targets may take, of those of which that is known.
        again: the command that goes on.
        alone: gives the command that runs a failed target alone.
        stops_after: after so many failures nothing more is started; None: it goes on.

    """
    targets = plan.targets
    order = sorted(plan.to_build + plan.sealed)
    places = {index: place for place, index in enumerate(order)}
    sealed = dict.fromkeys(plan.sealed, 0.0)  # they are only published
    foreseen = Foreseen(
        [targets.all[i].id for i in order],
        [[places[dep] for dep in targets.deps[i] if dep in places] for i in order],
        [sealed.get(i, expected.get(i)) for i in order],
        stops_after,
    )
    paths = {targets.all[i].id: targets.all[i].output_path for i in order}

    def said(run: str, target: str, since: float) -> str:
        anyone = Lease("", 0.0, run=run, attempt=1)
        return last_line(os.path.dirname(log_path(paths[target], target, anyone)), since)

    return LiveView(again, alone, foreseen, said)
