"""Projects whose steps with TPUs go to the stand-in for TPU VMs, and whose outputs to a bucket."""

from __future__ import annotations

import json
import os
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.servers.slurm import wait_until
from tests.servers.tpu import TpuCloud
from tests.servers.tpu_http import serving
from tests.servers.tpu_resources import PROJECT, ZONE

from .support import PATIENCE, PROGRAM

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers.gcs import GcsServer

    from .support import Project

needs_machines = pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("unshare") or not shutil.which("curl"),
    reason="needs curl, unshare, and to be root",
)
PIPELINE = """\
import os

import fsspec
from gate import wait_at_gate
from marin_build import ResourceConfig, current_rank, step

ROOMS = {
    "one": ResourceConfig.with_tpu("v4-8"),
    "two": ResourceConfig.with_tpu("v4-16"),
    "four": ResourceConfig.with_tpu("v4-16", slice_count=2),
}


def ran(name):
    with open(os.environ["RAN"], "a") as stream:
        stream.write(f"{name} {'there' if 'PJRT_DEVICE' in os.environ else 'here'}\\n")


@step
def corpus(output: str, lines: int) -> int:
    ran("corpus")
    with fsspec.open(f"{output}/text", "w") as stream:
        stream.write("x" * lines)
    return lines


def train(output: str, corpus: str, what: str) -> dict:
    ran("model")
    if what == "wait":
        wait_at_gate("model")
    if what == "fail":
        raise ValueError("no <such> shard")
    with fsspec.open(f"{corpus}/text") as stream:
        assert stream.read() == b"xxx"
    rank = current_rank()
    with fsspec.open(f"{output}/part-{rank.number}", "w") as stream:
        stream.write(f"{rank.count} {rank.leader}")
    return {"rank": rank.number}


@step
def report(output: str, model: dict) -> int:
    ran("report")
    return model["rank"]


def pipeline(lines: int = 3, what: str = "plain", room: str = "one"):
    model = step(train, name="model", resources=ROOMS[room])
    return report(model=model(corpus=corpus(lines=lines), what=what))
"""
BUCKET = "lab"


@contextmanager
def cloud_for(project: Project, bucket: GcsServer, folder: Path) -> Iterator[TpuCloud]:
    """Run the API, and machines that reach a bucket and the gate; send a project's steps there."""
    project.build_in_bucket(bucket.url, f"gs://{BUCKET}/out")
    project.environment["RAN"] = str(folder / "ran.txt")
    kept = {"STORAGE_EMULATOR_HOST", "GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "GATE", "RAN"}
    environment = {name: project.environment[name] for name in kept}
    environment |= {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "PYTHONWARNINGS": "error"}
    made = TpuCloud(folder / "machines", environment)
    with serving(made):
        project.environment |= made.environment
        project.write("pipeline.py", PIPELINE)
        configure(project)
        try:
            yield made
        finally:
            made.stop()


def configure(project: Project, more: str = "", program: object = PROGRAM) -> None:
    """Have a project's steps with TPUs go to the stand-in."""
    project.write(
        "marin-build.toml",
        f'engine = "tpu-vm"\nlease = 5\n[tpu-vm]\npoll = 0.3\nproject = "{PROJECT}"\n'
        f'zone = "{ZONE}"\nprogram = "{program}"\n{more}',
    )


def ran_of(project: Project) -> list[str]:
    """Return which steps ran where, in order."""
    with open(project.environment["RAN"]) as stream:
        return stream.read().splitlines()


def objects_of(bucket: GcsServer, name: str) -> dict[str, bytes]:
    """Return the objects of the only target of a name, by their names in it."""
    found = {}
    for path, stored in bucket.api.buckets.objects(BUCKET).items():
        target, _, rest = path.removeprefix("out/").partition("/")
        if target.rpartition("_")[0] == name:
            found[rest] = stored.data
    return found


def attempt_in(bucket: GcsServer, number: int = 1) -> dict[str, object]:
    """Return the document of an attempt at the model."""
    document: dict[str, object] = json.loads(
        objects_of(bucket, "model")[f".logs/attempt-{number:04}.json"]
    )
    return document


def until_deleted(cloud: TpuCloud) -> None:
    """Wait until there is no queued resource."""
    wait_until(lambda: not cloud.resources, PATIENCE)
