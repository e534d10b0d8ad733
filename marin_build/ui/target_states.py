"""The states in which a run leaves its targets, as a page shows them. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, assert_never, get_args

from marin_build.text.readable import printable, shortened

if TYPE_CHECKING:
    from collections.abc import Mapping

    from marin_build.apply.run_summary import RunTarget
    from marin_build.emit.graph.picture import State


LiveState = Literal[
    "reused", "built", "waiting", "queued", "running", "held", "failed", "stopped", "blocked",
    "interrupted", "not started", "later",
]  # fmt: skip
"""`reused`: nothing was to be done. `waiting`: it is still to be started. `held`: another run
builds it. `interrupted`: the run was asked to end, or died. `not started`: the run ended before."""
LIVE_STATES: tuple[LiveState, ...] = get_args(LiveState)

PLANNED: Mapping[State, LiveState] = {
    "built": "reused",
    "to build": "waiting",
    "stale": "waiting",
    "failed": "waiting",
    "held": "held",
    "blocked": "blocked",
    "later": "later",
}
"""What the plan of a run says of a target -> its state before the run says anything of it."""

_LONGEST = 2000


def live_state(target: RunTarget, *, is_over: bool) -> LiveState:
    """Return the state of a target of which the journal of a run says something.

    Args:
        target: what the journal said last.
        is_over: whether the run has ended, or its process is gone.

    """
    match target.outcome:
        case "begun" if is_over:
            return "interrupted"
        case "begun":
            return "queued" if target.phase == "queued" else "running"
        case "failed":
            return "waiting" if target.is_tried_again and not is_over else "failed"
        case "waiting":
            return "held"
        case "built" | "reused" | "stopped" | "interrupted" | "blocked":
            return target.outcome
    assert_never(target.outcome)


def state_facts(target: RunTarget, *, is_over: bool) -> dict[str, Any]:
    """Return what a page needs to know of a target, as JSON values, without empty ones."""
    state = live_state(target, is_over=is_over)
    facts = {
        "attempt": target.attempt or None,
        "code": target.exit_code or None,
        "message": shortened(target.message, _LONGEST),
        "seconds": target.seconds,
        "since": round(target.since, 3) if state in ("running", "queued", "held") else None,
        "job": printable(target.job),
        "place": printable(target.place),
        "again": (target.is_tried_again and state == "waiting") or None,
    }
    return {"state": state} | {
        key: value for key, value in facts.items() if value not in (None, "")
    }
