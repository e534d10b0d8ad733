"""What the action of a target runs, and what its script says about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from marin_build.commands import Command, Word
from marin_build.emit.plan_id import relative
from marin_build.explain import describe_stably

if TYPE_CHECKING:
    from marin_build.plan import Decision, Plan
    from marin_build.step_spec import StepSpec


@dataclass(frozen=True, slots=True)
class Action:
    """One target to build, as templates see it.

    Args:
        step: the declaration.
        name, target: the step's name and the target's id.
        why: the reason, in words.
        needs: ids of the dependencies.
        inputs: logical names of the external inputs.
        output: the output path, relative to the project where it lies inside.
        declared: file and line.
        description: the author's.
        command: the words of a command step; none for a function.

    """

    step: StepSpec
    name: str
    target: str
    why: str
    needs: tuple[str, ...]
    inputs: tuple[str, ...]
    output: str
    declared: str
    description: str
    command: tuple[Word, ...]

    @property
    def folder(self) -> str:
        """Its folder inside the plan directory."""
        return f"steps/{self.target}"


def action_of(plan: Plan, decision: Decision) -> Action:
    """Return the action of a decision."""
    targets, workspace = plan.targets, plan.targets.workspace
    target = targets.all[decision.index]
    step = target.step
    return Action(
        step=step,
        name=target.name,
        target=target.id,
        why=describe_stably(decision.reason),
        needs=tuple(targets.all[dep].id for dep in targets.deps[decision.index]),
        inputs=tuple(source.name for source in step.inputs.values()),
        output=relative(target.output_path, workspace),
        declared=f"{relative(step.declared[0], workspace)}:{step.declared[1]}",
        description=step.description,
        command=step.fn.words(target.output_path) if isinstance(step.fn, Command) else (),
    )
