"""Replays by the real make and the real ninja: parallel, and in everything else what `apply` is."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .support import (
    DIAMOND,
    OUTPUTS,
    PATIENCE,
    Done,
    Gate,
    Project,
    project_in,
    wait_for_exits,
)

if TYPE_CHECKING:
    from pathlib import Path

EXAMPLES = int(os.environ.get("E2E_EXAMPLES", "3"))
TOOLS = ("make", "ninja")
CODES = {"make": 2, "ninja": 1}
"""How each of them ends if a step failed."""
GATED = DIAMOND.replace("import os\n", "import os\nfrom gate import wait_at_gate\n", 1).replace(
    "    ran(side)\n", "    ran(side)\n    wait_at_gate(side)\n"
)
GRAPH = """\
import json
from pathlib import Path
from marin_build import StepSpec

HERE = Path(__file__).parent
GIVEN = json.loads((HERE / "graph.json").read_text())


def build(name, fails):
    def write(output):
        with open(HERE / "ran.txt", "a") as stream:
            stream.write(name + "\\n")
        Path(output, "x").write_text(name)
        if fails:
            raise RuntimeError("no")
    return write


def pipeline():
    steps = []
    for number, needs in enumerate(GIVEN["needs"]):
        name = f"{'ab/' * (number % 3)}s{number}"
        fails = number in GIVEN["fails"]
        steps.append(StepSpec(name=name, fn=build(name, fails), deps=[steps[i] for i in needs]))
    return steps
