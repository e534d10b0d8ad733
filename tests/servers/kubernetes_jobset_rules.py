"""The failure policy of a JobSet in the tests' Kubernetes: what the failure of a Job leads to.

Source: the pages of JobSet on failure policies: the first rule that fits a failed Job decides, and
where none does, the JobSet is restarted, and that is counted.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from .kubernetes_resources import condition_of

if TYPE_CHECKING:
    from .kubernetes_resources import Object

PREFIX = "jobset.sigs.k8s.io/"


def decide(policy: Object, failed: list[Object]) -> tuple[str, Object]:
    """Return the action of the first rule that fits a failed Job, and that Job."""
    for rule in policy.get("rules") or ():
        for job in failed:
            if _fits(rule, job):
                return rule["action"], job
    return "RestartJobSet", failed[0]


def _fits(rule: Object, job: Object) -> bool:
    failure = condition_of(job, "Failed")
    assert failure is not None
    reasons, targets = rule.get("onJobFailureReasons"), rule.get("targetReplicatedJobs")
    patterns = rule.get("onJobFailureMessagePatterns")
    name = job["metadata"]["labels"][f"{PREFIX}replicatedjob-name"]
    message = failure.get("message", "")
    return (
        (not reasons or failure["reason"] in reasons)
        and (not targets or name in targets)
        and (not patterns or any(_matches(each, message) for each in patterns))
    )


def _matches(pattern: str, message: str) -> bool:
    try:
        return re.search(pattern, message) is not None
    except re.error:  # accepted by the server, and never fitting
        return False


def failure_time(job: Object) -> str:
    """Return when a Job failed."""
    failure = condition_of(job, "Failed")
    assert failure is not None
    return str(failure["lastTransitionTime"])


def because(text: str, job: Object) -> str:
    """Return a message that names the Job that failed."""
    return f"{text} (first failed job: {job['metadata']['name']})"
