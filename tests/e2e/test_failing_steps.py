"""A step fails: people learn what, where and why, and nothing else is lost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from .support import DIAMOND, OUTPUTS, cases

if TYPE_CHECKING:
    from .support import Project

HEAD = """\
import os, signal, sys, time
from pathlib import Path
from marin_build import StepSpec, command, step

def write(name, text):
    return lambda output: Path(output, name).write_text(text) and None
"""
THREE = (
    HEAD
    + """
def boom(output):
    print("working hard")
    os.system("echo from a child")
    print("almost done", file=sys.stderr)
    raise ValueError("no good\\nnot at all")

bad = StepSpec(name="bad", fn=boom)
targets = [
    StepSpec(name="below", fn=write("x", "1"), deps=[bad]),
    StepSpec(name="far-below", fn=write("x", "1"),
             deps=[StepSpec(name="between", fn=write("x", "1"), deps=[bad])]),
    StepSpec(name="alone", fn=write("x", "1")),
]
"""
)


def only(project: Project, fn: str, **options: str) -> None:
    """Write a pipeline of one step."""
    given = "".join(f", {key}={value}" for key, value in options.items())
    project.pipeline(f"{HEAD}\ntargets = [StepSpec(name='one', fn={fn}{given})]\n")


def test_a_failure_is_told_with_everything_needed(project: Project) -> None:
    """Else people open a log to learn what could have been said."""
    project.pipeline(THREE)
    done = project.run("apply", "-j", "1")
    assert done.code == 1
    assert project.mask(done.out) == (
        "run r-RUN: 5 to build, 0 reused, 1 at once\n"
        "  started   bad_HASH\n"
        "  failed    bad_HASH  ValueError: no good\n"
        "0 built, 0 reused, 1 failed, 3 blocked, 1 not started in TIME\n"
    )
    assert project.mask(done.err) == (
        "\nerror: `bad` failed with exit code 1 (attempt 1)\n"
        "  | working hard\n"
        "  | from a child\n"
        "  | almost done\n"
        "  | Traceback (most recent call last):\n"
        '  |   File "PROJECT/pipeline.py", line 12, in boom\n'
        '  |     raise ValueError("no good\\nnot at all")\n'
        "  | ValueError: no good\n"
        "  | not at all\n"
        f"  log:     PROJECT/{OUTPUTS}/bad_HASH/.logs/attempt-0001.log\n"
        "  blocked: below_HASH, between_HASH, far-below_HASH\n"
        "  not started: 1 (-k goes on with what can be built)\n"
        "hint: run it alone with: marin-build run bad\n"
        "to go on: marin-build apply -j 1\n"
    )


def test_with_k_independent_steps_go_on(project: Project) -> None:
    """Else one bad step of fifty costs a night."""
    project.pipeline(THREE)
    done = project.run("apply", "-k", "-j", "1", "--json")
    assert done.code == 1
    assert done.names_of("step_succeeded") == ["alone"]
    assert done.names_of("step_failed") == ["bad"]
    assert sorted(done.names_of("step_blocked")) == ["below", "between", "far-below"]
    totals = {"succeeded": 1, "failed": 1, "reused": 0, "blocked": 3, "not_started": 0}
    assert done.events[-1].items() >= totals.items()
    assert project.status_of("bad") == "FAILED"
    assert not list((project.root / OUTPUTS).glob("below_*/.executor_status"))


def test_without_k_nothing_is_started_after_a_failure(project: Project) -> None:
    """Else a run that is lost goes on spending."""
    project.pipeline(THREE)
    assert project.run("apply", "-j", "1").code == 1
    assert not list((project.root / OUTPUTS).glob("alone_*"))


def test_what_failed_is_run_again(project: Project) -> None:
    """Else a repaired step stays failed until somebody deletes a file."""
    project.pipeline(THREE)
    project.run("apply", "-k")
    planned = project.run("plan")
    assert project.mask(planned.out) == (
        "  ~ rebuild  bad_HASH        "
        "failed before (attempt 1, DATE by USER@HOST): ValueError: no good\n"
        "  + build    below_HASH      never built\n"
        "  + build    between_HASH    never built\n"
        "  + build    far-below_HASH  never built\n"
        "  = 1 reused, not shown (-v shows them)\n"
        "plan p-PLAN: 4 to build (3 build, 1 rebuild), 1 reused\n"
        "to build it: marin-build apply\n"
    )
    project.pipeline(THREE.replace("    raise", "    Path(output, 'x').touch(); return\n    raise"))
    assert project.run("apply").code == 0
    assert project.attempt_of("bad", 1)["result"] == "failed"
    assert project.attempt_of("bad", 2)["result"] == "succeeded"
    assert project.log_of("bad", 1).startswith("working hard\n")


def test_what_failed_can_be_left_alone(project: Project) -> None:
    """Else a step that fails for ever is paid for every night."""
    project.pipeline(THREE)
    project.run("apply", "-k")
    before = project.tree(OUTPUTS)
    done = project.run("apply", "--no-rerun-failed")
    assert (done.code, done.out) == (1, "")
    assert project.mask(done.err) == (
        "error: `bad` is blocked: failed previously (attempt 1)\n"
        "error: `below` is blocked: needs bad_HASH, which is blocked\n"
        "error: `between` is blocked: needs bad_HASH, which is blocked\n"
        "error: `far-below` is blocked: needs between_HASH, which is blocked\n"
        "hint: marin-build apply reruns what failed\n"
    )
    assert project.tree(OUTPUTS) == before
    planned = project.run("plan", "--no-rerun-failed", "--json").document
    assert planned["summary"] == {"run": 0, "reuse": 1, "wait": 0, "blocked": 4, "pruned": 0}


def test_what_does_not_need_the_failed_one_is_built_all_the_same(project: Project) -> None:
    """Else leaving a failure alone leaves everything alone."""
    project.pipeline(THREE)
    project.run("apply", "-j", "1")
    done = project.run("apply", "--no-rerun-failed", "--json")
    assert done.code == 1
    assert done.names_of("step_succeeded") == ["alone"]
    assert done.events[-1].items() >= {"succeeded": 1, "failed": 0, "blocked": 4}.items()


@cases(
    "fn code message",
    exception=("lambda o: 1 / 0", 1, "ZeroDivisionError: division by zero"),
    exit_code=("lambda o: sys.exit(3)", 3, "exited with code 3"),
    exit_text=("lambda o: sys.exit('sorry')", 1, "exited with code 1"),
    os_exit=("lambda o: os._exit(7)", 7, "the step ended its process with code 7 and no result"),
    os_exit_zero=(
        "lambda o: os._exit(0)", 1, "the step ended its process with code 0 and no result",
    ),
    kill=(
        "lambda o: os.kill(os.getpid(), 9)",
        137,
        "killed by SIGKILL by another process"
        if "\noom_kill " in Path("/proc/vmstat").read_text()
        else "killed by SIGKILL (out of memory, or killed by another process)",
    ),
    segmentation=("lambda o: os.kill(os.getpid(), signal.SIGSEGV)", 139, "killed by SIGSEGV"),
    term=("lambda o: os.kill(os.getpid(), signal.SIGTERM)", 143, "killed by SIGTERM"),
    interrupt=("lambda o: exec('raise KeyboardInterrupt(1)')", 1, "KeyboardInterrupt: 1"),
    closed_streams=(
        "lambda o: (print('half', end=''), os.close(1), os.close(2), 1 / 0)",
        1,
        "ZeroDivisionError: division by zero",
    ),
    nothing=(
        "lambda o: None",
        1,
        "the step left neither a file nor an artifact; declare `outputs=()` if that is right",
    ),
    not_json=(
        "lambda o: object()",
        1,
        ("what the step returned cannot be saved: `object`; "
        "return a dataclass, a pydantic model or JSON values"),
    ),
)  # fmt: skip
def test_however_a_step_ends_badly_it_is_recorded(
    project: Project, fn: str, code: int, message: str
) -> None:
    """Else a step that died counts as built, or as running for ever."""
    only(project, fn)
    done = project.run("apply", "--json")
    assert done.code == 1
    (failed,) = [event for event in done.events if event["event"] == "step_failed"]
    assert (failed["exit_code"], failed["message"]) == (code, message)
    attempt = project.attempt_of("one")
    assert (attempt["result"], attempt["exit_code"]) == ("failed", code)
    assert attempt["message"] == message
    assert project.status_of("one") == "FAILED"
    assert not (project.output_of("one") / ".executor_status.lock").exists()
    assert not (project.output_of("one") / ".executor_info").exists()


def test_a_terminal_need_not_have_every_character(project: Project) -> None:
    """Else the name of a city in an error ends the run, and is called a bug of ours."""
    only(project, "lambda o: exec('raise ValueError(\"Th\\\\u1ecd\")')")
    done = project.start("apply", env={"PYTHONIOENCODING": "latin-1"}).wait()
    assert done.code == 1
    assert "ValueError: Th\\u1ecd" in done.out
    assert "1 failed" in done.out


@cases(
    "fn",
    descriptors=("lambda o: (print('half', end=''), os.close(1), os.close(2), 1)[-1]",),
    streams=("lambda o: (sys.stdout.close(), sys.stderr.close(), 1)[-1]",),
)
def test_a_step_need_not_keep_its_streams(project: Project, fn: str) -> None:
    """Else a step that becomes a daemon, as some libraries do, fails after all its work."""
    only(project, fn)
    assert project.run("apply").code == 0


@pytest.mark.parametrize("fn", ["lambda o: sys.exit(0)", "lambda o: sys.exit()"])
def test_leaving_early_is_not_success(project: Project, fn: str) -> None:
    """Else a library that calls exit half-way commits half an output."""
    only(project, fn)
    assert project.run("apply").code == 1
    assert project.status_of("one") == "FAILED"


@cases(
    "text code",
    exit_code=("'exit 42'", 42),
    first_of_a_pipe=("'false | true'", 1),
    unset_variable=("'echo $nowhere'", 1),
    signal=("'kill -9 $$'", 137),
    not_found=("['no-such-program']", 127),
    not_allowed=("['./pipeline.py']", 126),
)
def test_the_exit_code_of_a_command_is_kept(project: Project, text: str, code: int) -> None:
    """Else nobody can tell a crash from an answer."""
    project.pipeline(f"{HEAD}\ntargets = [command({text}, name='one')]\n")
    assert project.run("apply").code == 1
    attempt = project.attempt_of("one")
    assert (attempt["result"], attempt["exit_code"]) == ("failed", code)
    assert attempt["message"] == f"exited with code {code}"


def test_a_command_that_is_not_there_is_named_in_the_log(project: Project) -> None:
    """Else code 127 is all there is to go by."""
    project.pipeline(f"{HEAD}\ntargets = [command(['no-such-program'], name='one')]\n")
    done = project.run("apply")
    assert project.log_of("one") == "no-such-program: command not found\n"
    assert "  | no-such-program: command not found\n" in done.err


def test_text_given_to_exit_is_in_the_log(project: Project) -> None:
    """Else the reason a step gives is lost."""
    only(project, "lambda o: sys.exit('the disk is full')")
    done = project.run("apply")
    assert project.log_of("one") == "the disk is full\n"
    assert "  | the disk is full\n" in done.err


@cases(
    "fn outputs message",
    missing=(
        "write('a.txt', 'x')",
        "('a.txt', 'b.txt', 'c/d.txt')",
        "declared outputs are missing or empty: `b.txt`, `c/d.txt`",
    ),
    empty=("write('a.txt', '')", "('a.txt',)", "declared outputs are missing or empty: `a.txt`"),
    empty_folder=(
        "lambda o: Path(o, 'a').mkdir()",
        "('a',)",
        "declared outputs are missing or empty: `a`",
    ),
    dangling_link=(
        "lambda o: Path(o, 'a').symlink_to('nowhere')",
        "('a',)",
        "declared outputs are missing or empty: `a`",
    ),
)
def test_missing_outputs_are_a_failure(
    project: Project, fn: str, outputs: str, message: str
) -> None:
    """Else a truncated run counts as built, and all that follows is wrong."""
    only(project, fn, outputs=outputs)
    assert project.run("apply").code == 1
    assert project.attempt_of("one")["message"] == message
    assert project.log_of("one") == message + "\n"


@pytest.mark.parametrize(
    ("fn", "outputs"),
    [("lambda o: None", "()"), ("lambda o: {'a': 1}", "None"), ("write('a', '1')", "('a',)"),
     ("lambda o: 0", "None"), ("write('a/b.txt', '1')", "None")],
)  # fmt: skip
def test_what_is_promised_is_enough(project: Project, fn: str, outputs: str) -> None:
    """Else a step that did what it said cannot be built."""
    only(project, fn.replace("'a/b.txt'", "'b.txt'"), outputs=outputs)
    assert project.run("apply").code == 0


def test_a_new_attempt_begins_in_an_empty_folder(project: Project) -> None:
    """Else the rest of a failed attempt is committed with the next one."""
    only(project, "lambda o: (print(sorted(p.name for p in Path(o).iterdir() if p.name[0] != '.')),"
         " Path(o, f'try{len(list(Path(o, \".logs\").glob(\"*.log\")))}').touch(),"
         " Path('again').exists() or sys.exit(1)) and None")  # fmt: skip
    assert project.run("apply").code == 1
    project.write("again", "")
    assert project.run("apply").code == 0
    assert project.log_of("one", 2) == "[]\n"
    assert sorted(p.name for p in project.output_of("one").iterdir() if p.name[0] != ".") == [
        "try2"
    ]


def test_a_resumable_step_finds_what_it_left(project: Project) -> None:
    """Else a training run of a week begins at zero after every crash."""
    only(project, "lambda o: (Path(o, 'checkpoint').open('a').write('x'),"
         " Path('again').exists() or sys.exit(1)) and None", resumable="True")  # fmt: skip
    assert project.run("apply").code == 1
    project.write("again", "")
    assert project.run("apply").code == 0
    assert (project.output_of("one") / "checkpoint").read_text() == "xx"


def test_other_files_in_a_fresh_output_are_removed_only_if_a_person_agrees(
    project: Project,
) -> None:
    """They may be the only copy; and they must not be committed as a part of the output."""
    only(project, "write('x', '1')")
    target = project.run("plan", "--json").document["decisions"][0]["target"]
    project.write(f"{OUTPUTS}/{target}/stray.bin", "junk")
    assert project.run("apply").code == 1
    assert (project.output_of("one") / "stray.bin").read_text() == "junk"
    assert project.run("apply", "--overwrite", "one").code == 0
    assert not (project.output_of("one") / "stray.bin").exists()


RETRIED = """
def build(output):
    with open("tries", "a") as stream:
        stream.write("x")
    count = len(Path("tries").read_text())
    print("try", count)
    if count < 3:
        raise RuntimeError(f"not at try {count}")
    Path(output, "x").touch()
