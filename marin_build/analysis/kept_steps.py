"""Steps and targets that an earlier load gave: equal to those that it made, but for functions.

A function is no data. Where the `fn` of such a step is asked for, the pipeline is loaded, and the
step has the function that this load gives: so no command needs to know where its steps come from.
"""

from __future__ import annotations

from dataclasses import field, fields
from typing import TYPE_CHECKING, Any

from marin_build.analysis.step_document import (
    BUILT_BY_FUNCTION,
    KEPT,
    facts_of,
    fields_of,
    files_of,
)
from marin_build.errors import MarinBuildError
from marin_build.identity.payload import HASH_ID_LENGTH
from marin_build.pipeline.formulas import NOW
from marin_build.pipeline.step_spec import StepSpec
from marin_build.pipeline.targets import Target, Targets
from marin_build.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from marin_build.analysis.columns import Columns
    from marin_build.pipeline.output_file import OutputFile
    from marin_build.workspace.workspace import Workspace

_put = object.__setattr__
_OF_THE_LOAD = frozenset(("fn", "captured"))
"""The fields of a step that no file can hold."""


@dataclass(slots=True, eq=False)
class KeptSteps:
    """Makes the steps of an earlier load when they are asked for.

    Args:
        columns: what was kept of them.
        load: loads the pipeline, and returns its targets: those that were kept, with functions.

    """

    columns: Columns
    load: Callable[[], Targets]
    made: dict[int, KeptStep] = field(default_factory=dict, init=False, repr=False)
    loaded: Targets | None = field(default=None, init=False, repr=False)

    def at(self, index: int) -> KeptStep:
        """Return the step of a target: always the same one."""
        if (step := self.made.get(index)) is None:
            step = self.made[index] = KeptStep.__new__(KeptStep)
            _put(step, "kept", self)
            _put(step, "index", index)
            _put(step, "facts", None)
        return step

    def loaded_at(self, index: int) -> StepSpec:
        """Return the step of a target with its function; the pipeline is loaded once."""
        if self.loaded is None:
            self.loaded = self.load()
        return self.loaded.all[index].step


class KeptStep(StepSpec):
    """A step of an earlier load. Its fields are read when the first of them is asked for.

    Attributes:
        kept: makes the steps.
        index: of its target.
        facts: what was kept of it besides its fields; None: nothing was read yet.

    """

    __slots__ = ("facts", "index", "kept")

    kept: KeptSteps
    index: int
    facts: Mapping[str, Any] | None

    def __getattr__(self, name: str) -> Any:
        """Return a field that is asked for the first time."""
        if name == "name":
            _put(self, name, self.kept.columns.names[self.index])
        elif name not in _FIELDS:
            raise AttributeError(name)
        elif self.facts is None:
            self._read()
            return getattr(self, name)
        elif name in _OF_THE_LOAD:
            loaded = self.kept.loaded_at(self.index)
            for each in _OF_THE_LOAD:
                _put(self, each, getattr(loaded, each))
        return object.__getattribute__(self, name)

    def _read(self) -> None:
        """Read the fields; where the file is damaged, take them from a load."""
        kept, index = self.kept, self.index
        columns = kept.columns
        try:
            document = columns.document(index)
            found = fields_of(document, columns.names[index], columns.deps[index], kept.at)
        except (ValueError, KeyError, TypeError, MarinBuildError):
            step = kept.loaded_at(index)
            document = facts_of(step, step.code_digest)
            found = {each: getattr(step, each) for each in (*KEPT, *_OF_THE_LOAD)}
            found["deps"] = tuple(map(kept.at, columns.deps[index]))
        for name, value in found.items():
            _put(self, name, value)
        for name, value in _IDENTITY.items():
            _put(self, name, value)
        _put(self, "facts", document)

    @property
    def _facts(self) -> Mapping[str, Any]:
        if self.facts is None:
            self._read()
        assert self.facts is not None
        return self.facts

    @property
    def payload(self) -> str:
        """The canonical text that was hashed."""
        payload: str = self._facts["payload"]
        return payload

    @property
    def fingerprint(self) -> str:
        """Sha-256 of the payload."""
        return self.kept.columns.fingerprint(self.index)

    @property
    def is_identified(self) -> bool:
        """True: it was kept with its fingerprint."""
        return True

    @property
    def hash_id(self) -> str:
        """The digits at the end of its folder's name."""
        digits: str = self._facts.get("hash_id", self.fingerprint[:HASH_ID_LENGTH])
        return digits

    @property
    def name_with_hash(self) -> str:
        """Its folder's name."""
        name: str = self._facts.get("name_with_hash", f"{self.name}_{self.hash_id}")
        return name

    @property
    def target_id(self) -> str:
        """How dependents and the command line know it."""
        return self.kept.columns.ids[self.index]

    @property
    def may_name_places(self) -> bool:
        """Whether its identity may contain paths of outputs."""
        may: bool = self._facts.get("may_name_places", self.has_recipe)
        return may

    @property
    def is_built_by_code(self) -> bool:
        """Whether a function or a command builds it; to know that needs no function."""
        return self.index not in self.kept.columns.built_by_nothing

    @property
    def command_text(self) -> str | tuple[str, ...] | None:
        """What its command runs; None if no command builds it."""
        if self._facts.get("fn") == BUILT_BY_FUNCTION:
            return None
        return super().command_text

    @property
    def code_digest(self) -> str | None:
        """The digest of its code when it was loaded, which is that of today."""
        return self._facts.get("code_digest")

    @property
    def files_read(self) -> tuple[OutputFile, ...]:
        """The files of other outputs that it reads."""
        return files_of(self._facts, self.kept.at)

    def __repr__(self) -> str:
        return f"KeptStep({self.target_id!r})"


