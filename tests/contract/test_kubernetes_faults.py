"""The stand-in for Kubernetes fails in the ways that API servers do, and is well again after it."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from kubernetes.client import ApiException
from urllib3.exceptions import HTTPError

from tests.servers.faults import Fault

from .kubernetes_samples import (
    NAMESPACE,
    Clients,
    clients_of,
    job,
    new_name,
    status_of,
    watched,
)

if TYPE_CHECKING:
    from tests.servers.kubernetes import KubernetesCluster


def test_a_watch_that_is_too_old_is_told_so(cluster: KubernetesCluster, api: Clients) -> None:
    """Else an engine that was away for long would wait for events that never come."""
    jobs = api.batch.list_namespaced_job
    for name in (new_name("old"), new_name("old")):
        api.batch.create_namespaced_job(NAMESPACE, job(name))
        cluster.wait_for_condition("Job", name, "Complete")  # then nothing changes it any more
    version = jobs(NAMESPACE).metadata.resource_version
    page = jobs(NAMESPACE, limit=1)
    cluster.compact()
    with pytest.raises(ApiException) as caught:
        watched(jobs, resource_version=version)
    assert caught.value.status == 410
    assert str(caught.value.reason).startswith("Expired: too old resource version")
    status = status_of(lambda: jobs(NAMESPACE, limit=1, _continue=page.metadata._continue))
    assert (status["code"], status["reason"]) == (410, "Expired")
    assert watched(jobs, resource_version=jobs(NAMESPACE).metadata.resource_version) == []


def test_pods_go_on_while_the_server_is_down(cluster: KubernetesCluster, api: Clients) -> None:
    """Else nothing would show that an engine survives an API server that is away for a while."""
    name = new_name("away")
    api.batch.create_namespaced_job(NAMESPACE, job(name, "sleep 0.2"))
    cluster.down()
    with pytest.raises(HTTPError, match="refused"):
        api.batch.read_namespaced_job(name, NAMESPACE)
    cluster.wait_for_condition("Job", name, "Complete")
    cluster.up()
    assert api.batch.read_namespaced_job(name, NAMESPACE).status.succeeded == 1


def test_an_answer_may_be_lost(cluster: KubernetesCluster, api: Clients) -> None:
    """Else nothing would show that an engine looks for its job before it tries again."""
    name = new_name("lost")
    cluster.faults.add(Fault("reply", method="POST", nth=1))
    with suppress(HTTPError):  # the client's library may try again by itself
        api.batch.create_namespaced_job(NAMESPACE, job(name))
    assert api.batch.read_namespaced_job(name, NAMESPACE).metadata.name == name
    cluster.faults.clear()
    cluster.faults.add(Fault(500, method="GET", nth=1))
    assert status_of(lambda: api.batch.read_namespaced_job(name, NAMESPACE))["code"] == 500


def test_a_crowd_is_told_to_come_back(cluster: KubernetesCluster, api: Clients) -> None:
    """Else nothing would show that an engine slows down when it is asked to."""
    cluster.throttle(100, retry_after=0)
    with pytest.raises(ApiException) as caught:
        api.batch.list_namespaced_job(NAMESPACE)
    assert caught.value.status == 429
    assert (caught.value.headers or {})["Retry-After"] == "0"
    assert cluster.counts()["GET jobs"] > 1  # the client's library has tried again by itself
    cluster.throttle(0)
    cluster.slow(0.01)
    api.core.list_namespaced_pod(NAMESPACE)
    assert cluster.counts()["GET pods"] == 1


def test_a_token_ends(cluster: KubernetesCluster, api: Clients) -> None:
    """Else nothing would show what an engine does when its credentials end while jobs run."""
    cluster.expire_token()
    refused = status_of(lambda: api.batch.list_namespaced_job(NAMESPACE))
    assert (refused["code"], refused["reason"]) == (401, "Unauthorized")
    cluster.write_kubeconfig()
    assert clients_of(cluster.kubeconfig).batch.list_namespaced_job(NAMESPACE).items is not None
