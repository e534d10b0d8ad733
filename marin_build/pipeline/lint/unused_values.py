"""Dependencies, inputs and attributes that a command never names, or a function never reads.

A name that begins with `_` is one that its author does not use on purpose.
"""

from __future__ import annotations

import dis
import functools
import types
from typing import TYPE_CHECKING

from marin_build.identity.callables import StandsForFunction
from marin_build.pipeline.bound_call import BoundCall
from marin_build.pipeline.command import Command
from marin_build.pipeline.command_limits import list_name
from marin_build.pipeline.lint.findings import Finding
from marin_build.pipeline.placeholders import names_in
from marin_build.pipeline.source import Source

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from marin_build.pipeline.lint.findings import LintKind
    from marin_build.pipeline.step_spec import StepSpec


_IDLE = frozenset(
    ("RESUME", "LOAD_CONST", "RETURN_VALUE", "RETURN_CONST", "NOP", "POP_TOP", "COPY_FREE_VARS",
     "RETURN_GENERATOR")
)  # fmt: skip
"""What a function does that has no body yet."""
_READS_ALL = frozenset(("locals", "vars", "eval", "exec", "dir"))
"""Functions of Python that see the variables of their caller."""


def unused_values(step: StepSpec) -> Iterator[Finding]:
    """Yield a finding for each thing that is given to a step and never used."""
    match step.fn:
        case Command() as command:
            yield from _of_command(step, command)
        case BoundCall() as call:
            yield from _of_call(step, call)


def _of_command(step: StepSpec, command: Command) -> Iterator[Finding]:
    used = names_used(command)
    kinds: tuple[tuple[LintKind, str, Mapping[str, object]], ...] = (
        ("unused-dep", "dependency", command.deps),
        ("unused-input", "input", command.inputs),
        ("unused-attr", "parameter", command.params),
    )
    for kind, word, given in kinds:
        for name in given:
            if name not in used and not name.startswith("_"):
                yield Finding(
                    kind,
                    (step.name,),
                    step.declared,
                    f"the command never names the {word} `{{{name}}}`",
                    f"write `{{{name}}}` where the command needs it, or leave it out; "
                    f"a name like `_{name}` says that it is not used on purpose",
                )


def names_used(command: Command) -> set[str]:
    """Return what the placeholders in a command stand for; `{parts_list}` stands for `parts`."""
    texts = (command.text,) if isinstance(command.text, str) else command.text
    used = {name for text in texts for name, is_text in names_in(text) if not is_text}
    return used | {name for name in command.lists if list_name(name) in used}


def _of_call(step: StepSpec, call: BoundCall) -> Iterator[Finding]:
    function = python_function(call.function)
    if function is None:
        return
    for name in unread(function.__code__):
        kind: LintKind
        if name in call.wired:
            given = (leaf for key, leaf in call.leaves() if key.partition(".")[0] == name)
            is_input = all(isinstance(leaf, Source) for leaf in given)
            kind, what = (
                ("unused-input", "an input") if is_input else ("unused-dep", "a dependency")
            )
        elif name in call.values and str(call.values[name]) not in step.name:
            kind, what = "unused-attr", "an attribute"  # which is no part of the name either
        else:
            continue
        yield Finding(
            kind,
            (step.name,),
            place_of(function, step),
            f"the function never reads the parameter `{name}`, {what}",
            f"read it, or leave it out; a name like `_{name}`, or `del {name}`, says that it is "
            "not used on purpose",
        )


def python_function(value: object) -> types.FunctionType | None:
    """Return the function of Python that runs in the end; None if another one is around it."""
    while isinstance(value, StandsForFunction):
        value = value.code_function
    if isinstance(value, types.FunctionType) and not hasattr(value, "__wrapped__"):
        return value
    return None  # a wrapper may read an argument, or pass on another one


def place_of(function: types.FunctionType, step: StepSpec) -> tuple[str, int]:
    """Return where the function of a step is defined; where the step is, if that is in no file."""
    file = function.__code__.co_filename
    return step.declared if file.startswith("<") else (file, function.__code__.co_firstlineno)


@functools.lru_cache(maxsize=1024)
def unread(code: types.CodeType) -> tuple[str, ...]:
    """Return the parameters of a function that its body never reads, nor deletes.

    None of a function that has no body yet, as `...` or `raise NotImplementedError`, or that may
    read them all, with `locals()` for one. Names that begin with `_` are left out.
    """
    instructions = list(dis.get_instructions(code))
    if _is_stub(instructions):
        return ()
    read = set(code.co_cellvars)  # a function inside reads it
    for each in instructions:
        if each.opname == "LOAD_GLOBAL" and each.argval in _READS_ALL:
            return ()
        if each.opname.startswith(("LOAD_FAST", "DELETE_FAST", "STORE_FAST_LOAD")):
            names = each.argval if isinstance(each.argval, tuple) else (each.argval,)
            read.update(names[1:] if each.opname.startswith("STORE") else names)  # two at once
    count = code.co_argcount + code.co_kwonlyargcount
    parameters = code.co_varnames[:count]
    return tuple(name for name in parameters if name not in read and not name.startswith("_"))


def _is_stub(instructions: list[dis.Instruction]) -> bool:
    """Return whether a function does nothing and returns None, or does nothing but raise."""
    if not any(each.opname.startswith("RETURN_") for each in instructions):
        return True
    if any(each.opname not in _IDLE for each in instructions):
        return False
    constants = [e.argval for e in instructions if e.opname in ("LOAD_CONST", "RETURN_CONST")]
    return constants[-1:] == [None]
