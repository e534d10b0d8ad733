"""Marin's sweep: workers that know nothing of each other share a list of targets by their locks."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from marin_build.compat.artifact_record import (
    StepRecordIdentity,
    payload_json,
    write_step_record,
)
from marin_build.compat.rigging.storage_path import prefix_join
from marin_build.compat.sweep_coordination import GangRole, gang_coordinator
from marin_build.errors import StepAlreadyDone
from marin_build.protocol.status import STATUS_FAILED, STATUS_SUCCESS
from marin_build.runtime.step_lock import step_lock
from marin_build.workspace.workspace import absolute_prefix, current_workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from marin_build.compat.sweep_coordination import SweepCoordinator

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SweepTarget:
    """One of the targets of a sweep.

    Args:
        target_id: its name in the sweep, and the folder of its output.
        config: what the function makes of it.

    """

    target_id: str
    config: Any


def claim_and_run(
    sweep_root: str,
    targets: Iterable[SweepTarget],
    run_fn: Callable[[SweepTarget], None],
    *,
    coordinator: SweepCoordinator | None = None,
) -> None:
    """Run every target that no other worker has run or runs.

    Each worker calls this with the same targets in the same order. A target whose function raises
    is FAILED: the error ends this worker, and another one tries the target again.

    Args:
        sweep_root: the folder or URL below which targets have their outputs; a relative one lies
            under the prefix.
        targets: what there is to do.
        run_fn: runs one target.
        coordinator: of a gang, whose leader alone takes locks; None: this process works alone.

    Raises:
        Exception: what the function raised.
        SpecificationError: this process is one of a gang, and no coordinator was given.

    """
    listed = list(targets)
    gang = coordinator if coordinator is not None else gang_coordinator()
    try:
        if gang.role is GangRole.FOLLOWER:
            _follow(listed, run_fn, gang)
        else:
            root = absolute_prefix(sweep_root, current_workspace().prefix)
            _lead(root, listed, run_fn, gang)
    finally:
        gang.close()


def _lead(
    root: str,
    targets: Sequence[SweepTarget],
    run_fn: Callable[[SweepTarget], None],
    gang: SweepCoordinator,
) -> None:
    """Run the targets that this worker gets, and announce each of them to its gang."""
    announced = 0
    for target in targets:
        output = prefix_join(root, target.target_id)
        try:
            with step_lock(output, target.target_id) as status:
                gang.publish(announced, target.target_id)
                announced += 1
                try:
                    run_fn(target)
                except Exception:
                    status.write_status(STATUS_FAILED)
                    raise
                _record(output, target)
                status.refresh_lock()  # what was run without the lock does not count
                status.write_status(STATUS_SUCCESS)
        except StepAlreadyDone:
            _log.info("`%s` was run by another worker", target.target_id)
    gang.publish(announced, None)
    gang.wait_for_followers(announced)


def _record(output: str, target: SweepTarget) -> None:
    """Write what was run beside its output, where the config is an object of JSON."""
    config = payload_json(target.config)
    if config is None or isinstance(config, dict):
        identity = StepRecordIdentity(target.target_id, deps=[], dep_paths=[], config=config)
        write_step_record(identity, output_path=output, result=None)


def _follow(
    targets: Sequence[SweepTarget], run_fn: Callable[[SweepTarget], None], gang: SweepCoordinator
) -> None:
    """Run what the leader announces, without a lock."""
    by_id = {target.target_id: target for target in targets}
    number = 0
    while (target_id := gang.receive(number)) is not None:
        run_fn(by_id[target_id])
        number += 1
