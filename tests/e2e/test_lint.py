"""`lint` finds probable mistakes in a pipeline before anything runs, without its store."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

import marin_build

from .support import Project, cases, copy_examples, tree

if TYPE_CHECKING:
    from pathlib import Path

PIPELINE = """\
from pathlib import Path

from marin_build import ResourceConfig, command, step


@step
def corpus(output: Path, seed: int = 0) -> None:
    (output / "text.txt").write_text("to be")


@step(resources=ResourceConfig.with_gpu("H100", image="registry.example/lm:1"))
def train(output: Path, text: Path, config: str) -> str:
    return (text / "text.txt").read_text() + config


def pipeline():
    text = corpus()
    model = train(text=text, config="train.toml")
    return [
        command("wc {model}/x > {output}/x", name=f"score/{n}", deps={"model": model, "text": text})
        for n in (1, 2)
    ]
"""
CLEAN = """\
from marin_build import command


def pipeline():
    return command("date > {output}/x", name="clean")
"""


@pytest.fixture
def odd(project: Project) -> Project:
    """A pipeline with a mistake of most kinds."""
    project.write("train.toml", "")
    project.write("marin-build.toml", "[slurm]\nmax_jobs = 3\n")
    project.pipeline(PIPELINE)
    return project


def kinds(document: Any) -> list[tuple[str, list[str]]]:
    return [(each["kind"], each["steps"]) for each in document["findings"]]


def test_each_mistake_is_found_with_its_steps_and_its_line(odd: Project) -> None:
    """Else it costs days of accelerators before anyone sees it."""
    before = tree(odd.root)
    done = odd.run("lint", "--json")
    assert done.code == 1
    assert done.document["schema_version"] == 1
    assert done.document["steps"] == 4
    assert [(*kind, each["line"]) for kind, each in
            zip(kinds(done.document), done.document["findings"], strict=True)] == [
        ("unused-attr", ["corpus"], 6),
        ("undeclared-file", ["train"], 18),
        ("refused-by-engine", ["train"], 18),
        ("unused-dep", ["score/1", "score/2"], 20),
        ("twins", ["score/1", "score/2"], 20),
    ]  # fmt: skip
    first = done.document["findings"][0]
    assert first["file"] == "pipeline.py"
    assert all(first[key] for key in ("what", "why", "way_out"))
    assert tree(odd.root) == before, "a check leaves nothing"


def test_people_read_what_is_wrong_why_it_matters_and_the_way_out(odd: Project) -> None:
    done = odd.run("lint", "corpus", "train")
    assert (done.code, done.err) == (1, "")
    assert done.out == (
        "pipeline.py:6: unused-attr: `corpus`: the function never reads the parameter `seed`, an "
        "attribute\n"
        "  why:  another value builds the step again, and makes nothing else of it\n"
        "  hint: read it, or leave it out; a name like `_seed`, or `del seed`, says that it is not "
        "used on purpose\n"
        'pipeline.py:18: undeclared-file: `train`: has the attribute `config="train.toml"`, a file '
        "that is not a declared input\n"
        "  why:  changes to it will not rebuild the step\n"
        '  hint: give `source("train.toml")` in its place\n'
        "pipeline.py:18: refused-by-engine: `train`: the engine `slurm` refuses it: it names an "
        "image, and jobs run in none here\n"
        "  why:  nothing of a plan with it is built there\n"
        "  hint: leave the image out, or start the container in `slurm.setup`\n"
        "3 findings in 2 steps\n"
    )


def test_kinds_are_silenced_by_option_and_by_configuration(odd: Project) -> None:
    """Else one rule that a project does not want keeps the check out of its CI."""
    odd.write("marin-build.toml", 'lint_ignore = ["twins", "unused-dep", "undeclared-file"]\n')
    done = odd.run("lint", "--ignore", "unused-attr")
    ignored = "1 unused-attr, 1 undeclared-file, 1 unused-dep, 1 twins"
    assert (done.code, done.out) == (0, f"no findings in 4 steps (ignored: {ignored})\n")
    assert odd.run("lint", "score/*", "--ignore", "unsteady").code == 0
    assert odd.run("lint", "corpus", "--ignore", "unsteady").code == 1


@cases(
    "words configuration said",
    option=(["--ignore", "twin"], "", "did you mean `twins`"),
    setting=([], 'lint_ignore = ["twin"]\n', "did you mean `twins`"),
    status=(["status:failed"], "", "`status:failed` cannot be answered here: no statuses are read"),
    drifted=(["drifted"], "", "`drifted` cannot be answered here"),
    revision=(["changed-since:main"], "", "`changed-since:main` cannot be answered here"),
    nothing=(["trian"], "", "did you mean `train`?"),
    engine=(["--engine", "slrum"], "", "unknown engine `slrum`"),
)
def test_what_cannot_be_asked_is_refused(
    odd: Project, words: list[str], configuration: str, said: str
) -> None:
    odd.write("marin-build.toml", configuration)
    done = odd.run("lint", *words)
    assert (done.code, done.out) == (4, "")
    assert said in done.err


def test_only_the_named_engine_is_asked(odd: Project) -> None:
    """A table for a cluster that this pipeline does not go to must not fail the check."""
    ask = ("lint", "train", "--ignore", "undeclared-file", "--ignore", "unsteady", "--json")
    assert kinds(odd.run(*ask).document) == [("refused-by-engine", ["train"])]
    assert odd.run(*ask, "--engine", "local").code == 0
    (one,) = odd.run(*ask, "--engine", "gpu=ray").document["findings"]
    assert one["what"].startswith("the engine `ray` refuses it")
    corpus = ("lint", "corpus", "--ignore", "unused-attr", "--ignore", "unsteady", "--json")
    (two,) = odd.run(*corpus, "--engine", "kubernetes").document["findings"]
    assert two["what"] == "the engine `kubernetes` refuses it: it has no image to run in"


def test_annotations_name_files_from_the_top_of_the_checkout(odd: Project) -> None:
    """Else GitHub shows them nowhere."""
    top = str(odd.root.parent)
    done = odd.run("lint", "corpus", "--annotate", env={"GITHUB_WORKSPACE": top})
    (line,) = done.err.splitlines()
    assert line.startswith(
        "::warning file=project/pipeline.py,line=6,title=unused-attr%3A corpus::"
    )
    assert "%0Awhy: another value" in line
    assert done.out.endswith("1 finding in 1 step\n")


def test_neither_outputs_nor_inputs_are_read(project: Project) -> None:
    """A runner of CI has no credentials for the bucket, and none of the data."""
    project.pipeline("""\
