"""The page of a run is made from its plan, which may come after the journal."""

from __future__ import annotations

import asyncio

from marin_build.apply.run_folder import folder_of
from marin_build.emit.templates import Templates
from marin_build.operations.loading.place import Place
from marin_build.plan.document import PLAN_FILE, PlanDocument
from marin_build.redaction import Redactor
from marin_build.store.memory import MemoryStore
from marin_build.ui.run_page import RunPages
from marin_build.ui.site import Site
from marin_build.workspace.workspace import Workspace

PREFIX = "gs://b/out"
RUN = "r-0f33d01a"


def test_a_plan_that_comes_late_is_drawn() -> None:
    """Else a run whose page was opened in its first moment has no graph until the server ends."""
    store = MemoryStore()
    templates = Templates(Workspace("/project", PREFIX))
    pages = RunPages(Site(Place("/project", PREFIX, store), templates, Redactor.of({})))
    early = asyncio.run(pages.page_of(RUN, 0))
    assert "its plan was not kept" in early.text
    plan = PlanDocument(
        plan_id="p-1", pipeline="pipeline.py", parameters={}, prefix=PREFIX, engine="local",
        requested=(), summary={}, decisions=(),
    )  # fmt: skip
    text = "".join(plan.sealed_pieces({}))
    store.put(f"{folder_of(PREFIX, RUN)}/{PLAN_FILE}", text.encode())
    late = asyncio.run(pages.page_of(RUN, 0))
    assert "its plan was not kept" not in late.text
    assert asyncio.run(pages.page_of(RUN, 0)) is late
