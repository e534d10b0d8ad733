"""What lies under a prefix, as a value: outputs of all identities, and what is not ours. Pure.

No pipeline is asked: names and identities follow from folders and records. So one value answers for
what a pipeline declares now, for what it declared once, and for what other people's pipelines left.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Literal

from marin_build.plan.payload_diff import dependency_name
from marin_build.plan.target_state import State
from marin_build.protocol.layout import output_under, prefix_of_output
from marin_build.quick_dataclass import dataclass
from marin_build.workspace.places import is_url

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from marin_build.plan.target_state import TargetState
    from marin_build.protocol.record_reader import Built


SizeSource = Literal["record", "listing"]


@dataclass(frozen=True, slots=True)
class InventoryTarget:
    """One identity of a step's name: its output folder, and what lies in it.

    Args:
        name, target: the step's name and the target's id, by its folder and its record.
        path: the output path.
        state: as `status` shows it; the newest attempt is in it if that failed.
        built: what its record says, ours or Marin's; None if none is readable.
        needs: what it was made from, as its record says: ids of targets, or output paths.
        size, files: bytes and number of its files, without those of marin-build; None: not known.
        size_source: the record, as the build left it; or a listing, as it is now; None: not known.
        is_latest: whether the pointer for people leads to it.

    """

    name: str
    target: str
    path: str
    state: TargetState
    built: Built | None = None
    needs: tuple[str, ...] = ()
    size: int | None = None
    files: int | None = None
    size_source: SizeSource | None = None
    is_latest: bool = False

    @property
    def is_built(self) -> bool:
        """Whether it is finished."""
        return self.state.state in _FINISHED

    @property
    def end(self) -> str:
        """When it was built, as records write moments; empty if that is not known."""
        return self.built.end if self.built is not None else ""

    @property
    def data(self) -> str:
        """Where its data lies: adopted data may lie elsewhere than the record."""
        return (self.built.adopted_from if self.built is not None else None) or self.path

    @property
    def holds_adopted(self) -> bool:
        """Whether the data was adopted, or is being adopted: no build made it."""
        lease = self.state.lease
        is_adopting = lease is not None and lease.is_adopting
        return is_adopting or (self.built is not None and self.built.adopted_from is not None)

    @property
    def is_finished(self) -> bool:
        """Whether its newest attempt did all its work, and only waits for `commit`."""
        last = self.state.last
        return last is not None and last.is_finished

    @property
    def size_here(self) -> int:
        """Bytes that lie in its own folder, as far as that is known."""
        return self.size or 0 if self.data == self.path else 0


_FINISHED = frozenset({State.BUILT, State.SEALED, State.TAINTED, State.DOUBTFUL})


@dataclass(frozen=True, slots=True)
class ForeignFolder:
    """A folder in and below which no output of ours was found.

    Args:
        path: where it lies.
        why: why none can lie there, in words; empty: none was found.
        size, files: bytes and number of its files; None: it was not listed.

    """

    path: str
    why: str
    size: int | None = None
    files: int | None = None


@dataclass(frozen=True)
class Inventory:
    """What lies under a prefix.

    Args:
        prefix: an absolute folder or a URL.
        targets: every output that was found, sorted by name, the newest build of each name first.
        foreign: folders that are not ours, sorted by path.
        loose: names of the files right under the prefix, which are not ours either.
        own_folders: where runs, bundles and caches of marin-build lie.
        not_looked_into: how many folders were left out, because there are too many.

    """

    prefix: str
    targets: tuple[InventoryTarget, ...]
    foreign: tuple[ForeignFolder, ...] = ()
    loose: tuple[str, ...] = ()
    own_folders: tuple[str, ...] = ()
    not_looked_into: int = 0

    @cached_property
    def consumers(self) -> Mapping[str, tuple[InventoryTarget, ...]]:
        """Output path -> the targets whose records name it as an input, the newest first."""
        paths = {each.path for each in self.targets}
        by_id = {each.target: each.path for each in self.targets}
        found: dict[str, list[InventoryTarget]] = {}
        for consumer in self.targets:
            base = _prefix_of(consumer) or self.prefix
            for need in dict.fromkeys(consumer.needs):
                path = _path_of(need, base)
                if path not in paths:  # at a path of its own
                    path = by_id.get(need, consumer.path)
                if path != consumer.path:
                    found.setdefault(path, []).append(consumer)
        return {path: newest_first(consumers) for path, consumers in found.items()}

    def last_used(self, target: InventoryTarget) -> str:
        """Return when the newest build ended that read it, as records write moments.

        Empty if the record of no build under this prefix names it.
        """
        return max((each.end for each in self.consumers.get(target.path, ())), default="")

    def by_name(self) -> Iterator[tuple[str, tuple[InventoryTarget, ...]]]:
        """Yield each name with its identities, the newest build first."""
        found: dict[str, list[InventoryTarget]] = {}
        for each in self.targets:
            found.setdefault(each.name, []).append(each)
        for name, identities in found.items():
            yield name, tuple(identities)


def _prefix_of(target: InventoryTarget) -> str | None:
    """Return the prefix that a target was built under: it may be one inside that which is read."""
    id_ = target.built.target if target.built is not None else ""
    return prefix_of_output(target.path, dependency_name(id_), id_) if id_ else None


def _path_of(need: str, prefix: str) -> str:
    """Return where the output of an id lies, unless it has a path of its own; a path stays one."""
    if need.startswith("/") or is_url(need):
        return need.rstrip("/")
    return output_under(prefix, dependency_name(need), need)


def newest_first(targets: Iterable[InventoryTarget]) -> tuple[InventoryTarget, ...]:
    """Return targets in the order of their builds; clocks of several machines are compared."""
    return tuple(sorted(targets, key=lambda each: (each.end, each.target), reverse=True))
