"""Ways to break a gang. See `mutations`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from marin_build.protocol.gang import RankWatch, Standing
from marin_build.protocol.lease import TIME_TO_LIVE
from tests.sim import gangs

if TYPE_CHECKING:
    import pytest

    from tests.sim.mutations import Mutation


def work_on_without_a_lease(patch: pytest.MonkeyPatch) -> None:
    """A rank of a gang that has started never stops."""
    real = RankWatch.look

    def look(self: RankWatch, *rest: Any, **options: Any) -> Standing:
        standing = real(self, *rest, **options)
        return Standing.WORK if self._works else standing

    patch.setattr(RankWatch, "look", look)
    patch.setattr(RankWatch, "is_over", lambda _self, _now: False)


def count_from_the_first_look(patch: pytest.MonkeyPatch) -> None:
    """A rank believes that a lease is as young as its first sight of it, and allows no margin."""
    real = RankWatch.look

    def look(self: RankWatch, lease: Any, version: str, sent: float, **rest: Any) -> Standing:
        is_new = version != self._version
        standing = real(self, lease, version, sent, **rest)
        if is_new and standing is Standing.WORK:
            self.deadline = sent + 2 * TIME_TO_LIVE
        return standing

    patch.setattr(RankWatch, "look", look)


def release_before_the_ranks_stop(patch: pytest.MonkeyPatch) -> None:
    """A leader that failed lets go of the lease at once."""
    patch.setattr(gangs, "stop_ranks", lambda *_args, **_rest: True)


def start_before_the_leader(patch: pytest.MonkeyPatch) -> None:
    """Ranks start as soon as they see the lease."""
    real = RankWatch.look

    def look(self: RankWatch, *rest: Any, has_begun: bool = True) -> Standing:
        return real(self, *rest, has_begun=has_begun or True)

    patch.setattr(RankWatch, "look", look)


def name_the_leader_s_process(patch: pytest.MonkeyPatch) -> None:
    """The lease of a gang is free as soon as its leader's process is seen dead."""
    patch.setattr(gangs, "gang_lease", lambda lease, _launch: lease)


OF_GANGS: tuple[Mutation, ...] = (
    work_on_without_a_lease,
    count_from_the_first_look,
    release_before_the_ranks_stop,
    start_before_the_leader,
    name_the_leader_s_process,
)
RARE_OF_GANGS: dict[Mutation, int] = {
    count_from_the_first_look: 120,
    name_the_leader_s_process: 1_220,
}
"""Seeds at which to begin to look, as `mutations.RARE`."""
