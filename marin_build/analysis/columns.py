"""What is kept of the targets of a load, in one file: a column for what commands ask of many.

    magic, length of the header
    header: JSON
    columns, one behind the other: texts, one a line; digests, 32 bytes each; numbers of 4 bytes
    documents of steps: JSON, one a line

The columns are read at once, a document when its step is asked for. So a plan of 100,000 targets
that looks at 300 of them reads 300 documents.
"""

from __future__ import annotations

import json
import os
import zlib
from array import array as numbers
from dataclasses import fields
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from marin_build.analysis.step_document import NotKeptError, document_of, written
from marin_build.pipeline.traits import Traits
from marin_build.quick_dataclass import dataclass
from marin_build.untrusted_json import array, parse_json, table, text, whole

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from marin_build.pipeline.step_spec import StepSpec
    from marin_build.pipeline.targets import Targets

MAGIC = b"marin-build analysis 2\n"
_LENGTH = 12
"""Digits of the header's length."""
_LONGEST_HEADER = 64 << 20
_DIGEST = 32
_NUMBER = "I"
_TRAITS = tuple(each.name for each in fields(Traits) if each.name != "keys")


class DeepCodes(dict[int, str]):
    """The deep digests of the code of targets, by index; hex digits are made when asked for."""

    __slots__ = ("_data",)

    def __init__(self, data: bytes) -> None:
        super().__init__()
        self._data = data

    def __missing__(self, index: int) -> str:
        """Return the digest of a target."""
        return self._data[index * _DIGEST : (index + 1) * _DIGEST].hex()


@dataclass(slots=True, eq=False)
class Columns:
    """The targets of an earlier load.

    Args:
        names, ids: of each target.
        deps: the targets that each needs.
        requested, roots: the targets that the pipeline requests, and the steps it offers.
        traits: which of them have what few have.
        built_by_nothing: those that must be there.
        deep_codes: by target.
        pipeline: what is known of the pipeline itself.

    """

    names: Sequence[str]
    ids: Sequence[str]
    deps: tuple[tuple[int, ...], ...]
    requested: tuple[int, ...]
    roots: tuple[int, ...]
    traits: Traits
    built_by_nothing: frozenset[int]
    deep_codes: DeepCodes
    pipeline: Mapping[str, Any]
    _prefix: str
    _paths: Sequence[str]
    _fingerprints: bytes
    _file: int
    _documents: int
    _ends: Sequence[int]
    _checksums: Sequence[int]

    def fingerprint(self, index: int) -> str:
        """Return the fingerprint of a target."""
        return self._fingerprints[index * _DIGEST : (index + 1) * _DIGEST].hex()

    def output_path(self, index: int) -> str:
        """Return where the output of a target lives."""
        return self._paths[index] if self._paths else f"{self._prefix}/{self.ids[index]}"

    def __del__(self) -> None:
        os.close(self._file)

    def document(self, index: int) -> dict[str, Any]:
        """Return the document of a step.

        Raises:
            ValueError: the file is damaged.

        """
        start = self._ends[index - 1] if index else 0
        try:
            data = os.pread(self._file, self._ends[index] - start, self._documents + start)
        except OSError as error:
            raise ValueError(str(error)) from None
        if zlib.crc32(data) != self._checksums[index]:
            raise ValueError("a damaged document")
        return table(parse_json(data))


def encode(
    targets: Targets,
    codes: Mapping[int, str],
    deep_codes: Mapping[int, str],
    pipeline: Mapping[str, Any],
) -> bytes:
    """Return the targets of a load as they are kept.

    Args:
        targets: all of a pipeline.
        codes: by target, the digest of its own code, where something builds it.
        deep_codes: by target, the deep digest of its code.
        pipeline: what is kept of the pipeline itself: JSON values.

    Raises:
        NotKeptError: something cannot be kept.

    """
    by_id, workspace = targets.by_id, targets.workspace

    def index_of(step: StepSpec) -> int:
        return by_id[step.target_id]

    documents = [
        written(document_of(target.step, deps, index_of, codes.get(index)))
        for index, (target, deps) in enumerate(zip(targets.all, targets.deps, strict=True))
    ]
    paths = [target.output_path for target in targets.all]
    ids = [target.id for target in targets.all]
    are_usual = paths == [f"{workspace.prefix}/{id_}" for id_ in ids]
    columns = {
        "names": _lines([target.name for target in targets.all]),
        "ids": _lines(ids),
        "paths": b"" if are_usual else _lines(paths),
        "fingerprints": bytes.fromhex("".join([target.fingerprint for target in targets.all])),
        "codes": bytes.fromhex("".join([deep_codes[index] for index in range(len(ids))])),
        "counts": _numbers(map(len, targets.deps)),
        "deps": _numbers(dep for deps in targets.deps for dep in deps),
        "lengths": _numbers(map(len, documents)),
        "checksums": _numbers(map(zlib.crc32, documents)),
    }
    header = {
        "pipeline": pipeline,
        "requested": targets.requested,
        "traits": {name: sorted(getattr(targets.traits, name)) for name in _TRAITS},
        "keys": sorted(targets.traits.keys),
        "built_by_nothing": sorted(codes.keys() ^ set(range(len(ids)))),
        "prefix": workspace.prefix,
        "columns": {name: [len(data), zlib.crc32(data)] for name, data in columns.items()},
    }
    head = json.dumps(header, separators=(",", ":")).encode("ascii")
    length = str(len(head)).rjust(_LENGTH).encode("ascii")
    return b"".join([MAGIC, length, head, *columns.values(), *documents])


