"""The program that runs steps, under the main guard -> `pipeline()`, which returns them."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import TYPE_CHECKING

from marin_build.compat.migration.source_text import CannotMoveError, Edit

if TYPE_CHECKING:
    from marin_build.compat.migration.source_text import SourceText

PIPELINE = "pipeline"
_PARSERS = ("argparse", "argv", "parse_args", "click", "draccus", "typer", "simple_parsing")
VERSION_NAMES = ("BuildContext", "VersionCodex", "build_context")
"""What a pipeline needs that gives its artifacts a version."""
_WITH_VERSION = f"""\
def {PIPELINE}(version: str):
    with build_context(BuildContext(VersionCodex(version))):
        return {{}}"""


@dataclass(frozen=True, slots=True)
class RunCall:
    """The call that runs steps.

    Args:
        node: the call.
        steps: the text of what it runs.
        read: the expressions of it that name steps.
        runner: `executor_main`, `StepRunner`, `run` or `experiment_main`.

    """

    node: ast.Call
    steps: str
    read: tuple[ast.expr, ...]
    runner: str


def run_call(source: SourceText) -> RunCall | None:
    """Return the call of a file that runs steps; None if there is none.

    Raises:
        CannotMoveError: there are several, or it does more.

    """
    calls = [found for node in ast.walk(source.tree) if (found := _run_call(source, node))]
    if len(calls) > 1:
        raise CannotMoveError(f"{len(calls)} calls run steps")
    return calls[0] if calls else None


def _run_call(source: SourceText, node: ast.AST) -> RunCall | None:
    match node:
        case ast.Call() if source.marin_name(node.func) == "executor_main":
            given = {each.arg: each.value for each in node.keywords}
            steps = given.pop("steps", node.args[0] if node.args else None)
            if steps is None or len(node.args) > 1 or given.keys() - {"description"}:
                raise CannotMoveError("`executor_main` is given more than steps")
            return RunCall(node, source.of(steps), (steps,), "executor_main")
        case ast.Call(func=ast.Attribute(value=runner, attr="run"), args=[steps]) if _is_runner(
            source, runner
        ):
            return RunCall(node, source.of(steps), (steps,), "StepRunner")
        case ast.Call(args=[_, *_] as handles) if source.marin_name(node.func) == "run":
            text = ", ".join(source.of(each) for each in handles)
            return RunCall(node, f"[{text}]", tuple(handles), "run")
        case ast.Call(func=ast.Call(func=runner, args=[build]), args=[]) if (
            source.marin_name(runner) == "experiment_main"
        ):
            return RunCall(node, f"{source.of(build)}()", (build,), "experiment_main")
    return None


def _is_runner(source: SourceText, node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and source.marin_name(node.func) == "StepRunner"


def program_edits(source: SourceText, call: RunCall) -> list[Edit]:
    """Return the edits that make a program a pipeline.

    A program that runs its steps by StepRunner still does so, and whatever comes after.

    Raises:
        CannotMoveError: it does something else that would have to go into `pipeline()`.

    """
    if source.defines(PIPELINE) or source.defines("targets"):
        raise CannotMoveError("the file has another `pipeline` or `targets`")
    statement = source.parents[call.node]
    if not isinstance(statement, ast.Expr):
        raise CannotMoveError("what the run returns is used")
    around = source.parents[statement]
    if isinstance(around, ast.If) and _is_guard(source, around):
        return _under_guard(source, call, around, statement)
    if isinstance(around, ast.FunctionDef):
        return _in_function(source, call, around, statement)
    raise CannotMoveError("the call that runs steps is neither in a function nor under the guard")


def needs_version(source: SourceText) -> bool:
    """Return whether the artifacts of a file leave their version to the run."""
    return "resolve_version" in source.names.values()


def _is_guard(source: SourceText, node: ast.If) -> bool:
    return "__main__" in source.of(node.test) and source.parents[node] is source.tree


def _under_guard(
    source: SourceText, call: RunCall, guard: ast.If, statement: ast.Expr
) -> list[Edit]:
    if guard.body[-1] is not statement or guard.orelse:
        raise CannotMoveError("its main guard does more than run steps")
    before = guard.body[:-1]
    _refuse_to_move("its program", before, goes_on=True)
    prepared = ""
    if before:
        prepared = source.text[
            source.line_start(guard.lineno + 1) : source.start(statement)
        ].lstrip()
    text = f"def {PIPELINE}():\n    {prepared}return {call.steps}"
    if call.runner == "experiment_main" and needs_version(source):
        if before:
            raise CannotMoveError("its main guard does more than run steps")
        text = _WITH_VERSION.format(call.steps)
    if call.runner == "StepRunner":
        text += f"\n\n\nif {source.of(guard.test)}:\n    " + _rerun(source, call)
    above = source.text[: source.start(guard)]
    gap = "" if above.endswith("\n\n\n") else "\n"
    return [source.replace(guard, gap + text)]


def _rerun(source: SourceText, call: RunCall) -> str:
    """Return the text of the run, of what `pipeline()` returns."""
    start, steps = source.start(call.node), call.read[0]
    text = source.of(call.node)
    head, tail = source.start(steps) - start, source.end(steps) - start
    return f"{text[:head]}{PIPELINE}(){text[tail:]}"


def _in_function(
    source: SourceText, call: RunCall, function: ast.FunctionDef, statement: ast.Expr
) -> list[Edit]:
    """Return the edits for a run in a function that the guard calls."""
    before, after = _split(function, statement)
    guard_call = _guard_call(source, function)
    _refuse_to_move(f"`{function.name}`", before, goes_on=bool(after))
    if source.parents[function] is not source.tree:
        raise CannotMoveError("the call that runs steps is in a function of a function")
    signature = function.returns
    colon = source.text.index(
        ":", source.end(signature) if signature is not None else source.start(function)
    )
    header = source.text[source.start(function) : colon + 1]
    returned = source.replace(statement, f"return {call.steps}")
    head = Edit(source.start(function), colon + 1, f"def {PIPELINE}():")
    if not after:
        rerun = _rerun(source, call) if call.runner == "StepRunner" else None
        return [head, returned, _guard_edit(source, guard_call, rerun)]
    if call.runner != "StepRunner":
        raise CannotMoveError("its program goes on after the run")
    made = {n for each in before for n in _stored(each)}
    used = {n.id for each in after for n in ast.walk(each) if isinstance(n, ast.Name)}
    if not used & made <= {call.steps}:
        names = ", ".join(sorted(used & made - {call.steps}))
        raise CannotMoveError(f"its program goes on after the run, and uses `{names}`")
    indent = " " * statement.col_offset
    again = f"{header}\n{indent}"
    if used & made:
        again += f"{call.steps} = {PIPELINE}()\n{indent}{source.of(statement)}"
    else:
        again += _rerun(source, call)
    return [head, Edit(returned.start, returned.end, f"{returned.text}\n\n\n{again}")]


def _split(function: ast.FunctionDef, statement: ast.Expr) -> tuple[list[ast.stmt], list[ast.stmt]]:
    at = function.body.index(statement)
    return function.body[:at], function.body[at + 1 :]


def _guard_call(source: SourceText, function: ast.FunctionDef) -> ast.Expr:
    """Return the statement under the main guard that calls a function; nothing else does."""
    arguments = function.args
    if function.decorator_list or arguments.args or arguments.kwonlyargs or arguments.vararg:
        raise CannotMoveError(f"`{function.name}` takes arguments")
    uses = source.uses(function.name)
    for use in uses:
        called = source.parents[use]
        statement = source.parents.get(called)
        if isinstance(called, ast.Call) and isinstance(statement, ast.Expr) and len(uses) == 1:
            guard = source.parents[statement]
            if isinstance(guard, ast.If) and _is_guard(source, guard):
                return statement
    raise CannotMoveError(f"`{function.name}` is not called under the main guard alone")


def _refuse_to_move(program: str, before: list[ast.stmt], *, goes_on: bool) -> None:
    """Refuse what a program does before its run, if `pipeline()` cannot do the same."""
    for node in (node for each in before for node in ast.walk(each)):
        name = getattr(node, "attr", getattr(node, "id", None))
        if name in _PARSERS:
            raise CannotMoveError(
                f"{program} reads its command line: make what it takes parameters of "
                "pipeline() by hand"
            )
        if isinstance(node, ast.Return) and (node.value is not None or goes_on):
            raise CannotMoveError(f"{program} may end before it runs steps")
        if isinstance(node, ast.Yield | ast.YieldFrom):
            raise CannotMoveError(f"{program} is a generator")


def _guard_edit(source: SourceText, call: ast.Expr, rerun: str | None) -> Edit:
    guard = source.parents[call]
    assert isinstance(guard, ast.If)
    if rerun is not None:
        return source.replace(call, rerun)
    if guard.body != [call] or guard.orelse:
        raise CannotMoveError("its main guard does more than run steps")
    start = len(source.text[: source.start(guard)].rstrip()) + 1
    return Edit(start, min(source.end(guard) + 1, len(source.text)), "")


def _stored(node: ast.AST) -> set[str]:
    return {
        each.id
        for each in ast.walk(node)
        if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)
    }
