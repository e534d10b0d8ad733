"""A secret as a reference: where its value is found when the step runs, never the value itself."""

from __future__ import annotations

import os
import re
import types
import typing
from typing import Any, Generic, TypeVar

from marin_build.errors import SpecificationError, StepFailedError

T = TypeVar("T")

_VARIABLE = re.compile(r"env:([A-Za-z_][A-Za-z0-9_]*)", re.ASCII)
_LARGEST = 1 << 20
"""Bytes of the largest file that is read as a secret."""
_known: dict[str, None] = {}
"""The references that this process made, in order: their values are blotted out of logs."""


class Secret(Generic[T]):
    """A secret that a step needs: `Secret("env:HF_TOKEN")` or `Secret("file:/run/secrets/hf")`.

    A parameter `token: Secret[str]` of a pipeline is given as `--set token=env:HF_TOKEN`, and
    handed on to a step, which calls `token.reveal()`. Neither value nor reference is identity.
    """

    __slots__ = ("reference",)

    reference: str
    """Where the value is found: `env:NAME` or `file:PATH`."""

    def __init__(self, reference: str) -> None:
        """Take note of where the value is found; it is not read.

        Raises:
            SpecificationError: it is no reference; the error does not show it, it may be the value.

        """
        is_file = isinstance(reference, str) and reference.startswith("file:") and reference[5:]
        if not isinstance(reference, str) or not (is_file or _VARIABLE.fullmatch(reference)):
            raise SpecificationError(
                "a secret is given as a reference, never as its value",
                facts=[("expected", "env:NAME, an environment variable, or file:PATH, a file")],
                consequence="nothing was run",
                hint='Secret("env:HF_TOKEN")',
            )
        object.__setattr__(self, "reference", reference)
        _known[reference] = None

    def __setattr__(self, name: str, value: object) -> None:
        """Refuse: a secret is a value."""
        raise AttributeError("a secret cannot be changed")

    def __eq__(self, other: object) -> bool:
        """Return whether both are found at the same place."""
        return isinstance(other, Secret) and other.reference == self.reference

    def __hash__(self) -> int:
        """Return a hash of the reference."""
        return hash((Secret, self.reference))

    def __repr__(self) -> str:
        """Return how it was made."""
        return f"Secret({self.reference!r})"

    def __reduce__(self) -> tuple[type, tuple[str]]:
        """Return how it is made in another process."""
        return Secret, (self.reference,)

    def reveal(self) -> str:
        """Return the value, read now; a line's end at the end of a file is left out.

        Raises:
            StepFailedError: it is not there.

        """
        value = value_of(self.reference)
        if not value:
            raise StepFailedError(
                f"the secret `{self.reference}` is not there",
                hint="set the variable, or write the file, where the step runs",
            )
        return value


def value_of(reference: str) -> str | None:
    """Return the value at a reference as it is now; None where there is none that can be read."""
    kind, _, place = reference.partition(":")
    if kind == "env":
        return os.environ.get(place)
    try:
        with open(place, encoding="utf-8") as stream:
            return stream.read(_LARGEST).removesuffix("\n")
    except (OSError, ValueError):
        return None


def known_values() -> dict[bytes, bytes]:
    """Return the values of the secrets that this process knows of, each with what stands for it."""
    found: dict[bytes, bytes] = {}
    for reference in _known:
        for line in (value_of(reference) or "").splitlines():
            if line.strip():
                found[line.encode("utf-8", "surrogateescape")] = f"[{reference}]".encode()
    return found


def is_secret_type(annotation: Any) -> bool:
    """Return whether an annotation is `Secret`, `Secret[...]`, or that or None."""
    if isinstance(annotation, types.UnionType) or typing.get_origin(annotation) is typing.Union:
        kinds = [arg for arg in typing.get_args(annotation) if arg is not type(None)]
        return len(kinds) == 1 and is_secret_type(kinds[0])
    return (typing.get_origin(annotation) or annotation) is Secret
