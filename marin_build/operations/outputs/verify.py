"""Outputs compared with what the attempts that built them committed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from marin_build.observe.read_target_states import read_all
from marin_build.observe.verify_outputs import Verdict, verify
from marin_build.operations.planning.choose_targets import choose
from marin_build.store.open_store import open_store

if TYPE_CHECKING:
    from collections.abc import Sequence

    from marin_build.observe.verify_outputs import Verified
    from marin_build.operations.loading.loading import Loaded
    from marin_build.pipeline.targets import Targets


@dataclass(frozen=True, slots=True)
class VerifiedOutputs:
    """Outputs that were compared, in the order of the pipeline.

    Args:
        targets: the pipeline's targets.
        outputs: what came of each comparison.

    """

    targets: Targets
    outputs: tuple[Verified, ...]

    @property
    def is_intact(self) -> bool:
        """Whether each output was compared and is what was built."""
        return all(each.verdict is Verdict.INTACT for each in self.outputs)


def verify_targets(
    loaded: Loaded, selectors: Sequence[str], *, content: bool = False
) -> VerifiedOutputs:
    """Compare the names and sizes of outputs' files with what was committed.

    Args:
        loaded: the pipeline and its store.
        selectors: which targets; none: what the pipeline requests.
        content: read the files whose digests were recorded, and compare these, too.

    Raises:
        UsageError: selectors that cannot be read, or select nothing.
        StoreError: a store cannot be read.

    """
    chosen = choose(loaded, selectors)
    snapshot = read_all(loaded.store, loaded.targets, loaded.host, chosen, records=True)
    found = verify(loaded.store, loaded.targets, snapshot, chosen, open_store, content=content)
    return VerifiedOutputs(loaded.targets, tuple(found))
