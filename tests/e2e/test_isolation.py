"""Steps in processes of their own, in workers, or in threads: the same results and records."""

from __future__ import annotations

import json
import os
import signal
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from marin_build.protocol.living_work import wait_for_ends

from .support import DIAMOND, OUTPUTS, PATIENCE, PROGRAM, parent_of, stable_tree

if TYPE_CHECKING:
    from .support import Gate, Project

EACH = pytest.mark.parametrize("isolation", ["process", "worker", "thread"])
CLOSURES = """\
import functools
from pathlib import Path

from marin_build import StepSpec, command, step


def adder(n):
    return lambda output: Path(output, "n.txt").write_text(f"{n + 1}\\n") and None


def nested(words):
    def outer(prefix):
        def write(output):
            Path(output, "words.txt").write_text(" ".join(prefix + w for w in words))
        return write
    return outer("-")


class Writer:
    def __init__(self, text):
        self.text = text

    def __call__(self, output):
        Path(output, "text.txt").write_text(self.text)

    def method(self, output):
        return {"method": self.text}


def positional(text, output):
    Path(output, "text.txt").write_text(text)


def pipeline(n: int = 41):
    one = StepSpec(name="lambda", fn=adder(n), hash_attrs={"n": n})

    @step(name="inner")
    def inner(output: Path, number: Path, times: int) -> int:
        return int((number / "n.txt").read_text()) * times + n

    return [
        StepSpec(name="closure", fn=nested(["a", "b"])),
        StepSpec(name="object", fn=Writer("object"), outputs=("text.txt",)),
        StepSpec(name="method", fn=Writer("bound").method),
        StepSpec(name="partial", fn=functools.partial(positional, "partial")),
        inner(number=one, times=2),
        command("cat {one}/n.txt > {output}/n.txt", name="command", deps={"one": one}),
    ]
"""


def check_closures(project: Project) -> None:
    """Check what the steps above leave."""
    read = {
        name: (project.output_of(name) / file).read_text()
        for name, file in {
            "lambda": "n.txt", "closure": "words.txt", "object": "text.txt",
            "method": ".artifact.json", "partial": "text.txt", "inner": ".artifact.json",
            "command": "n.txt",
        }.items()
    }  # fmt: skip
    assert read == {
        "lambda": "42\n", "closure": "-a -b", "object": "object",
        "method": '{"method": "bound"}', "partial": "partial", "inner": "125", "command": "42\n",
    }  # fmt: skip


@EACH
def test_lambdas_and_closures_are_steps(project: Project, isolation: str) -> None:
    """Else only functions that can be pickled can be steps."""
    project.pipeline(CLOSURES)
    done = project.run("apply", "--isolation", isolation)
    assert (done.code, done.err) == (0, "")
    check_closures(project)


def test_lambdas_and_closures_can_be_emitted(project: Project) -> None:
    """Else a pipeline that works in one window cannot be handed to a machine."""
    project.pipeline(CLOSURES)
    project.run("plan", "-o", "saved")
    done = project.bash("saved/run.sh")
    assert (done.code, done.err) == (0, "")
    check_closures(project)


def test_what_a_closure_captured_is_its_code(project: Project) -> None:
    """Else two steps that do different things share one output."""
    project.pipeline(CLOSURES.replace('["a", "b"]', '["a", str(n)]'))
    project.run("plan", "-o", "saved")
    changed = CLOSURES.replace('["a", "b"]', '["a", str(n + 1)]')
    project.pipeline(changed)
    done = project.run("apply", "saved", "-k")
    assert done.code == 5
    assert "the code of `closure` is not what the plan was made with" in done.out


@EACH
def test_all_isolations_leave_the_same_store(project: Project, isolation: str) -> None:
    """Else the choice of isolation is a choice of results."""
    project.pipeline(DIAMOND + 'print("loading")\n')
    project.run("apply", "--prefix", "one", "--isolation", isolation)
    project.run("plan", "-o", "saved", "--prefix", "two")
    project.bash("saved/run.sh")

    def without_logs(prefix: str) -> dict[str, object]:
        found = stable_tree(project.root / prefix)
        return {name: data for name, data in found.items() if not name.endswith(".log")}

    assert without_logs("one") == without_logs("two")


