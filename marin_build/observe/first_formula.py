"""Steps that were built when the first formula named their sources keep that identity.

Formula 2 names some remote sources otherwise (docs/adr/0016). A step that reads such a source keeps
the identity it had, as long as its output lies there under that one, and not under the new one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from marin_build.pipeline.source_digests import FIRST, NOW, source_identity
from marin_build.protocol.layout import RECORD, STATUS
from marin_build.protocol.record_reader import readable_record
from marin_build.protocol.status import STATUS_SUCCESS, readable_status

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from marin_build.pipeline.graph import Graph
    from marin_build.pipeline.source_digests import Formula
    from marin_build.pipeline.step_spec import StepSpec
    from marin_build.store.base import Store

_Identity = tuple[str, str]  # fingerprint and output path


def keep_first_identities(
    graph: Graph, prefix: str, store_of: Callable[[Sequence[StepSpec]], Store]
) -> None:
    """Choose, for each step whose sources the two formulas name otherwise, which of them counts.

    Args:
        graph: its sources are known, and nothing of it was fingerprinted.
        prefix: where outputs live.
        store_of: returns the store of the outputs of steps; called only where there are such steps.

    Raises:
        StoreError: the store cannot be read.

    """
    store: Store | None = None
    for steps in _by_level(graph):  # what a step needs has its identity before the step
        store = store or store_of(steps)
        first = [_identity(step, FIRST, prefix) for step in steps]
        now = [_identity(step, NOW, prefix) for step in steps]
        were, are = _are_built(store, steps, first), _are_built(store, steps, now)
        for step, identity, was, is_now in zip(steps, first, were, are, strict=True):
            pinned = step.expected_fingerprint
            if (was and not is_now) if pinned is None else pinned == identity[0]:
                step.use_source_formula(FIRST)


def _are_built(
    store: Store, steps: Sequence[StepSpec], identities: Sequence[_Identity]
) -> list[bool]:
    """Return whether each step is built under an identity.

    A path by hash says which one it is, so its status is enough. Other paths have a record.
    """
    names = [RECORD if step.has_free_path else STATUS for step in steps]
    paths = [f"{path}/{name}" for name, (_, path) in zip(names, identities, strict=True)]
    found = []
    for name, path, (fingerprint, _), blob in zip(
        names, paths, identities, store.get_many(paths), strict=True
    ):
        data = blob.data if blob is not None else None
        if name == STATUS:
            found.append(readable_status(data, path) == STATUS_SUCCESS)
        else:
            record = readable_record(data)
            found.append(record is not None and record.fingerprint == fingerprint)
    return found


def _by_level(graph: Graph) -> list[list[StepSpec]]:
    """Return the steps to choose for, in groups: those of one do not need each other."""
    levels: list[int] = []
    found: list[list[StepSpec]] = []
    for step, deps in zip(graph.steps, graph.deps, strict=True):
        level = max((levels[dep] for dep in deps), default=0)
        if _is_named_otherwise(step):
            level += 1
            if level > len(found):
                found.append([])
            found[level - 1].append(step)
        levels.append(level)
    return found


def _is_named_otherwise(step: StepSpec) -> bool:
    return any(
        source_identity(source, FIRST) != source_identity(source, NOW)
        for source in step.inputs.values()
    )


def _identity(step: StepSpec, formula: Formula, prefix: str) -> _Identity:
    step.use_source_formula(formula)
    return step.fingerprint, step.output_path_in(prefix)