"""


def command(tool: str, *words: str, folder: str = "saved", keep_going: bool = False) -> list[str]:
    """Return the command line that replays a plan by a tool."""
    if tool == "make":
        return ["make", "-j4", "-f", f"{folder}/Makefile", *(["-k"] if keep_going else []), *words]
    goes_on = ["-k", "0"] if keep_going else []
    return ["ninja", "-j4", "-f", f"{folder}/build.ninja", *goes_on, *words]


def replay(
    project: Project,
    tool: str,
    *words: str,
    folder: str = "saved",
    cwd: Path | None = None,
    keep_going: bool = False,
) -> Done:
    """Replay a plan; what is run of ours is forked."""
    argv = command(tool, *words, folder=folder, keep_going=keep_going)
    return project.execute([*argv], cwd=cwd, env=project.forking())


def built(project: Project) -> dict[str, str]:
    """Return each target that has a status, and the status."""
    outputs = project.root / OUTPUTS
    found = outputs.rglob(".executor_status")
    return {str(path.parent.relative_to(outputs)): path.read_text() for path in found}


@pytest.mark.parametrize("tool", TOOLS)
def test_a_second_replay_skips_everything(project: Project, tool: str) -> None:
    """Else a replay after a broken connection starts from the beginning."""
    project.pipeline(DIAMOND)
    project.run("plan", "-o", "saved")
    done = replay(project, tool)
    assert (done.code, done.err) == (0, "")
    before = project.tree(OUTPUTS)
    again = replay(project, tool)
    assert (again.code, again.err) == (0, "")
    skipped = [line for line in again.out.splitlines() if line.startswith("skipped  ")]
    assert len(skipped) == 4
    assert "run r-" not in again.out
    assert project.tree(OUTPUTS) == before
    assert project.run("apply").out.startswith("nothing to do: 4 targets are reused\n")


GRAPHS = st.integers(2, 7).flatmap(
    lambda size: st.fixed_dictionaries(
        {
            "needs": st.tuples(
                *(
                    st.lists(st.integers(0, i - 1), max_size=3, unique=True) if i else st.just([])
                    for i in range(size)
                )
            ),
            "fails": st.lists(st.integers(0, size - 1), max_size=2, unique=True),
        }
    )
)


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    derandomize="E2E_EXAMPLES" not in os.environ,
    suppress_health_check=list(HealthCheck),
)
@given(graph=GRAPHS, first=st.integers(0, 6))
def test_any_graph_ends_as_with_apply(
    tmp_path_factory: pytest.TempPathFactory, graph: dict[str, Any], first: int
) -> None:
    """Else what is run, what is skipped and what failed depends on who replays the plan."""
    ended = {}
    for how in ("apply", "run.sh", *TOOLS):
        with project_in(tmp_path_factory.mktemp("graph")) as project:
            project.write("marin-build.toml", "")
            project.write("graph.json", json.dumps(graph))
            project.pipeline(GRAPH)
            assert project.run("plan", "-o", "saved").code == 0
            project.run("apply", f"*s{min(first, len(graph['needs']) - 1)}")
            if how == "apply":
                done = project.run("apply", "saved", "-k")
            elif how == "run.sh":
                done = project.bash("saved/run.sh")
            else:
                done = replay(project, how, keep_going=True)
            ended[how] = (built(project), project.counts(), done.code != 0)
    assert ended["make"] == ended["apply"]
    assert ended["ninja"] == ended["apply"]
    assert ended["run.sh"][2] == ended["apply"][2]
    if not ended["apply"][2]:
        assert ended["run.sh"] == ended["apply"]


@pytest.mark.parametrize("tool", TOOLS)
def test_without_keep_going_nothing_starts_after_a_failure(project: Project, tool: str) -> None:
    """Else a broken plan costs all that can still be started."""
    project.pipeline(
        "from marin_build import command\n"
        "bad = command('echo so sorry; exit 3', name='bad')\n"
        "after = command('touch {output}/x {bad}', name='after', deps={'bad': bad})\n"
        "targets = [after, *(command('touch {output}/x', name=f'n{i}') for i in range(3))]\n"
    )
    project.run("plan", "-o", "saved")
    tools = {"make": ["make", "-j1", "-f", "saved/Makefile"],
             "ninja": ["ninja", "-j1", "-f", "saved/build.ninja"]}  # fmt: skip
    done = project.execute([*tools[tool]], env=project.forking())
    assert done.code == CODES[tool]
    assert "`bad` failed with exit code 3" in done.out + done.err
    assert "bash PROJECT/saved/steps/bad_HASH/run.sh" in project.mask(done.out + done.err)
    assert "FAILED" in built(project).values()
    assert len(built(project)) < 4
    on = replay(project, tool, keep_going=True)
    assert on.code == CODES[tool]
    states = built(project)
    assert sorted(states.values()) == ["FAILED", "SUCCESS", "SUCCESS", "SUCCESS"]
    assert not [name for name in states if name.startswith("after")]


@pytest.mark.parametrize("tool", TOOLS)
def test_one_target_is_built_with_what_it_needs(project: Project, tool: str) -> None:
    """Else a person who wants one result pays for all."""
    project.pipeline(DIAMOND)
    project.run("plan", "-o", "saved")
    (target,) = [path.name for path in (project.root / "saved/steps").glob("left_*")]
    assert replay(project, tool, target).code == 0
    assert project.counts() == {"corpus": 1, "left": 1}


@pytest.mark.parametrize("tool", TOOLS)
def test_a_dry_run_runs_nothing(project: Project, tool: str) -> None:
    """Else to look costs what to build costs."""
    project.pipeline(DIAMOND)
    project.run("plan", "-o", "saved")
    project.run("apply", "left")
    done = replay(project, tool, "-n")
    assert done.code == 0
    assert project.counts() == {"corpus": 1, "left": 1}
    if tool == "make":  # it knows what is built
        lines = project.mask(done.out).splitlines()
        assert {line.rpartition("PROJECT/")[2] for line in lines if "bash" in line} == {
            "saved/steps/right_HASH/run.sh", "saved/steps/report_HASH/run.sh"
        }  # fmt: skip


HOSTILE = [
    "two  blanks", "it's", "$(touch pwned)", "`touch pwned`", "#1", "a%b", "x:y;z", "=", "$HOME",
    "\u00e9\U0001f389", "-f", "a\\b", '"', "*", "(a,b)", "$$", "~", "{x}", "&|<>",
]  # fmt: skip


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize("names", [HOSTILE[:10], HOSTILE[10:]])
def test_a_plan_may_lie_anywhere_and_be_called_from_anywhere(
    project: Project, tmp_path: Path, tool: str, names: list[str]
) -> None:
    """Else a blank or a dollar in the name of a folder breaks a replay, or runs as code."""
    project.pipeline(DIAMOND)
    project.run("plan", "-o", "saved")
    folder = project.root / "/".join(names)
    shutil.copytree(project.root / "saved", folder)
    away = tmp_path / "else where"
    away.mkdir()
    done = replay(project, tool, folder=str(folder), cwd=away)
    assert (done.code, done.err) == (0, "")
    assert project.counts() == {"corpus": 1, "left": 1, "report": 1, "right": 1}
    inside = project.execute([tool], cwd=folder, env=project.forking())
    assert (inside.code, inside.err) == (0, "")
    there = project.execute([tool, "-C", folder], cwd=away, env=project.forking())
    assert (there.code, there.err) == (0, "")
    relative = os.path.relpath(folder, project.root)
    assert replay(project, tool, folder=f"./{relative}").code == 0
    if tool == "ninja":
        for words in (["-vf", f"{folder}/build.ninja"], [f"-f{folder}/build.ninja", "-v"]):
            assert project.execute(["ninja", *words], cwd=away, env=project.forking()).code == 0
    assert project.counts() == {"corpus": 1, "left": 1, "report": 1, "right": 1}
    assert not [path for path in tmp_path.rglob("*") if path.name == "pwned"]


@pytest.mark.parametrize("tool", TOOLS)
def test_files_of_the_names_of_targets_mean_nothing(project: Project, tool: str) -> None:
    """Else a folder in which outputs happen to lie makes a tool think that all is built."""
    project.pipeline(DIAMOND)
    project.run("plan", "-o", "saved")
    names = [path.name for path in (project.root / "saved/steps").iterdir()]
    for name in [*names, "all", "always", "begin", "published", "s1", "s2", "s3", "s4"]:
        project.write(name, "")
    assert replay(project, tool).code == 0
    assert project.counts() == {"corpus": 1, "left": 1, "report": 1, "right": 1}
    for name in ("left", "report"):
        shutil.rmtree(project.output_of(name))
    assert replay(project, tool).code == 0, "no file and no log of a run says that it is built"
    assert project.counts() == {"corpus": 1, "left": 2, "report": 2, "right": 1}


def test_what_others_built_meanwhile_is_skipped_by_name(project: Project) -> None:
    """Else a replay beside another one prints totals of nobody knows what."""
    project.pipeline(DIAMOND)
    project.run("plan", "-o", "saved")
    project.run("apply")
    (script,) = (project.root / "saved/steps").glob("report_*/run.sh")
    done = project.bash(str(script))
    assert (done.code, done.out) == (0, f"skipped  {script.parent.name}\n")


@pytest.mark.parametrize("tool", [*TOOLS, "run.sh"])
def test_a_shell_that_does_not_find_us_gets_the_way_out(project: Project, tool: str) -> None:
    """Else who forgot to activate an environment reads of a line of a script they never saw."""
    project.pipeline(DIAMOND)
    project.run("plan", "-o", "saved")
    argv = ["bash", "saved/run.sh"] if tool == "run.sh" else command(tool)
    done = project.execute([*argv], env={"MARIN_BUILD": "/nowhere/marin build"})
    assert done.code != 0
    said = done.out + done.err
    assert "error: there is no program `/nowhere/marin build` here\n" in said
    assert "hint: activate the environment that has it, or set MARIN_BUILD to its path\n" in said
    assert "command not found" not in said
    assert "No such file" not in said


def test_a_plan_that_its_code_left_behind_is_not_to_be_applied_again(project: Project) -> None:
    """Else the last line of a run names a command that stops in the same place."""
    project.pipeline(DIAMOND)
    project.run("plan", "-o", "saved")
    project.pipeline(DIAMOND.replace('ran("corpus")', 'ran("corp" + "us")'))
    done = project.run("apply", "saved")
    assert done.code == 5
    assert "  stopped   corpus_" in done.out
    assert "hint: make the plan again\n" in done.err
    assert "to go on" not in done.err


def test_replays_and_applies_share_the_work(project: Project) -> None:
    """Else the way one builds decides whether leases hold."""
    project.write("graph.json", '{"needs": [[], [0], [0], [1, 2], [1, 2], [3, 4]], "fails": []}')
    project.pipeline(GRAPH)
    project.run("plan", "-o", "saved")
    runs = [project.start_command([*command(tool)]) for tool in TOOLS]
    runs.append(project.start("apply", "-j", "2"))
    for run in runs:
        ended = run.wait()
        assert ended.code == 0, ended
    assert set(project.counts().values()) == {1}
    assert len(project.counts()) == 6


@pytest.mark.parametrize("tool", TOOLS)
def test_ctrl_c_ends_a_replay(project: Project, gate: Gate, tool: str) -> None:
    """Else steps go on after it, or the next run waits for leases of nobody."""
    project.pipeline(GATED)
    project.run("plan", "-o", "saved")
    running = project.start_command([*command(tool)])
    pids = [gate.wait_started()[1] for _ in range(2)]
    running.send_group(signal.SIGINT)
    assert running.wait().code != 0
    wait_for_exits(pids, time.monotonic() + PATIENCE)
    assert running.wait_until_all_gone() == {}
    assert project.counts() == {"corpus": 1, "left": 1, "right": 1}
    assert not list((project.root / OUTPUTS).rglob(".executor_status.lock"))


@pytest.mark.parametrize("tool", TOOLS)
def test_after_a_kill_apply_goes_on(project: Project, gate: Gate, tool: str) -> None:
    """Else a step that lost its tool is built beside itself, or is lost."""
    project.pipeline(GATED)
    project.run("plan", "-o", "saved")
    running = project.start_command([*command(tool)])
    for _ in range(2):
        gate.wait_started()
    running.send(signal.SIGKILL)
    running.process.wait(PATIENCE)
    again = project.start("apply", "--json")
    for _ in range(2):  # what is still built is waited for
        assert again.wait_event("step_waiting")["name"] in {"left", "right"}
    gate.let_go(2)
    assert again.process.wait(PATIENCE) == 0
    assert project.counts() == {"corpus": 1, "left": 1, "report": 1, "right": 1}
    assert running.wait_until_all_gone() == {}


@pytest.mark.parametrize("tool", TOOLS)
def test_steps_that_take_the_same_run_one_at_a_time(
    project: Project, gate: Gate, tool: str
) -> None:
    """Else two steps get the same GPU, or the memory of the machine does not last."""
    project.pipeline(
        "from pathlib import Path\n"
        "from gate import wait_at_gate\n"
        "from marin_build import ResourceConfig, step\n"
        "def say(word):\n"
        "    with open('said.txt', 'a') as stream:\n"
        "        stream.write(word + '\\n')\n"
        "@step(name='api/{i}', budgets={'api': 1})\n"
        "def api(output: Path, i: int) -> int:\n"
        "    say('begin'); wait_at_gate('api'); say('end'); return 1\n"
        "@step(name='both', budgets={'api': 1}, resources=ResourceConfig.with_cpu(ram='1Ki'))\n"
        "def both(output: Path) -> int:\n"
        "    say('begin'); wait_at_gate('both'); say('end'); return 1\n"
        "targets = [api(i=0), api(i=1), both()]\n"
    )
    assert project.run("plan", "-o", "saved").code == 0
    running = project.start_command([*command(tool)])
    gate.wait_started()
    said = "until others end that take `api`"
    if tool == "make":  # which starts them all: the first goes on when another one waits for it
        running.lines_until(said, err=True)
    gate.let_go()
    for _ in range(2):
        gate.wait_started()
        gate.let_go()
    done = running.wait()
    assert done.code == 0, done
    assert (project.root / "said.txt").read_text() == "begin\nend\n" * 3
    assert tool == "make" or said not in done.err


@pytest.mark.parametrize("tool", TOOLS)
def test_an_edited_plan_stops_a_replay(project: Project, tool: str) -> None:
    """Else what a reviewer approved is not what runs."""
    project.pipeline(DIAMOND)
    project.run("plan", "-o", "saved")
    for name in ("Makefile", "build.ninja", "states.sh"):
        path = project.root / "saved" / name
        text = path.read_text()
        path.write_text(f"{text}# innocent\n")
        done = replay(project, tool)
        assert done.code != 0
        assert f"was edited after it was made\n  differs: {name}\n" in done.out + done.err
        path.write_text(text)
    assert not (project.root / OUTPUTS).exists()
    project.run("apply")
    project.run("plan", "-o", "empty")
    (project.root / "empty/run.sh").write_text("")
    assert replay(project, tool, folder="empty").code != 0, "though there is nothing to build"


@pytest.mark.parametrize("tool", TOOLS)
def test_an_answer_that_is_broken_is_an_error(project: Project, tool: str) -> None:
    """Else a tool that understands nothing takes all for built."""
    project.pipeline(DIAMOND)
    project.run("plan", "-o", "saved")
    done = project.execute([*command(tool)], env={"MARIN_BUILD": "echo"})
    assert done.code != 0
    assert "marin-build does not say whether corpus_" in done.out + done.err


@pytest.mark.parametrize("tool", TOOLS)
def test_a_step_that_runs_make_gets_nothing_of_the_outer_one(project: Project, tool: str) -> None:
    """Else `-k` or `-j` of a replay changes what a step makes."""
    project.write("inner.mk", "all:\n\t@env | grep ^MAKE | sort; echo $(MAKELEVEL) $(MAKEFLAGS)\n")
    project.pipeline(
        "from marin_build import command\n"
        "targets = [command('make -f inner.mk > {output}/x', name='inner')]\n"
    )
    project.run("plan", "-o", "saved")
    assert replay(project, tool, "-v" if tool == "ninja" else "-O", keep_going=True).code == 0
    replayed = (project.output_of("inner") / "x").read_text()
    shutil.rmtree(project.output_of("inner"))
    assert project.run("apply").code == 0
    assert (project.output_of("inner") / "x").read_text() == replayed


def test_ninja_that_cannot_name_its_folder_says_what_to_do(project: Project) -> None:
    """Else a person reads a shell's error about a file that they never named."""
    project.pipeline(DIAMOND)
    project.run("plan", "-o", "saved")
    (project.root / "build.ninja").write_text((project.root / "saved/build.ninja").read_text())
    done = project.execute(["ninja"])
    assert done.code != 0
    assert "error: cannot find the folder of the plan; name it: ninja -C DIR\n" in done.out


def test_the_folder_of_ninja_is_ignored_by_git(project: Project, tmp_path: Path) -> None:
    """Else the log of a replay is committed."""
    project.pipeline(DIAMOND)
    project.run("plan", "-o", "saved")
    away = tmp_path / "away"
    away.mkdir()
    assert replay(project, "ninja", folder=str(project.root / "saved"), cwd=away).code == 0
    assert [path.name for path in away.iterdir()] == [".marin-build"]
    assert (away / ".marin-build/.gitignore").read_text() == "*\n"
