"""StepSpec: what the author declares."""

from __future__ import annotations

import posixpath
from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING, Any

from marin_build.identity.callables import Bound, CountsByName
from marin_build.identity.payload import HASH_ID_LENGTH, fingerprint_of
from marin_build.pipeline import runtime_calls
from marin_build.pipeline.captured_names import CellValues
from marin_build.pipeline.captured_values import captured_by
from marin_build.pipeline.contradictions import refuse_contradictions
from marin_build.pipeline.declared_at import declaring_place, shown_here
from marin_build.pipeline.dependencies_first import dependencies_first
from marin_build.pipeline.formulas import NOW, Formula
from marin_build.pipeline.names import is_dev_version
from marin_build.pipeline.output_file import DeclaredFile, file_of, files_in
from marin_build.pipeline.step_checks import EMPTY, NONE_OF_THEM, check_and_freeze
from marin_build.pipeline.step_identity import dependency_names, hash_of_attributes, payload_of
from marin_build.quick_dataclass import open_while_made
from marin_build.workspace.places import is_relative
from marin_build.workspace.workspace import (
    CodePolicy,
    absolute_prefix,
    current_workspace,
    former_identities,
    note_asked,
)

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from marin_build.pipeline.captured_names import Captured
    from marin_build.pipeline.output_file import OutputFile
    from marin_build.pipeline.resources import ResourceConfig
    from marin_build.pipeline.retries import Retries
    from marin_build.pipeline.source import Source
    from marin_build.workspace.workspace import Workspace


