"""Loads a pipeline, and keeps what it looked at and what it gave, if that can be kept."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from marin_build.analysis.analysis_files import (
    ENOUGH_REFUSALS,
    REFUSED,
    SEEN,
    UNSTEADY,
    USED,
    stamp_in_json,
)
from marin_build.analysis.observations import NotKept, Observations
from marin_build.analysis.observed_load import observed_load
from marin_build.analysis.printed import noting_prints
from marin_build.analysis.step_document import NotKeptError
from marin_build.operations.loading.loading import declare, load, opened
from marin_build.untrusted_json import whole
from marin_build.workspace.places import is_url

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from marin_build.operations.loading.analysis import Analysis
    from marin_build.operations.loading.loading import Declared, Loaded


def load_and_keep(analysis: Analysis, needed: Sequence[str] = ()) -> Loaded:
    """Load a pipeline, and keep what it gave, if it can be kept.

    Args:
        analysis: where it is kept.
        needed: as for `load`.

    """
    from marin_build.plan.deep_digests import all_digests

    options, project = analysis.options, analysis.request.workspace.project
    try:
        analysis.make_salt()
    except OSError:  # nothing can be kept in this project
        return load(options, needed=needed)
    before = _before(analysis)
    is_hopeless = before.get("state") == UNSTEADY or before.get("refusals", 0) >= ENOUGH_REFUSALS
    codes: dict[int, str] | None = None
    with (
        noting_prints() as printed,
        observed_load(project, analysis.given, salt=analysis.salt) as watch,
    ):
        declared = declare(options, needed=needed)
        if not is_hopeless and _reason_against(declared) is None:
            codes, deep_codes = all_digests(declared.targets)
            declared = replace(declared, targets=replace(declared.targets, deep_codes=deep_codes))
    found = watch.result(declared.pipeline)
    if printed.is_so and not isinstance(found, NotKept):
        found = NotKept("prints while it is loaded", declared.file)
    with suppress(OSError):  # else it is loaded each time
        _keep(analysis, before, declared, codes, found)
    return opened(declared)


def _before(analysis: Analysis) -> Mapping[str, Any]:
    """Return what is known of an analysis; nothing if that cannot be read."""
    try:
        index = analysis.files.index(analysis.key)
        return {**index, "refusals": whole(index.get("refusals"))}
    except (OSError, ValueError):
        return {}


def _code_of(declared: Declared) -> dict[str, list[int] | None]:
    """Return the stamps of the pipeline's file and of the project's modules."""
    start = declared.workspace.project + os.sep
    files = (getattr(module, "__file__", None) for module in list(sys.modules.values()))
    own = {file for file in files if isinstance(file, str) and file.startswith(start)}
    return {file: stamp_in_json(file) for file in sorted({declared.pipeline.file, *own})}


def _reason_against(declared: Declared) -> str | None:
    """Return why what a pipeline declares cannot be kept, whatever its load looked at."""
    from marin_build.pipeline.graph import steps_below

    pipeline, workspace = declared.pipeline, declared.workspace
    if pipeline.expansions:
        return "it has expansions, and their steps follow from what is built"
    if workspace.former:
        return "some of its steps keep an identity of a former formula"
    for step in steps_below(pipeline.roots):  # what nobody needs may be left out of the targets
        if any(is_url(source.location) for source in step.inputs.values()):
            return f"`{step.name}` reads a source at a URL, which has to be asked each time"
    return None


def _keep(
    analysis: Analysis,
    before: Mapping[str, Any],
    declared: Declared,
    codes: Mapping[int, str] | None,
    found: Observations | NotKept,
) -> None:
    """Write down what a load gave, and what became known by it.

    Args:
        analysis: where.
        before: what was known.
        declared: what the load gave.
        codes: by target, the digest of its code; None: they were not computed.
        found: what the load looked at.

    """
    known: dict[str, Any] = {"pipeline": declared.file}
    refusals = min(before.get("refusals", 0) + 1, ENOUGH_REFUSALS)
    if (why := _reason_against(declared)) is not None:
        known |= {"state": REFUSED, "why": why, "refusals": refusals}
    elif isinstance(found, NotKept):
        why = f"{found.where} {found.reason}"
        known |= {"state": REFUSED, "why": why, "refusals": refusals}
    elif (both := _joined(before, found)) is not None and codes is None:
        return  # it would be refused for the same reason
    else:
        known |= {"state": SEEN, "observed": (both or found).json_values()}
        try:
            if codes is not None:
                known["columns"] = analysis.files.write_columns(_columns_of(declared, codes))
        except NotKeptError as error:
            known |= {"state": REFUSED, "why": str(error), "refusals": refusals}
        if both is not None and "columns" in before:
            known["state"] = USED if before["columns"] == known.get("columns") else UNSTEADY
    if known["state"] in (REFUSED, UNSTEADY):
        known["code"] = _code_of(declared)
    if known != {name: before.get(name) for name in known}:
        analysis.files.write_index(analysis.key, known)
        analysis.files.clean()


def _joined(index: Mapping[str, Any], found: Observations) -> Observations | None:
    """Return what an earlier load and this one looked at; None if they saw something else."""
    try:
        return Observations.of_json(index["observed"]).joined(found)
    except (ValueError, KeyError, TypeError):
        return None


def _columns_of(declared: Declared, codes: Mapping[int, str]) -> bytes:
    """Return what a load gave as it is kept.

    Raises:
        NotKeptError: something in it has no form as JSON.

    """
    from marin_build.analysis.columns import encode
    from marin_build.analysis.named_files import kinds_of, texts_of

    pipeline, targets = declared.pipeline, declared.targets
    named = texts_of([target.step for target in targets.all])
    facts = {
        "roots": [targets.by_id[step.target_id] for step in pipeline.declared],
        "threads": pipeline.threads,
        "notes": pipeline.notes,
        "warnings": declared.warning_texts(),
        "texts": named,
        "named": kinds_of(named, declared.workspace.project),
    }
    return encode(targets, codes, targets.deep_codes or {}, facts)
