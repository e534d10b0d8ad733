"""Which attributes differ between targets, followed through all they were made from. Pure.

The rows of a table are targets. An attribute of a row's own step is called by its name, `rate`. One
of a step that it was made from has the step's name before it: `train.rate`. Only those are found
whose values differ between rows that have such a step.

Steps of a sweep whose names differ are compared as one: see `parts_played`.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from marin_build.plan.metrics.leaves import free_name
from marin_build.plan.metrics.parts_played import parts_played
from marin_build.plan.payload_diff import dependency_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from marin_build.plan.metrics.hashed_step import HashedStep


@dataclass(frozen=True, slots=True)
class Varying:
    """Attributes that differ between rows.

    Args:
        names: of the attributes: those of the rows' own steps first, then from the rows upwards.
        rows: for each row name -> JSON value; a list where several steps play one part with
            different values. An attribute that a row does not have is missing.

    """

    names: tuple[str, ...]
    rows: tuple[Mapping[str, Any], ...]


def varying_attributes(
    steps: Mapping[str, HashedStep],
    rows: Sequence[str],
    also: Callable[[str], bool] | None = None,
) -> Varying:
    """Return the attributes that differ between rows.

    Args:
        steps: key -> step, of the rows and of all that these were made from, as far as it is known.
        rows: a key for each row.
        also: whether to return an attribute that does not differ, by its name.

    """
    users = _users(steps, rows)
    parts = parts_played(steps, users, len(rows))
    own_part = {parts[row] for row in rows if row in parts}
    is_one_kind = len(own_part) == 1
    own_bits: dict[str, int] = {}
    for at, row in enumerate(rows) if is_one_kind else ():
        own_bits[row] = own_bits.get(row, 0) | 1 << at
    # A row may also be what another row was made from.
    above = {key: bits & ~own_bits.get(key, 0) for key, bits in users.items()}
    rows_with = {"": (1 << len(rows)) - 1}
    for key, part in parts.items():
        rows_with[part] = rows_with.get(part, 0) | above[key]
    columns = _Columns()
    for row, bit in own_bits.items():
        if row in parts:
            columns.add("", _attributes(steps[row], parts), bit)
    # A part that one and the same step plays for all rows has nothing that differs.
    players = Counter(parts[key] for key in parts if above[key])
    for key, part in parts.items():
        is_shared = players[part] == 1 and rows_with[part] == rows_with[""]
        if above[key] and (also is not None or not is_shared):
            columns.add(part, _attributes(steps[key], parts), above[key])
    found: dict[str, Mapping[int, Any]] = {}
    for (part, attribute), name in columns.named(next(iter(own_part), "")).items():
        cells = columns.cells[part, attribute]
        if _differs(cells, rows_with[part]) or (also is not None and also(name)):
            found[name] = {at: _value(values) for at, values in cells.items()}
    return Varying(
        tuple(found),
        tuple(
            {n: cells[at] for n, cells in found.items() if at in cells} for at in range(len(rows))
        ),
    )


def _users(steps: Mapping[str, HashedStep], rows: Sequence[str]) -> dict[str, int]:
    """Return key -> the rows that were made from that step, as bits; rows first, then upwards."""
    users = dict.fromkeys(reversed(_needed_first(steps, rows)), 0)
    for at, row in enumerate(rows):
        if row in users:
            users[row] |= 1 << at
    for key, bits in users.items():
        for dep in steps[key].deps.values():
            if dep in users:
                users[dep] |= bits
    return users


def _needed_first(steps: Mapping[str, HashedStep], rows: Sequence[str]) -> list[str]:
    """Return the rows and all they were made from, each behind what it needs.

    Records may claim a circle: one of its steps is then before what it needs.
    """
    order: dict[str, None] = {}
    begun: set[str] = set()
    pending = [row for row in reversed(rows) if row in steps]
    while pending:
        key = pending[-1]
        if key in begun:
            order.setdefault(key)
            pending.pop()
            continue
        begun.add(key)
        deps = steps[key].deps.values()
        pending.extend(dep for dep in deps if dep in steps and dep not in begun)
    return list(order)


def _attributes(step: HashedStep, parts: Mapping[str, str]) -> Iterator[tuple[str, Any]]:
    """Yield the attributes of a step; for what it needs stand the parts that those steps play."""
    yield from step.attributes().items()

    def part(id_: Any) -> Any:
        if not isinstance(id_, str):
            return id_
        return parts.get(step.deps.get(id_, ""), dependency_name(id_))

    for name, ids in step.needs():
        yield name, [part(id_) for id_ in ids] if isinstance(ids, list) else part(ids)


class _Columns:
    """Values by part and attribute, and by row: distinct ones, each with its JSON."""

    def __init__(self) -> None:
        self.cells: dict[tuple[str, str], dict[int, dict[str, Any]]] = {}

    def add(self, part: str, attributes: Iterator[tuple[str, Any]], above: int) -> None:
        """Add the attributes of a step to the rows that were made from it."""
        at_rows = list(_rows_in(above))
        for name, value in attributes:
            text = json.dumps(value, sort_keys=True)
            cells = self.cells.setdefault((part, name), {})
            for at in at_rows:
                cells.setdefault(at, {}).setdefault(text, value)

    def named(self, own: str) -> dict[tuple[str, str], str]:
        """Return the name of each column.

        An attribute of the rows themselves says whose it is if another column is called so.
        """
        taken = {f"{part}.{name}" for part, name in self.cells if part}
        found: dict[tuple[str, str], str] = {}
        used: set[str] = set()
        for part, name in self.cells:
            text = f"{part}.{name}" if part else name if name not in taken else f"{own}.{name}"
            found[part, name] = free_name(text, used)
            used.add(found[part, name])
        return found


def _rows_in(bits: int) -> Iterator[int]:
    """Yield the rows that bits stand for: as many steps as there are rows, not as many as bits."""
    while bits:
        lowest = bits & -bits
        yield lowest.bit_length() - 1
        bits ^= lowest


def _differs(cells: Mapping[int, Mapping[str, Any]], rows: int) -> bool:
    """Return whether values differ, or are missing, in one of the rows that have the step."""
    first = next(iter(cells.values())).keys()
    return len(cells) != rows.bit_count() or any(each.keys() != first for each in cells.values())


def _value(values: Mapping[str, Any]) -> Any:
    """Return the one value that a cell has, or a list of several: numbers first, then the rest."""
    if len(values) == 1:
        return next(iter(values.values()))

    def rank(item: tuple[str, Any]) -> tuple[bool, float, str]:
        is_number = isinstance(item[1], int | float)
        return not is_number, item[1] if is_number else 0, item[0]

    return [value for _, value in sorted(values.items(), key=rank)]
