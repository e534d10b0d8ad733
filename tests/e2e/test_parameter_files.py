"""Parameters from a file: what they build, and what a plan that was made from them replays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .support import DIAMOND

if TYPE_CHECKING:
    from .support import Project

PROGRAM = """\
import argparse
from marin_build import StepRunner, StepSpec

def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--train.lr", dest="lr", type=float, default=0.1)
    parser.add_argument("--name", default="x")
    args = parser.parse_args()
    attrs = {"lr": args.lr, "name": args.name}
    StepRunner().run([StepSpec(name="train", hash_attrs=attrs, fn=train)])

def train(output):
    open(f"{output}/a", "w").close()

if __name__ == "__main__":
    main()
"""


@pytest.fixture
def built(project: Project) -> Project:
    """A pipeline of which a file of parameters is configured; all built."""
    project.pipeline(DIAMOND)
    project.write("params.toml", "lines = 5\nleft = 2\n")
    project.write("marin-build.toml", 'params = "params.toml"\n')
    assert project.run("apply", "-q").code == 0
    return project


def _to_build(project: Project, *args: str) -> list[str]:
    done = project.run("plan", "--json", *args)
    assert done.code == 0, done.err
    return [each["name"] for each in done.document["decisions"] if each["decision"] == "run"]


def test_a_value_counts_where_it_is_used(built: Project) -> None:
    """Else one file of parameters for all makes every change rebuild everything."""
    assert _to_build(built) == []
    assert _to_build(built, "--set", "lines=5", "--set", "left=2") == []
    built.write("params.toml", "lines = 5\nleft = 2\n# a remark\nright = 2\n")
    assert _to_build(built) == []  # the default, said
    built.write("params.toml", "lines = 5\nleft = 3\n")
    assert _to_build(built) == ["left", "report"]
    assert _to_build(built, "--set", "left=2") == []
    built.write("more.json", '{"left": 2, "right": 9}')
    assert _to_build(built, "--params", "more.json") == ["right", "report"]


def test_a_saved_plan_holds_the_values(built: Project) -> None:
    """Else what was reviewed is not what runs."""
    built.write("params.toml", "lines = 6\n")
    assert built.run("plan", "-o", "plan").code == 0
    built.write("params.toml", "lines = 7\nright = 7\nnonsense = 1\n")
    assert built.run("apply", "plan", "--params", "params.toml").code == 4
    done = built.run("apply", "plan", "-q")
    assert done.code == 0, done.err
    built.write("params.toml", "lines = 6\n")
    assert _to_build(built) == []


def test_a_script_of_a_plan_reads_no_file(built: Project) -> None:
    built.write("params.toml", "lines = 8\n")
    assert built.run("plan", "-o", "plan").code == 0
    built.write("params.toml", "lines = ")
    done = built.bash("plan/run.sh")
    assert done.code == 0, done.err
    built.write("params.toml", "lines = 8\n")
    assert _to_build(built) == []


def test_a_bad_file_stops_the_command_before_anything_runs(built: Project) -> None:
    built.write("params.toml", "lines = 1\nleft = = 2\n")
    done = built.run("apply")
    assert done.code == 4
    assert "cannot read the file of parameters `params.toml`" in done.err
    assert "at line 2, column 8" in done.err


def test_a_program_gets_options(project: Project) -> None:
    """A file that runs its own steps knows no parameters but those of its command line."""
    project.pipeline(PROGRAM)
    project.write("p.yaml", "train: {lr: 0.5}\nname: y\n")
    done = project.run("plan", "--params", "p.yaml", "--json")
    assert done.code == 0, done.err
    (decision,) = done.document["decisions"]
    assert decision["payload"]["attrs"] == {"lr": 0.5, "name": "y"}
    done = project.run("plan", "--params", "p.yaml", "--set", "train.lr=0.25", "--json")
    assert done.document["decisions"][0]["payload"]["attrs"]["lr"] == 0.25
    done = project.run("apply", "--params", "p.yaml")
    assert done.code == 0, done.err


def test_a_secret_in_a_file_is_in_no_plan(project: Project) -> None:
    project.pipeline(DIAMOND.replace("lines: int = 3,", "lines: int = 3, train: dict = {},"))
    secret = "hf_" + "Ab1" * 12
    project.write("p.toml", f'[train]\ntoken = "{secret}"\n')
    done = project.run("plan", "--params", "p.toml", "-o", "plan")
    assert done.code == 4
    assert "`--set train.token=...` holds" in done.err
    shown = project.run("plan", "--params", "p.toml", "--json")
    assert secret not in done.err + done.out + shown.out + shown.err