def decode(file: int) -> Columns:
    """Return the targets that a file holds.

    Args:
        file: its descriptor; it is closed with the columns, or if they cannot be read.

    Raises:
        OSError: it cannot be read.
        ValueError: it is damaged.

    """
    try:
        return _decoded(file)
    except BaseException:
        os.close(file)
        raise


def _decoded(file: int) -> Columns:
    start = len(MAGIC) + _LENGTH
    first = os.pread(file, start, 0)
    if not first.startswith(MAGIC):
        raise ValueError("no analysis")
    length = int(first[len(MAGIC) :])
    if not 0 < length < _LONGEST_HEADER:
        raise ValueError("a header of that length")
    header = table(parse_json(os.pread(file, length, start)))
    start += length
    columns: dict[str, bytes] = {}
    for name, (size, checksum) in table(header["columns"]).items():
        data = os.pread(file, whole(size), start)
        if len(data) != size or zlib.crc32(data) != checksum:
            raise ValueError("a damaged column")
        columns[name] = data
        start += size
    ids = _texts(columns["ids"])
    count = len(ids)
    names, paths = _texts(columns["names"]), _texts(columns["paths"])
    deps, ends = _deps(columns["counts"], columns["deps"]), _ends(columns["lengths"])
    checksums = _whole_numbers(columns["checksums"])
    sizes = {len(names), len(deps), len(ends), len(checksums), len(paths) or count}
    for name in ("fingerprints", "codes"):
        sizes.add(len(columns[name]) // _DIGEST)
    if sizes != {count} or os.fstat(file).st_size != start + (ends[-1] if ends else 0):
        raise ValueError("columns of different lengths")
    pipeline, traits = table(header["pipeline"]), table(header["traits"])

    def indices(values: object) -> tuple[int, ...]:
        found = tuple(whole(value) for value in array(values))
        if found and max(found) >= count:
            raise ValueError("no such target")
        return found

    return Columns(
        names,
        ids,
        deps,
        indices(header["requested"]),
        indices(pipeline["roots"]),
        Traits(
            **{name: frozenset(indices(traits[name])) for name in _TRAITS},
            keys=frozenset(text(key) for key in array(header["keys"])),
        ),
        frozenset(indices(header["built_by_nothing"])),
        DeepCodes(columns["codes"]),
        pipeline,
        text(header["prefix"]),
        paths,
        columns["fingerprints"],
        file,
        start,
        ends,
        checksums,
    )


def _lines(texts: Sequence[str]) -> bytes:
    joined = "\n".join(texts)
    if joined.count("\n") != max(len(texts) - 1, 0):
        raise NotKeptError("the path of an output has several lines")
    return joined.encode("utf-8", "surrogatepass")


def _texts(data: bytes) -> list[str]:
    return data.decode("utf-8", "surrogatepass").split("\n") if data else []


def _numbers(values: Iterable[int]) -> bytes:
    return numbers(_NUMBER, values).tobytes()


def _whole_numbers(data: bytes) -> list[int]:
    found = numbers(_NUMBER)
    found.frombytes(data)
    return found.tolist()


def _ends(lengths: bytes) -> list[int]:
    return list(accumulate(_whole_numbers(lengths)))


def _deps(counts: bytes, flat: bytes) -> tuple[tuple[int, ...], ...]:
    """Return the dependencies of each target; each must come before what needs it."""
    values, found, start = _whole_numbers(flat), [], 0
    for index, end in enumerate(accumulate(_whole_numbers(counts))):
        deps = tuple(values[start:end])
        if deps and max(deps) >= index:
            raise ValueError("a target that needs a later one")
        found.append(deps)
        start = end
    if start != len(values):
        raise ValueError("dependencies of no target")
    return tuple(found)
