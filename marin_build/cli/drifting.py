"""Drift of reused targets: the code that built them is not the code of today."""

from __future__ import annotations

from typing import TYPE_CHECKING

from marin_build.code import has_drifted
from marin_build.plan import Kind

if TYPE_CHECKING:
    from marin_build.cli.session import Loaded
    from marin_build.code.drift import Drift
    from marin_build.plan import Plan
    from marin_build.snapshot import Built


def drift_in(loaded: Loaded, plan: Plan) -> dict[int, Drift]:
    """Return how the code of reused targets changed since they were built, by index.

    The sources of then are read in one batch, only where a digest differs, and each once.

    Raises:
        StoreError: the store cannot be read.

    """
    drifted: dict[int, Built] = {}
    for decision in plan.of_kind(Kind.REUSE):
        built, step = plan.snapshot.of(decision.index).built, plan.targets.all[decision.index].step
        if built is None or step.code != "report":
            continue
        if has_drifted(built.code_digest, step.fn):
            drifted[decision.index] = built
    if not drifted:
        return {}
    from marin_build.code.document import CodeDocument, code_document_path
    from marin_build.code.drift import drift_of

    keys = list({built.code_document for built in drifted.values() if built.code_document})
    prefix = loaded.workspace.prefix
    blobs = loaded.store.get_many([code_document_path(prefix, key) for key in keys])
    documents: dict[str | None, CodeDocument] = {}
    for key, blob in zip(keys, blobs, strict=True):
        if blob is not None:
            try:
                documents[key] = CodeDocument.from_bytes(blob.data)
            except ValueError:
                continue  # damaged: that the code changed is still told, only not how
    return {
        index: drift_of(built, documents.get(built.code_document), plan.targets.all[index].step.fn)
        for index, built in drifted.items()
    }
