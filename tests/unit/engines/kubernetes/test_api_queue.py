"""The jobs of a cluster as a queue: names are taken once, and what ended makes way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from kubernetes.client import Configuration

from marin_build.engines.jobs import (
    JobNotYetError,
    JobRefusedError,
    JobRequest,
    Phase,
    QueueAwayError,
)
from marin_build.engines.kubernetes import cluster_api
from marin_build.engines.kubernetes.api_errors import ApiError
from marin_build.engines.kubernetes.api_queue import ApiQueue
from marin_build.engines.kubernetes.cluster_api import ClusterApi
from marin_build.engines.kubernetes.labels import selector_of

if TYPE_CHECKING:
    from pathlib import Path

PREFIX = "gs://b/x"
LABELS = dict(pair.split("=") for pair in selector_of(PREFIX).split(","))


def _manifest(name: str, target: str = "a_1", kind: str = "Job", **spec: Any) -> dict[str, Any]:
    return {
        "kind": kind,
        "metadata": {
            "name": name, "labels": dict(LABELS), "annotations": {"marin-build/target": target},
        },
        "spec": spec,
    }  # fmt: skip


def _request(name: str, target: str = "a_1", kind: str = "Job", **spec: Any) -> JobRequest:
    import yaml

    return JobRequest(name, yaml.safe_dump(_manifest(name, target, kind, **spec)))


class Cluster(ClusterApi):
    """Objects in memory: by kind and name."""

    def __init__(self) -> None:
        super().__init__(None, "ns")
        self.objects: dict[tuple[str, str], dict[str, Any]] = {}
        self.calls: list[str] = []
        self.fails: dict[str, ApiError] = {}
        """A call -> what the server says to it."""

    def put(self, name: str, *, kind: str = "Job", **status: Any) -> dict[str, Any]:
        made = _manifest(name, kind=kind) | {"status": status}
        made["metadata"]["uid"] = f"uid-{name}"
        return self.objects.setdefault((kind, name), made)

    def end(self, name: str, how: str = "Failed") -> None:
        condition = {"type": how, "status": "True", "reason": "BackoffLimitExceeded"}
        self.objects["Job", name]["status"] = {"conditions": [condition]}

    def list_all(self, kind: str, *, labels: str = "", fields: str = "") -> list[dict[str, Any]]:
        self._call(f"list {kind}")
        wanted = dict(pair.split("=") for pair in labels.split(",") if pair)
        return [
            each
            for (of, _), each in self.objects.items()
            if of == kind and wanted.items() <= each["metadata"].get("labels", {}).items()
        ]

    def get(self, kind: str, name: str) -> dict[str, Any] | None:
        self._call(f"get {kind}")
        return self.objects.get((kind, name))

    def create(self, kind: str, body: dict[str, Any], *, dry_run: bool = False) -> dict[str, Any]:
        self._call(f"{'try' if dry_run else 'create'} {kind}")
        name = body["metadata"]["name"]
        if dry_run:
            return body
        if (kind, name) in self.objects:
            raise ApiError(409, "already exists")
        return self.put(name, kind=kind)

    def delete(self, kind: str, name: str, *, uid: str = "", **options: Any) -> None:
        self._call(f"delete {kind} {name} {options} {uid}".strip())
        if self.objects.pop((kind, name), None) is None:
            raise ApiError(404, "not found")

    def log(self, pod: str, lines: int, limit: int) -> bytes:
        return f"words of {pod}".encode()

    def _call(self, call: str) -> None:
        self.calls.append(call)
        if error := self.fails.get(call):
            raise error


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


@pytest.fixture
def queue(cluster: Cluster, tmp_path: Path) -> ApiQueue:
    return ApiQueue(cluster, PREFIX, str(tmp_path / "logs"), 1.0, start_within=0.0)


def test_a_name_that_is_taken_is_found(cluster: Cluster, queue: ApiQueue) -> None:
    """Else each run that is begun again starts a second pod for the same step."""
    assert queue.submit(_request("mb-a")) == "mb-a"
    assert queue.find({"mb-a", "mb-b"}) == {"mb-a": "mb-a"}
    assert queue.submit(_request("mb-a")) == "mb-a"  # by two runs at the same moment
    assert len(cluster.objects) == 1


def test_what_has_ended_makes_way(cluster: Cluster, queue: ApiQueue) -> None:
    """Else a failed Job blocks its target for a week."""
    queue.submit(_request("mb-a"))
    cluster.end("mb-a")
    assert queue.find({"mb-a"}) == {}
    assert queue.submit(_request("mb-a")) == "mb-a"
    (deleted,) = [call for call in cluster.calls if call.startswith("delete")]
    assert "Background" in deleted
    assert deleted.endswith("uid-mb-a"), "another run may have created the next one"
    assert queue.find({"mb-a"}) == {"mb-a": "mb-a"}


def test_what_is_still_ending_is_waited_for(cluster: Cluster, queue: ApiQueue) -> None:
    """Else an apply after Ctrl-C follows a job that a person has deleted."""
    cluster.put("mb-a")["metadata"]["deletionTimestamp"] = "now"
    assert queue.find({"mb-a"}) == {}
    with pytest.raises(JobNotYetError, match="still ending"):
        queue.submit(_request("mb-a"))
    assert not [call for call in cluster.calls if call.startswith("delete")]


@pytest.mark.parametrize("change", ["label", "annotation"])
def test_what_is_not_ours_is_not_deleted(cluster: Cluster, queue: ApiQueue, change: str) -> None:
    """Else a name that another team chose costs them their Job."""
    metadata = cluster.put("mb-a")["metadata"]
    if change == "label":
        metadata["labels"] = {}
    else:
        metadata["annotations"]["marin-build/target"] = "b_2"
    cluster.end("mb-a")
    with pytest.raises(JobRefusedError, match="builds something else"):
        queue.submit(_request("mb-a"))
    assert not [call for call in cluster.calls if call.startswith("delete")]


@pytest.mark.parametrize("spec", ["kind: Pod", "- a", "a: [", "kind: Job\nmetadata: {name: x}"])
def test_a_manifest_that_could_not_be_found_again_is_refused(queue: ApiQueue, spec: str) -> None:
    """Else a changed template starts a pod that no run knows of."""
    with pytest.raises(JobRefusedError, match="none of ours"):
        queue.submit(JobRequest("mb-a", spec))


def test_a_jobset_is_checked_with_its_jobs_first(cluster: Cluster, queue: ApiQueue) -> None:
    """Else a faulty pod in it is accepted, and then nothing ever happens."""
    replicated = [{"name": "w", "replicas": 2, "template": {"spec": {"completions": 4}}}]
    request = _request("mb-a", kind="JobSet", replicatedJobs=replicated)
    queue.submit(request)
    assert cluster.calls == ["try JobSet", "try Job", "create JobSet"]
    cluster.objects.clear()
    cluster.fails["try Job"] = ApiError(422, "invalid", ("spec.x: Required value",))
    with pytest.raises(JobRefusedError, match=r"spec\.x: Required value"):
        queue.submit(request)
    assert cluster.objects == {}


def test_one_poll_is_a_few_requests_for_all_jobs(cluster: Cluster, queue: ApiQueue) -> None:
    """Else a run of a thousand jobs is throttled by the server."""
    names = {f"mb-{n}": f"mb-{n}" for n in range(50)}
    for name in names:
        cluster.put(name)
    states = queue.poll(names)
    assert {state.phase for state in states.values()} == {Phase.QUEUED}
    assert cluster.calls == ["list Job", "list JobSet", "list Pod"]


def test_a_job_that_is_gone_was_deleted(cluster: Cluster, queue: ApiQueue) -> None:
    """Else a person who deletes a Job sees it come back."""
    queue.submit(_request("mb-a"))
    cluster.objects.clear()
    state = queue.poll({"mb-a": "mb-a"})["mb-a"]
    assert (state.phase, state.words) == (Phase.ENDED, "CANCELLED: it was deleted")


def _add_pod(cluster: Cluster, name: str, job: str, **status: Any) -> None:
    labels = {**LABELS, "batch.kubernetes.io/job-name": job}
    cluster.objects["Pod", name] = {"metadata": {"name": name, "labels": labels}, "status": status}


def test_a_pod_that_cannot_start_ends_its_job(cluster: Cluster, queue: ApiQueue) -> None:
    """Else a mistyped image waits for a week, and the run says nothing."""
    queue.submit(_request("mb-a"))
    waiting = {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}
    _add_pod(cluster, "p", "mb-a", phase="Pending", containerStatuses=[{"state": waiting}])
    state = queue.poll({"mb-a": "mb-a"})["mb-a"]
    assert (state.phase, state.cause) == (Phase.ENDED, "app")
    assert state.words == "ImagePullBackOff: no such image"
    assert ("Job", "mb-a") not in cluster.objects


def test_a_job_whose_pods_are_refused_is_told_why(cluster: Cluster, queue: ApiQueue) -> None:
    """Else a missing service account is a job without a pod, for a week."""
    queue.submit(_request("mb-a"))
    said = "error looking up service account"
    event = {"metadata": {}, "reason": "FailedCreate", "message": "exceeded quota: pods=1"}
    cluster.objects["Event", "e"] = event
    assert queue.poll({"mb-a": "mb-a"})["mb-a"].words == "no pod yet"  # it was just created
    assert queue.poll({"mb-a": "mb-a"})["mb-a"].words == "FailedCreate: exceeded quota: pods=1"
    event["message"] = said
    state = queue.poll({"mb-a": "mb-a"})["mb-a"]
    assert (state.phase, state.words) == (Phase.ENDED, f"FailedCreate: {said}")


def test_a_cancelled_job_ends_with_its_pods(cluster: Cluster, queue: ApiQueue) -> None:
    """Else a deleted Job leaves pods that nobody owns, and that run on."""
    queue.submit(_request("mb-a"))
    queue.cancel({"mb-a": "mb-a"}, kill=False)
    assert cluster.calls[-1].startswith("delete Job mb-a {'propagation_policy': 'Foreground'}")
    _add_pod(cluster, "p", "mb-a", phase="Running")
    queue.cancel({"mb-a": "mb-a", "mb-unknown": "mb-unknown"}, kill=True)
    assert any("grace_period_seconds': 0" in call for call in cluster.calls)
    assert ("Pod", "p") not in cluster.objects


def test_what_a_pod_printed_is_kept_in_a_file(cluster: Cluster, queue: ApiQueue) -> None:
    """Else `command not found` is only in the cluster, until the pod is gone."""
    queue.submit(_request("mb-a"))
    assert queue.output_of("mb-a") == ""
    ended = {"state": {"terminated": {"exitCode": 127}}}
    _add_pod(cluster, "p", "mb-a", phase="Failed", containerStatuses=[ended])
    with open(queue.output_of("mb-a"), encoding="utf-8") as stream:
        assert stream.read() == "words of p"


@pytest.mark.parametrize("status", [403, 404])
def test_a_cluster_without_jobsets_runs_jobs(
    cluster: Cluster, queue: ApiQueue, status: int
) -> None:
    """Else JobSet must be installed for steps on one host."""
    cluster.fails["list JobSet"] = ApiError(status, "no")
    cluster.put("mb-a")
    assert queue.find({"mb-a"}) == {"mb-a": "mb-a"}
    queue.submit(_request("mb-s", kind="JobSet", replicatedJobs=[]))
    with pytest.raises(QueueAwayError):  # not: it was deleted
        queue.poll({"mb-s": "mb-s"})


def test_a_user_without_rights_is_told_before_anything_runs(
    cluster: Cluster, queue: ApiQueue
) -> None:
    """Else the cheap steps run, and the dear ones are found impossible afterwards."""
    cluster.fails["list Job"] = ApiError(403, 'User "u" cannot list resource "jobs"')
    with pytest.raises(Exception, match="shows us no jobs of the namespace `ns`"):
        queue.check()


class Client:
    """Stands for the official client: answers in order."""

    def __init__(self, *answers: Any) -> None:
        self.answers, self.asked = list(answers), list[dict[str, Any]]()

    def request(self, method: str, path: str, **options: Any) -> Any:
        self.asked.append({"path": path, **options})
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return type("Answer", (), {"data": answer})


def _api(*clients: Client, monkeypatch: pytest.MonkeyPatch) -> ClusterApi:
    made = iter(clients)
    monkeypatch.setattr(
        "marin_build.engines.kubernetes.cluster_api._open_client",
        lambda _context: (next(made), "of-context"),
    )
    return ClusterApi(None, None)


def _error(status: int) -> Exception:
    from kubernetes.client.exceptions import ApiException

    return ApiException(status=status, reason="no")


def test_a_long_list_is_read_in_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else of a thousand jobs the later ones count as deleted."""
    first = b'{"items": [{"a": 1}], "metadata": {"continue": "c"}}'
    client = Client(first, _error(410), first, b'{"items": [{"a": 2}], "metadata": {}}')
    api = _api(client, monkeypatch=monkeypatch)
    assert api.list_all("Job", labels="l") == [{"a": 1}, {"a": 2}]
    assert [asked.get("_continue") for asked in client.asked] == [None, "c", None, "c"]
    assert client.asked[0]["path"] == "/apis/batch/v1/namespaces/of-context/jobs"


