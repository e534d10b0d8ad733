"""What people get wrong: each mistake is named with its place, nothing is run, nothing is lost."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest

from .support import OUTPUTS, cases

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .support import Done, Project

TWO_STEPS = """\
from marin_build import command
one = command('echo 1 > {output}/x', name='one')
targets = [command('cat {one}/x > {output}/y', name='two', deps={'one': one})]
"""
NOTHING_RUN = "  nothing was run\n"
BY_VALUE = "hint: a step is meant by the value that declares it: `words()`, `StepSpec(...)`\n"


def refused(project: Project, error: str, *args: str, code: int = 4) -> None:
    """Check that a command line is refused with exactly this error."""
    done = project.run(*args)
    shown = done.err.replace(str(project.root), "PROJECT")
    assert places(shown) == places(error)
    assert (done.code, done.out) == (code, "")


def places(text: str) -> str:
    """Return a text in which places inside the project are relative."""
    return text.replace("PROJECT/pipeline.py:", "pipeline.py:")


@pytest.fixture
def built(project: Project) -> Project:
    """one -> two, both built."""
    project.pipeline(TWO_STEPS)
    assert project.run("apply").code == 0
    return project


# The pipeline file


@pytest.mark.parametrize("command", ["plan", "apply", "graph"])
def test_no_pipeline(project: Project, command: str) -> None:
    """Else a wrong folder looks like an empty pipeline."""
    refused(
        project,
        "error: no pipeline file `PROJECT/pipeline.py`\n"
        + NOTHING_RUN
        + "hint: name one with --file, or make one with `marin-build init`\n",
        command,
    )


@cases(
    "text error",
    in_the_file=(
        "def f():\n    return {}['vocab']\nf()\n",
        "the pipeline raised KeyError: 'vocab'\n  at: pipeline.py:3, pipeline.py:2\n",
    ),
    syntax=(
        "import json\ndef f(:\n",
        (
            "the pipeline raised SyntaxError: invalid syntax (pipeline.py, line 2)\n"
            "  at: pipeline.py:2\n"
        ),
    ),
    in_the_function=(
        "def pipeline():\n    raise ValueError('no data')\n",
        "the pipeline raised ValueError: no data\n  at: pipeline.py:2\n",
    ),
    exit=(
        "import sys\nsys.exit('not today')\n",
        "the pipeline raised SystemExit: not today\n  at: pipeline.py:2\n",
    ),
    in_a_module=(
        "from broken import steps\n",
        (
            "the pipeline raised ZeroDivisionError: division by zero\n"
            "  at: pipeline.py:1, broken.py:3\n"
        ),
    ),
    no_such_module=(
        "import nowhere_to_be_found\n",
        (
            "the pipeline raised ModuleNotFoundError: No module named 'nowhere_to_be_found'\n"
            "  at: pipeline.py:1\n"
        ),
    ),
    not_a_step=("def pipeline():\n    return [3]\n", "pipeline() gave an int, not a step\n"),
    not_steps=("targets = ['train']\n", "`targets` gave the text 'train', not a step\n"),
)
def test_a_pipeline_that_raises(project: Project, text: str, error: str) -> None:
    """Else people look for their mistake in a traceback of ours."""
    project.write("broken.py", "steps = 0\n\n1 / 0\n")
    project.pipeline(text)
    hint = BY_VALUE if "the text" in error else ""
    refused(project, f"error: {error}{NOTHING_RUN}{hint}", "plan")


def test_a_pipeline_without_steps(project: Project) -> None:
    """Else nothing is built, and nobody says so."""
    project.pipeline("steps = []\n")
    refused(
        project,
        "error: the pipeline `pipeline.py` has no steps\n"
        + NOTHING_RUN
        + "hint: return steps from `pipeline()`, or list them in `targets`\n",
        "plan",
    )


def test_the_first_line_of_an_error_is_one_line(project: Project) -> None:
    """Else programs and people that read the first line read half of it."""
    project.pipeline("raise RuntimeError('first\\nsecond')\n")
    done = project.run("plan")
    assert done.err.splitlines()[0] == "error: the pipeline raised RuntimeError: first"
    assert all(line.startswith("  ") for line in done.err.splitlines()[1:])


PARAMETERS = """\
from marin_build import StepSpec
def pipeline(vocab: int, order: float = 1, on: bool = False, sizes: list[int] = []):
    return StepSpec(name="a", fn=print, hash_attrs={"all": [vocab, order, on, list(sizes)]})
