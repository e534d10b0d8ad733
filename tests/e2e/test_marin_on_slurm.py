"""A file that is written for Marin, sent to a real cluster: its jobs find the same steps."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.servers.slurm import find_slurm

from .support import PROGRAM
from .test_marin_files import FERRY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers.slurm import Cluster

    from .support import Project

pytestmark = pytest.mark.skipif(not find_slurm(), reason="needs slurm-wlm and munge, and root")


@pytest.fixture
def on_slurm(project: Project, cluster: Cluster) -> Iterator[Project]:
    project.environment |= cluster.environment
    (project.home / "tmp").mkdir()
    project.write("experiments/__init__.py", "")
    project.write("experiments/words.py", "def shout(word):\n    return word.upper()\n")
    project.write("experiments/ferry.py", FERRY)
    project.write(
        "marin-build.toml",
        'engine = "slurm"\nprefix = "bucket"\nmarin_aliases = true\n[slurm]\npoll = 0.5\n'
        f'code_from = "bundle"\nprogram = "{PROGRAM}"\n'
        f'setup = ["export TMPDIR={project.home}/tmp"]\n',
    )
    yield project
    cluster.end_all_jobs()


def test_jobs_are_given_the_file_s_arguments_and_variables(on_slurm: Project) -> None:
    """The project's own modules come with the bundle, and no job inherits the variable."""
    words = ["--set", "lines=5", "--set", "env:SMOKE_RUN_ID=r1"]
    done = on_slurm.run("apply", "-f", "experiments/ferry.py", *words)
    assert done.code == 0, done.err
    assert "StepRunner.run" in done.err
    count = on_slurm.root / "bucket/ferry/r1/count"
    assert json.loads((count / ".artifact.json").read_text())["n"] == 20