def test_a_login_that_ended_is_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a run of a day ends with the token of an hour."""
    old, new = Client(b'{"items": []}', _error(401)), Client(b'{"items": []}', _error(401))
    newest = Client(_error(401))
    api = _api(old, new, newest, monkeypatch=monkeypatch)
    for _ in range(2):
        assert api.list_all("Job", labels="l") == []
    with pytest.raises(QueueAwayError, match="does not accept our login"):
        api.list_all("Job", labels="l")
    assert newest.answers == []


def test_an_answer_that_is_none_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a page of a proxy ends the run with a traceback."""
    from urllib3.exceptions import ProtocolError

    for answer in (b"<html>", b"[]", ProtocolError("cut"), _error(0)):
        api = _api(Client(answer), monkeypatch=monkeypatch)
        with pytest.raises(QueueAwayError):
            api.list_all("Job", labels="l")


def test_in_a_pod_its_service_account_logs_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else an applier in the cluster needs a kubeconfig with a key that a person must keep."""
    from kubernetes.config import incluster_config, kube_config

    for name, text in (("token", "abc"), ("ca.crt", "certificate"), ("namespace", "of-pod\n")):
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(kube_config, "KUBE_CONFIG_DEFAULT_LOCATION", str(tmp_path / "none"))
    monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(tmp_path / "token"))
    monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", str(tmp_path / "ca.crt"))
    monkeypatch.setattr(cluster_api, "_IN_CLUSTER", str(tmp_path / "namespace"))
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    configuration = Configuration()
    assert cluster_api._log_in(configuration, None) == "of-pod"
    assert configuration.host == "https://10.0.0.1:443"
    assert configuration.api_key["BearerToken"] == "bearer abc"
