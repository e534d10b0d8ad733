"""Every line has a reason: what changed since the last build, down to the leaf."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest

from .support import DIAMOND, OUTPUTS

if TYPE_CHECKING:
    from .support import Project


def test_a_plan_names_the_attribute_that_changed_and_follows_it(project: Project) -> None:
    """Else people compare files by eye to find out what they changed."""
    project.pipeline(DIAMOND)
    project.run("apply")
    planned = project.run("plan", "--set", "lines=4")
    assert project.mask(planned.out) == (
        "  ~ rebuild  corpus_HASH  attrs.lines 3 -> 4 (pipeline.py:37)\n"
        "  ! cascade  left_HASH    needs corpus, which changed: attrs.lines 3 -> 4\n"
        "  ! cascade  right_HASH   needs corpus, which changed: attrs.lines 3 -> 4\n"
        "  ! cascade  report_HASH  needs corpus, which changed: attrs.lines 3 -> 4 and 2 more\n"
        "plan p-PLAN: 4 to build (1 rebuild, 3 cascade), 0 reused\n"
        "to build it: marin-build apply --set lines=4\n"
    )


def test_the_nearest_build_counts_whoever_made_it_and_whenever(project: Project) -> None:
    """Else a step is compared with an experiment of last year."""
    project.pipeline(DIAMOND)
    project.run("apply", "--set", "lines=100", "--set", "left=7")
    project.run("apply")
    project.run("apply", "--set", "lines=200", "--set", "left=8")
    planned = project.run("plan", "--json", "--set", "left=9")
    (left,) = [d for d in planned.document["decisions"] if d["name"] == "left"]
    (reason,) = left["reasons"]
    assert reason["kind"] == "identity_changed"
    assert reason["changes"] == [{"path": "attrs.times", "old": 1, "new": 9}]


def test_a_new_pipeline_has_nothing_to_be_compared_with(project: Project) -> None:
    """Else the first plan is full of guesses."""
    project.pipeline(DIAMOND)
    assert project.run("plan").out.count("never built") == 4


def test_the_files_of_an_input_that_changed_are_named(project: Project) -> None:
    """Of a folder of 300 files, "inputs.data changed" leaves it to the user to find the one."""
    for number in range(300):
        project.write(f"data/{number}.txt", "one\n")
    project.pipeline(
        "from marin_build import command, source\n\n"
        "count = command('ls {data} > {output}/x', name='count', inputs={'data': source('data')})\n"
        "end = command('cat {count}/x > {output}/x', name='end', deps={'count': count})\n"
        "targets = [end]\n"
    )
    assert project.run("apply").code == 0
    project.write("data/17.txt", "two\n")
    planned = project.mask(project.run("plan").out)
    assert "~ rebuild  count_HASH  inputs.data changed: 17.txt changed (" in planned
    assert "needs count, which changed: inputs.data changed: 17.txt changed\n" in planned
    project.write("data/new.txt", "new\n")
    (project.root / "data/3.txt").unlink()
    planned = project.run("plan", "--json", "count").document["decisions"][0]
    (change,) = planned["reasons"][0]["changes"]
    assert change["because"] == "17.txt changed, 3.txt removed and 1 more"
    # Without the listing of then, it is said that the input changed.
    shutil.rmtree(project.root / OUTPUTS / ".marin-build" / "inputs")
    assert "inputs.data changed (" in project.run("plan").out


def test_an_input_that_changed_is_named(project: Project) -> None:
    """Else an edited file looks like an edited pipeline."""
    project.write("data.txt", "one\n")
    project.pipeline(
        "from pathlib import Path\n"
        "from marin_build import source, step\n\n"
        "@step\n"
        "def copy(output: Path, data: Path) -> None:\n"
        "    (output / 'copy').write_text(data.read_text())\n\n"
        "def pipeline():\n"
        "    return copy(source('data.txt'))\n"
    )
    project.run("apply")
    project.write("data.txt", "two\n")
    assert "~ rebuild  copy_HASH  inputs." in project.mask(project.run("plan").out)


def test_explain_tells_all_of_one_target(project: Project) -> None:
    """Else whoever wants more than one line has to read records by hand."""
    project.pipeline(DIAMOND)
    project.run("apply")
    explained = project.run("explain", "left", "--set", "lines=4", "--set", "left=5")
    lines = project.mask(explained.out).splitlines()
    assert lines[1] == "decision  rebuild: attrs.times 1 -> 5 and 1 more"
    assert lines[4].startswith("compared  with left_HASH, built DATE by ")
    assert lines[5] == "changed   attrs.times 1 -> 5"
    assert lines[6] == (
        "changed   needs corpus, which changed: attrs.lines 3 -> 4 (corpus_HASH -> corpus_HASH)"
    )
    as_json = json.loads(project.run("explain", "left", "--json", "--set", "left=5").out)
    assert as_json["reason"]["changes"] == [{"path": "attrs.times", "old": 1, "new": 5}]
    built = project.run("explain", "left")
    assert "decision  reuse: built " in built.out
    several = project.run("explain", "*")
    assert (several.code, "stands for 4 targets" in several.err) == (4, True)


def test_explain_finds_a_target_by_its_name_its_id_and_its_hash(project: Project) -> None:
    """Else what a log or a folder calls a target has to be translated first."""
    project.pipeline(DIAMOND)
    by_name = project.run("explain", "left").out
    target = by_name.split()[1]
    assert project.run("explain", target).out == by_name
    assert project.run("explain", target.removeprefix("left_")).out == by_name
    assert project.run("explain", "left,left").out == by_name
    unknown = project.run("explain", "left_00000000")
    assert (unknown.code, "4 in this pipeline" in unknown.err) == (4, True)


def test_explain_reads_nothing_that_the_target_does_not_need(project: Project) -> None:
    """Else one question about one target takes as long as a plan of all of them."""
    project.pipeline(
        "from marin_build import command, source\n\n"
        "def pipeline():\n"
        "    lost = source('lost.txt')\n"
        "    return command('true', name='a'), command('wc {x}', name='b', inputs={'x': lost})\n"
    )
    assert "decision  build: never built" in project.run("explain", "a").out
    for selector in ("b", "**"):
        refused = project.run("explain", selector)
        assert (refused.code, "cannot read the source `lost.txt`" in refused.err) == (4, True)


SWEEP = """\
from pathlib import Path
from marin_build import step