@EACH
@pytest.mark.parametrize("jobs", ["1", "4"])
def test_every_step_prints_into_its_own_log(project: Project, isolation: str, jobs: str) -> None:
    """Else the output of steps that run side by side is mixed."""
    project.pipeline(
        "import sys\n"
        "from pathlib import Path\n"
        "from marin_build import StepSpec\n"
        "def talk(n):\n"
        "    def write(output):\n"
        "        for i in range(50):\n"
        "            print(f'step {n} line {i}')\n"
        "            sys.stderr.write(f'step {n} err {i}\\n')\n"
        "        Path(output, 'x').touch()\n"
        "    return write\n"
        "targets = [StepSpec(name=f's{n}', fn=talk(n)) for n in range(4)]\n"
    )
    done = project.run("apply", "--isolation", isolation, "-j", jobs, "--json")
    assert (done.code, done.err) == (0, "")
    assert done.events[-1]["succeeded"] == 4
    for n in range(4):
        lines = project.log_of(f"s{n}").splitlines()
        assert sorted(lines) == sorted(
            f"step {n} {word} {i}" for word in ("line", "err") for i in range(50)
        )


@EACH
def test_commands_print_into_their_log(project: Project, isolation: str) -> None:
    """Else what a command prints is lost, or breaks the JSON that somebody reads."""
    project.pipeline(
        "from marin_build import command\n"
        "targets = [command('echo out; echo err >&2; touch {output}/x', name='one')]\n"
    )
    done = project.run("apply", "--isolation", isolation, "--json")
    assert (done.code, done.err) == (0, "")
    assert [event["event"] for event in done.events][-1] == "apply_finished"
    assert sorted(project.log_of("one").splitlines()) == ["err", "out"]


@EACH
@pytest.mark.parametrize(
    ("fn", "code"), [("lambda o: 1 / 0", 1), ("lambda o: sys.exit(3)", 3)], ids=["raise", "exit"]
)
def test_failures_are_the_same(project: Project, isolation: str, fn: str, code: int) -> None:
    """Else a step that fails in a thread ends the whole run, or is forgotten."""
    project.pipeline(
        "import sys\n"
        "from pathlib import Path\n"
        "from marin_build import StepSpec\n"
        f"bad = StepSpec(name='bad', fn={fn})\n"
        "good = StepSpec(name='good', fn=lambda o: Path(o, 'x').touch())\n"
        "targets = [bad, good, StepSpec(name='below', fn=print, deps=[bad])]\n"
    )
    done = project.run("apply", "-k", "--isolation", isolation, "--json")
    assert done.code == 1
    totals = {"succeeded": 1, "failed": 1, "blocked": 1}
    assert done.events[-1].items() >= totals.items()
    attempt = project.attempt_of("bad")
    assert (attempt["result"], attempt["exit_code"]) == ("failed", code)
    assert project.status_of("bad") == "FAILED"


@EACH
def test_steps_run_side_by_side(project: Project, gate: Gate, isolation: str) -> None:
    """Else `-j 4` takes as long as `-j 1`."""
    project.pipeline(
        "from pathlib import Path\n"
        "from gate import wait_at_gate\n"
        "from marin_build import StepSpec\n"
        "def work(n):\n"
        "    return lambda o: (wait_at_gate(n), Path(o, 'x').touch()) and None\n"
        "targets = [StepSpec(name=f's{n}', fn=work(n), hash_attrs={'n': n}) for n in range(4)]\n"
    )
    running = project.start("apply", "-j", "3", "--isolation", isolation)
    began = {gate.wait_started()[0] for _ in range(3)}  # all three wait at the same time
    assert len(began) == 3
    gate.let_go(4)
    assert running.wait().code == 0


