"""Arguments that a shell completes with words of the pipeline: targets, parameters, profiles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Words = Callable[[str | None], Sequence[str]]


class PipelineWord(click.types.StringParamType):
    """A text that a shell completes with words of the pipeline.

    Args:
        words: gives them for the value of `-f`.
        before: what may stand before a word, `+` of `+train`; then commas join words, too.
        after: what follows each of them, `=` of a parameter.
        or_folder: whether a folder may stand there, too: it is meant if no word begins so.

    """

    def __init__(
        self, words: Words, before: str = "", after: str = "", *, or_folder: bool = False
    ) -> None:
        self._words, self._before, self._after = words, before, after
        self._or_folder = or_folder

    def shell_complete(
        self,
        ctx: click.Context,
        param: click.Parameter,  # noqa: ARG002 - click's signature
        incomplete: str,
    ) -> list[CompletionItem]:
        """Return the words that begin as the one at the cursor."""
        head, comma, last = incomplete.rpartition(",") if self._before else ("", "", incomplete)
        stem = last.lstrip(self._before) if self._before else last
        start = f"{head}{comma}{last.removesuffix(stem)}"
        items = [
            CompletionItem(f"{start}{word}{self._after}")
            for word in self._words(ctx.params.get("file"))
            if word.startswith(stem)
        ]
        if self._or_folder and not items:
            return [CompletionItem(incomplete, type="dir")]
        return items


def complete_words(command: click.Command) -> None:
    """Let a shell complete the words of a command that are the pipeline's own."""
    from marin_build.operations.checks.complete_words import (
        engine_names,
        parameter_names,
        profile_names,
        target_names,
    )

    takes_plan = command.name == "apply"
    kinds: dict[str, Any] = {
        "target": PipelineWord(target_names, before="+"),
        "targets": PipelineWord(target_names, before="+", or_folder=takes_plan),
        "patterns": PipelineWord(target_names),
        "force": PipelineWord(target_names, before="+"),
        "settings": PipelineWord(parameter_names, after="="),
        "profile": PipelineWord(lambda _file: profile_names()),
        "engine": PipelineWord(lambda _file: engine_names()),
        "file": click.Path(),
        "output": click.Path(),
        **dict.fromkeys(("folder", "old", "new", "prefix"), click.Path(file_okay=False)),
    }
    for param in command.params:
        if param.name in kinds and isinstance(param.type, click.types.StringParamType):
            param.type = kinds[param.name]
