"""A step ends as a program does: what it still does counts, what it leaves is not passed over."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING

import pytest

from .support import OVERDUE_ONCE_BEGUN

if TYPE_CHECKING:
    from .support import Gate, Project


LAST_SAVES = """\
import atexit, gzip, multiprocessing, subprocess, sys, threading, time, weakref
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from marin_build import StepSpec

kept = []

def save(path):
    time.sleep(0.2)
    Path(path).write_text("saved")

def thread(output):
    threading.Thread(target=save, args=(output + "/x",), name="saver").start()

def thread_of_a_thread(output):
    threading.Thread(target=thread, args=(output,)).start()

def threads(output):
    kept.append(ThreadPoolExecutor(1))
    kept[-1].submit(save, output + "/x")

def processes(output):
    kept.append(ProcessPoolExecutor(1))
    kept[-1].submit(save, output + "/x")

def process(output):
    multiprocessing.Process(target=save, args=(output + "/x",)).start()

def spawned(output):
    # Its resource tracker outlives the body for a moment.
    multiprocessing.get_context("spawn").Process(target=save, args=(output + "/x",)).start()

def hook(output):
    atexit.register(save, output + "/x")

class Saver:
    pass

def finalizer(output):
    kept.append(Saver())
    weakref.finalize(kept[-1], save, output + "/x")

def unflushed(output):
    kept.append(open(output + "/x", "w"))
    kept[-1].write("saved")

def unflushed_gzip(output):
    kept.append(gzip.open(output + "/x", "wt"))
    kept[-1].write("saved")

def hook_that_fails_and_one_that_does_not(output):
    atexit.register(save, output + "/x")
    atexit.register(lambda: 1 / 0)

ALL = [thread, thread_of_a_thread, threads, processes, process, spawned, hook, finalizer, unflushed,
       unflushed_gzip, hook_that_fails_and_one_that_does_not]
targets = [StepSpec(name=fn.__name__, fn=fn) for fn in ALL]
"""


@pytest.mark.parametrize("isolation", ["process", "worker"])
def test_the_last_save_of_a_step_counts(project: Project, isolation: str) -> None:
    """Else a checkpoint saved in the background, as `python x.py` keeps it, is cut short."""
    project.use_documents()
    project.pipeline(LAST_SAVES)
    done = project.run("apply", "-k", "-j", "4", "--isolation", isolation)
    assert (done.code, done.err) == (0, ""), done
    found: dict[str, tuple[str, bool]] = {}
    for path in (project.root / ".marin-build/outputs").glob("*/x"):
        folder = path.parent
        data = (folder / "x").read_bytes()
        manifest = json.loads((folder / ".logs/attempt-0001.json").read_text())
        is_whole = {"path": "x", "size": len(data)} in manifest["publish"]["manifest"]
        text = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
        found[folder.name[: folder.name.rindex("_")]] = (text.decode(), is_whole)
    assert len(found) == 11
    assert {name: is_ for name, is_ in found.items() if is_ != ("saved", True)} == {}


AT_IMPORT = """\
from pathlib import Path
from marin_build import StepSpec
log = open("log", "w")
log.write("once ")
def work(output):
    log.write("saved ")
    return 1
one = StepSpec(name="one", fn=work)
targets = [StepSpec(name="two", fn=work, deps=[one])]
"""


@pytest.mark.parametrize("isolation", ["process", "worker"])
def test_a_file_that_was_opened_at_import_is_written_once(project: Project, isolation: str) -> None:
    """Else what a step wrote there is lost, or what was there before it is written by each step."""
    project.pipeline(AT_IMPORT)
    assert project.start("apply", "--isolation", isolation).wait().code == 0
    assert project.file("log") == "once saved saved "


LATE = """\
import subprocess, sys, threading
from pathlib import Path
from gate import say, wait_at_gate
from marin_build import StepSpec

def save(output):
    Path("begun").touch()
    wait_at_gate("saving")
    Path(output, "x").write_text("saved")

def train(output):
    threading.Thread(target=save, args=(output,), name="checkpoint-writer").start()

targets = [StepSpec(name="train", fn=train)]
"""


@pytest.mark.parametrize("isolation", ["process", "worker", "thread"])
def test_what_a_step_waits_for_is_told(project: Project, gate: Gate, isolation: str) -> None:
    """Else a step that has returned, and hangs in a thread of its own, is a riddle."""
    project.pipeline(LATE)
    running = project.start("apply", "--json", "--isolation", isolation)
    gate.wait_started()
    event = running.wait_event("step_lingers")
    assert event["text"] == "waiting for 1 thread: checkpoint-writer"
    gate.let_go()
    assert running.wait().code == 0
    assert (project.output_of("train") / "x").read_text() == "saved"
    if isolation != "thread":
        log = project.output_of("train") / ".logs/attempt-0001.log"
        assert "waiting for 1 thread: checkpoint-writer" in log.read_text()


def test_what_a_step_waits_for_is_within_its_time(project: Project, gate: Gate) -> None:
    """Else a thread that never ends keeps a slot for ever."""
    project.pipeline(LATE.replace("fn=train)", "fn=train, timeout=0.5)") + OVERDUE_ONCE_BEGUN)
    running = project.start("apply")
    gate.wait_started()
    done = running.wait()
    assert done.code == 1
    assert "timed out after 0.5 s" in done.err
    assert running.wait_until_all_gone() == {}


BACKGROUND = """\
from marin_build import StepSpec, command
import subprocess
def forgets(output):
    open(output + "/x", "w").close()
    subprocess.Popen(["sleep", "1000"])
