"""Takes secrets, and what moves a cursor or turns the reading direction, out of all texts."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any

from marin_build.text.readable import visible
from marin_build.text.secret_shapes import masked_item

if TYPE_CHECKING:
    from marin_build.emit.report.facts import Report
    from marin_build.redaction import Redactor


def cleaned(report: Report, redactor: Redactor) -> Report:
    """Return a report with all its texts harmless, also those in JSON values."""
    found: Report = _cleaned(report, redactor, "")
    return found


def _cleaned(value: Any, redactor: Redactor, name: str) -> Any:
    if isinstance(value, str):
        return visible(redactor.clean_text(masked_item(name, value)))
    if isinstance(value, dict):
        return {
            visible(redactor.clean_text(key)): _cleaned(item, redactor, key)
            for key, item in value.items()
        }
    if isinstance(value, tuple | list):
        return type(value)(_cleaned(item, redactor, name) for item in value)
    if is_dataclass(value) and not isinstance(value, type):
        parts = {f.name: getattr(value, f.name) for f in fields(value)}
        return replace(value, **{key: _cleaned(item, redactor, key) for key, item in parts.items()})
    return value
