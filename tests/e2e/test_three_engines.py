"""The example of engines, really run on this machine, in containers of podman, and on Slurm."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from marin_build.protocol.attempt_reader import parse_attempt
from tests.servers.podman import find_podman, private_podman
from tests.servers.slurm import find_slurm

from .support import BIN, PATIENCE, PROGRAM, Project, copy_examples

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers.slurm import Cluster

pytestmark = pytest.mark.skipif(
    not (find_podman() and find_slurm()), reason="needs podman and Slurm, and to be root"
)
STEPS = ("clean", "count/declaration", "count/rights", "model", "report")
IN_JOBS = ("count/declaration", "count/rights", "model")


@pytest.fixture
def example(tmp_path: Path, cluster: Cluster) -> Iterator[Project]:
    """A copy of the example, on machines that exist."""
    copy_examples(tmp_path)
    (tmp_path / "home").mkdir()
    project = Project(tmp_path / "examples/three_engines", tmp_path / "home")
    project.environment["PATH"] = f"{BIN}:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"
    text = f"digests = true\n{project.file('marin-build.toml')}"
    # The root of this machine is the image, as no registry can be reached.
    inside = f'image = "/:O"\nprogram = "{PROGRAM}"\npoll = 0.3\n'
    inside += f'options = ["--rootfs", "--timeout={2 * PATIENCE:.0f}"]'
    text, found = re.subn(r'^image = "registry.*$', inside, text, flags=re.MULTILINE)
    assert found == 1
    text, found = re.subn(
        r"^setup = .*$", f'program = "{PROGRAM}"\npoll = 0.5', text, flags=re.MULTILINE
    )
    assert found == 1
    project.write("marin-build.toml", text)
    with private_podman(tmp_path) as podman:
        project.environment |= podman.environment | cluster.environment
        try:
            yield project
        finally:
            project.clean_up()
            cluster.end_all_jobs()


def _built(project: Project, prefix: str) -> dict[str, tuple[str, Any, str]]:
    """Return of each step its target, what it committed, byte by byte, and the engine."""
    found = {}
    for name in STEPS:
        output = project.output_of(name, prefix)
        (path,) = output.glob(".logs/attempt-*.json")
        committed = parse_attempt(path.read_bytes(), str(path)).committed
        assert committed is not None
        assert set(committed.digests) == {file.path for file in committed.manifest} != set()
        what = (committed.manifest, committed.digests, committed.artifact)
        found[name] = (output.name, what, json.loads(path.read_text())["engine"])
    return found


def test_one_pipeline_has_the_same_outputs_on_every_engine(example: Project) -> None:
    """Else what a plan builds depends on where it is built, and no engine can reuse another's."""
    built = {}
    for name, words in {
        "local": (),
        "container": ("--profile", "container"),
        "slurm": ("--profile", "slurm"),
    }.items():
        done = example.run("apply", "--prefix", name, *words)
        assert done.code == 0, done.err
        built[name] = _built(example, name)
    engines = {
        name: {step: each[2] for step, each in steps.items()} for name, steps in built.items()
    }
    assert engines == {
        "local": dict.fromkeys(STEPS, "local"),
        "container": dict.fromkeys(STEPS, "container"),
        "slurm": {step: "slurm" if step in IN_JOBS else "local" for step in STEPS},
    }
    same = [{step: each[:2] for step, each in steps.items()} for steps in built.values()]
    assert same[0] == same[1] == same[2]
    # What one engine built, the others reuse.
    done = example.run("apply", "--prefix", "local", "--profile", "slurm")
    assert done.out == f"nothing to do: {len(STEPS)} targets are built\n"
