"""What lies under a prefix, and what the pipeline says of it, if it loads: for `ls` and `du`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from marin_build.errors import MarinBuildError
from marin_build.observe.read_inventory import read_inventory
from marin_build.operations.loading.kept_analysis import load_to_read
from marin_build.operations.loading.loading import current_host
from marin_build.operations.loading.place import open_place
from marin_build.operations.outputs.find_outputs import first_line
from marin_build.plan.later_selection import what_waits
from marin_build.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

    from marin_build.operations.loading.options import PipelineOptions
    from marin_build.operations.loading.place import Place
    from marin_build.plan.inventory import Inventory, InventoryTarget


@dataclass(frozen=True, slots=True)
class Stored:
    """What lies under a prefix.

    Args:
        place: the prefix and its store.
        inventory: what lies there.
        declared: output path -> the ids of the targets that need it, for every target that the
            pipeline declares now; None: the pipeline was not asked.
        notes: why it was not asked, or which of its steps are not known yet, in words; as a rule
            none.

    """

    place: Place
    inventory: Inventory
    declared: Mapping[str, tuple[str, ...]] | None
    notes: tuple[str, ...] = ()

    def is_declared(self, target: InventoryTarget) -> bool | None:
        """Return whether the pipeline declares this identity now; None: it was not asked."""
        return None if self.declared is None else target.path in self.declared

    def needed_by(self, target: InventoryTarget) -> dict[str, bool | None]:
        """Return the ids of the targets that need one, and whether the pipeline declares them now.

        Those that the pipeline declares come first; then those whose records name it as an input.
        """
        declared = (self.declared or {}).get(target.path, ())
        found: dict[str, bool | None] = dict.fromkeys(declared, True)
        for consumer in self.inventory.consumers.get(target.path, ()):
            found.setdefault(consumer.target, self.is_declared(consumer))
        return dict(sorted(found.items(), key=lambda item: item[1] is not True))

    def waits_for_commit(self, target: InventoryTarget) -> bool:
        """Return whether its step did all its work, and `commit` may publish that."""
        return target.is_finished or (not target.is_built and _is_set_aside(target.path))


def _is_set_aside(path: str) -> bool:
    from marin_build.run_step.set_aside import set_aside_of

    return set_aside_of(path) is not None


def read_stored(options: PipelineOptions, *, foreign_sizes: bool = False) -> Stored:
    """Read what lies under the prefix that options name.

    Args:
        options: name the pipeline and its prefix.
        foreign_sizes: list what is not ours, too, however much that is.

    Raises:
        UsageError: the options are wrong.
        StoreError: the store cannot be read.

    """
    place = open_place(options)
    declared, notes = _declared(options, place)
    inventory = read_inventory(
        place.store,
        place.prefix,
        current_host(),
        known=declared or (),
        foreign_sizes=foreign_sizes,
    )
    return Stored(place, inventory, declared, notes)


def _declared(
    options: PipelineOptions, place: Place
) -> tuple[dict[str, tuple[str, ...]] | None, tuple[str, ...]]:
    """Return what the pipeline declares, and what it does not tell, in words."""
    try:
        targets = load_to_read(options).targets
    except MarinBuildError as error:
        if not place.is_pipelines(error):
            raise
        return None, (f"{first_line(error)}; which identities it declares now is not known",)
    needed_by: dict[str, list[str]] = {target.output_path: [] for target in targets.all}
    for target, deps in zip(targets.all, targets.deps, strict=True):
        for dep in deps:
            needed_by[targets.all[dep].output_path].append(target.id)
    waits = what_waits(targets)
    notes = (f"not known yet: {waits}; such steps count as not declared",) if waits else ()
    return {path: tuple(ids) for path, ids in needed_by.items()}, notes
