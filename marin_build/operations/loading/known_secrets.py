"""The secrets that a page about a pipeline must not show."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from marin_build.identity.secret import known_values
from marin_build.redaction import Redactor
from marin_build.text.secret_shapes import without_secret

if TYPE_CHECKING:
    from marin_build.operations.loading.loading import Loaded


def secrets_of(loaded: Loaded) -> Redactor:
    """Return a redactor for the secrets in this environment and in the `env_vars` of the steps."""
    declared = loaded.settings.secrets
    given = loaded.pipeline.parameters
    told = {v.encode(): b"..." for k, v in given.items() if without_secret(k, v) != v}
    found = Redactor.of(os.environ, declared).joined(Redactor.for_values(known_values() | told))
    steps = {id(t.step.env_vars): t.step for t in loaded.targets.all if t.step.env_vars}
    for step in steps.values():
        found = found.joined(Redactor.of(step.env_vars, (*declared, *step.secrets)))
    return found
