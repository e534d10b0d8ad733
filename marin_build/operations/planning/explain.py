"""All that is known about why one target is built, or is not."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from marin_build.errors import UsageError
from marin_build.operations.loading.loading import environments_for
from marin_build.operations.planning.choose_targets import choose
from marin_build.operations.planning.plan import make_planned
from marin_build.operations.planning.planned import PlanRequest
from marin_build.pipeline.declared_at import shown
from marin_build.plan.block_reasons import UpstreamBlocked
from marin_build.plan.decisions import Kind
from marin_build.plan.plan_summary import verb_of
from marin_build.plan.reason_text import describe_decision
from marin_build.plan.reasons import Accepted, Adopted, Cascade
from marin_build.quick_dataclass import dataclass
from marin_build.text.moments import moment_text
from marin_build.text.readable import printable, shortened

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from marin_build.operations.loading.loading import Loaded
    from marin_build.operations.planning.planned import Planned
    from marin_build.plan.decisions import Decision, Plan
    from marin_build.plan.drift import Drift
    from marin_build.plan.reasons import Change


_MOST_LINES = 20
"""Lines of one kind that an explanation shows for people."""


@dataclass(frozen=True, slots=True)
class CodeComparison:
    """The code of today beside that of an earlier build.

    Args:
        drift: the difference; None if nothing is known to compare with.
        unseen: the parts of today's code that cannot be analysed, in words.

    """

    drift: Drift | None
    unseen: tuple[str, ...]

    def json_values(self) -> dict[str, Any]:
        """Return it as JSON values."""
        if self.drift is None:
            return {"drift": None, "unseen": list(self.unseen)}
        diffs = {part.name: list(part.diff) for part in self.drift.parts}
        facts = [
            {**item, "diff": diffs[item["name"]]} if "how" in item else item
            for item in self.drift.facts
        ]
        return {"drift": facts, "unseen": list(self.unseen)}


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a target is built, or is not.

    Args:
        planned: the plan for this target alone.
        decision: what becomes of it, and the reason.
        facts: all there is to say: label and text, line by line.
        code: the comparison of its code; None if the caller did not ask for it.

    """

    planned: Planned
    decision: Decision
    facts: tuple[tuple[str, str], ...]
    code: CodeComparison | None

    def __str__(self) -> str:
        return "\n".join(f"{label:<10}{text}" for label, text in self.facts)

    @property
    def target(self) -> str:
        """The id of the target."""
        return self.planned.plan.targets.all[self.decision.index].id

    @property
    def drift(self) -> Mapping[str, Drift]:
        """How reused targets differ from what is declared now, by target id."""
        targets = self.planned.plan.targets
        return {targets.all[index].id: it for index, it in self.planned.drift.items()}

    def json_values(self) -> dict[str, Any]:
        """Return it as JSON values."""
        from marin_build.emit.plan_json import reason_json

        target = self.planned.plan.targets.all[self.decision.index]
        document: dict[str, Any] = {
            "name": target.name,
            "target": target.id,
            "decision": self.decision.kind.value,
            "reason": reason_json(self.decision.reason),
            "changed": reason_json(root) if (root := self.decision.changed) is not None else None,
            "drift": [
                {"target": id_, **facts} for id_, item in self.drift.items() for facts in item.facts
            ],
        }
        if self.code is not None:
            document["code"] = self.code.json_values()
        return document


def explain(loaded: Loaded, target: str, *, compare_code: bool = False) -> Explanation:
    """Plan one target, and gather all that is known about the decision.

    Args:
        loaded: the pipeline and its store, or the part of it that the target needs.
        target: a name, an id or another selector that selects one target.
        compare_code: compare the code of today with that of the build the plan compares with, or
            with that of the output which is reused.

    Raises:
        UsageError: it selects no target, or several.
        StoreError: the store cannot be read.

    """
    chosen = choose(loaded, [target])
    if len(chosen) != 1:
        raise UsageError(
            f"`{target}` stands for {len(chosen)} targets; one is explained at a time",
            hint="marin-build plan -v shows them all",
        )
    (index,) = chosen
    planned = make_planned(loaded, PlanRequest((loaded.targets.all[index].name,)))
    (decision,) = [each for each in planned.plan.decisions if each.index == index]
    code = _compare_code(planned, decision) if compare_code else None
    return Explanation(planned, decision, tuple(_facts(planned, decision)), code)


def _compare_code(planned: Planned, decision: Decision) -> CodeComparison:
    from marin_build.identity.code.digest import code_of
    from marin_build.identity.code.document import code_document
    from marin_build.observe.read_causes import drift_since_earlier
    from marin_build.observe.read_drift import find_drift
    from marin_build.plan.drift import Drift as NoDrift

    loaded, plan, found = planned.loaded, planned.plan, planned.found
    index, fn = decision.index, plan.targets.all[decision.index].step.fn
    unseen = tuple(code_document(code_of(fn)).unseen) if fn is not None else ()
    if decision.kind is not Kind.REUSE:
        drift = drift_since_earlier(loaded.store, plan, [decision]).get(index)
        return CodeComparison(drift, unseen)
    built = plan.snapshot.of(index).built
    if built is None or built.code_digest is None:
        return CodeComparison(None, unseen)
    if isinstance(decision.reason, Accepted):  # show what was accepted, too
        environments = environments_for(loaded, planned.engine)
        found = find_drift(loaded.store, plan, environments, heed_accepted=False)
    return CodeComparison(found.drift.get(index, NoDrift()), unseen)


