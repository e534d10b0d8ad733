"""The reader of how an output was made, from the record beside it: ours, or one of Marin's."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, Any

from marin_build.protocol.beside import read_beside
from marin_build.protocol.layout import ARTIFACT, RECORD, output_under
from marin_build.protocol.marin_record import parse_marin_record
from marin_build.protocol.record_reader import is_ours
from marin_build.quick_dataclass import dataclass
from marin_build.untrusted_json import parse_json, table, text, text_or_none, texts
from marin_build.workspace.places import is_url

if TYPE_CHECKING:
    from collections.abc import Mapping

    from marin_build.store.base import Store


@dataclass(frozen=True, slots=True)
class Recipe:
    """What made an output, and from what.

    Args:
        made_by: the dotted name of the function, or the command as a text; None if the record does
            not say.
        is_command: whether it is a command.
        attributes: name -> JSON value, in canonical form; what Marin built has its config there.
        deps: ids of the targets it was made from; Marin's older records have paths there.
        dep_paths: where the outputs of these lay, in the same order; empty if it does not say.
        inputs: logical name of each source -> its digest.
        commit: of the project's code; None if that is not known.
        is_dirty: whether the code had changes that were not committed; None if that is not known.
        argv: the command line of the run.
        written_by: which program wrote the record.
        output_path: where the output lay when it was built; empty if the record does not say.

    """

    made_by: str | None = None
    is_command: bool = False
    attributes: Mapping[str, Any] = field(default_factory=dict)
    deps: tuple[str, ...] = ()
    dep_paths: tuple[str, ...] = ()
    inputs: Mapping[str, str] = field(default_factory=dict)
    commit: str | None = None
    is_dirty: bool | None = None
    argv: tuple[str, ...] = ()
    written_by: str = ""
    output_path: str = ""


def read_recipe(store: Store, output_path: str) -> Recipe | None:
    """Return how an output was made; None if no record says, or it is damaged.

    Raises:
        StoreError: the store cannot be read.

    """
    ((info, artifact),) = read_beside(store, [output_path], (RECORD, ARTIFACT))
    return parse_recipe(info, artifact)


def parse_recipe(info: bytes | None, artifact: bytes | None = None) -> Recipe | None:
    """Return how an output was made; None if neither record says, or they are damaged.

    Args:
        info: the bytes of `.executor_info`, if there are any.
        artifact: those of `.artifact.json`; of Marin's records only.

    """
    try:
        document = table(parse_json(info)) if info is not None else {}
        return _ours(document) if is_ours(document) else _of_marin(info, artifact)
    except ValueError:
        return None


def made_from(recipe: Recipe | None, prefix: str) -> list[tuple[str, str]]:
    """Return the id and the output path of each target that an output was made from.

    Args:
        recipe: how it was made; None if that is not known.
        prefix: where outputs live whose place no record names.

    """
    if recipe is None:
        return []
    if recipe.dep_paths:
        return list(zip(recipe.deps, recipe.dep_paths, strict=True))
    return [
        (dep, dep)
        if is_url(dep) or dep.startswith("/")
        else (dep, output_under(prefix, dep.partition("@")[0], dep))
        for dep in recipe.deps
    ]


def _ours(record: Mapping[str, Any]) -> Recipe:
    who = table(record.get("provenance") or {})
    hashed = table(parse_json(text_or_none(record.get("payload")) or "{}"))
    command = record.get("command")
    dirty = who.get("dirty")
    deps = _all_texts(record.get("deps"))
    places = tuple(dict.fromkeys(_all_texts(record.get("dependencies"))))  # `deps` has each once
    return Recipe(
        _command_text(table(command)) if command else text_or_none(record.get("fn")),
        bool(command),
        table(record.get("attributes") or {}),
        deps,
        places if len(places) == len(deps) else (),
        texts(hashed.get("inputs") or {}),
        text_or_none(who.get("commit")),
        dirty if isinstance(dirty, bool) else None,
        _all_texts(who.get("argv")),
        f"marin-build {text(who.get('marin_build', ''))}".strip(),
        text_or_none(record.get("output_path")) or "",
    )


def _of_marin(info: bytes | None, artifact: bytes | None) -> Recipe | None:
    record = parse_marin_record(info, artifact)
    if record is None:
        return None
    return Recipe(
        record.function or None,
        attributes=record.config,
        deps=record.needs,
        written_by=record.writer,
    )


def _command_text(command: Mapping[str, Any]) -> str:
    """Return a command as a user would type it, its placeholders unresolved."""
    import shlex

    if (shell := command.get("shell")) is not None:
        return text(shell)
    return shlex.join(_all_texts(command.get("argv")))


def _all_texts(value: object) -> tuple[str, ...]:
    return tuple(str(each) for each in value) if isinstance(value, list) else ()
