"""An experiment of each era, built, moved and planned again: nothing is built anew.

A user who moves loses what took weeks if a path or a decision changes.
"""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from .support import Project

WORK = """\
import os
from dataclasses import dataclass


@dataclass(frozen=True)
class Model:
    seq_len: int
    width: int = 64


@dataclass(frozen=True)
class Config:
    out: str
    data: object = None
    model: Model | None = None
    vocab: int = 0


def write(config):
    names = [each for each in [config.data] if isinstance(each, str)]
    names += config.data if isinstance(config.data, list) else []
    said = " ".join("/".join(name.split("/")[-2:]) for name in names)
    with open(os.path.join(config.out, "data.txt"), "w") as stream:
        stream.write(f"{said} {config.model} {config.vocab}")
"""
EXECUTOR = """\
from marin.execution.executor import (
    ExecutorStep, executor_main, output_path_of, this_output_path, versioned)

from work import Config, Model, write


def part(name):
    return ExecutorStep(
        name=f"parts/{name}",
        fn=write,
        config=Config(this_output_path(), vocab=versioned(len(name))),
    )


parts = [part("a"), part("bc")]
tokens = ExecutorStep(  # the words
    name="tokens",
    fn=write,
    config=Config(this_output_path(), [output_path_of(each) for each in parts]),
)
train = ExecutorStep(
    "train", write,
    Config(this_output_path(), output_path_of(tokens, "data.txt"), Model(versioned(4096), 32)))

if __name__ == "__main__":
    executor_main(steps=[train], description="a test")
"""
SPECS = """\
import os

from fray.types import ResourceConfig
from marin.execution.step_runner import StepRunner
from marin.execution.step_spec import StepSpec

from work import Config, write


def words(name):
    return StepSpec(
        name=f"words/{name}",
        hash_attrs={"name": name},
        fn=lambda output_path: write(Config(output_path, vocab=len(name))),
        resources=ResourceConfig(cpu=1, ram="1g"),
    )


def main():
    both = [words("a"), words("bc")]
    joined = StepSpec(
        name="joined",
        deps=both,
        fn=lambda output_path: write(Config(output_path, [each.output_path for each in both])),
        override_output_path="runs/joined",
    )
    steps = [joined]
    StepRunner().run(steps)
    print("built", len(steps))


if __name__ == "__main__":
    main()
"""
LAZY = """\
from marin.execution.artifact import Artifact
from marin.execution.build_context import resolve_version
from marin.execution.lazy import ArtifactStep
from marin.experiment.cli import experiment_main

from work import Config, Model, write


class Text(Artifact):
    letters: int = 0


def put(config):
    write(config)
    return Text(letters=config.vocab)


def text(word):
    return ArtifactStep(
        name=f"texts/{word}", version="2026.11.01", artifact_type=Text, run=put,
        build_config=lambda ctx: Config(ctx.output_path, vocab=3),
    )


def build():
    one, two = text("one"), text("two")
    model = ArtifactStep(
        name="model",
        version=resolve_version("model", None),
        artifact_type=Text,
        run=put,
        build_config=lambda ctx: Config(
            out=ctx.output_path,
            data=f"{ctx.artifact_path(one)}/data.txt",
            model=Model(4096),
        ),
        deps=(one,),
    )
    return [model, two]


if __name__ == "__main__":
    experiment_main(build)()
"""
FILE, NATIVE = "experiment.py", "experiment_native.py"


@pytest.fixture
def marin(project: Project) -> Project:
    project.write("marin-build.toml", 'prefix = "bucket"\nmarin_aliases = true\n')
    project.write("work.py", WORK)
    return project


def _line(text: str) -> int:
    """Return the line of EXECUTOR in which a text is."""
    return EXECUTOR[: EXECUTOR.index(text)].count("\n") + 1


def _outputs(folder: Path) -> dict[str, str]:
    files = folder.rglob("data.txt")
    return {str(file.relative_to(folder)): file.read_text() for file in files}


def _as_marin_left_it(folder: Path) -> None:
    """Leave of records what Marin's have."""
    for output in [file.parent for file in folder.rglob(".executor_status")]:
        for path in output.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            elif path.name == ".executor_info":
                record = json.loads(path.read_text())
                keys = ("name", "config", "version", "dependencies", "output_path")
                path.write_text(json.dumps({key: record[key] for key in keys}))


