"""The page of a saved plan: picture, details and summary, from the document of the plan alone."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING, Any

from marin_build.emit.graph.page import About, Details, as_html, browser_address, shown_attributes
from marin_build.emit.graph.picture import Node, Picture
from marin_build.plan.graph_shape import longest_chain
from marin_build.plan.payload_diff import ABSENT, Difference, describe_difference
from marin_build.plan.reason_text import describe
from marin_build.plan.reasons import Cascade, Change, IdentityChanged, UpstreamBlocked
from marin_build.workspace import DEFAULT_PREFIX

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from marin_build.emit.graph.picture import State
    from marin_build.emit.templates import Templates
    from marin_build.plan.document import DecisionDocument, PlanDocument


_NEW = ("never_built", "interrupted", "dependency_failed")
_ACTIONS = ("run.sh", "job.yaml")


def picture_of_plan(document: PlanDocument) -> Picture:
    """Return the picture of a saved plan: its decisions, and below them what it did not look at."""
    nodes: list[Node] = []
    needs: list[tuple[str, ...]] = []
    for pruned in document.pruned:
        payload = json.loads(pruned.payload)
        why = "not looked at: what needs it is built"
        is_command = "command" in payload
        nodes.append(Node(pruned.target, payload["name"], "built", why, (), "", is_command))
        needs.append(tuple(payload["deps"]))
    for decision in document.decisions:
        (facts, *_) = decision.reasons or ({},)
        nodes.append(
            Node(
                id=decision.target,
                name=decision.name,
                state=_state(decision, str(facts.get("kind", ""))),
                reason=_words(facts),
                tags=(),
                resources=decision.resources or "",
                is_command="command" in json.loads(decision.payload),
            )
        )
        needs.append(decision.deps)
    return _in_order(nodes, needs)


def details_of_plan(
    document: PlanDocument, picture: Picture, folder: str, files: Collection[str]
) -> list[Details]:
    """Return what a page says of each node.

    Args:
        document: the plan.
        picture: of that plan.
        folder: the plan's directory with a slash, as seen from the page; empty if it is the same.
        files: the paths of its files.

    """
    decisions = {decision.target: decision for decision in document.decisions}
    payloads = {pruned.target: pruned.payload for pruned in document.pruned}
    found = []
    for node in picture.nodes:
        decision = decisions.get(node.id)
        if decision is None:
            payload = json.loads(payloads[node.id])
            inputs = payload.get("inputs", {})
            found.append(Details(attributes=shown_attributes(payload), inputs=inputs))
            continue
        payload = json.loads(decision.payload)
        (facts, *_) = decision.reasons or ({},)
        usual = decision.output_path == f"{document.prefix}/{node.id}"
        scripts = (f"steps/{node.id}/{name}" for name in _ACTIONS)
        script = next((path for path in scripts if path in files), "")
        found.append(
            Details(
                fingerprint=decision.fingerprint,
                declared=decision.declared,
                attributes=shown_attributes(payload),
                inputs=payload.get("inputs", {}),
                output="" if usual else decision.output_path,
                link="" if usual else browser_address(decision.output_path),
                script=f"{folder}{script}" if script else "",
                changes=tuple(map(_change, facts.get("changes", ()))),
                since=str(facts.get("since", "")),
            )
        )
    return found


def _state(decision: DecisionDocument, kind: str) -> State:
    match decision.decision:
        case "reuse" | "pruned":
            return "built"
        case "wait":
            return "held"
        case "blocked":
            return "blocked"
    if kind == "failed_before":
        return "failed"
    return "to build" if kind in _NEW else "stale"


def _words(facts: Mapping[str, Any]) -> str:
    match facts:
        case {"kind": "identity_changed", "changes": changes, "since": since}:
            return describe(IdentityChanged(tuple(map(_change, changes)), since, "", "", ""))
        case {"kind": "cascade", "upstream": upstream}:
            return describe(Cascade(upstream))
        case {"kind": "upstream_blocked", "upstream": upstream}:
            return describe(UpstreamBlocked(upstream))
        case {"kind": "built_before"}:
            return "built"
        case {"kind": kind, "reason": words}:
            return f"{kind.replace('_', ' ')}: {words}"
    return str(facts.get("kind", "")).replace("_", " ")


def _change(facts: Mapping[str, Any]) -> Change:
    old, new = facts.get("old"), facts.get("new")
    ends = [ABSENT if value is None else value for value in (old, new)]
    text = describe_difference(Difference(facts["path"], *ends))
    return Change(facts["path"], old, new, text, facts.get("because", ""))


def _in_order(nodes: list[Node], needs: list[tuple[str, ...]]) -> Picture:
    """Return the picture, its nodes with dependencies first; what is not known is left out."""
    place = {node.id: index for index, node in enumerate(nodes)}
    order: list[int] = []
    done: set[int] = set()
    for start in range(len(nodes)):
        pending = [start]
        while pending:
            index = pending[-1]
            missing = [place[d] for d in needs[index] if d in place and place[d] not in done]
            if missing and index not in done:
                pending.extend(missing)
                continue
            pending.pop()
            if index not in done:
                done.add(index)
                order.append(index)
    moved = {index: position for position, index in enumerate(order)}
    edges = tuple(
        (moved[place[dep]], moved[index]) for index in order for dep in needs[index] if dep in place
    )
    return Picture(tuple(nodes[i] for i in order), edges)


_TO_BUILD = ("to build", "stale", "failed")
MOST_TARGETS = 20_000
"""A page of more is tens of megabytes; nobody asked for it who wanted a plan."""


def page_of_plan(
    document: PlanDocument,
    files: Collection[str],
    templates: Templates,
    *,
    engine_words: Sequence[str] = (),
    is_replayable: bool = True,
) -> str | None:
    """Return the page that lies beside a plan: the same text for the same plan and templates.

    Args:
        document: the plan.
        files: the paths of its other files.
        templates: where the page's parts come from.
        engine_words: what chooses the plan's engine on a command line.
        is_replayable: whether `marin-build apply` replays it.

    Returns:
        The page; None of more than MOST_TARGETS targets.

    Raises:
        SpecificationError: a part is missing, or a template is malformed.

    """
    if len(document.decisions) + len(document.pruned) > MOST_TARGETS:
        return None
    picture = picture_of_plan(document)
    replay = "replay the plan, from its folder", (shlex.join(["marin-build", "apply", "."]),)
    about = about_plan(document, picture, replay if is_replayable else None, engine_words)
    return as_html(picture, about, details_of_plan(document, picture, "", files), templates)


def about_plan(
    document: PlanDocument,
    picture: Picture,
    replay: tuple[str, tuple[str]] | None,
    engine_words: Sequence[str],
) -> About:
    """Return what a page says of a saved plan.

    Args:
        document: the plan.
        picture: of it.
        replay: how it is replayed: a label, and a command line.
        engine_words: what chooses its engine on a command line.

    """
    count = document.summary
    counts = [
        f"{count['run']} to build",
        *([f"{count['wait']} built by somebody else"] if count["wait"] else []),
        *([f"{count['blocked']} blocked"] if count["blocked"] else []),
        f"{count['reuse'] + count['pruned']} reused",
    ]
    path = _longest_chain(picture)
    return About(
        title=document.pipeline,
        summary=f"plan {document.plan_id}: {', '.join(counts)}",
        engine=document.engine,
        prefix=document.prefix,
        prefix_link=browser_address(document.prefix),
        commands=(
            *([replay] if replay is not None else ()),
            ("build it", (_line(document, "apply", engine_words), "")),
            ("why, in full", (_line(document, "explain", engine_words), "")),
        ),
        path=path,
        path_text=f"{len(path)} steps; a plan does not say how long they take" if path else "",
    )


def _line(document: PlanDocument, command: str, engine_words: Sequence[str]) -> str:
    """Return a command line that plans the same pipeline again; a target belongs after it."""
    words = ["marin-build", command, "-f", document.pipeline]
    if document.prefix != DEFAULT_PREFIX:
        words += ["--prefix", document.prefix]
    words += engine_words
    if document.code is not None:
        words += ["--code-policy", document.code]
    for key, value in document.parameters.items():
        words += ["--set", f"{key}={value}"]
    return shlex.join(words) + " "


def _longest_chain(picture: Picture) -> tuple[int, ...]:
    """Return the longest chain of what is to be built, the first one first."""
    shown = [i for i, node in enumerate(picture.nodes) if node.state in _TO_BUILD]
    place = {node: i for i, node in enumerate(shown)}
    needs: list[list[int]] = [[] for _ in shown]
    for source, target in picture.edges:
        if source in place and target in place:
            needs[place[target]].append(place[source])
    path, _ = longest_chain(needs, [1.0] * len(shown))
    return tuple(shown[i] for i in path)
