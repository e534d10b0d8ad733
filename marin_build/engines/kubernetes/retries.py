"""What a step's `Retries` are on Kubernetes: which ends of a pod are tried again, and which count.

Facts: batch/v1 `podFailurePolicy` (the first rule that fits decides; what fits none is counted),
JobSet v0.12 `failurePolicy`. Pods try once (`run-step --once`) and say by their exit code why they
failed. Kubernetes has one count: failures of the infrastructure are left uncounted, and bounded by
the deadline.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from marin_build.pipeline.retries import CODE_OF_CAUSE, INFRASTRUCTURE, policy_of

if TYPE_CHECKING:
    from marin_build.pipeline.step_spec import StepSpec


_CODES = {cause: code for cause, code in CODE_OF_CAUSE.items() if cause != "infra"}


@dataclass(frozen=True, slots=True)
class ExitRule:
    """What becomes of a pod whose exit code is one of `codes` (`In`), or none (`NotIn`)."""

    action: str
    operator: str
    codes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class JobRetries:
    """What the templates need of a step's retries.

    Args:
        limit: how many failures are counted before the job has failed.
        tries_infra: whether failures of the infrastructure are tried again at all.
        exits: rules of a lone pod, after that of a lost node.
        final_exits: rules of a gang's pods: after these ends it has failed. A gang cannot tell
            exit code 75 from a lost node without trying program errors for ever, so it counts.

    """

    limit: int
    tries_infra: bool
    exits: tuple[ExitRule, ...]
    final_exits: tuple[ExitRule, ...]


def job_retries(step: StepSpec) -> JobRetries:
    """Return the retries of a step as rules."""
    policy = policy_of(step.retries)
    tries_infra = policy.budget_for("infra") > 0
    final: list[ExitRule] = []
    if policy.limit:  # else nothing is tried again anyway
        left_out = tuple(code for cause, code in _CODES.items() if cause not in policy.on)
        if left_out:
            final.append(ExitRule("FailJob", "In", tuple(sorted(left_out))))
        if "app" not in policy.on:
            others = (INFRASTRUCTURE, *sorted(_CODES.values()))
            final.append(ExitRule("FailJob", "NotIn", others))
    action = "Ignore" if tries_infra else "FailJob"
    infrastructure = ExitRule(action, "In", (INFRASTRUCTURE,))
    return JobRetries(policy.limit, tries_infra, (infrastructure, *final), tuple(final))


def deadline_of(step: StepSpec, longest: int, *, tries: int) -> int:
    """Return the seconds after which a job is given up.

    Args:
        step: the step.
        longest: for a step without a time-out.
        tries: how many of its tries the job lasts for.

    """
    return longest if step.timeout is None else math.ceil(step.timeout) * tries
