"""The seam where a step's body runs: in a thread of this process, or in a forked child."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from marin_build.run_step.body import Done


@dataclass(frozen=True, slots=True)
class Request:
    """A body to run.

    Args:
        index: which target.
        nonce: recognises the lease it runs under.
        held_since: when that was last written, on the clock that counts sleep.
        log: local path of the file that takes what the body prints.
        gpus: the devices it gets, as CUDA_VISIBLE_DEVICES names them; none: nothing is said.

    """

    index: int
    nonce: str
    held_since: float
    log: str
    gpus: tuple[str, ...] = ()


class Bodies(Protocol):
    """Runs bodies. `run` is called by several supervisors at once, the rest by one thread."""

    is_spent: bool
    """Whether no body can be run any more."""

    def run(self, slot: int, request: Request) -> Done:
        """Run a body to its end; a body whose process died has `exit_code` 128 + signal."""

    def release(self, index: int) -> None:
        """Say that the lease of a target whose body took long need not be kept any more."""

    def signal(self, index: int, number: int) -> None:
        """Send a signal to a running body and all it started, where that can be done."""

    def tend(self) -> float | None:
        """Do what is due for running bodies; return the seconds until more is."""

    def close(self) -> None:
        """End what still runs."""
