"""Looking after a run: how targets stand, what they printed, whether they are what was built."""

from __future__ import annotations

import os
import signal
import time
import urllib.parse
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from marin_build.protocol.lease import Lease
from tests.servers.gcs import GcsServer

from .support import DIAMOND, OUTPUTS, PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .support import Gate, Project, Running

GATED = """\
import sys
from pathlib import Path
from gate import wait_at_gate
from marin_build import StepSpec, step

def held(output):
    print("begun", flush=True)
    wait_at_gate("held")
    print("done")
    Path(output, "x").touch()

def quiet(output):
    Path(output, "x").touch()

def bad(output):
    print("\\x1b[31mred\\x1b[0m")
    raise ValueError("no good\\nat all")

targets = [StepSpec(name=fn.__name__, fn=fn) for fn in (held, quiet, bad)]
"""

REMOTE = """\
import fsspec
from gate import wait_at_gate
from marin_build import StepSpec

def held(output):
    print("begun", flush=True)
    wait_at_gate("held")
    print("done")
    with fsspec.open(output + "/x", "w") as stream:
        stream.write("1")

targets = [StepSpec(name="held", fn=held)]
"""


@pytest.fixture
def server() -> Iterator[GcsServer]:
    """A bucket of its own."""
    with GcsServer("outputs") as made:
        yield made


@pytest.fixture
def remote(project: Project, gate: Gate, server: GcsServer) -> Project:
    """A project whose only step waits at the gate, and whose outputs go to a bucket."""
    project.build_in_bucket(server.url, "gs://outputs/run")
    project.pipeline(REMOTE)
    return project


def _upload(server: GcsServer, name: str, data: bytes) -> None:
    query = urllib.parse.urlencode({"uploadType": "media", "name": name})
    url = f"{server.url}/upload/storage/v1/b/outputs/o?{query}"
    with urllib.request.urlopen(urllib.request.Request(url, data, method="POST")) as answer:
        assert answer.status == 200


def _read_until(running: Running, text: str) -> str:
    """Read what a program prints until a text came."""
    assert running.process.stdout is not None
    found, deadline = "", time.monotonic() + PATIENCE
    while text not in found:
        assert time.monotonic() < deadline, found
        line = running.process.stdout.readline()
        assert line, f"it ended: {found} {running.wait()}"
        found += line
    return found


# -- status --------------------------------------------------------------------------------------


def test_all_that_is_requested_and_needed_is_told(project: Project) -> None:
    """Else people look into folders to see how far it is."""
    project.pipeline(DIAMOND)
    done = project.run("status")
    assert (done.code, done.err) == (0, "")
    assert project.mask(done.out) == (
        "not built  corpus_HASH\n"
        "not built  left_HASH\n"
        "not built  right_HASH\n"
        "not built  report_HASH\n"
        "4 targets: 4 not built\n"
    )
    assert project.tree(".marin-build") == {}, "nothing is written"
    assert project.run("apply", "left").code == 0
    assert project.run("status").out.endswith("4 targets: 2 not built, 2 built\n")
    chosen = project.run("status", "l*", "--json").document
    assert [(each["name"], each["state"]) for each in chosen["targets"]] == [("left", "built")]


def test_who_holds_a_target_is_told_and_since_when(project: Project, gate: Gate) -> None:
    """Else nobody knows whom to ask."""
    project.pipeline(GATED)
    running = project.start("apply", "-k", "-j", "1", "--json")
    run = running.wait_event("apply_started")["run"]
    gate.wait_started()
    (held, *_) = project.run("status", "--json").document["targets"]
    assert held["state"] == "running"
    assert held["held_by"].items() >= {"run": run, "attempt": 1, "time_to_live": 60.0}.items()
    assert held["held_by"]["since"][:19] <= held["held_by"]["renewed"][:19]
    text = project.run("status", "held").out
    assert f", run {run}, attempt 1; for " in text
    gate.let_go()
    assert running.wait().code == 1
    failed, built, quiet, totals = project.run("status").out.splitlines()
    assert failed.startswith("failed  bad_")
    assert "  attempt 1, exit code 1, 20" in failed
    assert failed.endswith(": ValueError: no good")
    assert built.startswith("built   held_")
    assert quiet.startswith("built   quiet_")
    assert totals == "3 targets: 1 failed, 2 built"


