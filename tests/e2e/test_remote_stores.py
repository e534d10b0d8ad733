"""Building under a prefix in a bucket, through the real gcsfs and over HTTP."""

from __future__ import annotations

import json
import re
import signal
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from marin_build.protocol.log_format import without_stamps
from tests.servers.faults import Fault
from tests.servers.gcs import GcsServer
from tests.trace_rules import check_trace

from .support import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .support import Gate, Project

BUCKET = "outputs"
PREFIX = f"gs://{BUCKET}/run"
ONCE = {"corpus": 1, "left": 1, "right": 1, "report": 1}

# The same diamond, with steps that write where they are told through fsspec.
REMOTE = """\
import json
from pathlib import Path

import fsspec

from gate import wait_at_gate
from marin_build import step

HERE = Path(__file__).parent


def ran(name):
    with open(HERE / "ran.txt", "a") as stream:
        stream.write(name + "\\n")


def write(path, text):
    with fsspec.open(path, "w") as stream:
        stream.write(text)


def read(path):
    with fsspec.open(path) as stream:
        return stream.read().decode()


@step
def corpus(output: str, lines: int) -> dict:
    ran("corpus")
    print("so many lines:", lines)
    write(f"{output}/text.txt", "line\\n" * lines)
    wait_at_gate("corpus")
    return {"lines": lines}


@step(name="{side}")
def count(output: str, corpus: str, side: str, times: int) -> int:
    ran(side)
    found = read(f"{corpus}/text.txt").count("line") * times
    write(f"{output}/count.txt", str(found))
    return found


@step
def report(output: str, left: int, right: str, about: dict) -> None:
    ran("report")
    if (HERE / "broken").exists():
        write(f"{output}/half.txt", "half")
        raise RuntimeError("not today")
    write(f"{output}/report.txt", f"{left} {read(right + '/count.txt')} of {about['lines']}")


def pipeline(lines: int = 3):
    text = corpus(lines=lines)
    one = count(corpus=text, side="left", times=1)
    two = count(corpus=text, side="right", times=2)
    return [report(left=one, right=two, about=text)]
"""


@pytest.fixture
def server() -> Iterator[GcsServer]:
    """A bucket of its own."""
    with GcsServer(BUCKET) as made:
        yield made


@pytest.fixture
def remote(project: Project, server: GcsServer) -> Project:
    """A project whose outputs go to the bucket; its steps wait for nobody."""
    project.build_in_bucket(server.url, PREFIX)
    project.write("gate.py", "def wait_at_gate(word):\n    pass\n")
    project.pipeline(REMOTE)
    return project


def _objects(server: GcsServer) -> dict[str, bytes]:
    """Return what is in the bucket, by name without hashes."""
    found = {}
    for name, stored in server.api.buckets.objects(BUCKET).items():
        folder, _, rest = name.removeprefix("run/").partition("/")
        found[f"{folder.rpartition('_')[0]}/{rest}"] = stored.data
    return found


def test_the_first_pipeline_builds_in_a_bucket(project: Project, server: GcsServer) -> None:
    """Else whoever begins where the team keeps its outputs has a first step that fails."""
    project.build_in_bucket(server.url, PREFIX)
    assert project.run("init").code == 0
    built = project.run("apply")
    assert (built.code, built.out.splitlines()[-1].split(":")[0]) == (0, "  counts"), built.err
    made = json.loads(_objects(server)["counts/.artifact.json"])
    assert made == {"to": 2, "build": 2, "or": 1, "not": 1}
    assert project.run("apply").out.startswith("nothing to do: 2 targets are reused\n")


def _ran(project: Project) -> Counter[str]:
    return Counter(project.file("ran.txt").split())


def test_a_pipeline_is_built_in_a_bucket_and_not_again(remote: Project, server: GcsServer) -> None:
    """Else nobody who keeps his outputs in buckets can use this."""
    done = remote.run("apply")
    assert done.code == 0, done
    found = _objects(server)
    assert found["report/report.txt"] == b"3 6 of 3"
    assert found["corpus/.artifact.json"] == b'{"lines": 3}'
    log = found["corpus/.logs/attempt-0001.log"]
    assert without_stamps(log) == b"so many lines: 3\n" != log
    assert {found[f"{name}/.executor_status"] for name in ONCE} == {b"SUCCESS"}
    assert not [name for name in found if name.endswith(".lock")]
    manifest = json.loads(found["corpus/.logs/attempt-0001.json"])["publish"]["manifest"]
    assert manifest == [{"path": "text.txt", "size": 15}]
    server.calls.clear()
    assert remote.run("apply").out.startswith("nothing to do: 4 targets are reused\n")
    assert len(server.calls) == 3, "marks, a status, a record: what is below is not asked for"
    assert _ran(remote) == ONCE


