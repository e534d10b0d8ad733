"""Arrays: which jobs are tasks of one, and how a task is found by the name of its job."""

from __future__ import annotations

import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marin_build.engines.jobs import JobRequest
from marin_build.engines.slurm.arrays import (
    array_name,
    array_script,
    batches_of,
    jobs_in,
    shape_of,
)

HEAD = "#!/bin/bash\n#SBATCH --job-name={name}\n#SBATCH --comment=c-{name}\n#SBATCH --mem={mem}M\n"


def _job(
    name: str, body: str = "exec true\n", mem: int = 1, after: tuple[str, ...] = ()
) -> JobRequest:
    return JobRequest(name, HEAD.format(name=name, mem=mem) + body, after)


def _names(batches: list[list[JobRequest]]) -> list[list[str]]:
    return [[job.name for job in batch] for batch in batches]


def test_jobs_of_one_shape_are_one_array() -> None:
    """Else a sweep of a thousand steps is a thousand requests to the controller."""
    jobs = [_job("a"), _job("big", mem=9), _job("b"), _job("late", after=("7",)), _job("c")]
    assert _names(batches_of(jobs)) == [["a", "b", "c"], ["big"], ["late"]]


def test_an_array_is_no_larger_than_slurm_takes() -> None:
    """Else a large sweep is refused, or its script is sent a thousand times to every node."""
    assert [len(batch) for batch in batches_of(_job(str(i)) for i in range(2500))] == [
        1000,
        1000,
        500,
    ]
    long = [_job(str(i), "# " + "x" * 100_000 + "\n") for i in range(5)]
    assert [len(batch) for batch in batches_of(long)] == [2, 2, 1]


@pytest.mark.parametrize(
    "script",
    [
        "#!/usr/bin/env python3\nprint()\n",
        "#!/bin/bash\n#SBATCH --array=0-3\ntrue\n",
        "#!/bin/bash\n#SBATCH --mem=1 --array=0-3\ntrue\n",
    ],
)
def test_a_script_that_is_no_task_is_submitted_alone(script: str) -> None:
    """Else a template of the user's, in another language or an array itself, is torn apart."""
    assert shape_of(script) == ()
    assert _names(batches_of([JobRequest("a", script), JobRequest("b", script)])) == [["a"], ["b"]]


def test_options_count_up_to_the_first_command_only() -> None:
    """Else text that a step prints counts as an option of its job."""
    assert shape_of("#!/bin/sh\n# c\n\n#SBATCH -n 1\ntrue\n#SBATCH -n 2\n") == (
        "#!/bin/sh",
        "#SBATCH -n 1",
    )


@pytest.mark.parametrize("task", [0, 1, 2])
def test_a_task_runs_the_script_of_its_job(task: int) -> None:
    """Else a step is built by the command of another one."""
    bodies = [
        "echo zero\nexit 3\necho not\n",
        "case x in x) echo one;; esac",
        "cat <<A\ntwo;;\nA\n",
    ]
    script = array_script([_job(str(i), body) for i, body in enumerate(bodies)])
    env = {"SLURM_ARRAY_TASK_ID": str(task), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        ["bash"], check=False, input=script, env=env, text=True, capture_output=True
    )
    assert (done.stdout, done.stderr) == (["zero\n", "one\n", "two;;\n"][task], "")
    assert done.returncode == (3 if task == 0 else 0)


_NAME = st.from_regex(r"mb-[A-Za-z0-9._-]{1,60}-[0-9a-f]{10}", fullmatch=True)


@given(st.lists(_NAME, unique=True, min_size=1, max_size=20), st.text(alphabet="# task0123:\n x"))
def test_a_script_tells_which_task_is_which_job(names: list[str], body: str) -> None:
    """Else the jobs of a killed apply are not found, and run a second time."""
    comments = "".join(f"# {line}\n" for line in ["task 0: other", *body.splitlines()])
    assert jobs_in(array_script([_job(name, comments) for name in names])) == tuple(names)


def test_a_script_that_is_no_array_of_ours_has_no_jobs() -> None:
    """Else the task of another program's array counts as a step."""
    assert jobs_in("#!/bin/bash\n# task 1: a\ntrue\n") == ()
    assert jobs_in("") == ()


def test_the_name_of_an_array_follows_from_its_jobs() -> None:
    """Else tasks are looked up in the script of another array."""
    assert array_name(["a", "b"]) == array_name(["a", "b"]) != array_name(["b", "a"])
