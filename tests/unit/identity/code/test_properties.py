"""Any edit that means something changes the digest; no reformatting does."""

from __future__ import annotations

import ast
import itertools
import types
from typing import TYPE_CHECKING, Any

from hypothesis import assume, given
from hypothesis import strategies as st

from marin_build.identity.code.syntax import dump, normalised

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

_NAMES = st.sampled_from(["output", "x", "y", "helper"])
_NUMBERS = st.integers(0, 5).map(str)
_EXPRESSIONS = st.recursive(
    _NAMES | _NUMBERS | st.sampled_from(["'a'", "f'{x!r:>3}'", "None", "-1.5"]),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["+", "-", "<", "and", "if x else"]), inner).map(
            lambda t: f"({' '.join(t)})"
        ),
        inner.map(lambda e: f"helper({e}, *[{e}])"),
        inner.map(lambda e: f"[q for q in {e} if {e}]"),
        inner.map(lambda e: f"{{'k': {e}}}"),
        inner.map(lambda e: f"(lambda x={e}: x)"),
    ),
    max_leaves=5,
)
_STATEMENTS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["x", "y"]), _EXPRESSIONS).map(lambda t: [f"{t[0]} = {t[1]}"]),
        _EXPRESSIONS.map(lambda e: [f"if {e}:", "    return x"]),
        _EXPRESSIONS.map(lambda e: [f"for x in {e}:", "    y += x"]),
        _EXPRESSIONS.map(lambda e: ["try:", f"    {e}", "except OSError as error:", "    raise"]),
    ),
    min_size=1,
    max_size=4,
)
_COUNT = itertools.count()


def _function(statements: list[list[str]], names: str = "") -> str:
    lines = [line for statement in statements for line in statement]
    return f"def run(output, x=1):{names}\n" + "".join(f"    {line}\n" for line in lines)


def _digest(text: str, folder: Any) -> str:
    from marin_build.identity.code.digest import code_digest

    file = folder / f"m{next(_COUNT)}.py"
    file.write_text(text)
    module = types.ModuleType(file.stem)
    module.__dict__["helper"] = len
    exec(compile(text, str(file), "exec"), module.__dict__)
    return code_digest(module.__dict__["run"])


def _reformatted(text: str, seed: random.Random) -> str:
    """Return the same program with other white space, comments and docstrings."""
    head, *body = text.splitlines()
    lines = [head, f'    """{seed.random()}"""']
    for line in body:
        if seed.random() < 0.5:
            lines.append(f"    # {seed.random()}" if seed.random() < 0.5 else "")
        lines.append(line + "  # why" * (seed.random() < 0.5))
    text = "\n".join(lines) + "\n"
    text = text.replace("    ", seed.choice(["  ", "\t", "      "]))
    return "\n" * seed.randrange(3) + text.replace(" + ", seed.choice(["+", "  +  ", "\\\n+"]))


def _mutations(tree: ast.Module) -> list[Callable[[], None]]:
    """Return edits of a program that mean something."""
    found: list[Callable[[], None]] = []
    for node in ast.walk(tree):
        match node:
            case ast.Constant(value=int() as value) if not isinstance(value, bool):
                found.append(lambda n=node, v=value: setattr(n, "value", v + 1))  # type: ignore[misc]
            case ast.Name(id=name, ctx=ast.Load()):
                other = "y" if name == "x" else "x"
                found.append(lambda n=node, o=other: setattr(n, "id", o))  # type: ignore[misc]
            case ast.BinOp(op=ast.Add()):
                found.append(lambda n=node: setattr(n, "op", ast.Mult()))  # type: ignore[misc]
            case ast.Compare():
                found.append(lambda n=node: setattr(n, "ops", [ast.GtE()]))  # type: ignore[misc]
            case ast.If():
                found.append(lambda n=node: n.body.insert(0, ast.Break()))  # type: ignore[misc]
    return found


@given(_STATEMENTS, st.randoms(use_true_random=False))
def test_reformatting_is_no_edit(
    tmp_path_factory: Any, statements: list[list[str]], seed: random.Random
) -> None:
    folder = tmp_path_factory.getbasetemp()
    text = _function(statements)
    assert _digest(text, folder) == _digest(_reformatted(text, seed), folder)
    assert _digest(text, folder) == _digest(ast.unparse(ast.parse(text)), folder)


@given(_STATEMENTS, st.data())
def test_an_edit_changes_the_digest(
    tmp_path_factory: Any, statements: list[list[str]], data: st.DataObject
) -> None:
    folder = tmp_path_factory.getbasetemp()
    text = _function(statements)
    tree = ast.parse(text)
    edits = _mutations(tree)
    assume(edits)
    data.draw(st.sampled_from(edits))()
    edited = ast.unparse(tree)
    try:
        compile(edited, "x", "exec")
    except SyntaxError:
        assume(False)
    assert _digest(text, folder) != _digest(edited, folder)


@given(_STATEMENTS)
def test_normalising_twice_is_normalising_once(statements: list[list[str]]) -> None:
    once = normalised(ast.parse(_function(statements)))
    assert dump(normalised(once)) == dump(once)
    assert dump(ast.parse(ast.unparse(ast.fix_missing_locations(once)))) == dump(once)