@pytest.mark.parametrize("first", [0, 1, 2])
def test_a_worker_gives_the_next_step_its_streams(project: Project, first: int) -> None:
    """Else the step after one that closed its output fails, at the first thing that it prints."""
    project.pipeline(
        "import os, sys\n"
        "from marin_build import StepSpec\n"
        "def close(output):\n"
        f"    os.closerange({first}, 3)\n"
        "    return 1\n"
        "def say(output):\n"
        "    print('still heard')\n"
        "    print('and so is this', file=sys.stderr)\n"
        "    return sys.stdin.read()\n"
        "one = StepSpec(name='one', fn=close)\n"
        "targets = [StepSpec(name='two', fn=say, deps=[one])]\n"
    )
    assert project.run("apply", "-j1", "--isolation", "worker").code == 0
    assert project.log_of("two") == "still heard\nand so is this\n"


@pytest.mark.parametrize("isolation", ["process", "worker"])
def test_many_steps_at_once_need_many_files(project: Project, gate: Gate, isolation: str) -> None:
    """Else `-j 300` dies of the usual limit of 1024 open files, in the middle of a run."""
    count = 50
    project.pipeline(
        "import resource\n"
        "from gate import wait_at_gate\n"
        "from marin_build import StepSpec\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (100, 4096))\n"
        "def work(n):\n"
        "    return lambda o: wait_at_gate(n) or resource.getrlimit(resource.RLIMIT_NOFILE)[0]\n"
        f"targets = [StepSpec(name=f's{{n}}', fn=work(n)) for n in range({count})]\n"
    )
    running = project.start("apply", "-j", str(count), "--isolation", isolation)
    for _ in range(count):
        gate.wait_started()
    gate.let_go(count)
    assert running.wait().code == 0
    seen = (project.output_of("s7") / ".artifact.json").read_text()
    assert seen == "100", "a body's own limit"


@EACH
def test_no_more_steps_run_than_were_asked_for(
    project: Project, gate: Gate, isolation: str
) -> None:
    """Else `-j 1` fills a machine that others use."""
    project.pipeline(
        "from pathlib import Path\n"
        "from gate import say\n"
        "from marin_build import StepSpec\n"
        "def work(output):\n"
        "    say('begin')\n"
        "    say('end')\n"
        "    Path(output, 'x').touch()\n"
        "targets = [StepSpec(name=f's{n}', fn=work, hash_attrs={'n': n}) for n in range(6)]\n"
    )
    running = project.start("apply", "-j", "1", "--isolation", isolation)
    words = [gate.wait_started()[0] for _ in range(12)]
    assert running.wait().code == 0
    assert words == ["begin", "end"] * 6


@pytest.mark.parametrize("option", ["env_vars={'A': '1'}", "timeout=5"])
def test_threads_refuse_what_they_cannot_do(project: Project, option: str) -> None:
    """Else a time limit that was asked for is not there, or all steps share one environment."""
    project.pipeline(
        f"from marin_build import StepSpec\ntargets = [StepSpec(name='one', fn=print, {option})]\n"
    )
    done = project.run("apply", "--isolation", "thread")
    assert (done.code, done.out, done.err) == (
        4,
        "",
        (
            "error: `one` cannot run in a thread: it has env_vars or a timeout\n"
            "  nothing was run\n"
            "hint: leave out --isolation thread\n"
        ),
    )


def test_a_thread_cannot_have_a_gpu_of_its_own(project: Project) -> None:
    """Else all steps compute on the first one."""
    project.pipeline(
        "from marin_build import StepSpec\n"
        "targets = [StepSpec(name='one', fn=print, budgets={'gpu': 1})]\n"
    )
    done = project.run("apply", "--isolation", "thread", "--budget", "gpu=1")
    assert (done.code, done.out) == (4, "")
    assert done.err.startswith("error: `one` cannot run in a thread: it gets GPUs of its own\n")


