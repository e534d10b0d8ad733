"""Containers, really run by podman, with the root of this machine as their image."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING

import pytest

from tests.servers.podman import find_podman, private_podman

from .support import OUTPUTS, PATIENCE, PROGRAM

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers.podman import Podman

    from .support import Gate, Project

pytestmark = pytest.mark.skipif(not find_podman(), reason="needs podman, and to be root")

PIPELINE = """\
import os
from pathlib import Path

from gate import wait_at_gate
from marin_build import ResourceConfig, step

HERE = Path(__file__).parent
ROOM = ResourceConfig.with_cpu(1, ram="256Mi")


def ran(name):
    with open(HERE / "ran.txt", "a") as stream:
        stream.write(name + (" in" if os.path.exists("/run/.containerenv") else " out") + "\\n")


@step(resources=ROOM.with_image("/:O"))
def inside(output: Path, what: str) -> int:
    ran("inside")
    if what == "wait":
        wait_at_gate("inside")
    if what == "memory":
        held = b"x" * (1 << 30)
    (output / "network").write_text(" ".join(sorted(os.listdir("/sys/class/net"))))
    return 1


@step
def outside(output: Path, inside: Path) -> str:
    ran("outside")
    return (inside / "network").read_text()


def pipeline(what: str = "plain"):
    return outside(inside=inside(what=what))