@step
def point(output: Path, i: int, lr: float) -> None:
    (output / "x").write_text(f"{i} {lr}")

@step
def total(output: Path, points: list[Path]) -> None:
    (output / "x").write_text("".join((p / "x").read_text() for p in points))

def pipeline(lr: float = 0.1):
    return total(points=[point(i=i, lr=lr) for i in range(60)])
"""


def test_each_point_of_a_sweep_is_compared_with_itself(project: Project) -> None:
    """Else one changed rate reads like sixty different changes."""
    project.pipeline(SWEEP)
    project.run("apply", "-q")
    planned = project.mask(project.run("plan", "--set", "lr=0.2").out).splitlines()
    assert planned[0].split("  ")[1:4] == [
        "~ rebuild",
        "point_* (60 targets)",
        "attrs.lr 0.1 -> 0.2 (pipeline.py:13)",
    ]
    assert planned[1].startswith("  ! cascade  total_HASH ")
    assert "needs point, which changed: attrs.lr 0.1 -> 0.2 and 59 more" in planned[1]
    assert planned[2].startswith("plan p-PLAN: 61 to build (60 rebuild, 1 cascade), 0 reused")


VERSIONED = """\
from pathlib import Path
from marin_build import step

@step(version="v1")
def raw(output: Path, q: int) -> None:
    (output / "x").write_text(str(q))

@step
def use(output: Path, raw: Path) -> None:
    (output / "x").write_text((raw / "x").read_text())

def pipeline(q: int = 1):
    return use(raw(q=q))
