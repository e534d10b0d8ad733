"""Targets with the numbers they returned, as the rows and columns of a table. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from marin_build.errors import UsageError
from marin_build.pipeline.glob_patterns import compile_patterns
from marin_build.plan.metrics.leaves import free_name
from marin_build.plan.metrics.returned_numbers import is_missing
from marin_build.plan.metrics.varying_attributes import varying_attributes
from marin_build.text.readable import did_you_mean, printable, shortened

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from marin_build.plan.metrics.hashed_step import HashedStep
    from marin_build.plan.metrics.returned_numbers import Number


BuildFact = Literal["target", "name", "run", "built", "seconds", "cost"]
_BEFORE: tuple[BuildFact, ...] = ("target", "name", "run", "built")
_AFTER: tuple[BuildFact, ...] = ("seconds", "cost")
_BUILD_FACTS = frozenset((*_BEFORE, *_AFTER))
_HEADINGS: Mapping[str, BuildFact] = {"time": "seconds"}
"""What people read above a column -> its name."""


@dataclass(frozen=True, slots=True)
class MeasuredTarget:
    """A built target, and the numbers that its step returned.

    Args:
        target: its id.
        name: the step's name.
        metrics: name -> number.
        run: the run that built it, or for which it was asked; empty if no record says.
        built: when its build ended, as records write moments; empty if no record says.
        seconds: how long the build took; None if no record says.
        cost: US dollars that the build cost by list prices; None if they are not known.

    """

    target: str
    name: str
    metrics: Mapping[str, Number]
    run: str = ""
    built: str = ""
    seconds: float | None = None
    cost: float | None = None


class Column(NamedTuple):
    """A column of a table: what it holds, what that is called, and the key that no other has."""

    kind: Literal["build", "attribute", "metric"]
    name: str
    key: str


@dataclass(frozen=True, slots=True)
class MetricsRow:
    """A target of a table, and its values of the attributes that the table compares."""

    of: MeasuredTarget
    attributes: Mapping[str, Any]

    def value(self, column: Column) -> Any:
        """Return the value in a column, as a JSON value or a float; None where there is none."""
        match column.kind:
            case "attribute":
                return self.attributes.get(column.name)
            case "metric":
                return self.of.metrics.get(column.name)
            case "build":
                return getattr(self.of, column.name) if column.name in _BUILD_FACTS else None


@dataclass(frozen=True, slots=True)
class MetricsTable:
    """Rows of targets.

    Args:
        rows: one for each target.
        attributes: names of those attributes that differ between the rows, or that were asked for.
        metrics: names of all numbers, in the order in which the steps returned them.
        facts: what is shown of the builds themselves.

    """

    rows: tuple[MetricsRow, ...]
    attributes: tuple[str, ...]
    metrics: tuple[str, ...]
    facts: frozenset[str] = field(default=_BUILD_FACTS)

    def columns(self) -> list[Column]:
        """Return the columns: which target, its attributes, its numbers, its duration and cost.

        A key is the name. Where two would be equal, a fact of the build (`seconds`) keeps it, then
        a metric, which no attribute can rename: others become `metrics.seconds`, `attrs.acc`.
        """
        facts = {name: Column("build", name, name) for name in (*_BEFORE, *_AFTER)}
        metrics = _keyed("metric", "metrics", self.metrics, _BUILD_FACTS)
        taken = _BUILD_FACTS.union(column.key for column in metrics)
        attributes = _keyed("attribute", "attrs", self.attributes, taken)
        return [
            *(facts[name] for name in _BEFORE if name in self.facts),
            *attributes,
            *metrics,
            *(facts[name] for name in _AFTER if name in self.facts),
        ]

    def flat_rows(self) -> list[dict[str, Any]]:
        """Return each row as key of a column -> value; None where there is none."""
        columns = self.columns()
        return [{column.key: row.value(column) for column in columns} for row in self.rows]

    def chosen(self, patterns: Sequence[str]) -> MetricsTable:
        """Return the table with the target and those columns only whose names match.

        Args:
            patterns: names or globs.

        Raises:
            UsageError: one matches no column.

        """
        names = (*self.attributes, *self.metrics, *_BUILD_FACTS)
        patterns = [p if p in names else _HEADINGS.get(p, p) for p in patterns]
        for pattern in patterns:
            if not any(map(compile_patterns([pattern]), names)):
                raise _no_column(pattern, names)
        is_chosen = compile_patterns(patterns)
        attributes = tuple(filter(is_chosen, self.attributes))
        rows = (
            replace(
                row, attributes={n: row.attributes[n] for n in attributes if n in row.attributes}
            )
            for row in self.rows
        )
        return replace(
            self,
            rows=tuple(rows),
            attributes=attributes,
            metrics=tuple(filter(is_chosen, self.metrics)),
            facts=frozenset({"target", *filter(is_chosen, _BUILD_FACTS)}),
        )

    def sorted_by(self, words: Sequence[str]) -> MetricsTable:
        """Return the table in the order of columns, the first of which decides first.

        Args:
            words: each the key of a column, or what its last parts are (`acc` of `eval.acc`); the
                smallest value comes first, with `-` before the word the largest. NaN and rows
                without a value come last, whichever way.

        Raises:
            UsageError: a word names no column, or several.

        """
        rows = list(self.rows)
        for word in reversed(words):
            column, is_descending = _column_of(word, self.columns())
            rows.sort(key=lambda row: _rank(row.value(column)), reverse=is_descending)
            rows.sort(key=lambda row: _is_none(row.value(column)))  # stable
        return replace(self, rows=tuple(rows))


def metrics_table(
    targets: Sequence[MeasuredTarget],
    keys: Sequence[str],
    steps: Mapping[str, HashedStep],
    columns: Sequence[str] = (),
) -> MetricsTable:
    """Return the table of targets and of the attributes in which they differ.

    Args:
        targets: the rows.
        keys: for each of them its key in `steps`.
        steps: key -> step, of the targets and of all they were made from, as far as it is known.
        columns: names or globs of the columns to show, whether they differ or not; none: the
            attributes that differ, and all numbers.

    Raises:
        UsageError: a pattern matches no column.

    """
    varying = varying_attributes(steps, keys, (lambda _name: True) if columns else None)
    rows = tuple(map(MetricsRow, targets, varying.rows))
    metrics = dict.fromkeys(name for target in targets for name in target.metrics)
    table = MetricsTable(rows, varying.names, tuple(metrics))
    return table.chosen(columns) if columns else table


def _keyed(
    kind: Literal["attribute", "metric"], prefix: str, names: Sequence[str], taken: frozenset[str]
) -> list[Column]:
    keys = set(taken)
    found = []
    for name in names:
        key = free_name(f"{prefix}.{name}" if name in keys else name, keys)
        keys.add(key)
        found.append(Column(kind, name, key))
    return found


def _column_of(word: str, columns: Sequence[Column]) -> tuple[Column, bool]:
    """Return the column that a word names, and whether the largest value comes first."""
    for name, is_descending in ((word, False), (word[1:], True)):
        if is_descending and not word.startswith("-"):
            continue
        ends = tuple(f"{separator}{name}" for separator in "./")
        exact = [column for column in columns if column.key == name]
        found = exact or [column for column in columns if name and column.key.endswith(ends)]
        if len(found) == 1:
            return found[0], is_descending
        if found:
            raise UsageError(
                f"`{shortened(printable(word))}` may stand for {len(found)} columns",
                facts=[("columns", ", ".join(printable(each.key) for each in found[:5]))],
            )
    sign, bare = ("-", word[1:]) if word.startswith("-") else ("", word)
    if bare in _HEADINGS:
        return _column_of(f"{sign}{_HEADINGS[bare]}", columns)
    raise _no_column(bare, [column.key for column in columns])


def _no_column(word: str, names: Sequence[str]) -> UsageError:
    some = ", ".join(printable(name) for name in names[:12])
    more = f" and {len(names) - 12} more" if len(names) > 12 else ""  # noqa: PLR2004 - as above
    return UsageError(
        f"no column is called `{shortened(printable(word))}`",
        facts=[("columns", some + more)],
        hint=did_you_mean(word, names),
    )


def _is_none(value: Any) -> bool:
    return value is None or (isinstance(value, float) and is_missing(value))


def _rank(value: Any) -> tuple[int, Any]:
    """Return what orders values: numbers, then texts, then all others by their JSON."""
    if _is_none(value):
        return 0, 0
    if isinstance(value, int | float):
        return 1, value
    return (2, value) if isinstance(value, str) else (3, json.dumps(value, sort_keys=True))
