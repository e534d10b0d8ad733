"""What a step was given, what it returned and what it left, as people read it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from marin_build.emit.quoting import data_address
from marin_build.emit.report.rows import expected_text, took_text
from marin_build.emit.report.summary import DIGITS, state_of
from marin_build.text.moments import moment_text
from marin_build.text.readable import bytes_text, shortened

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from marin_build.emit.report.facts import Build, Preview, Report, ReportedTarget


_ONE_LINE = 80
_LONGEST_VALUE = 600
_LONGEST_RETURNED = 4000
_MOST_FACTS = 60
_MOST_NEEDS = 200


def target_values(
    target: ReportedTarget, report: Report, place: Mapping[str, int]
) -> dict[str, Any]:
    """Return all that a page says of one target."""
    node, details, build = target.node, target.details, target.build
    output = details.output or f"{report.about.prefix}/{node.id}"
    needs = [{"place": place[id_], "name": id_} for id_ in target.needs if id_ in place]
    return {
        "place": place[node.id],
        "id": node.id,
        "name": node.name,
        "state": state_of(target),
        "why": shortened(node.reason, _LONGEST_VALUE),
        "drift": details.now.drift,
        "description": details.now.description,
        "facts": list(_facts(target, build)),
        "output": output,
        "link": _link(target, report),
        "attributes": _values(details.attributes),
        "inputs": _values(details.inputs),
        "needs": needs[:_MOST_NEEDS],
        "more_needs": len(needs[_MOST_NEEDS:]),
        "returned": returned_text(target),
        "returned_problem": target.returned_problem,
        "log": "\n".join(details.now.log),
        "log_of": details.now.log_of,
        "contents": _contents(target),
    }


def _link(target: ReportedTarget, report: Report) -> str:
    """Return the address of an output in a bucket; empty if there is none."""
    if target.details.output:
        return target.details.link
    about = report.about
    return f"{about.prefix_link}/{target.node.id}" if about.prefix_link else ""


def _facts(target: ReportedTarget, build: Build | None) -> Iterator[tuple[str, str]]:
    if build is not None and build.adopted_from:
        yield "adopted", f"{moment_text(build.end, 'minutes')} by {build.by}"
        yield "data", build.adopted_from
        if build.note:
            yield "because", shortened(build.note, _LONGEST_VALUE)
    elif build is not None:
        attempt = f", attempt {build.attempt}" if build.attempt > 1 else ""
        yield (
            "built",
            f"{moment_text(build.end, 'minutes')} by {build.by}, run {build.run}{attempt}",
        )
        if took := took_text(build):
            yield "took", took
    if expected := expected_text(target, says_of=True):
        yield "expected", expected
    if build is not None:
        yield from _code_facts(build)
    if target.details.declared:
        yield "declared", target.details.declared
    if target.node.resources:
        yield "runs on", target.node.resources
    if target.node.tags:
        yield "tags", ", ".join(target.node.tags)
    if target.details.fingerprint:
        yield "fingerprint", target.details.fingerprint


def _code_facts(build: Build) -> Iterator[tuple[str, str]]:
    if build.made_by:
        yield "made by", shortened(build.made_by, _LONGEST_VALUE)
    if build.code:
        yield "code digest", build.code.removeprefix("sha256:")[:DIGITS]
    if build.commit:
        dirty = ", with changes that were not committed" if build.is_dirty else ""
        yield "commit", f"{build.commit[:DIGITS]}{dirty}"


def _values(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return names and values as texts; of too many the first ones."""
    found = [
        (shortened(name, _ONE_LINE), shortened(value_text(value), _LONGEST_VALUE))
        for name, value in sorted(values.items())[:_MOST_FACTS]
    ]
    more = len(values) - _MOST_FACTS
    return [*found, ("and more", f"{more} more")] if more > 0 else found


def value_text(value: Any) -> str:
    """Return a JSON value for people; a text as it is."""
    if isinstance(value, str):
        return value
    line = json.dumps(value, ensure_ascii=False)
    return line if len(line) <= _ONE_LINE else json.dumps(value, indent=1, ensure_ascii=False)


def returned_text(target: ReportedTarget) -> str:
    """Return what a step returned as text; empty if that is nothing."""
    if target.returned is None:
        return ""
    return shortened(value_text(target.returned), _LONGEST_RETURNED)


def _contents(target: ReportedTarget) -> dict[str, Any] | None:
    contents = target.contents
    if contents is None:
        return None
    named = {preview.path: preview.problem for preview in contents.previews if preview.problem}
    return {
        "files": [
            {"path": path, "size": bytes_text(size), "problem": named.get(path, "")}
            for path, size in contents.files
        ],
        "more": contents.count - len(contents.files),
        "count": contents.count,
        "size": bytes_text(contents.size),
        "looked_into": ", ".join(p.path for p in contents.previews if p.kind in ("table", "text")),
        "pictures": [_picture(p) for p in contents.previews if p.kind == "picture"],
        "tables": [_table(p) for p in contents.previews if p.kind == "table"],
        "texts": [
            {"path": p.path, "text": "\n".join(p.lines), "is_cut": p.is_cut}
            for p in contents.previews
            if p.kind == "text"
        ],
    }


def _picture(preview: Preview) -> dict[str, str]:
    return {"path": preview.path, "source": data_address(preview.media, preview.data)}


def _table(preview: Preview) -> dict[str, Any]:
    width = max(map(len, preview.rows))
    head, *rows = [(*row, *[""] * (width - len(row))) for row in preview.rows]
    numbers = [all(_is_number(row[i]) for row in rows) and bool(rows) for i in range(width)]
    return {
        "path": preview.path,
        "head": list(zip(head, numbers, strict=True)),
        "rows": [list(zip(row, numbers, strict=True)) for row in rows],
        "is_cut": preview.is_cut,
    }


def _is_number(text: str) -> bool:
    try:
        float(text or "0")
    except ValueError:
        return False
    return True
