"""The command line of an experiment: `--prefix gs://bucket --dry_run true --run_only '["train"]'`.

Values are read as Marin reads them: as YAML, and then as the type of the field.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from marin_build.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_WORDS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


@dataclass(frozen=True)
class ExecutorMainConfig:
    """What the command line of an experiment says.

    Args:
        prefix: where outputs live; None: the prefix in force.
        executor_info_base_path: the folder of documents about runs; None: `{prefix}/experiments`.
        dry_run: log what would be built; nothing is run or written.
        force_run_failed: whether steps that failed before are tried again.
        run_only: regular expressions of the names of steps; they and what they need are built.
        max_concurrent: steps that run at once.

    """

    prefix: str | None = None
    executor_info_base_path: str | None = None
    dry_run: bool = False
    force_run_failed: bool = True
    run_only: list[str] | None = None
    max_concurrent: int | None = None


_HELP = {
    "prefix": "where outputs live, a folder or a bucket",
    "executor_info_base_path": "the folder of documents about runs",
    "dry_run": "true: log what would be built",
    "force_run_failed": "false: steps that failed before fail again",
    "run_only": 'regular expressions, \'["train", "^eval"]\': only steps whose names match, and '
    "what they need",
    "max_concurrent": "how many steps run at once",
}


def parse_arguments(words: Sequence[str]) -> ExecutorMainConfig:
    """Return what a command line says.

    Args:
        words: the arguments, without the program's name.

    Raises:
        UsageError: a value is not of its type, or a file of `--config_path` is none.
        SystemExit: `--help`, or an argument that there is not.

    """
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--config_path", metavar="FILE", help="a YAML file of these values")
    for field in fields(ExecutorMainConfig):
        parser.add_argument(f"--{field.name}", metavar="VALUE", help=_HELP[field.name])
    given = {key: text for key, text in vars(parser.parse_args(words)).items() if text is not None}
    file = given.pop("config_path", None)
    config = _with_values(ExecutorMainConfig(), _file_values(file) if file is not None else {})
    return _with_values(config, {key: _yaml(key, text) for key, text in given.items()})


def _with_values(config: ExecutorMainConfig, values: Mapping[str, Any]) -> ExecutorMainConfig:
    return replace(config, **{key: _typed(key, value) for key, value in values.items()})


def _file_values(path: str) -> dict[str, Any]:
    with open(path, encoding="utf-8") as file:
        values = _yaml("config_path", file.read())
    known = {field.name for field in fields(ExecutorMainConfig)}
    if not isinstance(values, dict) or not known.issuperset(values):
        raise UsageError(
            f"`{path}` is not a table of {', '.join(sorted(known))}", consequence="nothing was run"
        )
    return values


def _yaml(name: str, text: str) -> Any:
    import yaml

    if text == "":
        return ""
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise _illegal(name, text, "a YAML value") from error


def _typed(name: str, value: Any) -> Any:
    """Return a value as the field's type; null stands for the default.

    Raises:
        UsageError: it is of another type.

    """
    if value is None:
        return getattr(ExecutorMainConfig, name)
    match name:
        case "dry_run" | "force_run_failed":
            known = value if isinstance(value, bool) else _WORDS.get(str(value).lower())
            if known is None:
                raise _illegal(name, value, "true or false")
            return known
        case "max_concurrent":
            if not isinstance(value, int):
                raise _illegal(name, value, "a whole number")
            return int(value)
        case "run_only":
            if not isinstance(value, list):
                raise _illegal(name, value, 'a list: \'["train", "^eval"]\'')
            return [str(item) for item in value]
    return str(value)


def _illegal(name: str, value: object, wanted: str) -> UsageError:
    return UsageError(
        f"`--{name}` is {wanted}, not `{value}`",
        consequence="nothing was run",
    )
