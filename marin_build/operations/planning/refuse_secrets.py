"""Secrets in the values of a pipeline: plans warn of them, and none of them is written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from marin_build.apply.events import Warned
from marin_build.errors import SpecificationError, combined
from marin_build.pipeline.secrets_in_steps import secrets_of_parameters, secrets_of_step
from marin_build.text.secret_shapes import forms_in

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from marin_build.operations.loading.loading import Loaded


_SHOWN = 5


def refuse_secrets(loaded: Loaded, chosen: Iterable[int]) -> None:
    """Refuse to write what would hold a secret.

    Args:
        loaded: the pipeline.
        chosen: the targets that documents are written about.

    Raises:
        SpecificationError: all of them together, without their values.

    """
    if errors := list(_secrets(loaded, chosen)):
        raise combined(list(errors[:_SHOWN]))


def warnings_of_secrets(loaded: Loaded, chosen: Iterable[int]) -> list[Warned]:
    """Return a warning for each of the first secrets that would be written."""
    errors = list(_secrets(loaded, chosen))
    found = [Warned(error.what, error.hint or "") for error in errors[:_SHOWN]]
    more = len(errors) - _SHOWN
    return [*found, Warned(f"{more} more values look like secrets")] if more > 0 else found


def _secrets(loaded: Loaded, chosen: Iterable[int]) -> Iterator[SpecificationError]:
    declared = loaded.settings.secrets
    for what in forms_in(loaded.workspace.prefix):
        yield SpecificationError(
            f"the prefix holds {what}",
            consequence="nothing was written",
            hint="let the store read its credentials from the environment",
        )
    # Of these the pipeline may have made any text.
    yield from secrets_of_parameters(loaded.pipeline.parameters, declared)
    targets, traits = loaded.targets, loaded.targets.traits
    if not any(any(forms_in(key)) for key in traits.keys):
        chosen = [index for index in chosen if index in traits.with_texts]
    for index in chosen:
        yield from secrets_of_step(targets.all[index].step, declared)
