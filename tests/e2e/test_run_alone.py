"""One step alone, in the foreground: a debugger works in it, and it is built as any other."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import termios
import time
import uuid
from codecs import IncrementalDecoder, getincrementaldecoder
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from marin_build.protocol.lease import Lease
from marin_build.store.local import LocalStore

from .support import DIAMOND, MARKER, PATIENCE, PROGRAM, Running

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .support import Gate, Project

HEAD = """\
import os, sys
from pathlib import Path
from marin_build import StepSpec, command
"""
STOPPING = (
    HEAD
    + """
def think(output):
    answer = 41
    breakpoint()
    Path(output, "answer").write_text(str(answer))

targets = [StepSpec(name="think", fn=think)]
"""
)
_ON_A_TERMINAL = (
    "import fcntl, os, sys, termios; os.setsid(); fcntl.ioctl(0, termios.TIOCSCTTY, 0);"
    "os.execv(sys.argv[1], sys.argv[1:])"
)


@dataclass
class Terminal:
    """A program on a terminal of its own, and all that was shown there."""

    process: subprocess.Popen[bytes]
    running: Running
    keyboard: int
    shown: str = ""
    # What is read may end in the middle of a character.
    _decoder: IncrementalDecoder = field(default_factory=getincrementaldecoder("utf-8"))

    def wait_for(self, text: str) -> str:
        """Wait until a text is shown; return all that was shown up to its end, and forget it."""
        deadline = time.monotonic() + PATIENCE
        while text not in self.shown:
            ready, _, _ = select.select([self.keyboard], [], [], deadline - time.monotonic())
            assert ready, self.shown
            try:
                self.shown += self._decoder.decode(os.read(self.keyboard, 4096))
            except OSError:  # its other side is closed
                raise AssertionError(f"it ended: {self.shown}") from None
        before, _, self.shown = self.shown.partition(text)
        return before + text

    def type(self, text: str) -> None:
        """Type something."""
        os.write(self.keyboard, text.encode())

    def echoes(self) -> bool:
        """Return whether the terminal shows what is typed, as it should when nobody reads it."""
        flags: int = termios.tcgetattr(self.keyboard)[3]
        return bool(flags & termios.ECHO and flags & termios.ICANON)


@pytest.fixture
def on_terminal(project: Project) -> Iterator[Callable[..., Terminal]]:
    """Return what starts marin-build on a terminal."""
    keyboards: list[int] = []
    processes: list[Running] = []

    def start(*args: str) -> Terminal:
        keyboard, screen = pty.openpty()
        keyboards.append(keyboard)
        marker = uuid.uuid4().hex
        process = subprocess.Popen(
            [sys.executable, "-c", _ON_A_TERMINAL, str(PROGRAM), *args],
            cwd=project.root,
            env={**project.environ(), "TERM": "dumb", MARKER: marker},
            stdin=screen,
            stdout=screen,
            stderr=screen,
        )
        # This side stays open: the form of a terminal that nobody has open is lost.
        keyboards.append(screen)
        running = Running(process, marker)  # type: ignore[arg-type]
        processes.append(running)
        return Terminal(process, running, keyboard)

    yield start
    for running in processes:
        running.kill_everything()
    for descriptor in keyboards:
        os.close(descriptor)


def test_a_debugger_works_in_it(project: Project, on_terminal: Callable[..., Terminal]) -> None:
    """Else people copy steps into notebooks to see what is wrong with them."""
    project.pipeline(STOPPING)
    terminal = on_terminal("run", "think")
    assert "/pipeline.py(" in terminal.wait_for("(Pdb) ")
    terminal.type("p answer\n")
    assert "41" in terminal.wait_for("(Pdb) ").replace("p answer", "")
    terminal.type("p output\n")
    assert str(project.output_of("think")) in terminal.wait_for("(Pdb) ")
    terminal.type("answer = 42\n")
    terminal.wait_for("(Pdb) ")
    terminal.type("c\n")
    assert "built think_" in terminal.wait_for("(attempt 1)")
    assert terminal.process.wait(PATIENCE) == 0
    assert (project.output_of("think") / "answer").read_text() == "42"
    assert project.status_of("think") == "SUCCESS"
    assert terminal.running.wait_until_all_gone() == {}


def test_who_quits_the_debugger_fails_nothing(
    project: Project, on_terminal: Callable[..., Terminal]
) -> None:
    """Else the next plan says that the step is broken."""
    project.pipeline(STOPPING)
    terminal = on_terminal("run", "think")
    terminal.wait_for("(Pdb) ")
    terminal.type("q\n")
    terminal.wait_for("to run it again: marin-build run think")
    assert terminal.process.wait(PATIENCE) == 130
    assert project.attempt_of("think")["result"] == "interrupted"


def test_an_interrupt_at_the_keyboard_cuts_it_short(
    project: Project, on_terminal: Callable[..., Terminal], gate: Gate
) -> None:
    project.pipeline(
        f"{HEAD}from gate import wait_at_gate\n"
        "targets = [StepSpec(name='one', fn=lambda output: wait_at_gate('one'))]\n"
    )
    terminal = on_terminal("run", "one")
    gate.wait_started()
    terminal.type("\x03")
    terminal.wait_for("interrupted: one_")
    assert terminal.process.wait(PATIENCE) == 130
    assert project.attempt_of("one")["result"] == "interrupted"
    assert not (project.output_of("one") / ".executor_status.lock").exists()


def test_a_lost_lease_ends_the_debugger(
    project: Project, on_terminal: Callable[..., Terminal]
) -> None:
    """Else somebody thinks at a prompt while another builds the same."""
    project.write("marin-build.toml", "lease = 2\n")
    project.pipeline(STOPPING)
    terminal = on_terminal("run", "think")
    terminal.wait_for("(Pdb) ")
    output = project.output_of("think")
    lock = output / ".executor_status.lock"
    LocalStore().put(str(lock), Lease("bob@far", 1.0, run="r-2", attempt=2, nonce="his").encode())
    shown = terminal.wait_for("hint: see who has it now: marin-build status")
    assert "error: the lease was lost, or no process renews it any more" in shown
    assert terminal.process.wait(PATIENCE) == 5
    assert terminal.echoes()
    assert not (output / "answer").exists()
    assert b"bob@far" in lock.read_bytes()
    assert terminal.running.wait_until_all_gone() == {}


def test_nothing_is_left_running_when_it_is_killed(
    project: Project, on_terminal: Callable[..., Terminal]
) -> None:
    """Else a lease is renewed for ever for a step that is gone."""
    project.pipeline(STOPPING)
    terminal = on_terminal("run", "think")
    terminal.wait_for("(Pdb) ")
    terminal.running.send(signal.SIGKILL)
    terminal.process.wait(PATIENCE)
    assert terminal.running.wait_until_all_gone() == {}
    project.pipeline(STOPPING.replace("    breakpoint()\n", ""))
    done = project.run("run", "think")
    assert done.code == 0, done
    assert project.attempt_of("think", 1)["result"] == "abandoned"


def _run_with(project: Project, text: str, *args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [PROGRAM, "run", *args],
        cwd=project.root,
        env=project.environ(),
        input=text,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    "step",
    [
        "StepSpec(name='one', fn=lambda o: Path(o, 'x').write_text(input('name? ')) and None)",
        "command('echo -n \"name? \"; read -r x; echo -n \"$x\" > {output}/x', name='one')",
    ],
    ids=["function", "command"],
)
def test_it_has_the_standard_streams(project: Project, step: str) -> None:
    """Else no step can be asked anything, nor its output be piped anywhere."""
    project.pipeline(f"{HEAD}targets = [{step}]\n")
    done = _run_with(project, "ada\n", "one")
    assert (done.returncode, done.stdout) == (0, "name? ")
    assert (project.output_of("one") / "x").read_text() == "ada"
    logs = project.run("logs", "one")
    assert logs.out == "this attempt ran in the foreground: what it printed was not kept\n"


def test_it_runs_as_apply_would_run_it(project: Project) -> None:
    """Else what works alone fails in the night, or the other way round."""
    project.pipeline(
        f"{HEAD}\n"
        "def look(output):\n"
        "    seen = [os.getcwd(), os.environ['WORD'], output]\n"
        "    Path(output, 'x').write_text('\\n'.join(seen))\n"
        "targets = [StepSpec(name='one', fn=look, env_vars={'WORD': 'w'})]\n"
    )
    assert project.run("apply").code == 0
    path = project.output_of("one") / "x"
    applied = path.read_text()
    assert project.run("run", "one", "--force").code == 0
    assert path.read_text() == applied
    record = (project.output_of("one") / ".executor_info").read_text()
    assert '"attempt":2' in record


def test_what_it_needs_must_be_built(project: Project) -> None:
    """Else it reads nothing, and writes down that all was well."""
    project.pipeline(DIAMOND)
    done = project.run("run", "report", "--set", "lines=4")
    assert (done.code, done.out) == (5, "")
    missing = [target["target"] for target in
               project.run("status", "--json", "--set", "lines=4").document["targets"]]  # fmt: skip
    corpus, left, right, _ = missing
    assert done.err == (
        "error: `report` needs targets that are not built\n"
        f"  missing: {corpus}\n"
        f"           {left}\n"
        f"           {right}\n"
        "  nothing was run\n"
        f"hint: build them first: marin-build apply --set lines=4 {corpus} {left} {right}\n"
    )
    assert project.counts() == {}
    assert project.bash("-c", done.err.partition("first: ")[2]).code == 0
    assert project.run("run", "report", "--set", "lines=4").code == 0
    assert project.counts() == {"corpus": 1, "left": 1, "right": 1, "report": 1}


def test_what_is_built_is_not_built_again_unless_asked_to(project: Project) -> None:
    """Else a look with a debugger costs the model."""
    project.pipeline(DIAMOND)
    assert project.run("apply").code == 0
    done = project.run("run", "left")
    assert (done.code, done.out) == (0, "")
    assert project.mask(done.err) == (
        "`left_HASH` is built: nothing was run\n"
        "hint: to build it all the same: marin-build run left --force\n"
    )
    assert project.run("run", "left", "--force").code == 0
    assert project.counts()["left"] == 2
    assert project.run("apply").out.startswith("nothing to do: 4 targets are reused\n")


def test_a_failure_shows_its_traceback_whole(project: Project) -> None:
    """Else whoever debugs misses the frame that matters."""
    project.pipeline(
        f"{HEAD}import json\ntargets = [StepSpec(name='bad', fn=lambda output: json.loads('{{'))]\n"
    )
    done = project.run("run", "bad")
    assert (done.code, done.out) == (1, "")
    assert "/json/decoder.py" in done.err
    last = done.err.splitlines()
    assert last[-3].startswith("error: `bad` failed with exit code 1 (attempt 1): JSONDecodeError")
    assert last[-1] == "hint: run it again: marin-build run bad"
    assert project.status_of("bad") == "FAILED"
    assert project.attempt_of("bad")["result"] == "failed"


def test_the_hint_after_a_failure_runs_it_alone(project: Project) -> None:
    """Else the command that is offered answers with an error of its own."""
    project.pipeline(DIAMOND.replace("    ran(side)\n", "    ran(side)\n    1 / 0\n"))
    done = project.run("apply", "-j", "1", "--set", "lines=4")
    hint = done.err.partition("hint: run it alone with: ")[2].splitlines()[0]
    assert hint.startswith("marin-build run --set lines=4 ")
    alone = project.bash("-c", hint)
    assert alone.code == 1
    assert "ZeroDivisionError" in alone.err


def test_what_somebody_else_builds_is_left_to_him(project: Project, gate: Gate) -> None:
    """Else two write into one folder."""
    project.pipeline(
        f"{HEAD}from gate import wait_at_gate\n"
        "def hold(output):\n"
        "    wait_at_gate('one')\n"
        "    Path(output, 'x').touch()\n"
        "targets = [StepSpec(name='one', fn=hold)]\n"
    )
    running = project.start("apply")
    gate.wait_started()
    done = project.run("run", "one")
    assert (done.code, done.out) == (5, "")
    assert "` is held: another run builds it\n  holder: " in done.err
    gate.let_go()
    assert running.wait().code == 0


def test_the_wrong_command_line_runs_nothing(project: Project) -> None:
    project.pipeline(DIAMOND)
    for args in (["run", "*"], ["run", "nix"], ["run"]):
        assert project.run(*args).code == 4, args
    project.pipeline(f"{HEAD}targets = [StepSpec(name='raw', fn=None)]\n")
    assert project.run("run", "raw").code == 4
