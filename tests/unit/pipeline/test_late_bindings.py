"""A function that reads a variable when it runs, and not when its step is declared."""

from __future__ import annotations

import functools
import textwrap
from typing import TYPE_CHECKING, Any

import pytest

from marin_build import StepSpec, step
from marin_build.errors import SpecificationError
from marin_build.pipeline.late_bindings import late_bindings

if TYPE_CHECKING:
    from collections.abc import Sequence

HEAD = """
import enum, functools
from pathlib import Path
from marin_build import StepSpec, step

def w(output, *args): ...
targets = []
"""

LATE = {
    "a lambda in a loop": """
        def pipeline():
            return [StepSpec(name=f"s{i}", hash_attrs={"i": i}, fn=lambda o: w(o, i))
                    for i in range(3)]
        """,
    "in a loop of the module": """
        for i in range(3):
            targets.append(StepSpec(name=f"s{i}", hash_attrs={"i": i}, fn=lambda o: w(o, i)))
        """,
    "without an attribute": """
        for i in range(3):
            targets.append(StepSpec(name=f"s{i}", fn=lambda o: w(o, i)))
        """,
    "under another name": """
        def pipeline():
            return [StepSpec(name=f"s{i}", hash_attrs={"index": i}, fn=lambda o: w(o, i))
                    for i in range(3)]
        """,
    "as text": """
        for i in range(3):
            targets.append(StepSpec(name=f"s{i}", hash_attrs={"i": str(i)}, fn=lambda o: w(o, i)))
        """,
    "a function made in a loop": """
        def pipeline():
            for lang in ("en", "de"):
                def clean(output):
                    w(output, lang)
                targets.append(StepSpec(name=f"clean-{lang}", hash_attrs={"lang": lang}, fn=clean))
            return targets
        """,
    "a function made in a loop of the module": """
        for lang in ("en", "de"):
            def clean(output):
                w(output, lang)
            targets.append(StepSpec(name=f"clean-{lang}", fn=clean))
        """,
    "a decorated one": """
        for lang in ("en", "de"):
            @step(name=f"clean-{lang}")
            def clean(output):
                w(output, lang)
            targets.append(clean())
        """,
    "a decorated one in a function": """
        def pipeline():
            for lang in ("en", "de"):
                @step(name=f"clean-{lang}")
                def clean(output):
                    w(output, lang)
                targets.append(clean())
            return targets
        """,
    "inside a generator in it": """
        for i in range(3):
            targets.append(StepSpec(name=f"s{i}", fn=lambda o: w(o, *(i * k for k in range(2)))))
        """,
    "a helper that captures it": """
        def pipeline():
            for i in range(3):
                def helper(o):
                    w(o, i)
                targets.append(StepSpec(name=f"s{i}", hash_attrs={"i": i}, fn=lambda o: helper(o)))
            return targets
        """,
    "a partial of a lambda": """
        for i in range(3):
            targets.append(StepSpec(name=f"s{i}", fn=functools.partial(lambda k, o: w(o, i, k), 1)))
        """,
    "a step": """
        previous = StepSpec(name="raw", fn=w)
        for i in range(3):
            previous = StepSpec(
                name=f"s{i}", deps=[previous], fn=lambda o: w(o, previous.output_path)
            )
        targets.append(previous)
        """,
    "a path": """
        for at in (Path("a"), Path("b")):
            targets.append(
                StepSpec(name=at.name, hash_attrs={"at": at}, fn=lambda o: w(o, at))
            )
        """,
    "a path by its name": """
        for at in (Path("a"), Path("b")):
            targets.append(
                StepSpec(name=at.name, hash_attrs={"at": at.name}, fn=lambda o: w(o, at))
            )
        """,
    "a list that grows": """
        layers = []
        for i in range(2):
            layers.append(i)
            targets.append(
                StepSpec(name=f"s{i}", hash_attrs={"layers": layers}, fn=lambda o: w(o, layers))
            )
        """,
    "a setting that changes": """
        lr = 0.1
        targets.append(StepSpec(name="s", hash_attrs={"lr": lr}, fn=lambda o: w(o, lr)))
        lr = 0.2
        """,
    "a member of an enumeration": """
        Size = enum.Enum("Size", {"SMALL": 1, "LARGE": 2})
        for size in Size:
            targets.append(StepSpec(name=size.name, fn=lambda o: w(o, size)))
        """,
    "a value that comes after": """
        def pipeline():
            one = StepSpec(name="s", hash_attrs={"late": 1}, fn=lambda o: w(o, late))
            late = 2
            return [one]
        """,
}