"""


def test_retries_are_made_and_recorded(project: Project) -> None:
    """Else a flaky network costs a night."""
    project.pipeline(f"{HEAD}{RETRIED}\ntargets = [StepSpec(name='one', fn=build, retries=2)]\n")
    done = project.run("apply", "-j", "1")
    assert (done.code, done.err) == (0, "")
    assert project.mask(done.out) == (
        "run r-RUN: 1 to build, 0 reused, 1 at once\n"
        "  started   one_HASH\n"
        "  failed    one_HASH  RuntimeError: not at try 1; tries left: 2, the next in TIME\n"
        "  started   one_HASH\n"
        "  failed    one_HASH  RuntimeError: not at try 2; tries left: 1, the next in TIME\n"
        "  started   one_HASH\n"
        "  built     [1/1] one_HASH  TIME\n"
        "1 built, 0 reused in TIME\n"
        "  one: .marin-build/outputs/one_HASH\n"
    )
    results = [project.attempt_of("one", number)["result"] for number in (1, 2, 3)]
    assert results == ["failed", "failed", "succeeded"]
    assert [project.log_of("one", n).splitlines()[0] for n in (1, 2, 3)] == [
        "try 1", "try 2", "try 3",
    ]  # fmt: skip
    record = json.loads((project.output_of("one") / ".executor_info").read_text())
    assert record["attempt"] == 3


def test_when_retries_are_used_up_the_step_has_failed(project: Project) -> None:
    """Else it is tried for ever, or a failure is forgotten."""
    project.pipeline(f"{HEAD}{RETRIED}\ntargets = [StepSpec(name='one', fn=build, retries=1)]\n")
    done = project.run("apply", "--json")
    assert done.code == 1
    assert [e["retries_left"] for e in done.events if e["event"] == "step_failed"] == [1, 0]
    assert project.status_of("one") == "FAILED"


@pytest.mark.parametrize(
    "one",
    [
        "StepSpec(name='one', fn=lambda o: time.sleep(600), timeout=0.2)",
        "command('sleep 600 & sleep 600', name='one', timeout=0.2)",
        "StepSpec(name='one', fn=lambda o: signal.signal(15, 1) or time.sleep(600), timeout=0.2)",
    ],
    ids=["function", "command", "deaf"],
)
def test_a_time_limit_ends_a_step(project: Project, one: str) -> None:
    """Else a step that hangs holds its machine until somebody looks."""
    project.pipeline(f"{HEAD}\ntargets = [{one}]\n")
    running = project.start("apply", "--json")
    done = running.wait()
    assert done.code == 1
    (failed,) = [event for event in done.events if event["event"] == "step_failed"]
    assert (failed["exit_code"], failed["message"]) == (124, "timed out after 0.2 s")
    assert running.wait_until_all_gone() == {}
    assert project.status_of("one") == "FAILED"
    attempt = project.attempt_of("one")
    assert (attempt["result"], attempt["exit_code"]) == ("failed", 124)
    assert attempt["message"] == "timed out after 0.2 s"
    assert not (project.output_of("one") / ".executor_status.lock").exists()
    planned = project.mask(project.run("plan").out)
    assert "failed before (attempt 1, DATE by USER@HOST): timed out after TIME" in planned


def test_a_time_limit_holds_for_each_attempt(project: Project) -> None:
    """Else a retry inherits the time that its predecessor used up."""
    project.pipeline(
        f"{HEAD}\nfrom marin_build import Retries\n"
        "def build(output):\n"
        "    if not Path(output, '.logs/attempt-0002.json').exists():\n"
        "        time.sleep(600)\n"
        "    Path(output, 'x').touch()\n"
        "often = Retries(limit=9, wait=0.001)\n"
        "targets = [StepSpec(name='one', fn=build, timeout=0.5, retries=often)]\n"
    )
    done = project.run("apply", "--json")
    assert done.code == 0
    codes = [e["exit_code"] for e in done.events if e["event"] == "step_failed"]
    # A busy machine may take half a second before a later try has begun, but not for each.
    assert codes == [124] * len(codes)
    assert 1 <= len(codes) <= 9


def test_an_artifact_reaches_its_reader_as_the_type_it_asks_for(project: Project) -> None:
    """Else numbers arrive as text, and models as dictionaries."""
    project.pipeline(
        HEAD
        + """