"""


@cases(
    "settings error",
    missing=(
        [],
        (
            "error: the pipeline needs the parameter `vocab`\n"
            "  file: PROJECT/pipeline.py\nhint: --set vocab=...\n"
        ),
    ),
    near_miss=(
        ["vocab=1", "ordr=3"],
        (
            "error: the pipeline has no parameter `ordr`\n  file:       PROJECT/pipeline.py\n"
            "  parameters: on, order, sizes, vocab\n  nothing was run\n"
            "hint: did you mean `order`?\n"
        ),
    ),
    wrong_type=(
        ["vocab=many"],
        (
            "error: `--set vocab=many` does not fit the parameter `vocab`\n"
            "  given:    many\n  expected: a whole number, like 8000\n  nothing was run\n"
        ),
    ),
    several=(
        ["vocab=1", "order=x", "voacb=2"],
        (
            "error: `--set order=x` does not fit the parameter `order`\n"
            "  given:    x\n  expected: a number, like 0.1 or 1e-3\n  nothing was run\n\n"
            "error: the pipeline has no parameter `voacb`\n  file:       PROJECT/pipeline.py\n"
            "  parameters: on, order, sizes, vocab\n  nothing was run\n"
            "hint: did you mean `vocab`?\n"
        ),
    ),
    no_value=(["vocab"], "error: `--set vocab` is not KEY=VALUE\n"),
    no_name=(["=1"], "error: `--set =1` is not KEY=VALUE\n"),
)
def test_wrong_parameters(project: Project, settings: list[str], error: str) -> None:
    """Else a misspelt parameter builds the default, for days."""
    project.pipeline(PARAMETERS)
    refused(project, error, "plan", *[word for s in settings for word in ("--set", s)])


@pytest.mark.parametrize("setting", ["on=maybe", "sizes=one", 'sizes=["x"]'])
def test_a_value_that_does_not_fit_says_what_would(project: Project, setting: str) -> None:
    """Else `Invalid JSON` is all that is said to somebody who never wrote JSON."""
    project.pipeline(PARAMETERS)
    done = project.run("plan", "--set", "vocab=1", "--set", setting)
    assert (done.code, done.out) == (4, "")
    assert done.err.startswith(f"error: `--set {setting}` does not fit the parameter `")
    kind = "true or false" if setting.startswith("on") else "a list in JSON, like [1, 2]"
    assert f"expected: {kind}" in done.err


@cases(
    "setting value",
    yes=("on=yes", True),
    zero=("on=0", False),
    true=("on=true", True),
    list=("sizes=[1, 2]", [1, 2]),
)
def test_parameters_are_read_by_their_annotation(
    project: Project, setting: str, value: object
) -> None:
    """Else `--set on=0` is a string, which is true."""
    project.pipeline(
        "import json\nfrom pathlib import Path\n"
        + PARAMETERS.replace(
            "fn=print", "fn=lambda o: Path(o, 'x').write_text(json.dumps([on, list(sizes)]))"
        )
    )
    assert project.run("apply", "--set", "vocab=1", "--set", setting).code == 0
    got = json.loads((project.output_of("a") / "x").read_text())
    assert value in got


def test_parameters_for_a_pipeline_that_takes_none(built: Project) -> None:
    """Else people believe they changed something."""
    refused(
        built,
        "error: `pipeline.py` takes no parameters\n"
        "  given: lr, vocab\n"
        "hint: declare them: def pipeline(vocab: int = 8000)\n",
        "plan", "--set", "vocab=1", "--set", "lr=2",
    )  # fmt: skip


# Declarations


def test_attributes_without_a_canonical_form_are_reported_together(project: Project) -> None:
    """Else people repair one attribute a run, or two equal steps have two names."""
    project.pipeline(
        "import math\n"
        "from marin_build import StepSpec\n"
        "class Odd: pass\n"
        "one = StepSpec(name='one', fn=print, hash_attrs={'a': {'deep': [1, Odd()]}})\n"
        "two = StepSpec(name='two', fn=print, hash_attrs={'schedule': lambda step: step})\n"
        "three = StepSpec(name='three', fn=print, hash_attrs={'rates': {math.nan, 0.1}})\n"
        "four = StepSpec(name='four', fn=print, hash_attrs={(1, 2): 3})\n"
        "loop = []\n"
        "loop.append(loop)\n"
        "five = StepSpec(name='five', fn=print, hash_attrs={'loop': loop})\n"
    )
    refused(
        project,
        "error: cannot fingerprint `one.attrs.a.deep.1`: pipeline.Odd has no canonical form\n"
        "  declared: PROJECT/pipeline.py:4\n"
        "  nothing was run\n"
        "hint: declare plain values, a dataclass or a pydantic model instead\n"
        "\n"
        "error: cannot fingerprint `two.attrs.schedule`: a function has no canonical form\n"
        "  declared: PROJECT/pipeline.py:5\n"
        "  nothing was run\n"
        "hint: declare its name and a revision number instead\n"
        "\n"
        "error: cannot fingerprint `three.attrs.rates.item`: nan has no canonical form\n"
        "  declared: PROJECT/pipeline.py:6\n"
        "  nothing was run\n"
        "\n"
        "error: cannot fingerprint `four.attrs`: a key is tuple `(1, 2)`, which JSON cannot write\n"
        "  declared: PROJECT/pipeline.py:7\n"
        "  nothing was run\n"
        "\n"
        "error: cannot fingerprint `five.attrs`: it contains itself or is nested too deeply\n"
        "  declared: PROJECT/pipeline.py:10\n"
        "  nothing was run\n",
        "plan",
    )


def test_illegal_names(project: Project) -> None:
    """Else an output lands outside the prefix, or on a name no file system takes."""
    names = ["a b", "../up", "a//b", "/root", "", "x" * 201, "é", "a\nb", ".", "a/", "a:b", "-ok"]
    project.pipeline(
        f"from marin_build import StepSpec\nsteps = [StepSpec(name=n, fn=print) for n in {names!r}]"
        "\ntargets = steps\n"
    )
    rule = (
        "a name is segments of letters, digits, `.`, `_`, `-`, `+`, joined by `/`; "
        "none begins with `.` or `+`"
    )
    shown = {"é": "\\xe9", "a\nb": "a\\nb", "x" * 201: "x" * 77 + "..."}
    longest = "a segment of a name has at most 200 characters"
    refused(
        project,
        "\n".join(
            f"error: illegal step name `{shown.get(name, name)}`\n"
            "  declared: PROJECT/pipeline.py:2\n"
            f"  rule:     {longest if len(name) > 200 else rule}\n"
            "  nothing was run\n"
            for name in names[:-1]
        ),
        "plan",
    )


def test_other_wrong_fields(project: Project) -> None:
    """Else a wrong field is found out after hours, by the step that needed it."""
    project.pipeline(
        "from marin_build import StepSpec\n"
        "a = StepSpec(name='a', fn=print, version='1/2', retries=-1, timeout=0,\n"
        "             outputs=('/abs', '../up'), env_vars={'A=B': '1', 'C': 3})\n"
        "b = StepSpec(name='b', fn='text', deps=['a'])\n"
    )

    def problems(name: str, line: int, *texts: str) -> str:
        place = f"  declared: PROJECT/pipeline.py:{line}\n  nothing was run\n"
        return "\n".join(f"error: `{name}`: {text}\n{place}" for text in texts)

    refused(
        project,
        problems(
            "a", 2,
            "a version is one segment of letters, digits, `.`, `_`, `-`, `+`",
            "`retries` must not be negative",
            "`timeout` is a positive number of seconds",
            "the output `/abs` is not a path inside the step's folder",
            "the output `../up` is not a path inside the step's folder",
            "the name of the environment variable 'A=B' contains `=`",
            "the environment variable `C` is of the type int, not a string",
        )
        + "\n"
        + problems("b", 4, "x").replace("`b`: x", "`b` depends on the text 'a', not a step")
        + BY_VALUE
        + "\n"
        + problems("b", 4, "`fn` is a str, not a function"),
        "plan",
    )  # fmt: skip


def test_places_are_shown_the_same_way(project: Project) -> None:
    """Else one error names a file inside the project, and the next one a path of this machine."""
    project.pipeline(
        "from marin_build import StepSpec\n"
        "a = StepSpec(name='a b', fn=print)\n"
    )  # fmt: skip
    assert "  declared: pipeline.py:2\n" in project.run("plan").err


@cases(
    "text error",
    unknown_placeholder=(
        "command('echo {nope}', name='a')",
        (
            "error: `a`: nothing is called `{nope}`\n  declared: PLACE\n  known:    output\n"
            "  nothing was run\nhint: write {{nope}} for the text itself\n"
        ),
    ),
    in_single_quotes=(
        "command(\"echo '{output}'\", name='a')",
        (
            "error: `a`: the placeholder {output} stands inside single quotes; leave them out, "
            "it is quoted for you\n  declared: PLACE\n  nothing was run\n"
        ),
    ),
    in_a_here_document=(
        "command('cat <<EOF\\n{output}\\nEOF', name='a')",
        (
            "error: `a`: the placeholder {output} stands after `<<`; "
            "put the text into a script and declare it as an input\n"
            "  declared: PLACE\n  nothing was run\n"
        ),
    ),
    with_nul=(
        "command(['a\\0b'], name='a')",
        "error: `a`: a command is made of strings\n  declared: PLACE\n",
    ),
    deps_without_names=(
        "command('x', name='a', deps=[])",
        (
            "error: `deps` of the command `a` is no dict\n  declared: PLACE\n  nothing was run\n"
            'hint: name what a placeholder stands for: deps={"dep": ...} for `{dep}`\n'
        ),
    ),
    empty=(
        "command([], name='a')",
        "error: `a`: a command is made of strings\n  declared: PLACE\n",
    ),
    two_meanings=(
        "command('{x}', name='a', params={'x': 1}, inputs={'x': source('b')})",
        (
            "error: `a`: the placeholder `{x}` has two meanings\n  declared: PLACE\n"
            "  nothing was run\n"
        ),
    ),
)
def test_wrong_commands(project: Project, text: str, error: str) -> None:
    """Else a command runs with a hole in it."""
    project.pipeline(f"from marin_build import command, source\na = {text}\n")
    refused(project, error.replace("PLACE", "PROJECT/pipeline.py:2"), "plan")


def test_a_cycle(project: Project) -> None:
    """Else planning never ends."""
    project.pipeline(
        "from marin_build import StepSpec\n"
        "a = StepSpec(name='a', fn=print)\n"
        "b = StepSpec(name='b', fn=print, deps=[a])\n"
        "c = StepSpec(name='c', fn=print, deps=[b])\n"
        "object.__setattr__(a, 'deps', (c,))\n"
    )
    refused(
        project,
        "error: dependency cycle: `a` -> `b` -> `c` -> `a`\n"
        "  declared: PROJECT/pipeline.py:2, PROJECT/pipeline.py:4, PROJECT/pipeline.py:3\n"
        "  nothing was run\n",
        "plan",
    )


def test_one_identity_for_two_codes(project: Project) -> None:
    """Else the output of one function is taken for that of another."""
    project.pipeline(
        "from marin_build import StepSpec\n"
        "def make(n):\n"
        "    return StepSpec(name='same', fn=lambda output: print(n))\n"
        "targets = [make(1), make(2)]\n"
    )
    done = project.run("plan")
    assert (done.code, done.out) == (4, "")
    assert project.mask(done.err) == (
        "error: two steps have the identity `same_HASH` but different code\n"
        "  declared: pipeline.py:3, pipeline.py:3\n"
        "  nothing was run\n"
        "hint: what differs must be an attribute: add it to `hash_attrs`\n"
    )


def test_missing_sources_are_reported_together(project: Project) -> None:
    """Else people copy one file, plan, and learn of the next."""
    project.pipeline(
        "from marin_build import StepSpec, source\n"
        "a = StepSpec(name='a', fn=print, inputs={'text': source('gone.txt')})\n"
        "b = StepSpec(name='b', fn=print, inputs={'text': source('lost.txt')})\n"
    )
    done = project.run("plan")
    assert (done.code, done.out) == (4, "")
    for name in ("gone.txt", "lost.txt"):
        assert f"error: cannot read the source `{name}`\n  location: " in done.err


def test_a_source_outside_the_project_needs_a_name(project: Project) -> None:
    """Else the layout of one machine decides what is built on another."""
    project.pipeline(
        "from marin_build import StepSpec, source\n"
        "a = StepSpec(name='a', fn=print, inputs={'text': source('/etc/hostname')})\n"
    )
    refused(
        project,
        "error: the source `/etc/hostname` is outside the project and has no name\n"
        "  declared: PROJECT/pipeline.py:2\n"
        "  project:  PROJECT\n"
        "  nothing was run\n"
        'hint: give it a logical name: source(..., name="corpus")\n',
        "plan",
    )


def test_outputs_inside_each_other(project: Project) -> None:
    """Else rebuilding one step deletes the output of another."""
    project.pipeline(
        "from marin_build import StepSpec\n"
        "a = StepSpec(name='a', fn=print, override_output_path='data')\n"
        "b = StepSpec(name='b', fn=print, override_output_path='data/part')\n"
    )
    done = project.run("plan")
    assert (done.code, done.out) == (4, "")
    assert project.mask(done.err) == (
        "error: the output of `b_HASH` lies inside that of `a_HASH`\n"
        f"  paths:    PROJECT/{OUTPUTS}/data/part\n"
        f"            PROJECT/{OUTPUTS}/data\n"
        "  declared: pipeline.py:3, pipeline.py:2\n"
        "  nothing was run\n"
    )


def test_the_prefix_in_an_attribute(project: Project) -> None:
    """Else an attribute ties a target to one machine without anybody seeing it."""
    project.pipeline(
        "from pathlib import Path\n"
        "from marin_build import StepSpec\n"
        f"path = str(Path(__file__).parent / '{OUTPUTS}' / 'x')\n"
        "a = StepSpec(name='a', fn=print, hash_attrs={'path': path})\n"
    )
    refused(
        project,
        "error: `a` names a place of outputs in an attribute or argument: "
        "`PROJECT/.marin-build/outputs`\n"
        "  declared: pipeline.py:4\n"
        "  nothing was run\n"
        "hint: give the step itself as an argument, or use a placeholder\n",
        "plan",
    )


# The command line


@cases(
    "selector error",
    near_miss=(
        "tow",
        (
            "error: no step is called `tow`\n  steps: 2 in this pipeline\n  nothing was run\n"
            "hint: did you mean `two`?\n"
        ),
    ),
    with_plus=(
        "+oen",
        (
            "error: no step is called `oen`\n  steps: 2 in this pipeline\n  nothing was run\n"
            "hint: did you mean `one`?\n"
        ),
    ),
    glob=(
        "z*",
        (
            "error: no step is called `z*`\n  steps: 2 in this pipeline\n  nothing was run\n"
            "hint: `marin-build graph` shows them all\n"
        ),
    ),
    tag=("tag:x", "error: no step has the tag `x`\nhint: no step has a tag\n"),
    id=(
        "one_00000000",
        (
            "error: no step is called `one_00000000`\n  steps: 2 in this pipeline\n"
            "  nothing was run\nhint: `one` selects 1 step: the digits behind a name change with "
            "its identity\n"
        ),
    ),
)
@pytest.mark.parametrize("command", [["plan"], ["apply"], ["apply", "--force"], ["graph"]])
def test_unknown_targets(project: Project, selector: str, error: str, command: list[str]) -> None:
    """Else a misspelt name builds nothing and looks like success."""
    project.pipeline(TWO_STEPS)
    refused(project, error, *command, selector)


def test_several_unknown_targets_are_reported_together(project: Project) -> None:
    """Else people correct one name a run."""
    project.pipeline(TWO_STEPS)
    done = project.run("plan", "tow", "one", "oen")
    assert done.code == 4
    assert [line for line in done.err.splitlines() if line.startswith("error")] == [
        "error: no step is called `tow`",
        "error: no step is called `oen`",
    ]


@cases(
    "args error",
    near_command=(
        ["pla"],
        "error: no command is called `pla`\nhint: did you mean `plan` or `explain` or `path`?\n",
    ),
    unknown_command=(
        ["destroy"],
        "error: no command is called `destroy`\nhint: marin-build --help\n",
    ),
    no_jobs=(
        ["apply", "-j", "0"],
        (
            "error: invalid value for `-j` / `--jobs`: 0 is not in the range x>=1\n"
            "hint: marin-build apply --help\n"
        ),
    ),
    option_without_value=(
        ["apply", "-j"],
        "error: option `-j` requires an argument\nhint: marin-build apply --help\n",
    ),
    isolation=(
        ["apply", "--isolation", "docker"],
        "error: unknown isolation `docker`\n  known: process, worker, thread\n",
    ),
    engine=(
        ["plan", "--engine", "kubernets"],
        (
            "error: unknown engine `kubernets`\n"
            "  engines: local, container, slurm, ray, tpu-vm, kubernetes\n"
            "hint: did you mean `kubernetes`?\n"
        ),
    ),
    file=(
        ["plan", "-f", "nope.py"],
        (
            "error: no pipeline file `PROJECT/nope.py`\n  nothing was run\n"
            "hint: name one with --file, or make one with `marin-build init`\n"
        ),
    ),
    profile=(
        ["plan", "--profile", "big"],
        (
            "error: unknown profile `big`\n  configuration: marin-build.toml\n"
            "  profiles:      none\nhint: declare it: [profiles.big]\n"
        ),
    ),
    scheme=(
        ["plan", "--prefix", "nope://bucket"],
        (
            "error: cannot open the prefix `nope://bucket`: Protocol not known: nope\n"
            "  nothing was run\n"
            "hint: a prefix is a folder, or a URL with gs://, s3:// or az://\n"
        ),
    ),
    remote_prefix=(
        ["apply", "--prefix", "memory://bucket/x"],
        (
            "error: no lease holds at `memory://bucket/x`: no conditional writes there\n"
            "  nothing was run\n"
            "hint: if no other run builds there, say `--no-lease`\n"
        ),
    ),
    no_target=(["run-step"], "error: no target is given\nhint: --target NAME_WITH_HASH\n"),
    pending_alone=(["run-step", "--pending"], "error: `--pending` needs `--plan DIR`\n"),
)
def test_wrong_command_lines(project: Project, args: list[str], error: str) -> None:
    """Else a slip of the finger is answered with a traceback, or with something else done."""
    project.pipeline(TWO_STEPS)
    refused(project, error, *args)
    assert not list(project.root.glob(f"{OUTPUTS}/*"))


def test_an_unknown_option(project: Project) -> None:
    """Else a misspelt option is taken for a target, or passed over."""
    project.pipeline(TWO_STEPS)
    done = project.run("apply", "--keep-goin")
    assert (done.code, done.out) == (4, "")
    assert "--keep-goin" in done.err.splitlines()[0]
    assert done.err.endswith("`--keep-going`?\n")


@pytest.mark.parametrize("args", [[], ["--help"], ["-h"]])
def test_without_a_command_there_is_help(project: Project, args: list[str]) -> None:
    """Else the first thing a newcomer reads is `error: usage`."""
    done = project.run(*args)
    assert "error" not in done.out + done.err
    assert "Commands:" in done.out + done.err


@pytest.mark.parametrize("command", ["plan", "apply", "graph", "run-step", "init"])
def test_each_command_explains_itself(project: Project, command: str) -> None:
    """Else nobody learns what an option does without reading the code."""
    done = project.run(command, "--help")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith(f"Usage: marin-build {command} ")


# Configuration


@cases(
    "text args error",
    key=(
        "jbos = 3\n",
        [],
        (
            "error: unknown setting `jbos`\n  configuration: marin-build.toml\n"
            "hint: did you mean `jobs`?\n"
        ),
    ),
    type=(
        'jobs = "3"\n',
        [],
        (
            "error: the setting `jobs` is not an integer\n"
            "  configuration: marin-build.toml\n  value:         '3'\n"
        ),
    ),
    boolean=(
        "jobs = true\n",
        [],
        (
            "error: the setting `jobs` is not an integer\n"
            "  configuration: marin-build.toml\n  value:         True\n"
        ),
    ),
    syntax=(
        "jobs = \n",
        [],
        (
            "error: cannot read the configuration `PROJECT/marin-build.toml`\n"
            "  reason: Invalid value (at line 1, column 8)\n"
        ),
    ),
    profile=(
        "[profiles.big]\njobs = 8\n",
        ["--profile", "bgi"],
        (
            "error: unknown profile `bgi`\n  configuration: marin-build.toml\n"
            "  profiles:      big\n"
            "hint: did you mean `big`?\n"
        ),
    ),
    key_in_profile=(
        "[profiles.big]\njbs = 8\n",
        ["--profile", "big"],
        (
            "error: unknown setting `jbs`\n  configuration: marin-build.toml, profile big\n"
            "hint: did you mean `jobs`?\n"
        ),
    ),
    templates=(
        'templates = "none"\n',
        ["-o", "saved"],
        "error: no templates folder `none`\n  project: PROJECT\n",
    ),
)
def test_wrong_configuration(project: Project, text: str, args: list[str], error: str) -> None:
    """Else a setting that nobody reads is believed to hold."""
    project.pipeline(TWO_STEPS)
    project.write("marin-build.toml", text)
    refused(project, error, "plan", *args)


@pytest.mark.parametrize("text", ["jobs = 0\n", "jobs = -2\n"])
def test_a_configured_number_of_jobs_is_checked_like_an_option(project: Project, text: str) -> None:
    """Else zero jobs wait for ever, or mean something else than `-j 0`."""
    project.pipeline(TWO_STEPS)
    project.write("marin-build.toml", text)
    done = project.run("apply")
    assert (done.code, done.out) == (4, "")
    assert done.err.startswith("error: the setting `jobs`")


def test_profiles_of_a_wrong_kind_are_refused(project: Project) -> None:
    """Else a slip in the configuration is reported as a bug of the program."""
    project.pipeline(TWO_STEPS)
    project.write("marin-build.toml", "[profiles]\nbig = 3\n")
    done = project.run("plan", "--profile", "big")
    assert (done.code, done.out) == (4, "")
    assert done.err.startswith("error: ")
    assert "Traceback" not in done.err


def test_configuration_in_pyproject_is_read(project: Project) -> None:
    """Else a project with a pyproject.toml needs a second file."""
    (project.root / "marin-build.toml").unlink()
    project.write("flow/steps.py", TWO_STEPS)
    project.write(
        "pyproject.toml",
        '[tool.marin-build]\npipeline = "flow/steps.py"\nprefix = "out"\n'
        '[tool.marin-build.profiles.big]\nprefix = "big"\n',
    )
    assert project.run("apply", cwd=project.root / "flow").code == 0
    built = sorted(path.name.partition("_")[0] for path in (project.root / "out").glob("*_*"))
    assert built == ["one", "two"]
    assert project.run("apply", "--profile", "big").code == 0
    assert (project.root / "big").is_dir()


@cases(
    "template error",
    value=(
        "{{ nothing | sh }}\n",
        (
            "error: the template `local/step.sh.j2` uses a value it is not given\n"
            "  reason: 'nothing' is undefined\n  nothing was written\n"
            "hint: docs/reference/templates.md lists the values\n"
        ),
    ),
    attribute=(
        "{{ action.nme | sh }}\n",
        (
            "error: the template `local/step.sh.j2` uses a value it is not given\n"
            "  reason: 'marin_build.emit.plan_directory.Action object' has no attribute 'nme'\n"
            "  nothing was written\nhint: docs/reference/templates.md lists the values\n"
        ),
    ),
    syntax=(
        "one\n{% if %}\n",
        (
            "error: the template `local/step.sh.j2` is malformed\n  line:   2\n"
            "  reason: Expected an expression, got 'end of statement block'\n"
        ),
    ),
    filter=(
        "{{ action.name | quote }}\n",
        (
            "error: the template `local/step.sh.j2` is malformed\n  line:   1\n"
            "  reason: No filter named 'quote'.\n"
        ),
    ),
    parent=('{% extends "nope.sh.j2" %}\n', "error: no template `nope.sh.j2`\n"),
)
def test_wrong_templates(project: Project, template: str, error: str) -> None:
    """Else a script with a hole in it is written, and run."""
    project.pipeline(TWO_STEPS)
    project.write("marin-build.toml", 'templates = "mine"\n')
    project.write("mine/local/step.sh.j2", template)
    refused(project, error, "plan", "-o", "saved")
    assert not (project.root / "saved").exists()


@pytest.mark.parametrize("template", ["{{ 1 / 0 }}\n", "{{ action.step.retries | sh + 1 }}\n"])
def test_a_template_that_fails_is_not_our_bug(project: Project, template: str) -> None:
    """Else people report their own template to us."""
    project.pipeline(TWO_STEPS.replace("name='one'", "name='one', retries=1"))
    project.write("marin-build.toml", 'templates = "mine"\n')
    project.write("mine/local/step.sh.j2", template)
    done = project.run("plan", "-o", "saved")
    assert (done.code, done.out) == (4, "")
    assert done.err.startswith("error: the template `local/step.sh.j2` ")
    assert "Traceback" not in done.err


# Places that cannot be used


def test_a_prefix_that_cannot_be_written(project: Project) -> None:
    """Else the first step runs for hours and then has nowhere to write."""
    project.pipeline(TWO_STEPS)
    project.write("file", "")
    refused(
        project,
        "error: cannot write to the prefix `PROJECT/file/sub`\n"
        "  reason: not a directory\n"
        "  nothing was run\n"
        "hint: give another one with --prefix\n",
        "apply", "--prefix", "file/sub",
    )  # fmt: skip


@pytest.mark.parametrize("words", ["", "-f ../pipeline.py"])
def test_a_folder_that_is_gone(project: Project, words: str) -> None:
    """Else who deleted his folder in another window is asked to report a bug."""
    project.pipeline(TWO_STEPS)
    done = project.bash("-c", f"mkdir gone; cd gone; rmdir ../gone; marin-build plan {words}")
    assert (done.code, done.out) == (4, "")
    assert done.err.startswith("error: the current folder does not exist any more\n")


def test_a_prefix_on_a_full_disk(project: Project) -> None:
    """Else a full disk is called a bug of ours. (No file may grow here, which is as good.)"""
    project.pipeline(TWO_STEPS)
    done = project.bash("-c", "ulimit -f 0; marin-build apply")
    assert (done.code, done.out) == (4, "")
    assert project.mask(done.err) == (
        "error: cannot write to the prefix `PROJECT/.marin-build/outputs`\n"
        "  reason: file too large\n"
        "  nothing was run\n"
        "hint: give another one with --prefix\n"
    )


@pytest.mark.parametrize("jobs", ["1000", "99999"])
def test_more_at_once_than_can_be(project: Project, jobs: str) -> None:
    """Else a limit of the machine is called a bug of ours, where few targets need no limit."""
    project.pipeline(
        "from marin_build import command\n"
        "targets = [command('touch {output}/x', name=f's{i}') for i in range(60)]\n"
    )
    done = project.bash("-c", f"ulimit -n 64; marin-build apply -j {jobs}")
    assert (done.code, done.out) == (4, "")
    assert done.err == (
        "error: cannot run 60 steps at once\n"
        "  reason: too many open files\n"
        "  nothing was run\n"
        "hint: give a smaller -j, or raise the limits that `ulimit -a` shows\n"
    )
    assert project.bash("-c", f"ulimit -n 64; marin-build apply s1 -j {jobs}").code == 0


def test_a_plan_is_not_written_over_other_files(project: Project) -> None:
    """Else `-o .` buries a project under a plan."""
    project.pipeline(TWO_STEPS)
    project.write("notes/todo.txt", "important")
    refused(
        project,
        "error: the folder `notes` is not empty and holds no plan\n"
        "  nothing was written\n"
        "hint: name another folder with -o\n",
        "plan", "-o", "notes",
    )  # fmt: skip
    assert project.tree("notes") == {"todo.txt": b"important"}
    project.write("file", "")
    done = project.run("plan", "-o", "file/sub")
    assert (done.code, done.out) == (4, "")
    assert done.err == "error: cannot write the plan to `file/sub`: Not a directory\n"


# Plan directories


def _break_edit(folder: Path) -> None:
    (folder / "run.sh").write_text((folder / "run.sh").read_text() + "# innocent\n")


def _break_delete(folder: Path) -> None:
    (folder / "environment.sh").unlink()


def _break_version(folder: Path) -> None:
    plan = folder / "plan.json"
    plan.write_text(plan.read_text().replace('"schema_version": 1', '"schema_version": 2'))


def _break_keys(folder: Path) -> None:
    plan = folder / "plan.json"
    plan.write_text(plan.read_text().replace('"engine":', '"speed": 9, "engine":'))


def _break_value(folder: Path) -> None:
    plan = folder / "plan.json"
    plan.write_text(plan.read_text().replace('"parameters": {}', '"parameters": {"a": "b"}'))


def _break_json(folder: Path) -> None:
    plan = folder / "plan.json"
    plan.write_text(plan.read_text()[:100])


EDITED = (
    "error: the plan in `saved` was edited after it was made\n"
    "  differs: {}\n"
    "  nothing was run\n"
    "hint: make the plan again; to change what it emits, override a template\n"
)


@cases(
    "damage error",
    edited=(_break_edit, EDITED.format("run.sh")),
    deleted=(_break_delete, EDITED.format("environment.sh")),
    extra_key=(_break_keys, EDITED.format("plan.json")),
    changed_value=(_break_value, EDITED.format("plan.json")),
    version=(
        _break_version,
        (
            "error: the plan `saved/plan.json` has the schema version 2\n"
            "  known here: 1\n  nothing was run\n"
            "hint: make the plan again with this version of marin-build\n"
        ),
    ),
    not_json=(
        _break_json,
        "error: the plan `saved/plan.json` cannot be read\n  reason: WHY\n  nothing was run\n",
    ),
)
def test_a_damaged_plan_directory(
    project: Project, damage: Callable[[Path], None], error: str
) -> None:
    """Else what is run is not what was reviewed."""
    project.pipeline(TWO_STEPS)
    project.run("plan", "-o", "saved")
    damage(project.root / "saved")
    for args in (["apply", "saved"], ["run-step", "--plan", "saved", "--pending"]):
        done = project.run(*args)
        why = done.err.partition("reason: ")[2].partition("\n")[0]
        assert done.err == error.replace("WHY", why)
        assert (done.code, done.out) == (5, "")
    assert not (project.root / OUTPUTS).exists()


# Damage in the store


def test_a_status_file_with_garbage(built: Project) -> None:
    """Else a half-written status is taken for success."""
    output = built.output_of("two")
    for content in (b"SUCC", b"\xff\xfe", b'{"status": "DONE"}'):
        (output / ".executor_status").write_bytes(content)
        _blocked(
            built,
            f"its status is not readable: PROJECT/{OUTPUTS}/two_HASH/.executor_status "
            "(look at the output; write FAILED into the file to build it again)",
        )
    (output / ".executor_status").write_text("FAILED")  # the hint works
    assert built.run("apply").code == 0
    assert built.status_of("two") == "SUCCESS"


def test_a_status_of_marin_is_understood(built: Project) -> None:
    """Else outputs of Marin's own executor are built again."""
    output = built.output_of("two")
    (output / ".executor_info").unlink()
    for content in (
        "SUCCESS\n",
        (
            '{"date": "x", "status": "RUNNING", "message": null}\n'
            '{"date": "y", "status": "SUCCESS", "message": null}\n'
        ),
    ):
        (output / ".executor_status").write_text(content)
        assert built.plan() == {"two": "reuse"}