FINE = {
    "bound by a default": """
        for i in range(3):
            targets.append(StepSpec(name=f"s{i}", hash_attrs={"i": i}, fn=lambda o, i=i: w(o, i)))
        """,
    "bound by a partial": """
        for i in range(3):
            targets.append(
                StepSpec(name=f"s{i}", hash_attrs={"i": i}, fn=functools.partial(w, i=i))
            )
        """,
    "bound by a function": """
        def make(i):
            return StepSpec(name=f"s{i}", hash_attrs={"i": i}, fn=lambda o: w(o, i))
        targets = [make(i) for i in range(3)]
        """,
    "a parameter": """
        @step(name="s{i}")
        def one(output, i):
            w(output, i)
        for i in range(3):
            targets.append(one(i=i))
        """,
    "a setting of the module": """
        DEBUG = False
        def one(output):
            w(output, DEBUG)
        targets.append(StepSpec(name="s", fn=one))
        DEBUG = True
        """,
    "an attribute of another value": """
        class config: lr = 0.1
        lr = 0.5
        targets.append(StepSpec(name="s", hash_attrs={"lr": 0.1}, fn=lambda o: w(o, config.lr)))
        lr = 0.7
        """,
    "a recursive function": """
        def pipeline():
            def walk(o):
                return walk(o)
            return [StepSpec(name="s", fn=walk)]
        """,
    "a model under the name of its attribute": """
        class Model: ...
        def pipeline():
            model = Model()
            return [StepSpec(name="s", hash_attrs={"model": "small"}, fn=lambda o: w(o, model))]
        """,
    "a path whose name is the attribute": """
        def pipeline():
            place = Path("a/b")
            return [StepSpec(name="s", hash_attrs={"place": "b"}, fn=lambda o: w(o, place))]
        """,
    "an equal value": """
        def pipeline():
            sizes = [1, 2]
            one = StepSpec(name="s", hash_attrs={"sizes": sizes}, fn=lambda o: w(o, sizes))
            sizes = (1, 2)
            return [one]
        """,
}


def _steps(text: str) -> Sequence[StepSpec]:
    there: dict[str, Any] = {"__name__": "pipeline", "__file__": "/project/pipeline.py"}
    exec(compile(HEAD + textwrap.dedent(text), "/project/pipeline.py", "exec"), there)
    steps: list[StepSpec] = there["pipeline"]() if "pipeline" in there else there["targets"]
    return steps


@pytest.mark.parametrize("text", LATE.values(), ids=LATE)
def test_what_changes_after_the_declaration_is_an_error(text: str) -> None:
    """Else three steps are built with one value, under attributes that say three."""
    errors = late_bindings(_steps(text))
    assert errors
    assert "would run with another `" in str(errors[0])


@pytest.mark.parametrize("text", FINE.values(), ids=FINE)
def test_what_is_bound_or_meant_is_none(text: str) -> None:
    """Else pipelines that are right cannot be run."""
    assert late_bindings(_steps(text)) == []


def test_an_error_names_step_value_and_both_values() -> None:
    """Else its reader searches a loop for what is wrong with it."""
    (error, *_) = late_bindings(_steps(LATE["a lambda in a loop"]))
    assert error.what == "`s0` would run with another `i` than it was declared with"
    assert dict(error.facts) == {
        "declared": "pipeline.py:10", "then": "0", "when it runs": "2",
    }  # fmt: skip
    assert "lambda output, i=i: ..." in str(error.hint)


def _write(output: str, *values: object, **more: object) -> None: ...


@pytest.mark.parametrize(
    ("attr", "value"),
    [(0.1, 0.2), ("a", "b"), (1, "2"), (None, 5), (True, False), ([1], [1, 2]), ({"a": 1}, {})],
)
def test_a_value_that_contradicts_its_attribute_is_refused(attr: object, value: Any) -> None:
    """Else what is built is not what its address says."""
    late = value
    for fn in (
        lambda o: _write(o, late),
        lambda o, late=late: _write(o, late),
        functools.partial(_write, late=late),
    ):
        with pytest.raises(SpecificationError, match="one value as an attribute, and another"):
            StepSpec(name="s", hash_attrs={"late": attr}, fn=fn)


@pytest.mark.parametrize(("attr", "value"), [(0.1, 0.1), ("1", 1), (1, 1.0), ([1], (1,)), (2, [1])])
def test_one_that_agrees_or_is_of_another_kind_is_not(attr: object, value: object) -> None:
    """Else `layers=len(layers)` is an error."""
    assert StepSpec(name="s", hash_attrs={"value": attr}, fn=lambda o: _write(o, value)).captured


def test_what_a_decorated_function_has_by_default_contradicts_nothing() -> None:
    """Else no argument could differ from its default."""

    @step
    def train(output: str, lr: float = 0.1) -> None: ...

    assert train(lr=0.2).hash_attrs == {"lr": 0.2}


def test_a_step_declared_again_has_the_value_of_now() -> None:
    """Else a notebook that changes a setting and plans again is refused until it is restarted."""
    there: dict[str, Any] = {"__name__": "pipeline", "rate": 1}
    exec(HEAD + "build = lambda output: w(output, rate)", there)
    for rate in (1, 2):
        there["rate"] = rate
        assert late_bindings([StepSpec(name="train", fn=there["build"])]) == []


def test_each_step_of_one_function_shows_its_own_value() -> None:
    """Else the error of the second step names the value that the first one was declared with."""
    text = """
        build = lambda output: w(output, i)
        for i in range(3):
            targets.append(StepSpec(name=f"s{i}", fn=build))
        """
    shown = [dict(error.facts)["then"] for error in late_bindings(_steps(text))]
    assert shown == ["0", "1"]


def test_functions_of_one_code_in_two_modules_read_their_own_values() -> None:
    """What functions of one code share is found once: not for those of another module."""
    code = compile("def f(output): return SIZE", "shared.py", "exec")
    modules: list[dict[str, Any]] = [{"SIZE": 1}, {"SIZE": 2}]
    for module in modules:
        exec(code, module)
    steps = [StepSpec(f"s{i}", fn=module["f"]) for i, module in enumerate(modules)]
    assert [each.then for made in steps for each in made.captured] == [1, 2]
    modules[0]["SIZE"] = 3
    again = StepSpec("again", fn=modules[0]["f"])
    assert [each.then for each in again.captured] == [3]
