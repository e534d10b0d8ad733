"""Outputs compared with the files that were committed, for people and for programs."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from marin_build.cli.terminal import Styled, echo
from marin_build.observe.verify_outputs import Verdict
from marin_build.text.readable import printable

if TYPE_CHECKING:
    from marin_build.observe.verify_outputs import Verified
    from marin_build.operations.outputs.verify import VerifiedOutputs
    from marin_build.operations.outputs.verify_statement import StatementVerdict


_COLOURS = {Verdict.INTACT: "green", Verdict.DIFFERS: "red"}
_SHOWN = 20
"""How many different files are named for each target; `--json` has all."""
_SCHEMA_VERSION = 1


def show_verified(verified: VerifiedOutputs) -> None:
    """Print a line for each target, and one for each file that differs."""
    found = verified.outputs
    width = max((len(each.verdict.value) for each in found), default=0)
    for each in found:
        target = verified.targets.all[each.index]
        verdict = Styled(each.verdict.value.ljust(width), _COLOURS.get(each.verdict))
        facts = printable(_facts(target.output_path, each))
        echo(verdict, f"  {target.id}  {facts}".rstrip())
        words = [*each.changes.words, *(f"`{path}` has other bytes" for path in each.rewritten)]
        more = [f"and {len(words) - _SHOWN} more"] if len(words) > _SHOWN else []
        for line in [*words[:_SHOWN], *more]:
            echo(f"{'':{width}}    {printable(line)}")
    counts = Counter(each.verdict for each in found)
    parts = [f"{counts[verdict]} {verdict.value}" for verdict in Verdict if counts[verdict]]
    many = f"{len(found)} target{'s' if len(found) != 1 else ''}"
    echo(f"{many}: {', '.join(parts)}")


def _facts(output: str, each: Verified) -> str:
    words = []
    if each.verdict is Verdict.INTACT:
        words.append(f"{each.files} file{'s' if each.files != 1 else ''}, {each.size} B")
    if each.note:
        words.append(each.note)
    if each.place != output:
        words.append(f"at {each.place}")
    return "; ".join(words)


def show_statement_verdict(verdict: StatementVerdict) -> None:
    """Print whether a statement is true of an output, and a line for each thing that differs."""
    differences = verdict.differences
    word = Verdict.DIFFERS if differences else Verdict.INTACT
    many = f"{verdict.compared} subject{'s' if verdict.compared != 1 else ''}"
    facts = printable(f"{many} compared; at {verdict.place}")
    echo(Styled(word.value, _COLOURS[word]), f"  {printable(verdict.target)}  {facts}")
    more = [f"and {len(differences) - _SHOWN} more"] if len(differences) > _SHOWN else []
    for line in [*differences[:_SHOWN], *more]:
        echo(f"  {printable(line)}")


def statement_verdict_json(verdict: StatementVerdict) -> dict[str, Any]:
    """Return the document of `--statement --json`."""
    return {
        "schema_version": _SCHEMA_VERSION,
        "target": verdict.target,
        "verdict": _word(Verdict.DIFFERS if verdict.differences else Verdict.INTACT),
        "place": verdict.place,
        "compared": verdict.compared,
        "differences": list(verdict.differences),
    }


def verified_json(verified: VerifiedOutputs) -> dict[str, Any]:
    """Return the document of `--json`."""
    targets, found = verified.targets, verified.outputs
    return {
        "schema_version": _SCHEMA_VERSION,
        "summary": {
            _word(verdict): sum(each.verdict is verdict for each in found) for verdict in Verdict
        },
        "targets": [
            {
                "name": targets.all[each.index].name,
                "target": targets.all[each.index].id,
                "verdict": _word(each.verdict),
                "place": each.place,
                "files": each.files,
                "bytes": each.size,
                "missing": list(each.changes.missing),
                "resized": [resized._asdict() for resized in each.changes.resized],
                "added": list(each.changes.added),
                "rewritten": list(each.rewritten),
                "note": each.note,
            }
            for each in found
        ],
    }


def _word(verdict: Verdict) -> str:
    return verdict.value.replace(" ", "_")
