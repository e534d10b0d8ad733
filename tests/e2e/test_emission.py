"""The plan directory: readable scripts that do exactly what `apply` does."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from marin_build.plan.plan_id import text_digest

from .support import (
    BIN,
    DIAMOND,
    OUTPUTS,
    Project,
    check_golden,
    shellcheck,
    stable_tree,
    tree,
)

if TYPE_CHECKING:
    from pathlib import Path

VARYING_DIGEST = re.compile(r'("(?:code_digest|digest|graph.html)": )"[0-9a-f]{64}"')
ALL_KINDS = '''\
"""One step of every kind there is."""

from dataclasses import dataclass
from pathlib import Path

from marin_build import StepSpec, command, source, step


@dataclass(frozen=True)
class Size:
    words: int
    letters: int


@step(description="Splits the text.\\nOne word a line.", tags=("text",))
def words(output: Path, text: Path, lower: bool) -> Size:
    found = text.read_text().split()
    found = [word.lower() for word in found] if lower else found
    (output / "words.txt").write_text("\\n".join(found) + "\\n")
    print("split", len(found))
    return Size(len(found), sum(map(len, found)))


@step
def summary(output: Path, size: Size, counts: Path) -> dict:
    best = (counts / "counts.txt").read_text().split()[1]
    (output / "summary.txt").write_text(f"{size.words} words, {size.letters} letters, {best}\\n")
    return {"words": size.words, "best": best}


def plus(n):
    def write(output):
        Path(output, "n.txt").write_text(f"{n + 1}\\n")
    return write


def pipeline(lower: bool = True) -> list[StepSpec]:
    split = words(text=source("corpus.txt"), lower=lower)
    counts = command(
        "sort {words}/words.txt | uniq -c | sort -k1,1nr -k2 > {output}/counts.txt",
        name="text/counts", deps={"words": split}, outputs=("counts.txt",),
    )
    copied = command(
        ["cp", "--force", "{counts}/counts.txt", "{output}/{to}"],
        name="text/copy", deps={"counts": counts}, params={"to": "a b.txt"},
        env_vars={"LC_ALL": "C"},
    )
    release = command(["cp", "{copied}/a b.txt", "{output}/release.txt"], name="release",
                      deps={"copied": copied}, version="2026.11")
    return [
        summary(size=split, counts=counts),
        release,
        StepSpec(name="closure", fn=plus(41), hash_attrs={"n": 41}, deps=[release]),
        StepSpec(name="lambda", fn=lambda output: Path(output, "x").write_text("42") and None),
    ]
'''


@pytest.fixture
def all_kinds(project: Project) -> Project:
    """A pipeline with a step of every kind."""
    project.pipeline(ALL_KINDS)
    project.write("corpus.txt", "To build or not to build\n")
    return project


@pytest.fixture
def two_kinds(project: Project) -> Project:
    """A pipeline of a function and a command, quick to replay."""
    head, _, _ = ALL_KINDS.partition("    copied = command(")
    project.pipeline(f"{head}    return [counts]\n")
    project.write("corpus.txt", "To build or not to build\n")
    return project


def test_a_small_plan_directory_is_known_byte_for_byte(all_kinds: Project) -> None:
    """Else scripts that people review change without anybody having meant it."""
    assert all_kinds.run("plan", "-o", "saved").code == 0
    written = {name: data.decode() for name, data in all_kinds.tree("saved").items()}
    page = written.pop("graph.html")
    assert json.loads(written["plan.json"])["files"]["graph.html"] == text_digest(page)
    # The digest of code is that of Python's syntax tree, which other versions of Python have.
    written["plan.json"] = VARYING_DIGEST.sub(r'\1"..."', written["plan.json"])
    check_golden("local_plan", written)


def test_scripts_can_be_run_as_they_are(two_kinds: Project) -> None:
    """Else `./saved/run.sh` says permission denied."""
    two_kinds.run("plan", "-o", "saved")
    scripts = [p for p in (two_kinds.root / "saved").rglob("*.sh") if p.name != "environment.sh"]
    assert len(scripts) == 4
    assert all(os.access(script, os.X_OK) for script in scripts)
    done = two_kinds.execute([two_kinds.root / "saved/run.sh"])
    assert (done.code, done.err) == (0, "")


def test_planning_twice_gives_the_same_bytes(all_kinds: Project) -> None:
    """Else a plan under review differs from the one that is run, for no reason."""
    for name in ("one", "two"):
        assert all_kinds.run("plan", "-o", name, env={"PYTHONHASHSEED": name * 0}).code == 0
    assert all_kinds.tree("one") == all_kinds.tree("two")
    # ... nor do time, host, user or the place of the checkout enter.
    elsewhere = all_kinds.root.parent / "elsewhere"
    shutil.copytree(all_kinds.root, elsewhere)
    done = all_kinds.run(
        "plan", "-o", "three", cwd=elsewhere, env={"USER": "other", "PYTHONHASHSEED": "7"}
    )
    assert done.code == 0
    assert tree(elsewhere / "three") == all_kinds.tree("one")


def test_a_plan_directory_is_replaced_whole(project: Project) -> None:
    """Else a step of last week's plan is still in this week's folder."""
    project.pipeline(DIAMOND)
    project.run("plan", "-o", "saved")
    project.run("apply")
    assert project.run("plan", "-o", "saved", "--set", "left=2").code == 0
    assert project.run("plan", "-o", "fresh", "--set", "left=2").code == 0
    assert project.tree("saved") == project.tree("fresh")


def test_a_plan_for_another_engine_replaces_the_local_one(all_kinds: Project) -> None:
    """Else run.sh of the old plan lies beside the job specs of the new one."""
    all_kinds.write("marin-build.toml", '[kubernetes]\nimage = "image"\n')
    all_kinds.run("plan", "-o", "saved")
    done = all_kinds.run(
        "plan", "-o", "saved", "--engine", "kubernetes", "--prefix", "memory://bucket/x"
    )
    assert done.code == 0, done.err
    document = json.loads(all_kinds.file("saved/plan.json"))
    assert set(all_kinds.tree("saved")) == {"plan.json", *document["files"]}


def test_emitted_scripts_have_nothing_shellcheck_finds(all_kinds: Project) -> None:
    """Else scripts that people are asked to trust look careless."""
    all_kinds.run("plan", "-o", "saved")
    shellcheck(*(all_kinds.root / "saved").rglob("*.sh"))


@pytest.mark.parametrize(
    "how",
    [
        ["bash", "saved/run.sh"],
        ["make", "-j4", "-f", "saved/Makefile"],
        ["ninja", "-j4", "-f", "saved/build.ninja"],
    ],
    ids=lambda words: words[0],
)
def test_a_replay_leaves_what_apply_leaves(all_kinds: Project, how: list[str | Path]) -> None:
    """Else there are two ways to build a target, and they differ."""
    applied = all_kinds.root.parent / "applied"
    shutil.copytree(all_kinds.root, applied)
    assert all_kinds.run("apply", "-j", "1", cwd=applied).code == 0
    all_kinds.run("plan", "-o", "saved")
    replayed = all_kinds.execute(how, env=all_kinds.forking())
    assert (replayed.code, replayed.err) == (0, "")
    ours, theirs = stable_tree(all_kinds.root / OUTPUTS), stable_tree(applied / OUTPUTS)
    assert ours.keys() == theirs.keys()
    assert ours == theirs
    assert all_kinds.log_of("words") == "split 6\n"
    assert json.loads((all_kinds.output_of("summary") / ".artifact.json").read_text()) == {
        "words": 6,
        "best": "build",
    }
    assert (all_kinds.output_of("closure") / "n.txt").read_text() == "42\n"
    assert (all_kinds.output_of("lambda") / "x").read_text() == "42"


def test_what_bash_built_apply_reuses_and_the_other_way_round(two_kinds: Project) -> None:
    """Else people must stay with the way they began."""
    two_kinds.run("plan", "-o", "saved")
    two_kinds.run("apply", "words")
    done = two_kinds.bash("saved/run.sh")
    assert done.code == 0
    assert two_kinds.mask(done.out).startswith("skipped  words_HASH\nrun r-RUN: 1 to build")
    assert two_kinds.run("apply").out.startswith("nothing to do: 2 targets are reused\n")


def test_a_second_replay_skips_everything(two_kinds: Project) -> None:
    """Else a replay after a broken connection starts from the beginning."""
    two_kinds.run("plan", "-o", "saved")
    assert two_kinds.bash("saved/run.sh").code == 0
    before = two_kinds.tree(OUTPUTS)
    done = two_kinds.bash("saved/run.sh")
    assert (done.code, done.err) == (0, "")
    assert two_kinds.mask(done.out) == ("skipped  words_HASH\nskipped  text/counts_HASH\n")
    assert two_kinds.tree(OUTPUTS) == before


def test_a_step_script_can_be_run_alone(two_kinds: Project) -> None:
    """Else nobody can repeat one step by hand."""
    two_kinds.run("plan", "-o", "saved")
    (script,) = (two_kinds.root / "saved/steps").glob("words_*/run.sh")
    done = two_kinds.bash(script)
    assert (done.code, done.err) == (0, "")
    assert two_kinds.mask(done.out) == (
        "run r-RUN: 1 to build, 0 reused, 1 at once\n"
        "  started   words_HASH\n"
        "  built     [1/1] words_HASH  TIME\n"
        "1 built, 0 reused in TIME\n"
    )
    again = two_kinds.bash(script)
    assert (again.code, again.err) == (0, "")
    assert two_kinds.status_of("words") == "SUCCESS"
    assert not (two_kinds.output_of("words") / ".logs/attempt-0002.json").exists()


def test_a_step_script_whose_inputs_are_not_built_refuses(two_kinds: Project) -> None:
    """Else a step run too early reads nothing and counts as built."""
    two_kinds.run("plan", "-o", "saved")
    (script,) = (two_kinds.root / "saved/steps/text").glob("counts_*/run.sh")
    done = two_kinds.bash(script)
    assert (done.code, done.out) == (5, "")
    assert two_kinds.mask(done.err) == (
        "error: `text/counts` needs targets that are not built\n"
        "  missing: words_HASH\n"
        "  nothing was run\n"
        "hint: build them first, or all with `marin-build apply`\n"
    )
    assert not (two_kinds.root / OUTPUTS).exists() or not any(
        (two_kinds.root / OUTPUTS).rglob("counts*")
    )


def test_a_replay_works_from_any_folder(two_kinds: Project, tmp_path: Path) -> None:
    """Else it matters where one stands when one calls the script."""
    two_kinds.run("plan", "-o", "saved")
    folder = tmp_path / "some where"
    folder.mkdir()
    done = two_kinds.bash(two_kinds.root / "saved/run.sh", cwd=folder)
    assert (done.code, done.err) == (0, "")
    assert two_kinds.run("apply").out.startswith("nothing to do: 2 targets are reused\n")
    assert list(folder.iterdir()) == []


def test_a_plan_directory_can_lie_outside_the_project(two_kinds: Project, tmp_path: Path) -> None:
    """Else a plan cannot be kept with others, or handed to another machine."""
    saved = tmp_path / "plans" / "it's here"
    assert two_kinds.run("plan", "-o", saved).code == 0
    lost = two_kinds.bash(saved / "run.sh", cwd=tmp_path)
    assert (lost.code, lost.out) == (4, "")
    assert lost.err.replace(str(saved), "SAVED") == (
        "error: cannot find the project of the plan in `SAVED`\n"
        "  pipeline: pipeline.py\n"
        "  nothing was run\n"
        "hint: run it from the project's folder, or set MARIN_BUILD_PROJECT\n"
    )
    named = {"MARIN_BUILD_PROJECT": str(two_kinds.root)}
    done = two_kinds.bash(saved / "run.sh", cwd=tmp_path, env=named)
    assert (done.code, done.err) == (0, "")
    assert two_kinds.bash(saved / "run.sh").code == 0  # from the project's folder
    assert two_kinds.run("apply", saved, cwd=tmp_path, env=named).code == 0
    assert two_kinds.run("apply").out.startswith("nothing to do: 2 targets are reused\n")


@pytest.mark.parametrize("spelling", ["{root}/", ".", "../project", "{root}/./"])
def test_the_project_may_be_named_in_any_spelling(
    two_kinds: Project, tmp_path: Path, spelling: str
) -> None:
    """Else a slash at the end of MARIN_BUILD_PROJECT makes the program refuse its own scripts."""
    saved = tmp_path / "saved"
    two_kinds.run("plan", "-o", saved)
    named = {"MARIN_BUILD_PROJECT": spelling.format(root=two_kinds.root)}
    done = two_kinds.bash(saved / "run.sh", env=named)
    assert (done.code, done.err) == (0, "")


def test_a_wrong_relative_project_is_an_error_not_a_hang(
    two_kinds: Project, tmp_path: Path
) -> None:
    """Else a misspelt MARIN_BUILD_PROJECT makes a nightly script run for ever."""
    saved = tmp_path / "saved"
    two_kinds.run("plan", "-o", saved)
    done = subprocess.run(
        ["timeout", "10", "bash", saved / "run.sh"],
        cwd=tmp_path,
        env=two_kinds.environ({"MARIN_BUILD_PROJECT": "projct"}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 4, "124 is the timeout"
    assert done.stderr.startswith("error: cannot find the project of the plan in ")


def test_a_project_behind_a_symbolic_link_is_replayed(two_kinds: Project, tmp_path: Path) -> None:
    """Else people whose home is a link cannot replay anything."""
    link = tmp_path / "link"
    link.symlink_to(two_kinds.root)
    assert two_kinds.run("plan", "-o", "saved", cwd=link).code == 0
    done = two_kinds.bash(link / "saved/run.sh", cwd=link)
    assert (done.code, done.err) == (0, "")
    assert two_kinds.run("apply", cwd=link).out.startswith("nothing to do: 2 targets are reused\n")


def test_the_program_can_be_named(two_kinds: Project, tmp_path: Path) -> None:
    """Else a script needs an activated environment to find the program."""
    two_kinds.run("plan", "-o", "saved")
    away = {"PATH": "/usr/bin:/bin"}
    lost = two_kinds.bash("saved/run.sh", env=away)
    assert lost.code == 127
    assert "error: there is no program `marin-build` here\nhint: activate" in lost.err
    named = two_kinds.bash("saved/run.sh", env={**away, "MARIN_BUILD": str(BIN / "marin-build")})
    assert (named.code, named.err) == (0, "")


def test_a_replay_stops_at_the_first_failure(project: Project) -> None:
    """Else what needs a failed step is run on nothing, and the script says all is well."""
    project.pipeline(
        "from marin_build import command\n"
        "bad = command('echo so sorry; exit 3', name='bad')\n"
        "targets = [command('touch {output}/x {bad}', name='after', deps={'bad': bad})]\n"
    )
    project.run("plan", "-o", "saved")
    done = project.bash("saved/run.sh")
    assert done.code == 1
    assert project.mask(done.out) == (
        "run r-RUN: 1 to build, 0 reused, 1 at once\n"
        "  started   bad_HASH\n"
        "  failed    bad_HASH  exited with code 3\n"
        "0 built, 0 reused, 1 failed in TIME\n"
    )
    assert project.mask(done.err) == (
        "\nerror: `bad` failed with exit code 3 (attempt 1)\n"
        "  | so sorry\n"
        "  log:     PROJECT/.marin-build/outputs/bad_HASH/.logs/attempt-0001.log\n"
        "hint: run it alone with: bash PROJECT/saved/steps/bad_HASH/run.sh\n"
    )
    assert not list((project.root / OUTPUTS).glob("after_*"))


def test_parameters_and_prefix_are_kept_in_the_plan(two_kinds: Project) -> None:
    """Else a replay builds another variant, or puts it elsewhere."""
    two_kinds.run("plan", "-o", "saved", "--set", "lower=false", "--prefix", "else where/out")
    done = two_kinds.bash("saved/run.sh", env={"MARIN_PREFIX": "/nowhere"})
    assert (done.code, done.err) == (0, "")
    words = two_kinds.output_of("words", "else where/out") / "words.txt"
    assert words.read_text().startswith("To\nbuild\n")
    assert not (two_kinds.root / OUTPUTS).exists()


def test_a_prefix_outside_the_project_is_kept(two_kinds: Project, tmp_path: Path) -> None:
    """Else a plan for a shared disk builds on the small one."""
    shared = tmp_path / "sha red"
    two_kinds.run("plan", "-o", "saved", "--prefix", shared)
    done = two_kinds.bash("saved/run.sh")
    assert (done.code, done.err) == (0, "")
    assert len(list(shared.glob("words_*/words.txt"))) == 1


def test_what_the_scripts_say_is_what_runs(all_kinds: Project) -> None:
    """Else a reviewer approves one command, and another one is run."""
    all_kinds.run("plan", "-o", "saved")
    (script,) = (all_kinds.root / "saved/steps/text").glob("copy_*/run.sh")
    changed = script.read_text().replace("--force", "--archive")
    script.write_text(changed)
    done = all_kinds.bash("saved/run.sh")
    assert done.code == 5
    assert all_kinds.mask(done.err) == (
        "error: the plan in `PROJECT/saved` was edited after it was made\n"
        f"  differs: {all_kinds.mask(str(script.relative_to(all_kinds.root / 'saved')))}\n"
        "  nothing was run\n"
        "hint: make the plan again; to change what it emits, override a template\n"
    )


def test_a_command_of_another_step_is_refused(all_kinds: Project) -> None:
    """Else an edited job spec builds something else under the same name."""
    all_kinds.run("apply")
    shutil.rmtree(all_kinds.output_of("lambda"))
    name = all_kinds.run("plan", "--json").document["decisions"][-1]["target"]
    done = all_kinds.run("run-step", "--target", name, "--", "rm", "-rf", "x")
    assert (done.code, done.out) == (5, "")
    assert done.err == (
        "error: the command given for `lambda` is not the one the pipeline declares\n"
        "  declared: none, it is a function\n"
        "  nothing was run\n"
        "hint: change the pipeline, not the script\n"
    )


def test_nothing_to_build_is_a_plan_too(two_kinds: Project) -> None:
    """Else automation fails on the day on which nothing changed."""
    two_kinds.run("apply")
    assert two_kinds.run("plan", "-o", "saved").code == 0
    shellcheck(*(two_kinds.root / "saved").rglob("*.sh"))
    done = two_kinds.bash("saved/run.sh")
    assert (done.code, done.out, done.err) == (0, "", "")


def test_an_overridden_template_is_used(two_kinds: Project) -> None:
    """Else a site cannot add what its machines need."""
    two_kinds.write("marin-build.toml", 'templates = "mine"\n')
    two_kinds.write(
        "mine/local/step.sh.j2",
        '{% extends "base.sh.j2" %}\n{% block body %}\necho mine {{ action.name | sh }}\n'
        '. "$(dirname -- "${BASH_SOURCE[0]}")"/{{ up | sh }}environment.sh\n'
        'exec "$marin_build" run-step --plan "$plan" --target {{ action.target | sh }}\n'
        "{% endblock %}\n",
    )
    two_kinds.run("plan", "-o", "saved")
    done = two_kinds.bash("saved/run.sh")
    assert done.code == 0
    assert done.out.startswith("mine words\n")


def test_diamonds_run_in_an_order_that_works(project: Project) -> None:
    """Else run.sh runs a step before what it needs."""
    project.pipeline(DIAMOND)
    project.run("plan", "-o", "saved")
    assert project.bash("saved/run.sh").code == 0
    assert project.counts() == {"corpus": 1, "left": 1, "report": 1, "right": 1}
    assert (project.output_of("report") / "report.txt").read_text() == "3 6 of 3\n"
