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

    """

    def __init__(self, words: Words, before: str = "", after: str = "") -> None:
        self._words, self._before, self._after = words, before, after

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
        return [
            CompletionItem(f"{start}{word}{self._after}")
            for word in self._words(ctx.params.get("file"))
            if word.startswith(stem)
        ]


def complete_words(command: click.Command) -> None:
    """Let a shell complete the words of a command that are the pipeline's own."""
    from marin_build.operations.checks.complete_words import (
        parameter_names,
        profile_names,
        target_names,
    )

    kinds: dict[str, Any] = {
        "target": PipelineWord(target_names, before="+"),
        "targets": PipelineWord(target_names, before="+"),
        "patterns": PipelineWord(target_names),
        "force": PipelineWord(target_names, before="+"),
        "settings": PipelineWord(parameter_names, after="="),
        "profile": PipelineWord(lambda _file: profile_names()),
        "file": click.Path(),
    }
    for param in command.params:
        if param.name in kinds and isinstance(param.type, click.types.StringParamType):
            param.type = kinds[param.name]
