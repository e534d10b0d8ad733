"""Code that is not what built an output: told, explained, accepted, or built again."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from .support import OUTPUTS

if TYPE_CHECKING:
    from .support import Done, Project

PIPELINE = """\
from pathlib import Path

from lm.tokenizer import batch
from marin_build import step


def ran(name):
    with open(Path(__file__).parent / "ran.txt", "a") as stream:
        stream.write(name + "\\n")


@step
def corpus(output: Path, n: int) -> None:
    ran("corpus")
    (output / "n").write_text(str(n))


@step
def tokens(output: Path, corpus: Path) -> None:
    ran("tokens")
    (output / "n").write_text(str(batch(int((corpus / "n").read_text()))))


@step
def model(output: Path, tokens: Path) -> None:
    ran("model")
    (output / "n").write_text((tokens / "n").read_text())


def pipeline(n: int = 3):
    return model(tokens(corpus(n)))
"""
TOKENIZER = """\
from lm.text import clean

def batch(n):
    return clean(n) + 1
"""
TEXT = """\
def clean(n):
    return n * 2
"""
NOTHING = "nothing to do: everything requested is built\n"


@pytest.fixture
def lm(project: Project) -> Project:
    """corpus -> tokens -> model, all built; tokens calls a helper two modules away."""
    project.write("lm/__init__.py", "")
    project.write("lm/tokenizer.py", TOKENIZER)
    project.write("lm/text.py", TEXT)
    project.pipeline(PIPELINE)
    assert project.run("apply", "-q").code == 0
    return project


def _drift(project: Project, *args: str) -> list[str]:
    """Return the lines of drift in a plan."""
    planned = project.run("plan", *args)
    assert planned.code == 0, planned.err
    return [
        line.removeprefix("  ~ drift    ")
        for line in project.mask(planned.out).splitlines()
        if "~ drift" in line
    ]


def _decisions(done: Done) -> dict[str, Any]:
    assert done.code == 0, done.err
    return {decision["name"]: decision for decision in done.document["decisions"]}


def _record(project: Project, name: str) -> Any:
    return json.loads((project.output_of(name) / ".executor_info").read_text())


def test_comments_docstrings_and_formatting_change_nothing(lm: Project) -> None:
    """Else people learn to ignore what plans say of code."""
    lm.write("lm/text.py", "# now\n\n" + TEXT.replace("n * 2", "(n\n        * 2)  # twice"))
    lm.write("lm/tokenizer.py", TOKENIZER.replace("    return", '    """Say."""\n    return'))
    planned = lm.run("plan")
    assert (planned.code, planned.out.endswith(NOTHING), _drift(lm)) == (0, True, [])


def test_a_helper_two_modules_away_of_a_pruned_step_is_told(lm: Project) -> None:
    """Else a model is reused that today's code would not make, and nobody knows."""
    lm.write("lm/text.py", TEXT.replace("n * 2", "n * 3"))
    (line,) = _drift(lm)
    assert line == (
        "tokens_HASH  code changed since built: lm.text.clean() +1 -1 "
        "(via tokens -> batch -> clean); reused"
    )
    applied = lm.run("apply")
    assert applied.out.startswith("nothing to do: 3 targets are reused\n")
    assert lm.counts() == {"corpus": 1, "model": 1, "tokens": 1}


def test_what_changed_below_a_deleted_output_is_told(lm: Project) -> None:
    """Else whoever tidies up intermediate outputs never hears of a change below them."""
    shutil.rmtree(lm.output_of("tokens"))
    assert _drift(lm) == []
    lm.pipeline(PIPELINE.replace("str(n)", "str(n + 0)"))
    assert _drift(lm) == ["corpus_HASH  code changed since built: pipeline.corpus() +1 -1; reused"]