def test_a_step_cannot_change_the_next_one(project: Project) -> None:
    """Else the result of a step depends on what ran before it."""
    project.pipeline(
        "import os\n"
        "from pathlib import Path\n"
        "from marin_build import StepSpec\n"
        "STATE = []\n"
        "def work(n):\n"
        "    def write(output):\n"
        "        STATE.append(n)\n"
        "        os.environ['LEAK'] = os.environ.get('LEAK', '') + str(n)\n"
        "        os.chdir('/')\n"
        "        Path(output, 'x').write_text(f'{STATE} {os.environ[\"LEAK\"]}')\n"
        "    return write\n"
        "targets = [StepSpec(name=f's{n}', fn=work(n)) for n in range(3)]\n"
    )
    assert project.run("apply", "-j", "1").code == 0
    for n in range(3):
        assert (project.output_of(f"s{n}") / "x").read_text() == f"[{n}] {n}"


def test_imports_are_paid_once(project: Project) -> None:
    """Else a slow import costs its time for every step."""
    project.write(
        "heavy.py",
        "with open('imported.txt', 'a') as stream:\n    stream.write('imported\\n')\n",
    )
    project.pipeline("import heavy\n" + DIAMOND)
    assert project.run("apply").code == 0
    assert project.file("imported.txt") == "imported\n"


@pytest.mark.parametrize("isolation", ["process", "worker"])
def test_a_large_answer_arrives(project: Project, isolation: str) -> None:
    """Else an artifact of a megabyte, or a folder of many files, cannot be committed."""
    project.use_documents()
    project.pipeline(
        "from pathlib import Path\n"
        "from marin_build import StepSpec\n"
        "def big(output):\n"
        "    for i in range(3000):\n"
        "        Path(output, f'part-{i:05}-' + 'x' * 100).touch()\n"
        "    return {'text': 'y' * 2_000_000}\n"
        "def angry(output):\n"
        "    raise RuntimeError('z' * 3_000_000)\n"
        "targets = [StepSpec(name='big', fn=big), StepSpec(name='angry', fn=angry)]\n"
    )
    done = project.run("apply", "-k", "-j1", "--isolation", isolation)
    assert done.code == 1
    artifact = json.loads((project.output_of("big") / ".artifact.json").read_text())
    assert len(artifact["text"]) == 2_000_000
    manifest = project.attempt_of("big")["publish"]["manifest"]
    assert len(manifest) == 3000
    assert project.attempt_of("angry")["message"].startswith("RuntimeError: zzz")
    logs = sorted(path.name for path in (project.output_of("big") / ".logs").iterdir())
    assert logs == ["attempt-0001.json", "attempt-0001.log"]


@EACH
def test_isolation_can_be_configured(project: Project, isolation: str) -> None:
    """Else it must be typed each time."""
    project.pipeline(DIAMOND.replace('ran("corpus")', "ran(str(os.getpid()))"))
    project.write("marin-build.toml", f'isolation = "{isolation}"\njobs = 1\n')
    running = project.start("apply")
    assert running.wait().code == 0
    in_process = str(running.pid) in project.counts()
    assert in_process == (isolation == "thread")


def test_nothing_is_left_running(project: Project) -> None:
    """Else every apply leaves a process behind."""
    project.pipeline(DIAMOND)
    for isolation in ("process", "worker", "thread"):
        running = project.start("apply", "--isolation", isolation, "--prefix", isolation)
        assert running.wait().code == 0
        assert running.wait_until_all_gone() == {}
    assert not (project.root / OUTPUTS).exists()


