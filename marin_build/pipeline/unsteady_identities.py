"""Identities that hold an address in memory: a step has another one each time it is declared. Pure.

Marin hashes a value that JSON has no form for by its text, which for many objects is an address.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from marin_build.pipeline.declared_at import shown

if TYPE_CHECKING:
    from collections.abc import Iterable

    from marin_build.pipeline.step_spec import StepSpec


_ADDRESS = re.compile(r"<([\w.<> ]{1,200}) at 0x[0-9a-f]{6,16}")
_SHOWN = 5
"""How many steps are named."""


def unsteady_identities(steps: Iterable[StepSpec], project: str) -> list[str]:
    """Return a warning for each of the first steps with such an identity, and how many there are.

    Args:
        steps: those that are declared.
        project: its folder, from which places are shown.

    """
    found: dict[str, None] = {}
    for step in steps:
        if (address := _ADDRESS.search(step.payload)) is not None:
            place = shown(step.declared, project)
            found[
                f"`{step.name}` ({place}) is known by an address in memory, of `{address[1]}`: "
                "it is another step each time, and is never reused"
            ] = None
    more = len(found) - _SHOWN
    told = [f"{more} more steps are known by an address in memory"] if more > 0 else []
    return [*list(found)[:_SHOWN], *told]