"""


@pytest.fixture
def versioned(project: Project) -> Project:
    """raw@v1 -> use, built with q=1."""
    project.pipeline(VERSIONED)
    assert project.run("apply", "-q").code == 0
    return project


CHANGED = "its identity changed under version v1: attrs.q 1 -> 2"
MADE = "built from another identity of raw@v1: attrs.q 1 -> 2"


def test_a_version_that_changed_is_told_with_what_was_made_from_it(versioned: Project) -> None:
    """Else a built consumer hides that its version holds something else by now."""
    planned = versioned.run("plan", "--set", "q=2")
    assert (planned.code, versioned.mask(planned.out)) == (
        0,
        (
            f"  ~ drift    raw@v1        reused, though {CHANGED} (pipeline.py:13)\n"
            f"  ~ drift    use_HASH  reused, though {MADE}\n"
            "plan p-PLAN: 0 to build, 2 reused\n"
            "nothing to do: everything requested is built\n"
            "to rebuild what drifted: marin-build apply --set q=2 --force drifted\n"
            "to keep both identities: declare a new version\n"
        ),
    )
    assert versioned.run("plan", "--set", "q=2", "--detailed-exitcode").code == 0
    applied = versioned.run("apply", "--set", "q=2")
    assert (applied.code, versioned.mask(applied.out)) == (
        0,
        (
            f"  drift     raw@v1  reused, though {CHANGED}\n"
            f"  drift     use_HASH  reused, though {MADE}\n"
            "nothing to do: 2 targets are reused\n"
            "  use: .marin-build/outputs/use_HASH\n"
            "2 targets were built with another identity than is declared: raw, use; "
            "see marin-build plan --set q=2\n"
        ),
    )
    decisions = {
        d["name"]: d for d in versioned.run("plan", "--json", "--set", "q=2").document["decisions"]
    }
    assert {name: d["decision"] for name, d in decisions.items()} == {
        "use": "reuse", "raw": "pruned",
    }  # fmt: skip
    (drift,) = decisions["raw"]["drift"]
    assert drift["changes"] == [{"path": "attrs.q", "old": 1, "new": 2}]
    assert drift["declared"] == decisions["raw"]["fingerprint"] != drift["recorded"]
    explained = versioned.run("explain", "raw", "--set", "q=2").out.splitlines()
    assert explained[-4:] == [
        f"drift     {CHANGED}",
        "changed   attrs.q 1 -> 2",
        "to rebuild what drifted: marin-build apply --set q=2 raw@v1 --force raw@v1",
        "to keep both identities: declare a new version",
    ]


def test_what_was_made_before_a_version_was_built_again_is_told(versioned: Project) -> None:
    """Else forcing the version alone makes all that was made from it look right."""
    assert versioned.run("apply", "-q", "raw", "--set", "q=2", "--force", "raw").code == 0
    planned = versioned.mask(versioned.run("plan", "--set", "q=2").out).splitlines()
    assert planned[0] == (
        "  ~ drift    use_HASH  reused, though built from another identity of raw@v1"
    )
    assert "reused, though its identity changed under version v1: attrs.q 2 -> 1" in (
        versioned.run("plan", "raw").out
    )
    built = versioned.run("apply", "-q", "--set", "q=2", "--force", "use")
    assert (built.code, versioned.run("plan", "--set", "q=2").out.count("drift")) == (0, 0)


def test_a_replay_and_a_script_reuse_a_changed_version_as_the_plan_said(
    versioned: Project,
) -> None:
    """Else what a plan promises is refused when it is run, or goes untold."""
    for is_script in (False, True):
        shutil.rmtree(versioned.output_of("use"))
        shutil.rmtree(versioned.root / "saved", ignore_errors=True)
        assert versioned.run("plan", "-o", "saved", "--set", "q=2").code == 0
        replay = ("saved/run.sh",) if is_script else ("apply", "saved", "--json")
        done = versioned.bash(*replay) if is_script else versioned.run(*replay)
        assert (done.code, CHANGED in done.out) == (0, True), done
    assert (versioned.output_of("use") / "x").read_text() == "1"
    # Its record says of what it was made, so that is told from now on.
    assert versioned.mask(versioned.run("plan", "--set", "q=2").out).splitlines()[1] == (
        f"  ~ drift    use_HASH  reused, though {MADE}"
    )
    assert "drift" not in versioned.run("plan").out


def test_a_pinned_version_is_refused_if_it_holds_another(versioned: Project) -> None:
    """Else who pins what is published gets something else."""
    declared = versioned.run("plan", "--json", "--set", "q=2", "raw").document["decisions"][0]
    pin = f'@step(version="v1", expected_fingerprint="{declared["fingerprint"]}")'
    versioned.pipeline(VERSIONED.replace('@step(version="v1")', pin).replace("q: int = 1", "q=2"))
    record = json.loads(versioned.file(f"{OUTPUTS}/raw/v1/.executor_info"))
    error = (
        "error: `raw@v1` pins its fingerprint, and another one was built there\n"
        f"  output:   PROJECT/{OUTPUTS}/raw/v1\n"
        f"  recorded: {record['fingerprint']}\n"
        f"  pinned:   {declared['fingerprint']}\n"
        "  nothing was run\n"
        "hint: declare what was built there, or give it a new version, "
        "or build it with --force\n"
    )
    target = versioned.output_of("use").name
    for args in (["plan"], ["plan", "raw"], ["apply"], ["run-step", "--target", target]):
        done = versioned.run(*args)
        assert (done.code, versioned.mask(done.err)) == (5, error), args
    assert versioned.run("apply", "-q", "--force", "raw").code == 0
    assert "drift" not in versioned.run("plan").out


def test_the_change_is_named_though_what_changed_is_built_already(project: Project) -> None:
    """Else who builds step by step reads `needs corpus, which changed`, and has to search."""
    project.pipeline(DIAMOND)
    project.run("apply", "-q")
    project.run("apply", "-q", "corpus", "--set", "lines=4")
    planned = project.mask(project.run("plan", "--set", "lines=4").out)
    assert planned == (
        "  ! cascade  left_HASH    needs corpus, which changed: attrs.lines 3 -> 4\n"
        "  ! cascade  right_HASH   needs corpus, which changed: attrs.lines 3 -> 4\n"
        "  ! cascade  report_HASH  needs corpus, which changed: attrs.lines 3 -> 4 and 2 more\n"
        "  = 1 reused, not shown (-v shows them)\n"
        "plan p-PLAN: 3 to build, 1 reused\n"
        "to build it: marin-build apply --set lines=4\n"
    )


FAILING = """\
from pathlib import Path
from marin_build import step