from dataclasses import dataclass, field
from pydantic import BaseModel

@dataclass(frozen=True)
class Stats:
    lines: int
    by_word: dict[str, int] = field(default_factory=dict)

class Model(BaseModel):
    path: Path
    stats: list[float]

@step
def stats(output: Path, n: int) -> Stats:
    return Stats(n, {"a": 1})

@step
def model(output: Path, stats: Stats) -> Model:
    assert isinstance(stats, Stats), type(stats)
    return Model(path=Path("x"), stats=[stats.lines / 2])

@step
def last(output: Path, model: Model, all: list[Stats], text: str, folder: Path) -> str:
    assert isinstance(model, Model) and isinstance(all[1], Stats)
    assert isinstance(text, str) and isinstance(folder, Path) and str(folder) == text
    return f"{model.stats[0]} {all[0].lines} {all[1].by_word['a']}"

one, two = stats(n=1), stats.options(name="other")(n=2)
targets = [last(model=model(stats=one), all=[one, two], text=one, folder=one)]
"""
    )
    done = project.run("apply")
    assert (done.code, done.err) == (0, "")
    assert json.loads((project.output_of("last") / ".artifact.json").read_text()) == "0.5 1 1"


def test_an_artifact_of_another_shape_is_a_failure_of_its_reader(project: Project) -> None:
    """Else a reader works on data that its author never meant."""
    project.pipeline(
        HEAD
        + """
