"""What Kubernetes says of a job has its meaning here: else a lost node is a broken step."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from marin_build.engines.jobs import JobState, Phase
from marin_build.engines.kubernetes.job_states import gone_state, has_ended, job_state
from marin_build.engines.kubernetes.pod_states import log_pod, owner_of, why_it_cannot_start

TABLE = json.loads((Path(__file__).parents[3] / "data/kubernetes_states.json").read_text())
"""State -> what it means, collected from the published APIs."""
EXIT_3 = {"terminated": {"exitCode": 3, "reason": "Error", "finishedAt": "2026-11-30T01:00:00Z"}}


def _job(*conditions: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"kind": "Job", "metadata": {}, "status": {"conditions": list(conditions)}, **more}


def _condition(kind: str, reason: str = "", message: str = "", **more: Any) -> dict[str, Any]:
    return {"type": kind, "status": "True", "reason": reason, "message": message, **more}


def _pod(phase: str, state: dict[str, Any] | None = None, **status: Any) -> dict[str, Any]:
    status["containerStatuses"] = [{"name": "main", "state": state}] if state else []
    return {
        "metadata": {"name": "p", "labels": {}},
        "spec": {"nodeName": "n1"},
        "status": {"phase": phase, **status},
    }


def _failed(reason: str, message: str = "") -> dict[str, Any]:
    return _job(_condition("Failed", reason, message))


OOM = _pod("Failed", {"terminated": {"exitCode": 137, "reason": "OOMKilled"}})
DISRUPTED = _pod(
    "Failed", EXIT_3, conditions=[_condition("DisruptionTarget", "EvictionByEvictionAPI", "bye")]
)
BACKOFF = _failed("BackoffLimitExceeded", "Job has reached the specified backoff limit")
SUSPENDED_SET = {**_job(_condition("Suspended")), "kind": "JobSet"}
RESTARTING = {**_job(_condition("RestartingJobSet")), "kind": "JobSet"}
# A state of the table -> an object in it, its pods, and what we say: phase and cause.
SEEN: dict[str, dict[str, tuple[dict[str, Any], list[dict[str, Any]], Phase, str | None]]] = {
    "job": {
        "Complete=True": (_job(_condition("Complete")), [], Phase.ENDED, None),
        "Failed/BackoffLimitExceeded": (BACKOFF, [_pod("Failed", EXIT_3)], Phase.ENDED, None),
        "Failed/DeadlineExceeded": (_failed("DeadlineExceeded"), [], Phase.ENDED, "timeout"),
        "Failed/PodFailurePolicy": (
            _failed("PodFailurePolicy", "Container main for pod a/b failed with exit code 124 "
                    "matching FailJob rule at index 2"),
            [], Phase.ENDED, "timeout",
        ),
        "Failed/FailedIndexes": (_failed("FailedIndexes"), [], Phase.ENDED, None),
        "Failed/MaxFailedIndexesExceeded":
            (_failed("MaxFailedIndexesExceeded"), [], Phase.ENDED, None),
        "Suspended=True": (_job(_condition("Suspended")), [], Phase.QUEUED, None),
    },
    "pod": {
        "terminated.reason=OOMKilled": (BACKOFF, [OOM], Phase.ENDED, "oom"),
        "condition DisruptionTarget=True": (BACKOFF, [DISRUPTED], Phase.ENDED, "infra"),
        "reason Evicted": (
            BACKOFF, [_pod("Failed", reason="Evicted", message="low on memory")],
            Phase.ENDED, "infra",
        ),
        "reason UnexpectedAdmissionError": (
            BACKOFF, [_pod("Failed", reason="UnexpectedAdmissionError")], Phase.ENDED, "infra",
        ),
        "waiting ErrImagePull/ImagePullBackOff/CreateContainerConfigError": (
            _job(), [_pod("Pending", {"waiting": {"reason": "ErrImagePull", "message": "no x"}})],
            Phase.QUEUED, None,
        ),
    },
    "jobset": {
        "terminalState=Completed":
            ({**_job(_condition("Completed")), "kind": "JobSet"}, [], Phase.ENDED, None),
        "terminalState=Failed": ({**_failed("FailedJobs"), "kind": "JobSet"},
                                 [_pod("Failed", EXIT_3)], Phase.ENDED, None),
        "condition RestartingJobSet": (RESTARTING, [], Phase.QUEUED, None),
        "condition Suspended": (SUSPENDED_SET, [], Phase.QUEUED, None),
    },
}  # fmt: skip


def test_no_state_of_the_table_is_left_out() -> None:
    assert {kind: set(rows) for kind, rows in SEEN.items()} == {
        kind: set(rows) for kind, rows in TABLE.items()
    }


@pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for kind, rows in SEEN.items() for name in rows]
)
def test_a_state_means_what_the_table_says(kind: str, name: str) -> None:
    job, pods, phase, cause = SEEN[kind][name]
    state = job_state(job, pods)
    assert (state.phase, state.cause) == (phase, cause)
    assert has_ended(job) == (phase is Phase.ENDED)
    meaning = TABLE[kind][name].partition(" ")[0]
    if phase is not Phase.ENDED:
        assert meaning in {"PENDING", "PREEMPTED_RETRYING", "REJECTED"}
        assert bool(why_it_cannot_start(pods)) == (meaning == "REJECTED")
    elif not meaning.startswith("FAILED_APP"):
        causes = {"FAILED_TIMEOUT": "timeout", "FAILED_OOM": "oom", "SUCCEEDED": None}
        assert cause == causes.get(meaning, "infra")


@pytest.mark.parametrize(
    ("job", "pods", "words"),
    [
        (BACKOFF, [_pod("Failed", EXIT_3)], "Failed (BackoffLimitExceeded): exit code 3"),
        (BACKOFF, [OOM], "Failed (BackoffLimitExceeded): OOMKilled, exit code 137"),
        (BACKOFF, [DISRUPTED], "Failed (BackoffLimitExceeded): EvictionByEvictionAPI: bye"),
        (_failed("DeadlineExceeded", "Job was active\nfor too long"), [],
         "Failed (DeadlineExceeded): Job was active"),
        (_job(), [_pod("Running")], ""),
        (_job(), [_pod("Running"), _pod("Pending")], "1 of 2 pods run"),
        (_job(), [], "no pod yet"),
        (_job(), [_pod("Pending", conditions=[{"type": "PodScheduled", "status": "False",
                  "reason": "Unschedulable", "message": "0/3 nodes are available"}])],
         "Unschedulable: 0/3 nodes are available"),
        (_job(), [_pod("Pending", {"waiting": {"reason": "ContainerCreating"}})],
         "ContainerCreating"),
        (_job(metadata={"deletionTimestamp": "x"}), [_pod("Running")],
         "it was deleted, and is ending"),
    ],
)  # fmt: skip
def test_the_servers_words_are_told(
    job: dict[str, Any], pods: list[dict[str, Any]], words: str
) -> None:
    """Else a person asks kubectl what we were told."""
    assert job_state(job, pods).words == words


def test_a_gang_fails_as_the_first_of_its_jobs() -> None:
    """Else the hosts that ended with it hide the one that ran out of memory."""
    first = _failed("PodFailurePolicy", "Pod a/b has condition DisruptionTarget matching FailJob")
    first["status"]["conditions"][0]["lastTransitionTime"] = "2026-11-30T01:00:00Z"
    later = _failed("BackoffLimitExceeded", "backoff limit")
    later["status"]["conditions"][0]["lastTransitionTime"] = "2026-11-30T01:00:09Z"
    jobset = {**_failed("FailedJobs", "jobset failed"), "kind": "JobSet"}
    state = job_state(jobset, [], [later, first])
    assert state.cause == "infra"
    assert state.words.startswith("Failed (PodFailurePolicy): Pod a/b has condition")


def test_a_deleted_job_is_not_a_lost_node() -> None:
    """Else what a person ends on purpose is started again."""
    assert gone_state([]) == JobState(Phase.ENDED, "CANCELLED: it was deleted")
    still = gone_state([_pod("Running")])
    assert (still.phase, still.place) == (Phase.RUNNING, "n1")


def _named(name: str, phase: str, at: str, **labels: str) -> dict[str, Any]:
    ended = {"terminated": {"exitCode": 1, "finishedAt": at}}
    pod = _pod(phase, ended if phase == "Failed" else {"running": {"startedAt": at}})
    pod["metadata"] |= {"name": name, "labels": labels, "creationTimestamp": at}
    return pod


def test_the_log_is_that_of_the_pod_that_decided() -> None:
    """Else a person reads the words of a host that only ended with the others."""
    gang = {"jobset.sigs.k8s.io/jobset-name": "j"}
    old, new = _named("old", "Failed", "2026-01-01"), _named("new", "Failed", "2026-01-02")
    assert log_pod([new, old]) == "new"
    assert log_pod([_named("b", "Failed", "2", **gang), _named("a", "Failed", "1", **gang)]) == "a"
    assert log_pod([_named("now", "Running", "2026-01-03")]) == "now"
    assert log_pod([_pod("Pending")]) == ""
    assert owner_of(_named("a", "Running", "1", **gang)) == "j"


@pytest.mark.parametrize(
    "odd",
    [{}, {"status": None}, {"status": {"conditions": 3}}, {"status": {"conditions": [None, {}]}},
     {"metadata": [], "spec": "x", "status": {"containerStatuses": {"a": 1}, "phase": 7}}],
)  # fmt: skip
def test_an_object_of_another_shape_says_nothing(odd: dict[str, Any]) -> None:
    """Else a controller of another team ends our run with a traceback."""
    assert job_state(odd, [odd]).phase is Phase.QUEUED
    assert owner_of(odd) == log_pod([odd]) == why_it_cannot_start([odd]) == ""
