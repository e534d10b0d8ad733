"""A pipeline declares the same each time it is loaded, or no plan of it can be replayed."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from marin_build.errors import SpecificationError
from marin_build.operations.loading.list_targets import entries_of
from marin_build.operations.loading.options import PipelineOptions, words_of
from marin_build.operations.loading.other_process import loading_elsewhere
from marin_build.plan.targets_diff import Kind, diff_targets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from marin_build.operations.loading.loading import Declared, Loaded
    from marin_build.pipeline.targets import LaterTargets
    from marin_build.plan.targets_diff import TargetDifference

_SHOWN, _SHOWN_OF_ONE = 12, 2
WAY_OUT = (
    "keep random numbers, times, process numbers and the order of sets out of steps; or make such "
    "a value a parameter, and give it with --set"
)
"""What the author of such a pipeline can do."""


@contextmanager
def loaded_twice(loaded: Loaded) -> Iterator[Callable[[], None]]:
    """Load a pipeline in another process, as a replay does, while a block does something else.

    It gives the function that waits for that, and raises SpecificationError if an attribute, a
    name or the code of a step is another one there.
    """
    with loading_again(loaded) as differences:
        yield lambda: _refuse(differences(), loaded.targets.later)


@contextmanager
def loading_again(
    declared: Declared, words: Sequence[str] = ()
) -> Iterator[Callable[[], list[TargetDifference]]]:
    """Load a pipeline in another process, as a replay does, while a block does something else.

    Args:
        declared: the pipeline as it was loaded here; what waits in the one load waits in the other.
        words: options of `list-targets`: how it was loaded.

    Returns:
        A function that waits for that, and returns the targets that are declared otherwise there,
        but not those whose dependencies alone are. It raises SpecificationError if the pipeline
        cannot be loaded there.

    """
    workspace = declared.workspace
    options = PipelineOptions(
        file=declared.pipeline.module.named_by_path,
        prefix=workspace.prefix,
        engine=declared.settings.engine,
        parameters=declared.pipeline.parameters,
        code=workspace.code or "report",
    )
    unbuilt = words_of(*(("--unbuilt", id_) for id_ in sorted(declared.pipeline.unbuilt)))
    with loading_elsewhere(options, [*unbuilt, *words]) as other:

        def differences() -> list[TargetDifference]:
            again = other.listing("a second time").entries
            diff = diff_targets(entries_of(declared.targets), again)
            return [each for each in diff.differences if each.kind is not Kind.CASCADE]

        yield differences


def _refuse(own: Sequence[TargetDifference], later: Sequence[LaterTargets]) -> None:
    if not own:
        return
    lines = [f"{each.entry.name}: {text}" for each in own for text in difference_words(each)]
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
        hint=WAY_OUT,
    )


def difference_words(each: TargetDifference) -> list[str]:
    """Return how a target is declared otherwise the second time, in words."""
    if each.kind in (Kind.APPEARED, Kind.VANISHED):
        return ["only the second time" if each.kind is Kind.APPEARED else "only at first"]
    reasons = each.reasons() or [each.kind.value]
    if len(reasons) > _SHOWN_OF_ONE:
        reasons[_SHOWN_OF_ONE:] = [f"and {len(reasons) - _SHOWN_OF_ONE} more"]
    return reasons
