"""Jobs that load the project's code from a bundle, really run by podman and by Slurm."""

from __future__ import annotations

import json
import os
import zipfile
from typing import TYPE_CHECKING

import pytest

from tests.servers.gcs import GcsServer
from tests.servers.podman import find_podman, private_podman
from tests.servers.slurm import find_slurm, slurm_cluster, wait_until

from .slurm_support import until_empty
from .support import OUTPUTS, PATIENCE, PROGRAM, shellcheck

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers.slurm import Cluster

    from .support import Gate, Project

pytestmark = pytest.mark.skipif(
    not (find_podman() and find_slurm()), reason="needs podman and Slurm, and to be root"
)
PIPELINE = """\
import os
from pathlib import Path

import words
from marin_build import ResourceConfig, command, source, step

ROOM = ResourceConfig.with_cpu(1)
HERE = Path(__file__).parent


@step(resources=ROOM)
def told(output: Path, text: Path) -> str:
    (output / "said").write_text(words.SAID + text.read_text())
    assert Path.cwd() == HERE
    return str(HERE)


@step(resources=ROOM)
def kept(output: Path, counted: Path, told: str) -> str:
    (output / "size").write_text((counted / "size").read_text())
    return words.SAID


def pipeline():
    said = told(text=source("in put/text"))
    counted = command(
        "{script} {told}/said > {output}/size",
        name="counted", deps={"told": said}, outputs=("size",), resources=ROOM,
        inputs={"script": source("bin/count it")},
    )
    return kept(counted=counted, told=said)
"""
BUNDLES = f"{OUTPUTS}/.marin-build/bundles"


def _write(project: Project) -> None:
    project.pipeline(PIPELINE)
    project.write("words.py", 'SAID = "first"\n')
    project.write("in put/text", "of all")
    project.write("bin/count it", '#!/bin/sh\nexec wc -c "$1"\n').chmod(0o755)


@pytest.fixture
def boxed(project: Project, tmp_path: Path) -> Iterator[Project]:
    """A project whose steps run in containers that do not see the project's folder."""
    project.environment["PATH"] = f"{PROGRAM.parent}:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"
    _write(project)
    project.write(
        "marin-build.toml",
        '[container]\nimage = "/:O"\npoll = 0.3\ncode_from = "bundle"\n'
        f'program = "{PROGRAM}"\n'
        f'options = ["--rootfs", "--timeout={2 * PATIENCE:.0f}", "--tmpfs={project.root}"]\n',
    )
    with private_podman(tmp_path) as podman:
        project.environment |= podman.environment
        yield project


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """One cluster for the tests of this file."""
    with slurm_cluster(tmp_path_factory.mktemp("slurm"), 1) as made:
        yield made


@pytest.fixture
def on_slurm(project: Project, cluster: Cluster, gate: Gate) -> Iterator[Project]:
    """A project whose jobs on Slurm load bundles."""
    project.environment |= cluster.environment
    _write(project)
    (project.home / "tmp").mkdir()
    setup = f'["export TMPDIR={project.home}/tmp", "export GATE={gate.folder}"]'
    project.write(
        "marin-build.toml",
        'engine = "slurm"\n[slurm]\npoll = 0.5\ncode_from = "bundle"\n'
        f'program = "{PROGRAM}"\nsetup = {setup}\n',
    )
    yield project
    cluster.end_all_jobs()


def _record(project: Project, name: str, prefix: str = OUTPUTS) -> dict[str, object]:
    record = json.loads((project.output_of(name, prefix) / ".executor_info").read_text())
    keys = ("target", "fingerprint", "payload", "code_digest", "deep_code_digest")
    return {key: record[key] for key in keys}


def _bundles(project: Project, folder: str = BUNDLES) -> list[str]:
    return sorted(path.name for path in (project.root / folder).glob("*"))


