"""A step's `Retries` as rules for Kubernetes: which ends of a pod are tried again and counted.

Facts: batch/v1 `podFailurePolicy` (the first rule that fits decides; what fits none is counted),
JobSet v0.12 `failurePolicy`. Pods try once (`run-step --once`) and say by their exit code why they
failed. Kubernetes has one count: failures of the infrastructure are left uncounted, and bounded by
the deadline.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from marin_build.engines.kubernetes.api_rules import LARGEST_INT32
from marin_build.engines.kubernetes.pods import GRACE
from marin_build.errors import EXIT_INTERRUPTED
from marin_build.pipeline.retries import CODE_OF_CAUSE, INFRASTRUCTURE, policy_of

if TYPE_CHECKING:
    from marin_build.pipeline.step_spec import StepSpec


_CODES = {cause: code for cause, code in CODE_OF_CAUSE.items() if cause != "infra"}


@dataclass(frozen=True, slots=True)
class ExitRule:
    """A rule for pods whose exit code is one of `codes` (`In`), or none of them (`NotIn`)."""

    action: str
    operator: str
    codes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class JobRetries:
    """The values of a step's retries that the templates use.

    Args:
        limit: how many counted failures a job survives.
        tries_infra: whether failures of the infrastructure are tried again at all.
        exits: rules for the pod of a Job, after the rule for a lost node.
        interrupted: the exit code of a pod that was asked to end, without having failed: one of a
            gang whose other hosts were taken away, or one that a person deleted.
        final_exits: rules for the pods of a JobSet: exit codes after which the whole gang has
            failed. Exit code 75 is counted there: JobSet restarts at once, and would do so for
            ever.

    """

    limit: int
    tries_infra: bool
    exits: tuple[ExitRule, ...]
    interrupted: int
    final_exits: tuple[ExitRule, ...]

    @property
    def interrupted_pattern(self) -> str:
        """What the message of a Job holds whose pod ended with that code."""
        return f"failed with exit code {self.interrupted} "


def job_retries(step: StepSpec) -> JobRetries:
    """Return the retries of a step as rules."""
    policy = policy_of(step.retries)
    tries_infra = policy.budget_for("infra") > 0
    final: list[ExitRule] = []
    if policy.limit:  # with a limit of 0 nothing is tried again
        left_out = tuple(code for cause, code in _CODES.items() if cause not in policy.on)
        if left_out:
            final.append(ExitRule("FailJob", "In", tuple(sorted(left_out))))
        if "app" not in policy.on:
            others = (INFRASTRUCTURE, *sorted((*_CODES.values(), EXIT_INTERRUPTED)))
            final.append(ExitRule("FailJob", "NotIn", others))
    action = "Ignore" if tries_infra else "FailJob"
    infrastructure = ExitRule(action, "In", (INFRASTRUCTURE, EXIT_INTERRUPTED))
    exits = (infrastructure, *final)
    return JobRetries(policy.limit, tries_infra, exits, EXIT_INTERRUPTED, tuple(final))


def deadline_of(step: StepSpec, beside: int, *, tries: int) -> int:
    """Return the seconds after which Kubernetes ends a job.

    The time-out of a step is kept inside its pod, which counts only while the step runs. The
    deadline of a job begins before its pod has a node and an image, and goes on while lost nodes
    are replaced: it is longer, so that it only ends jobs that would go on for ever.

    Args:
        step: the step.
        beside: the seconds that a job may take beside its tries; all, for a step without time-out.
        tries: how many tries of the step are in the job.

    """
    own = 0 if step.timeout is None else (math.ceil(step.timeout) + GRACE) * tries
    return min(own + beside, LARGEST_INT32)
