"""What to do about a target, as a whole table: a wrong line builds twice or never."""

from __future__ import annotations

import itertools
from typing import get_args

import pytest

from marin_build.protocol.claim import Claim, claim
from marin_build.protocol.lease import Lease
from marin_build.protocol.status import Status

OPEN = Lease("ada", 1.0, nonce="n")
SEALED = OPEN.sealed("d", 2.0)
CASES = list(
    itertools.product([None, *get_args(Status)], [None, OPEN, SEALED], [False, True], [False, True])
)


def _rule(status: Status | None, lease: Lease | None, stale: bool, force: bool) -> Claim:
    """The table in DESIGN's words, the first line that fits."""
    lines = [
        (lease is SEALED, Claim.PUBLISH),  # a seal is never taken over to rerun
        (status == "SUCCESS" and not force, Claim.FINISHED),
        (lease is OPEN and not stale, Claim.WAIT),
        (lease is OPEN, Claim.TAKE_OVER),
        (True, Claim.ACQUIRE),
    ]
    return next(answer for fits, answer in lines if fits)


@pytest.mark.parametrize(("status", "lease", "stale", "force"), CASES)
def test_what_to_do_about_a_target(
    status: Status | None, lease: Lease | None, stale: bool, force: bool
) -> None:
    assert claim(status, lease, stale=stale, force=force) is _rule(status, lease, stale, force)