@pytest.mark.parametrize(
    "content",
    [
        "not json",
        "[]",
        '{"worker_id": "a"}',
        '{"worker_id": "a", "timestamp": "x"}',
        '{"worker_id": "a nonce=1 pid=x", "timestamp": 1}',
        '{"worker_id": "a nonce=1 attempt=", "timestamp": 1}',
    ],
)
def test_a_lock_that_cannot_be_read(built: Project, content: str) -> None:
    """Else a target that somebody may be building is built a second time."""
    output = built.output_of("two")
    (output / ".executor_status").write_text("RUNNING")
    (output / ".executor_status.lock").write_text(content)
    _blocked(
        built,
        f"its lease is not readable: PROJECT/{OUTPUTS}/two_HASH/.executor_status.lock "
        "(make sure that no run builds it, then delete the file)",
    )
    (output / ".executor_status.lock").unlink()  # the hint works
    assert built.run("apply").code == 0


@pytest.mark.parametrize("keep", [0, 400])
def test_a_truncated_record(built: Project, keep: int) -> None:
    """Else an output of unknown origin is reused."""
    output = built.output_of("two")
    record = output / ".executor_info"
    record.write_bytes(record.read_bytes()[:keep])
    _blocked(
        built,
        f"its record is not readable: PROJECT/{OUTPUTS}/two_HASH/.executor_info (delete it to "
        "use the output without its history, or build it again with --force)",
        forced=0,
    )
    assert json.loads(record.read_text())["attempt"] == 2, "the second hint works"
    record.unlink()  # and so does the first
    assert built.run("plan", "--detailed-exitcode").code == 0


