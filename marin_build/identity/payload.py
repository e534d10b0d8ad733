"""The formula of identity: what of a step is hashed, and how.

    payload        = JSON, keys sorted: {"name", "attrs", "deps"} and, only where used,
                     "bind", "command", "inputs", "code"
    fingerprint    = sha256(payload)
    hash_id        = fingerprint[:8]
    name_with_hash = name + "_" + hash_id

For attributes that JSON can write the payload is byte for byte that of Marin's StepSpec since it
hashes the names of its dependencies. `tests/data/fingerprint_vectors.json` pins it.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any

from marin_build.identity.canonical import canonical_text, quoted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


HASH_ID_LENGTH = 8
HASHED_NAME = re.compile(
    r"(?P<start>(?P<name>.+)[_-])(?P<hash_id>(?<=_)[0-9a-f]{8}|(?<=-)[0-9a-f]{6})", re.DOTALL
)
"""A name and what its folder has behind it: `_` and 8 digits, or, of a step that Marin's executor
names (compat/executor/version.py), `-` and 6 digits."""
_EXECUTOR_DIGITS = 6


def payload_text(
    name: str,
    attrs: Mapping[str, Any],
    deps: Sequence[str],
    *,
    bind: Any = None,
    command: Any = None,
    inputs: Mapping[str, str] | None = None,
    code: str | None = None,
) -> str:
    """Return the text that is hashed.

    Args:
        name: the step's name.
        attrs: canonical attributes.
        deps: `name_with_hash` of each dependency, `name@version` for versioned ones.
        bind: parameter or placeholder -> the dependency or input it stands for: `deps` is sorted,
            and f(a=x, b=y) is not f(a=y, b=x). Only for `@step` and `command`.
        command: the command with its placeholders unresolved, canonical.
        inputs: logical name -> content digest.
        code: code digest, for steps that rebuild when their code changes.

    """
    # Written by hand: to sort and encode the whole of it takes a quarter longer.
    before, after = "", ""  # keys are sorted, so the optional ones stand on both sides of "deps"
    if bind:
        before += f', "bind": {canonical_text(bind)}'
    if code is not None:
        before += f', "code": {quoted(code)}'
    if command is not None:
        before += f', "command": {canonical_text(command)}'
    needs = ", ".join(map(quoted, sorted(deps)))
    if inputs:
        after += f', "inputs": {canonical_text(inputs)}'
    return (
        f'{{"attrs": {canonical_text(attrs)}{before}, "deps": [{needs}]{after}, '
        f'"name": {quoted(name)}}}'
    )


def fingerprint_of(payload: str) -> str:
    """Return the fingerprint of a payload: 64 hex digits."""
    return hashlib.sha256(payload.encode()).hexdigest()


def deep_fingerprint(fingerprint: str, upstream: Sequence[str]) -> str:
    """Return the digest over this fingerprint and the full digests of everything upstream.

    Output paths carry 8 digits of each upstream; this one tells two graphs apart that share them.
    """
    return hashlib.sha256("\n".join([fingerprint, *sorted(upstream)]).encode()).hexdigest()


def executor_digits(version: str) -> str:
    """Return the digits with which Marin's executor names a folder, of the JSON of a version."""
    return hashlib.md5(version.encode(), usedforsecurity=False).hexdigest()[:_EXECUTOR_DIGITS]
