"""Finds drifted code: reads records from reused targets down, where a record shows drift."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from marin_build.identity.code.digest import keep_digests, known_digests
from marin_build.identity.code.known_code import NotKnownError
from marin_build.observe.read_records import read_built
from marin_build.plan.decisions import Kind
from marin_build.plan.deep_digests import deep_digest, deep_digests, own_digest
from marin_build.plan.graph_shape import levels_below
from marin_build.plan.reasons import AssumedBuilt
from marin_build.protocol.provenance import Environment
from marin_build.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from marin_build.pipeline.targets import Targets
    from marin_build.plan.decisions import Plan
    from marin_build.protocol.record_reader import Built
    from marin_build.store.base import Store


@dataclass(slots=True)
class DriftWalk:
    """The records that a walk down from reused targets read.

    Args:
        targets: the pipeline's targets.
        now: deep digests of the code of today.
        records: target -> its record; None for a record that says nothing about drift.
        looked_at: the targets that the plan reuses; all others are below these.

    """

    targets: Targets
    now: Mapping[int, str]
    records: dict[int, Built | None]
    looked_at: tuple[int, ...]

    def is_equal(self, index: int) -> bool:
        """Return whether a record says that neither its target nor anything below drifted."""
        built = self.records.get(index)
        return built is not None and built.deep_code_digest == self.now[index]

    def has_other_code(self, index: int) -> bool:
        """Return whether the code of a target itself is not what built it."""
        built = self.records[index]
        if built is None or self.is_equal(index):
            return False
        return self.targets.all[index].step.has_drifted(built.code_digest)

    def upstream_digest(self, index: int) -> str | None:
        """Return the digest over the code that built what a target needs; None if not known."""
        found = self._digests_below(index)
        return None if found is None else deep_digest("", found)

    def built_again_below(self, index: int) -> tuple[str, ...]:
        """Return the ids of dependencies that other code has rebuilt since a target was built.

        The target's record keeps one digest over all of them; build times tell which changed.
        """
        built = self.records[index]
        if built is None or built.deep_code_digest is None or self.is_equal(index):
            return ()
        found = self._digests_below(index)
        codes = (built.code_digest or "", "")  # the second: code="ignore" then
        given = Environment.of_record(built.environment).variables
        # Older versions did not count the variables.
        own = {own_digest(code, some) for code in codes for some in (given, None)}
        if found is None or built.deep_code_digest in [deep_digest(o, found) for o in own]:
            return ()
        deps = self.targets.deps[index]
        below = {dep: record for dep in deps if (record := self.records.get(dep)) is not None}
        later = [dep for dep, record in below.items() if record.end > built.end]
        return tuple(self.targets.all[dep].id for dep in later or below)

    def _digests_below(self, index: int) -> list[str] | None:
        found: list[str] = []
        for dep in self.targets.deps[index]:
            record = self.records.get(dep)
            if not self.targets.all[dep].step.is_built_by_code:
                found.append(self.now[dep])
            elif record is None or record.deep_code_digest is None:
                return None
            else:
                found.append(record.deep_code_digest)
        return found


def walk_drift(store: Store, plan: Plan) -> DriftWalk:
    """Read the records below what a plan reuses, level by level, where something drifted.

    A batch takes 1, 2, 4 ... levels, so that a deep chain does not cost a round trip for each step.
    A record without a deep digest (an old one, or Marin's) says nothing about targets below it, so
    these are read. Below a target without a record, the walk goes on only if a record further up
    shows that something drifted down there.

    Raises:
        StoreError: the store cannot be read.

    """
    targets = plan.targets
    records = {
        d.index: seen.built
        for d in plan.of_kind(Kind.REUSE)
        if (seen := plan.snapshot.of(d.index)).status is not None
        and seen.lease is None
        and not isinstance(d.reason, AssumedBuilt)
    }
    descent = DriftWalk(targets, _digests_of_today(targets, records), records, tuple(records))
    decided = {decision.index for decision in plan.decisions}
    pending = [index for index in records if not descent.is_equal(index)]
    ahead: dict[int, Built | None] = {}  # read before it is known whether they are needed
    asked: set[int] = set()
    width = 1
    sure: set[int] = set()  # reached from a record that says: something drifted down there
    missing: set[int] = set()
    passed: set[int] = set()
    while pending:
        below = _below(descent, pending, sure)
        fresh = [d for d in below if d not in records and d not in missing and d not in decided]
        if not asked.issuperset(fresh):
            known = decided.union(records, asked)
            batch = [i for i in levels_below(targets.deps, fresh, width) if i not in known]
            ahead.update(read_built(store, targets, batch))
            asked.update(batch)
            width *= 2
        found = {dep: ahead[dep] for dep in fresh if dep in ahead}
        records.update(found)
        missing.update(dep for dep in fresh if dep not in found)
        pending = [dep for dep in found if not descent.is_equal(dep)]
        bridges = [d for d in below if d in missing and d in sure and d not in passed]
        passed.update(bridges)
        pending += bridges
    return descent


def _digests_of_today(targets: Targets, records: Mapping[int, Built | None]) -> Mapping[int, str]:
    """Return the deep digests of the code of today, of some targets and of all they need.

    Where the code is what an earlier process read, and all records agree with that, no source is
    read.
    """
    if targets.deep_codes is not None:
        return targets.deep_codes
    project = targets.workspace.project
    known = known_digests(project)
    if known is not None:
        with suppress(NotKnownError):
            now = deep_digests(targets, records, known)
            if all(
                built is not None and built.deep_code_digest == now[index]
                for index, built in records.items()
            ):
                return now
    now = deep_digests(targets, records)
    keep_digests(project)
    return now


def _below(descent: DriftWalk, pending: Iterable[int], sure: set[int]) -> list[int]:
    """Return what targets need; note in `sure` below which of them something drifted."""
    below: dict[int, None] = {}
    for index in pending:
        deps, built = descent.targets.deps[index], descent.records.get(index)
        below.update(dict.fromkeys(deps))
        if index in sure or (built is not None and built.deep_code_digest is not None):
            sure.update(deps)
    return list(below)
