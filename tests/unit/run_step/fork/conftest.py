"""Bodies of one step in forked children, for the tests in this folder."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from marin_build import StepSpec
from marin_build.protocol.documents import Provenance
from marin_build.protocol.lease import Host
from marin_build.run_step.fork.bodies import ForkBodies
from marin_build.run_step.session import Session

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from typing import Protocol

    from marin_build.pipeline.targets import Targets
    from tests.unit.conftest import MemoryStore

    class Forking(Protocol):
        """Starts a template for one function."""

        def __call__(
            self, fn: Callable[[str], object], *, reuse: bool = False
        ) -> AbstractContextManager[ForkBodies]:
            """Give its bodies, in one slot; end them afterwards."""


@pytest.fixture
def forking(make: Callable[..., Targets], new_store: Callable[[], MemoryStore]) -> Forking:
    """Give what starts a template for one function."""

    @contextmanager
    def start(fn: Callable[[str], object], *, reuse: bool = False) -> Iterator[ForkBodies]:
        targets = make(StepSpec(name="s", fn=fn))
        session = Session(
            store=new_store(), targets=targets, deep=targets.deep_fingerprints(), run="r-1",
            host=Host("me@here", "here"), now=lambda: None,  # type: ignore[arg-type, return-value]
            provenance=lambda: Provenance(user="u", host="h", argv=(), python="3", marin_build="0"),
        )  # fmt: skip
        bodies = ForkBodies(session, 1, reuse=reuse)
        try:
            yield bodies
        finally:
            bodies.close()

    return start