def test_one_damaged_target_costs_only_what_needs_it(project: Project) -> None:
    """Else the plan of a thousand targets is lost with one file."""
    project.pipeline(
        TWO_STEPS + "def pipeline(n: int = 1):\n"
        "    use = command('cat {two}/y; echo {n} > {output}/z', name='use',\n"
        "                  deps={'two': targets[0]}, params={'n': n})\n"
        "    return use, command('echo {n} > {output}/z', name='other', params={'n': n})\n"
    )
    assert project.run("apply", "-q").code == 0
    changed = ("--set", "n=2")
    assert project.run("plan", "-o", "saved", *changed).code == 0
    record = project.output_of("two") / ".executor_info"
    record.write_text("{")
    assert project.run("apply").code == 0, "what is pruned is not looked at"
    kinds = {"two": "blocked", "use": "blocked", "other": "run"}
    assert project.plan(*changed) == kinds
    done = project.run("apply", "saved", "--json")
    assert (done.code, done.names_of("step_succeeded")) == (1, ["other"])
    assert sorted(done.names_of("step_blocked")) == ["two", "use"]
    script = project.bash("saved/run.sh")
    assert script.code == 5, script
    assert "its record is not readable" in script.err
    states = json.loads(project.run("status", "--json").out)["summary"]
    assert (states["built"], states["unreadable"]) == (4, 0), "no status needs a record"
    record.unlink()
    assert project.bash("saved/run.sh").code == 0
    assert project.run("apply", *changed).code == 0


