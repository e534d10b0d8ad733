"""Files of parameters, `--params FILE`: TOML, YAML or JSON whose values `pipeline()` is given.

Their values become parameters as `--set` gives them, so that plans record them and every worker
gets the same.
"""

from __future__ import annotations

import datetime as dt
import os
from typing import TYPE_CHECKING, Any, NoReturn

from marin_build.errors import UsageError
from marin_build.pipeline.parameter_texts import FileText, json_name, parameter_of_file
from marin_build.pipeline.program_surroundings import is_parameter_name
from marin_build.text.readable import printable, shortened
from marin_build.text.secret_shapes import masked_text
from marin_build.workspace.regular_files import read_regular

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


SUFFIXES = (".toml", ".yaml", ".yml", ".json")


def with_files(
    given: Mapping[str, str], files: Iterable[tuple[str, str]], before: Mapping[str, str]
) -> dict[str, str]:
    """Return all parameters of a pipeline by name.

    Args:
        given: by `--set`; they win. A name with a dot changes a part of a table of a file.
        files: the path of each file, and how people know it. Of two files the later one wins, in
            tables key by key.
        before: parameters that anything else wins over.

    Raises:
        UsageError: a file is not readable, is no table, or has a name that is none of a parameter.

    """
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for path, shown in files:
        found = read_parameters(path, shown)
        origins.update(dict.fromkeys(found, shown))
        values = _merged(values, found)
    texts: dict[str, str] = {}
    for name, value in values.items():
        if name not in given and json_name(name) not in given:
            key, text = _text_of(name, value, origins[name])
            texts[key] = FileText.of(text, origins[name])
    return {**before, **texts, **given}


def read_parameters(path: str, shown: str) -> dict[str, Any]:
    """Return the values of a file of parameters by name.

    Raises:
        UsageError: it is not readable, is no table, or has a name that is none of a parameter.

    """
    suffix = os.path.splitext(path)[1].lower()
    if suffix not in SUFFIXES:
        raise UsageError(
            f"the file of parameters `{shown}` is of no kind that is known",
            facts=[("known", ", ".join(SUFFIXES))],
            consequence="nothing was run",
        )
    try:
        text = read_regular(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        _refuse(shown, f"byte {error.start + 1} of it is no UTF-8")
    except OSError as error:
        _refuse(shown, (error.strerror or str(error)).lower())
    values = _parsed(text, suffix, shown)
    if values is None:  # an empty YAML file
        return {}
    if not isinstance(values, dict):
        _refuse(shown, f"it holds a {type(values).__name__}, not names and values")
    for name in values:
        if not isinstance(name, str) or not is_parameter_name(name):
            _refuse(shown, f"`{printable(shortened(str(name), 60))}` is no name of a parameter")
    return values


def _parsed(text: str, suffix: str, shown: str) -> Any:
    if suffix == ".toml":
        import tomllib

        try:
            return tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            _refuse(shown, str(error))
    if suffix == ".json":
        from json import JSONDecodeError

        from marin_build.pipeline.parameter_values import strict_json

        try:
            return strict_json(text)
        except JSONDecodeError as error:
            _refuse(shown, f"{error.msg} (at line {error.lineno}, column {error.colno})")
        except (ValueError, RecursionError) as error:
            _refuse(shown, str(error))
    return _yaml(text, shown)


def _yaml(text: str, shown: str) -> Any:
    import yaml

    class Loader(yaml.SafeLoader):
        """Reads plain values; a key that is there twice is an error, as in TOML."""

    def mapping(loader: Loader, node: yaml.MappingNode) -> dict[Any, Any]:
        own = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or own.count(key.value) > 1:
                problem = "a key that is no text" if key.value not in own else "a key there twice"
                raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
        loader.flatten_mapping(node)
        return loader.construct_mapping(node, deep=True)

    Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, mapping)
    try:
        return yaml.load(text, Loader)  # noqa: S506 - a loader below the safe one
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f" (at line {mark.line + 1}, column {mark.column + 1})" if mark is not None else ""
        _refuse(shown, f"{error.problem}{where}")
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        _refuse(shown, str(error).splitlines()[0])


def _text_of(name: str, value: Any, shown: str) -> tuple[str, str]:
    """Return the parameter that a value becomes: its name, and its text."""
    try:
        return parameter_of_file(name, _plain(value))
    except (ValueError, TypeError, RecursionError) as error:
        _refuse(shown, f"`{name}`: {error}")


def _plain(value: Any) -> Any:
    """Return a value with texts for dates and times, as JSON has them."""
    match value:
        case dt.date() | dt.time():
            return value.isoformat()
        case dict():
            return {_text_key(key): _plain(item) for key, item in value.items()}
        case list():
            return [_plain(item) for item in value]
    return value


def _text_key(key: Any) -> str:
    if not isinstance(key, str):
        raise ValueError(f"the key `{key}` is no text: put it in quotation marks")  # noqa: TRY004
    return key


def _merged(base: Mapping[str, Any], top: Mapping[str, Any]) -> dict[str, Any]:
    both = {
        key: _merged(base[key], value)
        for key, value in top.items()
        if isinstance(value, dict) and isinstance(base.get(key), dict)
    }
    return {**base, **top, **both}


def _refuse(shown: str, reason: str) -> NoReturn:
    raise UsageError(
        f"cannot read the file of parameters `{shown}`",
        facts=[("reason", printable(masked_text(shortened(reason))))],
        consequence="nothing was run",
    ) from None