def test_drift_is_in_the_json_and_not_in_a_saved_plan(lm: Project) -> None:
    """Else programs cannot see it, or a plan is another one on each machine."""
    lm.run("plan", "-o", "before")
    lm.write("lm/text.py", TEXT.replace("n * 2", "n * 3"))
    found = _decisions(lm.run("plan", "--json", "-o", "after"))
    assert {name: each["decision"] for name, each in found.items()} == {
        "model": "reuse", "tokens": "pruned",
    }  # fmt: skip
    assert found["model"]["drift"] == []
    assert found["tokens"]["drift"] == [
        {"kind": "function", "name": "lm.text.clean", "how": "changed", "plus": 1, "minus": 1,
         "via": ["tokens", "batch", "clean"]}
    ]  # fmt: skip
    assert lm.file("before/plan.json") == lm.file("after/plan.json")


def test_explain_shows_the_difference_and_what_is_unseen(lm: Project) -> None:
    """Else people must dig up the source of a build of last month by themselves."""
    lm.write("lm/tokenizer.py", TOKENIZER.replace("+ 1", "+ len(vars(text))"))
    lm.write("lm/text.py", TEXT.replace("n * 2", "getattr(n, f'real', n) * 3"))
    explained = lm.run("explain", "tokens", "--code")
    assert explained.code == 0, explained.err
    lines = explained.out.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("---"))
    assert lines[start : start + 12] == [
        "--- lm.tokenizer.batch(), as it was when built",
        "+++ lm.tokenizer.batch(), now (changed)  via tokens -> batch",
        "@@ -1,2 +1,2 @@",
        " def batch(n):",
        "-    return clean(n) + 1",
        "+    return clean(n) + len(vars(text))",
        "--- lm.text.clean(), as it was when built",
        "+++ lm.text.clean(), now (changed)  via tokens -> batch -> clean",
        "@@ -1,2 +1,2 @@",
        " def clean(n):",
        "-    return n * 2",
        "+    return getattr(n, f'real', n) * 3",
    ]
    unseen = [line for line in lines if line.startswith("unseen")]
    assert any("vars(text)" in line for line in unseen), unseen
    assert any("getattr(n, f'real', n)" in line for line in unseen), unseen
    as_json = json.loads(lm.run("explain", "tokens", "--code", "--json").out)["code"]
    assert [item["name"] for item in as_json["drift"]] == ["lm.tokenizer.batch", "lm.text.clean"]
    assert as_json["drift"][1]["diff"][-1] == "+    return getattr(n, f'real', n) * 3"
    assert as_json["unseen"]
    above = lm.run("explain", "model", "--code").out
    assert "drift     tokens_" in above, "what is below it drifted"
    told = "code      unchanged since it was built, and so is its environment\n"
    assert lm.mask(above).endswith(
        f"{told}to rebuild what drifted: marin-build apply model_HASH --force tokens_HASH\n"
        "to accept it: marin-build accept tokens_HASH --reason '...'\n"
        'to rebuild on code changes: declare the step with code="rebuild"\n'
    )


def test_accepted_drift_is_a_reason_until_the_code_changes_again(lm: Project) -> None:
    """Else a harmless change is reported for ever, or hides the next one."""
    lm.write("lm/text.py", TEXT.replace("n * 2", "n + n"))
    accepted = lm.run("accept", "tokens", "--reason", "the same sum")
    assert accepted.code == 0, accepted.err
    assert lm.mask(accepted.out) == (
        "tokens_HASH  code changed since built: lm.text.clean() +1 -1 "
        "(via tokens -> batch -> clean)\n"
        "accepted 1 target: the same sum\n"
    )
    assert _drift(lm) == []
    assert _drift(lm, "tokens") == []
    (reason,) = _decisions(lm.run("plan", "--json", "tokens"))["tokens"]["reasons"]
    assert (reason["kind"], reason["reason"]) == ("accepted", "the same sum")
    explained = lm.run("explain", "tokens", "--code").out
    assert "accepted 20" in explained
    assert "+    return n + n" in explained, "what was accepted is still to be seen"
    again = lm.run("accept", "tokens", "--reason", "x")
    assert (again.code, "no drift: nothing to accept" in again.out) == (0, True)
    lm.write("lm/text.py", TEXT.replace("n * 2", "n + n + 1"))
    assert len(_drift(lm)) == 1
    lm.write("lm/text.py", TEXT)
    assert _drift(lm) == []


