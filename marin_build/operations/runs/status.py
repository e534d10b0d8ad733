"""The states of targets under a prefix, as one look at the store, and at queues, shows them."""

from __future__ import annotations

import time
from dataclasses import field
from typing import TYPE_CHECKING

from marin_build.engines.registry import DEFAULT_ENGINE
from marin_build.observe.read_target_states import read_target_states
from marin_build.operations.engine_jobs.read_jobs import SeenJobs, read_jobs
from marin_build.operations.planning.choose_targets import choose
from marin_build.plan.graph_shape import upstream
from marin_build.plan.target_state import MAY_WAIT
from marin_build.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from marin_build.operations.loading.loading import Loaded
    from marin_build.pipeline.targets import Targets
    from marin_build.plan.target_state import TargetState
    from marin_build.protocol.lease import Host


@dataclass(frozen=True, slots=True)
class ReadStatus:
    """The states of some targets.

    Args:
        targets: the pipeline's targets.
        states: by index, in the order of the pipeline.
        host: the machine that read them.
        at: when, in seconds since the epoch.
        silent: engine -> why its queue gave no answer: what waits there is not known.

    """

    targets: Targets
    states: Mapping[int, TargetState]
    host: Host
    at: float
    silent: Mapping[str, str] = field(default_factory=dict)


def read_status(
    loaded: Loaded, selectors: Sequence[str] = (), *, ask_queues: bool = True
) -> ReadStatus:
    """Read the states of targets; nothing is judged and nothing is written.

    Args:
        loaded: the pipeline and its store.
        selectors: which targets; none: what the pipeline requests, and all that this needs.
        ask_queues: ask the engine's queue for jobs; it must be known what the steps ask for.

    Raises:
        UsageError: selectors that cannot be read, or select nothing; or the engine is unknown.
        StoreError: the store cannot be read.

    """
    chosen = choose(loaded, selectors)
    if not selectors:
        chosen = tuple(sorted(upstream(loaded.targets, chosen)))
    states = read_target_states(loaded.store, loaded.targets, loaded.host, chosen)
    waiting = [index for index, each in states.items() if each.state in MAY_WAIT]
    engine = loaded.settings.engine
    if ask_queues or engine == DEFAULT_ENGINE:
        seen = read_jobs(loaded, waiting)
    else:
        seen = SeenJobs(silent={engine: "the pipeline was not asked what its steps ask for"})
    for index, job in seen.jobs.items():
        states[index] = states[index].with_job(job)
    return ReadStatus(loaded.targets, states, loaded.host, time.time(), seen.silent)