def test_a_container_loads_the_code_from_a_bundle(boxed: Project) -> None:
    """Else an image must be built for each change of the code, or every machine see the project."""
    assert boxed.run("apply", "counted", "--prefix", "here").code == 0
    done = boxed.run("apply", "counted", "--isolation", "container")
    assert done.code == 0, done.err
    assert boxed.output_of("counted").joinpath("size").read_text().split()[0] == "11"
    folder = json.loads((boxed.output_of("told") / ".artifact.json").read_text())
    assert "marin-build-code-" in str(folder)
    # Where the code comes from is no part of what a step is.
    for name in ("told", "counted"):
        assert boxed.attempt_of(name)["engine"] == "container"
        assert _record(boxed, name) == _record(boxed, name, "here")
    (first,) = _bundles(boxed)
    with zipfile.ZipFile(boxed.root / BUNDLES / first) as archive:
        assert sorted(archive.namelist()) == [
            "bin/count it", "in put/text", "marin-build.toml", "pipeline.py", "words.py",
        ]  # fmt: skip
    # What has nothing to build makes no bundle, whatever has changed.
    boxed.write("notes.md", "x")
    assert "nothing to do" in boxed.run("apply", "counted", "--isolation", "container").out
    assert _bundles(boxed) == [first]


def test_no_secret_leaves_the_machine_with_a_bundle(boxed: Project) -> None:
    """Else a token lies in a bucket, where all who read outputs can read it."""
    boxed.write(".env", "TOKEN=hush-hush-1\n")
    boxed.write("deploy.pem", "hush-hush-2\n")
    environ = {"API_TOKEN": "hush-hush-3", "SECRET_KEY": "hush-hush-4"}
    done = boxed.run("apply", "--engine", "container", env=environ)
    assert done.code == 4
    assert "deploy.pem" in done.err
    assert not (boxed.root / OUTPUTS).exists()
    (boxed.root / "deploy.pem").unlink()
    assert boxed.run("plan", "--engine", "container", "-o", "there", env=environ).code == 0
    assert boxed.run("run-step", "--plan", "there", "--send-code", env=environ).code == 0
    files = [path for path in boxed.root.rglob("*") if path.is_file() and path.name != ".env"]
    assert len([path for path in files if path.suffix == ".zip"]) == 2
    assert not [path for path in files if b"hush-hush" in path.read_bytes()]


@pytest.mark.parametrize(
    ("setting", "file", "said"),
    [
        ('bundle_limit = "10Ki"', "large.bin", "large.bin"),
        ('bundle_limit = "0"', "", "`container.bundle_limit` is no size"),
        ('code_from = "git"', "", "`container.code_from` is one of project, bundle, image"),
    ],
)
def test_what_cannot_be_sent_is_told_before_anything_runs(
    boxed: Project, setting: str, file: str, said: str
) -> None:
    """Else half of a plan is built, and the rest cannot be."""
    text = boxed.file("marin-build.toml")
    if setting.startswith("code_from"):
        text = text.replace('code_from = "bundle"\n', "")
    boxed.write("marin-build.toml", f"{text}{setting}\n")
    if file:
        boxed.write(file, "x" * 20_000)
    done = boxed.run("apply", "--engine", "container")
    assert done.code == 4
    assert said in done.err
    assert not list((boxed.root / OUTPUTS).glob("told_*"))


def test_an_input_that_git_ignores_is_told_before_anything_runs(boxed: Project) -> None:
    """Else each job fails with a file that is there for all that its author can see."""
    assert boxed.bash("-c", "git init -q . && echo 'in put/' > .gitignore").code == 0
    done = boxed.run("apply", "--engine", "container")
    assert done.code == 4
    assert "in put/text: an input of `told`" in done.err
    boxed.write(".gitignore", "pipeline.py")
    assert "pipeline.py: the pipeline" in boxed.run("apply", "--engine", "container").err


def test_a_saved_plan_runs_the_code_that_was_reviewed(boxed: Project) -> None:
    """Else an edit between review and run is run, and nobody has seen it."""
    assert boxed.run("plan", "told", "--engine", "container", "-o", "there").code == 0
    plan = json.loads(boxed.file("there/plan.json"))
    assert plan["bundle"] == f"sha256:{plan['files']['bundle.zip']}"
    assert plan["prefix"] == str(
        boxed.root / OUTPUTS
    )  # as its jobs have it, wherever it is replayed
    scripts = sorted((boxed.root / "there").rglob("*.sh"))
    shellcheck(*scripts)
    assert all(plan["bundle"] in path.read_text() for path in scripts if "container" in path.name)
    boxed.write("words.py", 'SAID = "unseen"\n')
    done = boxed.run("apply", "there")
    assert done.code == 0, done.err
    assert (boxed.output_of("told") / "said").read_text() == "firstof all"
    # The same plan made again replaces this one, and is not itself code.
    boxed.write("words.py", 'SAID = "first"\n')
    assert boxed.run("plan", "--engine", "container", "-o", "there").code == 0
    assert json.loads(boxed.file("there/plan.json"))["bundle"] == plan["bundle"]
    with (boxed.root / "there/bundle.zip").open("ab") as stream:
        stream.write(b"x")
    done = boxed.run("apply", "there")
    assert done.code == 5
    assert "bundle.zip" in done.err


