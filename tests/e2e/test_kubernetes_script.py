"""The script of a plan for Kubernetes: real kubectl submits it, and pods build it into a bucket."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.servers.gcs import GcsServer
from tests.servers.kubernetes import kubernetes_cluster
from tests.servers.kubernetes_nodes import Node
from tests.servers.kubernetes_resources import holds

from .support import BIN

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers.kubernetes import KubernetesCluster

    from .support import Project

PIPELINE = """\
from pathlib import Path

from marin_build import ResourceConfig, step

RAN = Path(__file__).parent / "ran.txt"


def ran(name):
    with open(RAN, "a") as stream:
        stream.write(name + "\\n")


@step
def corpus(output, lines: int) -> int:
    ran("corpus")
    return lines


@step(resources=ResourceConfig.with_cpu(1, ram="64Mi"))
def model(output, corpus: int) -> int:
    ran("model")
    return corpus * 2


def pipeline():
    return model(corpus=corpus(lines=3))
"""
SETTINGS = """\
[kubernetes]
image = "registry.example/lm@sha256:{digest}"
working_dir = "{root}"
"""


# Steps take machines that may be taken away, unless they say otherwise.
KEY = "cloud.google.com/gke-spot"
SPOT = [Node(name, labels={KEY: "true"}, taints=[f"{KEY}=true"]) for name in ("n1", "n2")]


def _are_complete(cluster: KubernetesCluster) -> bool:
    jobs = cluster.objects("Job")
    return len(jobs) == 2 and all(holds(job, "Complete") for job in jobs)


def test_kubectl_submits_a_plan_that_pods_build(project: Project, tmp_path: Path) -> None:
    """Else the script fits a kubectl of our own making, and nothing else reads a manifest."""
    with GcsServer("b") as bucket, kubernetes_cluster(tmp_path / "k", SPOT) as cluster:
        project.build_in_bucket(bucket.url, "gs://b/out")
        project.write("marin-build.toml", SETTINGS.format(root=project.root, digest="0" * 64))
        project.pipeline(PIPELINE)
        cluster.image_environment.clear()
        cluster.image_environment.update(project.environ() | project.forking())
        done = project.run("plan", "--engine", "kubernetes", "-o", "saved")
        assert done.code == 0, done.err
        script: list[str | Path] = ["bash", project.root / "saved" / "submit.sh"]
        environment = {**cluster.environment, "PATH": f"{BIN}:/usr/bin:/bin"}
        environment["MARIN_BUILD_POLL"] = "0.1"
        submitted = project.execute(script, env=environment)
        assert submitted.code == 0, submitted.err
        words = [line.split()[0] for line in submitted.out.splitlines()]
        assert words.count("built") == 1  # what nothing waits for is left to the cluster
        cluster.wait_for(lambda: _are_complete(cluster))
        again = project.execute(script, env=environment)
        assert again.code == 0, again.err
        assert project.file("ran.txt").split() == ["corpus", "model"]
        assert "0 to build, 2 reused" in project.run("plan").out
