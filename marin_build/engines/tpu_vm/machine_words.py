"""What the API says of the machines of a queued resource: their names, their last words. Pure.

At its end the startup script writes guest attributes, `marin-build/exit-code` and, in base64,
`marin-build/output`; the API hands them out for each machine of a node.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from marin_build.engines.jobs import JobState, Phase
from marin_build.engines.tpu_vm.queued_resources import JOB_LABEL

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

_LONGEST_NUMBER = 9
_MOST_NODES = 10_000
_STOPPED = (130, 143)
"""Exit codes of what was asked to end, by the signal of a shutdown."""


@dataclass(frozen=True, slots=True)
class Words:
    """What a machine said at its end.

    Args:
        is_leader: whether it is the first machine of the first node.
        code: the exit code of what ran on it.
        output: the last that this printed.

    """

    is_leader: bool
    code: int
    output: str


def words_in(answer: Mapping[str, Any], *, is_first: bool) -> list[Words]:
    """Return the words in an answer of `getGuestAttributes`, of those machines that said any.

    Args:
        answer: about one node.
        is_first: whether that is the first of its queued resource.

    """
    found = []
    machines = answer.get("guestAttributes")
    for worker, one in enumerate(machines if isinstance(machines, list) else []):
        items = _items(one)
        code = items.get("exit-code", "")
        if code.isascii() and code.isdecimal() and len(code) <= len("255"):
            output = _text(items.get("output", ""))
            found.append(Words(is_first and worker == 0, int(code), output))
    return found


def state_at_end(words: Collection[Words]) -> JobState | None:
    """Return how a job ended, from what its machines said so far; None if it has not.

    The leader knows about all; another machine that says a code died without its knowing.
    """
    if not any(each.is_leader or each.code for each in words):
        return None
    code = next((each.code for each in words if each.code), 0)
    if code in _STOPPED:
        return JobState(Phase.ENDED, f"a machine was shut down (exit code {code})", "infra")
    return JobState(Phase.ENDED, f"exit code {code}")


def last_words_of(words: Collection[Words]) -> str:
    """Return what the first machine printed that failed, or the leader."""
    failed = [each for each in words if each.code] or list(words)
    return failed[0].output if failed else ""


def node_ids(row: Mapping[str, Any]) -> list[str]:
    """Return the ids of the nodes that a queued resource asks for, that of the leader first."""
    spec = _spec(row)
    slices = spec.get("multisliceParams")
    if isinstance(slices, dict):
        count = slices.get("nodeCount")
        count = min(count, _MOST_NODES) if isinstance(count, int) else 0
        return [f"{slices.get('nodeIdPrefix')}-{number}" for number in range(count)]
    return [str(spec["nodeId"])] if spec.get("nodeId") else []


def job_in(row: Mapping[str, Any] | None, id_: str) -> str:
    """Return the name of the job that a queued resource belongs to; empty: none of ours."""
    node = _spec(row or {}).get("node")
    labels = node.get("labels") if isinstance(node, dict) else None
    name = labels.get(JOB_LABEL) if isinstance(labels, dict) else None
    return name if isinstance(name, str) and name == name_and_number(id_)[0] else ""


def name_and_number(id_: str) -> tuple[str, int]:
    """Return the name and the number in an id; no name if it is none of ours."""
    name, _, number = id_.rpartition("-")
    is_ours = number.isascii() and number.isdigit() and len(number) <= _LONGEST_NUMBER
    return (name, int(number)) if is_ours else ("", 0)


def _spec(row: Mapping[str, Any]) -> dict[str, Any]:
    tpu = row.get("tpu")
    specs = tpu.get("nodeSpec") if isinstance(tpu, dict) else None
    return specs[0] if isinstance(specs, list) and specs and isinstance(specs[0], dict) else {}


def _items(machine: Any) -> dict[str, str]:
    value = machine.get("queryValue") if isinstance(machine, dict) else None
    items = value.get("items") if isinstance(value, dict) else None
    rows = [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []
    return {str(row.get("key")): str(row.get("value")) for row in rows}


def _text(encoded: str) -> str:
    try:
        return base64.b64decode(encoded, validate=True).decode("utf-8", "replace")
    except (binascii.Error, ValueError):
        return ""