def test_a_worker_runs_one_step_after_the_other(project: Project) -> None:
    """Else `worker` costs what a process costs."""
    project.pipeline(
        "import os\n"
        "from pathlib import Path\n"
        "from marin_build import StepSpec\n"
        "def work(n):\n"
        "    def write(output):\n"
        "        seen = os.environ.get('LEAK', 'nothing'), os.getcwd()\n"
        "        os.environ['LEAK'] = 'something'\n"
        "        os.chdir('/')\n"
        "        Path(output, 'x').write_text(f'{os.getpid()} {seen}')\n"
        "    return write\n"
        "targets = [StepSpec(name=f's{n}', fn=work(n)) for n in range(6)]\n"
    )
    assert project.run("apply", "-j", "2", "--isolation", "worker").code == 0
    left = [(project.output_of(f"s{n}") / "x").read_text().split(" ", 1) for n in range(6)]
    assert len({pid for pid, _ in left}) <= 2
    assert {seen for _, seen in left} == {f"('nothing', '{project.root}')"}


@pytest.mark.parametrize(
    ("leave", "code"),
    [
        ("os.kill(os.getpid(), 9)", 137),
        ("os._exit(3)", 3),
        ("subprocess.Popen(['sleep', '1000'])", 0),
        ("threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()", 0),
    ],
    ids=["killed", "exit", "child", "thread"],
)
def test_a_worker_that_a_step_spoiled_is_replaced(project: Project, leave: str, code: int) -> None:
    """Else one crash ends all that would have run in the same worker, or meets what it left."""
    project.pipeline(
        "import os, subprocess, threading, time\n"
        "from pathlib import Path\n"
        "from marin_build import StepSpec\n"
        "def spoil(output):\n"
        "    Path(output, 'x').write_text(str(os.getpid()))\n"
        f"    {leave}\n"
        "def work(output):\n"
        "    Path(output, 'x').write_text(str(os.getpid()))\n"
        "targets = [StepSpec(name='first', fn=spoil, detached=['*']),"
        " StepSpec(name='second', fn=work)]\n"
    )
    running = project.start("apply", "-k", "-j", "1", "--isolation", "worker", "--json")
    done = running.wait()
    assert done.code == (1 if code else 0)
    assert running.wait_until_all_gone() == {}
    if code:
        assert project.attempt_of("first")["exit_code"] == code
    pids = {(project.output_of(name) / "x").read_text() for name in ("first", "second")}
    assert len(pids) == 2


@pytest.mark.parametrize("isolation", ["process", "worker"])
def test_a_process_that_is_killed_while_it_waits_for_a_step_is_replaced(
    project: Project, gate: Gate, isolation: str
) -> None:
    """Else a step fails that never ran, or the run waits for ever."""
    project.pipeline(
        "from marin_build import StepSpec\n"
        "from gate import wait_at_gate\n"
        "held = StepSpec(name='held', fn=lambda _: wait_at_gate('held') or 1)\n"
        "quick = StepSpec(name='quick', fn=lambda _: 1)\n"
        "targets = [StepSpec(name=f'after-{i}', fn=lambda _: 1, deps=[held, quick])"
        " for i in range(2)]\n"
    )
    running = project.start("apply", "-j", "2", "--isolation", isolation, "--json")
    running.wait_event("step_succeeded")
    _, held = gate.wait_started()
    children = Path(f"/proc/{parent_of(held)}/task/{parent_of(held)}/children")
    deadline = time.monotonic() + PATIENCE
    while not (waiting := [int(pid) for pid in children.read_text().split() if int(pid) != held]):
        assert time.monotonic() < deadline, "nobody waits for a step"
    os.kill(waiting[0], signal.SIGKILL)
    assert wait_for_ends(waiting[:1], deadline)  # one that is dying can still be given a step
    gate.let_go()
    done = running.wait()
    assert (done.code, done.err) == (0, "")
    assert sorted(done.names_of("step_succeeded")) == ["after-0", "after-1", "held"]


