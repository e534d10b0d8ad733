"""The reader of what Marin's executor wrote beside an output, as our own records are read.

It holds the version that names the folder. The payload of the step that an ExecutorStep is lowered
to (compat/executor/lowering.py) follows from it, so a plan can tell what changed since.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from marin_build.identity.payload import executor_digits, fingerprint_of, payload_text
from marin_build.protocol.record_reader import Built
from marin_build.untrusted_json import parse_json, table, text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_DEPENDENCY = re.compile(r"DEP\[(\d+)\](?:/.*)?", re.DOTALL)
_PART = re.compile(r"\[(\d+)\]")


def parse_executor_info(data: bytes) -> Built | None:
    """Return what was built, by Marin; None for a document that tells no version, or a damaged one.

    Args:
        data: the bytes of an `.executor_info`.

    """
    try:
        document = table(parse_json(data))
        version = table(document["version"])
        name, leaves = text(version["name"]), table(version["config"])
        blocking = [_folder(dep) for dep in _items(version["dependencies"])]
        pseudo = [_folder(dep) for dep in _items(version.get("pseudo_dependencies", []))]
        bind = _bind(document, leaves, blocking, pseudo)
        payload = payload_text(name, leaves, list(dict.fromkeys(blocking)), bind=bind)
    except (ValueError, KeyError, IndexError, TypeError):
        return None
    target = _folder(version)
    return Built(fingerprint_of(payload), "", "Marin", "", payload=payload, target=target)


def _items(value: object) -> Sequence[Any]:
    if not isinstance(value, list):
        raise TypeError
    return value


def _folder(version: object) -> str:
    """Return the name of a folder that a version has; of a long chain it is written itself."""
    if isinstance(version, str):
        return version
    whole = table(version)
    return f"{text(whole['name'])}-{executor_digits(json.dumps(whole, sort_keys=True))}"


def _bind(
    document: Mapping[str, Any],
    leaves: Mapping[str, Any],
    blocking: Sequence[str],
    pseudo: Sequence[str],
) -> dict[str, Any]:
    """Return path in the config -> folder, or an object with the folder that it did not wait for.

    The version counts both kinds of dependencies together, so the paths in the config tell which
    is which.
    """
    found: dict[int, str] = {}
    for leaf, value in leaves.items():
        if isinstance(value, str) and (dependency := _DEPENDENCY.fullmatch(value)) is not None:
            found[int(dependency[1])] = leaf
    paths = [text(path).rstrip("/") for path in _items(document["dependencies"])]
    waiting = list(zip(blocking, paths, strict=True))
    others = list(pseudo)
    bind: dict[str, Any] = {}
    for _, leaf in sorted(found.items()):
        value = _value_at(document["config"], leaf)
        if waiting and (not others or _is_below(value, waiting[0][1])):
            bind[leaf], _ = waiting.pop(0)
        else:
            bind[leaf] = {"nonblocking": others.pop(0)}
    return bind


def _is_below(value: object, path: str) -> bool:
    return isinstance(value, str) and f"{value}/".startswith(f"{path}/")


def _value_at(config: Any, leaf: str) -> Any:
    """Return the value at a dotted path in a config; keys may have dots themselves."""
    if not leaf:
        return config
    if isinstance(config, list):
        first, _, rest = leaf.partition(".")
        part = _PART.fullmatch(first)
        return _value_at(config[int(part[1])], rest) if part is not None else None
    for key, value in config.items() if isinstance(config, dict) else ():
        if leaf == key or leaf.startswith(f"{key}."):
            return _value_at(value, leaf[len(key) + 1 :])
    return None
