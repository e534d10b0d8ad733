"""Containers, really run by podman and by docker, with the programs of this machine in them."""

from __future__ import annotations

import json
import signal
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from marin_build.engines.container.command_line import ContainerQueue
from marin_build.engines.jobs import JobState, Phase
from tests.servers import docker
from tests.servers.podman import find_podman, private_podman

from .support import OUTPUTS, PATIENCE, PROGRAM

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers.podman import Podman

    from .support import Gate, Project


PIPELINE = """\
import os
from pathlib import Path

from gate import wait_at_gate
from marin_build import ResourceConfig, step

HERE = Path(__file__).parent
ROOM = ResourceConfig.with_cpu(1, ram="256Mi")


def ran(name):
    with open(HERE / "ran.txt", "a") as stream:
        stream.write(name + (" in" if "GATE_INSIDE" in os.environ else " out") + "\\n")


@step(resources=ROOM.with_image(IMAGE))
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


@dataclass(frozen=True)
class Runtime:
    """A program that runs containers, and what the configuration says for it.

    Args:
        name: the program.
        tool: it, with a store of its own.
        image: that of the steps.
        missing: an image that is not there.
        options, volumes: further settings.

    """

    name: str
    tool: Podman | docker.Docker
    image: str
    missing: str
    options: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()

    def call(self, *words: str) -> str:
        """Return what the program prints; empty if it fails."""
        return self.tool.call(*words)


@contextmanager
def _podman(folder: Path) -> Iterator[Runtime]:
    with private_podman(folder) as tool:
        # A container whose test was killed ends all the same.
        options = ("--rootfs", f"--timeout={2 * PATIENCE:.0f}")
        yield Runtime("podman", tool, "/:O", "/no/such/root:O", options)


@contextmanager
def _docker(folder: Path) -> Iterator[Runtime]:
    with docker.private_docker(folder) as tool:
        missing = "127.0.0.1:1/none:1"  # nobody listens there
        volumes = tuple(docker.volumes())
        yield Runtime("docker", tool, docker.IMAGE, missing, volumes=volumes)


NEEDS_PODMAN = pytest.mark.skipif(not find_podman(), reason="needs podman, and to be root")
NEEDS_DOCKER = pytest.mark.skipif(not docker.find_docker(), reason="needs docker, and to be root")
PODMAN = pytest.param(_podman, marks=NEEDS_PODMAN, id="podman")


@pytest.fixture(
    scope="module",
    params=[PODMAN, pytest.param(_docker, marks=NEEDS_DOCKER, id="docker")],
)
def runtime(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Runtime]:
    """A program that runs containers, for the tests of this file."""
    with request.param(tmp_path_factory.mktemp("containers")) as made:
        yield made


@pytest.fixture
def boxed(project: Project, runtime: Runtime, gate: Gate) -> Project:
    """A project whose steps with an image run in containers."""
    project.environment |= runtime.tool.environment
    project.environment["PATH"] = f"{PROGRAM.parent}:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"
    project.pipeline(PIPELINE.replace("IMAGE", repr(runtime.image)))
    volumes = [*runtime.volumes, f"{gate.folder}:{gate.folder}"]
    options = [*runtime.options, f"--env=GATE={gate.folder}", "--env=GATE_INSIDE=1"]
    project.write(
        "marin-build.toml",
        f'engine = "container"\n[container]\npoll = 0.3\nruntime = "{runtime.name}"\n'
        f'program = "{PROGRAM}"\nvolumes = {json.dumps(volumes)}\n'
        f"options = {json.dumps(options)}\n",
    )
    return project


def _ran(project: Project) -> list[str]:
    return project.file("ran.txt").splitlines()


def test_a_step_with_an_image_runs_in_a_container(boxed: Project, runtime: Runtime) -> None:
    """Else a step runs in another environment than its author named, with the network on."""
    done = boxed.run("apply")
    assert done.code == 0, done.err
    assert _ran(boxed) == ["inside in", "outside out"]
    (output,) = (boxed.root / OUTPUTS).glob("inside_*")
    assert (output / "network").read_text() == "lo"
    attempt = json.loads((output / ".logs" / "attempt-0001.json").read_text())
    assert attempt["engine"] == "container"
    assert runtime.call("ps", "--all", "--quiet") == ""
    assert "nothing to do" in boxed.run("apply").out
    doctor = boxed.run("doctor", "--engine", "container")
    assert (doctor.code, f"{runtime.name} answers" in doctor.out) == (0, True)


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


def test_an_interrupt_ends_the_container(boxed: Project, gate: Gate, runtime: Runtime) -> None:
    """Else Ctrl-C leaves containers behind that hold memory and devices."""
    run = boxed.start("apply", "--set", "what=wait", "--json")
    gate.wait_started()
    run.send(signal.SIGINT)
    done = run.wait()
    assert done.code == 130
    assert done.names_of("step_interrupted") == ["inside"]
    assert runtime.call("ps", "--quiet") == ""


def test_an_image_that_is_not_there_is_told_in_the_runtime_s_words(
    boxed: Project, runtime: Runtime
) -> None:
    """Else a mistyped image fails without a reason."""
    boxed.pipeline(PIPELINE.replace("IMAGE", repr(runtime.missing)))
    done = boxed.run("apply")
    assert done.code == 1
    assert f"{runtime.name} refuses it" in done.out + done.err


def test_a_runtime_that_is_not_installed_is_told_before_anything_runs(
    boxed: Project, runtime: Runtime
) -> None:
    """Else the steps outside containers run, and then nothing more can."""
    boxed.environment["PATH"] = str(PROGRAM.parent)
    done = boxed.run("apply")
    assert done.code == 4
    assert f"`{runtime.name}` is not installed here" in done.err
    assert not (boxed.root / "ran.txt").exists()


def test_a_killed_container_is_lost_and_its_step_is_built_again(
    boxed: Project, gate: Gate, runtime: Runtime
) -> None:
    """Else a machine that is cleaned up fails a step, and blames its need for memory."""
    text = boxed.file("marin-build.toml").replace("[container]", "lease = 2\n[container]")
    boxed.write("marin-build.toml", text)
    run = boxed.start("apply", "--set", "what=wait", "--json")
    gate.wait_started()
    runtime.call("kill", "--signal", "KILL", *runtime.call("ps", "--quiet").split())
    lost = run.wait_event("step_failed")
    assert (lost["cause"], lost["retries_left"]) == ("infra", 3)
    assert "the container was killed" in lost["message"]
    gate.wait_started()
    gate.let_go()
    done = run.wait()
    assert done.code == 0, done.err
    assert _ran(boxed) == ["inside in", "inside in", "outside out"]
    assert runtime.call("ps", "--all", "--quiet") == ""


@pytest.mark.parametrize("runtime", [PODMAN], indirect=True)  # the image has the project in it
def test_code_in_the_image_and_inputs_elsewhere_are_found(boxed: Project, runtime: Runtime) -> None:
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


def test_a_look_at_containers_changes_nothing(
    runtime: Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else `status` starts or removes containers, and with them what they printed."""
    for name, value in runtime.tool.environment.items():
        monkeypatch.setenv(name, value)
    flags = [option for option in runtime.options if option == "--rootfs"]
    words = ("create", "--name=mb-a", "--label=marin-build=1", *flags, runtime.image, "true")
    assert runtime.call(*words)
    queue = ContainerQueue(runtime.name, str(tmp_path), str(tmp_path), 1.0)
    waits = {"mb-a": ("mb-a", JobState(Phase.QUEUED, "created"))}
    assert queue.look(["mb-a", "mb-b"]) == waits
    assert queue.look(["mb-a"]) == waits
    assert queue.look(["mb-b"]) == {}
    assert runtime.call("rm", "mb-a")


def test_two_engines_for_one_run_are_refused(boxed: Project) -> None:
    """Else one of the two words is ignored."""
    done = boxed.run("apply", "--isolation", "container", "--engine", "slurm")
    assert done.code == 4
    assert "chooses the engine `container`, and `--engine slurm` another one" in done.err
