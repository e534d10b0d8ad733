"""Whether an experiment and its new form plan the same, target by target."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from marin_build.compat.migration.planned_steps import PlannedStep


@dataclass(frozen=True, slots=True)
class Proof:
    """How two plans compare.

    Args:
        targets: how many targets the experiment has.
        differences: what is not the same, a line for each target.
        failure: why the new form could not be planned; None: it was.
        reported: how many targets are reused and yet reported as drift, because the record that
            marin-build itself left says their former identity.
        fingerprints: output path -> fingerprint in the new form, of all but those.

    """

    targets: int
    differences: tuple[str, ...]
    failure: str | None = None
    reported: int = 0
    fingerprints: Mapping[str, str] = field(default_factory=dict)

    @property
    def holds(self) -> bool:
        """Whether nothing would be built anew."""
        return self.failure is None and not self.differences


def compare_plans(old: Sequence[PlannedStep], new: Sequence[PlannedStep]) -> Proof:
    """Compare two plans by output path: decision and needs of each must be the same."""
    before = {step.output_path: step for step in old}
    after = {step.output_path: step for step in new}
    lines = [f"{s.name}: {p} is gone" for p, s in before.items() if p not in after]
    lines += [f"{s.name}: {p} is new" for p, s in after.items() if p not in before]
    for path, was in before.items():
        now = after.get(path)
        if now is None:
            continue
        if now.decision != was.decision:
            lines.append(f"{was.name}: {was.decision} -> {now.decision}")
        lines += [f"{was.name}: no longer needs {each}" for each in sorted(was.needs - now.needs)]
        lines += [f"{was.name}: now needs {each}" for each in sorted(now.needs - was.needs)]
    alike = {step.output_path: step.fingerprint for step in new if not step.has_other_identity}
    return Proof(len(before), tuple(lines), reported=len(new) - len(alike), fingerprints=alike)
