"""Steps that were built under a former formula of identity keep the identity they had.

The formulas name some remote sources otherwise (docs/adr/0016), and write some enums otherwise
(docs/adr/0027). A step with such a source or attribute keeps the identity it had, as long as its
output lies there under that one, and not under a newer one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from marin_build.identity.attributes import FormerlyTagged
from marin_build.pipeline.formulas import FIRST, FORMULAS, NOW, TAGGED_ENUMS
from marin_build.pipeline.source_digests import source_identity
from marin_build.protocol.layout import RECORD, STATUS
from marin_build.protocol.record_reader import readable_record
from marin_build.protocol.status import STATUS_SUCCESS, readable_status

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from marin_build.pipeline.formulas import Formula
    from marin_build.pipeline.graph import Graph
    from marin_build.pipeline.step_spec import StepSpec
    from marin_build.store.base import Store

_Identity = tuple[str, str]  # fingerprint and output path


def keep_former_identities(
    graph: Graph,
    prefix: str | None,
    store_of: Callable[[Sequence[StepSpec]], Store],
    wanted: str | None = None,
) -> dict[str, int]:
    """Choose, for each step to which the formulas give several identities, which of them counts.

    The steps of the graph have these identities then.

    Args:
        graph: its sources are known.
        prefix: where outputs live; None: each below the prefix of its step's own project.
        store_of: returns the store of the outputs of steps, whose dependencies have their identity
            by then.
        wanted: the id of a target that is asked for: what may have this id has it. Its output may
            be on the way.

    Returns:
        Today's fingerprint -> the formula that counts, of each step that keeps a former identity.

    Raises:
        StoreError: the store cannot be read.

    """
    levels = _by_level(graph)
    for step in graph.steps if levels else ():
        step.use_formula(NOW)  # and forget what a pipeline that asked for its paths made known
    chosen: dict[str, int] = {}
    for steps in levels:  # what a step needs has its identity before the step
        store = store_of(steps)
        undecided = {step: step.fingerprint for step in steps}
        for formula in FORMULAS:
            asked = [step for step in undecided if _differs_under(step, formula)]
            identities = [_identity(step, formula, prefix) for step in asked]
            built = _are_built(store, asked, identities)
            for step, (fingerprint, _), is_built in zip(asked, identities, built, strict=True):
                pinned = step.expected_fingerprint
                counts = is_built if pinned is None else pinned == fingerprint
                if counts or (step.version is None and step.target_id == wanted):
                    today = undecided.pop(step)
                    if formula != NOW:
                        chosen[today] = formula
        for step in undecided:
            step.use_formula(NOW)
    return chosen


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
        if _differs_under(step, TAGGED_ENUMS) or _differs_under(step, FIRST):
            level += 1
            if level > len(found):
                found.append([])
            found[level - 1].append(step)
        levels.append(level)
    return found


def _differs_under(step: StepSpec, formula: Formula) -> bool:
    """Return whether a formula gives a step another identity than the newer ones; the newest does.

    So a step that has both such sources and such attributes has three identities, and no fourth:
    there was no time when only its sources had their former names.
    """
    if formula == NOW:
        return True
    if formula == TAGGED_ENUMS:
        return type(step.hash_attrs) is FormerlyTagged
    sources = step.inputs.values()
    return any(source_identity(it, FIRST) != source_identity(it, NOW) for it in sources)


def _identity(step: StepSpec, formula: Formula, prefix: str | None) -> _Identity:
    step.use_formula(formula)
    return step.fingerprint, step.output_path_in(prefix)
