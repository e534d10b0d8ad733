"""What the steps of the three experiments do: small texts, from source code to tokens.

The texts are modules of Python's standard library, so that nothing has to be downloaded.
"""

import hashlib
import json
import os
import re
import sysconfig
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from fsspec.core import url_to_fs
from pydantic import BaseModel

Row = dict[str, Any]


class TokenCount(BaseModel):
    """What came of a text."""

    path: str
    documents: int
    tokens: int


def download(output_path: str, modules: Sequence[str]) -> None:
    """Write the source code of some modules, a document each."""
    folder = sysconfig.get_path("stdlib")
    rows = []
    for module in modules:
        with open(os.path.join(folder, f"{module}.py"), encoding="utf-8") as stream:
            rows.append({"id": module, "text": stream.read()})
    _write_rows(f"{output_path}/documents.jsonl", rows)


def normalise(input_path: str, output_path: str, min_chars: int = 80) -> None:
    """Cut documents at blank lines, and leave out what is short."""
    rows = []
    for row in _rows(f"{input_path}/documents.jsonl"):
        blocks = re.split(r"\n\s*\n", row["text"])
        for number, block in enumerate(" ".join(block.split()) for block in blocks):
            if len(block) >= min_chars:
                rows.append({"id": f"{row['id']}/{number}", "text": block})
    _write_rows(f"{output_path}/documents.jsonl", rows)


def sign(input_path: str, output_path: str) -> None:
    """Write a digest of each document."""
    rows = [
        {"id": row["id"], "digest": hashlib.sha256(row["text"].encode()).hexdigest()}
        for row in _rows(f"{input_path}/documents.jsonl")
    ]
    _write_rows(f"{output_path}/digests.jsonl", rows)


def find_duplicates(digest_paths: Sequence[str], output_path: str) -> None:
    """Write which documents another one before them is equal to."""
    seen: set[str] = set()
    duplicates = []
    for path in digest_paths:
        for row in _rows(f"{path}/digests.jsonl"):
            if row["digest"] in seen:
                duplicates.append({"id": row["id"]})
            seen.add(row["digest"])
    _write_rows(f"{output_path}/duplicates.jsonl", duplicates)


def consolidate(input_path: str, duplicates_path: str, output_path: str) -> None:
    """Leave out the documents that are duplicates."""
    duplicates = {row["id"] for row in _rows(f"{duplicates_path}/duplicates.jsonl")}
    kept = [row for row in _rows(f"{input_path}/documents.jsonl") if row["id"] not in duplicates]
    _write_rows(f"{output_path}/documents.jsonl", kept)


def sample(input_path: str, output_path: str, percent: int) -> None:
    """Keep a part of the documents, the same ones each time."""
    kept = [
        row
        for row in _rows(f"{input_path}/documents.jsonl")
        if int(hashlib.sha256(row["id"].encode()).hexdigest(), 16) % 100 < percent
    ]
    _write_rows(f"{output_path}/documents.jsonl", kept)


def tokenize(input_path: str, output_path: str, *, lower: bool = True) -> TokenCount:
    """Split documents into words and signs, and count them."""
    rows = []
    for row in _rows(f"{input_path}/documents.jsonl"):
        text = row["text"].lower() if lower else row["text"]
        rows.append({"id": row["id"], "tokens": re.findall(r"\w+|[^\w\s]", text)})
    _write_rows(f"{output_path}/tokens.jsonl", rows)
    count = sum(len(row["tokens"]) for row in rows)
    return TokenCount(path=output_path, documents=len(rows), tokens=count)


def token_lists(path: str) -> Iterator[list[str]]:
    """Yield the tokens of each document."""
    for row in _rows(f"{path}/tokens.jsonl"):
        yield row["tokens"]


def _rows(path: str) -> Iterator[Row]:
    fs, plain = url_to_fs(path)
    with fs.open(plain, "r", encoding="utf-8") as stream:
        for line in stream:
            yield json.loads(line)


def _write_rows(path: str, rows: Iterable[Row]) -> None:
    write_text(path, "".join(json.dumps(row) + "\n" for row in rows))


def write_text(path: str, text: str) -> None:
    """Write a file on a disk or in a bucket."""
    fs, plain = url_to_fs(path)
    fs.makedirs(os.path.dirname(plain), exist_ok=True)
    with fs.open(plain, "w", encoding="utf-8") as stream:
        stream.write(text)


def read_text(path: str) -> str:
    """Read a file from a disk or a bucket."""
    fs, plain = url_to_fs(path)
    with fs.open(plain, "r", encoding="utf-8") as stream:
        text: str = stream.read()
    return text
