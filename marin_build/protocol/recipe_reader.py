"""The reader of how an output was made, from the record beside it: ours, or one of Marin's."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from marin_build.untrusted_json import parse_json, table, text, text_or_none, texts

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Recipe:
    """What made an output, and from what.

    Args:
        made_by: the dotted name of the function, or the command as a text; None if the record does
            not say.
        is_command: whether it is a command.
        attributes: name -> JSON value, in canonical form.
        deps: ids of the targets it was made from; Marin's older records have paths there.
        inputs: logical name of each source -> its digest.
        commit: of the project's code; None if that is not known.
        is_dirty: whether the code had changes that were not committed; None if that is not known.
        argv: the command line of the run.
        written_by: which program wrote the record.

    """

    made_by: str | None = None
    is_command: bool = False
    attributes: Mapping[str, Any] = field(default_factory=dict)
    deps: tuple[str, ...] = ()
    inputs: Mapping[str, str] = field(default_factory=dict)
    commit: str | None = None
    is_dirty: bool | None = None
    argv: tuple[str, ...] = ()
    written_by: str = ""


def parse_recipe(data: bytes) -> Recipe | None:
    """Return what a record says of how its output was made; None if it is damaged."""
    try:
        document = table(parse_json(data))
        is_ours = str(document.get("executor_version", "")).startswith("marin_build/")
        return _ours(document) if is_ours else _of_marin(document)
    except ValueError:
        return None


def _ours(record: Mapping[str, Any]) -> Recipe:
    who = table(record.get("provenance") or {})
    hashed = table(parse_json(text_or_none(record.get("payload")) or "{}"))
    command = record.get("command")
    dirty = who.get("dirty")
    return Recipe(
        _command_text(table(command)) if command else text_or_none(record.get("fn")),
        bool(command),
        table(record.get("attributes") or {}),
        _all_texts(record.get("deps")),
        texts(hashed.get("inputs") or {}),
        text_or_none(who.get("commit")),
        dirty if isinstance(dirty, bool) else None,
        _all_texts(who.get("argv")),
        f"marin-build {text(who.get('marin_build', ''))}".strip(),
    )


def _of_marin(record: Mapping[str, Any]) -> Recipe:
    config, version = record.get("config"), text_or_none(record.get("executor_version"))
    return Recipe(
        text_or_none(record.get("fn_name")),
        attributes=config if isinstance(config, dict) else {},
        deps=_all_texts(record.get("dependencies")),
        written_by=f"Marin, executor {version}" if version else "Marin",
    )


def _command_text(command: Mapping[str, Any]) -> str:
    """Return a command as a user would type it, its placeholders unresolved."""
    import shlex

    if (shell := command.get("shell")) is not None:
        return text(shell)
    return shlex.join(_all_texts(command.get("argv")))


def _all_texts(value: object) -> tuple[str, ...]:
    return tuple(str(each) for each in value) if isinstance(value, list) else ()