def _facts(planned: Planned, decision: Decision) -> list[tuple[str, str]]:
    """Return the lines of the explanation, each a label and a text."""
    plan, loaded = planned.plan, planned.loaded
    target, reason = plan.targets.all[decision.index], decision.reason
    facts = [
        ("target", target.id),
        ("decision", printable(f"{verb_of(decision)}: {describe_decision(decision)}")),
        ("declared", shown(target.step.declared, loaded.workspace.project)),
        ("output", target.output_path),
    ]
    if target.step.has_recipe:  # the digits that its author may pin
        facts.append(("recipe", str(target.step.hash_attrs.get("fingerprint", ""))))
    if place := planned.engine.place_of(target.step):
        spec = planned.engine.spec_of(loaded.workspace, target)
        facts.append(("engine", f"{place}: {spec} of a saved plan" if spec else place))
    if isinstance(reason, Adopted):
        facts.append(("adopted", f"{moment_text(reason.at, 'minutes')} by {reason.by}"))
        if note := _note(loaded, target.output_path):
            facts.append(("because", note))
    if (changed := decision.root) is not None:
        when = f" {moment_text(changed.at, 'minutes')}" if changed.at else ""
        run = f", run {changed.run}" if changed.run else ""  # Marin's records say neither
        facts.append(("compared", f"with {changed.since}, built{when} by {changed.by}{run}"))
        facts += _listed("changed", [*_changes(changed.changes)])
    if (root := _root(plan, decision)) is not None:
        target_id = plan.targets.all[root.index].id
        facts.append(("cause", printable(f"{target_id}: {describe_decision(root)}")))
    for index, item in planned.drift.items():
        where = "" if index == decision.index else f"{plan.targets.all[index].id}: "
        facts.append(("drift", f"{where}{item.text}"))
        leaves = item.identity.changes if item.identity is not None else ()
        facts += _listed("changed", [*_changes(leaves if index == decision.index else ())])
    if decision.kind is Kind.REUSE and plan.snapshot.of(decision.index).built is None:
        facts += _recorded_by_marin(loaded, target.output_path)
    deps = [plan.targets.all[dep].id for dep in plan.targets.deps[decision.index]]
    files = [f"{file.step.target_id} / {file.path}" for file in target.step.files_read]
    return facts + _listed("needs", deps) + _listed("reads", [*map(printable, files)])


def _recorded_by_marin(loaded: Loaded, output: str) -> list[tuple[str, str]]:
    """Return what Marin recorded of an output that it built; nothing if it did not."""
    from marin_build.protocol.beside import read_beside
    from marin_build.protocol.layout import ARTIFACT, RECORD
    from marin_build.protocol.marin_record import parse_marin_record

    ((info, artifact),) = read_beside(loaded.store, [output], (RECORD, ARTIFACT))
    record = parse_marin_record(info, artifact)
    if record is None:
        return []
    about = " ".join(part for part in (record.name, record.function, record.by) if part)
    values = [f"{path} = {shortened(json.dumps(value))}" for path, value in record.values.items()]
    return [
        ("recorded", printable(f"by {record.writer}: {about}")),
        *_listed("with", [printable(value) for value in values]),
        *_listed("from", [printable(path) for path in record.needs]),
    ]


def _listed(label: str, texts: Sequence[str]) -> list[tuple[str, str]]:
    """Return a line for each text, and one that counts those that are too many."""
    more = len(texts) - _MOST_LINES
    lines = [(label, text) for text in texts[:_MOST_LINES]]
    return [*lines, (label, f"and {more} more (--json has them)")] if more > 0 else lines


def _root(plan: Plan, decision: Decision) -> Decision | None:
    """Return the decision at which the cause of one begins; None if that is its own."""
    decided = {each.index: each for each in plan.decisions}
    at = decision
    while (above := _above(at)) is not None:
        found = decided.get(plan.targets.by_id.get(above, -1))
        if found is None:
            break
        at = found
    return at if at is not decision else None


def _above(decision: Decision) -> str | None:
    """Return the id of the dependency that a decision follows from; None without one."""
    reason = decision.reason
    if isinstance(reason, Cascade | UpstreamBlocked):
        return reason.upstream
    changed = decision.root
    return str(changed.changes[0].new) if changed is not None and changed.is_cascade else None


def _changes(changes: Sequence[Change]) -> Iterator[str]:
    """Yield what differs, as a plan says it, but of long values more; equal texts once."""
    from marin_build.plan.nearest_build import describe_change

    same: dict[str, list[Change]] = {}
    for change in changes:
        same.setdefault(describe_change(change), []).append(change)
    for text, found in same.items():
        old, new = found[0].old, found[0].new
        is_dependency = found[0].path.startswith("deps.") and None not in (old, new)
        ids = f" ({old} -> {new})" if is_dependency else ""
        yield printable(text + (ids if len(found) == 1 else f" ({len(found)} targets)"))


def _note(loaded: Loaded, output: str) -> str:
    """Return why an output was adopted, in the words of the person who did it, on one line."""
    from marin_build.protocol.layout import RECORD
    from marin_build.protocol.record_reader import readable_record

    blob = loaded.store.get(f"{output}/{RECORD}")
    built = readable_record(blob.data if blob is not None else None)
    return printable((built.note if built is not None else None) or "")