"""


@pytest.fixture(scope="module")
def podman(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Podman]:
    """Podman for the tests of this file."""
    with private_podman(tmp_path_factory.mktemp("podman")) as made:
        yield made


@pytest.fixture
def boxed(project: Project, podman: Podman, gate: Gate) -> Project:
    """A project whose steps with an image run in containers."""
    project.environment |= podman.environment
    project.environment["PATH"] = f"{PROGRAM.parent}:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"
    project.pipeline(PIPELINE)
    project.write(
        "marin-build.toml",
        'engine = "container"\n[container]\npoll = 0.3\n'
        f'program = "{PROGRAM}"\nvolumes = ["{gate.folder}:{gate.folder}"]\n'
        # A container whose test was killed ends all the same.
        f'options = ["--rootfs", "--timeout={2 * PATIENCE:.0f}", "--env=GATE={gate.folder}"]\n',
    )
    return project


def _ran(project: Project) -> list[str]:
    return project.file("ran.txt").splitlines()


def test_a_step_with_an_image_runs_in_a_container(boxed: Project, podman: Podman) -> None:
    """Else a step runs in another environment than its author named, with the network on."""
    done = boxed.run("apply")
    assert done.code == 0, done.err
    assert _ran(boxed) == ["inside in", "outside out"]
    (output,) = (boxed.root / OUTPUTS).glob("inside_*")
    assert (output / "network").read_text() == "lo"
    attempt = json.loads((output / ".logs" / "attempt-0001.json").read_text())
    assert attempt["engine"] == "container"
    assert podman.call("ps", "--all", "--quiet") == ""
    assert "nothing to do" in boxed.run("apply").out


def test_a_container_out_of_memory_is_called_so(boxed: Project) -> None:
    """Else a person looks for a bug where a larger `ram` is what is missing."""
    done = boxed.run("apply", "--set", "what=memory", "--json")
    assert done.code == 1
    (failed,) = [e for e in done.events if e["event"] == "step_failed"]
    assert (failed["cause"], failed["message"]) == ("oom", "killed by SIGKILL: out of memory")


def test_a_killed_apply_leaves_its_container_to_the_next_one(boxed: Project, gate: Gate) -> None:
    """Else a step of hours is started a second time beside itself."""
    first = boxed.start("apply", "--set", "what=wait", "--json")
    gate.wait_started()
    first.send(signal.SIGKILL)
    first.wait()
    second = boxed.start("apply", "--set", "what=wait", "--json")
    second.wait_event("job_moved")
    gate.let_go()
    done = second.wait()
    assert done.code == 0, done.err
    assert _ran(boxed) == ["inside in", "outside out"]


def test_an_interrupt_ends_the_container(boxed: Project, gate: Gate, podman: Podman) -> None:
    """Else Ctrl-C leaves containers behind that hold memory and devices."""
    run = boxed.start("apply", "--set", "what=wait", "--json")
    gate.wait_started()
    run.send(signal.SIGINT)
    done = run.wait()
    assert done.code == 130
    assert done.names_of("step_interrupted") == ["inside"]
    assert podman.call("ps", "--quiet") == ""


def test_an_image_that_is_not_there_is_told_in_the_runtime_s_words(boxed: Project) -> None:
    """Else a mistyped image fails without a reason."""
    boxed.pipeline(PIPELINE.replace('"/:O"', '"/no/such/root:O"'))
    done = boxed.run("apply")
    assert done.code == 1
    assert "podman refuses it" in done.out + done.err


def test_a_runtime_that_is_not_installed_is_told_before_anything_runs(boxed: Project) -> None:
    """Else the steps outside containers run, and then nothing more can."""
    boxed.environment["PATH"] = str(PROGRAM.parent)
    done = boxed.run("apply")
    assert done.code == 4
    assert "`podman` is not installed here" in done.err
    assert not (boxed.root / "ran.txt").exists()


def test_a_killed_container_is_lost_and_its_step_is_built_again(
    boxed: Project, gate: Gate, podman: Podman
) -> None:
    """Else a machine that is cleaned up fails a step, and blames its need for memory."""
    text = boxed.file("marin-build.toml").replace("[container]", "lease = 2\n[container]")
    boxed.write("marin-build.toml", text)
    run = boxed.start("apply", "--set", "what=wait", "--json")
    gate.wait_started()
    podman.call("kill", "--signal", "KILL", *podman.call("ps", "--quiet").split())
    lost = run.wait_event("step_failed")
    assert (lost["cause"], lost["retries_left"]) == ("infra", 3)
    assert "the container was killed" in lost["message"]
    gate.wait_started()
    gate.let_go()
    done = run.wait()
    assert done.code == 0, done.err
    assert _ran(boxed) == ["inside in", "inside in", "outside out"]
    assert podman.call("ps", "--all", "--quiet") == ""


def test_code_in_the_image_and_inputs_elsewhere_are_found(boxed: Project, podman: Podman) -> None:
    """Else an image with its code needs the project beside it, and data must lie in the project."""
    boxed.pipeline(
        "from pathlib import Path\n"
        "from marin_build import source, step\n"
        "@step\n"
        "def copy(output: Path, text: Path) -> str:\n"
        "    (output / 'text').write_text(text.read_text())\n"
        "    try:\n"
        "        text.write_text('spoiled')\n"
        "    except OSError as error:\n"
        "        return error.strerror\n"
        "def pipeline():\n"
        f"    return copy(text=source({str(boxed.home / 'data/text')!r}, name='text'))\n"
    )
    (boxed.home / "data").mkdir()
    (boxed.home / "data/text").write_text("of all")
    text = boxed.file("marin-build.toml").replace(
        'options = ["--rootfs"',
        f'image = "/:O"\ncode_from = "image"\noptions = ["--rootfs", "--workdir={boxed.root}", '
        f'"--tmpfs={boxed.home}"',  # what lies outside, is only there if it is mounted
    )
    boxed.write("marin-build.toml", text)
    done = boxed.run("apply", "--isolation", "container")
    assert done.code == 0, done.err
    output = boxed.output_of("copy")
    assert (output / "text").read_text() == "of all"
    assert json.loads((output / ".artifact.json").read_text()) == "Read-only file system"


def test_two_engines_for_one_run_are_refused(boxed: Project) -> None:
    """Else one of the two words is ignored."""
    done = boxed.run("apply", "--isolation", "container", "--engine", "slurm")
    assert done.code == 4
    assert "chooses the engine `container`, and `--engine slurm` another one" in done.err
