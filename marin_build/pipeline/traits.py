"""What few steps of a pipeline have, and planning would ask of every one: found in one walk. Pure.

There may be 100,000 steps, and to come to each of them takes longer than most questions do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from marin_build.pipeline.command import Command
from marin_build.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable

    from marin_build.pipeline.step_spec import StepSpec


_NO_TEXTS = frozenset((int, float, bool, type(None)))


@dataclass(frozen=True, slots=True)
class Traits:
    """The steps that have something, by their place among all steps, in order.

    Args:
        of_dev_versions: those that are built anew each time.
        temporary: those whose data is deleted once what needs it is built.
        with_free_paths: those at whose output path another identity may lie.
        with_places: those whose output path does not follow from the prefix and their identity.
        with_inputs: those that read external inputs.
        with_pins: those of which a fingerprint is expected.
        with_needs: those that declare resources or budgets.
        with_texts: those of which more is written than their name, and attributes that are numbers.
        keys: the keys of the attributes of the other steps, which may be any texts, too.

    """

    of_dev_versions: frozenset[int]
    temporary: frozenset[int]
    with_free_paths: frozenset[int]
    with_places: frozenset[int]
    with_inputs: frozenset[int]
    with_pins: frozenset[int]
    with_needs: frozenset[int]
    with_texts: frozenset[int]
    keys: frozenset[str]


def traits_of(steps: Iterable[StepSpec]) -> Traits:
    """Return which of some steps have what few steps have."""
    dev, temporary, free = list[int](), list[int](), list[int]()
    places, inputs = list[int](), list[int]()
    pins, needs, texts = list[int](), list[int](), list[int]()
    keys = set[str]()
    for index, step in enumerate(steps):
        attrs = step.hash_attrs
        if (step.version is not None or "fingerprint" in attrs) and step.is_dev:
            dev.append(index)
        if step.temp:
            temporary.append(index)
        if step.version is not None or step.override_output_path is not None:
            free.append(index)
        if step.output_path_prefix is not None or step.override_output_path is not None:
            places.append(index)
        if step.inputs:
            inputs.append(index)
        if step.expected_fingerprint is not None:
            pins.append(index)
        if step.resources is not None or step.budgets:
            needs.append(index)
        if (
            not _NO_TEXTS.issuperset(map(type, attrs.values()))
            or isinstance(step.fn, Command)
            or step.inputs
            or step.description
            or step.override_output_path
            or step.fingerprint_payload
        ):
            texts.append(index)
        else:
            keys.update(attrs)
    return Traits(
        frozenset(dev),
        frozenset(temporary),
        frozenset(free),
        frozenset(places),
        frozenset(inputs),
        frozenset(pins),
        frozenset(needs),
        frozenset(texts),
        frozenset(keys),
    )
