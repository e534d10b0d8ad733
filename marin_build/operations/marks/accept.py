"""Accepts drift: a user records that today's code and environment are as good as the old ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from marin_build.errors import UsageError
from marin_build.operations.planning.plan import make_planned
from marin_build.operations.planning.planned import PlanRequest
from marin_build.plan.decisions import Kind
from marin_build.plan.reasons import SealedBefore
from marin_build.protocol.acceptance import (
    Acceptance,
    AcceptedDocument,
    AcceptedEnvironment,
    write_accepted,
)
from marin_build.text.moments import stamp_now

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from marin_build.observe.read_drift import Drifted
    from marin_build.operations.loading.loading import Loaded
    from marin_build.plan.decisions import Plan
    from marin_build.plan.drift import Drift


_SHOWN = 10
_NOTHING_ACCEPTED = "nothing was accepted"


@dataclass(frozen=True, slots=True)
class TargetDrift:
    """The drift of one target that was chosen.

    Args:
        target: its id.
        drift: how today's declaration differs from what built the target; None if it does not.
        is_accepted: whether the drift is accepted; a changed identity never is.
        is_built: whether there is an output whose drift could be accepted.

    """

    target: str
    drift: Drift | None
    is_accepted: bool
    is_built: bool = True


@dataclass(frozen=True, slots=True)
class AcceptedDrift:
    """The drift of all targets that were chosen, in the order of the pipeline, and the reason."""

    targets: tuple[TargetDrift, ...]
    reason: str

    @property
    def accepted(self) -> tuple[str, ...]:
        """The ids of the targets whose drift is accepted."""
        return tuple(each.target for each in self.targets if each.is_accepted)


def accept_drift(
    loaded: Loaded,
    selectors: Sequence[str],
    reason: str,
    *,
    on_found: Callable[[AcceptedDrift], None] | None = None,
) -> AcceptedDrift:
    """Record that the code and environment of today are as good as those that built targets.

    Chosen targets that are not built are left out.

    Args:
        loaded: the pipeline and its store.
        selectors: which targets.
        reason: why the difference does not matter.
        on_found: called with the value to return, before anything is written.

    Raises:
        UsageError: an empty reason, or no chosen target is built.
        StoreError: the store cannot be read or written.

    """
    if not reason.strip():
        raise UsageError("the reason is empty", consequence=_NOTHING_ACCEPTED)
    planned = make_planned(loaded, PlanRequest(tuple(selectors)), history=False)
    if not planned.decided.requested:  # `drifted`, and nothing did
        return AcceptedDrift((), reason)
    missing = _not_built(planned.decided)
    plan, drift = planned.plan, planned.found
    chosen = sorted(plan.requested)
    drifted = {i: drift.drifted[i] for i in chosen if i in drift.drifted and i not in missing}
    found = AcceptedDrift(
        tuple(
            TargetDrift(
                plan.targets.all[index].id,
                drifted[index].drift if index in drifted else drift.drift.get(index),
                index in drifted,
                index not in missing,
            )
            for index in chosen
        ),
        reason,
    )
    if on_found is not None:
        on_found(found)
    _write(loaded, drifted, reason)
    return found


def _not_built(plan: Plan) -> set[int]:
    """Return the chosen targets that are not built: they have no output to accept code for.

    Raises:
        UsageError: all of them.

    """
    asked = set(plan.requested)
    missing = [
        d.index
        for d in plan.decisions
        if d.index in asked and (d.kind is not Kind.REUSE or isinstance(d.reason, SealedBefore))
    ]
    if len(missing) == len(asked):
        shown = [plan.targets.all[index].id for index in missing[:_SHOWN]]
        raise UsageError(
            "cannot accept targets that are not built",
            facts=[("not built", "\n".join(shown))],
            consequence=_NOTHING_ACCEPTED,
            hint="marin-build plan shows why",
        )
    return set(missing)


def _write(loaded: Loaded, drifted: Mapping[int, Drifted], reason: str) -> None:
    at = stamp_now()
    for index, it in drifted.items():
        target, now = loaded.targets.all[index], it.environment
        write_accepted(
            loaded.store,
            target.output_path,
            AcceptedDocument(
                target=target.id,
                fingerprint=it.built.fingerprint,
                run=it.built.run,
                code_digest=it.built.code_digest,
            ),
            Acceptance(
                code_digest=target.step.code_digest,
                upstream=it.upstream,
                environment=AcceptedEnvironment(
                    python=now.python,
                    distributions=_dict(now.distributions),
                    locks=_dict(now.locks),
                    image=now.image,
                    variables=_dict(now.variables),
                ),
                reason=reason,
                by=loaded.host.worker,
                at=at,
            ),
        )


def _dict(table: Mapping[str, str] | None) -> dict[str, str] | None:
    return None if table is None else dict(table)
