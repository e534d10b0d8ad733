"""Finds and renders templates: the user's folder first, then ours, then the engine's."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import jinja2

from marin_build._package import FOLDER
from marin_build.emit import quoting
from marin_build.errors import SpecificationError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from marin_build.workspace.workspace import Workspace


def templates_folder() -> str:
    """Return the folder of our templates: inside the wheel, or beside the package in a checkout."""
    installed = os.path.join(FOLDER, "templates")
    return (
        installed
        if os.path.isdir(installed)
        else os.path.join(os.path.dirname(FOLDER), "templates")
    )


class Templates:
    """Renders templates; a value that is missing is an error.

    Args:
        workspace: the project.
        overrides: the user's folder in the project; its templates win over all others.
        folders: those of engines whose templates are not in ours; after ours.
        filters: an engine's own filters, by name.

    """

    def __init__(
        self,
        workspace: Workspace,
        overrides: str | None = None,
        *,
        folders: Sequence[str] = (),
        filters: Mapping[str, Callable[[Any], str]] | None = None,
    ) -> None:
        searched = [templates_folder(), *folders]
        if overrides is not None:
            own = os.path.join(workspace.project, overrides)
            if not os.path.isdir(own):
                raise UsageError(
                    f"no templates folder `{overrides}`", facts=[("project", workspace.project)]
                )
            searched.insert(0, own)
        self._environment = jinja2.Environment(
            loader=jinja2.FileSystemLoader(searched),
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
            autoescape=False,  # noqa: S701 - every value goes through a filter of quoting.py
        )
        self._environment.filters.update(
            filters or {},
            sh=quoting.sh,
            rule_name=quoting.rule_name,
            rule_names=quoting.rule_names,
            make_sh=quoting.make_sh,
            comment=quoting.comment,
            yaml=quoting.yaml,
            xml=quoting.xml,
            inline_json=quoting.inline_json,
            inline_page=quoting.inline_page,
            inline_script=quoting.inline_script,
            inline_style=quoting.inline_style,
            words=quoting.words_filter(workspace),
        )

    def text(self, name: str) -> str:
        """Return a file of the templates folder unrendered: a script, a style sheet.

        Raises:
            SpecificationError: it is missing, or is no text in UTF-8.

        """
        loader = self._environment.loader
        assert loader is not None
        try:
            return loader.get_source(self._environment, name)[0]
        except (jinja2.TemplateNotFound, UnicodeDecodeError) as error:
            raise SpecificationError(f"no template `{name}`") from error

    def render(self, name: str, /, **values: object) -> str:
        """Return a rendered template.

        Raises:
            SpecificationError: the template is missing or malformed, or a value in it is missing.

        """
        try:
            return self._environment.get_template(name).render(values)
        except jinja2.TemplateNotFound as error:
            raise SpecificationError(f"no template `{error.name}`") from error
        except jinja2.TemplateSyntaxError as error:
            raise SpecificationError(
                f"the template `{error.name or name}` is malformed",
                facts=[("line", str(error.lineno)), ("reason", error.message or "")],
            ) from error
        except jinja2.UndefinedError as error:
            raise SpecificationError(
                f"the template `{name}` uses a value it is not given",
                facts=[("reason", error.message or "")],
                consequence="nothing was written",
                hint="docs/reference/templates.md lists the values",
            ) from error
        except Exception as error:
            raise SpecificationError(
                f"the template `{name}` cannot be rendered",
                facts=[("reason", str(error))],
                consequence="nothing was written",
            ) from error