def test_an_acceptance_ends_with_the_build_it_is_about(lm: Project) -> None:
    """Else it speaks of an output that nobody had seen when it was given."""
    lm.write("lm/text.py", TEXT.replace("n * 2", "n + n"))
    lm.run("accept", "tokens", "--reason", "the same sum")
    kept = lm.output_of("tokens") / ".accepted.json"
    assert json.loads(kept.read_text())["accepted"][0]["reason"] == "the same sum"
    assert lm.run("apply", "-q", "tokens", "--force", "tokens").code == 0
    manifest = lm.attempt_of("tokens", 2)["publish"]["manifest"]
    assert [entry["path"] for entry in manifest] == ["n"], "it is no data"
    lm.write("lm/text.py", TEXT)
    (line,) = _drift(lm, "tokens")
    assert "lm.text.clean() +1 -1" in line


def test_only_what_is_built_can_be_accepted(lm: Project) -> None:
    """Else a user vouches for what is not there; or has to name all others one by one."""
    refused = lm.run("accept", "model", "--set", "n=4", "--reason", "x")
    assert (refused.code, "cannot accept targets that are not built" in refused.err) == (4, True)
    assert not list((lm.root / OUTPUTS).glob("*/.accepted.json"))
    lm.write("lm/text.py", TEXT.replace("n * 2", "n + n"))
    (status,) = (lm.root / OUTPUTS).glob("model_*/.executor_status")
    status.unlink()
    some = lm.run("accept", "+model", "--reason", "x")
    assert (some.code, some.err) == (0, "")
    assert "model_HASH  not built: nothing to accept\n" in lm.mask(some.out)
    assert "accepted " in some.out
    assert lm.run("accept", "tokens").code == 4
    assert lm.run("accept", "tokens", "--reason", " ").code == 4


def test_rebuild_names_the_function_that_changed(lm: Project) -> None:
    """Else a costly rebuild says `code changed`, and nobody knows which."""
    lm.run("apply", "-q", "--code-policy", "rebuild")
    lm.write("lm/text.py", TEXT.replace("n * 2", "n * 3"))
    planned = lm.run("plan", "--code-policy", "rebuild")
    cause = "code changed: lm.text.clean() +1 -1 (via tokens -> batch -> clean)"
    assert lm.mask(planned.out) == (
        f"  ~ rebuild  tokens_HASH  {cause} (pipeline.py:31)\n"
        f"  ! cascade  model_HASH   needs tokens, which changed: {cause}\n"
        "  = 1 reused, not shown (-v shows them)\n"
        "plan p-PLAN: 2 to build (1 rebuild, 1 cascade), 1 reused\n"
        "to build it: marin-build apply --code-policy rebuild\n"
    )
    explained = lm.run("explain", "tokens", "--code", "--code-policy", "rebuild")
    assert "-    return n * 2\n+    return n * 3\n" in explained.out
    assert _decisions(lm.run("plan", "--json"))["tokens"]["decision"] == "pruned"


def test_a_policy_stands_in_the_configuration_and_the_steps_own_word_wins(lm: Project) -> None:
    """Else a project cannot decide once, or an author's word is overruled by accident."""
    lm.write("lm/text.py", TEXT.replace("n * 2", "n * 3"))
    assert lm.run("plan", "--detailed-exitcode").code == 0
    lm.write("marin-build.toml", 'code = "rebuild"\n')
    assert lm.run("plan", "--detailed-exitcode").code == 2
    assert _drift(lm, "--code-policy", "report")
    assert _drift(lm, "--code-policy", "ignore") == []
    (lm.root / "marin-build.toml").unlink()
    lm.pipeline(PIPELINE.replace("@step\ndef tokens", '@step(code="report")\ndef tokens'))
    assert len(_drift(lm, "--code-policy", "ignore")) == 1
    lm.pipeline(PIPELINE.replace("@step\ndef tokens", '@step(code="ignore")\ndef tokens'))
    assert _drift(lm) == []
    lm.write("marin-build.toml", 'code = "always"\n')
    refused = lm.run("plan")
    assert (refused.code, "one of report, rebuild, ignore" in refused.err) == (4, True)


