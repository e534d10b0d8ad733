"""Errors of this package that Marin's users catch as ValueError or TypeError."""

from __future__ import annotations

from marin_build.errors import SpecificationError


class IllegalValueError(SpecificationError, ValueError):
    """A value that cannot stand where the author put it."""


class UnresolvedError(SpecificationError, TypeError):
    """A placeholder that should have been a path by now."""


class NoExecutorStepError(SpecificationError, TypeError):
    """What is to be built is no ExecutorStep."""
