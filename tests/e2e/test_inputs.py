"""What a step reads is what was declared and built: data, code, and what another run left."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .support import OUTPUTS, cases

if TYPE_CHECKING:
    from .support import Gate, Project

CHAIN = """\
import os
import subprocess
from pathlib import Path
from marin_build import step

def do(name, *folders):
    subprocess.run(["bash", "-c", os.environ.get(name, ""), "bash", *map(str, folders)])

@step
def corpus(output: Path) -> None:
    (output / "d").mkdir()
    (output / "d" / "text").write_text("3\\n1\\n2\\n")

@step
def clean(output: Path, corpus: Path) -> None:
    (output / "text").write_text((corpus / "d" / "text").read_text())
    do("CLEAN", corpus)
    if "FAIL" in os.environ:
        raise ValueError("the text is odd")

@step
def train(output: Path, corpus: Path, clean: Path, x: int = 1) -> None:
    (output / "model").write_text("on " + (corpus / "d" / "text").read_text())

text = corpus()
cleaned = clean(corpus=text)
model = train(corpus=text, clean=cleaned)
"""
WITH_X2 = CHAIN.replace("x: int = 1", "x: int = 2")


@cases(
    "harm",
    deleted=(lambda path: path.unlink(),),
    truncated=(lambda path: path.write_text(""),),
)
def test_lost_data_is_built_again_by_the_apply_that_reads_it(
    project: Project, harm: object
) -> None:
    """Else a model is trained on 0 bytes, and its record says on the corpus."""
    project.pipeline(CHAIN)
    assert project.run("apply").code == 0
    harm(project.output_of("corpus") / "d" / "text")  # type: ignore[operator]
    assert project.run("apply").code == 0, "nothing reads it"
    project.pipeline(WITH_X2)
    done = project.run("plan", "--json")
    kinds = {d["name"]: d["reasons"][0]["kind"] for d in done.document["decisions"]}
    assert kinds["corpus"] == "output_vanished"
    assert project.run("plan", "-o", "saved").code == 0
    assert project.bash("./saved/run.sh").code == 0
    models = [path.read_text() for path in project.root.glob(f"{OUTPUTS}/train_*/model")]
    assert models == ["on 3\n1\n2\n"] * 2


def test_data_that_is_lost_while_the_run_runs(project: Project) -> None:
    """Else a step that starts hours after the plan is built from what is left."""
    project.pipeline(CHAIN)
    lose = {"CLEAN": "rm $PWD/.marin-build/outputs/corpus_*/d/text; "}
    assert project.run("apply", "corpus").code == 0
    done = project.run("apply", env=lose)
    assert done.code == 1
    assert "`d/text` is gone" in done.err
    assert project.run("apply").code == 0, "the next one builds it again"
    assert (project.output_of("train") / "model").read_text() == "on 3\n1\n2\n"


@cases(
    "change file plan_after",
    sorted_=("sort -o $1/d/text $1/d/text", "d/text", "blocked"),
    appended=("echo 4 >> $1/d/text", "d/text", "blocked"),
    moved=("mv $1/d/text $1/d/other", "d/text", "run"),
    a_cache=("touch $1/d/cache", "d/cache", "blocked"),
)
@pytest.mark.parametrize("fails", [False, True])
def test_a_step_that_changes_what_it_reads_fails_and_names_the_file(
    project: Project, change: str, file: str, plan_after: str, *, fails: bool
) -> None:
    """Else all that is built later is built from changed data, and plans say reused."""
    project.pipeline(CHAIN)
    done = project.run("apply", "-k", env={"CLEAN": change} | ({"FAIL": "1"} if fails else {}))
    assert done.code == 1
    assert f"`{file}`" in done.err
    assert "marin-build plan says what becomes of" in done.err
    assert ("the text is odd" in done.err) == fails
    assert project.plan()["corpus"] == plan_after
    assert not (project.output_of("clean") / ".executor_info").exists()
    assert project.run("apply", "--force", "corpus").code == 0
    assert (project.output_of("train") / "model").read_text() == "on 3\n1\n2\n"


LATE = """\
import os
from pathlib import Path
from marin_build import command, step
from lib import eager

