"""One output, for people and programs: facts, files, and the first lines of what is in them."""

from __future__ import annotations

import json
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from marin_build.cli.terminal import Styled, echo
from marin_build.cli.views.apply_text import duration
from marin_build.protocol.layout import output_under
from marin_build.text.moments import moment_text
from marin_build.text.readable import bytes_text, printable, shortened
from marin_build.workspace.places import is_url

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from marin_build.observe.preview_files import Preview
    from marin_build.operations.outputs.show import ShownOutput
    from marin_build.protocol.recipe_reader import Recipe


_SCHEMA_VERSION = 1
_MOST_FILES = 20
_MOST_LINES = 20
_WIDEST = 300
_SHORT, _LONGEST_ARTIFACT = 100, 64 << 10
_DIGEST = 12
"""Digits of a digest that are shown."""


def show_shown(shown: ShownOutput) -> None:
    """Print an output: facts, then its files, then previews."""
    output = shown.output
    echo(output.target, bold=True)
    for label, text in _facts(shown):
        echo(f"  {label:<11}{text}".rstrip())
    sizes = [bytes_text(file.size) for file in shown.files[:_MOST_FILES]]
    width = max(map(len, sizes), default=0)
    for file, size in zip(shown.files, sizes, strict=False):
        echo(f"    {size:>{width}}  {printable(file.path)}")
    if (more := len(shown.files) - _MOST_FILES) > 0:
        echo(f"    and {more} more (--json has them)")
    for preview in shown.previews:
        _show_preview(preview, output.data)


def _facts(shown: ShownOutput) -> Iterator[tuple[str, str]]:
    output, built = shown.output, shown.output.built
    yield "output", output.data
    if output.data != output.path:
        yield "record", output.path
    if built is not None and built.adopted_from:
        yield "adopted", f"{moment_text(built.end, 'minutes')} by {printable(built.worker)}"
        if built.note:
            yield "because", shortened(printable(built.note), _WIDEST)
    elif built is not None and output.is_built:
        when = moment_text(built.end, "minutes")
        took = f" in {duration(built.seconds)}"
        yield "built", printable(f"{when}{took} by {built.worker}, run {built.run}")
    else:
        yield "state", _state(shown)
    if shown.recipe is not None:
        yield from _recipe_facts(shown.recipe, shown.found.prefix)
    if shown.artifact_error:
        yield "returned", f"not readable: {printable(shown.artifact_error)}"
    elif shown.artifact is not None:
        yield from _several("returned", _artifact_lines(shown))
    count = len(shown.files)
    yield "files", f"{count}, {bytes_text(shown.size)}" if count else "none"


def _artifact_lines(shown: ShownOutput) -> list[str]:
    """Return what a step returned: on one line if it is short."""
    if shown.artifact_size > _LONGEST_ARTIFACT:
        return [f"{bytes_text(shown.artifact_size)} of JSON (--json has it)"]
    line = json.dumps(shown.artifact)
    return [line] if len(line) <= _SHORT else json.dumps(shown.artifact, indent=1).splitlines()


def _state(shown: ShownOutput) -> str:
    """Return how an output stands that has no record of its build."""
    output = shown.output
    if output.is_built:
        return "built, by a program that left no record of ours"
    return f"not built ({output.status})" if output.status is not None else "not built"


def _recipe_facts(recipe: Recipe, prefix: str) -> Iterator[tuple[str, str]]:
    if recipe.made_by is not None:
        label = "command" if recipe.is_command else "made by"
        yield from _several(label, recipe.made_by.splitlines())
    if recipe.commit is not None:
        dirty = ", and changes that were not committed" if recipe.is_dirty else ""
        yield "code", printable(f"commit {recipe.commit[:_DIGEST]}{dirty}")
    values = [f"{name}={json.dumps(value)}" for name, value in recipe.attributes.items()]
    yield from _several("attributes", values)
    made_from = zip_longest(recipe.deps, recipe.dep_paths)
    yield from _several("from", [_place(dep, path, prefix) for dep, path in made_from])
    inputs = [f"{name}  {digest[:_DIGEST]}" for name, digest in recipe.inputs.items()]
    yield from _several("inputs", inputs)
    if recipe.written_by and not recipe.written_by.startswith("marin-build"):
        yield "recorded", printable(f"by {recipe.written_by}")


def _place(dep: str, path: str | None, prefix: str) -> str:
    """Return a dependency and where its output lies; older records do not say where."""
    if path is not None:
        return f"{dep}  {path}"
    if "/" in dep and (is_url(dep) or dep.startswith("/")):
        return dep
    return f"{dep}  {output_under(prefix, dep.partition('@')[0], dep)}"


def _several(label: str, texts: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield a line for each text, and one that counts those that are too many."""
    for number, text in enumerate(texts[:_MOST_LINES]):
        yield "" if number else label, shortened(printable(text), _WIDEST)
    if (more := len(texts) - _MOST_LINES) > 0:
        yield "", f"and {more} more (--json has them)"


def _show_preview(preview: Preview, folder: str) -> None:
    path = printable(preview.path)
    if preview.kind in ("picture", "page"):
        echo(f"\n{preview.kind} {printable(f'{folder}/{preview.path}')}")
        return
    echo(Styled(f"\n{path}", "cyan"))
    for line in _lines(preview):
        echo(f"  | {line}".rstrip())
    if preview.is_cut:
        echo("  | ...")


def _lines(preview: Preview) -> Sequence[str]:
    if preview.kind == "text":
        return preview.lines
    columns = max(map(len, preview.rows))
    rows = [(*row, *[""] * (columns - len(row))) for row in preview.rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(map(str.ljust, row, widths)) for row in rows]


def shown_json(shown: ShownOutput) -> dict[str, Any]:
    """Return the document of `--json`."""
    output, built, recipe = shown.output, shown.output.built, shown.recipe
    return {
        "schema_version": _SCHEMA_VERSION,
        "name": output.name,
        "target": output.target,
        "output_path": output.path,
        "data": output.data,
        "status": output.status,
        "built": {
            "run": built.run,
            "attempt": built.attempt,
            "worker": built.worker,
            "end": built.end,
            "seconds": built.seconds,
            "fingerprint": built.fingerprint,
            "adopted_from": built.adopted_from,
            "note": built.note,
        }
        if built is not None
        else None,
        "made_by": _recipe_json(recipe) if recipe is not None else None,
        "artifact": shown.artifact,
        "artifact_error": shown.artifact_error or None,
        "files": [{"path": file.path, "size": file.size} for file in shown.files],
        "previews": [
            {
                "path": preview.path,
                "kind": preview.kind,
                "lines": list(preview.lines),
                "rows": [list(row) for row in preview.rows],
                "is_cut": preview.is_cut,
            }
            for preview in shown.previews
        ],
        "notes": list(shown.found.notes),
    }


def _recipe_json(recipe: Recipe) -> Mapping[str, Any]:
    return {
        "function": None if recipe.is_command else recipe.made_by,
        "command": recipe.made_by if recipe.is_command else None,
        "attributes": dict(recipe.attributes),
        "deps": list(recipe.deps),
        "inputs": dict(recipe.inputs),
        "commit": recipe.commit,
        "is_dirty": recipe.is_dirty,
        "argv": list(recipe.argv),
        "recorded_by": recipe.written_by,
    }