def test_runs_are_kept_in_the_bucket_and_compared_from_there(
    remote: Project, server: GcsServer
) -> None:
    """Else runs of several machines cannot be compared: a bucket is what they share."""
    assert remote.run("apply", "-q").code == 0
    assert remote.run("apply", "-q", "--set", "lines=4").code == 0
    kept = {name.split("/")[3] for name in server.api.buckets.objects(BUCKET) if "/runs/" in name}
    assert len(kept) == 2
    (remote.root / "pipeline.py").unlink()
    server.calls.clear()
    done = remote.run("diff", *kept, "--json")
    assert done.code == 0, done.err
    found = [(each["kind"], each["name"]) for each in done.document["differences"]]
    assert found[0] == ("changed", "corpus")
    assert {kind for kind, _ in found[1:]} == {"cascade"}
    assert len(server.calls) == 4, "plan and person of each, in one batch"
    assert remote.run("diff", "latest", min(kept)).code == 0


def test_the_journal_of_a_run_is_in_the_bucket(remote: Project, server: GcsServer) -> None:
    """Else nobody but the machine that ran it, which is gone, knows what happened."""
    remote.environment["TMPDIR"] = str(remote.root)
    done = remote.run("apply", "--json")
    assert done.code == 0, done.err
    (journal,) = [data for name, data in _objects(server).items() if name.endswith("events.jsonl")]
    told = [json.loads(line)["event"] for line in journal.splitlines()]
    assert told == ["journal", *(event["event"] for event in done.events)]
    server.calls.clear()
    trace = remote.run("trace", "latest")
    assert trace.code == 0, trace.err
    check_trace(trace.document)
    assert len(server.calls) == 3, "the runs, who ran them, and the journal"
    left = [path for path in remote.root.glob("marin-build-*/**/*") if path.name == "events.jsonl"]
    assert left == []


def test_a_run_into_a_bucket_that_is_killed_has_a_trace_on_this_machine(
    remote: Project, gate: Gate
) -> None:
    """Else the minute before the crash, the one that is asked about, is lost."""
    remote.environment["TMPDIR"] = str(remote.root)
    running = remote.start("apply")
    gate.wait_started()
    running.send(signal.SIGKILL)
    running.wait()
    assert running.wait_until_all_gone() == {}
    trace = remote.run("trace", "latest")
    assert trace.code == 0, trace.err
    ends = {e["name"].partition("_")[0]: e["args"] for e in check_trace(trace.document)}
    assert ends["corpus"]["ended"] == "unfinished"


def test_a_run_that_may_not_be_kept_in_the_bucket_goes_on(
    remote: Project, server: GcsServer
) -> None:
    """Else whoever may write outputs only cannot build."""
    server.faults.add(Fault(403, method="POST", holds=".marin-build/runs/", every=1))
    done = remote.run("apply", "-q")
    assert done.code == 0, done.err
    assert re.fullmatch(r"warning: neither plan nor journal of r-\w{8} is kept: .+\n", done.err)
    assert _objects(server)["report/report.txt"] == b"3 6 of 3"


def test_a_failed_step_says_why_beside_its_output_and_begins_anew(
    remote: Project, server: GcsServer
) -> None:
    """Else a colleague cannot see what went wrong, or half an output is mixed into the next."""
    remote.write("broken", "")
    failed = remote.run("apply")
    assert (failed.code, "RuntimeError: not today" in failed.err) == (1, True)
    found = _objects(server)
    assert found["report/.executor_status"] == b"FAILED"
    assert b"RuntimeError: not today" in found["report/.logs/attempt-0001.log"]
    planned = remote.mask(remote.run("plan").out)
    assert "failed before (attempt 1, DATE by USER@HOST): RuntimeError: not today" in planned
    (remote.root / "broken").unlink()
    assert remote.run("apply").code == 0
    found = _objects(server)
    assert "report/half.txt" not in found
    assert json.loads(found["report/.executor_info"])["attempt"] == 2


def test_two_at_once_build_everything_once(remote: Project, server: GcsServer, gate: Gate) -> None:
    """Else two people pay twice for the same work."""
    first = remote.start_fork("apply", "--json")
    gate.wait_started()
    second = remote.start_fork("apply", "--json")
    assert second.wait_event("step_waiting")["time_to_live"] == 60
    gate.let_go()
    assert first.wait().code == 0
    assert second.process.wait(PATIENCE) == 0
    assert _ran(remote) == ONCE
    assert _objects(server)["report/report.txt"] == b"3 6 of 3"