def test_a_job_that_waits_runs_the_code_it_was_submitted_with(
    on_slurm: Project, gate: Gate, cluster: Cluster
) -> None:
    """Else who edits a file while jobs wait for a night builds something that never was."""
    on_slurm.pipeline(
        PIPELINE.replace("import words\n", "import words\nfrom gate import wait_at_gate\n").replace(
            "    assert Path.cwd()", '    wait_at_gate("told")\n    assert Path.cwd()'
        )
    )
    done = on_slurm.run("apply", "--detach")
    assert done.code == 0, done.err
    gate.wait_started()
    on_slurm.write("words.py", "SAID = 'later'\n")
    on_slurm.pipeline("this is no Python\n")
    gate.let_go()
    outputs = on_slurm.root / OUTPUTS
    wait_until(lambda: list(outputs.glob("kept_*/.executor_info")), PATIENCE)
    until_empty(cluster)
    assert json.loads((on_slurm.output_of("kept") / ".artifact.json").read_text()) == "first"
    assert os.listdir(on_slurm.home / "tmp") == []  # what was unpacked is gone


def test_a_person_submits_a_saved_plan_with_its_code(on_slurm: Project, cluster: Cluster) -> None:
    """Else the jobs of `submit.sh` look for code that nobody has sent."""
    outside = on_slurm.home / "outputs"  # then nodes need not see the project at all
    assert on_slurm.run("plan", "--prefix", outside, "-o", "there").code == 0
    shellcheck(
        *(on_slurm.root / "there").rglob("*.sh"), *(on_slurm.root / "there").rglob("*.sbatch")
    )
    on_slurm.pipeline("this is no Python\n")
    done = on_slurm.bash("there/submit.sh")
    assert done.code == 0, done.err
    assert done.out.startswith("sent  sha256:")
    wait_until(lambda: list(outside.glob("kept_*/.executor_info")), PATIENCE)
    until_empty(cluster)
    assert "marin-build-code-" in (next(outside.glob("told_*")) / ".artifact.json").read_text()
    assert list((outside / ".marin-build/slurm").glob("mb-*.log"))
    assert on_slurm.run("run-step", "--plan", "there", "--send-code").out.startswith("already")


def test_a_job_loads_its_code_from_a_bucket(on_slurm: Project) -> None:
    """Else nodes that share nothing with this machine cannot build for it."""
    with GcsServer("lab") as server:
        on_slurm.build_in_bucket(server.url, "gs://lab/run")
        on_slurm.pipeline(
            "import fsspec, words\n"
            "from marin_build import ResourceConfig, step\n"
            "@step(resources=ResourceConfig.with_cpu(1))\n"
            "def told(output: str) -> str:\n"
            "    with fsspec.open(f'{output}/said', 'w') as stream:\n"
            "        stream.write(words.SAID)\n"
            "    return __file__\n"
            "def pipeline():\n"
            "    return told()\n"
        )
        hosts = f'"export STORAGE_EMULATOR_HOST={server.url}", '
        text = on_slurm.file("marin-build.toml").replace("setup = [", f"setup = [{hosts}")
        text = text.replace(
            "setup = [", 'setup = ["export GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT=false", '
        )
        on_slurm.write("marin-build.toml", text)
        done = on_slurm.run("apply")
        assert done.code == 0, done.out + done.err
        found = {name: it.data for name, it in server.api.buckets.objects("lab").items()}
    said = [data for name, data in found.items() if name.endswith("/said")]
    assert said == [b"first"]
    (folder,) = [data for name, data in found.items() if name.endswith("/.artifact.json")]
    assert b"marin-build-code-" in folder
    (bundle,) = [name for name in found if name.startswith("run/.marin-build/bundles/")]
    assert bundle.endswith(".zip")
