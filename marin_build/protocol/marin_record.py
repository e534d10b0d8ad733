"""What Marin recorded beside an output that it built, in any of its three forms.

`.executor_info` of its Executor has the versioned values of the config; that of its StepRunner has
the attributes of the step; `.artifact.json` since June 2026 has name, version and fingerprint, too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from marin_build.identity.payload import HASHED_NAME, fingerprint_of, payload_text
from marin_build.protocol.record_reader import Built, is_ours
from marin_build.quick_dataclass import dataclass
from marin_build.untrusted_json import parse_json

if TYPE_CHECKING:
    from collections.abc import Iterator


_EXECUTOR, _STEP_RUNNER = "Marin's Executor", "Marin's StepRunner"


@dataclass(frozen=True, slots=True)
class MarinRecord:
    """A record that Marin wrote.

    Args:
        writer: which part of Marin wrote it.
        name: the step's; with its version, where it has one.
        function: what built it; empty if it does not say.
        values: what it was declared with, as JSON values by path: `model.seq_len`.
        config: all that its function got, also what was not versioned; empty if it is no object.
        needs: paths of what it was made from, or `name@version`.
        by: who built it, and when; empty if it does not say.

    """

    writer: str
    name: str
    function: str
    values: Mapping[str, Any]
    config: Mapping[str, Any]
    needs: tuple[str, ...]
    by: str


def parse_marin_record(info: bytes | None, artifact: bytes | None) -> MarinRecord | None:
    """Return what Marin recorded; None if it recorded nothing, or that is not readable.

    Args:
        info: the bytes of `.executor_info`, if there are any.
        artifact: those of `.artifact.json`.

    """
    newer = _document(artifact)
    if "result_type" in newer or "fingerprint" in newer:
        return _of_artifact(newer)
    older = _document(info)
    if not older or is_ours(older):
        return None
    is_stub = older.get("executor_version") == "step_runner"
    version, config = _object(older.get("version")), older.get("config")
    return MarinRecord(
        _STEP_RUNNER if is_stub else _EXECUTOR,
        _text(older.get("name")),
        _text(older.get("fn_name")),
        dict(_leaves(config if is_stub else version.get("config"))),
        _object(config),
        _texts(older.get("dependencies")),
        "",
    )


def _of_artifact(document: Mapping[str, Any]) -> MarinRecord:
    name, version = _text(document.get("name")), _text(document.get("version"))
    origin, config = _object(document.get("provenance")), _config_of(document.get("config"))
    who = _text(origin.get("built_by")) or _text(origin.get("user"))
    when = _text(origin.get("created_at"))
    return MarinRecord(
        "Marin",
        f"{name}@{version}" if version else name,
        "",
        dict(_leaves(config)),
        _object(config),
        _texts(document.get("deps")),
        " ".join([*([f"by {who}"] if who else []), *([f"at {when}"] if when else [])]),
    )


def _config_of(config: object) -> object:
    """Return a config; Marin writes it as a text that holds JSON, too."""
    if isinstance(config, str):
        try:
            return parse_json(config)
        except ValueError:
            return {}
    return config


def _document(data: bytes | None) -> Mapping[str, Any]:
    if data is None:
        return {}
    try:
        return _object(parse_json(data))
    except ValueError:
        return {}


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _leaves(value: object, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the plain values in nested objects, each with its path; `parse_json` bounds depth."""
    if isinstance(value, Mapping):
        for key, part in value.items():
            yield from _leaves(part, f"{path}.{key}" if path else str(key))
    elif path:
        yield path, value


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, Sequence) or isinstance(value, str):
        return ()
    return tuple(part for part in value if isinstance(part, str))


def built_by_step_runner(info: bytes, ids: Mapping[str, str]) -> Built | None:
    """Return what Marin's StepRunner recorded, as our own records say it; None for other records.

    Args:
        info: its bytes.
        ids: output path -> id of today's targets. An output that is not among them is known by
            its path below the prefix.

    """
    record, place = parse_marin_record(info, None), _text(_document(info).get("output_path"))
    if record is None or record.writer != _STEP_RUNNER or not record.name:
        return None
    named = HASHED_NAME.fullmatch(place)
    if named is None or not named["start"][:-1].endswith(f"/{record.name}"):
        return None  # its author chose the path, and that says nothing
    prefix = named["start"][: -len(record.name) - 1]
    deps = [ids.get(path) or path.removeprefix(prefix) for path in record.needs]
    payload = payload_text(record.name, record.config, deps)
    target = place.removeprefix(prefix)
    return Built(fingerprint_of(payload), "", "Marin", "", payload=payload, target=target)
