"""The environment of Slurm's programs: what a terminal set must not change a job."""

from __future__ import annotations

from marin_build.engines.slurm.command_line import clean_environment


def test_what_a_terminal_inside_a_job_set_does_not_reach_the_next_job() -> None:
    """Else SBATCH_ACCOUNT or the outer job's SLURM_MEM silently override the script."""
    environ = {
        "PATH": "/bin",
        "SLURM_CONF": "/etc/slurm.conf",
        "SBATCH_ACCOUNT": "other",
        "SLURM_JOB_ID": "7",
        "SLURM_MEM_PER_NODE": "1",
        "SQUEUE_FORMAT": "%i",
    }
    assert clean_environment(environ) == {
        "PATH": "/bin",
        "SLURM_CONF": "/etc/slurm.conf",
        "LC_ALL": "C",
    }