def test_after_a_kill_on_this_machine_nobody_waits(
    remote: Project, server: GcsServer, gate: Gate
) -> None:
    """Else a crash costs a minute each time."""
    first = remote.start("apply")
    gate.wait_started()
    first.send(signal.SIGKILL)
    first.wait()
    assert first.wait_until_all_gone() == {}
    second = remote.start("apply", "--json")
    gate.wait_started()
    gate.let_go()
    done = second.wait()
    assert (done.code, done.names_of("step_waiting")) == (0, [])
    abandoned = json.loads(_objects(server)["corpus/.logs/attempt-0001.json"])
    assert abandoned["result"] == "abandoned"
    assert _ran(remote) == {**ONCE, "corpus": 2}


@pytest.mark.parametrize("what", [503, 429, "reply"])
def test_a_store_that_fails_now_and_then_costs_time_and_nothing_else(
    remote: Project, server: GcsServer, what: int | str
) -> None:
    """Else one lost reply stops a run of days, or builds a step twice."""
    server.faults.add(Fault(what, every=20))  # type: ignore[arg-type]
    done = remote.run("apply")
    assert done.code == 0, done
    server.faults.clear()
    assert _ran(remote) == ONCE
    assert not [name for name in _objects(server) if name.endswith(".lock")]
    assert remote.run("apply").out.startswith("nothing to do: 4 targets are reused\n")


def test_a_bucket_that_is_not_there_is_named(remote: Project) -> None:
    """Else a typing error in the prefix looks like a failure of the first step."""
    for words in (["apply"], ["plan"], ["status"], ["logs", "corpus"]):
        done = remote.run(*words, "--prefix", "gs://outpust/run")
        assert done.code == 4, done
        assert "there is no bucket `outpust`" in done.err


def test_a_lease_that_may_live_is_not_unlocked_without_force(
    remote: Project, server: GcsServer, gate: Gate
) -> None:
    """Else two build the same target, or a dead holder cannot be got rid of."""
    assert remote.run("unlock", "corpus").out.endswith("is not locked\n")
    first = remote.start("apply")
    gate.wait_started()
    refused = remote.run("unlock", "corpus")
    assert (refused.code, "its holder may live" in refused.err) == (5, True)
    assert ", run r-" in refused.err
    forced = remote.run("unlock", "corpus", "--force")
    assert forced.code == 0
    assert "unlocked `corpus_" in forced.out
    gate.let_go()
    overtaken = first.wait()
    assert (overtaken.code, "was lost" in overtaken.out) == (5, True), overtaken
    assert _objects(server)["corpus/.executor_status"] == b"RUNNING"


def test_a_store_without_conditional_writes_needs_a_promise(remote: Project) -> None:
    """Else two builders there believe that each is alone."""
    somewhere = ("apply", "--prefix", "memory://somewhere", "--isolation", "thread")
    refused = remote.run(*somewhere)
    assert (refused.code, refused.out) == (4, ""), refused
    assert "no lease holds at `memory://somewhere`" in refused.err
    assert "--no-lease" in refused.err
    promised = remote.run(*somewhere, "--no-lease")
    assert (promised.code, "4 built" in promised.out) == (0, True), promised
    assert _ran(remote) == ONCE


CLEANED = """\
import os
import shutil
import subprocess

from marin_build import step

HERE = os.environ["TMPDIR"]


@step
def cleaner(output: str) -> int:
    print("one", flush=True)
    for name in os.listdir(HERE):
        if name.startswith("marin-build-run-"):
            shutil.rmtree(f"{HERE}/{name}")
    print("two", flush=True)
    return 1


@step
def later(output: str) -> int:
    print("three")
    raise ValueError("four")


@step
def rights(output: str) -> list:
    names = [name for name in os.listdir(HERE) if name.startswith("marin-build-run-")]
    return sorted(oct(os.lstat(f"{HERE}/{name}").st_mode) for name in names)


targets = [cleaner(), later(), rights()]
"""


def test_a_run_outlives_its_folder_on_this_machine(remote: Project, server: GcsServer) -> None:
    """Else a cleaner of temporary files ends a run of weeks, and its last logs are lost, too."""
    temporary = remote.root / "temporary"
    temporary.mkdir(mode=0o777)
    remote.environment["TMPDIR"] = str(temporary)
    remote.pipeline(CLEANED)
    done = remote.run("apply", "-k", "-j", "1")
    assert (done.code, done.out.count("built     [")) == (1, 2), done
    assert "warning" not in done.err, done
    found = _objects(server)
    assert any(name.endswith("events.jsonl") for name in found)
    (log,) = [
        without_stamps(data).decode() for name, data in found.items() if name.endswith(".log")
    ]
    assert log.startswith("three\n"), "the folder was made again; what is gone is not sent"
    assert found["rights/.artifact.json"] == b'["0o40700"]', "for nobody else"
