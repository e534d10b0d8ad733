"""Loads a pipeline, and keeps what it looked at and what it gave, if that can be kept."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from marin_build.analysis.analysis_files import REFUSED, UNSTEADY, stamp_in_json
from marin_build.analysis.learned import is_hopeless, known_before, learned
from marin_build.analysis.observations import NotKept, Observations
from marin_build.analysis.observed_load import observed_load
from marin_build.analysis.printed import noting_prints
from marin_build.analysis.use_of_loads import cannot_be_kept, use_in_words
from marin_build.operations.loading.loading import declare, load, opened
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
    except OSError as error:
        return replace(load(options, needed=needed), use=cannot_be_kept(error))
    before = known_before(analysis.files, analysis.key)
    is_prepared = not is_hopeless(before)
    codes: dict[int, str] | None = None
    with (
        noting_prints() as printed,
        observed_load(project, analysis.given, salt=analysis.salt) as watch,
    ):
        declared = declare(options, needed=needed)
        if is_prepared and reason_against(declared) is None:
            codes, deep_codes = all_digests(declared.targets)
            declared = replace(declared, targets=replace(declared.targets, deep_codes=deep_codes))
    found = watch.result(declared.pipeline)
    if printed.is_so and not isinstance(found, NotKept):
        found = NotKept("prints while it is loaded", declared.file)
    use = analysis.use
    try:
        known = _keep(analysis, before, declared, codes, found)
        use = use_in_words(known) if known.get("state") in (REFUSED, UNSTEADY) else use
    except OSError as error:
        use = cannot_be_kept(error)
    return replace(opened(declared), use=use)


def _code_of(declared: Declared) -> dict[str, list[int] | None]:
    """Return the stamps of the pipeline's file and of the project's modules."""
    start = declared.workspace.project + os.sep
    files = (getattr(module, "__file__", None) for module in list(sys.modules.values()))
    own = {file for file in files if isinstance(file, str) and file.startswith(start)}
    return {file: stamp_in_json(file) for file in sorted({declared.pipeline.file, *own})}


def reason_against(declared: Declared) -> str | None:
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
) -> Mapping[str, Any]:
    """Write down what a load gave; return what became known by it.

    Args:
        analysis: where.
        before: what was known.
        declared: what the load gave.
        codes: by target, the digest of its code; None: they were not computed.
        found: what the load looked at.

    """
    keep = None if codes is None else partial(_write_columns, analysis, declared, codes)
    if (known := learned(before, reason_against(declared) or found, keep)) is None:
        return {}
    known["pipeline"] = declared.file
    if known["state"] in (REFUSED, UNSTEADY):
        known["code"] = _code_of(declared)
    if known != {name: before.get(name) for name in known}:
        analysis.files.write_index(analysis.key, known)
        analysis.files.clean()
    return known


def _write_columns(analysis: Analysis, declared: Declared, codes: Mapping[int, str]) -> str:
    return analysis.files.write_columns(_columns_of(declared, codes))


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
