"""A body that comes too late does not start."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from marin_build.pipeline.retries import KILLED
from marin_build.protocol.lease import TIME_TO_LIVE, boot_clock
from marin_build.run_step.body import EXPIRED, Request

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.run_step.fork.conftest import Forking


@pytest.mark.parametrize("reuse", [False, True], ids=["process", "worker"])
def test_a_step_whose_lease_expired_before_it_started_does_not_start(
    forking: Forking, tmp_path: Path, reuse: bool
) -> None:
    """Else a run that was frozen with the order on its way builds beside the one that took over."""

    def fn(output: str) -> None:
        (tmp_path / "ran").touch()

    log = str(tmp_path / "log")
    with forking(fn, reuse=reuse) as bodies:
        late = bodies.run(0, Request(0, "n1", boot_clock() - TIME_TO_LIVE, log), print)
        # It sees that itself, unless the keeper of its lease was quicker and has killed it.
        assert late.message == EXPIRED.message or late.exit_code == KILLED
        assert late.cause == "infra"
        assert not (tmp_path / "ran").exists()
        assert not bodies.run(0, Request(0, "n2", boot_clock(), log), print).has_failed
        assert (tmp_path / "ran").exists()
