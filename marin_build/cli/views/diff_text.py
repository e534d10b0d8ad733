"""The differences of two sets of targets, for people and for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from marin_build.cli.terminal import Styled, echo
from marin_build.emit.fold_rows import folder, same_name
from marin_build.plan.payload_diff import ABSENT
from marin_build.plan.targets_diff import Kind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from marin_build.operations.saved_plans.diff import Comparison, Side
    from marin_build.plan.targets_diff import TargetDifference


_SYMBOLS = {
    Kind.APPEARED: ("+", "green"),
    Kind.VANISHED: ("-", "red"),
    Kind.CHANGED: ("~", "yellow"),
    Kind.RENAMED: (">", "yellow"),
    Kind.CASCADE: ("!", "yellow"),
    Kind.CODE: ("%", "cyan"),
    Kind.DECISION: ("*", "cyan"),
}
_MORE = {
    Kind.CASCADE: "more need targets that changed",
    Kind.DECISION: "more are the same, but have another decision",
}
_FOLDED_FROM = 20
_FEWEST_MERGED = 3
_MOST_REASONS = 12
_SCHEMA_VERSION = 1


def show_diff(comparison: Comparison, *, verbose: bool) -> None:
    """Print differences, a line or more for each target; many with one cause become one line."""
    old, new, diff = comparison.old, comparison.new, comparison.diff
    rows = [_Row.of(each) for each in diff.differences]
    shown, folded = _folded(rows if verbose else _merged(rows), verbose=verbose)
    width = min(max((len(row.what) for row in shown), default=0), 60)
    for row in shown:
        _show(row, width, verbose=verbose)
    for symbol, more in folded:
        echo(f"  {symbol} {more} (-v shows them)", fg="bright_black")
    for side in (old, new):
        if side.pipeline is None:
            echo(f"  there is no pipeline in {side.shown}")
    counts = diff.summary()
    parts = [f"{counts[kind.value]} {kind.value}" for kind in Kind if counts[kind.value]]
    found = ", ".join(parts) or "no difference"
    echo(f"{old.shown} .. {new.shown}: {found}; {diff.same} the same")


class _Row(NamedTuple):
    """One line or more: a target, or several with the same reasons and one pattern for all."""

    kind: Kind
    name: str
    what: str
    reasons: tuple[str, ...]
    place: str
    targets: int = 1

    @classmethod
    def of(cls, each: TargetDifference) -> _Row:
        """Return the row of one target."""
        entry = each.entry
        place = entry.declared if each.kind is not Kind.VANISHED else ""
        return cls(each.kind, entry.name, entry.id, tuple(each.reasons()), place)


def _merged(rows: Sequence[_Row]) -> list[_Row]:
    """Return rows in which several that say the same are one, as in a plan."""
    groups: dict[tuple[object, ...], list[_Row]] = {}
    for row in rows:
        key = (row.kind, row.reasons, row.place, folder(row.name))
        groups.setdefault(key if row.reasons else row, []).append(row)
    found: list[_Row] = []
    for group in groups.values():
        if len(group) < _FEWEST_MERGED:
            found += group
            continue
        names = {row.name for row in group}
        pattern = same_name(group[0].name) if len(names) == 1 else folder(group[0].name)
        what = f"{pattern} ({len(group)} targets)"
        found.append(group[0]._replace(what=what, targets=len(group)))
    return found


def _folded(rows: Sequence[_Row], *, verbose: bool) -> tuple[list[_Row], list[tuple[str, str]]]:
    """Return the differences to show, and a symbol and words for each kind with too many."""
    if verbose:
        return list(rows), []
    left = dict.fromkeys(_MORE, _FOLDED_FROM)
    shown = []
    over: dict[Kind, int] = {}
    for row in rows:
        if row.kind in left:
            left[row.kind] -= 1
        if left.get(row.kind, 0) >= 0:
            shown.append(row)
        else:
            over[row.kind] = over.get(row.kind, 0) + row.targets
    return shown, [(_SYMBOLS[kind][0], f"{more} {_MORE[kind]}") for kind, more in over.items()]


def _show(row: _Row, width: int, *, verbose: bool) -> None:
    symbol, colour = _SYMBOLS[row.kind]
    head = Styled(f"  {symbol} {row.kind.value:<8}", colour)
    reasons = list(row.reasons) or [""]
    if not verbose and len(reasons) > _MOST_REASONS:
        more = len(reasons) - _MOST_REASONS
        reasons = [*reasons[:_MOST_REASONS], f"and {more} more (-v shows them)"]
    place = f"({row.place})" if row.place else ""
    first = "  ".join(filter(None, [reasons[0], place]))
    echo(head, f" {row.what:<{width}}  {first}".rstrip())
    for reason in reasons[1:]:
        echo(" " * (width + 15) + reason)


def diff_document(comparison: Comparison) -> dict[str, Any]:
    """Return the differences as one JSON document."""
    diff = comparison.diff
    return {
        "schema_version": _SCHEMA_VERSION,
        "old": _side(comparison.old),
        "new": _side(comparison.new),
        "summary": diff.summary(),
        "differences": [
            {
                "kind": each.kind.value,
                "name": each.entry.name,
                "old": each.old.id if each.old is not None else None,
                "new": each.new.id if each.new is not None else None,
                "leaves": [
                    {
                        "path": leaf.path,
                        **({} if leaf.old is ABSENT else {"old": leaf.old}),
                        **({} if leaf.new is ABSENT else {"new": leaf.new}),
                    }
                    for leaf in each.leaves
                ],
                "code_changed": each.code_changed,
                "declared": each.entry.declared,
                "reasons": each.reasons(),
            }
            for each in diff.differences
        ],
    }


def _side(side: Side) -> dict[str, object]:
    return {
        "kind": side.kind,
        "name": side.label,
        "commit": side.commit,
        "pipeline": side.pipeline,
        "targets": len(side.entries),
    }
