"""`command(...)`: what it declares, what is identity, and the mistakes it must not let pass."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Any

import pytest

from marin_build import StepSpec, command
from marin_build.errors import MarinBuildError, collected_errors
from marin_build.pipeline.source import Source
from marin_build.pipeline.source_digests import remember_digest

RAW = StepSpec(name="raw")
TEXT = Source("text", "/project/text.txt")


def test_a_command_declares_its_dependencies_inputs_and_attributes() -> None:
    sort = command("sort {raw} {text} {n}", name="sort", deps={"raw": RAW},
                   inputs={"text": TEXT}, params={"n": 3}, retries=2, tags=["cpu"])  # fmt: skip
    assert sort.deps == (RAW,)
    assert sort.inputs == {"text": TEXT}
    assert sort.hash_attrs == {"n": 3}
    assert (sort.retries, sort.tags) == (2, ("cpu",))
    assert Path(sort.declared[0]).name == "test_command_step.py"


def test_another_command_is_another_target_and_another_prefix_is_not() -> None:
    remember_digest(TEXT, "00")
    one = command("sort {raw} >{output}/a", name="sort", deps={"raw": RAW})
    assert one.fingerprint == command("sort {raw} >{output}/a", name="sort",
                                      deps={"raw": RAW}).fingerprint  # fmt: skip
    for other in (
        command("sort -r {raw} >{output}/a", name="sort", deps={"raw": RAW}),
        command(["sort", "{raw}", ">{output}/a"], name="sort", deps={"raw": RAW}),
        command("sort {raw} >{output}/a", name="sort", inputs={"raw": TEXT}),
        command("sort {raw} >{output}/a", name="sort", deps={"raw": RAW}, params={"n": 1}),
    ):
        assert other.fingerprint != one.fingerprint
    assert "/project" not in one.payload


@pytest.mark.parametrize(
    ("text", "given", "says"),
    [
        ("cat {x}", {}, "nothing is called `{x}`"),
        ("cat '{raw}'", {"deps": {"raw": RAW}}, "single quotes"),
        ("cat {raw}", {"deps": {"raw": RAW}, "params": {"raw": 1}}, "two meanings"),
        ("cat {output}", {"params": {"output": 1}}, "two meanings"),
        ([], {}, "made of strings"),
        (["cat", Path("a")], {}, "made of strings"),
        ("cat {n}", {"params": {"n": object()}}, "no canonical form"),
        ("cat {N}", {"params": {"N": 1}}, "`N`|{N}"),
        ("cat {n}", {"params": {"n": "a\0b"}}, "n"),
        ("cat {n}", {"params": {"n": TEXT}}, "n"),
        ("cat {raw}", {"inputs": {"raw": "a.txt"}}, "not a source"),
        ("cat {raw}", {"deps": {"raw": "a.txt"}}, "not a step"),
    ],
)
def test_a_command_that_cannot_mean_what_was_meant_is_refused(
    text: Any, given: dict[str, Any], says: str
) -> None:
    with pytest.raises(MarinBuildError, match=says):
        command(text, name="c", **given)


def test_all_mistakes_of_a_pipeline_are_reported_together() -> None:
    with collected_errors() as errors:
        command("cat {x} {y}", name="a b")
        command("cat '{output}'", name="second")
    text = "\n".join(error.what for error in errors)
    for part in ("{x}", "{y}", "`a b`", "single quotes"):
        assert part in text


@pytest.mark.parametrize(
    ("value", "what", "way"),
    [
        (TEXT, "a source", 'give it in `inputs`: inputs={"it": source("...")}'),
        ([TEXT], "a source", 'give it in `inputs`: inputs={"it": source("...")}'),
        (RAW, "a step", 'give it in `deps`: deps={"it": ...}'),
    ],
)
def test_what_is_no_value_is_sent_to_its_argument(value: Any, what: str, way: str) -> None:
    """Else who mixes up three arguments gets three errors, and none names the right one."""
    with collected_errors() as errors:
        command("cat {it} > {output}/x", name="c", params={"it": value})
    (error,) = errors
    assert error.what == f"the parameter `it` of the command `c` is {what}, not a value"
    assert error.hint == way


class Colour(enum.Enum):
    RED = "red"


@pytest.mark.parametrize(
    ("value", "word"),
    [("a b", "a b"), (3, "3"), (0.5, "0.5"), (Path("data/raw"), "data/raw"), (Colour.RED, "red")],
)
def test_a_parameter_reaches_the_program_in_its_plain_form(value: Any, word: str) -> None:
    declared = command(["echo", "{value}"], name="c", params={"value": value})
    assert declared.fn is not None
    assert declared.fn.argv("/out") == ["echo", word]  # type: ignore[attr-defined]
