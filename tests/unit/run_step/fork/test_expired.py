"""A body that comes too late does not start."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from marin_build import StepSpec
from marin_build.protocol.documents import Provenance
from marin_build.protocol.lease import TIME_TO_LIVE, Host, boot_clock
from marin_build.run_step.body import EXPIRED, Request
from marin_build.run_step.fork.bodies import ForkBodies
from marin_build.run_step.session import Session

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from marin_build.pipeline.targets import Targets
    from tests.unit.conftest import MemoryStore


@pytest.mark.parametrize("reuse", [False, True], ids=["process", "worker"])
def test_a_step_whose_lease_expired_before_it_started_does_not_start(
    make: Callable[..., Targets], new_store: Callable[[], MemoryStore], tmp_path: Path, reuse: bool
) -> None:
    """Else a run that was frozen with the order on its way builds beside the one that took over."""

    def fn(output: str) -> None:
        (tmp_path / "ran").touch()

    targets = make(StepSpec(name="s", fn=fn))
    session = Session(
        store=new_store(), targets=targets, deep=targets.deep_fingerprints(), run="r-1",
        host=Host("me@here", "here"), now=lambda: None,  # type: ignore[arg-type, return-value]
        provenance=Provenance(user="u", host="h", argv=(), python="3", marin_build="0"),
    )  # fmt: skip
    bodies = ForkBodies(session, 1, reuse=reuse)
    try:
        log = str(tmp_path / "log")
        late = bodies.run(0, Request(0, "n1", boot_clock() - TIME_TO_LIVE, log), print)
        assert (late.exit_code, late.message, late.cause) == (1, EXPIRED.message, "infra")
        assert not (tmp_path / "ran").exists()
        assert not bodies.run(0, Request(0, "n2", boot_clock(), log), print).has_failed
        assert (tmp_path / "ran").exists()
    finally:
        bodies.close()