@step(code="rebuild")
def mixed(output: Path) -> None:
    os.system(os.environ.get("EDIT", ""))
    from lib.late import word
    (output / "words").write_text(f"{eager.WORD} {word()}")

made = mixed()
script = command('eval "${EDIT:-}"; python tool.py {output}', name="script")
"""


@pytest.mark.parametrize("isolation", ["process", "worker", "thread"])
def test_code_that_changes_while_the_step_runs(project: Project, isolation: str) -> None:
    """Else what is committed as made by the old code was made by two versions."""
    late = "def word():\n    return 'OLD'\n"
    project.pipeline(LATE.replace("${EDIT:-}", "$EDIT"))
    project.write("lib/__init__.py", "")
    project.write("lib/eager.py", "WORD = 'OLD'\n")
    project.write("lib/late.py", late)
    project.write("tool.py", "import sys, pathlib; pathlib.Path(sys.argv[1], 'x').touch()\n")
    apply = ("apply", "-k", "--isolation", isolation)
    edit = {"EDIT": "sed -i s/OLD/NEW/ lib/late.py; echo '# new' >> tool.py"}
    done = project.run(*apply, env=edit)
    assert done.code == 5
    assert "code changed while the step ran: `lib.late.word`" in done.out
    assert "code changed while the step ran: `tool.py`" in done.out
    assert project.status_of("mixed") == project.status_of("script") == "FAILED"
    project.write("lib/late.py", late)
    harmless = {"EDIT": "echo '# a comment' >> lib/late.py; touch tool.py; echo >> pipeline.py"}
    assert project.run(*apply, env=harmless).code == 0
    assert (project.output_of("mixed") / "words").read_text() == "OLD OLD"


def test_another_identity_that_is_built_while_one_waits(project: Project, gate: Gate) -> None:
    """Else the second run reports that what it declares is there, and it is not."""
    text = (
        "from pathlib import Path\nfrom gate import wait_at_gate\nfrom marin_build import step\n\n"
        "@step(version='v1')\ndef raw(output: Path, q: int) -> None:\n"
        "    wait_at_gate('raw')\n    (output / 'q').write_text(str(q))\n\n"
        "made = raw(q=1)\n"
    )
    project.pipeline(text)
    first = project.start("apply", "--json")
    gate.wait_started()
    project.pipeline(text.replace("q=1", "q=2"))
    second = project.start("apply", "--json")
    second.wait_event("step_waiting")
    gate.let_go()
    assert first.wait().code == 0
    done = second.wait()
    assert done.code == 5
    assert "attrs.q 1 -> 2" in done.out
    again = project.run("apply")
    assert again.code == 0
    assert "its identity changed under version v1" in again.out + again.err


def test_protected_outputs(project: Project) -> None:
    """Else what could be prevented is only found out."""
    project.pipeline(CHAIN)
    project.write("marin-build.toml", "protect = true\ndigests = true\n")
    assert project.run("apply").code == 0
    folder = project.output_of("corpus") / "d"
    assert [path.stat().st_mode & 0o222 for path in (folder, folder / "text")] == [0, 0]
    assert project.run("taint", "corpus", "--reason", "odd").code == 0
    assert project.run("apply").code == 0, "what is protected is built again all the same"
    assert "contents compared" in project.run("verify", "--content", "corpus").out
    (folder / "text").chmod(0o644)
    (folder / "text").write_text("1\n2\n3\n")
    done = project.run("verify", "--content", "corpus")
    assert done.code == 1
    assert "`d/text` has other bytes" in done.out
    assert project.run("verify", "corpus").code == 0
