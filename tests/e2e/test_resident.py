"""What scripts run in forks is what they would run in processes of their own."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

from .resident import resident_for
from .support import PATIENCE, PROGRAM, is_running, wait_for_exits

if TYPE_CHECKING:
    from .support import Gate, Project

WAITING = """\
from gate import wait_at_gate
from marin_build import step


@step
def one(output: str) -> None:
    wait_at_gate("one")


targets = [one()]
"""


def _path(project: Project) -> dict[str, str]:
    """Return the environment in which `marin-build` is the client."""
    environ = project.environ()
    resident = resident_for(PROGRAM, environ)
    assert resident is not None
    return {"PATH": f"{resident.folder}:{environ['PATH']}"}


def test_a_fork_has_the_streams_folder_arguments_and_exit_code_of_the_client(
    project: Project,
) -> None:
    """Else a test of a script that fails passes."""
    for command in (
        "marin-build plan 'no such' | cat",
        "marin-build plan 'no such'",
        "cd / && marin-build init --help",
        "marin-build --version >&2",
    ):
        forked, fresh = (
            project.execute(["bash", "-o", "pipefail", "-c", command], env=env)
            for env in (_path(project), None)
        )
        assert forked == fresh, command


def test_a_fork_gets_the_signals_that_ask_its_client_to_end(project: Project, gate: Gate) -> None:
    """Else a pod or a job that is stopped in a test is killed in the midst of its work."""
    project.pipeline(WAITING)
    client = project.start_fork("apply", "--isolation", "thread")
    gate.wait_started()
    client.send(signal.SIGINT)
    gate.let_go()
    done = client.wait()
    assert done.code == 130, done
    assert "interrupted" in done.err + done.out


def test_a_fork_does_not_outlive_a_client_that_is_killed(project: Project, gate: Gate) -> None:
    """Else what a test started disturbs those that come after it."""
    project.pipeline(WAITING)
    client = project.start_command(
        ["marin-build", "apply", "--isolation", "thread"], env=_path(project)
    )
    _, pid = gate.wait_started()
    assert pid != client.pid
    client.send(signal.SIGKILL)
    client.wait()
    wait_for_exits([pid], time.monotonic() + PATIENCE)
    assert not is_running(pid)
    # The resident goes on.
    assert project.run("--version").code == 0
