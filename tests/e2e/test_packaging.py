"""What people install: the wheel works alone, and the source archive is complete."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from importlib.metadata import Distribution, PathDistribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from .support import CHECKOUT, OUTPUTS, Done, Project, tree

pytestmark = pytest.mark.packaging

PLUGIN = CHECKOUT / "tests/data/engine_plugin"
_NOT_SOURCE = (
    ".git", ".venv", "__pycache__", ".*_cache", ".marin-build", ".demo", ".hypothesis", "dist",
    "*.egg-info",
)  # fmt: skip


def run(command: list[str | Path], cwd: Path, env: dict[str, str] | None = None) -> str:
    """Run a program; return what it printed."""
    done = subprocess.run(
        command, cwd=cwd, env=env, capture_output=True, text=True, check=False, timeout=290
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The wheel and the source archive, built from a copy of the tree."""
    folder = tmp_path_factory.mktemp("packaging")
    source = folder / "source"
    shutil.copytree(CHECKOUT, source, ignore=shutil.ignore_patterns(*_NOT_SOURCE))
    run([sys.executable, "-m", "build", "--no-isolation", "--outdir", folder / "dist"], source)
    (wheel,) = (folder / "dist").glob("*.whl")
    (archive,) = (folder / "dist").glob("*.tar.gz")
    return wheel, archive


def test_the_wheel_holds_the_package_and_its_templates(archives: tuple[Path, Path]) -> None:
    """Else an installed program has nothing to emit."""
    with zipfile.ZipFile(archives[0]) as wheel:
        names = set(wheel.namelist())
    ours = {f"marin_build/{name}" for name in tree(CHECKOUT / "marin_build")
            if "__pycache__" not in name}  # fmt: skip
    templates = {f"marin_build/templates/{name}" for name in tree(CHECKOUT / "templates")}
    assert templates
    assert (ours | templates) - names == set()
    rest = {name for name in names - ours - templates if ".dist-info/" not in name}
    assert rest == set()
    assert "marin_build/py.typed" in names


def test_the_source_archive_is_complete(archives: tuple[Path, Path]) -> None:
    """Else distributions that build from source cannot, or cannot test what they built."""
    with tarfile.open(archives[1]) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    for needed in (
        "pyproject.toml", "README.md", "LICENSE", "templates/local/run.sh.j2",
        "templates/kubernetes/job.yaml.j2", "tests/e2e/test_packaging.py",
        "tests/golden/local_plan/run.sh", "marin_build/engines/kubernetes/schemas/README.md",
        "examples/stdlib_lm/pipeline.py", "marin_build/data/tpu_slices.json",
    ):  # fmt: skip
        assert needed in names
    assert not [name for name in names if "__pycache__" in name or ".venv" in name]