@pytest.mark.parametrize(
    ("text", "words", "targets", "moved"),
    [
        (EXECUTOR, (), 4, ["tokens", "train", "executor_main"]),
        (SPECS, (), 3, ["StepSpec", "StepRunner"]),
        (LAZY, ("--set", "version=2026.11.30"), 3, ["model", "experiment_main"]),
    ],
    ids=["executor", "specs", "lazy"],
)
def test_what_was_built_is_reused_and_the_new_form_builds_the_same(
    marin: Project, text: str, words: tuple[str, ...], targets: int, moved: list[str]
) -> None:
    marin.write(FILE, text)
    built = marin.run("apply", "-f", FILE, *words)
    assert built.code == 0, built.err
    done = marin.run("migrate", FILE, "--write", *words)
    assert done.code == 0, done.out + done.err
    assert f"{targets} of {targets} targets keep their output path" in done.out
    told = [line for line in done.out.splitlines() if line.startswith("  moved")]
    assert all(any(name in line for line in told) for name in moved), done.out
    assert not list(marin.root.glob("marin_build_trial_*"))
    planned = marin.run("plan", "-f", NATIVE, *words)
    assert "nothing to do" in planned.out, planned.out + planned.err
    again = marin.run("apply", "-f", NATIVE, "--prefix", "fresh", *words)
    assert again.code == 0, again.err
    assert _outputs(marin.root / "fresh") == _outputs(marin.root / "bucket")


def test_a_changed_recipe_is_not_reused_in_silence(marin: Project) -> None:
    """What Marin built has no record of ours, and its folder is pinned: only the pin can tell."""
    marin.write(FILE, EXECUTOR)
    assert marin.run("apply", "-f", FILE).code == 0
    _as_marin_left_it(marin.root / "bucket")
    done = marin.run("migrate", f"{FILE}:train", "--write")
    assert done.code == 0, done.out + done.err
    assert "drift" not in done.out
    assert "nothing to do" in marin.run("plan", "-f", NATIVE).out
    native = (marin.root / NATIVE).read_text()
    marin.write(NATIVE, native.replace("4096", "8192"))
    refused = marin.run("plan", "-f", NATIVE)
    assert refused.code != 0
    assert "`train` has the fingerprint" in refused.err
    pinned = [line for line in native.splitlines() if "path=" in line or "fingerprint=" in line]
    free = native.replace("4096", "8192")
    for line in pinned[-2:]:
        free = free.replace(f"{line}\n", "")
    marin.write(NATIVE, free)
    decisions = marin.run("plan", "-f", NATIVE, "--json", "**").document["decisions"]
    assert [each["name"] for each in decisions if each["decision"] == "run"] == ["train"]


def test_one_step_at_a_time(marin: Project) -> None:
    """The rest still runs through the aliases; what is needed by the rest stays with it."""
    marin.write(FILE, EXECUTOR)
    done = marin.run("migrate", "-f", FILE, "--write", "--step", "train")
    assert done.code == 0, done.out + done.err
    tokens, train = (_line(text) for text in ("tokens = ", '"train", write'))
    left = f'left   experiment.py:{tokens}  ExecutorStep "tokens"'
    assert f"{left}: it was not asked for" in done.out
    text = (marin.root / NATIVE).read_text()
    assert "tokens = ExecutorStep(  # the words\n" in text
    assert "train = make_train(tokens=tokens, seq_len=4096)" in text
    alone = marin.run("migrate", FILE, "--step", "tokens")
    assert f"{left}: line {train + 1} needs it as the ExecutorStep that it is" in alone.out


def test_nothing_is_written_if_something_would_be_built_anew(marin: Project) -> None:
    """A file whose steps look at its own name is another pipeline under another name."""
    own = 'os.path.basename(__file__).removesuffix("_native.py")'
    marin.write(FILE, SPECS.replace('{"name": name}', f'{{"name": name, "file": {own}}}'))
    assert marin.run("apply", "-f", FILE).code == 0
    done = marin.run("migrate", FILE, "--write")
    assert done.code == 1
    assert "differs" in done.out
    assert "is gone" in done.out
    assert "nothing was written\n" in done.out
    assert not (marin.root / NATIVE).exists()


def test_a_text_that_is_nowhere_else_is_not_written_over(marin: Project) -> None:
    marin.write(FILE, SPECS)
    refused = marin.run("migrate", FILE, "--write", "--in-place")
    assert refused.code == 4
    assert "is not committed in git" in refused.err
    assert (marin.root / FILE).read_text() == SPECS
    for words in (["init", "-q"], ["add", FILE], ["commit", "-qm", "one"]):
        who = ["-c", "user.name=a", "-c", "user.email=a@b"]
        assert marin.execute(["git", *who, *words]).code == 0
    done = marin.run("migrate", FILE, "--write", "--in-place")
    assert done.code == 0, done.err
    assert "from marin_build import StepRunner, StepSpec" in (marin.root / FILE).read_text()
    marin.write(NATIVE, "mine")
    assert "is there already" in marin.run("migrate", FILE, "--write").err
    nothing = marin.run("migrate", FILE)
    assert nothing.code == 0
    assert "there is nothing that could be moved" in nothing.out


def test_a_file_that_cannot_be_loaded_is_said_to_be_so(marin: Project) -> None:
    marin.write(FILE, "import nothing_like_that\n")
    done = marin.run("migrate", FILE)
    assert done.code == 4
    assert "cannot be loaded as it is" in done.err
    assert "no file `other.py`" in marin.run("migrate", "other.py").err
