"""What a newcomer gets wrong in the first minutes is answered with what was meant."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from marin_build.errors import MarinBuildError
from marin_build.pipeline.load import load_pipeline
from marin_build.workspace.workspace import Workspace

if TYPE_CHECKING:
    from pathlib import Path

HEAD = """\
from pathlib import Path

from marin_build import ResourceConfig, Retries, StepSpec, command, source, step


@step
def words(output: Path, text: str = "a b") -> int:
    return 2


@step
def counts(output: Path, words: Path, parts: list[Path] = []) -> int:
    return 1


"""
CALL_IT = "call it: `words()`"


@pytest.mark.filterwarnings("ignore::ImportWarning")  # Python's own about `from . import x`
@pytest.mark.parametrize(
    ("text", "hint"),
    [
        # A step function that is not called.
        ("targets = [words]", CALL_IT),
        ("targets = words", CALL_IT),
        ("targets = {'a': [words]}", CALL_IT),
        ("targets = (each for each in [words])", CALL_IT),
        ("def pipeline(): return words", CALL_IT),
        ("def pipeline(): yield words", CALL_IT),
        ("targets = [counts(words=words)]", CALL_IT),
        ("targets = [counts(words=words(), parts=[words])]", CALL_IT),
        ("targets = [StepSpec(name='x', deps=[words])]", CALL_IT),
        ("targets = [StepSpec(name='x', deps=words)]", CALL_IT),
        ("targets = [StepSpec(name='x', hash_attrs={'a': words})]", CALL_IT),
        ("targets = [command('ls {w}', name='x', deps={'w': words})]", CALL_IT),
        ("", "`words` declares a step when it is called: targets = [words()]"),
        ("words.output_path", "it is called: `words().output_path`"),
        ("list(words)", "it is called: `words()`, not `words`"),
        ("words['a']", "it is called: `words()`, not `words`"),
        # Other values that are no steps.
        ("def train(): pass\ntargets = [train]", "call it, if it returns steps: `train()`"),
        ("targets = ['words']", "a step is meant by the value that declares it"),
        ("targets = [source('a.txt')]", "a source is an input of a step"),
        # Names that are nearly right.
        ("@step(retry=3)\ndef x(output): ...", "did you mean `retries`"),
        ("@step(tag='a')\ndef x(output): ...", "did you mean `tags`?"),
        ("words.options(time_out=3)", "did you mean `timeout`?"),
        ("command('ls', name='x', dep={})", "did you mean `deps`"),
        ("command('ls', name='x', input={})", "did you mean `inputs`"),
        ("StepSpec(name='x', dep=[])", "did you mean `deps`"),
        ("StepSpec(name='x', retry=3)", "did you mean `retries`"),
        ("ResourceConfig(memory='4g', gpu=1)", "did you mean"),
        ("ResourceConfig(rams='4g')", "did you mean `ram`"),
        ("Retries(attempt=1)", "it takes limit, on, infra"),
        ("source('a', names='b')", "did you mean `name`?"),
        ("words(txt='a')", "did you mean `text`?"),
        ("counts(word=words())", "did you mean `words`?"),
        ("def helper(count): ...\nhelper(counts=1)", "did you mean `count`?"),
        ("words.option()", "did you mean `options`"),
        ("from marin_build import commands", "did you mean `command`?"),
        ("from marin_build import stepspec", "did you mean `StepSpec`"),
        ("wrods()", "did you mean `words`"),
        # Imports as in a package.
        ("from . import helper", "`import helpers`, not `from . import helpers`"),
        ("from .helper import x", "`import helpers`, not `from . import helpers`"),
        ("from .. import x", "`import helpers`, not `from . import helpers`"),
    ],
)
def test_a_slip_is_answered_with_what_was_meant(
    text: str, hint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a newcomer reads Python's error about a class that is not in the file, and gives up."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "modules", {**sys.modules})
    file = tmp_path / "my_pipeline.py"
    file.write_text(HEAD + text + "\n")
    with pytest.raises(MarinBuildError) as caught:
        load_pipeline(str(file), Workspace(str(tmp_path), str(tmp_path / "out")), {})
    assert hint in (caught.value.hint or "no hint"), caught.value.render()
