"""Split the documents into training shards and held-out text."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from lm.documents import Document, read_documents, write_documents

HELDOUT_FILE = "heldout.jsonl"
BYTES_A_SHARD = 3_000_000


@dataclass(frozen=True)
class SplitStats:
    """The sizes of both sides."""

    train_documents: int
    train_bytes: int
    heldout_documents: int
    heldout_bytes: int
    shards: int = 2


def split(output: Path, documents: Path, heldout_percent: int = 10, shards: int = 2) -> SplitStats:
    """Choose the side by a hash of the module: one module is never on both sides.

    With `shards=0` there are as many shards as the training text needs.
    """
    train: list[Document] = []
    heldout: list[Document] = []
    for document in read_documents(documents):
        side = heldout if bucket(document.module) < heldout_percent else train
        side.append(document)
    write_documents(output / HELDOUT_FILE, heldout)
    train_bytes = sum(document.size for document in train)
    shards = shards or train_bytes // BYTES_A_SHARD + 1
    for shard in range(shards):
        write_documents(output / shard_file(shard), train[shard::shards])
    return SplitStats(
        train_documents=len(train),
        train_bytes=train_bytes,
        heldout_documents=len(heldout),
        heldout_bytes=sum(document.size for document in heldout),
        shards=shards,
    )


def shard_file(shard: int) -> str:
    """Return the file name of a training shard."""
    return f"train-{shard}.jsonl"


def bucket(name: str) -> int:
    """Return a number from 0 to 99 that depends on nothing but the name."""
    return int(hashlib.sha256(name.encode()).hexdigest(), 16) % 100
