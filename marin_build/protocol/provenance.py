"""Who runs this, from which state of the code, and in which environment: for the records.

The environment is recorded once a run and compared by `plan`; it is never part of identity, and
never a reason to rebuild.
"""

from __future__ import annotations

import functools
import hashlib
import os
import sys
from dataclasses import field
from typing import TYPE_CHECKING, Any, NamedTuple

from marin_build.protocol.holder import current_user
from marin_build.quick_dataclass import dataclass
from marin_build.workspace.regular_files import read_regular

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from marin_build.protocol.documents import Provenance


def provenance(project: str, argv: Sequence[str]) -> Provenance:
    """Return the provenance of what this program builds.

    Args:
        project: the project's folder, which may be a git checkout.
        argv: the program and its arguments; values of `--set` are left out.

    """
    return provenance_at(project, argv)()


def provenance_at(project: str, argv: Sequence[str]) -> Callable[[], Provenance]:
    """Read now what a provenance says, as `provenance`; return what makes the document of it.

    Documents take pydantic, which a process that forks the steps should not hold.
    """
    import platform

    from marin_build._version import __version__

    commit = git_answer(project, "rev-parse", "HEAD")
    status = git_answer(project, "status", "--porcelain", "--untracked-files=no")
    user, host, words = current_user(), os.uname().nodename, without_secret_words(argv)

    @functools.cache
    def document() -> Provenance:
        from marin_build.protocol.documents import Provenance

        return Provenance(
            user=user,
            host=host,
            argv=words,
            python=platform.python_version(),
            marin_build=__version__,
            commit=commit or None,
            dirty=bool(status) if status is not None else None,
        )

    return document


def without_secret_words(argv: Sequence[str]) -> tuple[str, ...]:
    """Return a command line without `--set` values, and what has the form of a secret."""
    from marin_build.text.secret_shapes import masked_text

    return tuple(masked_text(word) for word in _without_values(argv))


def _without_values(argv: Sequence[str]) -> list[str]:
    """Return a command line without `--set` values, which may hold secrets."""
    hidden, found = False, []
    for word in argv:
        if hidden:
            found.append(f"{word.partition('=')[0]}=...")
        elif word.startswith("--set="):
            found.append(f"--set={word.removeprefix('--set=').partition('=')[0]}=...")
        else:
            found.append(word)
        hidden = not hidden and word == "--set"
    return found


def git_answer(folder: str | os.PathLike[str], *args: str) -> str | None:
    """Return what git says of a folder; None where there is no git, no checkout, or no answer."""
    import subprocess

    try:
        done = subprocess.run(
            ["git", "-C", os.fspath(folder), *args],
            capture_output=True,
            text=True,
            check=False,
            timeout=_GIT_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


_GIT_SECONDS = 30
"""How long git may take, over a slow disk that many share."""
IMAGE_VARIABLE = "MARIN_BUILD_IMAGE"
"""Names the container image this program runs in; emitted manifests set it."""
_LOCKS = {"uv.lock", "poetry.lock", "pdm.lock", "Pipfile.lock"}
_DIGITS = 16


class Environment(NamedTuple):
    """What is known of where a step was built, or would be built now.

    Args:
        python: its version, `3.12.4`; None if not known.
        distributions: distribution -> version of what the step's code imports, empty where it is
            not installed; None if not known.
        locks: lock file at the project's root -> digest; None if not known.
        image: the container image, by digest or reference; None if there is none, or not known.
        variables: name -> digest of the step's `env_vars`, without secrets; None if not known.

    """

    python: str | None = None
    distributions: Mapping[str, str] | None = None
    locks: Mapping[str, str] | None = None
    image: str | None = None
    variables: Mapping[str, str] | None = None

    @classmethod
    def of_record(cls, recorded: Mapping[str, Any] | None) -> Environment:
        """Return the environment in a record; a part that is missing or malformed is not known."""
        recorded = recorded if isinstance(recorded, dict) else {}
        return cls(
            _text(recorded.get("python")),
            _texts(recorded.get("distributions")),
            _texts(recorded.get("locks")),
            _text(recorded.get("image")),
            _texts(recorded.get("variables")),
        )


@dataclass(frozen=True, slots=True)
class Here:
    """This machine, with this project: what a run reads once.

    Args:
        python, locks, image: as in Environment.

    """

    python: str
    locks: Mapping[str, str] = field(default_factory=dict)
    image: str | None = None

    def with_distributions(
        self, names: Iterable[str], version_of: Callable[[str], str] | None = None
    ) -> Environment:
        """Return the environment of a step whose code imports these distributions.

        Args:
            names: the distributions.
            version_of: returns the version of one; None: it is looked up.

        """
        version_of = version_of or installed_version
        versions = {name: version_of(name) for name in sorted(names)}
        return Environment(self.python, versions, self.locks, self.image)


def variables_of(env_vars: Mapping[str, str], secrets: Sequence[str] = ()) -> dict[str, str]:
    """Return digests of a step's `env_vars`, as records keep them; secrets are left out.

    A record and a page are shown to more people than an author's file, so they name what changed
    and hold no value. A secret may change with each run, and says nothing about the output.

    Args:
        env_vars: the step's variables.
        secrets: the patterns of names that the step declares as secret.

    """
    if not env_vars:
        return {}
    from marin_build.redaction import without_secrets

    return {
        name: f"sha256:{_digest(value)}"
        for name, value in sorted(without_secrets(env_vars, secrets).items())
    }


def _digest(value: str) -> str:
    data = value.encode("utf-8", "surrogateescape")
    return hashlib.sha256(data).hexdigest()[:_DIGITS]


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _texts(value: Any) -> dict[str, str] | None:
    if not isinstance(value, dict):
        return None
    return {name: text for name, text in value.items() if isinstance(text, str)}


def read_here(project: str, environ: Mapping[str, str]) -> Here:
    """Return this machine's environment.

    Args:
        project: the project's folder, at whose root lock files lie.
        environ: environment variables; one may name the container image.

    """
    return Here(sys.version.split(maxsplit=1)[0], read_locks(project), environ.get(IMAGE_VARIABLE))


def read_locks(project: str) -> dict[str, str]:
    """Return the digest of each lock file at the project's root; unreadable files are left out."""
    found: dict[str, str] = {}
    try:
        names = sorted(os.listdir(project))
    except OSError:
        return found
    for name in names:
        if name in _LOCKS or (name.startswith("requirements") and name.endswith(".txt")):
            try:
                data = read_regular(os.path.join(project, name))
            except OSError:
                continue
            found[name] = f"sha256:{hashlib.sha256(data).hexdigest()[:_DIGITS]}"
    return found


@functools.cache
def installed_version(distribution: str) -> str:
    """Return the version of an installed distribution, looked up by its name; else empty."""
    import importlib.metadata

    try:
        return importlib.metadata.version(distribution)
    except (importlib.metadata.PackageNotFoundError, ValueError):
        return ""


def distributions_of(modules: Iterable[str]) -> dict[str, str]:
    """Return the version of each distribution that provides one of the top-level modules.

    A module that no distribution provides stands under its own name, with an empty version.
    """
    modules = tuple(modules)
    if not modules:
        return {}
    names = dict.fromkeys(
        name for module in modules for name in _providers().get(module, (module,))
    )
    return {name: installed_version(name) for name in sorted(names)}


@functools.cache
def _providers() -> Mapping[str, list[str]]:
    """Return top-level module -> distributions. Slow: reads the metadata of all of them."""
    import importlib.metadata

    return importlib.metadata.packages_distributions()