def away(output):
    subprocess.Popen(["setsid", "sleep", "1000"], stdin=subprocess.DEVNULL)
    return 1
targets = [
    command("for i in 1 2; do (cat $GATE/go | gzip > {output}/$i.gz) & done", name="jobs"),
    command("timeout 1000 sleep 1000 & touch {output}/x", name="grouped"),
    command("echo text | tee >(gzip > {output}/x.gz) > {output}/y", name="substitution"),
    command("sleep 1000 & touch {output}/x", name="helper", detached=["sl*p"]),
    command("sleep 1000 & touch {output}/x", name="other", detached=["ray"]),
FUNCTIONS]
"""


@pytest.mark.parametrize("isolation", ["process", "worker", "thread"])
def test_what_still_runs_fails_the_step_by_name(
    project: Project, gate: Gate, isolation: str
) -> None:
    """Else files that end early are built, and intact for `verify`."""
    functions = "StepSpec(name=fn.__name__, fn=fn) for fn in (forgets, away)"
    project.pipeline(
        BACKGROUND.replace("FUNCTIONS", "" if isolation == "thread" else f"    *[{functions}],\n")
    )
    running = project.start("apply", "-k", "-j", "7", "--json", "--isolation", isolation)
    done = running.wait()
    failed = {e["name"]: e["message"] for e in done.events if e["event"] == "step_failed"}
    bad = {"jobs", "grouped", "other"} | ({"forgets", "away"} if isolation != "thread" else set())
    assert set(failed) == bad
    for name, message in failed.items():
        assert message.startswith("it left what still ran: "), message
        assert ("gzip" if name == "jobs" else "sleep 1000") in message
        log = (project.output_of(name) / ".logs/attempt-0001.log").read_text()
        assert "killed what still ran after the step had ended: " in log
    log = (project.output_of("helper") / ".logs/attempt-0001.log").read_text()
    assert "killed what still ran after the step had ended: 1 process: pid " in log
    packed = (project.output_of("substitution") / "x.gz").read_bytes()
    assert gzip.decompress(packed) == b"text\n"
    assert running.wait_until_all_gone() == {}


POOL = """\
from concurrent.futures import ProcessPoolExecutor
import multiprocessing
from marin_build import StepSpec
pools = []
def number(n):
    return n
def first(output):
    MAKE
    return list(pools[0].map(number, [1]))
def second(output):
    return list(pools[0].map(number, [2]))
one = StepSpec(name="one", fn=first)
targets = [StepSpec(name="two", fn=second, deps=[one])]
"""


@pytest.mark.parametrize("make", ["ProcessPoolExecutor(1)", "multiprocessing.Pool(1)"])
def test_a_pool_that_steps_in_threads_share_does_not_keep_the_run(
    project: Project, make: str
) -> None:
    """Else `apply` hangs at its end, with everything built."""
    project.pipeline(POOL.replace("MAKE", f"pools.append({make})"))
    running = project.start("apply", "--isolation", "thread")
    assert running.wait().code == 0
    assert running.wait_until_all_gone() == {}


SAVES_AT_SIGTERM = """\
import signal, sys
from pathlib import Path
from gate import wait_at_gate
from marin_build import StepSpec, command

def train(output):
    def save(*_):
        Path(output, "checkpoint").write_text("step 7")
        sys.exit(HOW)
    signal.signal(signal.SIGTERM, save)
    Path("begun").touch()
    wait_at_gate("trains")

targets = [StepSpec(name="train", fn=train, timeout=0.5, resumable=True)]
"""
COMMAND_SAVES = """\
from marin_build import command
targets = [command(
    "out={output}; save() { echo step 7 > $out/checkpoint; exit HOW; }; trap save TERM; "
    "echo x $$ > $GATE/started; touch begun; "
    "while read -r _ < $GATE/go; do :; done", name="train", timeout=0.5, resumable=True)]
"""


@pytest.mark.parametrize("how", ["0", "3"])
@pytest.mark.parametrize("pipeline", [SAVES_AT_SIGTERM, COMMAND_SAVES], ids=["function", "command"])
def test_a_step_can_save_when_its_time_is_over(
    project: Project, gate: Gate, pipeline: str, how: str
) -> None:
    """Else hours of training are lost at `timeout` that Ctrl-C would have kept."""
    project.pipeline(pipeline.replace("HOW", how) + OVERDUE_ONCE_BEGUN)
    running = project.start("apply")
    gate.wait_started()
    done = running.wait()
    assert done.code == 1
    assert (project.output_of("train") / "checkpoint").read_text().strip() == "step 7"
    attempt = project.attempt_of("train")
    assert (attempt["exit_code"], attempt["message"]) == (124, "timed out after 0.5 s")
