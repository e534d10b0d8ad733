"""The simulation can fail: a protocol with any one of its safeguards missing is found out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.sim.gang_mutations import OF_GANGS, RARE_OF_GANGS
from tests.sim.local_mutations import OF_LOCAL_DISKS, RARE_OF_LOCAL_DISKS
from tests.sim.many import SAFE, Kind, run_one
from tests.sim.mutations import MUTATIONS, RARE

if TYPE_CHECKING:
    from tests.sim.mutations import Mutation

BOUND = 4_000
"""Schedules within which a broken protocol must be found out."""


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.__name__)
def test_a_broken_protocol_is_found_out(
    mutation: Mutation, monkeypatch: pytest.MonkeyPatch
) -> None:
    mutation(monkeypatch)
    first = RARE.get(mutation, 0)
    assert any(run_one(seed, SAFE[seed % len(SAFE)]) for seed in range(first, first + BOUND))


@pytest.mark.parametrize("mutation", OF_GANGS, ids=lambda mutation: mutation.__name__)
def test_a_broken_gang_is_found_out(mutation: Mutation, monkeypatch: pytest.MonkeyPatch) -> None:
    mutation(monkeypatch)
    first = RARE_OF_GANGS.get(mutation, 0)
    assert any(run_one(seed, Kind.GANG) for seed in range(first, first + BOUND))


@pytest.mark.parametrize("mutation", OF_LOCAL_DISKS, ids=lambda mutation: mutation.__name__)
def test_a_broken_local_protocol_is_found_out(
    mutation: Mutation, monkeypatch: pytest.MonkeyPatch
) -> None:
    mutation(monkeypatch)
    first = RARE_OF_LOCAL_DISKS.get(mutation, 0)
    assert any(run_one(seed, Kind.LOCAL) for seed in range(first, first + BOUND))
