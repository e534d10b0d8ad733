"""The example of engines, really run: on this machine, by podman, on Slurm, on Ray, and in pods.

The pods are those of the stand-in for Kubernetes, and build into that for Cloud Storage.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING
from urllib.parse import quote
from urllib.request import urlopen

import pytest

from tests.servers.gcs import GcsServer
from tests.servers.kubernetes import kubernetes_cluster
from tests.servers.kubernetes_nodes import Node
from tests.servers.podman import find_podman, private_podman
from tests.servers.ray import find_ray, ray_head
from tests.servers.slurm import find_slurm

from .support import BIN, PATIENCE, PROGRAM, Project, copy_examples

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tests.servers.slurm import Cluster

pytestmark = pytest.mark.skipif(
    not (find_podman() and find_slurm() and find_ray()),
    reason="needs podman, Slurm and Ray, and to be root",
)
STEPS = ("clean", "count/declaration", "count/rights", "model", "report")
IN_JOBS = ("count/declaration", "count/rights", "model")
SETTINGS = {
    # The root of this machine is the image, as no registry can be reached.
    r"\[profiles.container.container\]\nimage = .*": f"""\
[profiles.container.container]
image = "/:O"
program = "{PROGRAM}"
poll = 0.3
options = ["--rootfs", "--timeout={2 * PATIENCE:.0f}"]""",
    "setup = .*": f'program = "{PROGRAM}"\npoll = 0.5',
    'engine = "ray".*': f"""\
engine = "ray"
[profiles.ray.ray]
program = "{PROGRAM}"
poll = 0.5""",
    "working_dir = .*": 'working_dir = "{root}"\npoll = 0.3',
}


@pytest.fixture
def example(tmp_path: Path, cluster: Cluster) -> Iterator[Project]:
    """A copy of the example, on machines that exist."""
    copy_examples(tmp_path)
    (tmp_path / "home").mkdir()
    (tmp_path / "kubernetes").mkdir()
    project = Project(tmp_path / "examples/five_engines", tmp_path / "home")
    project.environment["PATH"] = f"{BIN}:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"
    text = project.file("marin-build.toml")
    for pattern, setting in SETTINGS.items():
        text, found = re.subn(pattern, setting.replace("{root}", str(project.root)), text)
        assert found == 1, pattern
    project.write("marin-build.toml", text)
    nodes = [Node("n1", labels={"cloud.google.com/gke-spot": "true"})]
    with (
        private_podman(tmp_path) as podman,
        ray_head(start_timeout=120) as head,
        GcsServer("b") as bucket,
        kubernetes_cluster(tmp_path / "kubernetes", nodes) as pods,
    ):
        project.build_in_bucket(bucket.url, "gs://b/pods")
        project.environment |= podman.environment | cluster.environment
        project.environment |= head.environment | pods.environment
        pods.image_environment.update(project.environ())
        try:
            yield project
        finally:
            project.clean_up()
            cluster.end_all_jobs()


def _on_disk(project: Project, prefix: str) -> dict[str, bytes]:
    """Return all files below a prefix, by path."""
    root = project.root / prefix
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def _in_bucket(project: Project) -> dict[str, bytes]:
    objects = f"{project.environment['STORAGE_EMULATOR_HOST']}/storage/v1/b/b/o"
    names = [item["name"] for item in json.load(urlopen(f"{objects}?prefix=pods/"))["items"]]
    return {
        name.removeprefix("pods/"): urlopen(f"{objects}/{quote(name, safe='')}?alt=media").read()
        for name in names
    }


def _outputs(files: dict[str, bytes]) -> dict[str, bytes]:
    """Return what steps left, byte by byte: their files, and what they returned."""
    found = {
        path: data
        for path, data in files.items()
        if not re.search(r"(^|/)[.]", path) or path.endswith("/.artifact.json")
    }
    assert len(found) == len(STEPS) + 7  # what each returned, three texts, three counts, a report
    return found


def _engines(files: dict[str, bytes]) -> dict[str, str]:
    """Return which engine built each step; a quick step of this machine has no attempt to say."""
    found = {}
    for path in files:
        output, _, name = path.rpartition("/")
        if name == ".executor_info":
            attempt = files.get(f"{output}/.logs/attempt-0001.json")
            engine = "local" if attempt is None else json.loads(attempt)["engine"]
            found[output.rpartition("_")[0]] = engine
    return found


def _apply(project: Project, words: Sequence[str]) -> None:
    done = project.run("apply", *words)
    assert done.code == 0, done.err


def test_one_pipeline_has_the_same_outputs_on_every_engine(example: Project) -> None:
    """Else what a plan builds depends on where it is built, and no engine can reuse another's."""
    _apply(example, ["--prefix", "local"])
    built = {"local": _on_disk(example, "local")}
    for name in ("container", "slurm", "ray"):
        _apply(example, ["--prefix", name, "--profile", name])
        built[name] = _on_disk(example, name)
    _apply(example, ["--prefix", "gs://b/pods", "--profile", "kubernetes"])
    built["kubernetes"] = _in_bucket(example)
    everywhere = {name: dict.fromkeys(STEPS, name) for name in ("local", "container", "kubernetes")}
    assert {name: _engines(files) for name, files in built.items()} == everywhere | {
        name: {step: name if step in IN_JOBS else "local" for step in STEPS}
        for name in ("slurm", "ray")
    }
    outputs = [_outputs(files) for files in built.values()]
    assert outputs.count(outputs[0]) == len(built)
    # What one engine built, the others reuse.
    done = example.run("apply", "--prefix", "local", "--profile", "slurm")
    assert done.out.startswith(f"nothing to do: {len(STEPS)} targets are reused\n")