@pytest.mark.parametrize("isolation", ["process", "worker"])
def test_what_leaves_its_group_is_killed_with_its_step(project: Project, isolation: str) -> None:
    """Else a server that a step started in the background holds its port, or its GPU, for ever."""
    project.pipeline(
        "import os, subprocess, time\n"
        "from pathlib import Path\n"
        "from marin_build import StepSpec\n"
        "def work(output):\n"
        "    script = f'echo $$ > {output}/pid; sleep 1000 & sleep 1000'\n"
        "    subprocess.Popen(['setsid', '--fork', 'sh', '-c', script]).wait()\n"
        "    while not os.path.getsize(f'{output}/pid') if os.path.exists(f'{output}/pid')"
        " else True:\n"
        "        time.sleep(0.01)\n"
        "def look(output):\n"
        "    pid = int(Path('.marin-build/outputs').glob('server_*/pid').__next__().read_text())\n"
        "    for _ in range(1000):\n"  # what was killed is gone when it gets to run
        "        try:\n"
        "            state = Path(f'/proc/{pid}/stat').read_text().split()[2]\n"
        "        except OSError:\n"
        "            state = 'gone'\n"
        "        if state in ('gone', 'Z'):\n"
        "            break\n"
        "        time.sleep(0.01)\n"
        "    Path(output, 'state').write_text(state)\n"
        "server = StepSpec(name='server', fn=work, detached=['sh', 'sleep'])\n"
        "targets = [StepSpec(name='after', fn=look, deps=[server])]\n"
    )
    running = project.start("apply", "--isolation", isolation)
    assert running.wait().code == 0
    assert running.wait_until_all_gone() == {}
    state = (project.output_of("after") / "state").read_text()
    assert state in {"gone", "Z"}, "it ran on beside the next step"


@EACH
def test_secrets_are_neither_in_logs_nor_in_messages(project: Project, isolation: str) -> None:
    """Else whoever can read the outputs can use the tokens of who built them."""
    secret = "hf_abcdefghijklmnop"
    project.pipeline(
        "import os, sys\n"
        "from pathlib import Path\n"
        "from marin_build import StepSpec, command\n"
        "def bad(output):\n"
        "    print('token', os.environ['HF_TOKEN'])\n"
        "    sys.stdout.write(os.environ['HF_TOKEN'][:7]); sys.stdout.flush()\n"
        "    sys.stdout.write(os.environ['HF_TOKEN'][7:] + '\\n')\n"
        "    raise ValueError('not ' + os.environ['HF_TOKEN'])\n"
        "targets = [\n"
        "    StepSpec(name='bad', fn=bad),\n"
        "    command('echo $HF_TOKEN; touch {output}/x', name='cmd'),\n"
        "]\n"
    )
    done = project.run("apply", "-k", "--isolation", isolation, env={"HF_TOKEN": secret})
    assert done.code == 1
    assert project.log_of("cmd") == "[HF_TOKEN]\n"
    assert project.log_of("bad").startswith("token [HF_TOKEN]\n[HF_TOKEN]\nTraceback")
    assert project.attempt_of("bad")["message"] == "ValueError: not [HF_TOKEN]"
    assert "ValueError: not [HF_TOKEN]" in done.err
    assert secret not in done.out + done.err
    for name, data in project.tree(".marin-build").items():
        assert secret.encode() not in data, name


@pytest.mark.parametrize("isolation", ["process", "worker"])
def test_secrets_that_a_step_declares_are_kept_out_of_its_log(
    project: Project, isolation: str
) -> None:
    """Else only what the shell happens to export is hidden."""
    project.pipeline(
        "import os\n"
        "from pathlib import Path\n"
        "from marin_build import StepSpec\n"
        "def work(output):\n"
        "    print(os.environ['MY_API_KEY'])\n"
        "    Path(output, 'x').touch()\n"
        "one = StepSpec(name='one', fn=work, env_vars={'MY_API_KEY': 'abcdefgh-1'})\n"
        "two = StepSpec(name='two', fn=lambda o: print(os.environ.get('MY_API_KEY')) or 1,"
        " deps=[one])\n"
        "targets = [two]\n"
    )
    assert project.run("apply", "-j1", "--isolation", isolation).code == 0
    assert project.log_of("one") == "[MY_API_KEY]\n"
    assert project.log_of("two") == "None\n"


