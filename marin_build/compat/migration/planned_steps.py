"""What a plan says of the steps that a file declares: facts that its text does not tell."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from marin_build.compat.migration.source_text import name_given

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_DEPENDENCY = "DEP["


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """A target of a plan.

    Args:
        name: of its step.
        output_path: as the plan writes it.
        folder: where it lies below the prefix; None: it does not.
        line: of its declaration; 0: in another file.
        attributes: what is hashed of it; of an ExecutorStep, path in the config -> value.
        needs: the output paths of what it needs.
        fingerprint: 64 hex digits.
        decision: `reuse`, `run`, ...; what need not be looked at counts as reused.
        has_other_identity: whether what was built has another identity by its record.

    """

    name: str
    output_path: str
    folder: str | None
    line: int
    attributes: Mapping[str, Any]
    needs: frozenset[str]
    fingerprint: str
    decision: str
    has_other_identity: bool = False

    @property
    def dependencies(self) -> int:
        """How many places in its config name the output of a step."""
        return sum(map(_is_dependency, self.attributes.values()))

    @property
    def versioned(self) -> int:
        """How many places in its config are versioned, or name a path that no step makes."""
        return len(self.attributes) - self.dependencies


def _is_dependency(value: object) -> bool:
    return isinstance(value, str) and value.startswith(_DEPENDENCY)


def planned_steps(document: Mapping[str, Any]) -> list[PlannedStep]:
    """Return the targets of a plan, from the document that `plan --json` prints."""
    decisions = document["decisions"]
    paths = {each["target"]: each["output_path"] for each in decisions}
    return [
        PlannedStep(
            each["name"],
            each["output_path"],
            _below(each["output_path"], document["prefix"]),
            _line_in(each["declared"], document["pipeline"]),
            each["payload"].get("attrs", {}),
            frozenset(paths[dep] for dep in each["deps"]),
            each["fingerprint"],
            "reuse" if each["decision"] == "pruned" else each["decision"],
            any(drift["kind"] == "identity" for drift in each["drift"]),
        )
        for each in decisions
    ]


def declared_in(steps: Sequence[PlannedStep], call: ast.Call) -> list[PlannedStep]:
    """Return the targets that a call declares."""
    last = call.end_lineno or call.lineno
    return [step for step in steps if call.lineno <= step.line <= last]


def named_as(steps: Sequence[PlannedStep], call: ast.Call) -> list[PlannedStep]:
    """Return the targets that have the name in a call; Marin's own steps know no other place."""
    name = name_given(call)
    return [step for step in steps if isinstance(name, ast.Constant) and step.name == name.value]


def _below(path: str, prefix: str) -> str | None:
    return path.removeprefix(f"{prefix}/") if path.startswith(f"{prefix}/") else None


def _line_in(declared: str, pipeline: str) -> int:
    """Return the line of a declaration in the file of a pipeline, of which a part may be named."""
    name, _, line = declared.rpartition(":")
    is_there = pipeline == name or pipeline.startswith(f"{name}:")
    return int(line) if is_there and line.isdigit() else 0