_FIELDS = frozenset(each.name for each in fields(StepSpec))
_IDENTITY: Mapping[str, Any] = {
    "_formula": NOW,
    "_fingerprint": None,
    "_target_id": None,
    "attributes_hash": None,
}
"""The fields that a step computes, as they are before: here they are not asked for."""


class KeptTarget(Target):
    """A target of an earlier load; its fields are read when they are asked for."""

    __slots__ = ("index", "kept")

    kept: KeptSteps
    index: int

    def __getattr__(self, name: str) -> Any:
        """Return a field that is asked for the first time."""
        columns, index = self.kept.columns, self.index
        value: Any
        match name:
            case "step":
                value = self.kept.at(index)
            case "id":
                value = columns.ids[index]
            case "fingerprint":
                value = columns.fingerprint(index)
            case "output_path":
                value = columns.output_path(index)
            case _:
                raise AttributeError(name)
        _put(self, name, value)
        return value

    @property
    def name(self) -> str:
        """The step's name."""
        return self.kept.columns.names[self.index]


@dataclass(frozen=True, slots=True)
class KeptTargets(Targets):
    """The targets of an earlier load, and what it found out about all of them together."""

    steps: KeptSteps = field(kw_only=True, repr=False)


def kept_targets(
    columns: Columns, workspace: Workspace, load: Callable[[], Targets]
) -> KeptTargets:
    """Return the targets of an earlier load.

    Args:
        columns: what was kept of them.
        workspace: has the prefix that they were loaded with.
        load: loads the pipeline, and returns its targets: those that were kept, with functions.

    """
    steps = KeptSteps(columns, load)
    targets: list[Target] = []
    new = KeptTarget.__new__
    for index in range(len(columns.ids)):
        target = new(KeptTarget)
        _put(target, "kept", steps)
        _put(target, "index", index)
        targets.append(target)
    by_id = {id_: index for index, id_ in enumerate(columns.ids)}
    return KeptTargets(
        tuple(targets),
        columns.deps,
        columns.requested,
        workspace,
        by_id,
        columns.traits,
        deep_codes=columns.deep_codes,
        steps=steps,
    )