def test_a_truncated_attempt_does_not_block_for_ever(built: Project) -> None:
    """Else a target that failed can never be built again, for how it failed is not known."""
    output = built.output_of("two")
    (output / ".executor_status").write_text("FAILED")
    (output / ".logs/attempt-0001.json").write_text("{")
    planned = built.mask(built.run("plan").out).splitlines()[0]
    attempt = f"PROJECT/{OUTPUTS}/two_HASH/.logs/attempt-0001.json"
    assert planned.endswith(f"failed before (attempt 1): its document is not readable: {attempt}")
    assert built.run("apply").code == 0


def test_a_record_of_another_target(built: Project) -> None:
    """Else a folder that was copied to a wrong name is reused as what it is not."""
    one, two = built.output_of("one"), built.output_of("two")
    shutil.copy(one / ".executor_info", two / ".executor_info")
    recorded = json.loads((one / ".executor_info").read_text())["fingerprint"]
    declared = built.run("plan").err.partition("declared: ")[2].partition("\n")[0]
    before = built.tree(OUTPUTS)
    error = (
        f"error: `PROJECT/{OUTPUTS}/two_HASH` holds another target\n"
        f"  recorded: {recorded}\n"
        f"  declared: {declared}\n"
        "  nothing was run\n"
        f"hint: two identities share the digits `{declared[:8]}`: rename the step\n"
    )
    for args in (["plan"], ["apply"], ["plan", "-o", "saved"]):
        done: Done = built.run(*args)
        assert (done.code, done.out, built.mask(done.err)) == (5, "", error)
    assert built.tree(OUTPUTS) == before


def _blocked(project: Project, reason: str, forced: int = 1) -> None:
    """Check that `two` is blocked for this reason, and that nothing is changed for it.

    `forced` is the exit code where it is built with --force.
    """
    before = project.tree(OUTPUTS)
    planned = project.run("plan")
    assert planned.code == 0, planned.err
    assert project.mask(planned.out).splitlines()[0] == f"  x blocked  two_HASH  {reason}"
    assert project.run("plan", "--detailed-exitcode").code == 2
    applied = project.run("apply")
    assert (applied.code, applied.out) == (1, "")
    assert project.mask(applied.err) == f"error: `two` is blocked: {reason}\n"
    assert project.tree(OUTPUTS) == before
    assert project.run("apply", "--force", "two").code == forced
    assert forced == 0 or project.tree(OUTPUTS) == before