from marin_build import command, source


def pipeline():
    return [
        command("cat {raw} > {output}/x", name="far", inputs={"raw": source("gs://no-bucket/raw")}),
        command("cat {raw} > {output}/y", name="gone", inputs={"raw": source("gone.txt")}),
        command("cat {raw} > {output}/z", name="pinned", inputs={"raw": source("gone.txt")},
                expected_fingerprint="0" * 64),
    ]
""")
    env = {"STORAGE_EMULATOR_HOST": "http://127.0.0.1:9"}  # nothing listens there
    done = project.run("lint", "--prefix", "gs://no-bucket/outputs", env=env)
    assert (done.code, done.out, done.err) == (0, "no findings in 3 steps\n", "")


def test_what_is_another_step_each_time_is_found(project: Project) -> None:
    """Else it is built each time, and a saved plan of it cannot be replayed."""
    project.pipeline("""\
import os

from marin_build import command


def pipeline():
    own = command("echo {pid} > {output}/x", name="own", params={"pid": os.getpid()})
    needs = command("cat {own}/x > {output}/y", name="needs", deps={"own": own})
    return [needs, command("date > {output}/x", name=f"named/p{os.getpid()}"),
            command("true {n} > {output}/x", name="steady", params={"n": 1})]
""")
    document = project.run("lint", "--json").document
    found = kinds(document)
    assert {kind for kind, _ in found} == {"unsteady"}
    assert sorted(name.partition("/")[0] for _, (name,) in found) == ["named", "own"]
    assert all(each["file"] == "pipeline.py" and each["line"] for each in document["findings"])
    assert project.run("lint", "--ignore", "unsteady").code == 0
    assert project.run("lint", "steady", "--ignore", "unsteady").code == 0


def test_steps_that_follow_from_a_result_are_said_to_be_left_out(project: Project) -> None:
    """Their expansion would read what was built, and there is no store."""
    project.pipeline("""\
