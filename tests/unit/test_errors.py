"""What a person reads when something is wrong, and what a script sees as exit code."""

from __future__ import annotations

import pytest

from marin_build import errors
from marin_build.errors import (
    CycleError,
    MarinBuildError,
    SpecificationError,
    SpecificationErrors,
    UsageError,
    collected_errors,
    combined,
    refuse,
)


def test_an_error_shows_what_facts_consequence_and_hint_in_this_order() -> None:
    error = MarinBuildError(
        "`train` failed",
        facts=[("log", "a.log"), ("blocked", "`eval`\n`report`"), ("x", "")],
        consequence="nothing was written",
        hint="run it alone",
    )
    assert error.render() == (
        "error: `train` failed\n"
        "  log:     a.log\n"
        "  blocked: `eval`\n"
        "           `report`\n"
        "  x:       \n"
        "  nothing was written\n"
        "hint: run it alone"
    )


def test_an_error_without_details_is_one_line() -> None:
    assert MarinBuildError("no such file").render() == "error: no such file"
    assert str(MarinBuildError("no such file")) == "no such file"


def test_several_errors_are_shown_together() -> None:
    both = SpecificationErrors([UsageError("one", hint="h"), SpecificationError("two")])
    assert both.render() == "error: one\nhint: h\n\nerror: two"


def test_one_error_is_not_wrapped() -> None:
    one = UsageError("one")
    assert combined([one]) is one
    assert isinstance(combined([one, UsageError("two")]), SpecificationErrors)


def test_a_cycle_names_its_members_in_order() -> None:
    error = CycleError(["a", "b", "a"], facts=[("declared", "p.py:1")])
    assert error.render() == (
        "error: dependency cycle: `a` -> `b` -> `a`\n  declared: p.py:1\n  nothing was run"
    )
    assert error.path == ("a", "b", "a")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.UsageError, 4),
        (errors.SpecificationError, 4),
        (errors.UnfingerprintableError, 4),
        (errors.StoreError, 4),
        (errors.CorruptStateError, 4),
        (errors.StepFailedError, 1),
        (errors.StoppedError, 5),
    ],
)
def test_exit_codes_are_a_contract_with_scripts(error: type[MarinBuildError], code: int) -> None:
    assert error("x").exit_code == code


def test_refuse_raises_by_default_and_collects_while_a_pipeline_is_read() -> None:
    with pytest.raises(UsageError, match="first"):
        refuse(UsageError("first"))
    with collected_errors() as outer:
        refuse(UsageError("second"))
        with collected_errors() as inner:
            refuse(UsageError("third"))
        refuse(UsageError("fourth"))
    assert [e.what for e in outer] == ["second", "fourth"]
    assert [e.what for e in inner] == ["third"]
    with pytest.raises(UsageError, match="fifth"):
        refuse(UsageError("fifth"))


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (errors.SpecificationError, ValueError),
        (errors.UnfingerprintableError, TypeError),
        (errors.StepFailedError, RuntimeError),
        (errors.PreviousTaskFailedError, RuntimeError),
        (errors.NoArtifactError, FileNotFoundError),
        (errors.LeaseLostError, errors.StoppedError),
    ],
)
def test_programs_catch_our_errors_by_the_kinds_that_python_has(
    error: type[MarinBuildError], kind: type[Exception]
) -> None:
    """Programs written for Marin catch ValueError, RuntimeError and the like."""
    caught = error("what", facts=[("a", "b")], hint="h")
    assert isinstance(caught, kind)
    assert (str(caught), caught.what, caught.hint) == ("what", "what", "h")
