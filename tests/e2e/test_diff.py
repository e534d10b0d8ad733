"""A change is reviewed before it is merged: what will rebuild must be told from the code alone."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING, Any

import pytest

from .support import BIN, DIAMOND

if TYPE_CHECKING:
    from pathlib import Path

    from .support import Done, Gate, Project

HELPER = "def words(text):\n    return text.split()\n"
PIPELINE = """\
from pathlib import Path

from helper import words
from marin_build import command, source, step


@step
def tokens(output: Path, text: Path, size: int = 4) -> None:
    (output / "tokens.txt").write_text(str(words(text.read_text())[:size]))


@step(tags=("model",))
def train(output: Path, tokens: Path, rate: float) -> None:
    (output / "model.txt").write_text((tokens / "tokens.txt").read_text() * 2)


def pipeline(rates: tuple[float, ...] = (0.1, 0.2)):
    print("loading")
    made = tokens(text=source("corpus.txt"))
    return [train(tokens=made, rate=rate) for rate in rates]
"""


class Repository:
    """A project in a git repository."""

    def __init__(self, project: Project, temporary: Path) -> None:
        self.project, self.temporary = project, temporary
        temporary.mkdir()
        project.environment["TMPDIR"] = str(temporary)
        project.write(".gitignore", ".marin-build/\n__pycache__/\n*.data\nplans/\n")
        self.git("init", "-q", "-b", "main")

    def git(self, *args: str) -> str:
        who = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
        done = self.project.execute(["git", *who, *args])
        assert done.code == 0, done.err
        return done.out

    def commit(self, **files: str) -> None:
        for name, text in files.items():
            self.project.write(f"{name}.py", text)
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", "a change")

    def run(self, *args: str, **more: Any) -> Done:
        """Run marin-build, and check that it left nothing behind."""
        before = self.git("status", "--porcelain"), self.git("rev-parse", "HEAD")
        done = self.project.run(*args, **more)
        self.assert_clean()
        assert before == (self.git("status", "--porcelain"), self.git("rev-parse", "HEAD"))
        return done

    def assert_clean(self) -> None:
        assert len(self.git("worktree", "list").splitlines()) == 1
        assert list(self.temporary.iterdir()) == []
        assert not (self.project.root / ".git" / "worktrees").exists()

    def names(self, *args: str) -> list[tuple[str, str]]:
        """Return kind and name of each difference."""
        done = self.run("diff", *args, "--json")
        assert done.code == 0, done.err
        return [(each["kind"], each["name"]) for each in done.document["differences"]]


@pytest.fixture
def repository(project: Project, tmp_path: Path) -> Repository:
    made = Repository(project, tmp_path / "temporary")
    project.write("corpus.txt", "to be or not to be\n")
    made.commit(pipeline=PIPELINE, helper=HELPER)
    return made


def test_the_working_tree_is_compared_with_a_revision(repository: Repository) -> None:
    text = PIPELINE.replace("size: int = 4", "size: int = 8").replace("(0.1, 0.2)", "(0.1, 0.3)")
    repository.project.pipeline(text + "\nextra = command('true', name='extra')\n")
    done = repository.run("diff", "HEAD")
    assert (done.code, done.err) == (0, "")
    commit = repository.git("rev-parse", "--short=8", "HEAD").strip()
    assert repository.project.mask(done.out).replace(commit, "COMMIT") == (
        "  ~ changed  tokens_HASH  attrs.size 4 -> 8  (pipeline.py:19)\n"
        "                              code changed\n"
        "  ! cascade  train_HASH   needs tokens, which changed: attrs.size 4 -> 8"
        "  (pipeline.py:20)\n"
        "  ~ changed  train_HASH   attrs.rate 0.2 -> 0.3  (pipeline.py:20)\n"
        "                              needs tokens, which changed: attrs.size 4 -> 8\n"
        "HEAD (COMMIT) .. the working tree: 2 changed, 1 cascade; 0 the same\n"
    )


def test_two_versions_of_one_module_are_compared(repository: Repository) -> None:
    """Else the second is taken from the cache of imports, and nothing ever differs."""
    repository.commit(helper=HELPER.replace("split()", "split(' ')"))
    repository.commit(helper=HELPER + "# a comment\n")
    assert repository.names("HEAD~2", "HEAD~1") == [("code", "tokens")]
    assert repository.names("HEAD~2", "HEAD") == []
    assert repository.names("HEAD", "HEAD") == []


def test_the_document(repository: Repository) -> None:
    repository.project.write("corpus.txt", "that is the question\n")
    done = repository.run("diff", "main", "--json", "--set", "rates=[0.1]")
    assert done.err == ""
    document = done.document
    tokens, train = document.pop("differences")
    assert document == {
        "schema_version": 1,
        "old": {
            "kind": "revision", "name": "main", "pipeline": "pipeline.py", "targets": 2,
            "commit": repository.git("rev-parse", "main").strip(),
        },
        "new": {
            "kind": "working tree", "name": "the working tree", "commit": None, "targets": 2,
            "pipeline": "pipeline.py",
        },
        "summary": {
            "appeared": 0, "vanished": 0, "changed": 1, "renamed": 0, "cascade": 1, "code": 0,
            "decision": 0, "same": 0,
        },
    }  # fmt: skip
    assert tokens["reasons"] == ["inputs.corpus.txt changed"]
    assert [leaf["path"] for leaf in tokens["leaves"]] == ["inputs.corpus.txt"]
    assert (tokens["kind"], tokens["name"], tokens["code_changed"]) == ("changed", "tokens", False)
    assert train["leaves"] == [{"path": "deps.tokens", "old": tokens["old"], "new": tokens["new"]}]


def test_the_exit_code_tells_whether_there_is_a_difference(repository: Repository) -> None:
    """Else a check in CI has to parse what is written for people."""
    assert repository.run("diff", "HEAD", "--detailed-exitcode").code == 0
    repository.project.write("helper.py", HELPER.replace("split()", "split('x')"))
    assert repository.run("diff", "HEAD").code == 0
    assert repository.run("diff", "HEAD", "--detailed-exitcode").code == 2


def test_data_that_git_ignores_is_the_same_on_both_sides(repository: Repository) -> None:
    """Corpora are ignored; without them an old revision could not be loaded."""
    project = repository.project
    project.write("large.data", "x" * 1000)
    project.write("prompts/kept.txt", "tracked")
    project.write("prompts/part.data", "y" * 1000)
    repository.commit(
        pipeline=PIPELINE.replace('"corpus.txt"', '"large.data"').replace(
            "    return [",
            '    tree = command("true {x}", name="tree", inputs={"x": source("prompts")})\n'
            "    return [tree, ",
        ).replace("return [tree, train", "return [tree] + [train")
    )  # fmt: skip
    assert repository.names("HEAD") == []
    assert (project.root / "prompts" / "part.data").exists()
    # What is only not added yet belongs to the working tree.
    project.write("prompts/new.txt", "untracked")
    assert repository.names("HEAD") == [("changed", "tree")]


def test_packages_installed_from_the_checkout_are_those_of_the_revision(
    repository: Repository,
) -> None:
    """Else src/ of the working tree is compared with itself."""
    project = repository.project
    (project.root / "helper.py").unlink()
    project.write("src/helper.py", HELPER)
    project.environment["PYTHONPATH"] = str(project.root / "src")
    repository.commit()
    assert repository.names("HEAD") == []
    project.write("src/helper.py", HELPER.replace("split()", "split('x')"))
    assert repository.names("HEAD") == [("code", "tokens")]


def test_a_pipeline_of_a_subfolder(repository: Repository) -> None:
    """From its own folder, and where a revision has only the pipeline above it."""
    project = repository.project
    other = project.write("other/pipeline.py", DIAMOND).parent
    project.write("other/marin-build.toml", "")
    done = repository.run("diff", "HEAD", "--json", cwd=other)
    assert [each["kind"] for each in done.document["differences"]] == ["appeared"] * 4
    assert done.document["old"]["pipeline"] is None
    assert "there is no pipeline in HEAD" in repository.run("diff", "HEAD", cwd=other).out
    repository.commit()
    project.write("other/pipeline.py", DIAMOND.replace("left: int = 1", "left: int = 5"))
    for done in (
        repository.run("diff", "HEAD", "--json", cwd=other),
        repository.run("diff", "HEAD", "--json", "-f", "other/pipeline.py"),
        repository.run("diff", "HEAD", "--json", "-f", str(other / "pipeline.py"), cwd=other),
    ):
        names = [(each["kind"], each["name"]) for each in done.document["differences"]]
        assert names == [("changed", "left"), ("cascade", "report")]


def test_inside_a_hook(repository: Repository) -> None:
    """Git sets GIT_DIR and GIT_INDEX_FILE there, which would lead the checkout astray."""
    repository.project.pipeline(PIPELINE.replace("= 4", "= 5"))
    done = repository.run("diff", "HEAD", env={"GIT_DIR": ".git", "GIT_INDEX_FILE": "nowhere"})
    assert (done.code, done.err) == (0, "")
    assert "attrs.size 4 -> 5" in done.out


def test_a_revision_that_cannot_be_loaded(repository: Repository) -> None:
    repository.commit(pipeline="import not_there\n")
    repository.commit(pipeline=PIPELINE)
    done = repository.run("diff", "HEAD~1", "HEAD")
    assert (done.code, done.out) == (4, "")
    assert done.err == (
        "error: the pipeline of HEAD~1 cannot be loaded\n"
        "  reason: the pipeline raised ModuleNotFoundError: No module named 'not_there'\n"
        "            at: pipeline.py:1\n"
        "            nothing was run\n"
        "  nothing was compared\n"
    )


def test_what_is_no_revision(repository: Repository) -> None:
    done = repository.run("diff", "mian", "HEAD")
    assert (done.code, done.out) == (4, "")
    assert done.err == (
        "error: `mian` is neither a plan directory, a run nor a git revision\n"
        "  nothing was compared\n"
        "hint: did you mean `main`?\n"
    )
    assert repository.run("diff", "--", "-x", "HEAD").code == 4


def test_no_pipeline_on_either_side(repository: Repository) -> None:
    done = repository.run("diff", "HEAD", "-f", "other.py")
    assert done.code == 4
    assert "there is no pipeline, neither in HEAD" in done.err


def test_outside_git(project: Project) -> None:
    project.pipeline(PIPELINE)
    done = project.run("diff", "HEAD", env={"GIT_CEILING_DIRECTORIES": str(project.root.parent)})
    assert (done.code, done.out) == (4, "")
    assert "is not in a git checkout" in done.err


@pytest.mark.parametrize(
    ("number", "whom"),
    [(signal.SIGINT, "group"), (signal.SIGTERM, "program"), (signal.SIGINT, "program")],
)
def test_an_interrupt_leaves_nothing_behind(
    repository: Repository, gate: Gate, number: int, whom: str
) -> None:
    """A forgotten worktree blocks branches and fills the disk."""
    repository.commit(pipeline="from gate import wait_at_gate\nwait_at_gate('x')\n" + PIPELINE)
    running = repository.project.start("diff", "HEAD~1", "HEAD")
    gate.wait_started()
    assert len(repository.git("worktree", "list").splitlines()) == 3
    if whom == "group":
        running.send_group(number)
    else:
        running.send(number)
    done = running.wait()
    assert (done.code, done.out, done.err) == (130, "", "\ninterrupted\n")
    assert running.wait_until_all_gone() == {}
    repository.assert_clean()


def test_plan_directories(repository: Repository) -> None:
    project = repository.project
    assert project.run("plan", "-o", "plans/a").code == 0
    assert project.run("plan", "-o", "plans/b", "--set", "rates=[0.1, 0.4]").code == 0
    done = repository.run("diff", "plans/a", "plans/b")
    assert project.mask(done.out) == (
        "  ~ changed  train_HASH  attrs.rate 0.2 -> 0.4  (pipeline.py:20)\n"
        "plans/a .. plans/b: 1 changed; 2 the same\n"
    )
    assert repository.names("plans/a", "HEAD") == []
    assert repository.names("HEAD", "plans/b") == [("changed", "train")]
    # What was built meanwhile is decided otherwise, and what that prunes has not vanished.
    assert project.run("apply", "-q").code == 0
    assert project.run("plan", "-o", "plans/c").code == 0
    assert repository.names("plans/a", "plans/c") == [
        ("decision", "train"), ("decision", "train"), ("decision", "tokens"),
    ]  # fmt: skip
    assert repository.names("plans/c", "HEAD") == []


def test_plans_need_neither_pipeline_nor_git(project: Project) -> None:
    """Else a plan of last week can be compared only as long as nothing has changed since."""
    project.write("corpus.txt", "to be or not to be\n")
    project.write("helper.py", HELPER)
    project.pipeline(PIPELINE)
    assert project.run("apply", "-q").code == 0
    assert project.run("plan", "-o", "plans/a").code == 0  # `tokens` is pruned
    project.pipeline(PIPELINE.replace("size: int = 4", "size: int = 8"))
    assert project.run("plan", "-o", "plans/b").code == 0
    elsewhere = project.root.parent / "elsewhere"
    (project.root / "plans").rename(elsewhere)
    (project.root / "pipeline.py").unlink()
    done = project.run("diff", "a", "b", cwd=elsewhere, env={"PATH": f"{BIN}"})
    assert done.err == ""
    assert project.mask(done.out) == (
        "  ~ changed  tokens_HASH  attrs.size 4 -> 8  (pipeline.py:19)\n"
        "  ! cascade  train_HASH   needs tokens, which changed: attrs.size 4 -> 8"
        "  (pipeline.py:20)\n"
        "  ! cascade  train_HASH   needs tokens, which changed: attrs.size 4 -> 8"
        "  (pipeline.py:20)\n"
        "a .. b: 1 changed, 2 cascade; 0 the same\n"
    )
    (elsewhere / "a/plan.json").write_text("{}")
    assert project.run("diff", "a", "b", cwd=elsewhere).code == 5


def _planned(repository: Repository, *selectors: str) -> list[str]:
    done = repository.run("plan", "--json", "--all", *selectors)
    assert done.code == 0, done.err
    requested = json.loads(done.out[done.out.index("{") :])["requested"]
    return sorted(target.rpartition("_")[0] for target in requested)


def test_selectors_ask_git(repository: Repository) -> None:
    """By code and inputs: a helper two modules away counts, a README does not."""
    assert _planned(repository, "changed-since:HEAD") == []
    assert repository.run("apply", "changed-since:HEAD").code == 0
    repository.project.write("README.md", "words\n")
    assert _planned(repository, "changed-since:main") == []
    repository.project.write("helper.py", HELPER.replace("split()", "split('x')"))
    assert _planned(repository, "changed-since:HEAD") == ["tokens"]
    assert _planned(repository, "changed-since:HEAD+,^tokens") == ["train", "train"]
    repository.project.write("corpus.txt", "other words\n")
    assert _planned(repository, "changed-since:HEAD&tag:model") == ["train", "train"]
    done = repository.run("plan", "changed-since:mian")
    assert done.code == 4
    assert done.err == (
        "loading\n"  # what the pipeline prints
        "error: `changed-since:mian`: git knows no such revision\n"
        "  nothing was compared\n"
        "hint: did you mean `main`?\n"
    )


def test_selectors_ask_the_store(repository: Repository) -> None:
    project = repository.project
    project.pipeline(
        PIPELINE.replace('    (output / "model', '    assert rate != 0.2\n    (output / "model')
    )
    assert _planned(repository, "status:missing") == ["tokens", "train", "train"]
    assert project.run("apply", "-q", "-k").code == 1
    assert _planned(repository, "status:failed") == ["train"]
    assert _planned(repository, "status:success") == ["tokens", "train"]
    assert _planned(repository, "status:success,^tokens") == ["train"]
    assert _planned(repository, "status:running") == []
