"""Jobs of earlier runs: what a lease says of them, another program may have written."""

from __future__ import annotations

import pytest

from marin_build.apply.followed_jobs import FollowedJobs
from marin_build.protocol.lease import Lease


@pytest.mark.parametrize(
    ("job", "expected"),
    [
        ("slurm:1234", "1234"), ("slurm:12_3.batch", "12_3.batch"), ("kubernetes:x", ""),
        ("slurm:", ""), ("", ""), ("slurm:--user=ada", ""), ("slurm:-1", ""), ("slurm:1 2", ""),
        ("slurm:1,2", ""), ("slurm:$(x)", ""), ("slurm:1\n", ""), ("slurm:" + "1" * 300, ""),
    ],
)  # fmt: skip
def test_a_job_is_known_by_an_id_not_by_an_option(job: str, expected: str) -> None:
    """Else a lease that another program wrote has `scancel` end all jobs of a user."""
    jobs = object.__new__(FollowedJobs)
    jobs._engine = "slurm"
    assert jobs.job_holding(Lease("ada@host", 0.0, nonce="n", job=job)) == expected
