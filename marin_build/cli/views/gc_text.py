"""What `gc` would do, and what it did, for people and as JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from marin_build.cli.terminal import echo
from marin_build.operations.clean_up.gc import Action
from marin_build.text.moments import moment_text
from marin_build.text.readable import bytes_text, cost_text, duration_text, printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from marin_build.operations.clean_up.carry_out_gc import Done
    from marin_build.operations.clean_up.gc import GcPlan, Step
    from marin_build.operations.loading.loading import Loaded
    from marin_build.plan.reachability import Inventoried, Verdict


_SHOWN = 20
"""How many outputs of one kind have a line, unless all are asked for."""
_VERBS = {
    Action.DELETE: "delete",
    Action.MARK: "mark",
    Action.WAIT: "wait",
    Action.UNMARK: "unmark",
}
_COLOURS = {Action.DELETE: "red", Action.MARK: "yellow", Action.WAIT: None, Action.UNMARK: "green"}
_SCHEMA_VERSION = 1


class GcView:
    """Shows a plan of `gc`, and how it is carried out.

    Args:
        loaded: the pipeline, whose project may have prices of its own.
        again: returns the same command line with further words.
        as_json: print one JSON document.
        verbose: show every output.

    """

    def __init__(
        self, loaded: Loaded, again: Callable[[list[str]], str], *, as_json: bool, verbose: bool
    ) -> None:
        self._loaded = loaded
        self._again = again
        self._as_json = as_json
        self._verbose = verbose
        self._done: list[Done] = []

    @property
    def failures(self) -> int:
        """How many steps were not done."""
        return sum(1 for done in self._done if done.said)

    def plan(self, plan: GcPlan) -> None:
        """Show what would be done."""
        if self._as_json:
            _print_json({**self._document(plan), "applied": False})
            return
        for action in (Action.DELETE, Action.MARK, Action.UNMARK, Action.WAIT):
            self._rows(plan.of(action), plan.grace)
        self._rest(plan)
        if plan.is_done:
            echo("nothing to do")
        else:
            echo(f"to do it: {self._again(['--apply', '--list', plan.digest])}")

    def done(self, done: Done) -> None:
        """Show a step that was carried out."""
        self._done.append(done)
        if self._as_json:
            return
        output = done.step.output
        verb = _VERBS[done.step.action]
        if done.said:
            echo(f"  not {_past(verb)}: {output.target}: {printable(done.said)}", fg="red")
        else:
            echo(f"  {_past(verb)} {output.target}  {bytes_text(output.size)}")

    def finish(self, plan: GcPlan) -> None:
        """Show what is left after a plan was carried out."""
        if self._as_json:
            said = {done.step.output.path: done.said for done in self._done}
            document = self._document(plan)
            for step in document["steps"]:
                step["error"] = said.get(step["path"]) or None
            _print_json({**document, "applied": True})
            return
        self._rows(plan.of(Action.WAIT), plan.grace)
        self._rest(plan)
        if plan.of(Action.MARK) and plan.grace:
            echo(f"what is marked is deleted by `gc --apply` in {duration_text(plan.grace)}")
            echo("to keep it: marin-build gc --undo, or use it")
        if plan.is_done:
            echo("nothing to do")

    def _rows(self, steps: Sequence[Step], grace: float) -> None:
        if not steps:
            return
        action = steps[0].action
        size = sum(step.output.size for step in steps)
        echo(
            f"to {_VERBS[action]}: {_outputs(len(steps))}, {self._priced(size)}"
            if action is not Action.WAIT
            else f"marked, not deleted yet: {_outputs(len(steps))}, {self._priced(size)}",
            bold=True,
        )
        shown = steps if self._verbose else steps[:_SHOWN]
        width = max(len(printable(step.output.target)) for step in shown)
        sizes = max(len(bytes_text(step.output.size)) for step in shown)
        for step in shown:
            output = step.output
            target = printable(output.target).ljust(width)
            size_text = bytes_text(output.size).rjust(sizes)
            echo(f"  {target}  {size_text}  {_facts(step, grace)}", fg=_COLOURS[action])
        if len(shown) < len(steps):
            echo(f"  and {len(steps) - len(shown)} more (-v shows all)")

    def _rest(self, plan: GcPlan) -> None:
        """Show what is kept, and what is not judged."""
        if plan.trash:
            size = sum(plan.trash.values())
            echo(f"left by a gc that died: {bytes_text(size)}")
        if plan.blocked:
            echo(f"nothing more is deleted now: {printable(plan.blocked)}", fg="yellow")
        if plan.unknown:
            size = sum(verdict.output.size for verdict in plan.unknown)
            echo(
                f"unknown: {_outputs(len(plan.unknown))} of names that no given pipeline declares, "
                f"{bytes_text(size)} (--unknown takes them, too)"
            )
        size = sum(verdict.output.size for verdict in plan.kept)
        hint = " (-v shows what keeps each)" if plan.kept and not self._verbose else ""
        echo(f"kept: {_outputs(len(plan.kept))}, {bytes_text(size)}{hint}")
        if self._verbose:
            for verdict in (*plan.kept, *plan.unknown):
                echo(f"  {printable(verdict.output.target)}  {printable(verdict.why)}")

    def _priced(self, size: int) -> str:
        cost = self._cost(size)
        return bytes_text(size) + (f", {cost_text(cost)} a month" if cost is not None else "")

    def _cost(self, size: int) -> float | None:
        from marin_build.operations.planning.estimate import prices_of
        from marin_build.plan.storage_price import cost_per_month

        prefix = self._loaded.workspace.prefix
        return cost_per_month(prices_of(self._loaded).storage, prefix, size)

    def _document(self, plan: GcPlan) -> dict[str, Any]:
        return {
            "schema_version": _SCHEMA_VERSION,
            "prefix": plan.prefix,
            "list": plan.digest,
            "grace_seconds": plan.grace,
            "steps": [
                {
                    "action": step.action.value,
                    "why": step.why,
                    "marked_seconds_ago": step.age,
                    "cost_per_month": self._cost(step.output.size),
                    **_facts_of(step.output),
                }
                for step in plan.steps
            ],
            "kept": _with_reasons(plan.kept),
            "unknown": _with_reasons(plan.unknown),
            "trash_bytes": sum(plan.trash.values()),
            "blocked": plan.blocked or None,
        }


def show_undone(outputs: Sequence[Inventoried], *, as_json: bool) -> None:
    """Show which outputs have no tombstone any more."""
    if as_json:
        _print_json({"schema_version": _SCHEMA_VERSION, "kept": [_facts_of(it) for it in outputs]})
        return
    for output in outputs:
        echo(f"  unmarked {printable(output.target)}")
    if not outputs:
        echo("no output has a tombstone")


def _facts(step: Step, grace: float) -> str:
    """Return when an output was built, and how long it still stays."""
    output = step.output
    built = f"built {moment_text(output.end, 'minutes')}" if output.end else "never finished"
    if step.action is Action.WAIT and step.age is not None:
        left = max(grace - step.age, 0.0)
        return f"{built}; marked {duration_text(step.age)} ago, stays for {duration_text(left)}"
    if step.action is Action.UNMARK:
        return f"{built}; {printable(step.why)}"
    if step.action is Action.DELETE and step.age is not None:
        return f"{built}; marked {duration_text(step.age)} ago"
    return built


def _outputs(count: int) -> str:
    return f"{count} output{'s' * (count != 1)}"


def _past(verb: str) -> str:
    return f"{verb}d" if verb.endswith("e") else f"{verb}ed"


def _facts_of(output: Inventoried) -> dict[str, Any]:
    return {
        "name": output.name,
        "target": output.target,
        "path": output.path,
        "status": output.status,
        "built": output.end or None,
        "files": output.files,
        "bytes": output.size,
    }


def _with_reasons(verdicts: Iterable[Verdict]) -> list[dict[str, Any]]:
    return [{**_facts_of(verdict.output), "why": verdict.why} for verdict in verdicts]


def _print_json(document: dict[str, Any]) -> None:
    echo(json.dumps(document, indent=1))