def test_a_wheel_can_be_built_from_the_source_archive(
    archives: tuple[Path, Path], tmp_path: Path
) -> None:
    """Else `pip install` of the archive installs a program without templates."""
    with tarfile.open(archives[1]) as archive:
        if hasattr(tarfile, "data_filter"):  # Python 3.11.4 and later
            archive.extraction_filter = tarfile.data_filter
        archive.extractall(tmp_path)
    (source,) = tmp_path.iterdir()
    run(
        [sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", "../dist", "."],
        source,
    )
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as again, zipfile.ZipFile(archives[0]) as first:
        assert sorted(again.namelist()) == sorted(first.namelist())


@pytest.fixture(scope="module")
def environment(archives: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clean environment in which the wheel is installed, with what it says that it requires.

    These distributions are linked from our own environment: pip has found them for that already,
    by the same requirements, and would take half a minute of a processor to do it again.
    """
    folder = tmp_path_factory.mktemp("environment") / "venv"
    venv.create(folder, symlinks=True)
    pip(folder, "install", "--no-deps", archives[0])
    (packages,) = folder.glob("lib/python*/site-packages")
    (metadata,) = packages.glob("marin_build-*.dist-info")
    for distribution in required_by(PathDistribution(metadata)).values():
        for file in distribution.files or ():
            if ".." not in file.parts:
                link = packages / file
                link.parent.mkdir(parents=True, exist_ok=True)
                link.symlink_to(Path(str(distribution.locate_file(file))))
    return folder


def required_by(distribution: Distribution) -> dict[str, Distribution]:
    """Return what an installation without extras of its own requires, by name."""
    found: dict[str, Distribution] = {}
    todo = [(distribution, frozenset({""}))]
    while todo:
        parent, extras = todo.pop()
        for requirement in map(Requirement, parent.requires or ()):
            marker = requirement.marker
            if marker is None or any(marker.evaluate({"extra": extra}) for extra in extras):
                child = Distribution.from_name(requirement.name)
                name = canonicalize_name(requirement.name)
                if name not in found or requirement.extras:
                    found[name] = child
                    todo.append((child, frozenset({"", *requirement.extras})))
    return found


def pip(environment: Path, command: str, *words: str | Path) -> None:
    """Run our pip for another environment, without an index."""
    ours: list[str | Path] = [sys.executable, "-m", "pip", "--python", environment / "bin/python"]
    more = ["--no-index"] if command == "install" else ["--yes"]
    run([*ours, command, "--quiet", *more, *words], environment)


def test_the_installed_wheel_works_alone(environment: Path, tmp_path: Path) -> None:
    """Else it works in the checkout of its authors and nowhere else."""
    python, program = environment / "bin/python", environment / "bin/marin-build"
    where = run([python, "-c", "import marin_build; print(marin_build.__file__)"], tmp_path)
    assert where.startswith(str(environment))

    project = Project(tmp_path / "work", tmp_path / "home")
    project.environment["PATH"] = f"{environment}/bin:/usr/bin:/bin"
    project.home.mkdir()
    project.root.mkdir()
    assert project.execute([program, "--version"]).out.startswith("marin-build ")
    assert project.execute([program, "init"]).code == 0
    project.write("marin-build.toml", '[kubernetes]\nimage = "image@sha256:' + "0" * 64 + '"\n')
    planned = project.execute([program, "plan", "-o", "saved"])
    assert (planned.code, planned.err) == (0, "")
    replayed = project.bash("saved/run.sh")
    assert (replayed.code, replayed.err) == (0, "")
    applied = project.execute([program, "apply"])
    assert applied.out.startswith("nothing to do: 2 targets are reused\n")
    assert project.output_of("counts").joinpath(".artifact.json").read_text().startswith('{"to": 2')
    again = project.execute([program, "apply", "--prefix", "fresh"])
    assert (again.code, again.err) == (0, "")
    assert len(list((project.root / "fresh").glob("*_*"))) == 2
    for kind in ("svg", "text", "json", "html"):
        assert project.execute([program, "graph", "--format", kind]).code == 0
    spec = project.execute(
        [program, "plan", "--engine", "kubernetes", "--prefix", "memory://b/x", "-o", "specs"]
    )
    assert (spec.code, spec.err) == (0, "")
    assert not (project.root / OUTPUTS / "x").exists()


def test_a_package_adds_an_engine(environment: Path, tmp_path: Path) -> None:
    """Else every new engine is a change of ours; docs/how-to/add-an-engine.md shows the package."""
    source = tmp_path / "source"
    shutil.copytree(PLUGIN, source, ignore=shutil.ignore_patterns("__pycache__"))
    run([sys.executable, "-m", "build", "--no-isolation", "--wheel", source], tmp_path)
    (wheel,) = (source / "dist").glob("*.whl")
    pip(environment, "install", "--no-deps", wheel)

    project = Project(tmp_path / "work", tmp_path / "home")
    project.environment["PATH"] = f"{environment}/bin:/usr/bin:/bin"
    project.home.mkdir()
    project.root.mkdir()

    def marin_build(*words: str) -> Done:
        return project.execute([environment / "bin/marin-build", *words])

    project.write(
        "marin-build.toml", '[spool]\nqueue = "night"\nslots = 2\ntags = ["lm", "a\\nb"]\n'
    )
    project.pipeline(
        "from marin_build import command\n"
        "targets = [command(\"echo 'it is' > {output}/x\", name='say', outputs=())]\n"
    )
    planned = marin_build("plan", "--engine", "spool", "-o", "saved")
    assert (planned.code, planned.err) == (0, "")
    assert "to submit it: spool add saved/steps" in planned.out
    assert json.loads(project.file("saved/plan.json"))["engine"] == "spool"
    (job,) = (project.root / "saved/steps").rglob("job.sh")
    head = job.read_text().splitlines()[:5]
    assert head[1:] == [
        "#SPOOL queue=night priority=low slots=2",
        "#SPOOL tag=lm",
        "#SPOOL tag=a\\nb",
        "# say: never built",
    ]
    done = project.bash(str(job.relative_to(project.root)))
    assert (done.code, (project.output_of("say") / "x").read_text()) == (0, "it is\n")

    refused = marin_build("apply", "--engine", "spool")
    assert (refused.code, refused.err.splitlines()[0]) == (4, "error: cannot submit to `spool` yet")
    assert marin_build("doctor").out.endswith(
        "warn  engine spool (spool-engine 1.0)\n"
        "      queue: night\n"
        "      `spool` is not installed here\n"
        "        remedy: run this on a login node\n"
    )

    project.write("marin-build.toml", "[spool]\nqueue = 3\n")
    wrong = marin_build("plan", "--engine", "spool", "-o", "other")
    assert (wrong.code, wrong.out) == (4, "")
    assert wrong.err == (
        "error: the setting `spool.queue` is not a string\n"
        "  configuration: marin-build.toml\n"
        "  value:         3\n"
    )
    assert marin_build("doctor").code == 4
    project.write("marin-build.toml", '[spool]\nqueu = "x"\n')
    assert "hint: did you mean `queue`?\n" in marin_build("plan", "--engine", "spool").err

    pip(environment, "uninstall", "spool-engine")
    gone = marin_build("plan")
    assert (gone.code, gone.err.splitlines()[0]) == (4, "error: unknown setting `spool`")
    project.write("marin-build.toml", "")
    gone = marin_build("apply", "saved")
    assert gone.code == 4
    engines = "local, container, slurm, ray, tpu-vm, kubernetes"
    assert gone.err == f"error: unknown engine `spool`\n  engines: {engines}\n"


def test_a_newcomer_gets_from_an_empty_folder_to_a_report(
    environment: Path, tmp_path: Path
) -> None:
    """Else the first hour of a user is spent on what a message did not say."""
    project = Project(tmp_path / "work", tmp_path / "home")
    project.environment["PATH"] = f"{environment}/bin:/usr/bin:/bin"
    project.home.mkdir()
    project.root.mkdir()

    def marin_build(*words: str, code: int = 0) -> str:
        done = project.execute([environment / "bin/marin-build", *words])
        assert done.code == code, done.out + done.err
        return project.mask(done.out + done.err)

    assert marin_build("plan", code=4) == (
        "error: no pipeline file `PROJECT/pipeline.py`\n"
        "  nothing was run\n"
        "hint: name one with --file, or make one with `marin-build init`\n"
    )
    assert marin_build("init").endswith("\nnext: marin-build plan, then marin-build apply\n")
    assert marin_build("plan").splitlines() == [
        "  + build    words_HASH   never built",
        "  + build    counts_HASH  never built",
        "plan p-PLAN: 2 to build, 0 reused",
        "to build it: marin-build apply",
    ]
    assert "\n2 built, 0 reused in TIME\n" in marin_build("apply")

    first = project.file("pipeline.py").replace("to build or not", "To build or not")
    project.pipeline(first.replace("text.split()", "text.lower_().split()"))
    assert "  ~ rebuild  words_HASH   attrs.text" in marin_build("plan")
    broken = marin_build("apply", code=1)
    assert "error: `words` failed with exit code 1 (attempt 1)\n" in broken
    assert "  | AttributeError: 'str' object has no attribute 'lower_'" in broken
    assert "\n  blocked: counts_HASH\n" in broken
    assert "\nhint: run it alone with: marin-build run words\n" in broken
    assert "failed     words_HASH" in marin_build("status")
    assert "\nAttributeError: " in marin_build("logs", "words")
    project.pipeline(first.replace("text.split()", "text.lower().split()"))
    assert "  ~ rebuild  words_HASH   failed before" in marin_build("plan")
    assert "\n2 built, 0 reused in TIME\n" in marin_build("apply")
    assert marin_build("apply").startswith("nothing to do: 2 targets are reused\n")

    # Code that changes rebuilds nothing by itself: that is said, with the ways to go on.
    project.pipeline(first.replace("text.split()", "text.upper().split()"))
    changed = marin_build("plan")
    assert "code changed since built: pipeline.words() +1 -1; reused" in changed
    assert "\nto rebuild what drifted: marin-build apply --force drifted\n" in changed
    assert "\n2 built, 0 reused in TIME\n" in marin_build("apply", "--force", "drifted")

    assert marin_build("graph") == "= counts_HASH\n`-- = words_HASH\n"
    assert marin_build("graph", "-o", "graph.html") == "written: graph.html\n"
    assert marin_build("report").startswith("written: report.html (2 targets, ")
    assert marin_build("ci", "github", code=4).endswith("hint: git init\n")
    project.execute(["git", "init", "-q"])
    assert marin_build("ci", "github").splitlines() == [
        "written: .github/workflows/marin-build.yml",
        (
            "note: each job has a new disk, so outputs in this folder are built again each time: "
            "set `prefix` to a bucket, or give --cache .marin-build/outputs"
        ),
    ]
    assert marin_build("lint") == "no findings in 2 steps\n"
    assert "ok    engine local (marin-build)" in marin_build("doctor")
