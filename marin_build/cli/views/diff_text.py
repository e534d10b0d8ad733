"""The differences of two sets of targets, for people and for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from marin_build.plan.payload_diff import ABSENT
from marin_build.plan.targets_diff import Kind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from marin_build.operations.diff import Comparison, Side
    from marin_build.plan.targets_diff import TargetDifference


_SYMBOLS = {
    Kind.APPEARED: ("+", "green"),
    Kind.VANISHED: ("-", "red"),
    Kind.CHANGED: ("~", "yellow"),
    Kind.CASCADE: ("!", "yellow"),
    Kind.CODE: ("%", "cyan"),
    Kind.DECISION: ("*", "cyan"),
}
_MORE = {
    Kind.CASCADE: "more need targets that changed",
    Kind.DECISION: "more are the same, but have another decision",
}
_FOLDED_FROM = 20
_MOST_REASONS = 12
_SCHEMA_VERSION = 1


def show_diff(comparison: Comparison, *, verbose: bool) -> None:
    """Print differences, a line or more for each target; many with one cause become one line."""
    old, new, diff = comparison.old, comparison.new, comparison.diff
    shown, folded = _folded(diff.differences, verbose=verbose)
    width = min(max((len(each.entry.id) for each in shown), default=0), 60)
    for each in shown:
        _show(each, width, verbose=verbose)
    for symbol, more in folded:
        click.secho(f"  {symbol} {more} (-v shows them)", fg="bright_black")
    for side in (old, new):
        if side.pipeline is None:
            click.echo(f"  there is no pipeline in {side.shown}")
    counts = diff.summary()
    parts = [f"{counts[kind.value]} {kind.value}" for kind in Kind if counts[kind.value]]
    found = ", ".join(parts) or "no difference"
    click.echo(f"{old.shown} .. {new.shown}: {found}; {diff.same} the same")


def _folded(
    all_: Sequence[TargetDifference], *, verbose: bool
) -> tuple[list[TargetDifference], list[tuple[str, str]]]:
    """Return the differences to show, and a symbol and words for each kind with too many."""
    if verbose:
        return list(all_), []
    left = dict.fromkeys(_MORE, _FOLDED_FROM)
    shown = []
    for each in all_:
        if each.kind in left:
            left[each.kind] -= 1
        if left.get(each.kind, 0) >= 0:
            shown.append(each)
    over = {kind: -number for kind, number in left.items() if number < 0}
    return shown, [(_SYMBOLS[kind][0], f"{more} {_MORE[kind]}") for kind, more in over.items()]


def _show(each: TargetDifference, width: int, *, verbose: bool) -> None:
    symbol, colour = _SYMBOLS[each.kind]
    head = click.style(f"  {symbol} {each.kind.value:<8}", fg=colour)
    reasons = each.reasons() or [""]
    if not verbose and len(reasons) > _MOST_REASONS:
        more = len(reasons) - _MOST_REASONS
        reasons = [*reasons[:_MOST_REASONS], f"and {more} more (-v shows them)"]
    place = f"({each.entry.declared})" if each.entry.declared else ""
    first = "  ".join(filter(None, [reasons[0], place if each.kind is not Kind.VANISHED else ""]))
    click.echo(f"{head} {each.entry.id:<{width}}  {first}".rstrip())
    for reason in reasons[1:]:
        click.echo(" " * (width + 15) + reason)


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
