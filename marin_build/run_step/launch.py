"""One start of a gang as a rank of it knows it: by variables that the engine's template sets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from marin_build.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import MutableMapping


LAUNCH = "MARIN_BUILD_LAUNCH"
"""The variable that names the launch; taken away, so that no program of the step is a rank, too."""
RANK = "MARIN_BUILD_RANK"
RANKS = "MARIN_BUILD_RANKS"
LEADER = "MARIN_BUILD_LEADER"
"""These three stay: what a step runs may read them."""


@dataclass(frozen=True, slots=True)
class Launch:
    """One start of a whole gang by an engine.

    Args:
        name: another one for every start; the nonce of the leader's lease.
        rank: which of the ranks this process is, from 0, the leader.
        ranks: how many there are.

    """

    name: str
    rank: int
    ranks: int

    @property
    def leads(self) -> bool:
        """Whether this process takes the lease."""
        return self.rank == 0

    @property
    def others(self) -> range:
        """The ranks beside the leader."""
        return range(1, self.ranks)


def take_launch(environ: MutableMapping[str, str]) -> Launch | None:
    """Return the launch that this process belongs to, and take its name from the environment.

    None: an engine started this process alone.

    Raises:
        UsageError: the variables do not say which rank of how many it is.

    """
    name = environ.pop(LAUNCH, "")
    if not name:
        for variable in (RANK, RANKS, LEADER):  # those of a gang that started this process
            environ.pop(variable, None)
        return None
    said = {variable: environ.get(variable, "") for variable in (RANK, RANKS)}
    rank, ranks = (int(text) if text.isdecimal() else -1 for text in said.values())
    if not 0 <= rank < ranks or not name.isprintable() or " " in name:
        raise UsageError(
            f"`{LAUNCH}` is set, but this process cannot tell which rank of the gang it is",
            facts=[(LAUNCH, name), *((key, text or "not set") for key, text in said.items())],
            consequence="nothing was run",
            hint=f"the template of the engine sets {RANK} from 0, and {RANKS}",
        )
    return Launch(name, rank, ranks) if ranks > 1 else None