@step(name="NAME", env_vars={"LR": "VALUE"})
def raw(output: Path, n: int) -> None:
    assert n == 1
    (output / "x").write_text("x")

@step
def train(output: Path, raw: Path) -> None:
    (output / "x").write_text("x")

def pipeline(n: int = 1):
    return train(raw=raw(n=n))
"""


def test_a_cause_outlives_a_failure_and_a_new_name(project: Project) -> None:
    """Else after a crash the plan knows no more what the user changed."""
    text = FAILING.replace("NAME", "raw").replace("VALUE", "1")
    project.pipeline(text)
    assert project.run("apply", "-q").code == 0
    assert project.run("apply", "-q", "--set", "n=2").code == 1
    planned = project.mask(project.run("plan", "--set", "n=2").out).splitlines()
    assert planned[0].endswith("; changed since it was built: attrs.n 1 -> 2")
    assert planned[1] == "  ! cascade  train_HASH  needs raw, which changed: attrs.n 1 -> 2"
    decisions = project.run("plan", "--set", "n=2", "--json").document["decisions"]
    assert [reason["kind"] for reason in decisions[0]["reasons"]] == [
        "failed_before",
        "identity_changed",
    ]
    explained = project.mask(project.run("explain", "train", "--set", "n=2").out)
    assert "\ncause     raw_HASH: failed before " in explained
    drifted = text.replace('"1"', '"2"')
    project.pipeline(drifted)
    words = "environment changed since built: env_vars.LR changed"
    assert f"~ drift    raw_HASH  {words}; reused" in project.mask(project.run("plan").out)
    assert words in project.run("explain", "train").out
    project.pipeline(text.replace('name="raw"', 'name="data/raw"'))
    renamed = project.mask(project.run("plan").out).splitlines()
    assert renamed[0].startswith("  ~ rebuild  data/raw_HASH  renamed from raw to data/raw ")
    assert renamed[1] == "  ! cascade  train_HASH     needs data/raw, renamed from raw"


def test_a_picture_and_a_plan_agree_about_a_deleted_output(project: Project) -> None:
    """Else the graph promises to build what no plan ever builds."""
    project.pipeline(DIAMOND)
    project.run("apply", "-q")
    shutil.rmtree(project.output_of("corpus"))
    words = "not read: every target that needs it is built"
    assert words in project.run("plan", "-v").out
    nodes = json.loads(project.run("graph", "--format", "json").out)["nodes"]
    (corpus,) = [node for node in nodes if node["name"] == "corpus"]
    assert (corpus["state"], corpus["reason"]) == ("built", words)
