"""What fills a prefix, for people and programs: a row for each group, the largest first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from marin_build.cli.terminal import echo
from marin_build.cli.views.columns import columns
from marin_build.plan.storage_price import cost_of_bytes
from marin_build.text.readable import bytes_text, cost_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from marin_build.operations.outputs.du import DiskUsage
    from marin_build.plan.disk_usage import Usage


_SCHEMA_VERSION = 1
_HEADING = ("size", "not declared", "a month", "outputs", "group")
_NUMBERS = frozenset({"size", "not declared", "a month", "outputs"})


def show_usage(usage: DiskUsage) -> None:
    """Print a row for each group, then the totals."""
    rows = [
        (
            bytes_text(each.size),
            bytes_text(each.older_size) if each.older_size else "",
            _cost(each.size, usage.price),
            f"{each.outputs:,}",
            each.group,
        )
        for each in usage.groups
    ]
    rows += [(*_other(size, usage.price), what) for what, size in _others(usage)]
    if rows:
        for number, line in enumerate(columns(_HEADING, rows, right=_NUMBERS)):
            echo(line, bold=not number or None)
    for line in _totals(usage):
        echo(line)


def _other(size: int | None, price: float | None) -> tuple[str, str, str, str]:
    if size is None:
        return "?", "", "", ""
    return bytes_text(size), "", _cost(size, price), ""


def _others(usage: DiskUsage) -> Iterator[tuple[str, int | None]]:
    prefix = f"{usage.stored.place.prefix}/"
    if usage.bookkeeping != 0 and not usage.is_narrowed:
        yield "(runs, code and caches of marin-build)", usage.bookkeeping
    for each in usage.foreign:
        yield f"{each.path.removeprefix(prefix)} (not ours)", each.size


def _totals(usage: DiskUsage) -> Iterator[str]:
    total, prefix = usage.total, usage.stored.place.prefix
    cost = ""
    if usage.price is not None:
        cost = f", about {_cost(usage.size, usage.price)} a month at ${usage.price:g} a GiB"
    outputs = f"{total.outputs:,} output{'' if total.outputs == 1 else 's'}"
    yield f"{bytes_text(usage.size)} in all{cost}; {outputs} under {prefix}"
    yield from _remarks(usage)


def _remarks(usage: DiskUsage) -> Iterator[str]:
    total, inventory = usage.total, usage.stored.inventory
    if total.older_size:
        cost = f" ({_cost(total.older_size, usage.price)} a month)" if usage.price else ""
        yield (
            f"{bytes_text(total.older_size)} of {bytes_text(total.size)}{cost} belong to "
            f"{_identities(total)} that the pipeline does not declare: "
            "`marin-build gc -v` shows what may go, and what keeps the rest"
        )
    elsewhere = sum(each.data != each.path for each in inventory.targets)
    if elsewhere:
        yield f"{elsewhere} adopted: that data lies elsewhere and is not counted"
    if total.unknown:
        yield f"the sizes of {total.unknown} are not known: they count as nothing"
    if usage.foreign and any(each.size is None for each in usage.foreign):
        yield "what is not ours and cannot be listed counts as nothing"
    if inventory.not_looked_into:
        yield f"{inventory.not_looked_into:,} folders were not looked into: too many"


def _identities(total: Usage) -> str:
    return "1 identity" if total.older == 1 else f"{total.older:,} identities"


def _cost(size: int, price: float | None) -> str:
    return "" if price is None else cost_text(cost_of_bytes(size, price))


def usage_json(usage: DiskUsage) -> dict[str, Any]:
    """Return the document of `--json`."""
    stored = usage.stored
    return {
        "schema_version": _SCHEMA_VERSION,
        "prefix": stored.place.prefix,
        "pipeline_loaded": stored.declared is not None,
        "dollars_per_gib_month": usage.price,
        "size": usage.size,
        "outputs": _usage_json(usage.total, usage.price),
        "groups": [{"group": e.group, **_usage_json(e, usage.price)} for e in usage.groups],
        "not_ours": [{"path": e.path, "size": e.size, "files": e.files} for e in usage.foreign],
        "bookkeeping": usage.bookkeeping,
        "not_looked_into": stored.inventory.not_looked_into,
        "notes": list(stored.notes),
    }


def _usage_json(usage: Usage, price: float | None) -> dict[str, Any]:
    return {
        "outputs": usage.outputs,
        "size": usage.size,
        "not_declared": usage.older,
        "not_declared_size": usage.older_size,
        "unknown_sizes": usage.unknown,
        "dollars_per_month": None if price is None else cost_of_bytes(usage.size, price),
    }
