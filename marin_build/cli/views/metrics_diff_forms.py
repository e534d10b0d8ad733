"""What changed in attributes and numbers between two versions, for people and for programs."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any

from marin_build.cli.terminal import echo
from marin_build.cli.views.metrics_cells import change_text, json_value
from marin_build.cli.views.metrics_forms import (
    show_lines,
    write_csv,
    write_json,
    write_markdown,
)
from marin_build.cli.views.text_table import TextColumn
from marin_build.text.readable import printable
from marin_build.text.values import attribute_text, number_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from marin_build.cli.views.metrics_cells import Form
    from marin_build.operations.metrics.metrics_diff import ChangedMetrics
    from marin_build.operations.saved_plans.diff import Side
    from marin_build.plan.metrics.metrics_changes import Change, ChangedTarget


_SCHEMA_VERSION = 1
_NONE = "-"
_HEADINGS = ("name", "old_target", "new_target", "kind", "what", "old", "new", "change")


def show_diff(changed: ChangedMetrics, form: Form) -> None:
    """Print what changed in one of its forms."""
    if form == "json":
        write_json(diff_document(changed))
    elif form == "csv":
        write_csv(_HEADINGS, chain.from_iterable(map(_csv_rows, changed.targets)))
    elif form == "markdown":
        headings = ("target", "", changed.old.shown, changed.new.shown, "change")
        rows = [[each.name, *_texts(change)] for each in changed.targets for change in _shown(each)]
        write_markdown(headings, rows)
    else:
        _show_text(changed)


def diff_document(changed: ChangedMetrics) -> dict[str, Any]:
    """Return the document of `--json`."""
    return {
        "schema_version": _SCHEMA_VERSION,
        "old": _side(changed.old),
        "new": _side(changed.new),
        "same": changed.same,
        "targets": [
            {
                "name": each.name,
                "old": each.old_id,
                "new": each.new_id,
                "changes": [
                    {name: json_value(value) for name, value in change._asdict().items()}
                    for change in each.changes
                ],
            }
            for each in changed.targets
        ],
        "notes": list(changed.notes),
    }


def _side(side: Side) -> dict[str, object]:
    return {"kind": side.kind, "name": side.label, "commit": side.commit}


def _csv_rows(each: ChangedTarget) -> Iterator[list[Any]]:
    for change in each.changes:
        yield [each.name, each.old_id, each.new_id, *change]


def _show_text(changed: ChangedMetrics) -> None:
    for each in changed.targets:
        echo(_head(each), bold=True)
        shown = _shown(each)
        cells = list(zip(*map(_texts, shown), strict=True)) or [()] * 4
        numbers = all(change.kind == "metric" for change in shown)
        headings = ("", "old", "new", "change")
        show_lines(
            [
                TextColumn(f"  {heading}" if not at else heading, texts, at > 0 and numbers, 0)
                for at, (heading, texts) in enumerate(zip(headings, cells, strict=True))
            ],
            "--csv has all",
        )
        if (alike := len(each.changes) - len(shown)) > 0:
            echo(f"  {alike} {'number is' if alike == 1 else 'numbers are'} the same")
    counts = f"{len(changed.targets)} with numbers changed; {changed.same} the same"
    echo(f"{changed.old.shown} .. {changed.new.shown}: {counts}")


def _head(each: ChangedTarget) -> str:
    if each.old_id is None or each.new_id is None:
        return f"{each.old_id or each.new_id}: only in the {'old' if each.old_id else 'new'} one"
    return each.new_id if each.old_id == each.new_id else f"{each.old_id} -> {each.new_id}"


def _shown(each: ChangedTarget) -> list[Change]:
    """Return the changes, without numbers that are equal."""
    return [c for c in each.changes if c.kind == "attribute" or _differs(c.old, c.new)]


def _differs(old: Any, new: Any) -> bool:
    return type(old) is not type(new) or (old != new and (old == old or new == new))  # noqa: PLR0124


def _texts(change: Change) -> tuple[str, str, str, str]:
    of = attribute_text if change.kind == "attribute" else number_text
    old, new = (_NONE if value is None else of(value) for value in (change.old, change.new))
    return f"  {printable(change.name)}", old, new, change_text(change.change)
