"""A lease that a person takes away: its attempt is written down as if taken over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from marin_build.protocol import layout
from marin_build.protocol.documents import Attempt
from marin_build.protocol.lease import Lease
from marin_build.protocol.unlock import Unlocked, unlock
from marin_build.store.local import LocalStore

if TYPE_CHECKING:
    from pathlib import Path


def test_the_attempt_of_a_lease_taken_away_says_in_which_job_it_ran(tmp_path: Path) -> None:
    """Else `logs` and `status` cannot say where the attempt of a dead job ran."""
    store, output = LocalStore(), str(tmp_path / "o")
    lease = Lease("ada@here", 1.0, run="r-1", attempt=3, nonce="n", job="slurm:1234")
    store.put(f"{output}/{layout.LEASE}", lease.encode())
    done = unlock(
        store, output, target="train", who="bob", is_abandoned=lambda _: True,
        left_working=lambda _: (), force=False,
    )  # fmt: skip
    assert done is Unlocked.REMOVED
    blob = store.get(layout.attempt_path(output, 3))
    assert blob is not None
    attempt = Attempt.from_bytes(blob.data)
    assert (attempt.engine, attempt.job) == ("slurm", "slurm:1234")
    assert (attempt.result, attempt.message) == ("abandoned", "unlocked by bob")
