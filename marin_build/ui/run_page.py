"""The page of a run: the graph of its plan, with the states that the run gives its targets."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from marin_build.apply.run_folder import find_runs
from marin_build.emit.graph.details import About, Details, about_plan, details_of
from marin_build.emit.graph.page import page_script, page_style
from marin_build.emit.graph.page_data import page_data
from marin_build.emit.graph.picture import Picture, picture_of
from marin_build.emit.graph.saved_plan_page import MOST_TARGETS, commands_of
from marin_build.engines.registry import engine_words
from marin_build.errors import StoppedError
from marin_build.pipeline.names import name_problem
from marin_build.plan.payload_diff import dependency_name
from marin_build.protocol.layout import output_under
from marin_build.text.readable import printable
from marin_build.ui.blocking import in_thread
from marin_build.ui.site import Page, live_policy
from marin_build.ui.target_states import LIVE_STATES, PLANNED

if TYPE_CHECKING:
    from marin_build.plan.document import PlanDocument
    from marin_build.ui.site import Site


_LIVE = ("ui/live_states", "ui/following", "ui/run_bar", "ui/live_graph")
"""The scripts that the page has besides those of the page of a plan."""
_KEPT = 4
"""Pages that are kept: of a plan of 100,000 targets one takes seconds to make, and has 7 MB."""


class RunPages:
    """Makes the pages of runs, and keeps the last ones.

    Args:
        site: what they are made from.

    """

    def __init__(self, site: Site) -> None:
        self._site = site
        self._kept: OrderedDict[tuple[str, int], Page] = OrderedDict()
        self._outputs: dict[str, dict[str, str]] = {}

    async def page_of(self, run: str, expansions: int) -> Page:
        """Return the page of a run.

        Args:
            run: the run's id.
            expansions: how often its plan was written anew, as far as is known: the plan that is
                read now is at least that one.

        Raises:
            StoreError: the store cannot be read.
            SpecificationError: a template is missing or malformed.

        """
        key = run, expansions
        if key not in self._kept:
            page, has_plan = await in_thread(lambda: self._made(run, expansions))
            if not has_plan:  # it may still be on its way
                return page
            self._kept[key] = page
        self._kept.move_to_end(key)
        while len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        return self._kept[key]

    async def output_of(self, run: str, target: str) -> str | None:
        """Return where the output of a target of a run lies; None if its id leads nowhere.

        A step may have a path of its own, which only the plan of the run knows.
        """
        place = self._site.place
        if run not in self._outputs:
            await in_thread(lambda: self._made(run, 0))
        if (known := self._outputs.get(run, {}).get(target)) is not None:
            return known
        name = target.partition("@")[0] if "@" in target else dependency_name(target)
        if any(name_problem(each.replace("@", "/")) is not None for each in (name, target)):
            return None
        return output_under(place.prefix, name, target)

    def _made(self, run: str, expansions: int) -> tuple[Page, bool]:
        """Return the page of a run, and whether it has its plan."""
        site = self._site
        plan, problem = self._plan(run)
        picture, about, details = Picture((), ()), About(title=run), list[Details]()
        if plan is not None:
            commands = commands_of(plan, engine_words(plan.engine))
            place = site.place
            outputs = {
                each.target: path
                for each in plan.decisions
                if (path := place.output_of(plan, each.output_path))
                != f"{place.prefix}/{each.target}"
            }
            picture, about = picture_of(plan), about_plan(plan, None, commands)
            details = details_of(plan, picture, None, {})
            self._outputs[run] = outputs
        redactor = site.redactor
        data = page_data(picture, about, details, redactor, states=LIVE_STATES, shown=PLANNED)
        script = page_script(site.templates, _LIVE)
        style = page_style(site.templates) + site.templates.text("ui/live.css")
        page = site.templates.render(
            "ui/run.html.j2",
            title=printable(site.redactor.clean_text(about.title)),
            run=run,
            summary=problem,
            policy="",
            style=style,
            script=script,
            data={**data, "is_live": True, "expansions": expansions},
        )
        return Page(page, live_policy(script, style)), plan is not None

    def _plan(self, run: str) -> tuple[PlanDocument | None, str]:
        """Return the plan of a run; or None, and why it is not drawn."""
        place = self._site.place
        try:
            found = find_runs(place.store, place.prefix, [run]).get(run)
        except StoppedError as error:
            return None, error.what
        if found is None:
            return None, "its plan was not kept"
        count = len(found.plan.decisions) + len(found.plan.pruned)
        if count > MOST_TARGETS:
            return None, f"its plan has {count:,} targets: more than {MOST_TARGETS:,} are not drawn"
        return found.plan, ""
