"""A secret in a value of a step is found before it is written anywhere."""

from __future__ import annotations

from typing import Any

import pytest

from marin_build import Secret, StepSpec, command
from marin_build.pipeline.secrets_in_steps import secrets_of_parameters, secrets_of_step
from marin_build.pipeline.source import Source

URL, TOKEN = "https://ann:correct-horse@h/x", "gh" + "p_" + "aB3" * 12


@pytest.mark.parametrize(
    ("step", "path", "what"),
    [
        (StepSpec(name="a", hash_attrs={"token": "abcdef"}), "attrs.token", "called a secret"),
        (
            StepSpec(name="a", hash_attrs={"note": f"see {TOKEN}"}),
            "attrs.note",
            "a token of GitHub",
        ),
        (StepSpec(name="a", hash_attrs={"a": [{"b": URL}]}), "attrs.a[0].b", "a password in a URL"),
        (command(f"curl {URL}", name="a"), "command", "a password in a URL"),
        (command(["curl", URL], name="a"), "command[1]", "a password in a URL"),
        (command("x {url}", name="a", params={"url": URL}), "attrs.url", "a password in a URL"),
        (StepSpec(name="a", inputs={"x": Source("x", URL)}), "inputs.x", "a password in a URL"),
        (StepSpec(name="a", description=f"with {TOKEN}"), "description", "a token of GitHub"),
        (StepSpec(name="a", hash_attrs={TOKEN: 1}), "attrs.[secret]", "a token of GitHub"),
    ],
)
def test_every_place_that_is_written_is_looked_at(step: StepSpec, path: str, what: str) -> None:
    """Else plan.json, scripts and pages hold it."""
    (error,) = secrets_of_step(step)
    assert f"`a.{path}` holds" in error.what
    assert what in error.what
    assert "correct-horse" not in error.render()
    assert TOKEN not in error.render()


@pytest.mark.parametrize(
    "attrs",
    [{"eos_token": "<s>"}, {"url": "https://h/x"}, {"token": Secret("env:HF_TOKEN")}, {"n": 3}],
)
def test_what_is_none_is_let_through(attrs: dict[str, Any]) -> None:
    assert not secrets_of_step(StepSpec(name="a", hash_attrs=attrs))


def test_what_only_looks_like_one_can_be_said_to_be_none() -> None:
    """Else a false alarm has no way out."""
    assert not secrets_of_step(StepSpec(name="a", hash_attrs={"url": URL}), ("!url",))
    assert not secrets_of_step(StepSpec(name="a", hash_attrs={"b": {"url": URL}}), ("!attrs.b.*",))
    assert not secrets_of_step(StepSpec(name="a", hash_attrs={"url": URL}, secrets=["!url"]))
    assert not secrets_of_step(StepSpec(name="a", hash_attrs={"by": {TOKEN: 1}}), ("!by",))
    assert not secrets_of_parameters({"token": "abcdef"}, ("!token",))


def test_parameters_are_looked_at_by_name_and_by_form() -> None:
    found = secrets_of_parameters({"token": "abcdef", "url": URL, "vocab": "8000", "t": "env:A"})
    assert [error.what.partition(" holds")[0] for error in found] == [
        "`--set token=...`",
        "`--set url=...`",
    ]


def test_a_secret_cannot_enter_a_command_line() -> None:
    """Else every user of the machine sees it in the list of processes."""
    from marin_build.errors import MarinBuildError

    with pytest.raises(MarinBuildError, match="let the command read the variable itself"):
        command("x {token}", name="a", params={"token": Secret("env:HF_TOKEN")})
