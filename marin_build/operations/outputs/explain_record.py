"""What records tell of a target that the pipeline does not declare, or while it does not load."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from marin_build.observe.read_builds import read_builds, read_outputs
from marin_build.plan.nearest_build import describe_change, nearest_change
from marin_build.plan.selection import only_one, select
from marin_build.plan.snapshot import Earlier
from marin_build.protocol.layout import version_of
from marin_build.protocol.recipe_reader import read_recipe
from marin_build.text.moments import moment_text
from marin_build.text.readable import printable, shortened

if TYPE_CHECKING:
    from collections.abc import Iterator

    from marin_build.observe.read_builds import StoredOutput
    from marin_build.operations.outputs.recall import Recalled
    from marin_build.plan.reasons import IdentityChanged
    from marin_build.protocol.recipe_reader import Recipe
    from marin_build.store.base import Store


_MOST_LINES = 20
_LONGEST = 300


@dataclass(frozen=True, slots=True)
class RecordedExplanation:
    """What is known of a target without its declaration.

    Args:
        output: the target.
        why: why the pipeline says nothing of it.
        recipe: what made it; None if no readable record says.
        changed: how it differs from the nearest build of its name before it; None without one.

    """

    output: StoredOutput
    why: str
    recipe: Recipe | None
    changed: IdentityChanged | None

    def __str__(self) -> str:
        return "\n".join(f"{label:<10}{text}" for label, text in self.facts())

    def facts(self) -> Iterator[tuple[str, str]]:
        """Yield all there is to say: label and text, line by line."""
        output, built = self.output, self.output.built
        yield "target", output.target
        yield "decision", f"none: {self.why}"
        yield "output", output.path
        if built is not None and output.is_built:
            when = moment_text(built.end, "minutes")
            how = "adopted" if built.adopted_from else "built"
            yield how, printable(f"{when} by {built.worker}, run {built.run}")
        else:
            yield "status", output.status or "none: it was never begun"
        if self.recipe is not None and self.recipe.made_by is not None:
            yield "made by", shortened(printable(self.recipe.made_by), _LONGEST)
        if (changed := self.changed) is not None:
            when = moment_text(changed.at, "minutes")
            who = printable(f"with {changed.since}, built {when} by {changed.by}")
            yield "compared", f"{who}, run {printable(changed.run)}"
            for change in changed.changes[:_MOST_LINES]:
                yield "changed", printable(describe_change(change))
            if (more := len(changed.changes) - _MOST_LINES) > 0:
                yield "changed", f"and {more} more (--json has them)"
        for dep in self.recipe.deps[:_MOST_LINES] if self.recipe is not None else ():
            yield "needs", printable(dep)

    def json_values(self) -> dict[str, Any]:
        """Return it as JSON values."""
        from marin_build.emit.plan_json import reason_json

        return {
            "name": self.output.name,
            "target": self.output.target,
            "decision": None,
            "why": self.why,
            "output_path": self.output.path,
            "status": self.output.status,
            "made_by": self.recipe.made_by if self.recipe is not None else None,
            "deps": list(self.recipe.deps) if self.recipe is not None else [],
            "changed": reason_json(self.changed) if self.changed is not None else None,
        }


def explain_record(recalled: Recalled) -> RecordedExplanation:
    """Gather what records tell of the one target that was recalled.

    Args:
        recalled: a target that the pipeline could not be asked about.

    Raises:
        StoreError: the store cannot be read.

    """
    loaded = recalled.loaded
    (selector,) = recalled.selectors
    chosen = select(loaded.targets, [selector])
    target = loaded.targets.all[only_one(selector, chosen, "is explained at a time")]
    (output,) = read_outputs(loaded.store, [(target.name, target.id, target.output_path)])
    return RecordedExplanation(
        output,
        "; ".join(recalled.notes),
        read_recipe(loaded.store, target.output_path),
        _changed(loaded.store, loaded.workspace.prefix, output),
    )


def _changed(store: Store, prefix: str, output: StoredOutput) -> IdentityChanged | None:
    """Return how an output differs from the nearest build of its name before it."""
    built = output.built
    if built is None or built.payload is None or built.hashed is None:
        return None
    earlier = [
        Earlier(other.built, hashed)
        for other in read_builds(store, prefix, output.name)
        if other.target != output.target
        and other.built is not None
        and other.end < output.end
        and (hashed := other.built.hashed) is not None
    ]
    version = version_of(output.name, output.target)
    return nearest_change(built.payload, earlier, lambda _: "", version)