def test_a_saved_plan_keeps_the_policy_it_was_made_with(lm: Project) -> None:
    """Else its targets have other names when it is applied."""
    lm.run("plan", "--code-policy", "rebuild", "-o", "rebuilding")
    assert lm.run("apply", "rebuilding", "--code-policy", "report").code == 4
    assert lm.run("apply", "rebuilding", "-q").code == 0
    assert lm.counts() == {"corpus": 2, "model": 2, "tokens": 2}
    lm.run("plan", "--set", "n=7", "-o", "reporting")
    lm.write("marin-build.toml", 'code = "rebuild"\n')
    script = lm.bash("reporting/run.sh")
    assert script.code == 0, script.err
    assert lm.counts()["model"] == 3


def test_what_a_script_builds_records_the_same_digests_as_apply(lm: Project) -> None:
    """Else a pipeline that engines built has drifted everywhere, or nowhere."""
    names = ("corpus", "tokens", "model")
    before = {name: _record(lm, name)["deep_code_digest"] for name in names}
    assert len(set(before.values())) == 3
    lm.run("plan", "-o", "plan", "--prefix", "other")
    assert lm.bash("plan/run.sh").code == 0
    for name in names:
        record = json.loads((lm.output_of(name, "other") / ".executor_info").read_text())
        assert record["deep_code_digest"] == before[name]


def test_what_was_made_from_an_output_that_other_code_replaced_is_told(lm: Project) -> None:
    """Else what lies below a model is not what it was trained on, and nobody knows."""
    lm.pipeline(PIPELINE.replace("str(n)", "str(n + 0)"))
    assert lm.run("apply", "-q", "corpus", "--force", "corpus").code == 0
    assert _drift(lm) == ["tokens_HASH  built before different code rebuilt corpus_HASH; reused"]
    assert lm.run("accept", "tokens", "--reason", "zero").code == 0
    assert _drift(lm) == []


def test_a_lock_file_that_changed_is_told_in_one_line(project: Project) -> None:
    """Else an upgrade that changes every result goes unseen, or is a wall of text."""
    project.write("uv.lock", "numpy 1")
    project.pipeline(
        "from marin_build import command\n"
        "targets = [command('echo x > {output}/x', name=f's{i}') for i in range(9)]\n"
    )
    project.run("apply", "-q")
    project.write("uv.lock", "numpy 2")
    (line,) = _drift(project)
    assert line.split(maxsplit=2)[:2] == ["9", "targets"]
    assert line.endswith("environment changed since built: uv.lock changed; reused")
    assert project.run("apply").out.startswith("nothing to do: 9 targets are reused\n")
    assert project.run("accept", "*", "--reason", "only the linter").code == 0
    assert _drift(project) == []