def test_a_holder_that_died_here_is_said_to_be_gone(project: Project, gate: Gate) -> None:
    """Else people wait for who will never come back."""
    project.pipeline(GATED)
    running = project.start("apply", "held")
    gate.wait_started()
    running.send(signal.SIGKILL)
    running.wait()
    assert running.wait_until_all_gone() == {}
    done = project.run("status", "held")
    assert done.out.startswith("gone  held_")
    assert "its holder is gone: " in done.out
    assert "; the next apply builds it\n" in done.out
    (row,) = [line for line in project.run("ls").out.splitlines() if line.startswith("held_")]
    assert "  its holder is gone: " in row
    assert "held by" not in row
    (told,) = project.run("status", "held", "--json").document["targets"]
    assert told["state"] == "gone"


def test_what_a_dead_supervisor_left_running_is_said_to_run(project: Project, gate: Gate) -> None:
    """Else somebody builds beside it."""
    project.pipeline(
        GATED.replace(
            '    wait_at_gate("held")\n',
            "    import subprocess\n"
            "    subprocess.Popen([sys.executable, '-c', 'from gate import wait_at_gate;"
            ' wait_at_gate("child")\'], start_new_session=True).wait()\n',
        )
    )
    running = project.start("apply", "held", env={"PYTHONPATH": str(project.root)})
    gate.wait_started()
    ours = [running.pid]  # applier, guard and template: alone, each of them would end it
    for _ in range(2):
        below = Path(f"/proc/{ours[-1]}/task/{ours[-1]}/children").read_text()
        ours.append(int(below))
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for pid in ours:
            os.kill(pid, number)
    running.wait()
    (told,) = project.run("status", "held", "--json").document["targets"]
    assert (told["state"], told["left_running"]) == ("running", True)
    gate.let_go()
    assert running.wait_until_all_gone() == {}
    assert project.run("status", "held").out.startswith("gone  held_")


def test_what_was_interrupted_is_told_apart_from_what_never_ran(
    project: Project, gate: Gate
) -> None:
    project.pipeline(GATED)
    running = project.start("apply", "held")
    gate.wait_started()
    running.send(signal.SIGINT)
    assert running.wait().code == 130
    assert project.run("status", "held").out.startswith("interrupted  held_")


def test_the_status_of_many_targets_is_read_in_one_batch_and_folded(project: Project) -> None:
    """Else a thousand lines hide the one that matters."""
    project.pipeline(
        "from marin_build import StepSpec\n"
        "def build(output): pass\n"
        "targets = [StepSpec(name=f'tokenize/{i}', fn=build) for i in range(1000)]\n"
    )
    assert project.run("status").out == (
        "not built  tokenize/* (1000 targets)\n1000 targets: 1000 not built\n"
    )
    assert len(project.run("status", "-v").out.splitlines()) == 1001


# -- logs ----------------------------------------------------------------------------------------


def test_the_log_of_the_newest_attempt_is_printed_as_it_is(project: Project, gate: Gate) -> None:
    """Else a tool that reads colours, or bytes, reads something else."""
    project.pipeline(GATED)
    for _ in range(2):
        assert project.run("apply", "bad", "-q").code == 1
    done = project.run("logs", "bad")
    assert done.code == 0
    assert done.out == project.log_of("bad", 2)
    assert done.out.startswith("\x1b[31mred\x1b[0m\nTraceback")
    assert done.err.startswith("==> attempt 2: failed, exit code 1, ")
    assert done.err.endswith(" (--list: 1 more)\n")
    assert project.run("logs", "bad", "--attempt", "1").out == project.log_of("bad", 1)
    listed = project.run("logs", "bad", "--list").out.splitlines()
    size = (project.output_of("bad") / ".logs/attempt-0002.log").stat().st_size
    assert [line.split()[0] for line in listed] == ["1", "2"]
    assert listed[1].endswith(f", {size} B")