def test_a_log_says_when_each_line_was_printed(project: Project) -> None:
    """Else nobody knows whether a silent step hangs."""
    project.use_documents()
    project.pipeline(
        "from marin_build import command\n"
        "targets = [command('echo one; echo two; touch {output}/x', name='talk')]\n"
    )
    assert project.run("apply").code == 0
    lines = project.run("logs", "talk", "-t").out.splitlines()
    moments = [datetime.fromisoformat(line.split(" ")[0]) for line in lines]
    attempt = project.attempt_of("talk")
    began, over = (datetime.fromisoformat(attempt[key]) for key in ("start", "end"))
    millisecond = timedelta(milliseconds=1)
    assert began - millisecond <= moments[0] <= moments[1] <= over + millisecond
    assert [line.split(" ", 1)[1] for line in lines] == ["one", "two"]
    assert project.run("logs", "talk").out == "one\ntwo\n"


@EACH
def test_a_log_does_not_grow_for_ever(project: Project, isolation: str) -> None:
    """Else a step in a loop fills the disk that all others build on."""
    project.pipeline(
        "from marin_build import StepSpec\n"
        "def talk(output):\n"
        "    for i in range(200):\n"
        "        print(i, 'x' * 10_000)\n"
        "    return 1\n"
        "targets = [StepSpec(name='talk', fn=talk)]\n"
    )
    project.write("marin-build.toml", "log_limit = 1\n")
    assert project.run("apply", "--isolation", isolation).code == 0
    log = project.log_of("talk")
    assert len(log) <= 1 << 20
    first, last = log.splitlines()[0], log.splitlines()[-1]
    assert (first[:2], last[:4]) == ("0 ", "199 ")
    assert " bytes were cut out here" in log


@pytest.mark.parametrize("end", ["os.kill(os.getpid(), 9)", "1 / 0"])
def test_an_attempt_that_failed_says_what_it_used(project: Project, end: str) -> None:
    """Else who ran out of memory does not know of how much."""
    project.pipeline(
        "import os\n"
        "from marin_build import StepSpec\n"
        "def big(output):\n"
        "    kept = bytearray(90 << 20)\n"
        f"    {end}\n"
        "targets = [StepSpec(name='one', fn=big)]\n"
    )
    done = project.run("apply")
    assert done.code == 1
    attempt = project.attempt_of("one")
    assert attempt["peak_memory_bytes"] > 90 << 20
    assert attempt["cpu_seconds"] > 0
    assert (" MiB at its peak\n" in done.err) == ("kill" in end)


def test_the_record_says_what_a_step_used(project: Project) -> None:
    """Else nobody knows how large a machine it needs."""
    project.use_documents()
    project.pipeline(
        "from marin_build import command\n"
        "targets = [command(['python3', '-c', 'x = sum(range(3_000_000)); y = bytearray(90 << 20);"
        ' open("{output}/x", "w").write(str(len(y)))\'], name=\'one\')]\n'
    )
    assert project.run("apply").code == 0
    record = project.attempt_of("one")["publish"]["record"]
    assert record["exit_code"] == 0
    assert record["cpu_seconds"] > 0.01
    assert record["peak_memory_bytes"] > 90 << 20


def test_a_process_of_a_step_holds_nothing_that_only_apply_needs(project: Project) -> None:
    """Else each step pays for the memory of it: twice what a small pipeline takes."""
    project.pipeline(
        "import sys\n"
        "from pathlib import Path\n"
        "from marin_build import StepSpec\n\n"
        "def fn(output):\n"
        "    Path(output, 'modules').write_text(' '.join(sys.modules))\n\n"
        "targets = [StepSpec(name='a', fn=fn)]\n"
    )
    assert project.execute([PROGRAM, "apply"]).code == 0  # not a fork of what tests keep ready
    modules = (project.output_of("a") / "modules").read_text().split()
    packages = {name.partition(".")[0] for name in modules}
    assert "marin_build" in packages
    assert not packages & {"pydantic", "networkx", "jinja2", "rich", "fsspec"}