def test_third_party_code_counts_by_its_version(project: Project) -> None:
    """Else an upgrade of what a step imports goes unseen."""
    site = project.home / "site-packages"

    def install(version: str) -> None:
        info = site / f"fakelib-{version}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: fakelib\nVersion: {version}")
        (info / "top_level.txt").write_text("fakemodule\n")
        (site / "fakemodule.py").write_text(f"def go(): return {version!r}\n")

    install("1.0")
    project.environment["PYTHONPATH"] = str(site)
    project.pipeline(
        "from pathlib import Path\n"
        "import fakemodule\n"
        "from marin_build import step\n"
        "@step\n"
        "def one(output: Path) -> None:\n"
        "    (output / 'x').write_text(fakemodule.go())\n"
        "def pipeline():\n    return one()\n"
    )
    assert project.run("apply", "-q").code == 0
    assert _record(project, "one")["environment"]["distributions"] == {"fakelib": "1.0"}
    assert _drift(project) == []
    (site / "fakelib-1.0.dist-info" / "METADATA").unlink()
    (site / "fakelib-1.0.dist-info" / "top_level.txt").unlink()
    (site / "fakelib-1.0.dist-info").rmdir()
    install("2.0")
    assert _drift(project) == [
        "one_HASH  environment changed since built: fakelib 1.0 -> 2.0; reused"
    ]


def test_the_image_of_a_container_is_recorded_and_compared(lm: Project) -> None:
    """Else what another image built is taken for the same."""
    variable = "MARIN_BUILD_IMAGE"
    lm.run("apply", "-q", "--set", "n=5", env={variable: "registry/lm@sha256:1"})
    planned = lm.run("plan", "--set", "n=5", env={variable: "registry/lm@sha256:2"})
    assert "image registry/lm@sha256:1 -> registry/lm@sha256:2; reused" in planned.out
    assert _drift(lm, "--set", "n=5") == [], "no image here: there is nothing to compare with"


def test_revisions_are_compared_under_the_same_policy(lm: Project) -> None:
    """Else `diff` says that nothing rebuilds, and `apply` with the policy rebuilds all."""

    def git(*args: str) -> None:
        who = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
        assert lm.execute(["git", *who, *args]).code == 0

    lm.write(".gitignore", ".marin-build/\n__pycache__/\nran.txt\n")
    git("init", "-q")
    git("add", "-A")
    git("commit", "-q", "-m", "one")
    lm.write("lm/text.py", TEXT.replace("n * 2", "n * 3"))
    plain = lm.run("diff", "HEAD", "--json").document["differences"]
    assert [(each["kind"], each["name"]) for each in plain] == [("code", "tokens")]
    found = lm.run("diff", "HEAD", "--json", "--code-policy", "rebuild").document["differences"]
    assert [(each["kind"], each["name"]) for each in found] == [
        ("changed", "tokens"), ("cascade", "model"),
    ]  # fmt: skip
    chosen = lm.run("plan", "changed-since:HEAD", "--code-policy", "rebuild", "--json")
    assert _decisions(chosen).keys() == {"corpus", "tokens", "model"}
    assert chosen.document["requested"] == [
        each["target"] for each in chosen.document["decisions"] if each["name"] != "corpus"
    ]


def test_explain_lists_a_constant_that_the_environment_decides(lm: Project) -> None:
    """Else results depend on a variable of whoever applies, and nothing says so."""
    lm.write("lm/text.py", "import os\nN = int(os.environ.get('NN', 2))\n" + TEXT.replace("2", "N"))
    told = lm.run("explain", "tokens", "--code")
    assert told.code == 0, told.err
    assert "unseen    the value of lm.text.N, which is computed on import" in told.out


def test_rebuild_sees_a_module_whose_package_calls_something_else_so(project: Project) -> None:
    """Else `rebuild` reuses what other code has built."""
    project.write("pkg/__init__.py", "from .tok import tok\n")
    tok = "def tok(): return 1\ndef other(): return 1\n"
    project.write("pkg/tok.py", tok)
    project.pipeline(
        "from pathlib import Path\nfrom marin_build import step\nfrom pkg.tok import other\n\n\n"
        "@step(code='rebuild')\ndef one(output: Path) -> None:\n"
        "    (output / 'n').write_text(str(other()))\n\n\ndef pipeline():\n    return one()\n"
    )
    assert project.run("apply", "-q").code == 0
    project.write("pkg/tok.py", tok.replace("other(): return 1", "other(): return 2"))
    assert project.run("plan", "--detailed-exitcode").code == 2
