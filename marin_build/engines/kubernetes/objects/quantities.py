"""Amounts of resources: the grammar of a quantity, and what a container may ask for.

Facts: apimachinery `resource.Quantity`; core/v1 validation of ResourceRequirements.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING

from marin_build.engines.kubernetes.api_rules import key_problem
from marin_build.engines.kubernetes.objects.violation import UNREADABLE, Fields, Violation, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

_QUANTITY = re.compile(
    r"(?P<number>[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+))"
    r"(?:(?P<suffix>[KMGTPE]i|[numkMGTPE]?)|[eE](?P<exponent>[+-]?[0-9]{1,9}))",
    re.ASCII,
)
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_LARGEST_EXPONENT = 1000  # beyond it every server rounds to its own largest number, or to none
_NATIVE = ("cpu", "memory", "ephemeral-storage")


def quantity_of(value: object) -> Decimal | None:
    """Return the amount that a quantity stands for; None if it is none: `1MB`."""
    found = _QUANTITY.fullmatch(str(value))
    if found is None or isinstance(value, bool):
        return None
    number = Decimal(found["number"])
    if (exponent := found["exponent"]) is not None:
        most = min(max(int(exponent), -_LARGEST_EXPONENT), _LARGEST_EXPONENT)
        return number.scaleb(most)
    suffix = found["suffix"]
    return number * 2 ** _BINARY[suffix] if suffix in _BINARY else number.scaleb(_DECIMAL[suffix])


def unreadable_quantity(value: object, path: str) -> Iterator[Violation]:
    """Yield a violation for what no server can read as a quantity."""
    if value is not None and quantity_of(value) is None:
        what = f"{shown(value)} is not a quantity: a number, then Ki, Mi, Gi, Ti, k, M, G, T or m"
        yield Violation(path, what, UNREADABLE)


def resource_violations(resources: Fields, path: str) -> Iterator[Violation]:
    """Yield what is wrong with the requests and limits of a container."""
    limits, requests = resources.get("limits", {}), resources.get("requests", {})
    for kind, amounts in (("limits", limits), ("requests", requests)):
        for name, amount in amounts.items():
            yield from _amount_violations(name, amount, f"{path}.{kind}[{name}]")
    for name, amount in requests.items():
        asked, most = quantity_of(amount), quantity_of(limits.get(name, ""))
        is_native = _is_native(name)
        if name not in limits:
            if not is_native:
                what = f"`{name}` is requested: it needs a limit of the same amount"
                yield Violation(f"{path}.limits", what)
        elif asked is None or most is None:
            continue
        elif asked != most and not is_native:
            what = f"{shown(amount)} of `{name}` must equal its limit, {shown(limits[name])}"
            yield Violation(f"{path}.requests", what)
        elif asked > most:
            what = f"{shown(amount)} of `{name}` is more than its limit, {shown(limits[name])}"
            yield Violation(f"{path}.requests", what)
    names = {*limits, *requests}
    if any(_is_huge(name) for name in names) and not names.intersection(("cpu", "memory")):
        yield Violation(path, "huge pages need `cpu` or `memory` beside them")


def _amount_violations(name: str, amount: object, path: str) -> Iterator[Violation]:
    if problem := key_problem(name):
        yield Violation(path, f"{shown(name)} {problem}")
    elif "/" not in name and name not in _NATIVE and not _is_huge(name):
        what = f"`{name}` is no resource of containers: cpu, memory or ephemeral-storage, or "
        yield Violation(path, f"{what}one with a domain, `nvidia.com/gpu`")
    elif name.startswith("requests."):
        yield Violation(path, "is the name of a quota, not of a resource")
    value = quantity_of(amount)
    if value is None:
        yield from unreadable_quantity(amount, path)
    elif value < 0:
        yield Violation(path, f"{shown(amount)} is below 0")
    elif not _is_native(name) and value != value.to_integral_value():
        yield Violation(path, f"{shown(amount)} is not a whole number")


def _is_huge(name: str) -> bool:
    return name.startswith("hugepages-")


def _is_native(name: str) -> bool:
    """Return whether a node may promise more of a resource than it has."""
    return ("/" not in name or "kubernetes.io/" in name) and not _is_huge(name)


_DIVISORS = {
    "cpu": ("1", "1m"),
    "memory": ("1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei"),
}


def resource_field_violations(reference: Fields, path: str) -> Iterator[Violation]:
    """Yield what is wrong with a `resourceFieldRef`."""
    resource, divisor = reference.get("resource", ""), reference.get("divisor")
    if not resource:
        yield Violation(f"{path}.resource", "is empty")
        return
    kind, _, name = resource.partition(".")
    if kind not in {"limits", "requests"} or not (name in _NATIVE or _is_huge(name)):
        what = f"{shown(resource)} is none of limits and requests of cpu, memory, ephemeral-storage"
        yield Violation(f"{path}.resource", what)
    yield from unreadable_quantity(divisor, f"{path}.divisor")
    value = quantity_of("0" if divisor is None else divisor)
    allowed = _DIVISORS["cpu" if name == "cpu" else "memory"]
    if value and value not in [quantity_of(one) for one in allowed]:
        what = f"{shown(divisor)} is none of {', '.join(allowed)}"
        yield Violation(f"{path}.divisor", what)
