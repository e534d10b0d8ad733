"""`ls`: the outputs that lie under a prefix, whichever pipeline left them there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from marin_build.errors import NotFoundError
from marin_build.operations.outputs.read_stored import read_stored
from marin_build.pipeline.glob_patterns import compile_patterns
from marin_build.plan.disk_usage import is_within
from marin_build.plan.target_state import State
from marin_build.quick_dataclass import dataclass
from marin_build.text.readable import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from marin_build.operations.loading.options import PipelineOptions
    from marin_build.operations.outputs.read_stored import Stored
    from marin_build.plan.inventory import ForeignFolder, InventoryTarget


SortKey = Literal["name", "size", "used"]
_HELD = frozenset({State.RUNNING, State.GONE})


@dataclass(frozen=True, slots=True)
class ListedOutputs:
    """The outputs that `ls` shows.

    Args:
        stored: all that lies under the prefix.
        targets: those to show, in the order to show them.
        left_out: older identities that were left out.
        foreign: folders that are not ours.
        is_narrowed: whether patterns were given.

    """

    stored: Stored
    targets: tuple[InventoryTarget, ...]
    left_out: tuple[InventoryTarget, ...]
    foreign: tuple[ForeignFolder, ...]
    is_narrowed: bool = False


def list_outputs(
    options: PipelineOptions,
    patterns: Sequence[str] = (),
    *,
    show_all: bool = False,
    sort: SortKey = "name",
) -> ListedOutputs:
    """List what lies under a prefix.

    Args:
        options: name the pipeline and its prefix.
        patterns: names, ids, groups of names, or globs over names and ids; none: all.
        show_all: older identities, too. Else, of each name, those that the pipeline declares or a
            run holds; if there is none, the newest.
        sort: by name; the largest first; or what was not used for longest first.

    Raises:
        NotFoundError: a pattern matches nothing.
        StoreError: the store cannot be read.

    """
    stored = read_stored(options)
    inventory = stored.inventory
    is_wanted = [_matcher(pattern) for pattern in patterns]
    prefix = f"{inventory.prefix}/"

    def matches(name: str, id_: str) -> bool:
        return not is_wanted or any(match(name) or match(id_) for match in is_wanted)

    targets = [each for each in inventory.targets if matches(each.name, each.target)]
    paths = {each.path: each.path.removeprefix(prefix) for each in inventory.foreign}
    foreign = [each for each in inventory.foreign if matches(paths[each.path], "")]
    for pattern, match in zip(patterns, is_wanted, strict=True):
        there = any(match(each.name) or match(each.target) for each in targets)
        if not there and not any(match(paths[each.path]) for each in foreign):
            raise _nothing_called(stored, pattern)
    older = set[str]() if show_all else _older(stored, targets)
    shown = [each for each in targets if each.path not in older]
    match sort:
        case "size":
            shown.sort(key=lambda each: each.size or 0, reverse=True)
        case "used":
            shown.sort(key=lambda each: inventory.last_used(each) or each.end)
        case "name":
            pass
    left_out = tuple(each for each in targets if each.path in older)
    return ListedOutputs(stored, tuple(shown), left_out, tuple(foreign), bool(patterns))


def _older(stored: Stored, targets: Sequence[InventoryTarget]) -> set[str]:
    """Return the output paths of older identities: of each name all but those in use."""
    by_name: dict[str, list[InventoryTarget]] = {}
    for each in targets:
        by_name.setdefault(each.name, []).append(each)
    older = set()
    for identities in by_name.values():
        kept = {e.path for e in identities if stored.is_declared(e) or e.state.state in _HELD}
        kept = kept or {identities[0].path}
        older |= {each.path for each in identities} - kept
    return older


def _matcher(pattern: str) -> Callable[[str], bool]:
    if any(sign in pattern for sign in "*?["):
        return compile_patterns([pattern])
    return lambda text: is_within(text, pattern)


def _nothing_called(stored: Stored, pattern: str) -> NotFoundError:
    names = list(dict.fromkeys(each.name for each in stored.inventory.targets))
    return NotFoundError(
        f"nothing is called `{pattern}` under `{stored.inventory.prefix}`",
        facts=[("outputs there", str(len(stored.inventory.targets)))],
        hint=did_you_mean(pattern, names) or "marin-build ls shows all; see --prefix",
    )