from pathlib import Path

from marin_build import expand, step


@step
def split(output: Path) -> int:
    return 2


def pipeline():
    found = split()

    @expand(found)
    def shards(value: int):
        raise RuntimeError("called")

    return [found, shards]
""")
    assert project.run("apply").code != 0, "the expansion is called"
    done = project.run("lint")
    said = "not checked: the steps of `shards`, which follow from what is built"
    assert (done.code, done.out) == (0, f"no findings in 1 step; {said}\n")
    assert project.run("lint", "--json").document["expansions_not_checked"] == ["shards"]


def test_a_pipeline_that_cannot_be_loaded_is_no_finding(project: Project) -> None:
    """All that is wrong is said at once, as by `plan`."""
    project.pipeline("""\
from marin_build import command

command("true", name="a b")
command("true {x}", name="c")
""")
    done = project.run("lint")
    assert (done.code, done.out) == (4, "")
    assert "`a b`" in done.err
    assert "nothing is called `{x}`" in done.err


def test_a_function_that_would_run_with_another_value_is_refused(project: Project) -> None:
    project.pipeline("""\
from marin_build import StepSpec

steps = []
for n in range(2):
    steps.append(StepSpec(name=f"s{n}", fn=lambda output: n))
targets = steps
""")
    done = project.run("lint")
    assert done.code == 4
    assert "would run with another `n`" in done.err


def test_hostile_texts_reach_no_terminal_and_no_annotation(project: Project) -> None:
    """A name of a file must not be able to write a workflow command of its own."""
    name = "a\x1b[31m\n::error::b,c:d%.py"
    project.write(
        name,
        """\
from pathlib import Path

from marin_build import step


@step
def odd(output: Path, x: str, \u03c0: int = 3) -> str:
    return x


targets = [odd("gs://bucket/a\\x1b[2J\\n::error::b")]
""",
    )
    done = project.run("lint", "-f", name, "--annotate", "--ignore", "unsteady")
    assert done.code == 1
    assert "\x1b" not in done.out + done.err
    assert not any(line.startswith("::error") for line in done.err.splitlines())
    assert len(done.err.splitlines()) == 2
    assert "%3A%3Aerror%3A%3Ab%2Cc%3Ad%25.py" in done.err
    assert not any(line.startswith("::") for line in done.out.splitlines())
    json.loads(project.run("lint", "-f", name, "--json", "--ignore", "unsteady").out)


def test_a_program_asks_for_the_same(odd: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(odd.root)
    linted = marin_build.Project.open("pipeline.py").lint("corpus", ignore=["unsteady"])
    assert [each.kind for each in linted.findings] == ["unused-attr"]
    assert linted.findings[0].place == (os.path.realpath(odd.root / "pipeline.py"), 6)


@pytest.mark.parametrize(
    ("folder", "words"),
    [
        ("stdlib_lm", []),
        ("multislice", []),
        *(("five_engines", ["--profile", name]) for name in ("slurm", "ray", "kubernetes")),
        *(("marin", ["-f", name]) for name in ("data_ferry.py", "fan_out.py")),
    ],
)
def test_the_examples_have_no_findings(folder: str, words: list[str], tmp_path: Path) -> None:
    """Else the first run of lint teaches newcomers to ignore it."""
    copy_examples(tmp_path)
    root, home = tmp_path / "examples" / folder, tmp_path / "home"
    home.mkdir()
    if not (root / "marin-build.toml").exists():
        (root / "marin-build.toml").touch()
    done = Project(root, home).run("lint", *words)
    assert (done.code, done.err) == (0, ""), done.out


def test_a_clean_pipeline_has_none(project: Project) -> None:
    project.pipeline(CLEAN)
    assert project.run("lint").out == "no findings in 1 step\n"
    assert project.run("lint", "--json").document["findings"] == []
