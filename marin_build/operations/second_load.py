"""A pipeline declares the same each time it is loaded, or no plan of it can be replayed."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from marin_build.errors import SpecificationError
from marin_build.operations.list_targets import entries_of
from marin_build.operations.options import PipelineOptions, words_of
from marin_build.operations.other_process import loading_elsewhere
from marin_build.plan.targets_diff import Kind, diff_targets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from marin_build.operations.loading import Loaded
    from marin_build.plan.targets_diff import Entry, TargetDifference

_SHOWN, _SHOWN_OF_ONE = 12, 2


@contextmanager
def loaded_twice(loaded: Loaded) -> Iterator[Callable[[], None]]:
    """Load a pipeline in another process, as a replay does, while a block does something else.

    It gives the function that waits for that, and raises SpecificationError if an attribute, a
    name or the code of a step is another one there. What waits in the one load waits in the other.
    """
    workspace = loaded.workspace
    options = PipelineOptions(
        file=loaded.pipeline.module.named_by_path,
        prefix=workspace.prefix,
        engine=loaded.settings.engine,
        parameters=loaded.pipeline.parameters,
        code=workspace.code or "report",
    )
    words = words_of(*(("--unbuilt", id_) for id_ in sorted(loaded.pipeline.unbuilt)))
    with loading_elsewhere(options, words) as other:
        yield lambda: _compare(loaded, other.listing("a second time").entries)


def _compare(loaded: Loaded, again: Sequence[Entry]) -> None:
    diff = diff_targets(entries_of(loaded.targets), again)
    own = [each for each in diff.differences if each.kind is not Kind.CASCADE]
    if not own:
        return
    lines = [line for each in own for line in _lines(each)]
    later = loaded.targets.later
    called = ", ".join(f"`{each.name}` ({each.place})" for each in later if each.targets)
    if len(lines) > _SHOWN:
        lines[_SHOWN:] = [f"and {len(lines) - _SHOWN} more"]
    raise SpecificationError(
        "the pipeline declares something else each time it is loaded",
        facts=[
            ("first -> second", "\n".join(lines)),
            *([("expansions", f"{called}: each is called in both loads")] if called else []),
        ],
        consequence="nothing was written: no replay would find the targets of this plan",
        hint="keep random numbers, times, process numbers and the order of sets out of steps; "
        "or make such a value a parameter, and give it with --set",
    )


def _lines(each: TargetDifference) -> list[str]:
    name, kind = each.entry.name, each.kind
    if kind in (Kind.APPEARED, Kind.VANISHED):
        return [f"{name}: {'only the second time' if kind is Kind.APPEARED else 'only at first'}"]
    reasons = each.reasons() or [kind.value]
    if len(reasons) > _SHOWN_OF_ONE:
        reasons[_SHOWN_OF_ONE:] = [f"and {len(reasons) - _SHOWN_OF_ONE} more"]
    return [f"{name}: {reason}" for reason in reasons]
