"""Selectors of lists and watches: by labels, and by the few fields that servers know."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from .kubernetes_resources import Object, bad_request

if TYPE_CHECKING:
    from collections.abc import Callable

_TERM = re.compile(
    r"\s*(?:(?P<set>[\w./-]+)\s+(?P<in>in|notin)\s*\((?P<values>[\w., -]*)\)"
    r"|(?P<key>[\w./-]+)\s*(?P<op>==|=|!=)\s*(?P<value>[\w.-]*)"
    r"|(?P<not>!?)\s*(?P<has>[\w./-]+))\s*(?:,|$)"
)
_FIELDS = {
    "pods": ("spec.nodeName", "spec.restartPolicy", "status.phase", "status.podIP"),
    "jobs": ("status.successful",),
    "events": (
        *(f"involvedObject.{key}" for key in ("kind", "namespace", "name", "uid", "apiVersion")),
        "reason", "type", "source",
    ),
    "nodes": ("spec.unschedulable",),
    "namespaces": ("status.phase",),
}  # fmt: skip


def selector_of(resource: str, labels: str, fields: str) -> Callable[[Object], bool]:
    """Return whether an object is chosen.

    Args:
        resource: the kind of objects.
        labels: `a=b,c!=d,e in (f,g),h notin (i),j,!k`.
        fields: `metadata.name=x`, and those of the kind.

    Raises:
        ApiError: a selector is none.

    """
    wanted = [*_label_terms(labels), *_field_terms(resource, fields)]
    return lambda thing: all(fits(thing) for fits in wanted)


def _label_terms(text: str) -> list[Callable[[Object], bool]]:
    terms, at = [], 0
    while at < len(text):
        found = _TERM.match(text, at)
        if found is None:
            raise bad_request(f"unable to parse requirement: found '{text[at:]}'")
        terms.append(_label_term(found))
        at = found.end()
    return terms


def _label_term(found: re.Match[str]) -> Callable[[Object], bool]:
    if key := found["set"]:
        values = {each.strip() for each in found["values"].split(",")}
        if found["in"] == "in":
            return lambda thing: _labels(thing).get(key) in values
        return lambda thing: _labels(thing).get(key) not in values
    if key := found["key"]:
        value = found["value"]
        if found["op"] == "!=":
            return lambda thing: _labels(thing).get(key) != value
        return lambda thing: _labels(thing).get(key) == value
    key, wanted = found["has"], not found["not"]
    return lambda thing: (key in _labels(thing)) == wanted


def _field_terms(resource: str, text: str) -> list[Callable[[Object], bool]]:
    terms: list[Callable[[Object], bool]] = []
    for term in filter(None, text.split(",")):
        key, sign, value = term.partition("!=" if "!=" in term else "=")
        value = value.removeprefix("=")
        if not sign:
            raise bad_request(f"invalid selector: '{term}'; can't understand '{term}'")
        if key not in ("metadata.name", "metadata.namespace", *_FIELDS.get(resource, ())):
            raise bad_request(f'field label not supported: "{key}"')
        terms.append(_field_term(key.split("."), value, is_equal=sign == "="))
    return terms


def _field_term(path: list[str], value: str, *, is_equal: bool) -> Callable[[Object], bool]:
    def fits(thing: Object) -> bool:
        found: Any = thing
        for key in path:
            found = found.get(key, "") if isinstance(found, dict) else ""
        return (str(found) == value) == is_equal

    return fits


def _labels(thing: Object) -> dict[str, str]:
    labels: dict[str, str] = thing["metadata"].get("labels") or {}
    return labels
