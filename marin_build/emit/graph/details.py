"""The facts that a page shows about the whole plan, and about each node."""

from __future__ import annotations

import json
import posixpath
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from marin_build.emit.graph.live import LiveTarget
from marin_build.identity.canonical import FrozenDict
from marin_build.plan.graph_shape import longest_chain
from marin_build.plan.plan_summary import summary_line
from marin_build.plan.reason_facts import identity_change_in
from marin_build.workspace.places import is_url

if TYPE_CHECKING:
    from collections.abc import Mapping

    from marin_build.emit.graph.live import Live
    from marin_build.emit.graph.picture import Picture
    from marin_build.plan.document import PlanDocument
    from marin_build.plan.reasons import Change

    Commands = tuple[tuple[str, tuple[str, ...]], ...]


_NOTHING_LIVE = LiveTarget()


@dataclass(frozen=True, slots=True, kw_only=True)
class Details:
    """The facts about one node; each may be missing.

    Args:
        fingerprint: 64 hex digits.
        declared: `file:line` of the declaration.
        attributes: JSON values by name.
        inputs: logical name of a source -> digest.
        output: its path or URL; empty if it is `PREFIX/ID`.
        link: the address of the output for a browser, `https://` or `file://`; empty if none.
        script: the address of the script that builds it, relative to the page.
        changes, since: the differences from the nearest earlier build, and the id of that build.
        now: the facts of the pipeline and its store.

    """

    fingerprint: str = ""
    declared: str = ""
    attributes: Mapping[str, Any] = FrozenDict()
    inputs: Mapping[str, str] = FrozenDict()
    output: str = ""
    link: str = ""
    script: str = ""
    changes: tuple[Change, ...] = ()
    since: str = ""
    now: LiveTarget = _NOTHING_LIVE


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """The facts that a page shows about the whole pipeline.

    Args:
        title: the pipeline, as `-f` names it.
        summary: the plan in one line.
        engine: the name of the engine.
        prefix, prefix_link: the prefix, and its address for a browser; may be empty.
        commands: commands for a target: each a label, and a command line in parts, between which
            the target's id belongs.
        path: target ids of the slowest chain, the first one first.
        path_text: its duration, in words.
        depth: groups of that depth begin closed, those above open; 0: the page opens groups that
            hold targets to build.
        few: whether the page begins without implied edges.

    """

    title: str
    summary: str = ""
    engine: str = ""
    prefix: str = ""
    prefix_link: str = ""
    commands: Commands = ()
    path: tuple[str, ...] = ()
    path_text: str = ""
    depth: int = 0
    few: bool = False


def about_plan(document: PlanDocument, live: Live | None, commands: Commands) -> About:
    """Return the facts about the whole plan.

    Args:
        document: the plan.
        live: facts of the pipeline and its store; None if they were not read.
        commands: commands for a target.

    """
    prefix = _placed(document.prefix, live)
    path, path_text = _path(document, live)
    return About(
        title=document.pipeline,
        summary=live.summary if live is not None else _summary(document),
        engine=document.engine,
        prefix=prefix,
        prefix_link=_link(prefix, live),
        commands=commands,
        path=path,
        path_text=path_text,
    )


def _summary(document: PlanDocument) -> str:
    return summary_line(document.plan_id, document.summary, waiting=len(document.expansions))


def _path(document: PlanDocument, live: Live | None) -> tuple[tuple[str, ...], str]:
    """Return the slowest chain and its duration in words; if unknown, the one with most steps."""
    if live is not None and live.path:
        return live.path, live.path_text
    to_build = [each for each in document.decisions if each.decision in ("run", "wait")]
    place = {decision.target: index for index, decision in enumerate(to_build)}
    needs = [[place[dep] for dep in each.deps if dep in place] for each in to_build]
    chain, _ = longest_chain(needs, [1.0] * len(to_build))
    if not chain:
        return (), ""
    why = "a plan does not say how long they take"
    if live is not None:
        why = "how long they take is not known"
    return tuple(to_build[index].target for index in chain), f"{len(chain)} steps; {why}"


def details_of(
    document: PlanDocument, picture: Picture, live: Live | None, scripts: Mapping[str, str]
) -> list[Details]:
    """Return the facts about each node, in the order of the picture's nodes.

    Args:
        document: the plan.
        picture: the picture of it or of a part; every node is one target.
        live: facts of the pipeline and its store; None if they were not read.
        scripts: the addresses of the scripts that build targets, by id.

    """
    decisions = {decision.target: decision for decision in document.decisions}
    payloads = {pruned.target: pruned.payload for pruned in document.pruned}
    known = live.targets if live is not None else {}
    prefix = _placed(document.prefix, live)
    found = []
    for node in picture.nodes:
        if node.state == "later":
            places = (each.declared for each in document.expansions if each.name == node.name)
            found.append(Details(declared=next(places, "")))
            continue
        decision = decisions.get(node.id)
        text = decision.payload if decision is not None else payloads[node.id]
        payload = json.loads(text, parse_constant=str)  # browsers know no NaN in JSON
        attributes, inputs = _shown_attributes(payload), payload.get("inputs", {})
        if decision is None:
            found.append(Details(attributes=attributes, inputs=inputs))
            continue
        changed = identity_change_in(decision.reasons)
        output = _placed(decision.output_path, live)
        is_usual = output == f"{prefix}/{node.id}"
        found.append(
            Details(
                fingerprint=decision.fingerprint,
                declared=decision.declared,
                attributes=attributes,
                inputs=inputs,
                output="" if is_usual else output,
                link="" if is_usual else _link(output, live),
                script=scripts.get(node.id, ""),
                changes=changed.changes if changed is not None else (),
                since=changed.since if changed is not None else "",
                now=known.get(node.id, _NOTHING_LIVE),
            )
        )
    return found


def _placed(path: str, live: Live | None) -> str:
    """Return a path of the document as an absolute one; unchanged without a known project."""
    if live is None or not live.project or is_url(path):
        return path
    return posixpath.normpath(posixpath.join(live.project, path))


def _link(place: str, live: Live | None) -> str:
    """Return the address of a place for a browser; empty if there is none.

    A page that may be opened on another machine has no links to local files.
    """
    if place.startswith("gs://"):
        return "https://console.cloud.google.com/storage/browser/" + quote(place[5:])
    is_here = live is not None and live.project and not is_url(place)
    return "file://" + quote(place) if is_here else ""


def _shown_attributes(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Return the attributes, and the command or the values bound to parameters."""
    bound = {f"bind.{key}": value for key, value in (payload.get("bind") or {}).items()}
    match payload.get("command"):
        case {"shell": text}:
            command = {"command": text}
        case {"argv": words}:
            command = {"command": shlex.join(words)}
        case _:
            command = {}
    return {**payload["attrs"], **bound, **command}