from dataclasses import dataclass
@dataclass
class Stats:
    lines: int
loose = StepSpec(name="loose", fn=lambda output: {"lnes": 1})
@step
def reader(output: Path, stats: Stats) -> int:
    return stats.lines
targets = [reader(stats=loose)]
"""
    )
    done = project.run("apply", "-j", "1")
    assert done.code == 1
    assert project.status_of("loose") == "SUCCESS"
    assert project.status_of("reader") == "FAILED"
    assert ".artifact.json` is no Stats" in done.err
    assert "lines" in done.err


def test_all_that_a_step_prints_is_in_its_log(project: Project) -> None:
    """Else the one line that explains a failure is the one that is lost."""
    project.pipeline(
        HEAD
        + """
def chatty(output):
    print("print")
    sys.stderr.write("stderr, no newline")
    os.write(1, b"\\nraw\\n")
    os.system("echo child; echo child of stderr >&2")
    print("\\u00e9 \\U0001f389 \\udce9")
    print("x" * 100_000)
    Path(output, "x").touch()
targets = [StepSpec(name="one", fn=chatty)]
"""
    )
    done = project.run("apply")
    assert (done.code, done.err) == (0, "")
    assert "child" not in done.out
    lines = project.log_of("one").splitlines()
    assert sorted(line for line in lines if 0 < len(line) < 100) == sorted(
        ["print", "stderr, no newline", "raw", "child", "child of stderr", "é \U0001f389 \\udce9"]
    )
    assert "x" * 100_000 in lines


@pytest.mark.parametrize("end", ["os._exit(3)", "os.kill(os.getpid(), 9)", "1 / 0"])
def test_what_was_printed_before_the_end_is_there(project: Project, end: str) -> None:
    """Else the log of a step that was killed for its memory is empty."""
    prints = "print('one'), print('two', file=sys.stderr), print('three')"
    only(project, f"lambda o: ({prints}, {end})")
    project.run("apply")
    assert project.log_of("one").startswith("one\ntwo\nthree\n")


def test_only_the_end_of_a_long_log_is_shown(project: Project) -> None:
    """Else the error is lost in ten thousand lines, or a control code clears the screen."""
    project.pipeline(
        f"{HEAD}\ntargets = [command('seq 1 5000; printf \"\\\\033[2Jred\\\\n\"; exit 1',"
        " name='one')]\n"
    )
    done = project.run("apply")
    shown = [line for line in done.err.splitlines() if line.startswith("  | ")]
    assert shown == [*(f"  | {n}" for n in range(4982, 5001)), "  | \ufffd[2Jred"]


def test_a_step_that_reads_its_input_gets_nothing(project: Project) -> None:
    """Else a program that asks a question waits for ever."""
    project.pipeline(f"{HEAD}\ntargets = [command('cat > {{output}}/x; echo end >> {{output}}/x',"
                     " name='one')]\n")  # fmt: skip
    assert project.run("apply").code == 0
    assert (project.output_of("one") / "x").read_text() == "end\n"


def test_an_input_that_changes_while_a_step_runs_is_noticed(project: Project) -> None:
    """Else an output is committed under the name of data it was not made from."""
    project.pipeline(
        HEAD
        + "from marin_build import source\n"
        + """