def test_there_are_clear_words_where_there_is_no_log(project: Project, gate: Gate) -> None:
    """Else an empty screen may mean anything."""
    project.pipeline(GATED)
    done = project.run("logs", "quiet")
    assert (done.code, done.out) == (4, "")
    assert "` was never built: there is no log\n" in done.err
    assert project.run("apply", "quiet").code == 0
    done = project.run("logs", "quiet")
    assert (done.code, done.out) == (0, "")
    assert done.err.endswith("\nnothing was printed\n")
    done = project.run("logs", "quiet", "--attempt", "7")
    assert (done.code, done.out) == (4, "")
    assert "` has no attempt 7\n  attempts: 1\n" in done.err
    assert project.run("logs", "*").code == 4


@pytest.mark.parametrize("where", ["beside the output", "for a bucket"])
def test_a_log_is_followed_until_its_attempt_ends(
    request: pytest.FixtureRequest, project: Project, gate: Gate, where: str
) -> None:
    """Else people tail files whose names they have to guess, and never know when it is over."""
    if where == "for a bucket":
        request.getfixturevalue("remote")
    else:
        project.pipeline(GATED)
    running = project.start("apply", "held")
    gate.wait_started()
    following = project.start("logs", "held", "-f")
    assert _read_until(following, "begun\n") == "begun\n"
    snapshot = project.run("logs", "held")
    assert (snapshot.code, snapshot.out) == (0, "begun\n")
    assert snapshot.err.startswith("==> attempt 1: running, ")
    gate.let_go()
    assert running.wait().code == 0
    done = following.wait()
    assert (done.code, done.out) == (0, "done\n")
    assert done.err.splitlines()[-1].startswith("==> attempt 1: succeeded, ")
    assert project.run("logs", "held").out == "begun\ndone\n"


def test_following_ends_when_the_holder_dies(project: Project, gate: Gate) -> None:
    """Else a terminal waits for ever for who was killed."""
    project.pipeline(GATED)
    running = project.start("apply", "held")
    gate.wait_started()
    following = project.start("logs", "held", "--follow")
    _read_until(following, "begun\n")
    running.send(signal.SIGKILL)
    running.wait()
    done = following.wait()
    assert done.code == 0
    assert "==> attempt 1: its holder is gone, " in done.err


def test_the_log_of_what_runs_on_another_machine_is_not_made_up(
    remote: Project, server: GcsServer
) -> None:
    """Else a running step looks as if it printed nothing."""
    (decision,) = remote.run("plan", "--json").document["decisions"]
    output = decision["output_path"].removeprefix("gs://outputs/")
    lease = Lease("ada@far", 1.0, run="r-1", attempt=1, nonce="n", boot="another")
    _upload(server, f"{output}/.executor_status", b"RUNNING")
    _upload(server, f"{output}/.executor_status.lock", lease.encode())
    for args in (["logs", "held"], ["logs", "held", "-f"]):
        done = remote.run(*args)
        assert (done.code, done.out) == (4, "")
        assert done.err.replace(decision["target"], "held_HASH") == (
            "==> attempt 1: running, ada@far, run r-1\n"
            "error: the log of attempt 1 at `held_HASH` is on another machine\n"
            "  runs on: ada@far, run r-1, attempt 1\n"
            "  that machine copies it into the store when the attempt ends\n"
            "hint: look again then\n"
        )
    done = remote.run("status")
    assert done.out.startswith("running  held_")
    assert "renewed 1970-01-01 00:00:01 UTC by its own clock" in done.out


