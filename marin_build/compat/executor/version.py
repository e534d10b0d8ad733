"""The version of a step, which names its folder: Marin's formula.

    version = {"name", "config": {dotted path: value}, "dependencies": [...]}
              and "pseudo_dependencies": [...] where there are any
    digits  = md5(JSON of the version, keys sorted)[:6]
    folder  = name + "-" + digits

A dependency enters with its whole version while no chain of dependencies below it is longer than
4, and else by the name of its folder (so since May 2026; before, by its output path, in which the
bucket is: `deep="paths"`).
"""

from __future__ import annotations

import json
import logging
import os
from typing import TYPE_CHECKING, Any, Literal

from marin_build.compat.executor.config_walk import Dependencies, collect_dependencies_and_version
from marin_build.compat.executor.instantiate import under_prefix
from marin_build.compat.executor.json_encoder import CustomJsonEncoder
from marin_build.errors import CycleError
from marin_build.identity.payload import executor_digits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from marin_build.compat.executor.values import ExecutorStep

DEPTH_OF_WHOLE_VERSIONS = 4
DeepDependencies = Literal["names", "paths"]
_log = logging.getLogger("marin_build.executor")
_log.addHandler(logging.NullHandler())  # silent unless the program sets up logging


class Versions:
    """The versions of steps under one prefix. Steps of equal versions are one: the first counts.

    The attributes are those of Marin's Executor, by step.

    Args:
        prefix: where outputs live, as the author spells it.
        deep: how a dependency enters whose own chain of dependencies is longer than 4.

    """

    def __init__(self, prefix: str, deep: DeepDependencies = "names") -> None:
        self.prefix = prefix
        self._deep = deep
        self.steps: list[ExecutorStep[Any]] = []
        """One step of each version, dependencies first."""
        self.dependencies: dict[ExecutorStep[Any], list[ExecutorStep[Any]]] = {}
        self.pseudo_dependencies: dict[ExecutorStep[Any], list[ExecutorStep[Any]]] = {}
        self.versions: dict[ExecutorStep[Any], dict[str, Any]] = {}
        self.version_strs: dict[ExecutorStep[Any], str] = {}
        self.version_str_to_step: dict[str, ExecutorStep[Any]] = {}
        self.hashed_versions: dict[ExecutorStep[Any], str] = {}
        self.output_paths: dict[ExecutorStep[Any], str] = {}
        self.is_pseudo_dep: dict[ExecutorStep[Any], bool] = {}
        self._declared: dict[ExecutorStep[Any], list[ExecutorStep[Any]]] = {}
        """The dependencies as the config has them, not yet those that count."""
        self._depths: dict[ExecutorStep[Any], int] = {}
        self._warned: set[str] = set()

    def add(
        self, step: ExecutorStep[Any], *, is_pseudo_dep: bool = False
    ) -> list[ExecutorStep[Any]]:
        """Compute the version of a step, and of all that it needs.

        Args:
            step: the step.
            is_pseudo_dep: whether it only counts in the identity of others, and is not wanted.

        Returns:
            The steps that were not known before, dependencies first.

        Raises:
            ValueError: a dict in a config has a key that is not a string.
            CycleError: a step needs itself.

        """
        new = self._walk(step)
        if not is_pseudo_dep:
            self._want(step)
        return new

    def same(self, step: ExecutorStep[Any]) -> ExecutorStep[Any]:
        """Return the step that counts among those of the same version."""
        return self.version_str_to_step[self.version_strs[step]]

    def folder(self, step: ExecutorStep[Any]) -> str:
        """Return the name of a step's folder, `{name}-{digits}`."""
        return f"{step.name}-{self.hashed_versions[step]}"

    def is_computed_path(self, step: ExecutorStep[Any]) -> bool:
        """Return whether a step's output lies where its version says."""
        return self.output_paths[step] == os.path.join(self.prefix, self.folder(step))

    def _walk(self, root: ExecutorStep[Any]) -> list[ExecutorStep[Any]]:
        """Compute what is not known yet, without recursion: chains may be long."""
        pending = [root]
        new: list[ExecutorStep[Any]] = []
        open_steps: dict[ExecutorStep[Any], Dependencies] = {}  # on the path from the root
        while pending:
            step = pending[-1]
            if step in self.versions:
                pending.pop()
                continue
            if step not in open_steps:
                open_steps[step] = collect_dependencies_and_version(step.config)
            found = open_steps[step]
            needed = (*found.dependencies, *found.pseudo_dependencies)
            missing = [dep for dep in needed if dep not in self.versions]
            if any(dep in open_steps for dep in missing):
                raise CycleError([each.name for each in open_steps])
            if missing:
                pending.extend(reversed(missing))
                continue
            pending.pop()
            del open_steps[step]
            self._compute(step, found)
            new.append(step)
        return new

    def _compute(self, step: ExecutorStep[Any], found: Dependencies) -> None:
        deps = [self.same(dep) for dep in found.dependencies]
        pseudo = [self.same(dep) for dep in found.pseudo_dependencies]
        version: dict[str, Any] = {
            "name": step.name,
            "config": found.version,
            "dependencies": [self._entry(dep) for dep in found.dependencies],
        }
        config = json.dumps(found.version, sort_keys=True, cls=CustomJsonEncoder)
        text = f'{{"config": {config}, "dependencies": {self._entry_texts(found.dependencies)}'
        text += f', "name": {json.dumps(step.name)}'
        if pseudo:
            version["pseudo_dependencies"] = [self._entry(dep) for dep in found.pseudo_dependencies]
            text += f', "pseudo_dependencies": {self._entry_texts(found.pseudo_dependencies)}'
        text += "}"
        first = self.version_str_to_step.setdefault(text, step)
        self.versions[step] = version
        self.version_strs[step] = text
        self.hashed_versions[step] = executor_digits(text)
        self._declared[step] = found.dependencies
        self.dependencies[step] = deps
        self.pseudo_dependencies[step] = pseudo
        self._depths[step] = 1 + max((self._depths[dep] for dep in deps), default=-1)
        self.is_pseudo_dep[step] = True  # until it is wanted
        path = self._path(step)
        if first is step:
            self.steps.append(step)
        else:
            self._warn_of_doubles(step, first, path)
            path = self.output_paths[first]  # where the one is built that counts
        self.output_paths[step] = path

    def _entry(self, dep: ExecutorStep[Any]) -> dict[str, Any] | str:
        """Return how a dependency stands in a version."""
        if self._depths[dep] <= DEPTH_OF_WHOLE_VERSIONS:
            return self.versions[dep]
        return self.folder(dep) if self._deep == "names" else self.output_paths[dep]

    def _entry_texts(self, deps: Sequence[ExecutorStep[Any]]) -> str:
        """Return the JSON of those entries. The text of each whole version is made only once."""
        texts = [
            self.version_strs[dep] if isinstance(entry, dict) else json.dumps(entry)
            for dep in deps
            for entry in (self._entry(dep),)
        ]
        return f"[{', '.join(texts)}]"

    def _path(self, step: ExecutorStep[Any]) -> str:
        computed = os.path.join(self.prefix, self.folder(step))
        if step.override_output_path is None:
            return computed
        given = under_prefix(self.prefix, step.override_output_path)
        if given != computed:
            self._warn(f"`{step.name}` has the output path {given}, not {computed} of its version")
        return given

    def _warn_of_doubles(
        self, step: ExecutorStep[Any], first: ExecutorStep[Any], path: str
    ) -> None:
        kept = self.output_paths[first]
        elsewhere = f", and {kept} is its output, not {path}" if path != kept else ""
        self._warn(f"`{step.name}` is declared several times: the first one counts{elsewhere}")

    def _warn(self, words: str) -> None:
        if words not in self._warned:
            self._warned.add(words)
            _log.warning("%s", words)

    def _want(self, root: ExecutorStep[Any]) -> None:
        """Note that a step is to be built, and so what it waits for."""
        pending = [root]
        while pending:
            step = pending.pop()
            if self.is_pseudo_dep[step]:
                self.is_pseudo_dep[step] = False
                pending += (self.same(step), *self._declared[step])
