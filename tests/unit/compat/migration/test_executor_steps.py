"""ExecutorSteps as `@step` functions: the function gets the same config, or nothing is moved."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .conftest import Rewrites

HEAD = """\
from marin.execution.executor import (
    ExecutorStep, executor_main, output_path_of, this_output_path, versioned)
from marin.execution.remote import remote
from work import Config, Model, write

"""
TWO = """
# Where all begins.
tokens = ExecutorStep(
    name="tokens",  # as ever
    fn=write,
    config=Config(
        # its place
        output_path=this_output_path(),
        lower=True,
        vocab=versioned(100),
    ),
    description="words",
)
train = ExecutorStep(
    "train", remote(write, resources=BIG), Config(
        this_output_path("model"), output_path_of(tokens, "data.txt"), [tokens / "more"],
        Model(seq_len=versioned(4096), width=WIDTH), tokens=tokens))

if __name__ == "__main__":
    executor_main(steps=[train], description="two steps")
"""
TWO_MOVED = """\
from marin_build import step
from work import Config, Model, write


# Where all begins.
# Its folder is that of Marin. When its recipe changes, take away
# override_output_path.
# as ever
@step(name="tokens", override_output_path="step8-abc123", description="words", resumable=True)
def make_tokens(output: str, vocab: int):
    return write(Config(
        # its place
        output_path=output,
        lower=True,
        vocab=vocab,
    ))


tokens = make_tokens(vocab=100)


# Its folder is that of Marin. When its recipe changes, take away
# override_output_path.
@step(name="train", override_output_path="step19-abc123", resumable=True, resources=BIG)
def make_train(output: str, tokens: str, seq_len: int):
    return write(Config(
        f"{output}/model", f"{tokens}/data.txt", [f"{tokens}/more"],
        Model(seq_len=seq_len, width=WIDTH), tokens=tokens))


train = make_train(tokens=tokens, seq_len=4096)


def pipeline():
    return [train]
"""
ONE = """\
one = ExecutorStep(name="one", fn=write, config=Config(this_output_path(), versioned(1)))
if __name__ == "__main__":
    executor_main(steps=[one])
"""


def test_a_step_calls_the_same_function_with_the_same_config(rewrites: Rewrites) -> None:
    """What the author wrote around and inside the config stays as it is."""
    known: dict[str, dict[str, Any]] = {
        "tokens = ": {"vocab": 100},
        "train = ": {
            "data": "DEP[0]/data.txt",
            "more.[0]": "DEP[1]/more",
            "model.seq_len": 4096,
            "tokens": "DEP[2]",
        },
    }
    made = rewrites(HEAD + TWO, known)
    assert made.text == TWO_MOVED
    assert [(each.line, each.what) for each in made.moved] == [
        (8, 'ExecutorStep "tokens"'),
        (19, 'ExecutorStep "train"'),
        (25, "the call of `executor_main`"),
    ]
    assert not made.left


def test_a_step_without_a_record_of_ours_is_pinned(rewrites: Rewrites) -> None:
    """Else a changed recipe would be reused in silence: Marin's record tells us nothing."""
    pins = {"bucket/step6-abc123": "e" * 64}
    made = rewrites(HEAD + ONE, {"one = ": {"x": 1}}, pins=pins)
    assert f'expected_fingerprint="{"e" * 64}"' in made.text
    assert "take away\n# override_output_path and expected_fingerprint.\n" in made.text


def test_a_chosen_folder_is_kept_as_it_is_written(rewrites: Rewrites) -> None:
    text = ONE.replace("versioned(1))", 'versioned(1)), override_output_path=f"{HOME}/one"')
    made = rewrites(HEAD + text, {"one = ": {"x": 1}})
    assert '@step(name="one", override_output_path=f"{HOME}/one", resumable=True)' in made.text


def test_outputs_in_a_comprehension_are_one_parameter(rewrites: Rewrites) -> None:
    value = "{name: output_path_of(each) for name, each in parts.items()}"
    text = ONE.replace("versioned(1)", f"parts={value}")
    made = rewrites(HEAD + text, {"one = ": {"a": "DEP[0]", "b": "DEP[1]"}})
    assert "def make_one(output: str, parts: dict[str, str]):" in made.text
    assert "one = make_one(parts={name: each for name, each in parts.items()})" in made.text