@open_while_made
@dataclass(frozen=True, slots=True, eq=False)
class StepSpec(CountsByName):
    """One step: a name, what builds it, what it needs, and its identity attributes.

    Frozen and hashable; `dataclasses.replace` works. A dataclass below it has `slots=True`, too.
    Equality is that of the object; steps declared twice with equal fingerprints are merged by the
    graph, which also checks that their code is equal.

    Identity (a change renames the target and so rebuilds it):
        name: segments of letters, digits, `.`, `_`, `-`, `+`, joined by `/`.
        deps: the steps whose outputs this one reads; enters by their `name_with_hash`.
        hash_attrs: JSON values, dataclasses, enums, paths ... (see docs/concepts/identity.md).
        inputs: external inputs by parameter name; enters by logical name and content digest.
        fn: only where it is a `command(...)`: its words, placeholders unresolved.
        code: with `"rebuild"` the digest of the function's code joins identity; `"report"` and
            `"ignore"` leave it out. None: as the run or the configuration says, else `"report"`.

    Not identity:
        captured: what its function reads from around it (pipeline/captured_values.py).
        fn: a function of the output path. What it returns (a pydantic model, a dataclass or a
            JSON value) is saved as the artifact. None: the target must exist already.
        output_path_prefix: a prefix for this step alone.
        override_output_path: the output path in place of the one that name and identity give:
            an absolute path, a URL, or a path below the prefix.
        fingerprint_payload: a text that is recorded with what was built. With a version, it is the
            recipe: JSON that is identity in place of `hash_attrs` (see pipeline/recipe.py).
        writes_record: the function writes `.artifact.json` itself: what it returns is not saved.
        version: puts the target at `{prefix}/{name}/{version}`; dependents then know it by
            `name@version`. `dev` and `*-dev` are rebuilt each time.
        expected_fingerprint: refuse to plan if the fingerprint is another one, here or in the
            record of what was built.
        outputs: files that must be there, not empty, before the step counts as built. None:
            any file or an artifact. Empty: nothing is expected.
        resources: what it runs on; None: this machine. What stands for a ResourceConfig
            (pipeline/stands_for.py) becomes one.
        env_vars: environment variables for the step.
        retries: further tries after a failure, or `Retries(...)`.
        timeout: seconds of one attempt, then it gets SIGTERM, and SIGKILL 10 seconds later.
        secrets: patterns of the names of environment variables that hold secrets, besides those
            that are known: their values are blotted out of its log. `!NAME`: it is none.
        detached: names of programs that may still run when the step has ended, as `fnmatch` reads
            them. They are killed then, like all that a step leaves; another one fails the step.
        budgets: how much it takes of named budgets while it runs (see plan/capacity.py).
        resumable: a new attempt finds what the failed one left.
        temp: its data is deleted once what needs it is built; identity stays as it is.
        keep: `gc` deletes no build of this name.
        tags, description: for people and selection.
    """

    name: str
    output_path_prefix: str | os.PathLike[str] | None = None
    deps: Sequence[StepSpec] = NONE_OF_THEM
    hash_attrs: Mapping[str, Any] = EMPTY
    override_output_path: str | os.PathLike[str] | None = None
    _: KW_ONLY
    fn: Callable[[str], object] | None = None
    fingerprint_payload: str | None = None
    writes_record: bool = False
    version: str | None = None
    expected_fingerprint: str | None = None
    inputs: Mapping[str, Source] = EMPTY
    outputs: Sequence[str] | None = None
    resources: ResourceConfig | None = None
    env_vars: Mapping[str, str] = EMPTY
    retries: int | Retries = 0
    timeout: float | None = None
    secrets: Sequence[str] = ()
    budgets: Mapping[str, int] = EMPTY
    resumable: bool = False
    temp: bool = False
    keep: bool = False
    detached: Sequence[str] = ()
    tags: Sequence[str] = ()
    description: str = ""
    code: CodePolicy | None = None
    declared: tuple[str, int] = field(default=("", 0), repr=False)
    captured: tuple[Captured, ...] | CellValues = field(default=(), init=False, repr=False)
    attributes_hash: str | None = field(default=None, init=False, repr=False)
    _fingerprint: str | None = field(default=None, init=False, repr=False)
    _target_id: str | None = field(default=None, init=False, repr=False)
    _formula: Formula = field(default=NOW, init=False, repr=False)

    def __post_init__(self) -> None:
        """Check and freeze the fields, reporting all that is wrong with them together."""
        if not self.declared[0]:
            object.__setattr__(self, "declared", declaring_place())
        check_and_freeze(self, StepSpec)
        if self.fn is not None:
            self._look_around()

    def _look_around(self) -> None:
        """Remember what the function reads from around it, and refuse what contradicts."""
        # The attributes of a recipe are no values that its function could read under their names.
        attrs = EMPTY if self.has_recipe else self.hash_attrs
        captured = captured_by(self.fn, attrs)
        object.__setattr__(self, "captured", captured)
        if attrs and type(captured) is not CellValues:  # these contradict nothing
            refuse_contradictions(self, captured)

    def __truediv__(self, path: str | os.PathLike[str]) -> DeclaredFile:
        """Return a file or folder in its output, as an argument for other steps.

        Raises:
            SpecificationError: the path leads out of the output.

        """
        return file_of(self, path)

    @property
    def place(self) -> str:
        """Where it was declared, `file:line`."""
        return shown_here(self.declared)

    @property
    def has_free_path(self) -> bool:
        """Whether its path does not follow from its identity: another identity may lie there."""
        return bool(self.version or self.override_output_path)

    @property
    def is_built_by_code(self) -> bool:
        """Whether a function or a command builds it; else its target must be there already."""
        return self.fn is not None

    @property
    def command_text(self) -> str | tuple[str, ...] | None:
        """What its command runs: words, or one string for bash. None if no command builds it."""
        template = self.fn.template if isinstance(self.fn, Bound) else None
        return None if template is None else next(iter(template.values()))

    @property
    def code_digest(self) -> str | None:
        """The digest of the code that builds it: 64 hex digits. None if nothing does."""
        if self.fn is None:
            return None
        from marin_build.identity.code.digest import code_digest  # reads source

        return code_digest(self.fn)

    @property
    def files_read(self) -> tuple[OutputFile, ...]:
        """The files of other outputs that it reads, as far as its arguments name them."""
        return tuple(files_in(self.fn))

    def has_drifted(self, recorded: str | None) -> bool:
        """Return whether its code is not the code that built an output.

        Args:
            recorded: the code digest in the output's record; None if that has none.

        """
        return recorded is not None and self.is_built_by_code and self.code_digest != recorded

    @property
    def keeps_output(self) -> bool:
        """Whether no build clears its output: it goes on there, or the author chose the folder."""
        return self.resumable or self.override_output_path is not None

    @property
    def has_recipe(self) -> bool:
        """Whether its identity is the recipe in `fingerprint_payload`, not its attributes."""
        return self.version is not None and self.fingerprint_payload is not None

    @property
    def is_pinned(self) -> bool:
        """Whether no other identity may lie at its path; a recipe's attributes pin it, too."""
        return self.expected_fingerprint is not None or (
            self.has_recipe and self.hash_attrs.get("expected_fingerprint") is not None
        )

    @property
    def may_name_places(self) -> bool:
        """Whether its identity may contain paths of outputs: another program says what it is."""
        return self.has_recipe

    @property
    def code_name(self) -> str:
        """Its name and version, which stand for it in the digest of code that holds it."""
        return f"step {self.name}@{self.version or ''}"

    @property
    def exact_name(self) -> str:
        """The target it makes."""
        return f"step {self.target_id}"

    @property
    def is_dev(self) -> bool:
        """Whether its version is one that is rebuilt each time.

        A step that Marin's artifacts become has its version among its attributes.
        """
        version = self.version
        if version is None:
            if "fingerprint" not in self.hash_attrs:
                return False
            version = self.hash_attrs.get("version")
        return isinstance(version, str) and is_dev_version(version)

    @property
    def payload(self) -> str:
        """The canonical text that is hashed (see identity/payload.py)."""
        if former_identities():
            _compute_fingerprints([self])
        elif None in [dep._fingerprint for dep in self.deps]:  # noqa: SLF001 - its own class
            _compute_fingerprints(self.deps)
        return self.identify()

    def identify(self) -> str:
        """Return the payload, and know the fingerprint; those of its dependencies are known.

        So they are where steps are walked in the order of a graph.
        """
        payload = payload_of(self, self._formula)
        if self._fingerprint is None:
            object.__setattr__(self, "_fingerprint", fingerprint_of(payload))
        return payload

    @property
    def fingerprint(self) -> str:
        """Sha-256 of the identity, upstream identities included: 64 hex digits."""
        if self._fingerprint is None:
            _compute_fingerprints([self])
        return self._fingerprint  # type: ignore[return-value]

    @property
    def is_identified(self) -> bool:
        """Whether its fingerprint was asked for; those of what it needs were, then."""
        return self._fingerprint is not None

    def use_formula(self, formula: Formula) -> None:
        """Have the identity that a formula gives; what needs it must not have been asked yet."""
        object.__setattr__(self, "_formula", formula)
        object.__setattr__(self, "_fingerprint", None)
        object.__setattr__(self, "_target_id", None)

    @property
    def hash_id(self) -> str:
        """The digits at the end of its folder's name: the first 8 of the fingerprint.

        With a recipe those of the hash of its attributes, by which plain dependents know it.
        """
        return hash_of_attributes(self) if self.has_recipe else self.fingerprint[:HASH_ID_LENGTH]

    @property
    def name_with_hash(self) -> str:
        """`{name}_{hash_id}`: its folder's name. A step that another program named has its own."""
        return f"{self.name}_{self.hash_id}"

    @property
    def target_id(self) -> str:
        """How dependents and the command line know it: `name_with_hash`, or `name@version`."""
        known = self._target_id
        if known is None:  # it is asked for once for each dependent, and more
            has_version = self.version is not None
            known = f"{self.name}@{self.version}" if has_version else self.name_with_hash
            object.__setattr__(self, "_target_id", known)
        return known

    @property
    def output_path(self) -> str:
        """Where its data is read, under the workspace in force now: an absolute path or a URL.

        That is where the output lives under the prefix; for adopted data, where that lies.
        """
        workspace = self._workspace()
        note_asked(self)
        if workspace.adopted and (place := workspace.adopted.get(self.target_id)) is not None:
            return place
        return self.output_path_in(workspace.prefix)

    def output_path_in(self, prefix: str | None) -> str:
        """Return where the output lives under `prefix`, adopted or not: status, lease, record.

        None stands for the prefix of the step's own project: see `common_prefix`.
        """
        override = self.override_output_path
        if override is not None and not is_relative(override):
            return absolute_prefix(override, self._workspace().project)
        if self.output_path_prefix is not None:
            prefix = absolute_prefix(self.output_path_prefix, self._workspace().project)
        elif prefix is None:
            prefix = self._workspace().prefix
        if override is not None:
            return f"{prefix}/{posixpath.normpath(override)}"
        if self.version is not None:
            return f"{prefix}/{self.name}/{self.version}"
        return f"{prefix}/{self.target_id}"

    def _workspace(self) -> Workspace:
        return current_workspace(self.declared[0])

    @property
    def dep_paths(self) -> list[str]:
        """Where the data of the dependencies is read, in the order declared."""
        return [dep.output_path for dep in self.deps]

    @property
    def dep_names(self) -> list[str]:
        """How this step's identity names its dependencies, in the order declared."""
        return dependency_names(self)

    @property
    def executable_fn(self) -> Callable[[str], object]:
        """The function of `output_path` that builds it there, unless it is built.

        That is `remote(disk_cache(distributed_lock(fn)))`; `remote` only where there are
        resources.

        Raises:
            SpecificationError: it has a timeout, and a thread cannot be killed.

        """
        return runtime_calls.executable(self)


if TYPE_CHECKING:

    class DeclaredStep(StepSpec, Any):  # type: ignore[misc]
        """A StepSpec that type checkers accept where a step wants its path or artifact."""
else:
    DeclaredStep = StepSpec


def _compute_fingerprints(steps: Iterable[StepSpec]) -> None:
    """Give `steps` and everything they need their fingerprints."""
    former = former_identities()
    for step in dependencies_first(steps, _has_fingerprint):
        fingerprint = fingerprint_of(payload_of(step, step._formula))  # noqa: SLF001 - its own class
        if former and fingerprint in former:
            step.use_formula(former[fingerprint])  # type: ignore[arg-type]
            fingerprint = fingerprint_of(payload_of(step, step._formula))  # noqa: SLF001
        object.__setattr__(step, "_fingerprint", fingerprint)


def _has_fingerprint(step: StepSpec) -> bool:
    return step._fingerprint is not None  # noqa: SLF001 - its own class