def test_a_step_in_a_bucket_that_printed_nothing_yet_is_told_so(
    remote: Project, gate: Gate
) -> None:
    """Here its log lies in another folder than where it is looked for: the same as none."""
    running = remote.start_fork("apply")
    gate.wait_started()
    done = remote.run("logs", "held", env={"TMPDIR": str(remote.home)})
    assert (done.code, done.out) == (0, "")
    assert done.err.endswith("\nnothing was printed so far; -f waits for it\n")
    gate.let_go()
    assert running.wait().code == 0
    assert remote.run("logs", "held", env={"TMPDIR": str(remote.home)}).out == "begun\ndone\n"


# -- verify --------------------------------------------------------------------------------------


def test_what_was_changed_since_it_was_built_is_found(project: Project) -> None:
    """Else data that no attempt committed is trained on."""
    project.pipeline(DIAMOND)
    assert project.run("apply").code == 0
    assert project.mask(project.run("verify", "*").out) == (
        "intact  corpus_HASH  1 file, 21 B\n"
        "intact  left_HASH  1 file, 2 B\n"
        "intact  right_HASH  1 file, 2 B\n"
        "intact  report_HASH  1 file, 9 B\n"
        "4 targets: 4 intact\n"
    )
    corpus = project.output_of("corpus")
    (corpus / "text.txt").write_text("shorter")
    (corpus / "late.txt").touch()
    (project.output_of("left") / "count.txt").unlink()
    (project.output_of("right") / ".artifact.json").unlink()
    done = project.run("verify", "corpus", "left", "right")
    assert done.code == 1
    assert project.mask(done.out) == (
        "differs  corpus_HASH\n"
        "           `text.txt` has 7 B, not 21 B\n"
        "           `late.txt` is new\n"
        "differs  left_HASH\n"
        "           `count.txt` is missing\n"
        "differs  right_HASH\n"
        "           `.artifact.json` is missing\n"
        "3 targets: 3 differs\n"
    )
    document = project.run("verify", "corpus", "--json").document
    (told,) = document["targets"]
    assert told["verdict"] == "differs"
    assert told["resized"] == [{"path": "text.txt", "expected": 21, "found": 7}]
    assert told["added"] == ["late.txt"]


def test_what_is_not_built_is_not_vouched_for(project: Project) -> None:
    """Else `verify && publish` publishes nothing, and says that all is well."""
    project.pipeline(DIAMOND)
    assert project.run("apply", "left").code == 0
    assert project.run("verify", "left").code == 0
    done = project.run("verify", "*")
    assert done.code == 1
    assert done.out.endswith("4 targets: 2 intact, 2 not built\n")
    assert project.run("verify", "status:success").code == 0
    assert project.run("verify").code == 4


def test_adopted_data_is_verified_where_it_lies(project: Project) -> None:
    """Else nobody sees that the only copy was touched."""
    project.pipeline(DIAMOND)
    project.write("there/text.txt", "line\n")
    assert project.run("adopt", "corpus", "--from", "there", "--reason", "x").code == 0
    done = project.run("verify", "corpus")
    assert done.code == 0, done
    assert f"at {project.root}/there" in done.out
    project.write("there/text.txt", "")
    assert project.run("verify", "corpus").code == 1
    assert "adopted from" in project.run("logs", "corpus").err


def test_outputs_in_a_bucket_are_verified(remote: Project, gate: Gate) -> None:
    running = remote.start_fork("apply")
    gate.wait_started()
    gate.let_go()
    assert running.wait().code == 0
    done = remote.run("verify", "held")
    assert (done.code, remote.mask(done.out)) == (
        0, "intact  held_HASH  1 file, 1 B\n1 target: 1 intact\n"
    )  # fmt: skip
    assert OUTPUTS not in done.out
