"""What built outputs returned: read with their statuses and records, many in one batch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from marin_build.observe.read_made import read_made
from marin_build.plan.metrics.returned_numbers import returned_numbers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from marin_build.observe.read_builds import StoredOutput
    from marin_build.plan.metrics.returned_numbers import Number
    from marin_build.store.base import Store


@dataclass(frozen=True, slots=True)
class MeasuredOutput:
    """An output, and the numbers that its step returned.

    Args:
        output: which one, and how its build ended.
        record: the bytes of its record; None if there is none.
        metrics: name -> number; empty if it is not built.
        damage: why what it returned cannot be read; empty if it can.

    """

    output: StoredOutput
    record: bytes | None
    metrics: Mapping[str, Number] = field(default_factory=dict)
    damage: str = ""


def read_metrics(store: Store, places: Sequence[tuple[str, str, str]]) -> list[MeasuredOutput]:
    """Read the numbers of some outputs; what is not built has none.

    Args:
        store: where they live.
        places: name, target id and output path of each.

    Raises:
        StoreError: the store cannot be read.

    """
    found = []
    for made in read_made(store, places):
        try:
            metrics, damage = returned_numbers(made.returned()), ""
        except ValueError as error:
            metrics, damage = {}, str(error)
        found.append(MeasuredOutput(made.output, made.record, metrics, damage))
    return found
