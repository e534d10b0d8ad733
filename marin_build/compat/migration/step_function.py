"""The text of a `@step` function that calls what a step of Marin's called, and of its call."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from marin_build.compat.migration.source_text import Edit, with_edits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from marin_build.compat.migration.source_text import SourceText

OUTPUT = "output"
KEEPS = "resumable=True"
"""What all steps of Marin's have: a failed attempt's files, as checkpoints, are not cleared."""
_CONSTANTS = {int: "int", float: "float", str: "str", bool: "bool"}


@dataclass(slots=True)
class Parameter:
    """A parameter of a `@step` function, and what is given to it."""

    name: str
    annotation: str
    argument: str

    @property
    def declared(self) -> str:
        """Its text in the signature."""
        return f"{self.name}: {self.annotation}" if self.annotation else self.name


@dataclass(slots=True)
class ConfigText:
    """A config that is being rewritten as the body of a `@step` function.

    Args:
        source: the file.
        node: the config in it.
        taken: names that parameters must not have.

    """

    source: SourceText
    node: ast.expr
    taken: set[str]
    parameters: list[Parameter] = field(default_factory=list)
    edits: list[Edit] = field(default_factory=list)

    def parameter(self, wanted: str, annotation: str, argument: str) -> str:
        """Return the name of a parameter that is given an argument; steps are given once."""
        for known in self.parameters:
            if annotation.endswith("str") and (known.annotation, known.argument) == (
                annotation,
                argument,
            ):
                return known.name
        name, number = wanted, 1
        while name in self.taken or name == OUTPUT or name in [p.name for p in self.parameters]:
            number += 1
            name = f"{wanted}_{number}"
        self.parameters.append(Parameter(name, annotation, argument))
        return name

    def value(self, node: ast.expr, label: str) -> str:
        """Return the name of a parameter that is given a plain value."""
        kind = _CONSTANTS.get(type(node.value), "") if isinstance(node, ast.Constant) else ""
        label = label or (node.id if isinstance(node, ast.Name) else "value")
        return self.parameter(label, kind, self.source.of(node))

    def put(self, node: ast.expr, text: str) -> None:
        """Put a text in the place of a part of the config."""
        self.edits.append(self.source.replace(node, text))

    def put_many(self, node: ast.DictComp | ast.ListComp, label: str, step: str) -> str:
        """Put a parameter in the place of a comprehension over outputs; return its argument.

        Args:
            node: the comprehension.
            label: what the parameter is called.
            step: the text of the step whose output each of its values is.

        """
        source, value = self.source, made_by(node)
        before = source.text[source.start(node) : source.start(value)]
        after = source.text[source.end(value) : source.end(node)]
        kind = "dict[str, str]" if isinstance(node, ast.DictComp) else "list[str]"
        argument = f"{before}{step}{after}"
        self.put(node, self.parameter(label or "values", kind, argument))
        return argument

    @property
    def text(self) -> str:
        """The config with all that was put into it."""
        start = self.source.start(self.node)
        moved = [Edit(e.start - start, e.end - start, e.text) for e in self.edits]
        return with_edits(self.source.of(self.node), moved)


@dataclass(frozen=True, slots=True)
class StepText:
    """What makes the text of a `@step` function.

    Args:
        call: the call in the file that it replaces.
        variable: what the step is called in the file; None: it is returned at once.
        calls: the text of the function that is called.
        config: what it is called with.
        options: of `@step`, as `name=value`.
        returns: the annotation; empty: none.
        notes: comments above it.

    """

    call: ast.Call
    variable: str | None
    calls: str
    config: ConfigText
    options: Sequence[str]
    returns: str = ""
    notes: Sequence[str] = ()


def edits_of(source: SourceText, step: StepText) -> list[Edit]:
    """Return the edits that put a function before a statement, and its call into it."""
    statement = next(n for n in source.above(step.call) if isinstance(n, ast.stmt))
    indent = source.indent_of(statement.lineno)
    name = _free_name(source, step)
    signature = ", ".join([f"{OUTPUT}: str", *(p.declared for p in step.config.parameters)])
    returns = f" -> {step.returns}" if step.returns else ""
    kept_comments = _lost_comments(source, step)
    body = _shifted(source, step.config, f"{indent}    ")
    lines = [
        *(f"# {note}" for note in step.notes),
        *kept_comments,
        _wrapped(f"@{decorator(source)}(", step.options, ")", indent),
        _wrapped(f"def {name}(", signature.split(", "), f"){returns}:", indent),
        f"    return {step.calls}({body})",
    ]
    at = source.line_start(statement.lineno)
    text = "".join(f"{indent}{line}\n" for line in lines) + "\n"
    given = [f"{p.name}={p.argument}" for p in step.config.parameters]
    is_at_top = not indent
    return [
        Edit(at, at, _gap(source.text[:at], indent) + text + ("\n" if is_at_top else "")),
        source.replace(step.call, _wrapped(f"{name}(", given, ")", indent)),
    ]


def _gap(above: str, indent: str) -> str:
    """Return the empty lines that a function needs after what is above it."""
    last = above.rstrip("\n").rpartition("\n")[2].strip()
    if last.startswith("#") and not above.endswith("\n\n"):
        return ""  # a comment that speaks of the step
    if indent and (last.endswith(":") or above.endswith("\n\n")):
        return ""
    wanted = 1 if indent else 2
    return "\n" * (wanted - (len(above) - len(above.rstrip("\n")) - 1))


def decorator(source: SourceText) -> str:
    """Return what the file calls the decorator, where it may use `step` for something else."""
    return "marin_build.step" if source.defines("step") else "step"


def _free_name(source: SourceText, step: StepText) -> str:
    wanted = f"make_{step.variable}" if step.variable else "make"
    while source.defines(wanted):
        wanted += "_step"
    return wanted


def _wrapped(head: str, items: Sequence[str], tail: str, indent: str) -> str:
    """Return a call or a signature in one line, or with a line for each item."""
    flat = f"{head}{', '.join(items)}{tail}"
    if len(indent) + len(flat) <= 100:  # noqa: PLR2004 - the usual longest line
        return flat
    inner = "".join(f"{indent}    {item},\n" for item in items)
    return f"{head}\n{inner}{indent}{tail}"


def _shifted(source: SourceText, config: ConfigText, indent: str) -> str:
    """Return the text of a config whose later lines stand as far from its first line as before."""
    text = config.text
    first, newline, rest = text.partition("\n")
    if not newline or any(_spans_lines(node) for node in ast.walk(config.node)):
        return text
    was = source.indent_of(config.node.lineno)
    lines = [
        indent + line.removeprefix(was) if line.startswith(was) and line.strip() else line
        for line in rest.split("\n")
    ]
    return "\n".join([first, *lines])


def _spans_lines(node: ast.AST) -> bool:
    is_text = isinstance(node, ast.JoinedStr) or (
        isinstance(node, ast.Constant) and isinstance(node.value, str | bytes)
    )
    return is_text and node.lineno != node.end_lineno  # type: ignore[attr-defined]


def _lost_comments(source: SourceText, step: StepText) -> list[str]:
    """Return the comments in a call that are not in its config, which keeps its own."""
    config = step.config.node
    return [
        *source.comments(source.start(step.call), source.start(config)),
        *source.comments(source.end(config), source.end(step.call)),
    ]


def made_by(node: ast.DictComp | ast.ListComp) -> ast.expr:
    """Return what a comprehension makes each time; of a dict the value."""
    return node.value if isinstance(node, ast.DictComp) else node.elt


def names_read(node: ast.AST) -> set[str]:
    """Return the names that an expression reads."""
    return {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}


def field_names(source: SourceText, callee: ast.expr) -> list[str]:
    """Return the fields of a dataclass of this file that is called, in their order."""
    name = callee.id if isinstance(callee, ast.Name) else None
    for node in source.tree.body:
        if isinstance(node, ast.ClassDef) and node.name == name and not node.bases:
            return [
                each.target.id
                for each in node.body
                if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name)
            ]
    return []


def labelled(source: SourceText, config: ast.Call | ast.Dict) -> list[tuple[str, ast.expr]]:
    """Return the parts of a config, each with the name of its field or key, if that is known."""
    if isinstance(config, ast.Dict):
        parts = zip(config.keys, config.values, strict=True)
        return [(label_of(key), value) for key, value in parts]
    fields = field_names(source, config.func)
    labels = [*fields, *[""] * len(config.args)]
    found = list(zip(labels, config.args, strict=False))
    return found + [(keyword.arg or "", keyword.value) for keyword in config.keywords]


def label_of(key: ast.expr | None) -> str:
    """Return a key of a dict that can be the name of a parameter; empty: it cannot."""
    text = key.value if isinstance(key, ast.Constant) else None
    return text if isinstance(text, str) and text.isidentifier() else ""