def build(output):
    Path("data.txt").write_text("changed")
    Path(output, "x").touch()
targets = [StepSpec(name="one", fn=build, inputs={"data": source("data.txt")})]
"""
    )
    project.write("data.txt", "first")
    done = project.run("apply")
    assert done.code == 1
    assert project.attempt_of("one")["message"] == "input changed while the step ran: `data.txt`"
    assert not (project.output_of("one") / ".executor_info").exists()


def test_environment_variables_are_of_one_step_alone(project: Project) -> None:
    """Else the settings of one step leak into the next one."""
    project.pipeline(
        f"{HEAD}\n"
        "def show(name, **env):\n"
        "    return command('echo \"${{WORD:-none}}\" > {{output}}/x', name=name, env_vars=env)\n"
        "targets = [show('one', WORD='1'), show('two'), show('three', WORD='3')]\n".replace(
            "{{", "{"
        ).replace("}}", "}")
    )
    assert project.run("apply", "-j", "1").code == 0
    words = [(project.output_of(n) / "x").read_text() for n in ("one", "two", "three")]
    assert words == ["1\n", "none\n", "3\n"]


def test_a_failure_in_a_diamond_blocks_only_what_needs_it(project: Project) -> None:
    """Else a failure on one side costs the other side too."""
    project.pipeline(
        DIAMOND.replace("    ran(side)\n", '    ran(side)\n    assert side == "right"\n')
    )
    done = project.run("apply", "-k", "--json")
    assert done.code == 1
    assert sorted(done.names_of("step_succeeded")) == ["corpus", "right"]
    assert done.names_of("step_blocked") == ["report"]