def test_a_parameter_hides_no_name_that_the_config_needs(rewrites: Rewrites) -> None:
    """Else the config would get the wrong value."""
    text = ONE.replace("versioned(1)", "width=versioned(1), depth=width")
    made = rewrites(HEAD + text, {"one = ": {"width": 1}})
    assert "def make_one(output: str, width_2: int):" in made.text
    assert "Config(output, width=width_2, depth=width)" in made.text


def test_a_file_with_another_step_gets_the_decorator_by_its_long_name(rewrites: Rewrites) -> None:
    made = rewrites(HEAD + "step = 1\n" + ONE, {"one = ": {"x": 1}})
    assert "import marin_build\n" in made.text
    assert "@marin_build.step(" in made.text


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ('name="one"', 'name=f"one{N}"', "its name is computed"),
        ("config=Config(this_output_path(), versioned(1))", "config=MADE", "not written out"),
        ("versioned(1)", "1", "1 values of its config are versioned, but 0 here"),
        ("this_output_path()", "None", "does not say where its output goes"),
        ("versioned(1)", "versioned(1), output_path_of(x)", "names 0 outputs, but 1 here"),
        ("versioned(1)", "output_path_of(x).nonblocking()", "does not wait"),
        ("versioned(1)", "make(versioned(1))", "in its config is computed"),
        ("versioned(1)", "versioned(output_path_of(x))", "names the output of a step"),
        ("this_output_path()", "this_output_path(SUB)", "a place in an output that is computed"),
        ("fn=write", "fn=lambda c: write(c)", "its function is computed"),
        ("fn=write", "fn=remote(write)", "`remote` names no resources"),
        ("fn=write", "fn=remote(write, resources=R, env_vars={})", "`remote` has `env_vars`"),
        ("config=Config", "pip_dependency_groups=[], config=Config", "pip_dependency_groups"),
        ("config=Config", "**MORE, config=Config", "its arguments are computed"),
        ("one = ExecutorStep", "ones = [ExecutorStep", "inside another expression"),
    ],
)
def test_what_is_not_simple_stays_and_the_reason_is_told(
    rewrites: Rewrites, old: str, new: str, why: str
) -> None:
    text = HEAD + ONE.replace(old, new, 1)
    if "[" in new[:8]:
        text = text.replace("versioned(1)))", "versioned(1)))]")
    made = rewrites(text, {"one = " if "one = " in text else "ones = ": {"x": 1}})
    assert [why in each.why for each in made.left if "ExecutorStep" in each.what] == [True]
    assert "ExecutorStep(" in made.text


@pytest.mark.parametrize(
    "keeper",
    [
        "kept = ExecutorStep(name=NAME, fn=write, config=Config(output_path_of(one)))",
        "use(one)",
        "for each in [one]:\n    print(each)",
        "many = {k: v for k, v in {'a': one}.items()}",
    ],
)
def test_what_stays_keeps_the_steps_that_it_needs(rewrites: Rewrites, keeper: str) -> None:
    """A config of Marin's takes none of our steps: such a file could not be loaded."""
    text = HEAD + ONE.replace("if __name__", f"{keeper}\nif __name__")
    made = rewrites(text, {"one = ": {"x": 1}})
    assert "line 7 needs it as the ExecutorStep that it is" in [each.why for each in made.left]
    assert "one = ExecutorStep(" in made.text


def test_only_the_steps_that_were_asked_for_are_moved(rewrites: Rewrites) -> None:
    one, _, rest = ONE.partition("\n")
    other = one.replace("one =", "two =").replace('"one"', '"two"')
    two = f"{one}\n{other}\n{rest}"
    known = {"one = ": {"x": 1}, "two = ": {"x": 1}}
    made = rewrites(HEAD + two, known, only=["step7"])
    assert "one = ExecutorStep(" in made.text
    assert "two = make_two(" in made.text


def test_a_step_declared_in_a_function_that_is_called_twice_stays(rewrites: Rewrites) -> None:
    text = HEAD + ONE
    made = rewrites(text, {"one = ": {"x": 1}, "name=": {"x": 1}})
    assert "it declares 2 targets: only one folder can be pinned" in made.left[0].why
