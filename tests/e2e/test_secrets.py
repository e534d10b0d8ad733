"""No secret reaches what is written or shown; what is refused says how to go on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .support import Project

PIPELINE = """\
import os
from pathlib import Path
from marin_build import Secret, command, step


@step
def fetch(output: Path, token: Secret[str], url: str) -> None:
    print(token.reveal(), os.environ["ACME_LOGIN"], "ftp://u:" + "l0ng" + "w0rd@h")
    (output / "page").write_text("x")


def pipeline(token: Secret[str] = Secret("env:LAB"), url: str = "https://h/x", password: str = ""):
    return [fetch(token=token, url=url), command(f"echo {password} > {{output}}/a", name="say")]
"""
VALUES = ("hunt3r", "acm3login", "l0ngw0rd", "s3cr3tpw")


def _holds(project: Project) -> list[str]:
    """Return the files below the project that hold one of the values, but for the pipeline."""
    return [
        str(path.relative_to(project.root))
        for path in project.root.rglob("*")
        if path.is_file() and any(value.encode() in path.read_bytes() for value in VALUES)
    ]


@pytest.mark.parametrize("isolation", ["process", "thread"])
def test_secrets_reach_no_file(project: Project, isolation: str) -> None:
    """Else logs and records give away what only the step was to know."""
    project.pipeline(PIPELINE)
    project.write("marin-build.toml", 'secrets = ["ACME_*"]\n')
    project.environment |= {"LAB": "hunt3r", "ACME_LOGIN": "acm3login"}
    assert project.run("apply", "--isolation", isolation).code == 0
    assert project.run("plan", "-o", "saved").code == 0
    said = project.run("logs", "fetch").out
    assert said == "[env:LAB] [ACME_LOGIN] ftp://u:[secret]@h\n"
    assert _holds(project) == []


@pytest.mark.parametrize(
    ("given", "where"),
    [
        ("url=https://u:s3cr3tpw@h/x", "`fetch.attrs.url` holds a password in a URL"),
        ("password=s3cr3tpw", "`--set password=...` holds what is called a secret"),
        ("token=s3cr3tpw", "expected: a reference to a secret: env:NAME, or file:PATH"),
    ],
)
def test_a_value_that_is_a_secret_is_neither_shown_nor_written(
    project: Project, given: str, where: str
) -> None:
    """Else plan.json, scripts and pages hold it."""
    project.pipeline(PIPELINE)
    commands = ["plan", "plan --json", "plan -o saved", "explain fetch", "apply fetch",
                "graph --format html -o page.html", "graph --format json"]  # fmt: skip
    for words in [line.split() for line in commands]:
        done = project.run(*words, "--set", given)
        assert "s3cr3tpw" not in done.out + done.err
        if words[:1] == ["plan"]:
            assert where in done.err
        if words == ["plan", "-o", "saved"]:
            assert done.code == 4
    assert not (project.root / "saved").exists()
    assert _holds(project) == []


ENGINES = {
    "container": (".out", ""),
    "slurm": (".out", 'setup = ["module load x"]\n'),
    "ray": (".out", 'address = "http://127.0.0.1:1"\n'),
    "kubernetes": ("memory://b/x", 'secrets = ["lab"]\n'),
    "tpu-vm": ("memory://b/x", 'project = "my-project"\nzone = "us-east5-a"\n'),
}
ON_ENGINES = """\
import os
from pathlib import Path
from marin_build import ResourceConfig, Secret, command, step

TPU = "TPU" in os.environ
ROOM = ResourceConfig.with_tpu("v5p-8") if TPU else ResourceConfig.with_cpu(1)
IMAGE = "registry.example/lm@sha256:" + "0" * 64
ROOM = ROOM if "PLAIN" in os.environ else ROOM.with_image(IMAGE)
OWN = {name: os.environ[name] for name in ("LAB", "ACME_LOGIN", "API_TOKEN")}


@step(resources=ROOM, env_vars=OWN)
def fetch(output, token: Secret[str]) -> int:
    return 1


def pipeline(token: Secret[str] = Secret("env:LAB")):
    said = command("echo {output}", name="say", env_vars=OWN, resources=ROOM)
    return [fetch(token=token), said]
"""


@pytest.mark.parametrize("engine", ENGINES)
def test_no_file_for_an_engine_holds_a_secret(project: Project, engine: str) -> None:
    """Else a job spec, which others may read in the cluster, gives it away."""
    prefix, settings = ENGINES[engine]
    project.pipeline(ON_ENGINES)
    project.write("marin-build.toml", f'secrets = ["ACME_*", "LAB"]\n[{engine}]\n{settings}')
    project.environment |= {"LAB": "hunt3r", "ACME_LOGIN": "acm3login", "API_TOKEN": "s3cr3tpw"}
    if engine == "tpu-vm":
        project.environment["TPU"] = "1"
    if engine in {"slurm", "ray"}:
        project.environment["PLAIN"] = "1"
    done = project.run("plan", "--engine", engine, "--prefix", prefix, "-o", "there")
    assert done.code == 0, done.err
    specs = [path for path in (project.root / "there" / "steps").rglob("*") if path.is_file()]
    assert len(specs) == 2
    assert _holds(project) == []
    assert not any(value in done.out + done.err for value in VALUES)
