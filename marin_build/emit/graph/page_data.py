"""What the scripts of a graph's page read: JSON, in which nothing stands twice.

`templates/graph/nodes.js` finds again what is left out here because it follows from other values.
"""

from __future__ import annotations

import itertools
import re
import shlex
from typing import TYPE_CHECKING, Any

from marin_build.emit.graph.columns import as_columns
from marin_build.emit.graph.details import Details
from marin_build.emit.graph.picture import STATES
from marin_build.plan.difference_text import cut_apart
from marin_build.redaction import NOTHING_SECRET

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from marin_build.emit.graph.details import About
    from marin_build.emit.graph.picture import Node, Picture, State
    from marin_build.plan.reasons import Change
    from marin_build.redaction import Redactor


SCHEMA_VERSION = 2
_NOTHING_KNOWN = Details()
_HASH = re.compile("_([0-9a-f]{8})", re.ASCII)
_AS_PLANNED: Mapping[State, str] = {state: state for state in STATES}


def page_data(
    picture: Picture,
    about: About,
    details: Sequence[Details],
    redactor: Redactor = NOTHING_SECRET,
    *,
    states: Sequence[str] = STATES,
    shown: Mapping[State, str] = _AS_PLANNED,
) -> dict[str, Any]:
    """Return the data of a page.

    Args:
        picture: nodes and edges.
        about: the facts about the whole plan.
        details: the facts about each node, in the order of the nodes; empty: there are none.
        redactor: removes secrets from all texts.
        states: the words for states that the page may show; the first says that all is done.
        shown: state of a node -> the one of these words that the page begins with.

    """
    needs: list[list[int]] = [[] for _ in picture.nodes]
    for source, target in picture.edges:
        needs[target].append(source)
    place = {node.id: index for index, node in enumerate(picture.nodes)}
    known = details or [_NOTHING_KNOWN] * len(picture.nodes)
    number = {state: states.index(word) for state, word in shown.items()}
    rows = _Rows(picture, known, number, redactor.clean_text)
    nodes = [rows.of(index, deps) for index, deps in enumerate(needs)]
    rest = {
        "schema_version": SCHEMA_VERSION,
        "states": list(states),
        "engine": about.engine,
        "prefix": about.prefix,
        "link": about.prefix_link,
        "commands": [[label, list(parts)] for label, parts in about.commands],
        "path": [place[target] for target in about.path if target in place],
        "path_text": about.path_text,
        "depth": about.depth,
        "few": about.few,
    }
    return {**redactor.clean_values(rest), "nodes": as_columns(nodes, redactor.clean_values)}


class _Rows:
    """Makes the values of each node, without empty ones and those that follow from others.

    Args:
        picture, known: nodes, and the facts about each.
        number: the number of each state.
        clean: returns a text without secrets: the same object if there are none.

    """

    def __init__(
        self,
        picture: Picture,
        known: Sequence[Details],
        number: Mapping[State, int],
        clean: Callable[[str], str],
    ) -> None:
        self._nodes = picture.nodes
        self._known = known
        self._number = number
        self._clean = clean

    def of(self, index: int, deps: list[int]) -> dict[str, Any]:
        """Return the values of a node, whose dependencies are these nodes."""
        node, more = self._nodes[index], self._known[index]
        quoted, now = shlex.quote(node.id), more.now
        found: dict[str, Any] = {
            **self._name(node.name),
            "state": self._number[node.state],
            "why": node.reason,
            "kind": "command" if node.is_command else "function",
        }
        extra = {
            **self._identity(node, more.fingerprint),
            **self._earlier(node.name, more.since),
            "deps": _steps_back(index, deps),
            "word": quoted if quoted != node.id else "",
            "tags": list(node.tags),
            "on": node.resources,
            "about": now.description,
            "declared": more.declared,
            "attrs": dict(more.attributes),
            "inputs": dict(more.inputs),
            "output": self._around(node.name, more.output),
            "link": self._around(node.name, more.link),
            "script": self._around(node.id, more.script),
            "changes": self._changes(more.changes, deps),
            "drift": now.drift,
            "builds": now.builds,
            "log": list(now.log),
            "log_of": now.log_of,
        }
        found |= {key: value for key, value in extra.items() if value}
        amounts = {"seconds": now.seconds, "cost": now.cost, "took": now.took}
        return found | {key: round(value, 3) for key, value in amounts.items() if value is not None}

    def _name(self, name: str) -> dict[str, str]:
        """Return a name in two parts: many steps share the folder, or what follows it."""
        folder, slash, last = name.rpartition("/")
        is_whole = not slash or self._clean(name) is not name
        return {"name": name} if is_whole else {"folder": folder + slash, "name": last}

    def _identity(self, node: Node, fingerprint: str) -> dict[str, str]:
        """Return the id and the fingerprint; most ids are `NAME_HASH`, its first digits."""
        hash_id = self._hash_after(node.name, node.id)
        known = {"hash": hash_id} if hash_id else {"id": node.id}
        if hash_id and fingerprint.startswith(hash_id):
            return known | {"rest": fingerprint[len(hash_id) :]}
        return known | {"fingerprint": fingerprint}

    def _earlier(self, name: str, since: str) -> dict[str, str]:
        hash_id = self._hash_after(name, since)
        return {"since_hash": hash_id} if hash_id else {"since": since}

    def _hash_after(self, name: str, target: str) -> str:
        """Return the hash of an id `NAME_HASH`; empty if it is no such id, or holds a secret."""
        found = _HASH.fullmatch(target, len(name)) if target.startswith(name) else None
        return found[1] if found is not None and self._clean(target) is target else ""

    def _around(self, part: str, text: str) -> list[str]:
        """Return the texts between which a part stands: only once among those of a loop."""
        clean = self._clean(text)
        return clean.split(part) if clean is text and part in text else [clean] if clean else []

    def _changes(self, changes: Sequence[Change], deps: list[int]) -> list[dict[str, Any]]:
        """Return changes; of a dependency that changed itself, only which one of `deps` it is."""
        if not changes:
            return []
        place = {self._nodes[dep].id: i for i, dep in enumerate(deps)}
        found = []
        for change in changes:
            old, new = cut_apart(change.old, change.new)
            values = {"path": change.path, "old": old, "new": new}
            if isinstance(new, str) and new in place:
                dep = deps[place[new]]
                if change.path == f"deps.{self._nodes[dep].name}" and self._known[dep].since == old:
                    values = {"dep": place[new]}
            values["because"] = change.because or None
            found.append({key: value for key, value in values.items() if value is not None})
        return found


def _steps_back(index: int, deps: Sequence[int]) -> list[int]:
    """Return how many nodes before a node its first dependency is, before that the next one..."""
    return [before - dep for before, dep in itertools.pairwise((index, *deps))]
