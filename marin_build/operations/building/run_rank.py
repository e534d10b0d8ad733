"""One target as a rank of a gang helps to build it: under the lease of the leader."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from marin_build.errors import EXIT_OK, EXIT_STOPPED
from marin_build.operations.building.apply import hear_signals
from marin_build.operations.building.run_session import make_session
from marin_build.operations.building.run_step import plan_of_target
from marin_build.operations.saved_plans.plan_pins import pinned_code
from marin_build.plan.decisions import Kind
from marin_build.plan.outcomes import Stopped
from marin_build.run_step.rank import RankEnded, RankWorker
from marin_build.run_step.supervisor import refusal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from marin_build.operations.loading.loading import Loaded
    from marin_build.plan.document import PlanDocument
    from marin_build.run_step.launch import Launch


def run_rank(
    loaded: Loaded,
    target_id: str,
    launch: Launch,
    document: PlanDocument | None = None,
    words: Sequence[str] = (),
    *,
    lease: bool = True,
) -> RankEnded:
    """Run this rank's part of a target, and tell the leader how it ended.

    Args:
        loaded: the pipeline and its store.
        target_id: the target's id, `name_with_hash`.
        launch: which rank of which gang this process is; not the leader.
        document: the plan that pins the target; None: it is built as it is declared now.
        words: the command that it must have in the pipeline; empty: it is not checked.
        lease: whether the store must have conditional writes.

    Raises:
        StoppedError: see `run_step`; or the leader did not begin.
        StoreError: the store cannot be read.

    """
    from marin_build.run_step.fork.bodies import ForkBodies

    loaded, plan = plan_of_target(loaded, target_id, document, words, launch)
    (decision,) = plan.decisions
    if decision.kind is Kind.REUSE:
        return RankEnded("it is built already", EXIT_OK, EXIT_OK)
    pinned = pinned_code(document) if document is not None else {}
    session = make_session(loaded, plan, pinned, lease=lease, launch=launch)
    refused = refusal(session, decision.index)
    if decision.kind is Kind.BLOCKED:
        refused = Stopped("the plan blocks it: the leader says why")
    if refused is not None:
        return RankEnded(refused.message, EXIT_STOPPED, EXIT_STOPPED)
    bodies = ForkBodies(session, 1)  # forked before there are threads
    over = plan.snapshot.of(decision.index).status_version
    worker = RankWorker(session, decision.index, bodies, forced_over=over)
    before = hear_signals(worker.interrupt)
    try:
        return worker.run()
    finally:
        bodies.close()
        for number, handler in before.items():
            signal.signal(number, handler)
