"""The engines that are installed, by name.

Our own engines are in a table, so that a checkout without metadata finds them, and the default one
is found without reading entry points. Engines of other packages have an entry point in the group
`marin_build.engines`. Ours have one, too, for programs that list them; a test compares both.
"""

from __future__ import annotations

import importlib
from dataclasses import is_dataclass
from typing import TYPE_CHECKING, Any

from marin_build.engines.base import Engine
from marin_build.errors import MarinBuildError, UsageError
from marin_build.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from importlib.metadata import EntryPoint

    from marin_build.engines.settings import Table

GROUP = "marin_build.engines"
DEFAULT_ENGINE = "local"
OURS = {
    DEFAULT_ENGINE: "marin_build.engines.local.engine:LocalEngine",
    "container": "marin_build.engines.container.engine:ContainerEngine",
    "slurm": "marin_build.engines.slurm.engine:SlurmEngine",
    "ray": "marin_build.engines.ray.engine:RayEngine",
    "tpu-vm": "marin_build.engines.tpu_vm.engine:TpuVmEngine",
    "kubernetes": "marin_build.engines.kubernetes.engine:KubernetesEngine",
}
_US = "marin-build"


@dataclass(frozen=True, slots=True)
class Registered:
    """An engine that an installed package offers; its code is not imported yet.

    Args:
        name: the name of the engine.
        place: its class, as `module:class`.
        package: the name and version of its distribution; `unknown` if metadata has none.

    """

    name: str
    place: str
    package: str


def registered_engines() -> list[Registered]:
    """Return all engines, ours first, then by name; two packages may offer the same name."""
    from importlib.metadata import entry_points

    others = [
        Registered(entry.name, entry.value, _package(entry))
        for entry in entry_points(group=GROUP)
        if entry.dist is None or entry.dist.name != _US
    ]
    ours = [Registered(name, place, _US) for name, place in OURS.items()]
    return [*ours, *sorted(others, key=lambda one: (one.name, one.package))]


def _package(entry: EntryPoint) -> str:
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist is not None else "unknown"


def are_routes(engine: str) -> bool:
    """Return whether what `--engine` gives are rules, and not the name of one engine."""
    return "=" in engine


def is_engine(name: str) -> bool:
    """Return whether an engine has that name; entry points are read only if ours have not."""
    return name in OURS or any(one.name == name for one in registered_engines())


def engine_names(engine: str) -> tuple[str, ...]:
    """Return the names of the engines that `--engine` gives: one, or those of rules.

    Raises:
        UsageError: there is no such engine, or a rule is malformed.

    """
    names: tuple[str, ...] = (engine,)
    if are_routes(engine):
        from marin_build.engines.routes import parse_routes

        names = tuple(dict.fromkeys(rule.engine for rule in parse_routes(engine)))
    for name in names:
        if not is_engine(name):
            _the_one(name, registered_engines())  # it raises the error about an unknown engine
    return names


def engine_words(name: str) -> tuple[str, ...]:
    """Return the command-line options that choose an engine: none for the default one."""
    return () if name == DEFAULT_ENGINE else ("--engine", name)


def open_engine(name: str, tables: Mapping[str, Table]) -> Engine[Any]:
    """Return the engine of a name, with its settings.

    Args:
        name: what `--engine` gives: the name of one engine, or rules (`routes.py`).
        tables: the engines' tables of the configuration, by name.

    Raises:
        UsageError: no package or several packages offer that name, the engine cannot be loaded, or
            its settings are not legal.

    """
    if are_routes(name):
        from marin_build.engines.routed import routed_engine
        from marin_build.engines.routes import parse_routes

        named = engine_names(name)
        return routed_engine(
            parse_routes(name), {each: open_engine(each, tables) for each in named}
        )
    if name == DEFAULT_ENGINE:
        kind = load_engine(Registered(name, OURS[name], _US))
    else:
        kind = load_engine(_the_one(name, registered_engines()))
    return with_settings(kind, tables)


def with_settings(kind: type[Engine[Any]], tables: Mapping[str, Table]) -> Engine[Any]:
    """Return an engine of a class, with its settings.

    Raises:
        UsageError: the settings are not legal.

    """
    table = tables.get(kind.name)
    if table is None:
        return kind(kind.settings_type())
    from marin_build.engines.settings import read_table

    try:
        settings = read_table(kind.settings_type, table)
    except (NameError, TypeError) as error:  # `settings.py` lists the types it may have
        raise UsageError(
            f"the settings of the engine `{kind.name}` cannot be read",
            facts=[("reason", f"{type(error).__name__}: {error}")],
            hint="upgrade its package, or leave out its table",
        ) from error
    return kind(settings)


def _the_one(name: str, known: Sequence[Registered]) -> Registered:
    found = [one for one in known if one.name == name]
    if not found:
        from marin_build.text.readable import did_you_mean

        names = list(dict.fromkeys(one.name for one in known))
        raise UsageError(
            f"unknown engine `{name}`",
            facts=[("engines", ", ".join(names))],
            hint=did_you_mean(name, names),
        )
    if len(found) > 1:
        raise two_packages(found)
    return found[0]


def two_packages(found: Sequence[Registered]) -> MarinBuildError:
    """Return the error of several packages that offer one name."""
    return UsageError(
        f"{len(found)} packages offer an engine named `{found[0].name}`",
        facts=[("packages", "\n".join(f"{one.package}: {one.place}" for one in found))],
        hint="uninstall all of them but one",
    )


def load_engine(one: Registered) -> type[Engine[Any]]:
    """Return the class of an engine.

    Raises:
        UsageError: it cannot be imported, or it is not an engine with that name.

    """
    module, _, attribute = one.place.partition(":")
    try:
        kind = getattr(importlib.import_module(module), attribute)
    except Exception as error:
        raise _broken(one, f"{type(error).__name__}: {error}") from error
    if not (isinstance(kind, type) and issubclass(kind, Engine)):
        raise _broken(one, f"`{one.place}` is no subclass of {Engine.__module__}.Engine")
    if missing := sorted(kind.__abstractmethods__):
        raise _broken(one, f"it does not define {', '.join(missing)}")
    if getattr(kind, "name", None) != one.name:
        raise _broken(one, f"it calls itself `{getattr(kind, 'name', None)}`")
    if not hasattr(kind, "capabilities"):
        raise _broken(one, "it does not define capabilities")
    if not is_dataclass(kind.settings_type):
        raise _broken(one, f"its settings `{kind.settings_type.__name__}` are no dataclass")
    return kind


def _broken(one: Registered, reason: str) -> UsageError:
    return UsageError(
        f"the engine `{one.name}` cannot be loaded",
        facts=[("package", one.package), ("entry point", one.place), ("reason", reason)],
        hint="upgrade that package, or uninstall it",
    )


def engines_elsewhere(device: str) -> tuple[str, ...]:
    """Return the names of engines that run steps on other machines; broken ones are left out.

    Args:
        device: the accelerator of the step, `gpu` or `tpu`; empty: it has none.

    """
    found = []
    for one in registered_engines():
        try:
            kind = load_engine(one)
        except UsageError:
            continue  # `doctor` reports the reason, and so does a command that uses the engine
        facts = kind.capabilities
        if not facts.uses_this_machine and facts.only_device in {"", device}:
            found.append(one.name)
    return tuple(dict.fromkeys(found))
